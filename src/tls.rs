//! Whom a TLS connection trusts. Built when the first connection needs it: reading the system's certificates
//! takes milliseconds that a pass with nothing to send need not spend.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// What TLS connections of one channel have in common.
pub struct Trust {
    /// Trusted beside the system's.
    extra: Vec<CertificateDer<'static>>,
    verifying: OnceLock<Result<TlsConnector, String>>,
    anybody: OnceLock<Result<TlsConnector, String>>,
}

impl Trust {
    /// Reads the private authority's certificates, if there is one.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let extra = match ca_file {
            Some(path) => certificates(path).map_err(|why| format!("{}: {why}", path.display()))?,
            None => Vec::new(),
        };
        Ok(Self { extra, verifying: OnceLock::new(), anybody: OnceLock::new() })
    }

    /// For an other side that proves who it is.
    ///
    /// # Errors
    /// When this host trusts nobody.
    pub fn verifying(&self) -> Result<&TlsConnector, String> {
        self.verifying.get_or_init(|| self.build_verifying()).as_ref().map_err(Clone::clone)
    }

    /// For an other side that proves nothing: protects from those who only listen (RFC 7435).
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn anybody(&self) -> Result<&TlsConnector, String> {
        self.anybody.get_or_init(build_anybody).as_ref().map_err(Clone::clone)
    }

    fn build_verifying(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if roots.is_empty() {
            return Err(
                "this host has no trusted certificates; install ca-certificates or set ca_file".into()
            );
        }
        trusting(roots)
    }
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
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?.collect();
    let found = found.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found.iter().cloned()) {
        (0, _) => Err("holds no certificate (PEM)".into()),
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
    fn a_ca_file_without_a_certificate_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let why = |path: &Path| Trust::new(Some(path)).err().unwrap();
        assert!(why(&file).contains("ca.pem"));
        std::fs::write(&file, "not a certificate").unwrap();
        assert!(why(&file).contains("holds no certificate"), "{}", why(&file));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(why(&file).contains("holds no certificate"), "{}", why(&file));
    }
}
