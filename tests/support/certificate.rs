//! Certificates that sign themselves, made with openssl.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of a certificate and its key.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one for `subject` (`DNS:localhost`) at `path` with `.pem` and `.key`, in an environment with `also`.
    pub fn make(path: &Path, subject: &str, also: &[(&str, OsString)]) -> Self {
        let [certificate, key] = ["pem", "key"].map(|end| path.with_extension(end));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=peer", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", &format!("subjectAltName={subject}"), "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .envs(also.iter().cloned());
        let made = openssl.output().expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { certificate, key }
    }

    /// Both paths, as a receiver takes them.
    pub fn paths(&self) -> (String, String) {
        (self.certificate.display().to_string(), self.key.display().to_string())
    }
}
