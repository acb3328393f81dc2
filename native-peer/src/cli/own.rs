//! `weft peers` and `weft revoke`, of one's own identity.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use weft_native_peer::{OwnPeer, PeerId, Weft};
use weft_wire::RegistryKey;
use weft_wire::registry::{Kind, RegistrantId};

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::output::{Line, print};
use super::registry::{DecideArgs, RegistryArgs, decide};
use super::{ReachArgs, parse_seconds, session};

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// A peer of one's own identity (z6Mk…), as `weft peers` shows it; or the name of a registrant.
    #[arg(value_name = "PEER|REGISTRANT")]
    whom: String,
    /// It is a registrant, even if its name looks like a peer.
    #[arg(long)]
    registrant: bool,
    /// Of a registrant: only if it is registered with this key.
    #[arg(long, value_name = "KEY")]
    key: Option<RegistryKey>,
    /// Give up waiting for the signalers after so many seconds; what was said counts all the same where it is heard of [default: 30].
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    timeout: Option<Duration>,
}

pub(crate) async fn revoke(args: RevokeArgs) -> Result<Exit, Failure> {
    if let Ok(peer) = args.whom.parse::<PeerId>()
        && !args.registrant
        && args.key.is_none()
    {
        return revoke_peer(&args.reach, args.timeout, peer).await;
    }
    let id = args.whom.parse::<RegistrantId>().map_err(|error| Failure::usage(&error))?;
    let signaler = args.reach.signaler.into_iter().next().unwrap_or_default();
    let registry = RegistryArgs { keys: args.reach.keys, signaler };
    decide(Kind::Revoke, DecideArgs { registry, id, key: args.key }).await
}

async fn revoke_peer(reach: &ReachArgs, timeout: Option<Duration>, peer: PeerId) -> Result<Exit, Failure> {
    reach.keys.existing_store()?;
    let line = Line::new().text("peer", &peer);
    let done = with_peer(reach, timeout, async |weft| weft.revoke(peer).await).await?;
    match done {
        Some(()) => {
            line.text("outcome", &"revoked").print()?;
            Ok(Exit::Done)
        }
        None => Ok(Exit::Interrupted),
    }
}

/// Prints the peers of one's own identity.
pub(super) async fn list(reach: &ReachArgs, timeout: Option<Duration>, json: bool) -> Result<Exit, Failure> {
    reach.keys.existing_store()?;
    let Some(peers) = with_peer(reach, timeout, async |weft| weft.own_peers().await).await? else {
        return Ok(Exit::Interrupted);
    };
    for peer in &peers {
        if json {
            describe(peer).print()?;
        } else {
            print(&in_words(peer, now_ms()))?;
        }
    }
    Ok(Exit::Done)
}

/// Does something as a peer that is in no party; nothing if it was interrupted.
async fn with_peer<T>(
    reach: &ReachArgs,
    timeout: Option<Duration>,
    work: impl AsyncFnOnce(&Weft) -> Result<T, weft_native_peer::Error>,
) -> Result<Option<T>, Failure> {
    let mut interrupt = Interrupt::start();
    let (weft, events) = Weft::connect_with_events(reach.options()).await?;
    session::tell(events);
    let late = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let done = tokio::select! {
        done = work(&weft) => done.map(Some).map_err(Failure::from),
        () = interrupt.asked() => Ok(None),
        () = late => Err(Failure::timed_out(&"no signaler has answered for this identity in time")),
    };
    session::close(&weft).await;
    done
}

fn describe(peer: &OwnPeer) -> Line {
    let line = Line::new().text("peer", &peer.peer).text("name", &peer.name).number("issued", peer.issued);
    line.flag("this", peer.this).flag("connected", peer.connected)
}

fn in_words(peer: &OwnPeer, now: u64) -> String {
    let days = now.saturating_sub(peer.issued) / 86_400_000;
    let when = match (peer.this, peer.connected, days) {
        (true, ..) => "this one".to_owned(),
        (_, true, _) => "here now".to_owned(),
        (.., 0..=7) => "this week or last".to_owned(),
        (.., days) => format!("{days} days ago"),
    };
    let name = if peer.name.is_empty() { String::new() } else { format!("  {}", peer.name) };
    format!("{}  {when}{name}\n", peer.peer)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_of_ones_own_is_one_json_line_or_one_for_people() {
        let peer = OwnPeer {
            peer: PeerId([1; 32]),
            name: "A \"B\"".into(),
            issued: 86_400_000,
            this: false,
            connected: false,
        };
        let read: serde_json::Value = serde_json::from_str(&describe(&peer).finish()).unwrap();
        assert_eq!(read["peer"], PeerId([1; 32]).to_string());
        assert_eq!((&read["name"], &read["issued"]), (&"A \"B\"".into(), &86_400_000.into()));
        assert_eq!((&read["this"], &read["connected"]), (&false.into(), &false.into()));
        let said = in_words(&peer, 86_400_000 * 31);
        assert!(said.ends_with("  30 days ago  A \"B\"\n"), "{said}");
        assert!(in_words(&peer, 0).contains("this week or last"), "also with a clock that is behind");
    }
}
