//! A private party: its members as far as we have heard, and our invitation to it.
//!
//! Inputs: what neighbours say about members, redemptions. Outputs: frames that show or tell. No timers.
//! Invariants: everything that is known was signed by an admin ([`weft_crypto::membership`]); of each invitation one
//! redemption in ten seconds is passed on, and of at most 64 invitations.

use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::{Invitation, Members, Party};
use weft_wire::link::Link as Frame;
use weft_wire::sealed::{FeedEpoch, FeedKey};
use weft_wire::{Bytes, DiscoveryKey, IdentityId, InvitationKey, List, PeerId, Time};

use crate::env::Env;
use crate::feeds::Feeds;
use crate::group::Group;
use crate::keys::Keys;
use crate::sorted::Set;
use crate::storage::Storage;

/// Invitations of which a redemption was passed on lately; of more, none is.
const REMEMBERED: usize = 64;
/// Of one invitation a redemption is passed on this often: whoever has its secret can make as many as it likes.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Private {
    members: Members,
    /// Our own, signed.
    redemption: Option<Vec<u8>>,
    passed_on: VecDeque<(InvitationKey, Time)>,
    pub(crate) group: Group,
}

impl Private {
    pub(crate) fn new(members: Members, invitation: Option<&Invitation>, keys: &Keys) -> Self {
        let redemption = invitation.map(|invitation| invitation.redeem(keys.identity.id()));
        let group = Group::new(Party::new(members.party()).discovery(), keys);
        Self { members, redemption, passed_on: VecDeque::new(), group }
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    pub(crate) fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    /// Something new is known of the members.
    pub(crate) fn on_members(&mut self) {
        self.group.on_members(&self.members);
    }

    /// Seals a document of ours.
    pub(crate) fn seal(&mut self, now: Time, body: &[u8], with: (&mut Storage, &mut Env)) -> Vec<u8> {
        self.group.seal(now, body, &self.members, with)
    }

    /// The keys of feeds that a neighbour has not been given yet, if it may have them.
    pub(crate) fn give(
        &mut self,
        peer: PeerId,
        to: &IdentityId,
        of: &Set<PeerId>,
        feeds: &Feeds,
    ) -> Vec<FeedKey> {
        let Self { group, members, .. } = self;
        of.iter().flat_map(|feed| group.give(peer, to, feed, (members, feeds))).collect()
    }

    /// Keys that a member asks for.
    pub(crate) fn on_wanted(
        &mut self,
        now: Time,
        asker: (PeerId, &IdentityId),
        wanted: &[FeedEpoch],
        feeds: &Feeds,
    ) -> Vec<FeedKey> {
        self.group.on_wanted(now, asker, wanted, (&self.members, feeds))
    }

    /// What shows that we are a member, or are to become one.
    pub(crate) fn shown<'a>(&'a self, discovery: DiscoveryKey, us: &IdentityId) -> Vec<Frame<'a>> {
        let mut frames = frames(discovery, &self.members.evidence(us));
        if self.members.role(us).is_none()
            && let Some(redemption) = &self.redemption
        {
            let statements = List::default();
            frames.push(Frame::Members { discovery, statements, redemption: Some(redemption) });
        }
        frames
    }

    /// A redemption of an invitation may be passed on now.
    pub(crate) fn may_pass_on(&mut self, now: Time, key: InvitationKey) -> bool {
        while self.passed_on.front().is_some_and(|(_, at)| *at + PAUSE <= now) {
            self.passed_on.pop_front();
        }
        let may = self.passed_on.len() < REMEMBERED && self.passed_on.iter().all(|(one, _)| *one != key);
        if may {
            self.passed_on.push_back((key, now));
        }
        may
    }
}

/// Statements, as many to a frame as there may be.
pub(crate) fn frames<'a>(discovery: DiscoveryKey, statements: &[&[u8]]) -> Vec<Frame<'a>> {
    let frame = |some: &[&[u8]]| Frame::Members {
        discovery,
        statements: List::first(some.iter().map(|bytes| Bytes(bytes.to_vec()))),
        redemption: None,
    };
    statements.chunks(weft_wire::limits::MEMBERSHIPS).map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_crypto::{IdentityKey, PartySecret, PeerKey, Seed};

    #[test]
    fn redemptions_are_passed_on_now_and_then() {
        let keys =
            Keys { identity: IdentityKey::new(&Seed::new([1; 32])), peer: PeerKey::new(&Seed::new([3; 32])) };
        let members = Members::found(&PartySecret::new(&Seed::new([2; 32])), keys.identity.id(), 1);
        let mut private = Private::new(members, None, &keys);
        let (start, key) = (Time::from_millis(1_000_000), |n| InvitationKey([n; 32]));
        for n in 0..70 {
            assert_eq!(private.may_pass_on(start, key(n)), usize::from(n) < REMEMBERED);
        }
        assert!(!private.may_pass_on(start + PAUSE / 2, key(1)));
        assert!(private.may_pass_on(start + PAUSE, key(1)));
        assert!(!private.may_pass_on(start + PAUSE, key(1)));
        assert!(private.may_pass_on(start + PAUSE, key(69)));
    }
}
