//! Keys of private parties' feeds: giving them to members, asking members for them, and what waits for them.

use weft_wire::sealed::{FeedEpoch, FeedKey, Sealed};
use weft_wire::{DiscoveryKey, List, PeerId, Time, limits};

use super::Peer;
use crate::feeds::Accepted;
use crate::roster::Contact;
use crate::sorted::Set;
use crate::swarm::Swarm;

impl Peer {
    /// Gives a neighbour the keys of feeds of which it is about to be sent something.
    pub(super) fn give_keys(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey, of: &Set<PeerId>) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let Some(private) = &mut swarm.private else { return };
        let Some(to) = self.links.identity(&peer) else { return };
        let keys = private.give(peer, &to, of, &swarm.feeds);
        self.send_keys(now, peer, None, discovery, &keys);
    }

    /// Gives a peer the keys that it is owed, now that there may be a session with it.
    pub(super) fn pay_keys(&mut self, now: Time, peer: PeerId) {
        let owes = |(discovery, swarm): (&DiscoveryKey, &mut Swarm)| {
            let keys = swarm.private.as_mut()?.group.take_owed(&peer);
            (!keys.is_empty()).then_some((*discovery, keys))
        };
        let owed: Vec<_> = self.swarms.iter_mut().filter_map(owes).collect();
        for (discovery, keys) in owed {
            self.send_keys(now, peer, None, discovery, &keys);
        }
    }

    /// Says keys in the session with a peer: who gets its lasting keys later does not read what was published.
    fn send_keys(
        &mut self,
        now: Time,
        to: PeerId,
        contact: Option<&Contact>,
        discovery: DiscoveryKey,
        keys: &[FeedKey],
    ) {
        for some in keys.chunks(limits::KEYS) {
            let contents = Sealed::Keys { discovery, keys: List::first(some.iter().cloned()) };
            if self.converse(now, to, contact.cloned(), &|_| contents.clone(), (0, None)) {
                self.env.stats.keys_given += some.len() as u64;
            } else if let Some(private) =
                self.swarms.get_mut(&discovery).and_then(|swarm| swarm.private.as_mut())
            {
                private.group.owe(now, to, some);
            }
        }
    }

    /// Somebody gives keys: a member, or it is not listened to.
    pub(super) fn on_keys(&mut self, now: Time, from: PeerId, discovery: DiscoveryKey, keys: &[FeedKey]) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let known = || swarm.roster.identity(&from).or_else(|| swarm.feeds.author(&from));
        let identity = self.links.identity(&from).or_else(known);
        let revoked = identity.is_some_and(|identity| self.revocations.has(now, &identity, &from));
        if revoked || identity.and_then(|identity| swarm.role(&identity)).is_none() {
            self.env.stats.unopened += 1;
            return;
        }
        let Some(private) = &mut swarm.private else { return };
        let open = private.group.on_keys(now, from, keys, (&mut swarm.feeds.storage, &mut self.env));
        self.hand_out(discovery, &open);
    }

    /// Somebody asks for keys: a member, or it is not answered.
    pub(super) fn on_keys_wanted(
        &mut self,
        now: Time,
        from: PeerId,
        discovery: DiscoveryKey,
        record: &[u8],
        wanted: &[FeedEpoch],
    ) {
        if self.swarms.get(&discovery).is_none_or(|swarm| swarm.private.is_none()) {
            return;
        }
        let Some(record) = self.check_record(now, from, record) else { return };
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let Some(private) = &mut swarm.private else { return };
        let keys = private.on_wanted(now, (from, &record.identity), wanted, &swarm.feeds);
        let contact = Contact {
            agreement: record.agreement,
            homes: Vec::new(),
            sessions: record.sessions == Some(true),
        };
        self.send_keys(now, from, Some(&contact), discovery, &keys);
    }

    /// Chains of keys that were stored have all been read.
    pub(super) fn on_stored_keys(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let stored = std::mem::take(&mut swarm.feeds.storage.secrets);
        let Some(private) = &mut swarm.private else { return };
        let open = private.group.on_stored(now, stored, (&mut swarm.feeds.storage, &mut self.env));
        self.hand_out(discovery, &open);
    }

    /// Makes a private party's backlog readable, as far as its keys are here. What waited for keys waits no longer: what
    /// of it comes to be readable later comes without an order.
    pub(super) fn open_backlog(&mut self, now: Time, discovery: DiscoveryKey, backlog: &mut Vec<Accepted>) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let Some(private) = &mut swarm.private else { return };
        let with = (&mut swarm.feeds.storage, &mut self.env);
        let open = private.group.release(now, with);
        private.group.open_all(now, backlog, (&mut swarm.feeds.storage, &mut self.env));
        self.hand_out(discovery, &open);
    }

    /// Asks for keys that are wanted, and goes on without those that have been waited for long enough.
    pub(super) fn settle_keys(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let Some(private) = &mut swarm.private else { return };
        if private.group.deadline().is_none_or(|at| at > now) {
            return;
        }
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        let loading = swarm.feeds.storage.loading().is_some_and(|until| until > now);
        let asks = private.group.asks(now, &neighbours, loading);
        let open = private.group.on_time(now, (&mut swarm.feeds.storage, &mut self.env));
        self.hand_out(discovery, &open);
        for (to, wanted) in asks {
            for some in wanted.chunks(limits::KEYS) {
                let record = self.env.record.clone();
                let contents =
                    Sealed::KeysWanted { discovery, record, wanted: List::first(some.iter().copied()) };
                self.seal_and_send(now, to, None, &contents, (0, false));
            }
        }
    }
}
