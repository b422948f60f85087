//! An authority, and certificates of its making, as PEM files in a directory that goes with it.

#![allow(dead_code, reason = "each test uses what it needs of this")]

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, as PEM.
pub struct Issued {
    pub cert: String,
    pub key: String,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let dir = tempfile::tempdir().unwrap();
        // As others have one: a name of its own.
        params.distinguished_name.push(DnType::CommonName, dir.path().display().to_string());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The same as a file.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for localhost, in files of this name.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_for(&["localhost", "127.0.0.1"], name)
    }

    /// The same for other hosts.
    pub fn issue_for(&self, hosts: &[&str], name: &str) -> Issued {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        self.sign(CertificateParams::new(hosts).unwrap(), name)
    }

    /// One that has expired.
    pub fn issue_expired(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 2, 1));
        self.sign(params, name)
    }

    fn sign(&self, params: CertificateParams, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let (cert, key) = (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem());
        let path = |end: &str| self.dir.path().join(format!("{name}{end}"));
        let issued = Issued { cert, key, cert_file: path(".pem"), key_file: path(".key") };
        std::fs::write(&issued.cert_file, &issued.cert).unwrap();
        std::fs::write(&issued.key_file, &issued.key).unwrap();
        issued
    }
}
