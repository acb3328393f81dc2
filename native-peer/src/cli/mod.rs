//! The command line: what can be asked, and how each answer ends.

mod answer;
mod chat;
mod diagnose;
mod exit;
mod export;
mod id;
mod input;
mod interrupt;
mod link;
mod listen;
mod output;
mod own;
mod party;
mod peers;
mod publish;
mod registry;
mod request;
mod seed;
mod send;
mod session;
mod subscribe;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use weft_crypto::membership::InvitationError;
use weft_native_peer::keystore::KeyStore;
use weft_native_peer::{Invitation, KeySource, Network, Options, StunServer};
use weft_wire::PartyKey;
use weft_wire::registry::Kind;

use exit::{Exit, Failure};

/// A peer of the Weft mesh on the command line.
///
/// Documents and messages are JSON, one per line, on standard input and output; everything for people goes to standard
/// error. RUST_LOG=weft=debug (or trace) tells more.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    done (also a command that runs until interrupted, when interrupted)
  1    something failed: a file, a document that was refused, keys that cannot be read
  2    the command line or the query is wrong; nothing was started
  3    the recipient of a message could not be reached
  4    the time given by --timeout ran out first
  5    this place was revoked by its identity
  130  interrupted before it was done";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the identity, its peers and where the keys are, or choose a display name.
    #[command(after_help = "Examples:
  weft id
  weft id --name Ada
  weft id --json | jq -r .identity")]
    Id(id::IdArgs),
    /// Write the identity, its name and its private parties to a file, under a passphrase.
    #[command(after_help = "Examples:
  weft export ada.weft
  weft export --passphrase-file secret - | ssh elsewhere weft import --passphrase-file secret -

Peers are not a part of it: where it is imported the identity has new ones. The passphrase is all
that keeps others out; whoever has both is you.")]
    Export(export::ExportArgs),
    /// Take in what was exported.
    #[command(after_help = "Example:
  weft import --data ./ada ada.weft

A directory that has another identity already is left as it is.")]
    Import(export::ImportArgs),
    /// Be the same identity at another place, too: show a code here, and give it there.
    #[command(after_help = "Examples:
  weft link                                # here: shows a code, and waits
  weft link weft:l…                        # there, with an empty directory of keys

Both places reach each other by signalers of one federation. A page does the same by link() and
takeIdentity(). Whoever has the code in time is you: show it to nobody else. It is good once.")]
    Link(link::LinkArgs),
    /// Publish documents from a file or a pipe: JSON lines, or one JSON array.
    #[command(after_help = "Examples:
  weft publish --party movies films.json
  tail -f events.jsonl | weft publish --party events
  weft publish --party movies --stay films.json     # goes on serving them until Ctrl-C")]
    Publish(publish::PublishArgs),
    /// Serve the documents of files to all who come, until interrupted; after a restart, too, and each once.
    #[command(after_help = "Examples:
  weft seed --party movies films.json
  weft seed --party events /var/log/events.jsonl    # lines that are added are published

What is published is stored beside the keys, so that a restart publishes only what is new.
systemd is told when all is served: native-peer/systemd has a unit.")]
    Seed(seed::SeedArgs),
    /// Print documents that match a query, one JSON line each.
    #[command(after_help = "Examples:
  weft subscribe --party movies '{\"rating\": {\"$gte\": 8}}'
  weft subscribe --party movies --backlog --count 10 | jq .data.title
  weft subscribe --party log '{\"level\": {\"$in\": [\"warn\", \"error\"]}}' | ./alert.sh")]
    Subscribe(subscribe::SubscribeArgs),
    /// Send a message to an identity, end to end encrypted.
    #[command(after_help = "Examples:
  weft send --party movies z6Mk… 'seen Ran yet?'
  weft send --party movies z6Mk… '{\"title\": \"Ran\"}'
  date | weft send --party movies z6Mk… -

Plain text travels as {\"text\": …}.")]
    Send(send::SendArgs),
    /// Print messages that arrive, one JSON line each.
    #[command(after_help = "Example:
  weft listen --party movies | jq -r '.data.text'")]
    Listen(listen::ListenArgs),
    /// Write to people, and read what they write: on a terminal, or as JSON lines for bots.
    #[command(after_help = "Examples:
  weft chat                                # F1 helps
  weft chat --json --stay < commands       # docs/guides/chat.md has a bot of ten lines
  echo '{\"do\":\"say\",\"to\":\"Ada\",\"text\":\"done\"}' | weft chat --json

What was said is kept, sealed, beside the keys. One weft chat at a time has it.")]
    Chat(chat::ChatArgs),
    /// Ask an identity and print its answer.
    #[command(after_help = "Example:
  weft request --party math z6Mk… '{\"a\": 2, \"b\": 3}'

The exit code is 3 if nobody was reached, 4 if the answer took too long, 1 if the other side
answers that it failed.")]
    Request(request::RequestArgs),
    /// Answer requests by a command: each request is on its standard input, its output is the answer.
    #[command(after_help = "Examples:
  weft answer --party math -- jq -c '{sum: (.a + .b)}'
  weft answer --party host -- uptime

The command gets one JSON object and gives one; plain text becomes {\"text\": …}. If it fails,
the last line of its errors is told to whoever asked. WEFT_FROM and WEFT_PEER say who that is.
At most 8 run at once.")]
    Answer(answer::AnswerArgs),
    /// Make a private party, and say who is in it.
    #[command(after_help = "Examples:
  weft party create | jq -r .party                   # its key
  weft party invite --party z6Mk… --role reader --stay
  weft subscribe --party weft:z…                     # whoever was invited
  weft party members --party z6Mk…
  weft party remove --party z6Mk… z6Mk…

Who is invited becomes a member when an admin is online: any command of an admin in the party
lets in whoever was invited. Afterwards the party's key is enough. Documents of a private party
can be read by its members only.")]
    #[command(subcommand)]
    Party(party::PartyCommand),
    /// Show who is in a party, one JSON line each; without one, the peers of one's own identity.
    #[command(after_help = "Examples:
  weft peers --party movies
  weft peers --party movies --watch
  weft peers                               # one's own: which to revoke, see weft revoke
  weft peers --own --json | jq -r .peer")]
    Peers(peers::PeersArgs),
    /// Say why each peer is, or is not, directly connected, and what would help.
    #[command(after_help = "Examples:
  weft diagnose --party movies
  weft diagnose --party movies | jq -r 'select(.path != \"direct\") | .text, .advice'")]
    Diagnose(diagnose::DiagnoseArgs),
    /// Register with the registry of a federation; a sovereign has to approve it.
    #[command(after_help = "Example:
  weft register validator-002 --host validator-b.ts.net --service ledger:8080")]
    Register(registry::RegisterArgs),
    /// Take a registrant in, as a sovereign.
    Approve(registry::DecideArgs),
    /// Refuse a registrant, as a sovereign.
    Deny(registry::DecideArgs),
    /// Let one who was refused or thrown out try again, as a sovereign.
    Reset(registry::DecideArgs),
    /// Say that a peer is one's own identity's no longer: a place that was lost or sold. Or throw a registrant out, as a sovereign.
    #[command(after_help = "Examples:
  weft peers                               # which of them is it?
  weft revoke z6Mk…
  weft revoke validator-002 --data sovereign

A revoked place that runs Weft's own software leaves everything and does not run any more; others
end their links with it, and nothing is left for it. Whoever has taken the identity's seed out of
it can make other peers, and is not kept out by this. It cannot be taken back.")]
    Revoke(own::RevokeArgs),
    /// Tell the registry that a registrant is alive.
    Heartbeat(registry::HeartbeatArgs),
    /// Add, revoke or rotate a sovereign, as a sovereign.
    Sovereign(registry::SovereignArgs),
    /// Show who is registered, one JSON line each.
    Nodes(registry::NodesArgs),
}

/// Where the keys are.
#[derive(Debug, Args)]
struct KeyArgs {
    /// Directory of the keys [default: $XDG_DATA_HOME/weft or ~/.local/share/weft].
    #[arg(long, value_name = "DIR", env = "WEFT_DATA")]
    data: Option<PathBuf>,
    /// None is read or made: this is nobody, for as long as it takes.
    #[arg(skip)]
    ephemeral: bool,
}

/// How to reach a party.
#[derive(Debug, Args)]
struct NetworkArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// The party: a name that anybody may guess, a party key (z6Mk…), or an invitation to a private party (weft:z…).
    #[arg(long, value_name = "NAME|KEY|INVITATION", env = "WEFT_PARTY")]
    party: PartyArg,
}

/// How to reach the mesh.
#[derive(Debug, Args)]
struct ReachArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// A signaler; give several in order of preference (in the variable, separated by commas).
    #[arg(
        long,
        value_name = "URL",
        env = "WEFT_SIGNALER",
        value_delimiter = ',',
        default_value = "ws://localhost:8190"
    )]
    signaler: Vec<String>,
    /// Use no signalers but those: otherwise others of their federation stand in for one that is down, and are remembered
    /// beside the keys.
    #[arg(long, env = "WEFT_NO_DISCOVERY")]
    no_discovery: bool,
    /// Keep nothing but the keys: what the party publishes is forgotten at the end. Otherwise it is kept beside the keys, for
    /// up to 7 days, for those who come later.
    #[arg(long, env = "WEFT_NO_STORE")]
    no_store: bool,
    /// Use only this address of this machine; may be repeated.
    #[arg(long, value_name = "IP", value_parser = parse_listen_address)]
    listen_address: Vec<IpAddr>,
    /// This machine is also reached at this address: a NAT maps its UDP ports one to one; may be repeated.
    #[arg(long, value_name = "IP")]
    candidate_ip: Vec<IpAddr>,
    /// Use UDP ports of this range only, for firewalls.
    #[arg(long, value_name = "FIRST-LAST", value_parser = parse_ports)]
    udp_ports: Option<RangeInclusive<u16>>,
    /// Ask this STUN server (stun:HOST[:PORT]) at which address the outside sees this machine, which helps behind a NAT; may be
    /// repeated. The TURN servers of the signaler are asked too.
    #[arg(long, value_name = "URL", env = "WEFT_STUN", value_delimiter = ',')]
    stun: Vec<StunServer>,
}

impl ReachArgs {
    fn options(&self) -> Options {
        let mut options = Options::new(self.signaler.iter().map(String::as_str)).keys(self.keys.source());
        options.config.discover = !self.no_discovery;
        options.store = !self.no_store;
        options.network = Network {
            listen: self.listen_address.clone(),
            public: self.candidate_ip.clone(),
            ports: self.udp_ports.clone(),
            stun: self.stun.clone(),
        };
        options
    }
}

impl KeyArgs {
    fn source(&self) -> KeySource {
        if self.ephemeral {
            return KeySource::Ephemeral;
        }
        self.data.clone().map_or(KeySource::DefaultDirectory, KeySource::Directory)
    }

    fn store(&self) -> Result<KeyStore, Failure> {
        KeyStore::open(self.directory()?).map_err(|error| Failure::error(&error))
    }

    /// For what a new key would be of no use for.
    fn existing_store(&self) -> Result<KeyStore, Failure> {
        let directory = self.directory()?;
        if !KeyStore::has_identity(&directory) {
            return Err(Failure::error(&format!(
                "there is no identity in {}: name the folder with the keys, --data FOLDER",
                directory.display()
            )));
        }
        self.store()
    }

    fn directory(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(directory) => Ok(directory.clone()),
            None => KeyStore::default_directory().map_err(|error| Failure::usage(&error)),
        }
    }
}

/// A party as it is written.
#[derive(Clone, Debug)]
struct PartyArg {
    party: Named,
    /// As people are told about it: a key is not for their screens.
    shown: String,
}

/// What names a party.
#[derive(Clone, Debug)]
enum Named {
    Name(String),
    /// Of an open or a private one.
    Key(PartyKey),
    Invitation(Invitation),
}

impl FromStr for PartyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a party has a name, or a key that begins with z6Mk".into());
        }
        if text.starts_with("weft:") {
            let invitation = text.parse().map_err(|error: InvitationError| error.to_string())?;
            return Ok(Self { party: Named::Invitation(invitation), shown: "this party".into() });
        }
        match text.parse::<PartyKey>() {
            Ok(key) => Ok(Self { party: Named::Key(key), shown: "this party".into() }),
            // Nobody means a name by that; a mistyped key must not end up in an open party.
            Err(error) if text.starts_with("z6Mk") => Err(error.to_string()),
            Err(_) => Ok(Self { party: Named::Name(text.into()), shown: format!("party {text}") }),
        }
    }
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "a range of UDP ports is written as in 50000-50100".to_string();
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first == 0 || first > last { Err(wrong()) } else { Ok(first..=last) }
}

/// An address that a link can be reached at, here and now.
fn parse_listen_address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "an address is written as in 192.0.2.1 or 2001:db8::1")?;
    if address.is_unspecified() {
        return Err("without this option every address is used".into());
    }
    // Only the addresses of this machine can be bound, but also groups.
    if address.is_multicast() || std::net::UdpSocket::bind((address, 0)).is_err() {
        return Err(format!("{address} is no address of this machine"));
    }
    Ok(address)
}

/// Seconds, with a fraction.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.to_ascii_uppercase() {
        text if text.ends_with('K') => (text[..text.len() - 1].to_owned(), 1 << 10),
        text if text.ends_with('M') => (text[..text.len() - 1].to_owned(), 1 << 20),
        text if text.ends_with('G') => (text[..text.len() - 1].to_owned(), 1 << 30),
        text => (text, 1),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "a size is a number of bytes, as in 64M, 2G or 500000".into())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a time is a number of seconds, as in 30 or 0.5".into())
}

/// Runs the command of this process's arguments.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody to tell is no reason to fail otherwise.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    start_logs();
    let result = match cli.command {
        Command::Id(args) => id::run(&args),
        Command::Export(args) => export::export(&args),
        Command::Import(args) => export::import(&args),
        Command::Link(args) => run(link::run(args)),
        Command::Publish(args) => run(publish::run(args)),
        Command::Subscribe(args) => run(subscribe::run(args)),
        Command::Send(args) => run(send::run(args)),
        Command::Listen(args) => run(listen::run(args)),
        Command::Chat(args) => run(chat::run(args)),
        Command::Request(args) => run(request::run(args)),
        Command::Answer(args) => run(answer::run(args)),
        Command::Seed(args) => run(seed::run(args)),
        Command::Party(party::PartyCommand::Create(args)) => party::create(&args),
        Command::Party(party::PartyCommand::Invite(args)) => run(party::invite(args)),
        Command::Party(party::PartyCommand::Members(args)) => run(party::members(args)),
        Command::Party(party::PartyCommand::Remove(args)) => run(party::remove(args)),
        Command::Peers(args) => run(peers::run(args)),
        Command::Diagnose(args) => run(diagnose::run(args)),
        Command::Register(args) => run(registry::register(args)),
        Command::Approve(args) => run(registry::decide(Kind::Approve, args)),
        Command::Deny(args) => run(registry::decide(Kind::Deny, args)),
        Command::Reset(args) => run(registry::decide(Kind::Reset, args)),
        Command::Revoke(args) => run(own::revoke(args)),
        Command::Heartbeat(args) => run(registry::heartbeat(args)),
        Command::Sovereign(args) => run(registry::sovereign(args)),
        Command::Nodes(args) => run(registry::nodes(args)),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if let Some(text) = failure.text() {
                eprintln!("weft: {text}");
            }
            failure.exit().into()
        }
    }
}

/// Runs a command on a runtime whose workers drive the peer, so that this thread may wait for a slow pipe.
fn run(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::error(&error))?;
    let result = runtime.block_on(command);
    // A thread that still waits for standard input must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Logs go to standard error, if RUST_LOG asks for any. `weft` there stands for all crates of Weft.
fn start_logs() {
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    if asked.is_empty() {
        return;
    }
    let directives: Vec<_> = asked
        .split(',')
        .flat_map(|directive| match directive.strip_prefix("weft=") {
            Some(level) => vec![format!("weft_native_peer={level}"), format!("weft_peer_core={level}")],
            None => vec![directive.to_owned()],
        })
        .collect();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(directives.join(",")))
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["weft"].iter().chain(line))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_party_is_a_name_or_a_key_and_a_mistyped_key_is_refused() {
        let key = weft_native_peer::Party::open("movies").key();
        let by_key: PartyArg = key.to_string().parse().unwrap();
        let by_name: PartyArg = "movies".parse().unwrap();
        assert!(matches!(by_key.party, Named::Key(named) if named == key));
        assert!(matches!(by_name.party, Named::Name(name) if name == "movies"));
        assert_eq!((&by_key.shown[..], &by_name.shown[..]), ("this party", "party movies"));
        let invitation = Invitation::with_secret(key, [7; 16]);
        let invited: PartyArg = invitation.to_string().parse().unwrap();
        assert!(matches!(invited.party, Named::Invitation(read) if read.key() == invitation.key()));
        let mut cut = invitation.to_string();
        cut.pop();
        let error = cut.parse::<PartyArg>().unwrap_err();
        assert_eq!(error, "the invitation is not whole: copy it again");
        assert!("weft:movies".parse::<PartyArg>().is_err());
        let mut mistyped = key.to_string();
        mistyped.pop();
        assert!(mistyped.parse::<PartyArg>().is_err());
        assert!("".parse::<PartyArg>().is_err());
    }

    #[test]
    fn signalers_may_be_repeated_and_have_a_default() {
        let Command::Peers(args) = parse(&["peers", "--party", "p"]).unwrap().command else { unreachable!() };
        assert_eq!(args.reach.signaler, ["ws://localhost:8190"]);
        let line = ["peers", "--party", "p", "--signaler", "ws://a", "--signaler", "ws://b,ws://c"];
        let Command::Peers(args) = parse(&line).unwrap().command else { unreachable!() };
        assert_eq!(args.reach.signaler, ["ws://a", "ws://b", "ws://c"]);
    }

    #[test]
    fn ranges_and_times_are_checked() {
        assert_eq!(parse_ports("5-7"), Ok(5..=7));
        for text in ["", "5", "7-5", "0-5", "5-70000", "a-b"] {
            assert!(parse_ports(text).is_err(), "{text}");
        }
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "-1", "NaN", "1e300", "5s"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_an_address_of_this_machine_can_be_listened_at() {
        assert_eq!(parse_listen_address("127.0.0.1"), Ok(std::net::Ipv4Addr::LOCALHOST.into()));
        for text in ["8.8.8.8", "2001:db8::1", "224.0.0.1"] {
            let error = parse_listen_address(text).unwrap_err();
            assert_eq!(error, format!("{text} is no address of this machine"));
        }
        assert!(parse_listen_address("0.0.0.0").is_err());
        assert!(parse_listen_address("localhost").is_err());
    }

    #[test]
    fn a_command_without_its_party_is_refused() {
        for line in [&["diagnose"][..], &["publish"], &["send", "z6Mk"], &["nonsense"]] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
