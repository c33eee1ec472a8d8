//! Relays and endpoints whose TLS does not come about, or proves the wrong thing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notifyctl::model::Outcome;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::acts::Act;
use super::matrix::Case;
use crate::clock::fake::library;
use crate::support::certificate::Certificate;
use crate::support::webhooks::Peer;

/// What a certificate says, and whether it will do.
const CERTIFICATES: [(&str, &str, &str, Outcome); 3] = [
    ("a certificate that is right", "IP:127.0.0.1", "", Outcome::Sent),
    ("a certificate of another host", "DNS:other.example", "", Outcome::Deferred),
    ("a certificate that is over", "IP:127.0.0.1", "@2020-01-01 00:00:00", Outcome::Deferred),
];

/// Every one, with what an attempt at it comes to; certificates are made in `folder`.
pub fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, act) in [
        ("silence", Act::Silence),
        ("close", Act::SayAndClose(Vec::new())),
        ("reset", Act::SayAndReset(Vec::new())),
        ("garbage", Act::Say(b"220 what is this\r\n".repeat(100))),
        ("half a record", Act::SayAndClose(vec![22, 3, 3, 0, 100, 2])),
    ] {
        for (kind, config) in [("relay", relay as fn(u16) -> String), ("endpoint", endpoint)] {
            let act = act.clone();
            let peer = Peer::start(move |stream| {
                if kind == "endpoint" || starttls(&stream).is_ok() {
                    // Its hello is read: closing before would be a reset.
                    let _ = (&stream).read(&mut [0; 4096]);
                    act.perform(&stream);
                }
            });
            let config = config(peer.address.port());
            cases.push(Case::new(
                format!("{kind}: {name} in place of TLS"),
                peer,
                &config,
                Outcome::Deferred,
            ));
        }
    }
    for (number, (name, subject, made_at, outcome)) in CERTIFICATES.into_iter().enumerate() {
        let (certificate, server) = certificate(&folder.join(number.to_string()), subject, made_at);
        let ca = format!("ca_file = \"{}\"\n", certificate.display());
        let tls = Arc::clone(&server);
        let peer = Peer::start(move |stream| drop(serve(stream, &tls)));
        let config = endpoint(peer.address.port());
        cases.push(Case::new(format!("endpoint: {name}"), peer, &(config.clone() + &ca), outcome));
        if outcome == Outcome::Sent {
            let peer = Peer::start(move |stream| drop(serve(stream, &server)));
            let config = endpoint(peer.address.port());
            cases.push(Case::new(
                "endpoint: a certificate of nobody".into(),
                peer,
                &config,
                Outcome::Deferred,
            ));
            continue;
        }
        let peer = Peer::start(move |stream| {
            let _ = starttls(&stream).and_then(|()| serve(stream, &server));
        });
        let config = relay(peer.address.port()) + &ca;
        cases.push(Case::new(format!("relay: {name}"), peer, &config, outcome));
    }
    cases
}

fn relay(port: u16) -> String {
    format!(
        "kind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"required\"\nfrom = \"n@example.org\"\n\
         to = \"ops@example.org\"\ntimeout = \"3s\"\n"
    )
}

fn endpoint(port: u16) -> String {
    format!("kind = \"webhook\"\nurl = \"https://127.0.0.1:{port}/\"\nto = \"ops\"\ntimeout = \"3s\"\n")
}

/// A relay up to where TLS should begin.
fn starttls(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    for said in ["220 relay ESMTP\r\n", "250-relay\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
        stream.write_all(said.as_bytes())?;
        if !said.contains("ahead") {
            reader.read_line(&mut String::new())?;
        }
    }
    Ok(())
}

/// Agrees on TLS, and takes one request.
fn serve(stream: TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    let tls = ServerConnection::new(Arc::clone(config)).expect("a server");
    let mut stream = StreamOwned::new(tls, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut some = [0; 4096];
        match stream.read(&mut some)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&some[..read]),
        }
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    stream.flush()
}

/// A certificate that signs itself, made at the machine's time or at another, and a server that shows it.
fn certificate(at: &Path, subject: &str, made_at: &str) -> (PathBuf, Arc<ServerConfig>) {
    let clock = [("LD_PRELOAD", library().into()), ("FAKETIME", made_at.into())];
    let also = if made_at.is_empty() { &[] } else { &clock[..] };
    let Certificate { certificate, key } = Certificate::make(at, subject, also);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(&certificate).expect("a certificate")];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).expect("a key"))
        .expect("a server");
    (certificate, Arc::new(config))
}
