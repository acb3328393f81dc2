//! Certificates that an ACME authority gives (RFC 8555), proved by TLS on our own port (RFC 8737), and renewed after two
//! thirds of their life.
//!
//! The library asks, waits and asks again; this adds where its account and certificate are kept, and what the log says.
//! Until there is a certificate TLS handshakes fail; those that the authority makes to prove us do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventOk};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::{dial, tls};

/// The authority unless another one is named.
pub(crate) const LETS_ENCRYPT: &str = rustls_acme::acme::LETS_ENCRYPT_PRODUCTION_DIRECTORY;
/// Names in one certificate: what the largest authority allows.
const NAMES: usize = 100;

/// Which certificate is asked for, and from whom.
#[derive(Clone, Debug)]
pub struct Acme {
    /// The names in it. All of them lead to this signaler's port 443.
    pub domains: Vec<String>,
    /// URLs that the authority writes to, `mailto:…`.
    pub contact: Vec<String>,
    /// The URL of the authority's directory.
    pub directory: String,
    /// Where account and certificate are kept.
    pub cache: PathBuf,
    /// More certificates to check the authority's own against.
    pub ca: Option<PathBuf>,
}

impl Acme {
    /// Checks what the operator said.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn new(
        domains: Vec<String>,
        contact: Vec<String>,
        directory: Option<String>,
        cache: PathBuf,
        ca: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        ensure!(domains.len() <= NAMES, "--acme: at most {NAMES} names in one certificate");
        for domain in &domains {
            ensure!(
                is_name(domain),
                "--acme {domain:?}: a host name as in signaler.example, without scheme, port and *"
            );
        }
        let contact = contact
            .into_iter()
            .map(|one| {
                let address = one.strip_prefix("mailto:").unwrap_or(&one);
                ensure!(
                    address.split_once('@').is_some_and(|(who, host)| !who.is_empty() && is_name(host)),
                    "--acme-contact {one:?}: a mail address"
                );
                Ok(format!("mailto:{address}"))
            })
            .collect::<anyhow::Result<_>>()?;
        let directory = directory.unwrap_or_else(|| LETS_ENCRYPT.to_owned());
        let uri = directory.parse::<http::Uri>().ok();
        ensure!(
            uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some()),
            "--acme-directory {directory:?}: the URL of an ACME directory begins with https://"
        );
        Ok(Self { domains, contact, directory, cache, ca })
    }

    /// Opens the cache; the first question is asked when [`Certified::run`] is polled.
    pub(crate) fn start(&self) -> anyhow::Result<(TlsAcceptor, Certified)> {
        private_folder(&self.cache)?;
        let extra = self.ca.as_deref().map(tls::certificates).transpose()?.unwrap_or_default();
        let client = dial::client_config(&extra).context("--acme-ca")?;
        let state = AcmeConfig::new_with_client_config(&self.domains, client)
            .contact(&self.contact)
            .directory(&self.directory)
            .cache(DirCache::new(self.cache.clone()))
            .state();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(state.resolver());
        // WebSockets need HTTP/1.1; the other is what the authority alone offers.
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"acme-tls/1".to_vec()];
        let certified = Certified { state, cache: self.cache.clone(), domains: self.domains.join(", ") };
        Ok((TlsAcceptor::from(Arc::new(config)), certified))
    }
}

/// What asks the authority, as long as it is polled.
pub(crate) struct Certified {
    state: AcmeState<std::io::Error>,
    cache: PathBuf,
    domains: String,
}

impl Certified {
    /// Has a certificate at all times, if the authority gives one; says in the log what becomes of it.
    pub(crate) async fn run(mut self) {
        let domains = self.domains;
        while let Some(event) = self.state.next().await {
            match event {
                Ok(EventOk::DeployedNewCert) => tracing::info!(%domains, "a new certificate is shown"),
                Ok(EventOk::DeployedCachedCert) => tracing::info!(%domains, "the kept certificate is shown"),
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {
                    if let Err(error) = private_files(&self.cache) {
                        tracing::warn!("{}: {error}", self.cache.display());
                    }
                }
                // It asks again by itself, after 1 s, 2 s, 4 s and so on.
                Err(error) => tracing::warn!(%domains, "no certificate yet, it is asked for again: {error}"),
            }
        }
    }
}

/// A name that can be proved by TLS: no wildcard, no address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(label)
        && text.parse::<std::net::IpAddr>().is_err()
}

/// Makes the folder if there is none. One that others can look into is refused, not changed: who knows whose it is.
fn private_folder(path: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("--acme-cache: cannot make {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let others = std::fs::metadata(path)?.permissions().mode() & 0o077;
        ensure!(
            others == 0,
            "--acme-cache: others may look into {}, where keys are kept: chmod 700 it, or name another folder",
            path.display()
        );
    }
    let probe = path.join(".probe");
    std::fs::write(&probe, [])
        .and_then(|()| std::fs::remove_file(&probe))
        .with_context(|| format!("--acme-cache: cannot write in {}", path.display()))?;
    private_files(path).with_context(|| path.display().to_string())
}

/// Nobody else may read what is kept. Between the library's write and this the folder protects it.
#[cfg(unix)]
fn private_files(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_files(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme(domain: &str, contact: &str, directory: &str) -> anyhow::Result<Acme> {
        let contact = Some(contact).filter(|contact| !contact.is_empty()).map(str::to_owned);
        let directory = Some(directory).filter(|directory| !directory.is_empty()).map(str::to_owned);
        Acme::new(vec![domain.into()], contact.into_iter().collect(), directory, "acme".into(), None)
    }

    #[test]
    fn names_contacts_and_authorities_are_checked() {
        let good = acme("a.example", "me@a.example", "").unwrap();
        assert_eq!(
            (good.contact, good.directory.as_str()),
            (vec!["mailto:me@a.example".into()], LETS_ENCRYPT)
        );
        for (domain, contact, directory, expected) in [
            ("https://a.example", "", "", "without scheme"),
            ("a.example:443", "", "", "without scheme"),
            ("*.a.example", "", "", "without scheme"),
            ("127.0.0.1", "", "", "a host name"),
            ("-a.example", "", "", "a host name"),
            ("a..example", "", "", "a host name"),
            ("a.example", "me", "", "a mail address"),
            ("a.example", "", "http://authority.example/dir", "https://"),
            ("a.example", "", "nowhere", "https://"),
        ] {
            let error = acme(domain, contact, directory).unwrap_err().to_string();
            assert!(error.contains(expected), "{domain} {contact} {directory}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_look_into_is_refused_and_what_is_kept_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&open).unwrap_err().to_string().contains("chmod 700"));
        let own = dir.path().join("new/own");
        private_folder(&own).unwrap();
        std::fs::write(own.join("key"), "secret").unwrap();
        private_files(&own).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(&own.join("key"))), (0o700, 0o600));
    }
}
