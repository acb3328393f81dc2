//! `weft peers`: who is in a party, or which peers one's own identity has.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use weft_native_peer::{PeerId, PeerInfo};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::own;
use super::session::{End, Session, Stop};
use super::{NetworkArgs, PartyArg, ReachArgs, parse_seconds};

/// How long to look around without `--watch`, if nothing else is said: a link takes well under a second, a presence to
/// come around a few.
const LOOK: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    /// The party: a name that anybody may guess, a party key (z6Mk…), or an invitation to a private party (weft:z…). Without one,
    /// the peers of one's own identity are shown.
    #[arg(long, value_name = "NAME|KEY|INVITATION", env = "WEFT_PARTY")]
    party: Option<PartyArg>,
    /// The peers of one's own identity, also where a party is named (WEFT_PARTY).
    #[arg(long, conflicts_with = "watch")]
    own: bool,
    /// Those as JSON lines, as others always are.
    #[arg(long)]
    json: bool,
    /// Go on, and print a line whenever somebody comes, changes or goes.
    #[arg(long)]
    watch: bool,
    /// How long to look, in seconds; exit code 4 if no signaler was reached [default: 3, with --watch no end; 30 for one's own].
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(args: PeersArgs) -> Result<Exit, Failure> {
    let Some(party) = args.party.filter(|_| !args.own) else {
        if args.watch {
            return Err(Failure::usage(&"--watch needs a party to watch: --party NAME"));
        }
        return own::list(&args.reach, args.timeout, args.json).await;
    };
    let timeout = args.timeout.or((!args.watch).then_some(LOOK));
    let network = NetworkArgs { reach: args.reach, party };
    let mut session = Session::start(&network, timeout).await?;
    let result = if args.watch { watch(&mut session).await } else { look(&mut session).await };
    session.close().await;
    match result {
        Ok(exit) => Ok(exit),
        Err(end) if args.watch => end.endless(),
        Err(end) => end.unfinished("looking around", "no signaler was reached"),
    }
}

/// Looks for the given time, then prints who is there.
async fn look(session: &mut Session) -> Result<Exit, End> {
    if session.until(std::future::pending::<()>()).await == Err(Stop::Interrupted) {
        return Ok(Exit::Interrupted);
    }
    if !session.has_reached() {
        return Err(Failure::timed_out(&"no signaler was reached").into());
    }
    for peer in session.weft.peers(session.party).await? {
        describe(None, &peer).print()?;
    }
    Ok(Exit::Done)
}

/// Prints every difference.
async fn watch(session: &mut Session) -> Result<Exit, End> {
    let (weft, party, mut changes) = (session.weft.clone(), session.party, session.changes());
    let mut known: BTreeMap<PeerId, PeerInfo> = BTreeMap::new();
    loop {
        let now: BTreeMap<_, _> =
            weft.peers(party).await?.into_iter().map(|peer| (peer.peer, peer)).collect();
        for peer in now.values() {
            match known.get(&peer.peer) {
                None => describe(Some("joined"), peer).print()?,
                Some(before) if !is_same(before, peer) => describe(Some("changed"), peer).print()?,
                Some(_) => {}
            }
        }
        for peer in known.values().filter(|peer| !now.contains_key(&peer.peer)) {
            describe(Some("left"), peer).print()?;
        }
        known = now;
        if session.until(changes.changed()).await?.is_err() {
            return Ok(Exit::Done);
        }
    }
}

/// Figures that only count up are no change worth a line.
fn is_same(a: &PeerInfo, b: &PeerInfo) -> bool {
    PeerInfo { forwarded: 0, ..a.clone() } == PeerInfo { forwarded: 0, ..b.clone() }
}

fn describe(change: Option<&str>, peer: &PeerInfo) -> Line {
    let mut line = Line::new();
    if let Some(change) = change {
        line = line.text("change", &change);
    }
    line = line.text("peer", &peer.peer);
    if let Some(identity) = &peer.identity {
        line = line.text("identity", identity);
    }
    line = line.text("name", &peer.name);
    if let Some(since) = peer.since {
        line = line.number("since", since);
    }
    line = line
        .flag("linked", peer.linked)
        .list("links", &peer.links)
        .list("homes", &peer.homes)
        .number("forwarded", peer.forwarded);
    match &peer.state {
        Some(state) => line.document("state", state),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use weft_query::{Document, Object, Value};

    use super::*;

    #[test]
    fn a_peer_is_described_in_one_json_line() {
        let peer = PeerInfo {
            peer: PeerId([1; 32]),
            identity: None,
            name: "A \"B\"".into(),
            since: Some(5),
            linked: true,
            links: [PeerId([2; 32])].into_iter().collect(),
            homes: [].into_iter().collect(),
            forwarded: 9,
            state: None,
        };
        let read: serde_json::Value =
            serde_json::from_str(&describe(Some("joined"), &peer).finish()).unwrap();
        assert_eq!(read["change"], "joined");
        assert_eq!(read["name"], "A \"B\"");
        assert_eq!(read["links"][0], PeerId([2; 32]).to_string());
        assert_eq!(read["since"], 5);
        assert!(read.get("identity").is_none());
        assert!(is_same(&peer, &PeerInfo { forwarded: 10, ..peer.clone() }));
        assert!(!is_same(&peer, &PeerInfo { linked: false, ..peer.clone() }));
        assert!(read.get("state").is_none());
        let state = Value::Object(Object::from_entries(vec![("x".into(), Value::Int(1))]).unwrap());
        let busy = PeerInfo { state: Some(Document::from_value(&state).unwrap()), ..peer.clone() };
        assert!(!is_same(&peer, &busy));
        let read: serde_json::Value = serde_json::from_str(&describe(None, &busy).finish()).unwrap();
        assert_eq!(read["state"]["x"], 1);
    }
}
