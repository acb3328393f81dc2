//! The WebSocket server of bittorrent-tracker: JSON text. An offer goes to whoever else is in the swarm, so pairs are
//! swarms of their own here; an answer goes to a peer.

use super::{Mode, Received, Signal, Step, Wire, letter, text};

/// What a relayed offer and a relayed answer begin with.
const BEGINNINGS: [&[u8]; 2] = [
    br#"{"action":"announce","offer":{"type":"offer","sdp":""#,
    br#"{"action":"announce","answer":{"type":"answer","sdp":""#,
];

/// The clients of a bittorrent-tracker.
pub(super) struct Tracker;

impl Wire for Tracker {
    fn request(&self, _: usize) -> (String, Option<&'static str>) {
        ("/".to_owned(), None)
    }

    fn open(&mut self, at: usize) -> Step {
        let (swarm, peer) = (swarm(at), peer(at));
        let started = format!(
            r#"{{"action":"announce","info_hash":"{swarm}","peer_id":"{peer}","event":"started","uploaded":0,"downloaded":0,"left":1,"offers":[]}}"#
        );
        Step { send: vec![text(&started)], ready: false }
    }

    fn greet(&mut self, _: usize, payload: &[u8]) -> anyhow::Result<Step> {
        let said = String::from_utf8_lossy(payload);
        anyhow::ensure!(said.starts_with(r#"{"complete":"#), "not announced: {said}");
        Ok(Step { ready: true, ..Step::default() })
    }

    fn signal(&self, _: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8> {
        let (swarm, peer, to, sdp) = (swarm(from), peer(from), peer(to), kind.text(from));
        let what = match kind {
            Signal::Offer => format!(
                r#""numwant":1,"offers":[{{"offer_id":"{peer}","offer":{{"type":"offer","sdp":"{sdp}"}}}}]"#
            ),
            Signal::Answer => {
                format!(r#""to_peer_id":"{to}","offer_id":"{to}","answer":{{"type":"answer","sdp":"{sdp}"}}"#)
            }
        };
        text(&format!(r#"{{"action":"announce","info_hash":"{swarm}","peer_id":"{peer}",{what}}}"#))
    }

    fn received(&self, payload: &[u8]) -> Received {
        if payload.starts_with(br#"{"failure"#) {
            return Received::Refused(String::from_utf8_lossy(payload).into_owned());
        }
        let begins = BEGINNINGS.iter().find(|beginning| payload.starts_with(beginning));
        begins.map_or(Received::Other, |beginning| letter(payload, beginning.len()))
    }

    fn announce(&mut self, at: usize) -> anyhow::Result<Vec<u8>> {
        let (swarm, peer) = (swarm(at), peer(at));
        Ok(text(&format!(
            r#"{{"action":"announce","info_hash":"{swarm}","peer_id":"{peer}","uploaded":0,"downloaded":0,"left":1,"offers":[]}}"#
        )))
    }

    fn is_announced(&self, payload: &[u8]) -> bool {
        payload.starts_with(br#"{"complete":"#)
    }
}

/// Twenty bytes, as the hash of a torrent has.
fn swarm(at: usize) -> String {
    format!("swarm{:015}", at / 2)
}

/// Twenty bytes, as a peer's id has.
fn peer(at: usize) -> String {
    format!("peer-{at:015}")
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn relayed_offers_and_answers_are_told_from_answers_to_announces() {
        let offer = format!(
            r#"{{"action":"announce","offer":{{"type":"offer","sdp":"{}"}},"offer_id":"x"}}"#,
            Signal::Offer.text(5)
        );
        assert_eq!(Tracker.received(offer.as_bytes()), Received::Signal(Signal::Offer, slot(5)));
        let told = br#"{"complete":0,"incomplete":2,"action":"announce","interval":120}"#;
        assert_eq!(Tracker.received(told), Received::Other);
        assert!(Tracker.is_announced(told) && !Tracker.is_announced(offer.as_bytes()));
        assert!(matches!(Tracker.received(br#"{"failure reason":"no"}"#), Received::Refused(_)));
    }
}
