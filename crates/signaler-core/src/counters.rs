//! What a signaler counts. The driver publishes it; nothing here is reset.

use weft_wire::{Code, SignalerId};

/// Things that happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received from peers.
    pub peer_frames: u64,
    /// Bytes in them.
    pub peer_bytes: u64,
    /// Frames received from siblings.
    pub sibling_frames: u64,
    /// Bytes in them.
    pub sibling_bytes: u64,
    /// Frames handed to the queues of peers and siblings.
    pub sent_frames: u64,
    /// Bytes in them; a shared payload counts once per receiver.
    pub sent_bytes: u64,
    /// Envelopes handed to peers.
    pub delivered: u64,
    /// Fan-out payloads handed to peers.
    pub fanned: u64,
    /// Envelopes and payloads passed to siblings.
    pub passed_on: u64,
    /// Fan-out payloads dropped because their receiver does not read fast enough.
    pub dropped_fanned: u64,
    /// Optional frames of a later version that were ignored.
    pub ignored_frames: u64,
    /// Entries refused because the table is full.
    pub dropped_entries: u64,
    /// Entries of siblings that did not verify.
    pub forged_entries: u64,
    /// Entries of siblings beyond the share of the one that brought them.
    pub refused_entries: u64,
    /// Entries of siblings whose time had passed: some clock is wrong.
    pub expired_entries: u64,
    /// Entries of siblings that say something else than a known one with the same number, signed by the same peer: the first stays.
    pub equivocations: u64,
    /// Refreshes of siblings for which the whole entry had to be asked for.
    pub asked_entries: u64,
    /// Requests and entries of siblings that reached the wrong signaler: it does not keep that swarm.
    pub misdirected: u64,
    /// Those of them that were passed on to whoever does.
    pub forwarded_once: u64,
    /// Entries and withdrawals that a sibling lacked, as comparing showed, and got.
    pub repaired: u64,
    /// Entries given to those that keep them now, before they were deleted here.
    pub handed_over: u64,
    /// Swarms that a sibling wanted to watch beyond its share.
    pub refused_watches: u64,
    /// Peers that a sibling said are connected to it, beyond its share.
    pub refused_peers: u64,
    /// What siblings said of their links when as many were believed as a federation has members.
    pub refused_links: u64,
    /// Envelopes that became durable at a majority of the residence, as this signaler told their senders.
    pub mail_stored: u64,
    /// Envelopes that were there already, or had been, and were only acknowledged.
    pub mail_repeated: u64,
    /// Envelopes that got a later place because another signaler had taken later ones.
    pub mail_postponed: u64,
    /// Envelopes shown to those they are for.
    pub mail_shown: u64,
    /// Envelopes that were taken.
    pub mail_taken: u64,
    /// Proofs for mail that were good.
    pub mail_collections: u64,
    /// Envelopes that ran out before they were collected.
    pub mail_expired: u64,
    /// What was asked of the residence and refused.
    pub mail_refused: u64,
    /// Prekeys for one use that were given.
    pub mail_prekeys: u64,
    /// Prekeys for one use that were not given because too many had been asked for.
    pub mail_withheld_prekeys: u64,
    /// Items taken over from siblings that keep them, too.
    pub mail_kept: u64,
    /// Items of siblings for which there was no room.
    pub mail_dropped: u64,
    /// Items that a sibling lacked, as comparing or reading showed, and got.
    pub mail_repaired: u64,
    /// Mailboxes that others keep now, and that were deleted here.
    pub mail_handed_over: u64,
    /// Items that were taken or used, and are no longer remembered: there were too many.
    pub mail_forgotten: u64,
    /// Writes that failed.
    pub mail_unwritten: u64,
    /// Peers that authenticated.
    pub authenticated: u64,
    refused: [u64; Code::ALL.len() + 1],
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Open connections, those that are not authenticated included.
    pub connections: usize,
    /// Authenticated peers.
    pub peers: usize,
    /// Swarms with an entry or a tombstone.
    pub swarms: usize,
    /// Swarms with a member here.
    pub local_swarms: usize,
    /// Swarms by how many members are present, here or elsewhere: 1, 2 and 3, 4 to 7, and so on; the last class has all that
    /// are larger.
    pub swarm_sizes: [usize; 16],
    /// Entries and tombstones.
    pub entries: usize,
    /// Swarms with members here that others keep.
    pub watches: usize,
    /// Swarms that siblings watch here, each sibling counted.
    pub watched: usize,
    /// Peers of siblings whose residence this is.
    pub residents: usize,
    /// Mailboxes that are kept here.
    pub mailboxes: usize,
    /// Envelopes that wait in them.
    pub mail: usize,
    /// Bytes of all that is in them, records and prekeys included.
    pub mail_bytes: usize,
    /// Forwarded frames whose outcome is awaited.
    pub pending: usize,
    /// Siblings, configured or connected.
    pub siblings: Vec<SiblingStatus>,
    /// Pairs of linked siblings that both say that they are not linked with each other.
    pub apart: usize,
    /// Members of the federation, this signaler not among them, by id.
    pub members: Vec<MemberStatus>,
}

/// A member of the federation, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its key.
    pub id: SignalerId,
    /// Where it can be reached, by its own word.
    pub url: Option<String>,
    /// When this life of it began, milliseconds since the Unix epoch.
    pub since: u64,
    /// It lives; if not, it is called until it is forgotten.
    pub active: bool,
}

/// A sibling, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingStatus {
    /// Its key, if it is known.
    pub id: Option<SignalerId>,
    /// Where it is dialled or says it can be reached.
    pub url: Option<String>,
    /// Tables and traffic flow.
    pub up: bool,
}

impl Counters {
    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, code: Code) {
        let at = Code::ALL.iter().position(|known| *known == code).unwrap_or(Code::ALL.len());
        if let Some(count) = self.refused.get_mut(at) {
            *count += 1;
        }
    }

    /// How often each code was given as a reason, by peers' and siblings' connections together.
    pub fn refusals(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL.iter().copied().zip(self.refused.iter().copied())
    }

    /// How often one code was given as a reason.
    pub fn refused(&self, code: Code) -> u64 {
        self.refusals().find_map(|(known, count)| (known == code).then_some(count)).unwrap_or(0)
    }
}
