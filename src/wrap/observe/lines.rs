//! One way of the stream: its bytes as they come, cut into lines, each a message or a batch of them.

use std::hash::RandomState;
use std::time::Instant;

use super::message::{Message, Reader};

/// A line that is over.
#[derive(Debug)]
pub(super) enum Line {
    /// One message, or those of a batch; empty where it is some other JSON.
    Messages {
        messages: Vec<Message>,
        /// When its first byte went by.
        begun: Instant,
        /// When its last one did.
        ended: Instant,
    },
    /// It is no JSON, so no message.
    Garbage,
    /// Some of it was never seen.
    Torn,
}

/// The lines of one way. A line may be of any size: none is kept.
#[derive(Debug)]
pub(super) struct Lines {
    reader: Reader,
    begun: Option<Instant>,
    /// Whether bytes of the line are missing.
    torn: bool,
}

impl Lines {
    pub(super) fn new(hashing: RandomState) -> Self {
        Self { reader: Reader::new(hashing), begun: None, torn: false }
    }

    /// Takes the next bytes and tells of each line that they end.
    pub(super) fn feed(&mut self, bytes: &[u8], at: Instant, mut each: impl FnMut(Line)) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, more) = rest.split_at(end);
            self.add(line, at);
            if let Some(line) = self.end(at) {
                each(line);
            }
            rest = &more[1..];
        }
        self.add(rest, at);
    }

    /// Bytes are missing here: the line in which they are is not read.
    pub(super) fn gap(&mut self) {
        self.torn = true;
    }

    /// Passes over the next bytes, and all that come after them. Tells how many lines they end.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> u64 {
        self.torn = bytes.last().map_or(self.torn, |last| *last != b'\n');
        memchr::memchr_iter(b'\n', bytes).count() as u64
    }

    /// Whether bytes of the line that has begun are missing.
    pub(super) const fn is_torn(&self) -> bool {
        self.torn
    }

    fn add(&mut self, bytes: &[u8], at: Instant) {
        if !bytes.is_empty() {
            self.begun.get_or_insert(at);
            self.reader.feed(bytes);
        }
    }

    fn end(&mut self, ended: Instant) -> Option<Line> {
        let begun = self.begun.take().unwrap_or(ended);
        let blank = self.reader.is_blank();
        let messages = self.reader.finish();
        if std::mem::take(&mut self.torn) {
            return Some(Line::Torn);
        }
        if blank {
            return None;
        }
        Some(messages.map_or(Line::Garbage, |messages| Line::Messages { messages, begun, ended }))
    }
}
