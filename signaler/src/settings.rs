//! What the operator wants: command line over environment over file over defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use serde::Deserialize;
use weft_signaler_core::registry::RegistryConfig;
use weft_signaler_core::{Config, SiblingConfig, TurnConfig};
use weft_wire::{RegistryKey, SignalerId, limits};

use crate::acme::Acme;
use crate::dial::check_url;
use crate::enlist::Enlist;
use crate::probe::Probe;

/// The port that peers try if none is named.
pub const DEFAULT_PORT: u16 = 8190;

/// Introduces browsers (and other peers) to each other and forwards what it cannot read.
#[derive(Clone, Default, Parser)]
#[command(
    name = "weft-signaler",
    version,
    about,
    max_term_width = 100,
    after_help = "Each setting may be in the environment, too, or in the file, where it has the same name. The command line is stronger \
                  than the environment, which is stronger than the file."
)]
pub struct Args {
    /// Where to listen: ADDRESS:PORT, ADDRESS or PORT [default: every address, port 8190]
    #[arg(long, env = "WEFT_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// The port, where --listen names none
    #[arg(long, env = "MESH_PORT", hide = true)]
    port: Option<u16>,
    /// The database file [default: ./mesh.db]
    #[arg(long, env = "MESH_DB_PATH", value_name = "FILE")]
    data: Option<PathBuf>,
    /// A signaler to federate with: URL, ID@URL, or ID alone if it calls us. May be repeated
    #[arg(long, env = "WEFT_SIBLING", value_delimiter = ',', value_name = "[ID@]URL")]
    sibling: Vec<String>,
    /// A configuration file (TOML); it may set everything, see docs/guides/federation.md
    #[arg(long, env = "WEFT_CONFIG", value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Federate with any signaler that asks. For development only
    #[arg(long, env = "WEFT_OPEN", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    open: Option<bool>,
    /// Where others reach this signaler, if that is not where it listens
    #[arg(long, env = "WEFT_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// A TURN or STUN server that peers may use, as in turn:HOST:3478?transport=udp. May be repeated
    #[arg(long, env = "WEFT_TURN", value_delimiter = ',', value_name = "URL")]
    turn: Vec<String>,
    /// The secret that the TURN servers share with this signaler (coturn's static-auth-secret)
    #[arg(long, env = "WEFT_TURN_SECRET", value_name = "SECRET", hide_env_values = true)]
    turn_secret: Option<String>,
    /// A first sovereign: the key that takes others into the registry (weft id shows yours). May be repeated
    #[arg(long, env = "WEFT_SOVEREIGN", value_delimiter = ',', value_name = "KEY")]
    sovereign: Vec<String>,
    /// The name of the federation [default: weft]
    #[arg(long, env = "WEFT_NETWORK", value_name = "NAME")]
    network: Option<String>,
    /// Register with this signaler, tell it that this one is alive, and federate with it
    #[arg(long, env = "WEFT_REGISTER_WITH", value_name = "URL")]
    register_with: Option<String>,
    /// The name to register by [default: this signaler's id]
    #[arg(long, env = "WEFT_NODE_ID", value_name = "NAME")]
    node_id: Option<String>,
    /// Which addresses the services of approved nodes may have to be probed
    #[arg(long, env = "WEFT_PROBE", value_enum)]
    probe: Option<Probe>,
    /// Certificate chain (PEM) for https and wss; read again when it changes, and on SIGHUP
    #[arg(long, env = "WEFT_TLS_CERT", value_name = "FILE.pem")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, env = "WEFT_TLS_KEY", value_name = "FILE.pem")]
    tls_key: Option<PathBuf>,
    /// A name to get a certificate for from an ACME authority, proved on port 443. May be repeated
    #[arg(long, env = "WEFT_ACME", value_delimiter = ',', value_name = "DOMAIN")]
    acme: Vec<String>,
    /// Whom that authority may write to. May be repeated
    #[arg(long, env = "WEFT_ACME_CONTACT", value_delimiter = ',', value_name = "MAIL")]
    acme_contact: Vec<String>,
    /// That authority's directory [default: Let's Encrypt's]
    #[arg(long, env = "WEFT_ACME_DIRECTORY", value_name = "URL")]
    acme_directory: Option<String>,
    /// Where its account and certificate are kept [default: acme, beside the database]
    #[arg(long, env = "WEFT_ACME_CACHE", value_name = "DIR")]
    acme_cache: Option<PathBuf>,
    /// More certificates (PEM) to check that authority's against, for a private one
    #[arg(long, env = "WEFT_ACME_CA", value_name = "FILE.pem")]
    acme_ca: Option<PathBuf>,
    /// More certificates (PEM) to check siblings' against, for a private authority
    #[arg(long, env = "WEFT_SIBLING_CA", value_name = "FILE.pem")]
    sibling_ca: Option<PathBuf>,
    /// Threads for connections [default: 1, which serves thousands]
    #[arg(long, env = "WEFT_THREADS", value_name = "N")]
    threads: Option<usize>,
    /// Form of the log on standard error
    #[arg(long, env = "WEFT_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// Print this signaler's id and stop
    #[arg(long)]
    pub print_id: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// The file. Whatever the command line has is here by the same name, with `_` or `-`; `[registry]` and `[turn]` may hold what belongs
/// to them, and more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    port: Option<u16>,
    data: Option<PathBuf>,
    sibling: Vec<FileSibling>,
    open: bool,
    #[serde(alias = "public-url")]
    public_url: Option<String>,
    turn: Option<FileTurn>,
    #[serde(alias = "turn-secret")]
    turn_secret: Option<Secret>,
    sovereign: Vec<String>,
    network: Option<String>,
    #[serde(alias = "register-with")]
    register_with: Option<String>,
    #[serde(alias = "node-id")]
    node_id: Option<String>,
    probe: Option<Probe>,
    #[serde(alias = "tls-cert")]
    tls_cert: Option<PathBuf>,
    #[serde(alias = "tls-key")]
    tls_key: Option<PathBuf>,
    acme: Vec<String>,
    #[serde(alias = "acme-contact")]
    acme_contact: Vec<String>,
    #[serde(alias = "acme-directory")]
    acme_directory: Option<String>,
    #[serde(alias = "acme-cache")]
    acme_cache: Option<PathBuf>,
    #[serde(alias = "acme-ca")]
    acme_ca: Option<PathBuf>,
    #[serde(alias = "sibling-ca")]
    sibling_ca: Option<PathBuf>,
    threads: Option<usize>,
    #[serde(alias = "log-format")]
    log_format: Option<LogFormat>,
    max_connections_per_ip: Option<u32>,
    registry: FileRegistry,
    limits: Config,
}

/// The registry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileRegistry {
    network: Option<String>,
    sovereigns: Vec<String>,
    register_with: Option<String>,
    node_id: Option<String>,
    probe: Option<Probe>,
    probe_every_s: Option<u64>,
    posts_per_minute: Option<u32>,
    limits: RegistryConfig,
}

/// A sibling: as on the command line, or its parts by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a sibling is a URL, ID@URL or an ID, or has an id, a url, or both")]
enum FileSibling {
    Text(String),
    Parts(FileSiblingParts),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileSiblingParts {
    id: Option<String>,
    url: Option<String>,
}

/// TURN servers: their URLs, or what else belongs to them, too.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "turn is a list of URLs, or has urls, secret and life_s")]
enum FileTurn {
    Urls(Vec<String>),
    Parts(FileTurnParts),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileTurnParts {
    urls: Vec<String>,
    secret: Option<Secret>,
    life_s: Option<u32>,
}

/// A text that no log shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl FileSibling {
    fn text(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => match (&parts.id, &parts.url) {
                (Some(id), Some(url)) => format!("{id}@{url}"),
                (Some(one), None) | (None, Some(one)) => one.clone(),
                (None, None) => bail!("a [[sibling]] needs an id, a url, or both"),
            },
        })
    }
}

impl From<FileTurn> for FileTurnParts {
    fn from(turn: FileTurn) -> Self {
        match turn {
            FileTurn::Urls(urls) => Self { urls, ..Self::default() },
            FileTurn::Parts(parts) => parts,
        }
    }
}

impl File {
    /// Takes what `[registry]` and the outside have in common; both may not say it.
    fn unite(&mut self) -> anyhow::Result<()> {
        let registry = &mut self.registry;
        either(&mut registry.network, self.network.take(), "network")?;
        either(&mut registry.register_with, self.register_with.take(), "register_with")?;
        either(&mut registry.node_id, self.node_id.take(), "node_id")?;
        either(&mut registry.probe, self.probe.take(), "probe")?;
        registry.sovereigns.append(&mut self.sovereign);
        Ok(())
    }
}

fn either<T>(inside: &mut Option<T>, outside: Option<T>, name: &str) -> anyhow::Result<()> {
    ensure!(
        inside.is_none() || outside.is_none(),
        "{name} is in the file and in its [registry]: once is enough"
    );
    if outside.is_some() {
        *inside = outside;
    }
    Ok(())
}

/// Everything that [`crate::Server::start`] needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. None: every address, both families, on `port`.
    pub listen: Option<SocketAddr>,
    /// The port if `listen` is None.
    pub port: u16,
    /// The database file.
    pub data: PathBuf,
    /// Certificate chain and key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// From whom to get a certificate instead.
    pub acme: Option<Acme>,
    /// More certificates to check siblings' against.
    pub sibling_ca: Option<PathBuf>,
    /// Threads for connections.
    pub threads: usize,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Connections per IP address (per /64 of IPv6); 0: no limit, as behind a proxy that hides addresses.
    pub max_connections_per_ip: u32,
    /// Which services of registrants are probed.
    pub probe: Probe,
    /// How often.
    pub probe_every: Duration,
    /// Statements to the registry per minute and address, and a tenth of what is read; 0: no limit.
    pub posts_per_minute: u32,
    /// With whom to register.
    pub enlist: Option<Enlist>,
    /// The core's configuration.
    pub core: Config,
}

impl Settings {
    /// The defaults, with a database of one's own and a port that the system chooses; for tests and benchmarks.
    pub fn ephemeral(data: impl Into<PathBuf>) -> Self {
        Self {
            listen: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)),
            port: 0,
            data: data.into(),
            tls: None,
            acme: None,
            sibling_ca: None,
            threads: 1,
            log_format: LogFormat::Text,
            max_connections_per_ip: 0,
            probe: Probe::Off,
            probe_every: PROBING,
            posts_per_minute: 0,
            enlist: None,
            core: Config::default(),
        }
    }

    /// Adds a sibling, written as on the command line.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn add_sibling(&mut self, text: &str) -> anyhow::Result<()> {
        self.core.siblings.push(parse_sibling(text)?);
        Ok(())
    }
}

impl Args {
    /// The command line and the environment. What is empty in the environment is not set: files for containers leave values
    /// out so. Ends the program with a message if there is something wrong, or only help was asked for.
    pub fn read() -> Self {
        let command = Self::command().mut_args(without_empty);
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

fn without_empty(arg: clap::Arg) -> clap::Arg {
    let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if empty { arg.env(Resettable::Reset) } else { arg }
}

impl TryFrom<Args> for Settings {
    type Error = anyhow::Error;

    fn try_from(mut args: Args) -> anyhow::Result<Self> {
        // A comma too many names nothing.
        for list in
            [&mut args.sibling, &mut args.turn, &mut args.sovereign, &mut args.acme, &mut args.acme_contact]
        {
            list.retain(|one| !one.trim().is_empty());
        }
        let mut file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        file.unite()?;
        let (listen, port) = match (&args.listen, &file.listen) {
            (Some(listen), _) => parse_listen(listen, args.port.or(file.port).unwrap_or(DEFAULT_PORT))?,
            (None, Some(listen)) => {
                let (listen, port) = parse_listen(listen, file.port.unwrap_or(DEFAULT_PORT))?;
                let port = args.port.unwrap_or(port);
                (listen.map(|listen| SocketAddr::new(listen.ip(), port)), port)
            }
            (None, None) => (None, args.port.or(file.port).unwrap_or(DEFAULT_PORT)),
        };
        let mut core = file.limits;
        for sibling in &file.sibling {
            core.siblings.push(parse_sibling(&sibling.text()?)?);
        }
        for sibling in &args.sibling {
            core.siblings.push(parse_sibling(sibling)?);
        }
        core.open = args.open.unwrap_or(file.open);
        core.public_url = args.public_url.or(file.public_url);
        if let Some(url) = &core.public_url {
            ensure!(url.len() <= limits::URL, "--public-url is longer than {} bytes", limits::URL);
            check_url(url).context("--public-url")?;
        }
        let turn = file.turn.map(FileTurnParts::from).unwrap_or_default();
        let urls = if args.turn.is_empty() { turn.urls } else { args.turn };
        let secret = args.turn_secret.or(file.turn_secret.or(turn.secret).map(|secret| secret.0));
        core.turn = turn_servers(urls, secret, turn.life_s)?;
        let registry = file.registry;
        core.registry = registry.limits;
        let mut keys = registry.sovereigns;
        keys.extend(args.sovereign);
        core.registry.sovereigns =
            keys.iter().map(|key| parse_sovereign(key)).collect::<anyhow::Result<_>>()?;
        if let Some(network) = args.network.or(registry.network) {
            core.registry.network =
                network.parse().map_err(|error| anyhow::anyhow!("--network {network:?}: {error}"))?;
        }
        check(&core)?;
        let data = args.data.or(file.data).unwrap_or_else(|| "./mesh.db".into());
        let acme = acme(
            if args.acme.is_empty() { file.acme } else { args.acme },
            if args.acme_contact.is_empty() { file.acme_contact } else { args.acme_contact },
            args.acme_directory.or(file.acme_directory),
            args.acme_cache.or(file.acme_cache),
            args.acme_ca.or(file.acme_ca),
            &data,
        )?;
        if let Some(url) =
            acme.as_ref().filter(|_| core.public_url.is_none()).and_then(|acme| by_name(acme, port))
        {
            core.public_url = Some(url);
        }
        let node_id = args.node_id.or(registry.node_id);
        let with = args.register_with.or(registry.register_with);
        ensure!(
            node_id.is_none() || with.is_some(),
            "--node-id is a name to register by: say with whom, --register-with URL"
        );
        let enlist = with.map(|url| enlist(&url, node_id, listen, &mut core)).transpose()?;
        let tls = match (args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => bail!("--tls-cert and --tls-key (tls_cert and tls_key in the file) go together"),
        };
        ensure!(
            tls.is_none() || acme.is_none(),
            "--acme and --tls-cert: a certificate comes from an authority or from a file, not from both"
        );
        Ok(Self {
            listen,
            port,
            data,
            tls,
            acme,
            sibling_ca: args.sibling_ca.or(file.sibling_ca),
            threads: threads(args.threads.or(file.threads).unwrap_or(1))?,
            log_format: args.log_format.or(file.log_format).unwrap_or_default(),
            max_connections_per_ip: file.max_connections_per_ip.unwrap_or(0),
            probe: args.probe.or(registry.probe).unwrap_or_default(),
            probe_every: registry.probe_every_s.map_or(PROBING, |s| Duration::from_secs(s.max(1))),
            posts_per_minute: registry.posts_per_minute.unwrap_or(POSTS_PER_MINUTE),
            enlist,
            core,
        })
    }
}

/// From whom a certificate is got, if a name is to be certified.
fn acme(
    domains: Vec<String>,
    contact: Vec<String>,
    directory: Option<String>,
    cache: Option<PathBuf>,
    ca: Option<PathBuf>,
    data: &Path,
) -> anyhow::Result<Option<Acme>> {
    if domains.is_empty() {
        ensure!(
            contact.is_empty() && directory.is_none() && cache.is_none() && ca.is_none(),
            "an ACME authority is asked for names only: --acme DOMAIN"
        );
        return Ok(None);
    }
    let cache = cache.unwrap_or_else(|| data.with_file_name("acme"));
    Acme::new(domains, contact, directory, cache, ca).map(Some)
}

/// Where a signaler with a certified name is reached, unless the operator says otherwise or the system chooses the port.
fn by_name(acme: &Acme, port: u16) -> Option<String> {
    let name = acme.domains.first()?;
    match port {
        0 => None,
        443 => Some(format!("wss://{name}")),
        port => Some(format!("wss://{name}:{port}")),
    }
}

/// How often services are probed unless the file says otherwise.
const PROBING: Duration = Duration::from_secs(60);
/// Statements per minute and address unless the file says otherwise: a household of registrants, not a flood.
const POSTS_PER_MINUTE: u32 = 120;

fn parse_sovereign(text: &str) -> anyhow::Result<RegistryKey> {
    text.parse().with_context(|| format!("--sovereign {text:?}: a key as `weft id` shows it, z6Mk…"))
}

/// With whom to register, and where we are. Whoever is registered with is a sibling, too.
fn enlist(
    url: &str,
    id: Option<String>,
    listen: Option<SocketAddr>,
    core: &mut Config,
) -> anyhow::Result<Enlist> {
    let url = url.trim_end_matches('/');
    let sibling = match url.split_once("://") {
        Some(("http" | "ws", rest)) => format!("ws://{rest}"),
        Some(("https" | "wss", rest)) => format!("wss://{rest}"),
        _ => bail!(
            "--register-with {url:?}: the URL of a signaler looks like http://host:8190 or https://host"
        ),
    };
    let parsed = check_url(&sibling).context("--register-with")?;
    ensure!(
        matches!(parsed.path(), "" | "/") && parsed.query().is_none(),
        "--register-with {url:?}: a signaler is reached without a path, as in http://host:8190"
    );
    if !core.siblings.iter().any(|known| known.url.as_deref() == Some(&sibling)) {
        core.siblings.push(SiblingConfig { id: None, url: Some(sibling.clone()), pinned: None });
    }
    let public = core.public_url.as_deref().map(check_url).transpose()?;
    let (host, port) = match (public, listen.filter(|listen| !listen.ip().is_unspecified())) {
        (Some(public), _) => {
            let default = if public.scheme_str() == Some("wss") { 443 } else { 80 };
            let host = public.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            (host, public.port_u16().unwrap_or(default))
        }
        (None, Some(listen)) => (listen.ip().to_string(), listen.port()),
        (None, None) => {
            bail!("--register-with needs to know where this signaler can be reached: --public-url URL")
        }
    };
    Ok(Enlist {
        url: sibling.replacen("ws", "http", 1),
        id: id
            .map(|id| id.parse().map_err(|error| anyhow::anyhow!("--node-id {id:?}: {error}")))
            .transpose()?,
        host: host.parse().map_err(|error| anyhow::anyhow!("--public-url: {error}"))?,
        port,
    })
}

/// Credentials of TURN servers are good for so long unless the file says otherwise: two hours, for a link that was made
/// with them renews its allocation with them.
const TURN_LIFE_S: u32 = 2 * 3600;

fn turn_servers(
    urls: Vec<String>,
    secret: Option<String>,
    life_s: Option<u32>,
) -> anyhow::Result<Option<TurnConfig>> {
    if urls.is_empty() {
        return Ok(None);
    }
    ensure!(urls.len() <= limits::ICE_URLS, "at most {} TURN and STUN servers", limits::ICE_URLS);
    for url in &urls {
        let known = ["turn:", "turns:", "stun:", "stuns:"].iter().any(|scheme| url.starts_with(scheme));
        ensure!(
            known && url.len() <= limits::URL,
            "--turn {url:?}: a TURN server is written as in turn:turn.example:3478?transport=udp"
        );
    }
    let secret = secret.filter(|secret| !secret.is_empty());
    let secret = secret.context("TURN servers need a secret: --turn-secret, or WEFT_TURN_SECRET")?;
    let life_s = life_s.unwrap_or(TURN_LIFE_S);
    ensure!(life_s >= 60, "turn.life_s: at least 60");
    Ok(Some(TurnConfig { urls, secret, life_s }))
}

/// More than any machine has to spare for this.
const MOST_THREADS: usize = 256;

fn threads(wanted: usize) -> anyhow::Result<usize> {
    ensure!(
        (1..=MOST_THREADS).contains(&wanted),
        "--threads: from 1 to {MOST_THREADS}; one is enough for most"
    );
    Ok(wanted)
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// Address and port, either of which may be left out.
fn parse_listen(text: &str, port: u16) -> anyhow::Result<(Option<SocketAddr>, u16)> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok((Some(addr), addr.port()));
    }
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Ok((None, port));
    }
    let bare = text.trim_matches(['[', ']']);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok((Some(SocketAddr::new(ip, port)), port));
    }
    if let Some(rest) = text.strip_prefix("localhost") {
        let port = rest.strip_prefix(':').map_or(Ok(port), str::parse).context("--listen localhost:PORT")?;
        return Ok((Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)), port));
    }
    bail!("--listen {text:?}: give an IP address and a port, as in 127.0.0.1:8190 or [::]:8190")
}

fn parse_sibling(text: &str) -> anyhow::Result<SiblingConfig> {
    if let Ok(id) = text.parse::<SignalerId>() {
        return Ok(SiblingConfig { id: Some(id), url: None, pinned: None });
    }
    let (id, url) = match text.split_once('@') {
        Some((id, url)) if !id.contains("//") => {
            let id = id.parse::<SignalerId>().with_context(|| {
                format!("--sibling {text:?}: {id:?} is no signaler's id (see weft-signaler --print-id)")
            })?;
            (Some(id), url)
        }
        _ => (None, text),
    };
    check_url(url).with_context(|| format!("--sibling {text:?}"))?;
    Ok(SiblingConfig { id, url: Some(url.to_owned()), pinned: None })
}

/// Constants that contradict each other.
fn check(core: &Config) -> anyhow::Result<()> {
    ensure!(core.ttl_ms >= 1000, "limits.ttl_ms: at least 1000, or entries expire before they are refreshed");
    ensure!(core.keepalive_ms > 0, "limits.keepalive_ms: at least 1");
    ensure!(core.dead_ms > core.keepalive_ms, "limits.dead_ms must be more than limits.keepalive_ms");
    ensure!(core.probe_ms >= 2, "limits.probe_ms: at least 2");
    ensure!(core.suspect_ms > 0, "limits.suspect_ms: at least 1");
    ensure!(
        core.forget_ms > core.suspect_ms,
        "limits.forget_ms must be more than limits.suspect_ms, or the dead come back by hearsay"
    );
    ensure!(core.redial_min_ms > 0, "limits.redial_min_ms: at least 1");
    ensure!(
        core.redial_max_ms >= core.redial_min_ms,
        "limits.redial_max_ms must not be less than limits.redial_min_ms"
    );
    ensure!(
        core.frames_per_second > 0 && core.frames_burst > 0,
        "limits.frames_per_second and limits.frames_burst: at least 1, or no peer could say anything"
    );
    ensure!(
        core.handshakes_per_second > 0 && core.handshakes_burst > 0,
        "limits.handshakes_per_second and limits.handshakes_burst: at least 1, or no peer could connect"
    );
    ensure!(
        core.bytes_burst as usize >= limits::FRAME,
        "limits.bytes_burst: at least {}, the largest frame",
        limits::FRAME
    );
    let registry = &core.registry;
    ensure!(
        registry.freshness_ms > 0 && registry.heartbeat_ms > 0 && registry.offline_ms > 0,
        "registry.limits: freshness_ms, heartbeat_ms and offline_ms: at least 1"
    );
    ensure!(core.max_connections > 0, "limits.max_connections: at least 1");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(args: &[&str]) -> anyhow::Result<Settings> {
        Args::try_parse_from(std::iter::once("weft-signaler").chain(args.iter().copied()))?.try_into()
    }

    #[test]
    fn addresses_may_leave_out_either_half() {
        let listen =
            |text: &str| parse_listen(text, 8190).map(|(addr, port)| (addr.map(|a| a.to_string()), port));
        assert_eq!(listen("127.0.0.1:1").unwrap(), (Some("127.0.0.1:1".into()), 1));
        assert_eq!(listen("127.0.0.1").unwrap(), (Some("127.0.0.1:8190".into()), 8190));
        assert_eq!(listen("9000").unwrap(), (None, 9000));
        assert_eq!(listen("[::1]").unwrap(), (Some("[::1]:8190".into()), 8190));
        assert_eq!(listen("::1").unwrap(), (Some("[::1]:8190".into()), 8190));
        assert_eq!(listen(":9000").unwrap(), (None, 9000));
        assert!(listen("nowhere").unwrap_err().to_string().contains("127.0.0.1:8190"));
    }

    #[test]
    fn siblings_are_named_by_url_key_or_both() {
        let id = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let named =
            settings(&["--sibling", "ws://a", "--sibling", id, "--sibling", &format!("{id}@wss://b")])
                .unwrap();
        let seen: Vec<(bool, Option<&str>)> =
            named.core.siblings.iter().map(|one| (one.id.is_some(), one.url.as_deref())).collect();
        assert_eq!(seen, [(false, Some("ws://a")), (true, None), (true, Some("wss://b"))]);
        assert!(
            format!("{:#}", settings(&["--sibling", "b.example"]).unwrap_err()).contains("ws://host:8190")
        );
        assert!(format!("{:#}", settings(&["--sibling", "abc@ws://b"]).unwrap_err()).contains("--print-id"));
    }

    /// The example that operators begin with.
    const EXAMPLE: &str = include_str!("../deploy/weft-signaler.toml");

    fn in_file(text: &str) -> anyhow::Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weft.toml");
        std::fs::write(&path, text).unwrap();
        settings(&["--config", path.to_str().unwrap()])
    }

    #[test]
    fn every_setting_of_the_command_line_is_in_the_environment_in_the_file_and_in_the_example() {
        use clap::CommandFactory as _;
        let command = Args::command();
        let names: Vec<_> = command
            .get_arguments()
            .filter_map(|one| Some((one.get_long()?, one.get_env())))
            .filter(|(name, _)| !["help", "version", "print-id"].contains(name))
            .collect();
        assert!(names.len() > 15, "{names:?}");
        for (name, env) in names {
            assert!(env.is_some(), "{name} has no variable");
            if name == "config" {
                continue;
            }
            let key = name.replace('-', "_");
            assert!(EXAMPLE.contains(&format!("#{key} = ")), "{key} is not in the example");
            // Of a wrong type for each of them: what is complained about is the value, so the key is known.
            for key in [name, &key] {
                let error = format!("{:#}", in_file(&format!("{key} = 1979-05-27\n")).unwrap_err());
                assert!(!error.contains("unknown field") && error.contains("line 1"), "{key}: {error}");
            }
        }
    }

    #[test]
    fn the_example_is_read_as_it_is_and_with_everything_in_it() {
        assert!(in_file(EXAMPLE).unwrap().core.siblings.is_empty());
        // A certificate comes from files or from an authority: each with everything else.
        let without = |prefix: &str| -> String {
            let line = |line: &'static str| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with([' ', '#']) && !rest.starts_with(prefix) => rest,
                _ => line,
            };
            EXAMPLE.lines().map(line).flat_map(|line| [line, "\n"]).collect()
        };
        let error = format!("{:#}", in_file(&without("nothing")).unwrap_err());
        assert!(error.contains("not from both"), "{error}");
        let certified = in_file(&without("tls_")).unwrap();
        let acme = certified.acme.unwrap();
        assert_eq!((acme.domains.len(), acme.contact.len()), (2, 1));
        assert!(acme.cache.ends_with("acme") && acme.ca.is_some() && certified.tls.is_none());
        let read = in_file(&without("acme")).unwrap();
        assert_eq!(read.core.siblings.len(), 3, "{:?}", read.core.siblings);
        assert_eq!(read.core.registry.sovereigns.len(), 1);
        assert_eq!(read.enlist.unwrap().port, 443);
        assert!(read.tls.is_some() && read.core.turn.is_some());
        assert_eq!((read.max_connections_per_ip, read.posts_per_minute), (200, 120));
        // The example names the defaults: limits are as if it had named none.
        let named = RegistryConfig { sovereigns: Vec::new(), ..read.core.registry.clone() };
        assert_eq!(format!("{named:?}"), format!("{:?}", RegistryConfig::default()));
        let named = Config {
            siblings: Vec::new(),
            turn: None,
            public_url: None,
            registry: RegistryConfig::default(),
            ..read.core.clone()
        };
        assert_eq!(format!("{named:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn every_limit_is_in_the_example_with_its_default_and_explained() {
        let explained = include_str!("../../docs/guides/limits.md");
        for table in ["limits", "registry.limits"] {
            // The error about a key that there is not names those that there are.
            let error = format!("{:#}", in_file(&format!("[{table}]\nnone_such = 1\n")).unwrap_err());
            let (_, known) = error.split_once("expected one of").unwrap();
            let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            assert!(names.len() >= 10, "{names:?}");
            for name in names {
                // Where a signaler is and whom it admits are no limits.
                if !["public_url", "open", "sovereigns", "network"].contains(&name) {
                    assert!(EXAMPLE.contains(&format!("\n#{name} = ")), "{name} is not in the example");
                    assert!(explained.contains(&format!("`{name}`")), "{name} is not explained");
                }
            }
        }
    }

    #[test]
    fn what_is_said_twice_or_by_halves_is_an_error() {
        for (text, expected) in [
            ("network = \"a\"\n[registry]\nnetwork = \"b\"\n", "once is enough"),
            ("node_id = \"a\"\n", "--register-with"),
            ("tls_key = \"a.pem\"\n", "--tls-cert"),
            ("acme_contact = [\"me@a.example\"]\n", "--acme DOMAIN"),
            ("acme = [\"localhost:443\"]\n", "a host name"),
            ("turn = [\"turn:a\"]\n", "--turn-secret"),
            ("sibling = [{ uri = \"ws://a\" }]\n", "line 1"),
            ("listen = \"127.0.0.1:1\"\nlisten_on = 5\n", "line 2"),
        ] {
            let error = format!("{:#}", in_file(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let read =
            in_file("sibling = [\"ws://a\", { url = \"ws://b\" }]\nsovereign = []\nopen = true\n").unwrap();
        assert_eq!((read.core.siblings.len(), read.core.open), (2, true));
        let closed = settings(&["--open=false"]).unwrap();
        assert!(!closed.core.open && settings(&["--open"]).unwrap().core.open);
    }

    #[test]
    fn a_wrong_key_in_the_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weft.toml");
        std::fs::write(&path, "[limits]\nttl_msec = 5\n").unwrap();
        let error = format!("{:#}", settings(&["--config", path.to_str().unwrap()]).unwrap_err());
        assert!(error.contains("ttl_msec"), "{error}");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:7\"\n[limits]\nttl_ms = 5000\n[[sibling]]\nurl = \"ws://a\"\n",
        )
        .unwrap();
        let read = settings(&["--config", path.to_str().unwrap()]).unwrap();
        assert_eq!((read.core.ttl_ms, read.core.siblings.len(), read.port), (5000, 1, 7));
    }
}
