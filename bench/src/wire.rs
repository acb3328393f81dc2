//! What the protocols of the measured servers have in common.

mod floor;
mod matchbox;
mod peerjs;
mod tracker;
pub(crate) mod weft;
mod y_webrtc;

use crate::framing;
use crate::server::Kind;

/// Connections that form one swarm (room, topic).
pub(crate) const SWARM: usize = 8;
/// Bytes of the signal that is relayed.
pub(crate) const PAYLOAD: usize = 256;

/// Which way messages are relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// To one connection.
    Unicast,
    /// To the whole swarm.
    Fanout,
}

/// What a client says to a server on its own account.
#[derive(Default)]
pub(crate) struct Step {
    /// Encoded frames to send.
    pub(crate) send: Vec<Vec<u8>>,
    /// The connection can be used now.
    pub(crate) ready: bool,
}

/// What a frame of the server was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A relayed signal, and whose: see [`slot`].
    Signal(Signal, usize),
    /// Anything that is not a relayed message.
    Other,
    /// The server did not do what it was asked for.
    Refused(String),
}

/// One server's protocol, for all the connections of a run; they are numbered from 0.
pub(crate) trait Wire {
    /// Path and sub-protocol of the upgrade of connection `at`.
    fn request(&self, at: usize) -> (String, Option<&'static str>);
    /// What connection `at` says first.
    fn open(&mut self, at: usize) -> Step;
    /// What connection `at` answers to a frame that arrived before it was ready.
    fn greet(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Step>;
    /// The encoded frame with which `from` sends its signal to `to` (or to the swarm of both).
    fn signal(&self, mode: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8>;
    /// What a frame was. Called for each one, so it must be cheap.
    fn received(&self, payload: &[u8]) -> Received {
        relayed(payload)
    }
    /// The encoded frame with which connection `at` announces itself once more, where the protocol has that.
    fn announce(&mut self, _at: usize) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("this protocol has no announce")
    }
    /// Whether a frame answers such an announce.
    fn is_announced(&self, _payload: &[u8]) -> bool {
        false
    }
}

/// The two signals of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// From the asking connection.
    Offer,
    /// From the other.
    Answer,
}

/// Which pair of its swarm a connection is in, so that members can tell whom a signal is for.
pub(crate) fn slot(at: usize) -> usize {
    at % SWARM / 2
}

/// The letters of the signals, by slot.
const LETTERS: [(Signal, [u8; SWARM / 2]); 2] = [(Signal::Offer, *b"opqr"), (Signal::Answer, *b"abcd")];

impl Signal {
    /// The signal's bytes: one letter repeated, so that it can be told from any byte of it and no protocol has to
    /// escape anything.
    pub(crate) fn payload(self, from: usize) -> [u8; PAYLOAD] {
        let [offers, answers] = LETTERS.map(|(_, letters)| letters);
        let letters = if self == Self::Offer { offers } else { answers };
        [letters.get(slot(from)).copied().unwrap_or_default(); PAYLOAD]
    }

    /// The same as text.
    pub(crate) fn text(self, from: usize) -> String {
        String::from_utf8_lossy(&self.payload(from)).into_owned()
    }
}

/// The protocol of a server.
pub(crate) fn of(kind: Kind) -> Box<dyn Wire> {
    match kind {
        Kind::Weft => Box::new(weft::Weft::default()),
        Kind::Peerjs => Box::new(peerjs::Peerjs),
        Kind::Matchbox => Box::new(matchbox::Matchbox::default()),
        Kind::YWebrtc => Box::new(y_webrtc::YWebrtc),
        Kind::Tracker => Box::new(tracker::Tracker),
        Kind::Floor => Box::new(floor::Floor),
    }
}

/// Reads the signal's letter. In most protocols the signal comes last, with under 40 bytes behind it.
fn relayed(payload: &[u8]) -> Received {
    let near_the_end = payload.len().checked_sub(48).filter(|_| payload.len() >= PAYLOAD);
    near_the_end.map_or(Received::Other, |at| letter(payload, at))
}

/// Reads the letter of a signal of which four bytes are at `at`.
fn letter(payload: &[u8], at: usize) -> Received {
    let Some(&[letter, b, c, d]) = payload.get(at..at + 4) else {
        return Received::Other;
    };
    if [b, c, d] != [letter; 3] {
        return Received::Other;
    }
    LETTERS
        .into_iter()
        .find_map(|(signal, letters)| {
            let slot = letters.iter().position(|known| *known == letter)?;
            Some(Received::Signal(signal, slot))
        })
        .unwrap_or(Received::Other)
}

fn text(payload: &str) -> Vec<u8> {
    framing::frame(framing::TEXT, payload.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_signal_is_told_from_everything_else() {
        for (signal, from) in
            [(Signal::Offer, 0), (Signal::Offer, 7), (Signal::Answer, 2), (Signal::Answer, 13)]
        {
            let publish = format!(r#"{{"type":"publish","data":"{}","clients":8}}"#, signal.text(from));
            assert_eq!(relayed(publish.as_bytes()), Received::Signal(signal, slot(from)));
            assert_eq!(relayed(&signal.payload(from)), Received::Signal(signal, slot(from)));
        }
        assert_eq!(relayed(br#"{"type":"pong"}"#), Received::Other);
        assert_eq!(relayed(&[0; 400]), Received::Other);
    }
}
