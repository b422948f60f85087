//! What a client shows to a bridge, and whose certificate it takes for the bridge's: where that stands, and what is there.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, crypto};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts};

/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN";
/// The variable that names the file with the token.
const TOKEN_FILE_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN_FILE";
/// The variable that names the file with the certificates of the authorities that a bridge's own may come from.
pub const CA_FILE_VARIABLE: &str = "MCP_OTEL_BRIDGE_CA_FILE";
/// The variable that names the file with the client's certificate.
pub const CERTIFICATE_VARIABLE: &str = "MCP_OTEL_BRIDGE_CLIENT_CERTIFICATE";
/// The variable that names the file with that certificate's key.
pub const KEY_VARIABLE: &str = "MCP_OTEL_BRIDGE_CLIENT_KEY";
/// The variables that lead to what is the client's alone. Half of a pair would be an error of whoever got it.
pub(crate) const CREDENTIALS: [&str; 4] = [TOKEN_VARIABLE, TOKEN_FILE_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE];

/// What a client shows, and whom it trusts. Files are read again when they change.
#[derive(Clone, Default)]
pub struct Access {
    /// What it may do is known by this.
    pub token: Token,
    /// Whose certificate it takes for the bridge's.
    pub trust: Trust,
    /// The certificate that it shows to a bridge that asks for one.
    pub certificate: Option<CertificateFiles>,
}

/// Where the token is.
#[derive(Clone, Default)]
pub enum Token {
    /// There is none.
    #[default]
    None,
    /// It is this.
    Given(String),
    /// It is the first line of this file that holds something.
    File(PathBuf),
}

/// Whose certificate a bridge may have, where it is reached by https.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// One that comes from a public authority.
    #[default]
    Public,
    /// One that comes from one of those in a PEM file, or is one of them.
    File {
        /// What names the file, for messages.
        named_by: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Any. For a listener of this very process or machine, whose certificate is made for another name: nothing secret of
    /// others is sent there.
    Itself,
}

/// PEM files with a certificate, followed by those between it and its authority, and with its key.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl Access {
    /// As the environment says.
    ///
    /// # Errors
    ///
    /// A sentence that says which variable is missing or wrong, and what would be right.
    pub fn from_environment() -> Result<Self, String> {
        Ok(Self {
            token: Token::from_environment()?,
            trust: Trust::from_environment(),
            certificate: CertificateFiles::from_environment()?,
        })
    }

    /// What it is made of.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let token = if let Token::File(path) = &self.token { Some(path) } else { None };
        let trust = if let Trust::File { path, .. } = &self.trust { Some(path) } else { None };
        let pair = self.certificate.iter().flat_map(|files| [&files.certificate, &files.key]);
        token.into_iter().chain(trust).chain(pair).cloned().collect()
    }

    /// Reads what is there now.
    pub(super) fn read(&self) -> Result<Credentials, String> {
        Ok(Credentials {
            token: self.token.read()?,
            trusted: self.trust.read()?,
            certificate: self.certificate.as_ref().map(CertificateFiles::read).transpose()?,
        })
    }
}

/// What an [`Access`] leads to.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) token: Option<String>,
    pub(super) trusted: Trusted,
    pub(super) certificate: Option<ClientCert>,
}

/// What a [`Trust`] leads to.
#[derive(Clone, Default)]
pub(super) enum Trusted {
    #[default]
    Public,
    These(RootCerts),
    Any,
}

impl Token {
    fn from_environment() -> Result<Self, String> {
        if let Some(token) = set(TOKEN_VARIABLE) {
            let token = token.into_string().map_err(|_| format!("{TOKEN_VARIABLE}: the token is not UTF-8"))?;
            return Ok(usable(TOKEN_VARIABLE, &token)?.map_or(Self::None, Self::Given));
        }
        Ok(file(TOKEN_FILE_VARIABLE).map_or(Self::None, Self::File))
    }

    fn read(&self) -> Result<Option<String>, String> {
        match self {
            Self::None => Ok(None),
            Self::Given(token) => Ok(Some(token.clone())),
            Self::File(path) => {
                let tokens = std::fs::read_to_string(path).map_err(|error| unread(TOKEN_FILE_VARIABLE, path, error))?;
                // The bridge may know several, a line each; any of them will do.
                let token = tokens.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                usable(TOKEN_FILE_VARIABLE, token)
            }
        }
    }
}

impl Trust {
    /// The authorities of the file that `MCP_OTEL_BRIDGE_CA_FILE` names, else the public ones.
    pub fn from_environment() -> Self {
        file(CA_FILE_VARIABLE).map_or(Self::Public, |path| Self::File { named_by: CA_FILE_VARIABLE, path })
    }

    fn read(&self) -> Result<Trusted, String> {
        let (named_by, path) = match self {
            Self::Public => return Ok(Trusted::Public),
            Self::Itself => return Ok(Trusted::Any),
            Self::File { named_by, path } => (*named_by, path),
        };
        let pem = Pem::read(named_by, path)?;
        let roots = pem.certificates("those of the authorities")?;
        // Those that cannot be used are passed over where the handshake is made, too.
        let usable = RootCertStore::empty().add_parsable_certificates(roots.iter().map(der)).0;
        if usable == 0 {
            return Err(pem.wrong("holds no certificate that can be used"));
        }
        Ok(Trusted::These(RootCerts::new_with_certs(&roots)))
    }
}

impl CertificateFiles {
    /// The files that `MCP_OTEL_BRIDGE_CLIENT_CERTIFICATE` and `MCP_OTEL_BRIDGE_CLIENT_KEY` name.
    ///
    /// # Errors
    ///
    /// A sentence that says which of them is missing.
    pub fn from_environment() -> Result<Option<Self>, String> {
        let missing = |set: &str, unset: &str, what: &str| {
            Err(format!("{set} is set and {unset} is not; it must name the PEM file of the certificate{what}"))
        };
        match (file(CERTIFICATE_VARIABLE), file(KEY_VARIABLE)) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => missing(CERTIFICATE_VARIABLE, KEY_VARIABLE, "'s key"),
            (None, Some(_)) => missing(KEY_VARIABLE, CERTIFICATE_VARIABLE, ""),
        }
    }

    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    fn read(&self) -> Result<ClientCert, String> {
        let chain = Pem::read(CERTIFICATE_VARIABLE, &self.certificate)?.certificates("the one to show")?;
        let (key, der) = Pem::read(KEY_VARIABLE, &self.key)?.key()?;
        let certificates = chain.iter().map(|certificate| self::der(certificate).into_owned()).collect();
        // The client takes it for granted, and would panic at the first request.
        match CertifiedKey::from_der(certificates, der, &crypto::ring::default_provider()) {
            Ok(_) => Ok(ClientCert::new_with_certs(&chain, key)),
            Err(error) => Err(format!(
                "{KEY_VARIABLE}: the key in {} cannot be used with the certificate in {}: {error}",
                self.key.display(),
                self.certificate.display()
            )),
        }
    }
}

/// A PEM file.
struct Pem<'a> {
    named_by: &'static str,
    path: &'a Path,
    text: Vec<u8>,
}

impl<'a> Pem<'a> {
    fn read(named_by: &'static str, path: &'a Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| unread(named_by, path, error))?;
        Ok(Self { named_by, path, text })
    }

    fn certificates(&self, which: &str) -> Result<Vec<Certificate<'static>>, String> {
        let items = ureq::tls::parse_pem(&self.text).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(self.wrong(&format!("is no PEM file: {error}")))),
        });
        let certificates = items.collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(self.wrong(&format!("holds no certificate; it must hold {which}, as PEM")));
        }
        Ok(certificates)
    }

    /// The first private key, in the form that the client takes, and in that in which it will use it.
    fn key(&self) -> Result<(PrivateKey<'static>, PrivateKeyDer<'static>), String> {
        let of_client = PrivateKey::from_pem(&self.text).ok();
        of_client.zip(PrivateKeyDer::from_pem_slice(&self.text).ok()).ok_or_else(|| {
            self.wrong("holds no private key; it must hold the certificate's, as PEM without a password")
        })
    }

    fn wrong(&self, problem: &str) -> String {
        format!("{}: {} {problem}", self.named_by, self.path.display())
    }
}

fn der<'a>(certificate: &'a Certificate<'_>) -> CertificateDer<'a> {
    CertificateDer::from(certificate.der())
}

fn unread(named_by: &str, path: &Path, error: impl Display) -> String {
    format!("{named_by}: cannot read {}: {error}", path.display())
}

/// The token without the white space around it, which copying brings along.
fn usable(variable: &str, token: &str) -> Result<Option<String>, String> {
    let token = token.trim();
    // A header can carry more than this, but not every server reads it alike.
    match token.chars().position(|c| !c.is_ascii_graphic()) {
        Some(at) => Err(format!(
            "{variable}: the token has a character that no header can carry, its number {}; it must be of visible ASCII \
             characters",
            at + 1
        )),
        None => Ok(Some(token.to_owned()).filter(|token| !token.is_empty())),
    }
}

/// The variable's value. An empty one counts as unset.
fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

fn file(variable: &str) -> Option<PathBuf> {
    set(variable).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_loses_the_space_around_it_and_must_fit_a_header() {
        assert_eq!(usable("V", " abc\n"), Ok(Some("abc".to_owned())));
        assert_eq!(usable("V", " \n"), Ok(None));
        for wrong in ["a\nb", "a b", "a\u{e4}"] {
            let problem = usable("V", wrong).unwrap_err();
            assert!(problem.starts_with("V: ") && problem.contains("number 2"), "{problem}");
        }
    }
}
