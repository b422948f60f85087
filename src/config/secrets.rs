//! Tokens and the password, from the files and variables that hold them: at the start, and again when a file changes.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::codec::quote;
use super::draft::{self, Held};
use super::environment::Environment;
use super::keys::{PASSWORD, TOKEN};
use super::model::{Auth, Basic, Secret, TokenSource, Tokens};
use super::reader::Reader;

/// More than any file of tokens: what is larger is another file.
const MOST_BYTES: u64 = 64 * 1024;

/// Why there is no secret where there should be one. It never holds the secret.
struct Unusable {
    problem: String,
    help: String,
}

/// What the draft names, read.
pub(super) fn read(auth: &draft::Auth, env: &Environment, reader: &mut Reader) -> Auth {
    Auth {
        all: tokens(&auth.all, env, reader),
        scrape: tokens(&auth.scrape, env, reader),
        ingest: tokens(&auth.ingest, env, reader),
        admin: tokens(&auth.admin, env, reader),
        basic: basic(&auth.basic, env, reader),
    }
}

fn tokens(held: &Held, env: &Environment, reader: &mut Reader) -> Option<Tokens> {
    let (tokens, source) = found(held, env, "token", parse_tokens, reader)?;
    Some(Tokens { tokens: tokens.unwrap_or_default(), source: Some(source) })
}

fn basic(basic: &draft::Basic, env: &Environment, reader: &mut Reader) -> Option<Basic> {
    let password = found(&basic.password, env, "password", parse_password, reader);
    match (&basic.username, password) {
        (None, None) => None,
        (Some(username), Some((password, source))) => {
            Some(Basic { username: username.value.clone(), password: password?, source: Some(source) })
        }
        (Some(username), None) => {
            reader.fault_at(username.place.clone(), "the user name has no password", "`password_file` beside it");
            None
        }
        (None, Some(_)) => {
            let place = basic.password.file.as_ref().map(|file| &file.place);
            let place = place.or(basic.password.env.as_ref().map(|env| &env.place));
            reader.fault_at(
                place.cloned().unwrap_or_default(),
                "the password has no user name",
                "`auth.basic.username` beside it",
            );
            None
        }
    }
}

/// The secret that is held there, unless that is a fault, with its source; `None` where none is asked for.
fn found<V>(
    held: &Held,
    env: &Environment,
    what: &str,
    parse: fn(&str, &str) -> Result<V, Unusable>,
    reader: &mut Reader,
) -> Option<(Option<V>, TokenSource)> {
    let (read, place, source) = match held {
        Held { file: Some(file), .. } => {
            let source = TokenSource::File(file.value.clone());
            (from_file(&file.value, what, parse), &file.place, source)
        }
        Held { env: Some(name), .. } => {
            let text = env.get(&name.value).unwrap_or_default();
            (parse(text, "the variable that it names"), &name.place, TokenSource::Env(name.value.clone()))
        }
        Held { file: None, env: None } => return None,
    };
    match read {
        Ok(value) => Some((Some(value), source)),
        Err(Unusable { problem, help }) => {
            reader.fault_at(place.clone(), problem, help);
            Some((None, source))
        }
    }
}

fn from_file<V>(path: &Path, what: &str, parse: fn(&str, &str) -> Result<V, Unusable>) -> Result<V, Unusable> {
    let shown = quote(&path.to_string_lossy());
    let help = || format!("a file that holds the {what} and that the bridge may read");
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text)) {
        Ok(read) if read as u64 > MOST_BYTES => {
            Err(Unusable { problem: format!("{shown} holds more than {MOST_BYTES} bytes"), help: help() })
        }
        Ok(_) => parse(text.trim_end(), &shown),
        Err(error) => Err(Unusable { problem: format!("{shown} cannot be read: {error}"), help: help() }),
    }
}

/// One token a line; empty lines count for nothing.
fn parse_tokens(text: &str, from: &str) -> Result<Vec<Secret>, Unusable> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let read = |line| match TOKEN.read(line) {
        Ok(token) => Ok(Secret::new(token)),
        Err((_, help)) => Err(Unusable { problem: format!("{from} does not hold a token"), help }),
    };
    let tokens = lines.map(read).collect::<Result<Vec<_>, _>>()?;
    if tokens.is_empty() { Err(empty(from, "a token")) } else { Ok(tokens) }
}

fn parse_password(text: &str, from: &str) -> Result<Secret, Unusable> {
    if text.is_empty() {
        return Err(empty(from, "a password"));
    }
    let unusable = |(_, help)| Unusable { problem: format!("{from} does not hold a password"), help };
    PASSWORD.read(text).map(Secret::new).map_err(unusable)
}

fn empty(from: &str, help: &str) -> Unusable {
    Unusable { problem: format!("{from} is empty or unset"), help: help.to_owned() }
}

impl Auth {
    /// The files that it came from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let tokens = [&self.all, &self.scrape, &self.ingest, &self.admin];
        let sources = tokens.into_iter().flatten().map(|tokens| &tokens.source);
        let sources = sources.chain(self.basic.as_ref().map(|basic| &basic.source));
        let file = |source: &Option<TokenSource>| match source {
            Some(TokenSource::File(path)) => Some(path.clone()),
            Some(TokenSource::Env(_)) | None => None,
        };
        sources.filter_map(file).collect()
    }

    /// Reads the files again. What cannot be used stays as it was; a line on each such file.
    pub(crate) fn read_again(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut note = |Unusable { problem, help }: Unusable| faults.push(format!("{problem}; right is {help}"));
        for tokens in [&mut self.all, &mut self.scrape, &mut self.ingest, &mut self.admin].into_iter().flatten() {
            if let Some(TokenSource::File(path)) = &tokens.source {
                match from_file(path, "token", parse_tokens) {
                    Ok(read) => tokens.tokens = read,
                    Err(fault) => note(fault),
                }
            }
        }
        if let Some(basic) = &mut self.basic
            && let Some(TokenSource::File(path)) = &basic.source
        {
            match from_file(path, "password", parse_password) {
                Ok(read) => basic.password = read,
                Err(fault) => note(fault),
            }
        }
        faults
    }
}
