//! The peers of our own identity, and peers that were revoked: ours, others', ourselves.

use weft_crypto::statement;
use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::signaler::Recorded;
use weft_wire::{Bytes, Code, IdentityId, List, PeerId, Revocation, Time, limits};

use super::{AFTER_MISBEHAVIOUR, Peer};
use crate::api::{CommandError, CommandId, Event, Output, OwnPeer};
use crate::outbox;
use crate::own::{Fate, LISTS};
use crate::revocations::{LIFE, Learnt, Revoked};
use crate::sessions::Held;
use crate::sorted::Map;

impl Peer {
    // ---- commands ----

    pub(super) fn list_peers(&mut self, now: Time, id: CommandId) -> Result<(), CommandError> {
        self.own.list(now, id).then_some(()).ok_or(CommandError::TooManyMessages(LISTS))
    }

    /// Says that a peer is ours no longer. That counts from now on, here and for whoever hears of it; the residence is told until it
    /// has it.
    pub(super) fn revoke(&mut self, now: Time, id: CommandId, peer: PeerId) -> Result<(), CommandError> {
        let us = self.env.identity;
        if peer == self.env.me {
            return Err(CommandError::Oneself);
        }
        if self.owner(&peer).is_some_and(|owner| owner != us) {
            return Err(CommandError::AnothersPeer);
        }
        let known = self.revocations.show(now, (us, peer));
        if known.is_none() && self.revocations.is_full(&us) {
            return Err(CommandError::TooManyRevoked);
        }
        let bytes = known.unwrap_or_else(|| {
            let (issued, until) = (now.millis(), (now + LIFE).millis());
            let revocation = Revocation { identity: us, peer, issued, until };
            let bytes = statement::sign_revocation(&self.env.keys.identity, &revocation);
            self.revocations.insert(now, &revocation, &bytes, &us);
            self.sessions.put_revocation(&peer, Some((false, &bytes)));
            self.enforce(now, (us, peer), &bytes, None);
            bytes
        });
        let waits = self.own.revoke(now, peer, bytes, Some(id));
        waits.then_some(()).ok_or(CommandError::TooManyMessages(LISTS))
    }

    // ---- the residence ----

    pub(super) fn settle_own(&mut self, now: Time) {
        for fate in self.own.on_time(now, &mut self.homes, &mut self.env) {
            self.on_own_fate(now, fate);
        }
    }

    pub(super) fn on_own_fate(&mut self, now: Time, fate: Fate) {
        match fate {
            Fate::Listed(commands, said) => {
                let outcome = said.map(|said| self.own_peers(now, said));
                for command in commands {
                    self.env.event(Event::OwnPeers { command, outcome: outcome.clone() });
                }
            }
            Fate::Revoked { peer, commands, outcome, told } => {
                if told && let Some(bytes) = self.revocations.show(now, (self.env.identity, peer)) {
                    self.sessions.put_revocation(&peer, Some((true, &bytes)));
                }
                // It is known here for good once it is stored, which waits for the store to be read.
                let told = commands.into_iter().map(|command| Event::PeerRevoked { command, peer, outcome });
                let said = told.map(Output::Event).collect();
                self.sessions.hold(Held::Tell { said, message: None });
            }
        }
    }

    /// The peers of our identity: those that our residence knows, and those that are here.
    fn own_peers(&mut self, now: Time, said: Vec<Recorded>) -> Vec<OwnPeer> {
        let (us, me) = (self.env.identity, self.env.me);
        let mut own: Map<PeerId, OwnPeer> = Map::new();
        for Recorded { record, .. } in said {
            let opened = statement::open_record(&record.0).ok();
            let Some(record) = opened.filter(|one| one.identity == us && one.until > now.millis()) else {
                self.env.stats.forged += 1;
                continue;
            };
            let (peer, name, issued) = (record.peer, record.name.to_string(), record.issued);
            own.insert(peer, OwnPeer { peer, name, issued, this: false, connected: false });
        }
        for swarm in self.swarms.values() {
            for peer in swarm.roster.peers_of(&us) {
                let known = swarm.roster.record(&peer).map(|(record, _)| record);
                let (name, issued) = known.map(|one| (one.name.to_string(), one.issued)).unwrap_or_default();
                let new = OwnPeer { peer, name: String::new(), issued, this: false, connected: false };
                let one = own.entry(peer).or_insert(new);
                if !name.is_empty() {
                    one.name = name;
                }
                one.issued = one.issued.max(issued);
                one.connected |= self.links.is_open(&peer) || swarm.roster.is_here(&peer);
            }
        }
        let issued = statement::peek_record(&self.env.record).map_or(0, |record| record.issued);
        let name = self.env.config.name.clone();
        own.insert(me, OwnPeer { peer: me, name, issued, this: true, connected: true });
        own.retain(|peer, _| !self.revocations.has(now, &us, peer));
        own.into_values().collect()
    }

    // ---- what others tell ----

    pub(super) fn on_revocations(
        &mut self,
        now: Time,
        from: PeerId,
        revocations: &[Bytes<{ limits::REVOCATION }>],
    ) {
        let us = (self.env.identity, self.env.me);
        for Bytes(bytes) in revocations {
            let is_near = |of: &Revoked| self.links.identity(&of.1) == Some(of.0);
            let (revocation, new) = match self.revocations.learn(now, from, us, is_near, bytes) {
                Learnt::Nothing => continue,
                Learnt::Forged => {
                    return self.strike(now, Some(from), "a revocation that does not verify");
                }
                Learnt::New(revocation) => (revocation, true),
                Learnt::Longer(revocation) => (revocation, false),
            };
            let of = (revocation.identity, revocation.peer);
            if of.0 == us.0 {
                // Whoever made it tells the residence.
                self.sessions.put_revocation(&of.1, Some((true, bytes)));
            }
            if of == us {
                self.revoked = Some(revocation.issued);
            }
            if of != us && new {
                self.enforce(now, of, bytes, Some(from));
            } else {
                self.tell_neighbours(bytes, Some(from));
            }
        }
    }

    /// What was stored of revocations has been read.
    pub(super) fn on_stored_revocations(&mut self, now: Time, stored: Vec<(PeerId, bool, Vec<u8>)>) {
        let us = self.env.identity;
        for (peer, told, bytes) in stored {
            let opened = statement::open_revocation(&bytes).ok();
            let Some(revocation) = opened.filter(|one| (one.identity, one.peer) == (us, peer)) else {
                self.sessions.put_revocation(&peer, None);
                continue;
            };
            if peer == self.env.me {
                // For good.
                self.revoked = Some(revocation.issued);
            } else if let Some(newer) = self.revocations.show(now, (us, peer)) {
                // What was said or heard meanwhile takes its place.
                if !told {
                    self.sessions.put_revocation(&peer, Some((false, &newer)));
                    self.own.revoke(now, peer, newer, None);
                }
            } else if revocation.until <= now.millis() {
                self.sessions.put_revocation(&peer, None);
            } else {
                self.revocations.insert(now, &revocation, &bytes, &us);
                if !told {
                    self.own.revoke(now, peer, bytes.clone(), None);
                }
                // Somebody may have come before it was read.
                self.enforce(now, (us, peer), &bytes, None);
            }
        }
    }

    /// We are our identity's no longer: says so, and ends for good. What says so is stored before.
    pub(super) fn stop_if_revoked(&mut self, now: Time) -> bool {
        let Some(issued) = self.revoked.filter(|_| !self.sessions.is_loading()) else { return false };
        self.env.event(Event::Revoked { issued });
        self.close(now);
        true
    }

    pub(super) fn expire_revocations(&mut self, now: Time) {
        for peer in self.revocations.expire(now, &self.env.identity) {
            self.sessions.put_revocation(&peer, None);
            self.own.forget(&peer);
        }
    }

    // ---- what follows ----

    /// Whose peer somebody is: as it has shown to us, or to others.
    fn owner(&self, peer: &PeerId) -> Option<IdentityId> {
        self.links.identity(peer).or_else(|| self.identity_of(peer))
    }

    /// A peer that we have a link with is its identity's no longer.
    pub(super) fn is_revoked_neighbour(&self, now: Time, peer: &PeerId) -> bool {
        let identity = self.links.identity(peer);
        identity.is_some_and(|identity| self.revocations.has(now, &identity, peer))
    }

    /// Shows a neighbour that it was revoked, as the last thing on the link.
    pub(super) fn shut_out(&mut self, now: Time, peer: PeerId) {
        let identity = self.links.identity(&peer);
        if let Some(bytes) = identity.and_then(|identity| self.revocations.show(now, (identity, peer))) {
            self.links.say_at_once(peer, &revoked(&[bytes]), &mut self.env);
        }
        self.drop_link(now, peer, ByeReason::Revoked, "its identity has revoked it");
        self.backoff.bar(now, peer, AFTER_MISBEHAVIOUR, &self.env);
    }

    /// Tells a new neighbour what is known of the peers of our identity, and of its own.
    pub(super) fn show_revocations(&mut self, now: Time, peer: PeerId) {
        let theirs = self.links.identity(&peer).filter(|identity| *identity != self.env.identity);
        let mut all = self.revocations.of(now, &self.env.identity);
        all.extend(theirs.into_iter().flat_map(|identity| self.revocations.of(now, &identity)));
        for some in all.chunks(limits::REVOCATIONS) {
            self.links.send(peer, &revoked(some), &mut self.env);
        }
    }

    fn tell_neighbours(&mut self, bytes: &[u8], from: Option<PeerId>) {
        let frame = revoked(&[bytes.to_vec()]);
        let open: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
        for peer in open.into_iter().filter(|peer| Some(*peer) != from) {
            self.links.send(peer, &frame, &mut self.env);
        }
    }

    /// A peer is its identity's no longer, as we have just learnt: neighbours are told, and nothing is left between it and us.
    fn enforce(&mut self, now: Time, of: Revoked, bytes: &[u8], from: Option<PeerId>) {
        let (identity, peer) = of;
        let is_theirs = self.owner(&peer).map_or(identity == self.env.identity, |owner| owner == identity);
        self.tell_neighbours(bytes, from);
        if self.is_revoked_neighbour(now, &peer) {
            self.shut_out(now, peer);
        }
        for id in self.outbox.forget_mailbox(now, of, &mut self.sessions, &self.env) {
            self.on_fate(now, outbox::Fate::Refused(id, peer, Code::Revoked));
        }
        if is_theirs {
            self.sessions.forget(&peer);
            self.transfers.remove_peer(&peer);
        }
        for swarm in self.swarms.values_mut() {
            if is_theirs {
                swarm.roster.forget(now, peer, &mut self.env);
            }
            if swarm.role(&identity).is_some()
                && let Some(private) = &mut swarm.private
            {
                // What is published from now on it cannot read.
                private.group.begin_anew();
            }
        }
    }

    /// A publication is one of a peer that was revoked before it was made, as it says itself.
    pub(super) fn is_revoked_publication(&self, now: Time, bundle: &weft_wire::Bundle) -> bool {
        let since = self.revocations.since(now, &bundle.author, &bundle.feed);
        since.is_some_and(|since| bundle.entries.iter().any(|entry| entry.time > since))
    }
}

fn revoked(statements: &[Vec<u8>]) -> Frame<'static> {
    Frame::Revoked { revocations: List::first(statements.iter().cloned().map(Bytes)) }
}
