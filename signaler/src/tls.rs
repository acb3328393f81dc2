//! Certificates from PEM files, read again when they change.
//!
//! A connection keeps the certificate that it began with; a new one gets the newest that could be read. Files that cannot, or
//! that do not belong together (one is written before the other), change nothing and are tried again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How often the files are looked at.
const LOOKING: Duration = Duration::from_secs(10);

/// The certificate that is shown, and where it comes from.
#[derive(Debug)]
pub(crate) struct Shown {
    cert: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
}

impl Shown {
    /// Reads the files.
    pub(crate) fn read(cert: &Path, key: &Path) -> anyhow::Result<Arc<Self>> {
        let now = RwLock::new(Arc::new(certified(cert, key)?));
        Ok(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), now }))
    }

    /// The server's side.
    pub(crate) fn acceptor(self: Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self);
        // WebSockets need HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files anew. Returns whether there is another certificate now.
    fn renew(&self) -> anyhow::Result<bool> {
        let read = certified(&self.cert, &self.key)?;
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let other = read.cert != now.cert;
        *now = Arc::new(read);
        Ok(other)
    }

    /// When the files were written; None for one that is not there at the moment.
    fn written(&self) -> [Option<std::time::SystemTime>; 2] {
        [&self.cert, &self.key].map(|path| std::fs::metadata(path).and_then(|about| about.modified()).ok())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Renews whenever the files have changed, and when the operator asks for it (SIGHUP).
pub(crate) async fn watch(shown: Arc<Shown>) {
    let mut asked = Asked::listen();
    let mut ticks = tokio::time::interval(LOOKING);
    let mut seen = Some(shown.written());
    loop {
        let by_hand = tokio::select! {
            () = asked.next() => true,
            _ = ticks.tick() => false,
        };
        let written = Some(shown.written());
        if !by_hand && written == seen {
            continue;
        }
        seen = written;
        match shown.renew() {
            Ok(true) => tracing::info!("another certificate is shown from now on"),
            Ok(false) => tracing::info!("the certificate was read again; it is the same"),
            Err(error) => {
                // The other file may follow at once: looked at again with the next tick.
                seen = None;
                tracing::warn!("the certificate stays as it was: {error:#}");
            }
        }
    }
}

/// What the operator asks to read the certificate again with.
#[cfg(unix)]
struct Asked(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Asked {
    fn listen() -> Self {
        let listening = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        Self(listening.inspect_err(|error| tracing::warn!(%error, "SIGHUP is not listened to")).ok())
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Asked;

#[cfg(not(unix))]
impl Asked {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}

fn certified(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain = certificates(cert)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{}: no private key in PEM form (PKCS#8, PKCS#1 or SEC1)", key.display()))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .context("the certificate and the key do not belong together")
}

/// Every certificate in a file.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("{}: not in PEM form", path.display()))?;
    ensure!(!certificates.is_empty(), "{}: no certificate in it", path.display());
    Ok(certificates)
}
