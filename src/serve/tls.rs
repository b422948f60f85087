//! TLS of the listeners: their certificate and key, and the authorities whose certificates clients must show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use super::error::ServeError;
use crate::config::{KeyPair, ListenerTls};

/// What each new connection is accepted with. It says nothing of itself.
#[derive(Clone)]
pub(super) struct Tls {
    files: Arc<ListenerTls>,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// TLS with what the files hold now.
    pub(super) fn load(files: &ListenerTls) -> Result<Self, ServeError> {
        let current = Arc::new(ArcSwap::new(server_config(files)?));
        Ok(Self { files: Arc::new(files.clone()), current })
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Whether clients must show a certificate.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.files.client_ca_file.is_some()
    }

    /// The files that it is made of.
    pub(super) fn files(files: &ListenerTls) -> Vec<PathBuf> {
        let ListenerTls { identity: KeyPair { cert_file, key_file }, client_ca_file } = files;
        [Some(cert_file), Some(key_file), client_ca_file.as_ref()].into_iter().flatten().cloned().collect()
    }

    /// Takes what the files hold now for all connections to come, sessions to be resumed included. Where that cannot be
    /// used, everything stays as it was.
    pub(super) fn read_again(&self) -> Result<(), ServeError> {
        self.current.store(server_config(&self.files)?);
        Ok(())
    }
}

fn server_config(tls: &ListenerTls) -> Result<Arc<ServerConfig>, ServeError> {
    let ListenerTls { identity: KeyPair { cert_file, key_file }, client_ca_file } = tls;
    let certificates = certificates(cert_file)?;
    let key = PrivateKeyDer::from_pem_slice(&pem(key_file)?)
        .map_err(|error| fault(key_file, format!("holds no private key in PEM form: {error}")))?;

    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(cert_file, error.to_string()))?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            // Probes show none; each request tells whether it may do without.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| fault(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| fault(key_file, format!("cannot be used with {}: {error}", cert_file.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<RootCertStore, ServeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| fault(path, format!("holds no certificate of an authority: {error}")))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(path)?).collect();
    let certificates = certificates.map_err(|error| fault(path, format!("is not valid PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(fault(path, "holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

fn pem(path: &Path) -> Result<Vec<u8>, ServeError> {
    std::fs::read(path).map_err(|error| fault(path, format!("cannot be read: {error}")))
}

fn fault(path: &Path, error: String) -> ServeError {
    ServeError::Tls { path: path.to_owned(), error }
}
