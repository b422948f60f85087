//! A JSON reader that takes a text in pieces of any size and keeps next to nothing of it.
//!
//! The grammar is RFC 8259, strictly: a text that is cut off or followed by anything is none. Two things are left to
//! whoever uses the strings: bytes that are no UTF-8, and halves of surrogate pairs, which become U+FFFD.

use std::hash::RandomState;

use super::text::{Captured, Keep, Text};

/// Deeper values make a text unreadable; a level costs a bit.
const MAX_DEPTH: usize = 4096;

/// What is told of a text as it goes by. What was told counts only if the text turns out to be whole.
pub(super) trait Sink {
    /// An object begins, or else an array.
    fn open(&mut self, object: bool);
    /// The innermost object or array ends.
    fn close(&mut self);
    /// The name of the member whose value comes next; `None` if it is longer than any that could matter.
    fn key(&mut self, name: Option<&str>);
    /// What to keep of the string or number that begins.
    fn keep(&self) -> Keep;
    /// A string.
    fn string(&mut self, text: Captured<'_>);
    /// A number, as it is written.
    fn number(&mut self, text: Captured<'_>);
    /// `true`, `false`, or `None` for `null`.
    fn word(&mut self, value: Option<bool>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must come; in an array that has just begun its end may come too.
    Value {
        may_close: bool,
    },
    /// A member's name must come; in an object that has just begun its end may come too.
    Key {
        may_close: bool,
    },
    /// The colon between a name and its value.
    Colon,
    /// A value is over: a comma, or the end of what it stands in.
    After,
    String {
        key: bool,
        escape: Escape,
    },
    Number(Number),
    Word {
        rest: &'static [u8],
        value: Option<bool>,
    },
    /// It is no JSON.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Hex { digits: u8, value: u16 },
}

/// What of a number was last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// The reader of one text.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    /// For each level whether it is an object.
    levels: Vec<bool>,
    begun: bool,
    text: Text,
}

impl Scanner {
    pub(super) fn new(hashing: RandomState) -> Self {
        Self { state: START, levels: Vec::new(), begun: false, text: Text::new(hashing) }
    }

    /// Whether nothing but white space came so far.
    pub(super) const fn is_blank(&self) -> bool {
        !self.begun
    }

    /// Whether it is known by now that the text is no JSON.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.state {
                State::Broken => return,
                State::String { escape: Escape::None, .. } => bytes = self.plain(bytes, sink),
                State::String { key, escape } => {
                    self.escaped(key, escape, byte);
                    bytes = rest;
                }
                State::Number(number) => match number.next(byte) {
                    Some(next) => {
                        self.text.push(&[byte]);
                        self.state = State::Number(next);
                        bytes = rest;
                    }
                    // The byte is the first after the number.
                    None => self.end_number(number, sink),
                },
                State::Word { rest: word, value } => {
                    bytes = rest;
                    self.state = match word.split_first() {
                        Some((first, [])) if *first == byte => {
                            sink.word(value);
                            State::After
                        }
                        Some((first, more)) if *first == byte => State::Word { rest: more, value },
                        _ => State::Broken,
                    };
                }
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => bytes = rest,
                state => {
                    self.begun = true;
                    self.structural(state, byte, sink);
                    bytes = rest;
                }
            }
        }
    }

    /// The text is over: whether it was one JSON value and nothing else. The reader is as new.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) -> bool {
        if let State::Number(number) = self.state {
            self.end_number(number, sink);
        }
        let whole = self.state == State::After && self.levels.is_empty();
        self.state = START;
        self.levels.clear();
        self.begun = false;
        whole
    }

    fn structural(&mut self, state: State, byte: u8, sink: &mut impl Sink) {
        self.state = match (state, byte) {
            (State::Value { .. }, b'"') => {
                self.text.begin(sink.keep().of(true));
                State::String { key: false, escape: Escape::None }
            }
            (State::Value { .. }, b'{' | b'[') => self.open(byte == b'{', sink),
            (State::Value { .. }, b'-' | b'0'..=b'9') => {
                self.text.begin(sink.keep().of(false));
                self.text.push(&[byte]);
                State::Number(match byte {
                    b'-' => Number::Minus,
                    b'0' => Number::Zero,
                    _ => Number::Integer,
                })
            }
            (State::Value { .. }, b't') => State::Word { rest: b"rue", value: Some(true) },
            (State::Value { .. }, b'f') => State::Word { rest: b"alse", value: Some(false) },
            (State::Value { .. }, b'n') => State::Word { rest: b"ull", value: None },
            (State::Value { may_close: true }, b']') => self.close(false, sink),
            (State::Key { .. }, b'"') => {
                self.text.begin(Keep::Text);
                State::String { key: true, escape: Escape::None }
            }
            (State::Key { may_close: true }, b'}') => self.close(true, sink),
            (State::Colon, b':') => State::Value { may_close: false },
            (State::After, b',') => match self.levels.last() {
                Some(true) => State::Key { may_close: false },
                Some(false) => State::Value { may_close: false },
                None => State::Broken,
            },
            (State::After, b'}' | b']') => self.close(byte == b'}', sink),
            _ => State::Broken,
        };
    }

    fn open(&mut self, object: bool, sink: &mut impl Sink) -> State {
        if self.levels.len() == MAX_DEPTH {
            return State::Broken;
        }
        self.levels.push(object);
        sink.open(object);
        if object { State::Key { may_close: true } } else { State::Value { may_close: true } }
    }

    fn close(&mut self, object: bool, sink: &mut impl Sink) -> State {
        if self.levels.pop() != Some(object) {
            return State::Broken;
        }
        sink.close();
        State::After
    }

    fn end_number(&mut self, number: Number, sink: &mut impl Sink) {
        self.state = if number.may_end() {
            sink.number(self.text.end());
            State::After
        } else {
            State::Broken
        };
    }

    /// Takes what of a string has no escapes; gives back what comes after it.
    fn plain<'a>(&mut self, bytes: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let State::String { key, .. } = self.state else { return bytes };
        let length = plain_length(bytes);
        let (plain, rest) = bytes.split_at(length);
        self.text.push(plain);
        let Some((&byte, rest)) = rest.split_first() else { return rest };
        match byte {
            b'\\' => self.state = State::String { key, escape: Escape::Backslash },
            b'"' if key => {
                sink.key(self.text.end().text());
                self.state = State::Colon;
            }
            b'"' => {
                sink.string(self.text.end());
                self.state = State::After;
            }
            _ => self.state = State::Broken,
        }
        rest
    }

    fn escaped(&mut self, key: bool, escape: Escape, byte: u8) {
        let next = match escape {
            Escape::Backslash => {
                let meant = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        self.state = State::String { key, escape: Escape::Hex { digits: 0, value: 0 } };
                        return;
                    }
                    _ => {
                        self.state = State::Broken;
                        return;
                    }
                };
                self.text.push(&[meant]);
                Escape::None
            }
            Escape::Hex { digits, value } => {
                let Some(digit) = (byte as char).to_digit(16) else {
                    self.state = State::Broken;
                    return;
                };
                let value = value << 4 | digit as u16;
                if digits < 3 {
                    Escape::Hex { digits: digits + 1, value }
                } else {
                    self.text.push_unit(value);
                    Escape::None
                }
            }
            Escape::None => Escape::None,
        };
        self.state = State::String { key, escape: next };
    }
}

const START: State = State::Value { may_close: false };

/// How many bytes there are before the first that is not simply part of a string.
fn plain_length(bytes: &[u8]) -> usize {
    // Whole blocks without an early way out, which the compiler turns into vector instructions.
    const BLOCK: usize = 64;
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let blocks = bytes.chunks_exact(BLOCK).take_while(|block| !block.iter().fold(false, |any, b| any | special(*b)));
    let start = blocks.count() * BLOCK;
    start + bytes[start..].iter().position(|byte| special(*byte)).unwrap_or(bytes.len() - start)
}

impl Number {
    /// What the number is with one more byte; `None` if that does not belong to it.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}
