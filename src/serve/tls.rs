//! Certificate and key of the listeners.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::accept::Tls;
use super::error::ServeError;
use crate::config::ListenerTls;

/// An acceptor with this certificate and key.
pub(super) fn acceptor(tls: &ListenerTls) -> Result<Tls, ServeError> {
    let ListenerTls { cert_file, key_file } = tls;
    let fault = |path: &Path, error: String| ServeError::Tls { path: path.to_owned(), error };
    let pem = |path: &Path| std::fs::read(path).map_err(|error| fault(path, format!("cannot be read: {error}")));

    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(cert_file)?).collect();
    let certificates = certificates.map_err(|error| fault(cert_file, format!("is not valid PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(fault(cert_file, "holds no certificate in PEM form".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem(key_file)?)
        .map_err(|error| fault(key_file, format!("holds no private key in PEM form: {error}")))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(cert_file, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| fault(key_file, format!("cannot be used with {}: {error}", cert_file.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls(TlsAcceptor::from(Arc::new(config))))
}
