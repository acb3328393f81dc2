//! `weft register`, `approve`, `deny`, `reset`, `revoke`, `heartbeat`, `sovereign`, `nodes`: statements to the registry of a
//! federation, signed with the identity of the key directory.
//!
//! What is decided about is what the registration says, as its owner signed it, not what the signaler makes of it.

use std::io::IsTerminal as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use serde_json::Value;
use weft_crypto::IdentityKey;
use weft_crypto::registry::{Signer, check, digest};
use weft_native_peer::http::Client;
use weft_wire::registry::json::write;
use weft_wire::registry::{
    Address, Decision, Heartbeat, Host, Kind, NetworkName, RegistrantId, Registration, Service, ServiceType,
    SovereignChange, Statement,
};
use weft_wire::{Digest, List, Nonce, RegistryKey, SignalerId, Signature, Text, limits};

use super::KeyArgs;
use super::exit::{Exit, Failure};

/// Which registry, and as whom.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// The signaler whose registry it is.
    #[arg(long, value_name = "URL", env = "WEFT_SIGNALER", default_value = "http://localhost:8190")]
    pub(super) signaler: String,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// The name to register by.
    id: RegistrantId,
    /// Where it can be reached: a name or an address.
    #[arg(long)]
    host: Host,
    /// The address behind the name.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Address>,
    /// What it offers: TYPE:PORT, or TYPE:PORT:KEY where the service has a key of its own; may be repeated.
    #[arg(long = "service", value_name = "TYPE:PORT[:KEY]", value_parser = parse_service)]
    services: Vec<(ServiceType, u16, Option<RegistryKey>)>,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    /// About whom.
    pub(super) id: RegistrantId,
    /// Only if it is registered with this key: the one that its operator has told you.
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<RegistryKey>,
}

#[derive(Debug, Args)]
pub(crate) struct HeartbeatArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Who is alive.
    id: RegistrantId,
    /// The address that it has now.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Address>,
    /// Go on, as often as the signaler asks for, until interrupted.
    #[arg(long)]
    every: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// One of them, with its registration.
    id: Option<RegistrantId>,
    /// Those that stand so: pending, active, offline, denied or revoked.
    #[arg(long, conflicts_with = "id")]
    status: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SovereignArgs {
    #[command(subcommand)]
    change: Change,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Make a key a sovereign.
    Add {
        #[command(flatten)]
        registry: RegistryArgs,
        /// The key, as `weft id` shows it.
        key: RegistryKey,
        /// For people.
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Take that away from a key.
    Revoke {
        #[command(flatten)]
        registry: RegistryArgs,
        /// The key.
        key: RegistryKey,
    },
    /// Put a new key in the place of one's own, or of another.
    Rotate {
        #[command(flatten)]
        registry: RegistryArgs,
        /// The new key.
        new: RegistryKey,
        /// The key that goes, if not one's own.
        #[arg(long, value_name = "KEY")]
        old: Option<RegistryKey>,
    },
}

pub(crate) async fn register(args: RegisterArgs) -> Result<Exit, Failure> {
    let registry = Registry::open(&args.registry).await?;
    let services = args.services.into_iter();
    let services =
        services.map(|(kind, port, key)| Service { kind, port, key: key.unwrap_or(registry.key()) });
    let Some(services) = List::new(services.collect()) else {
        return Err(Failure::usage(&format!("at most {} services", limits::SERVICES)));
    };
    // After a reset a new registration takes the place of the old one.
    let after = match registry.node(&args.id).await? {
        Some(node) if node["status"] == "pending" && !node["decided_at"].is_null() => {
            Some(text(&node, "head")?)
        }
        _ => None,
    };
    let body = Registration {
        network: registry.network.clone(),
        signaler: registry.signaler,
        id: args.id,
        key: registry.key(),
        host: args.host,
        address: args.ip,
        services,
        after,
        time: now_ms(),
        nonce: nonce()?,
    };
    registry.say("/register", &Statement::Register(body)).await
}

pub(crate) async fn decide(kind: Kind, args: DecideArgs) -> Result<Exit, Failure> {
    let registry = Registry::open_to_decide(&args.registry).await?;
    let Some(node) = registry.node(&args.id).await? else {
        return Err(Failure::error(&format!("nobody is registered as {}", args.id)));
    };
    let registration = registration(&node, &args.id)?;
    let head: Digest = text(&node, "head")?;
    let statement = Statement::Register(registration.clone());
    if kind == Kind::Approve && node["decided_at"].is_null() && head != digest(&statement) {
        return Err(Failure::error(&"the signaler asks for an approval of something else than it shows"));
    }
    eprintln!("{}: key {}, at {}", args.id, registration.key, &*registration.host);
    for service in registration.services.iter() {
        eprintln!("  {} on port {}, key {}", &*service.kind, service.port, service.key);
    }
    if let Some(key) = args.key.filter(|key| *key != registration.key) {
        return Err(Failure::error(&format!("{} is not registered with {key}: nothing was sent", args.id)));
    }
    if kind == Kind::Approve && args.key.is_none() && !confirmed(&args.id)? {
        return Err(Failure::error(&"nothing was sent"));
    }
    let body = Decision {
        network: registry.network.clone(),
        signaler: registry.signaler,
        id: args.id.clone(),
        key: registration.key,
        after: head,
        sovereign: registry.key(),
        time: registry.later(),
        nonce: nonce()?,
    };
    let (verb, statement) = match kind {
        Kind::Approve => ("approve", Statement::Approve(body)),
        Kind::Deny => ("deny", Statement::Deny(body)),
        Kind::Reset => ("reset", Statement::Reset(body)),
        _ => ("revoke", Statement::Revoke(body)),
    };
    registry.say(&format!("/{verb}/{}", args.id), &statement).await
}

/// Asks whoever sits at a terminal. A script has compared already, or says the key with --key.
fn confirmed(id: &RegistrantId) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("Is this what its operator has told you? Approve {id}? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| Failure::error(&error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

pub(crate) async fn heartbeat(args: HeartbeatArgs) -> Result<Exit, Failure> {
    let registry = Registry::open(&args.registry).await?;
    loop {
        let body = Heartbeat {
            network: registry.network.clone(),
            signaler: registry.signaler,
            id: args.id.clone(),
            key: registry.key(),
            address: args.ip.clone(),
            time: now_ms(),
            nonce: nonce()?,
        };
        let said = registry.say("/heartbeat", &Statement::Heartbeat(body)).await;
        if !args.every {
            return said;
        }
        // One that is lost is made good by the next.
        if let Err(failure) = said {
            eprintln!("weft: {}", failure.text().unwrap_or_default());
        }
        tokio::select! {
            () = tokio::time::sleep(registry.every) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

pub(crate) async fn sovereign(args: SovereignArgs) -> Result<Exit, Failure> {
    let (path, args, key, replacement, description) = match args.change {
        Change::Add { registry, key, description } => ("add", registry, Some(key), None, description),
        Change::Revoke { registry, key } => ("revoke", registry, Some(key), None, String::new()),
        Change::Rotate { registry, new, old } => ("rotate", registry, old, Some(new), String::new()),
    };
    let registry = Registry::open_to_decide(&args).await?;
    let description = match description.as_str() {
        "" => None,
        text => Some(Text::new(text).ok_or_else(|| {
            Failure::usage(&format!("a description has at most {} bytes", limits::DESCRIPTION))
        })?),
    };
    let body = SovereignChange {
        network: registry.network.clone(),
        signaler: registry.signaler,
        key: key.unwrap_or(registry.key()),
        replacement,
        description,
        sovereign: registry.key(),
        time: registry.later(),
        nonce: nonce()?,
    };
    let statement = match path {
        "add" => Statement::AddSovereign(body),
        "revoke" => Statement::RevokeSovereign(body),
        _ => Statement::RotateSovereign(body),
    };
    registry.say(&format!("/sovereign/{path}"), &statement).await
}

pub(crate) async fn nodes(args: NodesArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.registry.signaler).map_err(|error| Failure::usage(&error))?;
    let status = args.status.map(|status| format!("&status={status}")).unwrap_or_default();
    let mut path = match &args.id {
        Some(id) => format!("/nodes/{id}"),
        None => format!("/nodes?limit=500{status}"),
    };
    loop {
        let answer = answered(client.ask(Method::GET, &path, None).await)?;
        let list = if args.id.is_some() {
            vec![answer.clone()]
        } else {
            answer["nodes"].as_array().cloned().unwrap_or_default()
        };
        for node in list {
            super::output::print(&format!("{node}\n"))?;
        }
        let Some(next) = answer["next"].as_str() else { return Ok(Exit::Done) };
        path = format!("/nodes?limit=500{status}&after={next}");
    }
}

/// A signaler's registry, and who speaks to it.
struct Registry {
    client: Client,
    identity: IdentityKey,
    signaler: SignalerId,
    network: NetworkName,
    /// When sovereigns changed last; what one says has to be later.
    changed_at: u64,
    /// How often heartbeats are wanted.
    every: Duration,
}

impl Registry {
    async fn open(args: &RegistryArgs) -> Result<Self, Failure> {
        let identity = args.keys.store()?.identity().map_err(|error| Failure::error(&error))?;
        let client = Client::new(&args.signaler).map_err(|error| Failure::usage(&error))?;
        let info = answered(client.ask(Method::GET, "/info", None).await)?;
        let every = info["limits"]["registry_heartbeat_ms"].as_u64().unwrap_or(120_000).max(1_000);
        Ok(Self {
            client,
            identity,
            signaler: text(&info, "id")?,
            network: text(&info["registry"], "network")?,
            changed_at: info["registry"]["sovereigns_changed_at"].as_u64().unwrap_or(0),
            every: Duration::from_millis(every),
        })
    }

    /// As [`Self::open`], with a key that is there: a new one would be nobody's sovereign.
    async fn open_to_decide(args: &RegistryArgs) -> Result<Self, Failure> {
        args.keys.existing_store()?;
        Self::open(args).await
    }

    fn key(&self) -> RegistryKey {
        self.identity.id().into()
    }

    /// Now, and after whatever made us a sovereign.
    fn later(&self) -> u64 {
        now_ms().max(self.changed_at.saturating_add(1))
    }

    /// What is known of one.
    async fn node(&self, id: &RegistrantId) -> Result<Option<Value>, Failure> {
        match self.client.ask(Method::GET, &format!("/nodes/{id}"), None).await {
            Ok((StatusCode::NOT_FOUND, _)) => Ok(None),
            answer => answered(answer).map(Some),
        }
    }

    /// Signs, sends, and prints the answer.
    async fn say(&self, path: &str, statement: &Statement) -> Result<Exit, Failure> {
        let signature = Signer::Identity(&self.identity).sign(statement);
        let answer = self.client.ask(Method::POST, path, Some(write(statement, &signature))).await;
        super::output::print(&format!("{}\n", answered(answer)?))?;
        Ok(Exit::Done)
    }
}

/// The registration that is shown, if its owner signed it.
fn registration(node: &Value, id: &RegistrantId) -> Result<Registration, Failure> {
    let wrong =
        || Failure::error(&"what the signaler shows was not signed by the one it names: nothing was sent");
    let signature: Signature = text(&node["registration"], "signature")?;
    let body = node["registration"]["body"].as_str().and_then(from_hex).ok_or_else(wrong)?;
    let Ok(statement) = Statement::read(Kind::Register, &body) else { return Err(wrong()) };
    if check(&statement, &signature).is_err() {
        return Err(wrong());
    }
    match statement {
        Statement::Register(body) if body.id == *id => Ok(body),
        _ => Err(wrong()),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * limits::REGISTRY_BODY {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(pair).collect()
}

/// An answer that is none but an error is a failure.
fn answered(answer: anyhow::Result<(StatusCode, Value)>) -> Result<Value, Failure> {
    let (status, answer) = answer.map_err(|error| Failure::error(&format!("{error:#}")))?;
    if status.is_success() {
        return Ok(answer);
    }
    let error = &answer["error"];
    let (code, message) = (error["code"].as_str(), error["message"].as_str());
    Err(Failure::error(&format!(
        "{}: {} ({})",
        code.unwrap_or("refused"),
        message.unwrap_or("the signaler does not say why"),
        status.as_u16()
    )))
}

fn text<T: std::str::FromStr>(json: &Value, name: &str) -> Result<T, Failure> {
    let read = json[name].as_str().and_then(|text| text.parse().ok());
    read.ok_or_else(|| {
        Failure::error(&format!(
            "the signaler's answer has no {name}: is it a Weft signaler of this version?"
        ))
    })
}

fn parse_service(text: &str) -> Result<(ServiceType, u16, Option<RegistryKey>), String> {
    let wrong = || "a service is written as in ledger:8080, or ledger:8080:z6Mk…".to_owned();
    let mut parts = text.splitn(3, ':');
    let (kind, port) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(wrong)?);
    let key = parts.next().map(|key| key.parse().map_err(|error: weft_wire::IdError| error.to_string()));
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    Ok((kind.parse().map_err(|_| wrong())?, port, key.transpose()?))
}

fn nonce() -> Result<Nonce, Failure> {
    let mut nonce = Nonce([0; 32]);
    getrandom::fill(&mut nonce.0).map_err(|error| Failure::error(&error))?;
    Ok(nonce)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_a_type_a_port_and_perhaps_a_key() {
        let key = IdentityKey::new(&weft_crypto::Seed::new([1; 32])).id();
        assert_eq!(parse_service("ledger:8080"), Ok(("ledger".parse().unwrap(), 8080, None)));
        assert_eq!(parse_service(&format!("t4:1:{key}")), Ok(("t4".parse().unwrap(), 1, Some(key.into()))));
        for wrong in ["", "ledger", "ledger:", "ledger:0", "ledger:65536", ":80", "a b:80", "ledger:80:key"] {
            assert!(parse_service(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_registration_that_its_owner_did_not_sign_is_not_decided_about() {
        let key = IdentityKey::new(&weft_crypto::Seed::new([1; 32]));
        let statement = Statement::Register(Registration {
            network: NetworkName::default(),
            signaler: SignalerId([1; 32]),
            id: "a".parse().unwrap(),
            key: key.id().into(),
            host: "localhost".parse().unwrap(),
            address: None,
            services: List::default(),
            after: None,
            time: 1,
            nonce: Nonce([2; 32]),
        });
        let hex = |body: &[u8]| body.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let mut body = statement.body();
        let signature = Signer::Identity(&key).sign(&statement).to_string();
        let shown = |body: &[u8]| json!({ "registration": { "body": hex(body), "signature": signature } });
        assert!(registration(&shown(&body), &"a".parse().unwrap()).is_ok());
        assert!(registration(&shown(&body), &"b".parse().unwrap()).is_err());
        let last = body.len() - 1;
        body[last] ^= 1;
        assert!(registration(&shown(&body), &"a".parse().unwrap()).is_err());
        assert!(registration(&json!({}), &"a".parse().unwrap()).is_err());
    }
}
