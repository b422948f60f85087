//! What is kept of a string or a number while it goes by: a short text, a hash, or nothing.

use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};

/// The most bytes of a text that is kept: room for a label's characters.
const MAX_TEXT: usize = 512;

/// What to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing: what clients and servers say to each other is not for the bridge.
    Nothing,
    /// The text, if it is short.
    Text,
    /// A hash, by which two of any length can be told apart. Its key is random and never leaves the process.
    Hash,
    /// What tells ids apart: a string's hash, a number's text.
    Id,
}

impl Keep {
    /// What that is of a string, or else of a number.
    pub(super) const fn of(self, string: bool) -> Self {
        match self {
            Self::Id if string => Self::Hash,
            Self::Id => Self::Text,
            keep => keep,
        }
    }
}

/// What was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Captured<'a> {
    Nothing,
    /// The text; `None` where it was too long, or is not UTF-8.
    Text(Option<&'a str>),
    Hash(u64),
}

impl<'a> Captured<'a> {
    /// The text, if it was kept.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => text,
            _ => None,
        }
    }

    /// The hash, if it was made.
    pub(super) fn hash(self) -> Option<u64> {
        match self {
            Self::Hash(hash) => Some(hash),
            _ => None,
        }
    }
}

/// The string or number that goes by.
#[derive(Debug)]
pub(super) struct Text {
    hashing: RandomState,
    keep: Keep,
    buffer: Vec<u8>,
    too_long: bool,
    hasher: DefaultHasher,
    /// The first half of a surrogate pair, whose second half may come.
    high: Option<u16>,
}

impl Text {
    pub(super) fn new(hashing: RandomState) -> Self {
        let hasher = hashing.build_hasher();
        Self { hashing, keep: Keep::Nothing, buffer: Vec::new(), too_long: false, hasher, high: None }
    }

    pub(super) fn begin(&mut self, keep: Keep) {
        self.keep = keep;
        self.buffer.clear();
        self.too_long = false;
        self.high = None;
        if keep == Keep::Hash {
            self.hasher = self.hashing.build_hasher();
        }
    }

    /// Bytes as they are.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.keep == Keep::Nothing || bytes.is_empty() {
            return;
        }
        if self.high.take().is_some() {
            self.put(REPLACEMENT);
        }
        self.put(bytes);
    }

    /// A UTF-16 unit that was escaped.
    pub(super) fn push_unit(&mut self, unit: u16) {
        if self.keep == Keep::Nothing {
            return;
        }
        let high = self.high.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            if high.is_some() {
                self.put(REPLACEMENT);
            }
            return;
        }
        let units = [high.unwrap_or_default(), unit];
        for decoded in char::decode_utf16(units.into_iter().skip(usize::from(high.is_none()))) {
            let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.put(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    pub(super) fn end(&mut self) -> Captured<'_> {
        if self.high.take().is_some() {
            self.put(REPLACEMENT);
        }
        match self.keep {
            Keep::Nothing => Captured::Nothing,
            Keep::Text if self.too_long => Captured::Text(None),
            Keep::Text => Captured::Text(std::str::from_utf8(&self.buffer).ok()),
            Keep::Hash | Keep::Id => {
                self.hasher.write(&self.buffer);
                Captured::Hash(self.hasher.finish())
            }
        }
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.too_long {
            let room = MAX_TEXT - self.buffer.len();
            if room == 0 && self.keep == Keep::Text {
                self.too_long = true;
            } else if room == 0 {
                // Blocks of one size: the hash must not depend on the pieces that the text came in.
                self.hasher.write(&self.buffer);
                self.buffer.clear();
            } else {
                let (now, rest) = bytes.split_at(room.min(bytes.len()));
                self.buffer.extend_from_slice(now);
                bytes = rest;
            }
        }
    }
}

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
