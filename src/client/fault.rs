//! What is wrong between a client and a bridge, in words for a person: what happened, and what would be right.

use std::io::ErrorKind;
use std::path::Path;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};
use ureq::Error;
use ureq::http::StatusCode;

use super::access::{CA_FILE_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE, Trust};
use super::{Client, Reply};

/// How a bridge begins its answer (403) to a client that shows no certificate though it must.
pub(crate) const UNCERTIFIED: &str = "this needs a client certificate of an authority that the bridge knows";
/// As much of an answer as a message shows.
const SHOWN: usize = 200;

impl Client {
    /// Why there was no answer, where the client and the bridge do not take each other for what they should be: it will
    /// not be better the next time unless somebody mends it. `None` where it is something else.
    pub fn distrust(&self, error: &Error) -> Option<String> {
        let url = self.url("");
        let why = match error {
            Error::Protocol(_) if self.base.starts_with("http://") => {
                format!(
                    "what answers at {url} does not speak HTTP ({error}); the URL of a bridge with TLS is https://..."
                )
            }
            // Nothing was asked.
            Error::Other(problem) => return Some(problem.to_string()),
            Error::Tls(_) => format!("{url} cannot be reached safely ({error})"),
            Error::Rustls(tls) => self.distrusted(&url, tls),
            Error::Io(io) => self.distrusted(&url, io.get_ref()?.downcast_ref()?),
            _ => return None,
        };
        Some(why + &self.out_of_date())
    }

    /// Why there was no answer, where trying again may help: in short, to be put in brackets.
    pub fn away(&self, error: &Error) -> String {
        match self.certificate() {
            Some(path) if is_broken_off(error) && self.base.starts_with("https://") => format!(
                "{error}; where a bridge runs there, it may not take the certificate in {}{}",
                path.display(),
                self.out_of_date()
            ),
            _ => error.to_string(),
        }
    }

    /// Why the bridge did not do what it was asked, where it is for what the client has shown, or has not. `None` where
    /// the answer says something else.
    pub fn refusal(&self, reply: &Reply) -> Option<String> {
        let url = self.url("");
        let why = match reply.status {
            StatusCode::UNAUTHORIZED => {
                let shown = self.way.last().is_some_and(|open| open.authorization.is_some());
                let but = if shown { ", which the one that this command has is not" } else { "" };
                format!(
                    "{url} asks for its token{but}: set MCP_OTEL_BRIDGE_TOKEN to it, or MCP_OTEL_BRIDGE_TOKEN_FILE to its \
                     file, for this command"
                )
            }
            StatusCode::FORBIDDEN if reply.body.starts_with(UNCERTIFIED) => self.uncertified(&url),
            StatusCode::FORBIDDEN => {
                let said: String = reply.body.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
                format!("{url} refuses what this command has shown (403): {said}")
            }
            _ => return None,
        };
        Some(why + &self.out_of_date())
    }

    fn distrusted(&self, url: &str, error: &TlsError) -> String {
        match error {
            TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "the certificate of {url} is for another name ({error}): name the bridge as its certificate does"
            ),
            TlsError::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => format!(
                "the certificate of {url} is not valid now ({error}): give the bridge another, or set the clock"
            ),
            TlsError::InvalidCertificate(_) => {
                let known = match &self.way.access().trust {
                    Trust::File { path, .. } => format!("; {} does not tell of it", path.display()),
                    Trust::Public | Trust::Itself => String::new(),
                };
                format!(
                    "{url} cannot be reached safely ({error}{known}); where its certificate comes from a private authority, \
                     set {CA_FILE_VARIABLE} to the PEM file with the authority's"
                )
            }
            TlsError::AlertReceived(AlertDescription::CertificateRequired) => self.uncertified(url),
            TlsError::AlertReceived(alert) => match self.certificate() {
                Some(path) if of_certificates(*alert) => format!(
                    "{url} does not take the certificate in {} ({error}): {CERTIFICATE_VARIABLE} must name one that is \
                     valid now, of an authority that the bridge knows (its tls.client_ca_file)",
                    path.display()
                ),
                _ => format!("{url} breaks off the handshake ({error})"),
            },
            TlsError::InvalidMessage(_) => {
                format!(
                    "what answers at {url} does not speak TLS ({error}); the URL of a bridge without TLS is http://..."
                )
            }
            _ => format!("{url} cannot be reached safely ({error})"),
        }
    }

    fn uncertified(&self, url: &str) -> String {
        let but = match self.certificate() {
            Some(path) => format!(", and did not get the one in {}", path.display()),
            None => String::new(),
        };
        format!(
            "{url} asks for a certificate of its clients{but}: set {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} to the PEM \
             files of one and of its key, of an authority that the bridge knows (its tls.client_ca_file)"
        )
    }

    fn certificate(&self) -> Option<&Path> {
        self.way.access().certificate.as_ref().map(|files| files.certificate())
    }

    /// Whether the client has shown what the files held once.
    fn out_of_date(&self) -> String {
        self.way.problem().map_or_else(String::new, |problem| format!("; what it shows is out of date, as {problem}"))
    }
}

/// Whether the other side has closed the connection before it has answered.
pub(super) fn is_broken_off(error: &Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kinds = [ConnectionReset, ConnectionAborted, BrokenPipe, UnexpectedEof];
    matches!(error, Error::Io(io) if kinds.contains(&io.kind()))
}

/// Whether the other side says so of a certificate that it was shown.
fn of_certificates(alert: AlertDescription) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRevoked, CertificateUnknown, DecryptError,
        UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRevoked
            | CertificateUnknown
            | DecryptError
            | UnknownCA
            | UnsupportedCertificate
    )
}
