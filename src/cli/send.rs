//! `send`: NDJSON events from a file or standard input to a running bridge, in batches, each acknowledged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mcp_otel_bridge::client::{Answer, Client, EVENTS, Patience};
use serde::Deserialize;
use ureq::http::StatusCode;

use super::input::BridgeArgs;
use super::{Failure, print};

/// The most events of one request.
const BATCH_LINES: usize = 1000;
/// The most bytes of one request: well below what a bridge takes.
const BATCH_BYTES: usize = 1024 * 1024;
/// The most rejections that the summary shows.
const SHOWN: usize = 10;
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What `send` is told.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The file of events, one JSON object a line; standard input if absent or -
    file: Option<PathBuf>,
    #[command(flatten)]
    bridge: BridgeArgs,
    /// How long to go on trying while the bridge is away or overloaded, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    retry_for: u64,
}

/// Events on their way: the lines as they are sent, and where they stood.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<String>,
    numbers: Vec<usize>,
    bytes: usize,
}

/// What became of all events.
#[derive(Debug, Default)]
struct Summary {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    shown: Vec<String>,
}

struct Sender {
    client: Client,
    retry_for: Duration,
    progress: ProgressBar,
    summary: Summary,
}

/// Sends everything and says what became of it; a fault where something was rejected.
pub(super) fn send(args: &SendArgs) -> Result<(), Failure> {
    let (input, size) = open(args.file.as_deref())?;
    let mut sender = Sender {
        client: args.bridge.client()?,
        retry_for: Duration::from_secs(args.retry_for),
        progress: progress(size),
        summary: Summary::default(),
    };
    let result = sender.send_all(input);
    sender.progress.finish_and_clear();
    sender.summary.print()?;
    result?;
    if sender.summary.rejected > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn open(file: Option<&Path>) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    match file {
        Some(path) if path != Path::new("-") => {
            let file =
                File::open(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
            let size = file.metadata().ok().map(|metadata| metadata.len());
            Ok((Box::new(BufReader::new(file)), size))
        }
        _ => Ok((Box::new(BufReader::new(io::stdin())), None)),
    }
}

/// A bar over the bytes of a file, where a person looks on.
fn progress(size: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    match size {
        Some(size) => {
            let bar = ProgressBar::new(size);
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}") {
                bar.set_style(style);
            }
            bar
        }
        None => ProgressBar::new_spinner(),
    }
}

impl Sender {
    fn send_all(&mut self, mut input: Box<dyn BufRead>) -> Result<(), Failure> {
        let mut batch = Batch::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = input
                .read_until(b'\n', &mut line)
                .map_err(|error| Failure::Fault(format!("cannot read the events: {error}")))?;
            if read == 0 {
                break;
            }
            // What is not UTF-8 is not JSON either: the bridge says so of the line.
            let text = String::from_utf8_lossy(&line);
            if text.trim().is_empty() {
                continue;
            }
            if batch.lines.len() >= BATCH_LINES || batch.bytes + text.len() > BATCH_BYTES {
                self.send(std::mem::take(&mut batch))?;
            }
            batch.push(with_event_id(text.trim()), number);
            self.progress.inc(read as u64);
        }
        self.send(batch)
    }

    fn send(&mut self, batch: Batch) -> Result<(), Failure> {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            if batch.lines.is_empty() {
                continue;
            }
            match self.post(&batch)? {
                Some(answer) => self.summary.add(&batch, answer),
                // Too large a body: in halves, until it is one event that no bridge takes.
                None if batch.lines.len() > 1 => waiting.extend(batch.halves()),
                None => self.summary.too_large(&batch),
            }
        }
        self.progress.set_message(format!("{} accepted, {} rejected", self.summary.accepted, self.summary.rejected));
        Ok(())
    }

    /// Sends one batch until it is answered; `None` where the bridge finds it too large.
    fn post(&self, batch: &Batch) -> Result<Option<Answer>, Failure> {
        let (url, body) = (self.client.url(EVENTS), batch.lines.join("\n"));
        let started = Instant::now();
        let mut wait = Duration::from_millis(100);
        loop {
            let (problem, asked) = match self.client.send(&body, Patience::default()) {
                Ok(reply) => match reply.status {
                    StatusCode::OK => {
                        return serde_json::from_str(&reply.body).map(Some).map_err(|error| {
                            Failure::Fault(format!("{url} gave an answer that is no bridge's: {error}"))
                        });
                    }
                    StatusCode::PAYLOAD_TOO_LARGE => return Ok(None),
                    status @ (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {
                        (format!("{status}: {}", reply.body.trim()), reply.retry_after)
                    }
                    status => {
                        let other = || format!("{url} answered {status}: {}", reply.body.trim());
                        return Err(Failure::Fault(self.client.refusal(&reply).unwrap_or_else(other)));
                    }
                },
                Err(ureq::Error::BadUri(uri)) => return Err(Failure::Usage(format!("{uri:?} is no URL of a bridge"))),
                Err(error) => match self.client.distrust(&error) {
                    Some(why) => return Err(Failure::Fault(why)),
                    None => (self.client.away(&error), None),
                },
            };
            if started.elapsed() >= self.retry_for {
                return Err(Failure::Fault(format!(
                    "{} did not take the events within {} s: {problem}; is a bridge running there?",
                    url,
                    self.retry_for.as_secs()
                )));
            }
            self.progress.set_message(format!("waiting: {problem}"));
            std::thread::sleep(asked.unwrap_or(wait).min(self.retry_for.saturating_sub(started.elapsed())));
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl Batch {
    fn push(&mut self, line: String, number: usize) {
        self.bytes += line.len() + 1;
        self.lines.push(line);
        self.numbers.push(number);
    }

    /// The second half of the batch, and the first, which is to be sent first.
    fn halves(mut self) -> [Self; 2] {
        let middle = self.lines.len() / 2;
        let second = Self { lines: self.lines.split_off(middle), numbers: self.numbers.split_off(middle), bytes: 0 };
        [second, self]
    }
}

impl Summary {
    fn add(&mut self, batch: &Batch, answer: Answer) {
        self.accepted += answer.accepted;
        self.duplicates += answer.duplicates;
        for rejected in answer.rejected {
            let line = batch.numbers.get(rejected.index).copied().unwrap_or(0);
            self.reject(line, &rejected.error);
        }
    }

    fn too_large(&mut self, batch: &Batch) {
        for number in &batch.numbers {
            self.reject(*number, "is larger than the bridge takes");
        }
    }

    fn reject(&mut self, line: usize, error: &str) {
        self.rejected += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("line {line}: {error}"));
        }
    }

    fn print(&self) -> Result<(), Failure> {
        for line in &self.shown {
            print(&format!("{line}\n"))?;
        }
        let more = self.rejected - self.shown.len() as u64;
        if more > 0 {
            print(&format!("... and {more} more rejected\n"))?;
        }
        print(&format!("{} accepted, {} duplicates, {} rejected\n", self.accepted, self.duplicates, self.rejected))
    }
}

/// The event with an id, so that a batch whose answer was lost can be sent again and is counted once.
///
/// A start is left as it is: its id makes the session's, which only its host can give, so the bridge must have its say.
fn with_event_id(line: &str) -> String {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(default, deserialize_with = "present", rename = "event_id")]
        has_id: bool,
        #[serde(default, borrow)]
        event_type: Option<&'a serde_json::value::RawValue>,
    }
    // A null is a value that the bridge judges, not a missing one.
    fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
        serde::de::IgnoredAny::deserialize(value).map(|_| true)
    }
    match (line.strip_prefix('{'), serde_json::from_str::<Probe<'_>>(line)) {
        (Some(rest), Ok(Probe { has_id: false, event_type }))
            if event_type.is_none_or(|kind| kind.get() != "\"session_start\"") =>
        {
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!("{{\"event_id\":\"{}\"{comma}{rest}", mcp_otel_bridge::event::EventId::random())
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_without_an_id_are_given_one_and_no_session_start() {
        let given = with_event_id(r#"{"event_type":"search_call"}"#);
        let value: serde_json::Value = serde_json::from_str(&given).unwrap();
        assert_eq!(value["event_type"], "search_call");
        assert_eq!(value["event_id"].as_str().unwrap().len(), 36);
        let value: serde_json::Value = serde_json::from_str(&with_event_id("{ }")).unwrap();
        assert!(value["event_id"].is_string());
        for untouched in [
            r#"{"event_id":"x"}"#,
            r#"{"event_id":null}"#,
            "{not json",
            "[]",
            "17",
            r#"{"event_type":"session_start"}"#,
        ] {
            assert_eq!(with_event_id(untouched), untouched);
        }
    }
}
