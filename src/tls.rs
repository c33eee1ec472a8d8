//! Whom a TLS connection trusts. Built when the first connection needs it: reading the system's certificates
//! takes milliseconds that a pass with nothing to send need not spend. Built anew when somebody was not trusted: a daemon
//! lives longer than certificates do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// The largest file of certificates that is read, in bytes; those of all public authorities are a quarter of a MiB.
const LIMIT: u64 = 16 << 20;

/// What TLS connections of one channel have in common.
pub struct Trust {
    /// Certificates that are trusted beside the system's.
    ca_file: Option<PathBuf>,
    verifying: Kept,
    anybody: Kept,
}

/// Built once, until it is forgotten.
type Kept = Mutex<Option<TlsConnector>>;

impl Trust {
    /// Looks at the private authority's certificates, if there is one.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        ca_file.map(certificates).transpose()?;
        Ok(Self {
            ca_file: ca_file.map(Path::to_owned),
            verifying: Kept::default(),
            anybody: Kept::default(),
        })
    }

    /// For an other side that proves who it is.
    ///
    /// # Errors
    /// When this host trusts nobody, or the private authority's certificates are gone.
    pub fn verifying(&self) -> Result<TlsConnector, String> {
        kept(&self.verifying, || self.build_verifying())
    }

    /// For an other side that proves nothing: protects from those who only listen (RFC 7435).
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn anybody(&self) -> Result<TlsConnector, String> {
        kept(&self.anybody, build_anybody)
    }

    /// Hears why a connection by [`Trust::verifying`] did not come about. Where somebody was not trusted, the certificates
    /// are read again for the next one: they may have been renewed.
    pub fn failed(&self, error: &io::Error) {
        let error = error.get_ref().and_then(|error| error.downcast_ref());
        if matches!(error, Some(rustls::Error::InvalidCertificate(_))) {
            *lock(&self.verifying) = None;
        }
    }

    fn build_verifying(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca_file {
            roots.add_parsable_certificates(certificates(path)?);
        }
        if roots.is_empty() {
            return Err(
                "this host has no trusted certificates; install ca-certificates or set ca_file".into()
            );
        }
        trusting(roots)
    }
}

/// What `cell` holds, or else is now built for it. A failure is not kept: certificates may be installed meanwhile.
fn kept(cell: &Kept, build: impl FnOnce() -> Result<TlsConnector, String>) -> Result<TlsConnector, String> {
    let mut cell = lock(cell);
    match &*cell {
        Some(built) => Ok(built.clone()),
        None => Ok(cell.insert(build()?).clone()),
    }
}

fn lock(cell: &Kept) -> MutexGuard<'_, Option<TlsConnector>> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trusting(roots: RootCertStore) -> Result<TlsConnector, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bad = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    // A FIFO would be waited for, and a device has no end.
    let about = std::fs::metadata(path).map_err(|error| bad(&error))?;
    if !about.is_file() || about.len() > LIMIT {
        return Err(bad(&format_args!("not a regular file of at most {} MiB", LIMIT >> 20)));
    }
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))?.collect();
    let found = found.map_err(|error| bad(&error))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found.iter().cloned()) {
        (0, _) => Err(bad(&"holds no certificate (PEM)")),
        _ => Ok(found),
    }
}

fn build_anybody() -> Result<TlsConnector, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Takes every certificate; the handshake's signatures are checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_built_is_built_when_it_can_be_and_then_kept() {
        let cell = Kept::default();
        let no = || Err("no certificates yet".to_owned());
        assert_eq!(kept(&cell, no).err(), Some("no certificates yet".to_owned()));
        assert!(kept(&cell, build_anybody).is_ok());
        assert!(kept(&cell, no).is_ok());
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let why = |path: &Path| Trust::new(Some(path)).err().unwrap();
        assert!(why(&file).contains("ca.pem"));
        assert!(why(Path::new("/dev/null")).ends_with("/dev/null: not a regular file of at most 16 MiB"));
        std::fs::File::create(&file).and_then(|file| file.set_len(LIMIT + 1)).unwrap();
        assert!(why(&file).contains("at most 16 MiB"));
        std::fs::write(&file, "not a certificate").unwrap();
        assert!(why(&file).contains("holds no certificate"), "{}", why(&file));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(why(&file).contains("holds no certificate"), "{}", why(&file));
    }
}
