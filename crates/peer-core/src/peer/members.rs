//! Private parties: showing what we are, hearing what others are, admitting and removing.

use weft_crypto::MembershipError;
use weft_crypto::{Invitation, Members, Party};
use weft_wire::link::{Exclusion, Link as Frame};
use weft_wire::membership::Role;
use weft_wire::{Bytes, DiscoveryKey, PeerId, Time, limits};

use super::Peer;
use crate::api::Event;
use crate::api::{CommandError, MemberDeed};
use crate::links::LinkEvent;
use crate::private::{Private, frames};

impl Peer {
    pub(super) fn join_private(
        &mut self,
        now: Time,
        members: Members,
        invitation: Option<&Invitation>,
    ) -> Result<(), CommandError> {
        let party = Party::new(members.party());
        let invitation = invitation.filter(|invitation| invitation.party() == members.party());
        let private = Private::new(members, invitation, &self.env.keys);
        let discovery = party.discovery();
        if self.swarms.contains_key(&discovery) {
            return Ok(());
        }
        self.join(now, &party, Some(private))?;
        if let Some(swarm) = self.swarms.get_mut(&discovery)
            && let Some(private) = &swarm.private
        {
            for (_, bytes) in private.members().statements() {
                swarm.feeds.storage.put_statement(now, bytes);
            }
        }
        Ok(())
    }

    /// What was stored of members has all been read. What is of no use any more is removed.
    pub(super) fn on_stored_statements(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let stored = std::mem::take(&mut swarm.feeds.storage.statements);
        let mut new = Vec::new();
        if let Some(private) = &mut swarm.private {
            new = private.members_mut().take(stored.iter().map(Vec::as_slice)).new;
        }
        let members = swarm.private.as_ref().map(Private::members);
        for bytes in &stored {
            if members.is_none_or(|members| !members.has(&weft_crypto::digest(bytes))) {
                swarm.feeds.storage.remove_statement(now, bytes);
            }
        }
        self.on_said(now, discovery, new, None);
    }

    pub(super) fn say(
        &mut self,
        now: Time,
        discovery: DiscoveryKey,
        deed: MemberDeed,
    ) -> Result<(), CommandError> {
        let swarm = self.swarms.get_mut(&discovery).ok_or(CommandError::NotInParty)?;
        let members = swarm.private.as_mut().ok_or(CommandError::NotPrivate)?.members_mut();
        let (admin, time) = (&self.env.keys.identity, now.millis());
        let said = match deed {
            MemberDeed::Invite { invitation, grant, until } => {
                members.invite(admin, time, &invitation, grant, until)
            }
            MemberDeed::Admit { member, grant } => members.admit(admin, time, member, grant),
            MemberDeed::Remove { member } => members.remove(admin, time, member),
        }?;
        self.on_said(now, discovery, vec![said], None);
        Ok(())
    }

    /// Shows a neighbour what we are, in each party whose key it has proved, before anything else is said there.
    pub(super) fn show_membership(&mut self, peer: PeerId) {
        for discovery in self.links.take_unshown(&peer) {
            let Some(swarm) = self.swarms.get(&discovery) else { continue };
            let Some(private) = &swarm.private else { continue };
            for frame in private.shown(discovery, &self.env.identity) {
                self.links.send(peer, &frame, &mut self.env);
            }
        }
    }

    /// Tells a member of a private party what we know of the others.
    pub(super) fn tell_members(&mut self, peer: PeerId, discovery: DiscoveryKey) {
        let Some(private) = self.swarms.get(&discovery).and_then(|swarm| swarm.private.as_ref()) else {
            return;
        };
        let statements: Vec<&[u8]> = private.members().statements().map(|(_, bytes)| bytes).collect();
        for frame in frames(discovery, &statements) {
            self.links.send(peer, &frame, &mut self.env);
        }
    }

    /// A neighbour says who is a member, or redeems an invitation.
    pub(super) fn on_members(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        statements: &[Bytes<{ limits::MEMBERSHIP }>],
        redemption: Option<&[u8]>,
    ) {
        if !self.links.has_proved(&peer, &discovery) {
            return;
        }
        let Some(private) = self.swarms.get_mut(&discovery).and_then(|swarm| swarm.private.as_mut()) else {
            return;
        };
        let taken = private.members_mut().take(statements.iter().map(|bytes| bytes.0.as_slice()));
        if let Some(
            MembershipError::Wire(_) | MembershipError::Signature(_) | MembershipError::AnotherParty,
        ) = taken.why
        {
            return self.strike(now, Some(peer), "a statement about members that does not verify");
        }
        self.on_said(now, discovery, taken.new, Some(peer));
        if let Some(redemption) = redemption {
            self.on_redemption(now, peer, discovery, redemption);
        } else if !self.links.shares(&peer, &discovery) && self.links.has_proved(&peer, &discovery) {
            self.exclude(now, peer, discovery);
        }
    }

    /// A peer has shown what it is, and that is not enough: it is told so.
    fn exclude(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey) {
        let identity = self.links.identity(&peer);
        let members = self.members(&discovery);
        if members.is_none_or(|members| members.role(&self.env.identity).is_none()) {
            return; // We are none ourselves, or not yet.
        }
        let removed = members.zip(identity).is_some_and(|(members, identity)| members.was_removed(&identity));
        let reason = if removed { Exclusion::Removed } else { Exclusion::NotAMember };
        self.links.send(peer, &Frame::NoMember { discovery, reason }, &mut self.env);
        if self.links.shares_nothing(&peer) {
            self.on_link(now, LinkEvent::Excluded { peer });
        }
    }

    /// Somebody redeems an invitation: an admin admits its member, others pass it on to one.
    fn on_redemption(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey, redemption: &[u8]) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let is_admin = swarm.role(&self.env.identity) == Some(Role::Admin);
        let is_member = swarm.role(&self.env.identity).is_some();
        let Some(private) = swarm.private.as_mut().filter(|_| is_member) else { return };
        let checked = private.members().check_redemption(now.millis(), redemption);
        let passes_on = match &checked {
            Ok(redeemed) if !is_admin => private.may_pass_on(now, redeemed.key),
            _ => false,
        };
        let outcome = match checked {
            Ok(_) if is_admin => {
                private.members_mut().redeem(&self.env.keys.identity, now.millis(), redemption)
            }
            checked => checked.map(|_| None),
        };
        match outcome {
            Ok(Some(said)) => self.on_said(now, discovery, vec![said], None),
            Ok(None) if passes_on => {
                let neighbours: Vec<PeerId> =
                    self.links.neighbours(&discovery).filter(|other| *other != peer).collect();
                for other in neighbours {
                    let statements = weft_wire::List::default();
                    let frame = Frame::Members { discovery, statements, redemption: Some(redemption) };
                    self.links.send(other, &frame, &mut self.env);
                }
            }
            Ok(None) => {}
            Err(error) => {
                let reason = match error {
                    MembershipError::ExpiredInvitation => Exclusion::ExpiredInvitation,
                    MembershipError::UsedInvitation => Exclusion::UsedInvitation,
                    MembershipError::Removed => Exclusion::Removed,
                    MembershipError::UnknownInvitation => Exclusion::UnknownInvitation,
                    MembershipError::NotAnAdmin | MembershipError::Full => return,
                    _ => return self.strike(now, Some(peer), "a redemption that does not verify"),
                };
                self.links.send(peer, &Frame::NoMember { discovery, reason }, &mut self.env);
            }
        }
    }

    /// A peer does not take us for a member.
    pub(super) fn on_no_member(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        reason: Exclusion,
    ) {
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.private.is_some())
            && self.links.has_proved(&peer, &discovery)
        {
            self.env.event(Event::NoMember { discovery, peer, reason });
            if let Some(event) = self.links.unshare(&peer, discovery) {
                self.on_link(now, event);
            }
        }
    }

    /// What neighbours say of members was heard: those who are members now, or not any more, are treated as such.
    fn on_said(&mut self, now: Time, discovery: DiscoveryKey, new: Vec<Vec<u8>>, from: Option<PeerId>) {
        if !new.is_empty() {
            if let Some(swarm) = self.swarms.get_mut(&discovery) {
                if let Some(private) = &mut swarm.private {
                    private.on_members();
                }
                for bytes in &new {
                    swarm.feeds.storage.put_statement(now, bytes);
                }
            }
            let told: Vec<PeerId> =
                self.links.neighbours(&discovery).filter(|peer| Some(*peer) != from).collect();
            let statements: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
            for frame in frames(discovery, &statements) {
                for peer in &told {
                    self.links.send(*peer, &frame, &mut self.env);
                }
            }
            self.env.event(Event::Members { discovery, statements: new });
        }
        let Some(swarm) = self.swarms.get(&discovery) else { return };
        for event in self.links.reconsider(swarm.ours(&self.env.identity)) {
            if let LinkEvent::Parties { peer, left, .. } = &event
                && left.contains(&discovery)
            {
                let (peer, reason) = (*peer, Exclusion::Removed);
                self.links.send(peer, &Frame::NoMember { discovery, reason }, &mut self.env);
            }
            self.on_link(now, event);
        }
    }
}
