//! How often each peer is listened to: who speaks faster is heard in part, and who passes on far too much is told of.
//!
//! Inputs: presences that have been verified.
//! Outputs: presences whose turn has come.
//! Timers: presences that wait.
//! Invariants: of each peer one presence waits at most, the newest; the last one is always heard.

use std::time::Duration;

use crate::sorted::Map;

use weft_wire::{PeerId, Time};

use crate::pace::Pace;

/// A peer is heard this often, and so many times at once: somewhat faster than anybody speaks
/// ([`Config::presence_soonest`](crate::Config::presence_soonest)), and for links that deliver in bursts.
const EVERY: Duration = Duration::from_millis(200);
const AT_ONCE: u32 = 20;
/// Presences of one peer beyond that which a neighbour may bring at once: what an honest one says in a minute, after
/// which a silent link is dead.
const TOO_SOON: u32 = 400;
/// Peers that are listened to at once; that of others is not heard, and said again by them.
const PEERS: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Hearing {
    peers: Map<PeerId, Speaker>,
    /// What a neighbour brought too soon, of whom.
    hasty: Map<(PeerId, PeerId), Pace>,
}

#[derive(Debug, Default)]
struct Speaker {
    pace: Pace,
    waiting: Option<(Time, Said)>,
}

/// A presence that was said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) peer: PeerId,
    pub(crate) seq: u64,
    /// The neighbour that brought it.
    pub(crate) from: Option<PeerId>,
    pub(crate) hops: u8,
    pub(crate) bytes: Vec<u8>,
}

/// When it is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// Later, unless a newer one comes.
    Later,
    /// Nobody honest brings so many.
    Flood,
}

impl Hearing {
    /// A peer has said something newer than before.
    pub(crate) fn on_said(&mut self, now: Time, said: Said) -> Turn {
        let peer = said.peer;
        if self.peers.len() >= PEERS && !self.peers.contains_key(&peer) {
            return Turn::Later;
        }
        let speaker = self.peers.entry(peer).or_default();
        match speaker.pace.take(now, EVERY, EVERY * AT_ONCE) {
            Ok(()) => {
                speaker.waiting = None;
                Turn::Now
            }
            Err(at) => {
                let from = said.from;
                speaker.waiting = Some((at, said));
                let Some(from) = from else { return Turn::Later };
                let hasty = self.hasty.entry((from, peer)).or_default();
                hasty.take(now, EVERY, EVERY * TOO_SOON).map_or(Turn::Flood, |()| Turn::Later)
            }
        }
    }

    /// The number of what waits of a peer.
    pub(crate) fn newest(&self, peer: &PeerId) -> Option<u64> {
        self.peers.get(peer)?.waiting.as_ref().map(|(_, said)| said.seq)
    }

    /// What has waited long enough.
    pub(crate) fn due(&mut self, now: Time) -> Vec<Said> {
        let mut due = Vec::new();
        for speaker in self.peers.values_mut() {
            if let Some((_, said)) = speaker.waiting.take_if(|(at, _)| *at <= now) {
                // It takes the place that it waited for.
                let _ = speaker.pace.take(now, EVERY, EVERY * AT_ONCE);
                due.push(said);
            }
        }
        due
    }

    /// Forgets those who have been quiet.
    pub(crate) fn on_time(&mut self, now: Time) {
        self.peers.retain(|_, speaker| speaker.waiting.is_some() || !speaker.pace.is_paid(now));
        self.hasty.retain(|_, hasty| !hasty.is_paid(now));
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.peers.values().filter_map(|speaker| speaker.waiting.as_ref()).map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);
    const NOW: Time = Time::from_millis(1_000_000);

    fn said(seq: u64) -> Said {
        Said { peer: PEER, seq, from: Some(PeerId([2; 32])), hops: 0, bytes: Vec::new() }
    }

    #[test]
    fn of_what_comes_too_fast_the_last_is_heard_when_its_turn_comes() {
        let mut hearing = Hearing::default();
        let turns: Vec<Turn> = (0..30).map(|seq| hearing.on_said(NOW, said(seq))).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Now).count(), 20);
        assert_eq!(turns[20..], [Turn::Later; 10]);
        assert_eq!(hearing.newest(&PEER), Some(29));
        assert!(hearing.due(NOW).is_empty());
        let at = hearing.deadline().unwrap();
        assert_eq!(at, NOW + EVERY);
        assert_eq!(hearing.due(at).iter().map(|said| said.seq).collect::<Vec<_>>(), [29]);
        assert_eq!((hearing.deadline(), hearing.newest(&PEER)), (None, None));
        hearing.on_time(NOW + EVERY * 500);
        assert!(hearing.peers.is_empty() && hearing.hasty.is_empty());
    }

    #[test]
    fn a_minute_of_an_honest_peer_at_once_is_no_flood_and_ten_times_as_much_is() {
        let mut hearing = Hearing::default();
        assert!((0..240).all(|seq| hearing.on_said(NOW, said(seq)) != Turn::Flood));
        assert!((240..2400).any(|seq| hearing.on_said(NOW, said(seq)) == Turn::Flood));
        // Of a signaler, who only passes on what it cannot read, nobody is told.
        let by_signaler = |seq| Said { from: None, ..said(seq) };
        assert!((2400..5000).all(|seq| hearing.on_said(NOW, by_signaler(seq)) == Turn::Later));
    }
}
