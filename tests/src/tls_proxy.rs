//! A server that speaks TLS and asks for a certificate, and hands on what is said to one that speaks neither.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::http_client::choose_cryptography;

/// A running one; ends when dropped.
pub struct TlsProxy {
    address: SocketAddr,
    folder: TempDir,
    accepting: JoinHandle<()>,
}

impl TlsProxy {
    /// Starts one before `behind`. It is `localhost` by its certificate, and lets in who shows one of its authority.
    pub async fn start(behind: SocketAddr) -> Result<Self> {
        choose_cryptography();
        let folder = tempfile::tempdir()?;
        let config = certificates(folder.path())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who is not let in goes.
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    if let Ok(mut inside) = TcpStream::connect(behind).await {
                        let _ = copy_bidirectional(&mut outside, &mut inside).await;
                    }
                });
            }
        });
        Ok(Self { address, folder, accepting })
    }

    /// On 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where `authority.pem`, `client.pem` and `client.key` are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Makes an authority and certificates of it for `localhost`, and writes `authority.pem`, `client.pem`, `client.key`,
/// `server.pem` and `server.key`. What is given is a server that asks for a certificate.
pub fn certificates(folder: &Path) -> Result<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let issue = |purpose: ExtendedKeyUsagePurpose| -> Result<_> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &authority)?, key))
    };
    let (client, client_key) = issue(ExtendedKeyUsagePurpose::ClientAuth)?;
    std::fs::write(folder.join("authority.pem"), authority.pem())?;
    std::fs::write(folder.join("client.pem"), client.pem())?;
    std::fs::write(folder.join("client.key"), client_key.serialize_pem())?;
    let (server, server_key) = issue(ExtendedKeyUsagePurpose::ServerAuth)?;
    std::fs::write(folder.join("server.pem"), server.pem())?;
    std::fs::write(folder.join("server.key"), server_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().context("no verifier")?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    let mut config = config.with_single_cert(vec![server.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
