//! What neighbours say.

use std::sync::Arc;
use std::time::Duration;

use weft_crypto::statement;
use weft_query::Summary;
use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::{Bundle, DiscoveryKey, PeerId, Tag, Time, decode, limits};

use super::{AFTER_FULL, AFTER_MADE_ROOM, AFTER_MISBEHAVIOUR, Peer, SILENT};
use crate::api::{Event, LinkState};
use crate::broadcast::feed_range;
use crate::env::Env;
use crate::feeds::{self, Accepted, Verdict};
use crate::hearing::Said;
use crate::kept::{Age, Kept};
use crate::links::{LinkEvent, Taken};
use crate::negotiation::Carrier;
use crate::ranges::Ranges;
use crate::roster::Heard;
use crate::sorted::Map;
use crate::swarm::{Says, Swarm};
use crate::wants::Want;

impl Peer {
    pub(super) fn on_chunk(&mut self, now: Time, (peer, carrier): (PeerId, Carrier), chunk: &[u8]) {
        let arrived = match self.links.on_chunk(now, (peer, carrier), chunk, &mut self.env) {
            Ok(arrived) => arrived,
            Err(error) => return self.on_malformed(now, peer, error.to_string()),
        };
        if arrived.takes_over {
            return self.on_taken_over(now, peer, arrived.frame.as_deref().unwrap_or_default());
        }
        if arrived.revived {
            self.on_link(now, LinkEvent::Suspect { peer, suspect: false });
        }
        let Some(bytes) = arrived.frame else { return };
        match decode::<Frame<'_>>(&bytes, limits::LINK_MESSAGE) {
            Ok(Frame::Publish { hops, age_ms, record, bundle, from }) if self.links.is_open(&peer) => {
                self.on_bundle(now, peer, (hops, age_ms, from), record, bundle);
            }
            Ok(frame) => self.on_frame(now, peer, frame),
            Err(weft_wire::WireError::UnknownOptional(_)) => {}
            Err(error) => self.on_malformed(now, peer, error.to_string()),
        }
    }

    /// The first thing over a connection that takes a stream's place.
    fn on_taken_over(&mut self, now: Time, peer: PeerId, bytes: &[u8]) {
        let hello = match decode::<Frame<'_>>(bytes, limits::LINK_MESSAGE) {
            Ok(frame) => frame,
            Err(error) => return self.on_malformed(now, peer, error.to_string()),
        };
        match self.links.on_taken_over(peer, &hello, &mut self.env) {
            Ok(came) => {
                // What waits for the stream goes after what it had.
                for (peer, chunk) in std::mem::take(&mut self.env.streamed) {
                    self.negotiator.give(now, &peer, chunk);
                }
                let chunks = self.negotiator.on_replaced(&peer, came);
                match self.links.resume(peer, chunks, &mut self.env) {
                    None => self.env.event(Event::Link { peer, state: LinkState::Open { forwarded: false } }),
                    Some(event) => self.on_link(now, event),
                }
            }
            Err(event) => self.on_link(now, event),
        }
    }

    fn on_malformed(&mut self, now: Time, peer: PeerId, reason: String) {
        self.env.stats.malformed += 1;
        self.on_link(now, LinkEvent::Close { peer, reason, misbehaved: true });
    }

    fn on_frame(&mut self, now: Time, peer: PeerId, frame: Frame<'_>) {
        let us = self.env.identity;
        let party = |key: &DiscoveryKey| self.swarms.get(key).map(|swarm| swarm.ours(&us));
        match self.links.on_frame(now, peer, &frame, party, &mut self.env) {
            Taken::Done(Some(event)) => self.on_link(now, event),
            Taken::Done(None) => {}
            Taken::Not => self.on_link_frame(now, peer, frame),
        }
    }

    pub(super) fn on_link(&mut self, now: Time, event: LinkEvent) {
        self.stirred |= !matches!(event, LinkEvent::Measured { .. });
        match event {
            // Who knows a discovery key, as every signaler does, but proves no party's key, takes nobody's place.
            LinkEvent::Open { peer, parties, .. } if parties.is_empty() && !self.links.shares_any(&peer) => {
                self.say_bye(now, peer, ByeReason::NothingInCommon);
                let steps = self.negotiator.close(peer, "it proved no party's key", &mut self.env);
                self.take(now, steps);
                self.backoff.bar(now, peer, AFTER_FULL, &self.env);
            }
            LinkEvent::Open { peer, .. } if self.is_revoked_neighbour(now, &peer) => self.shut_out(now, peer),
            LinkEvent::Open { peer, parties } => {
                let forwarded = self.negotiator.is_forwarded(&peer);
                self.env.event(Event::Link { peer, state: LinkState::Open { forwarded } });
                self.show_membership(peer);
                if self.links.record(&peer).is_some_and(|(record, _)| record.sessions == Some(true)) {
                    self.give_prekey(now, peer);
                }
                self.show_revocations(now, peer);
                for discovery in parties {
                    self.on_neighbour(now, peer, discovery);
                }
            }
            LinkEvent::Parties { peer, joined, left } => {
                self.show_membership(peer);
                for discovery in left {
                    if let Some(swarm) = self.swarms.get_mut(&discovery) {
                        swarm.on_unlinked(now, peer, &mut self.env);
                    }
                    self.subscriptions.on_answered(&discovery, peer);
                }
                for discovery in joined {
                    self.on_neighbour(now, peer, discovery);
                }
                self.close_useless(now);
            }
            LinkEvent::Excluded { peer } => {
                self.drop_link(now, peer, ByeReason::NothingInCommon, "it is no member of a party of ours");
                self.backoff.bar(now, peer, AFTER_MISBEHAVIOUR, &self.env);
            }
            LinkEvent::Close { peer, reason, misbehaved } => {
                if misbehaved {
                    self.env.warn("peer-misbehaved", format!("{peer}: {reason}"));
                    self.say_bye(now, peer, ByeReason::Misbehaved);
                }
                let steps = self.negotiator.close(peer, &reason, &mut self.env);
                self.take(now, steps);
                if misbehaved {
                    self.backoff.bar(now, peer, AFTER_MISBEHAVIOUR, &self.env);
                }
            }
            LinkEvent::Closed { peer, reason, needless } => {
                let text = format!("the other side closed the link ({})", reason.text());
                let steps = self.negotiator.close(peer, &text, &mut self.env);
                self.take(now, steps);
                if reason == ByeReason::MadeRoom {
                    self.backoff.hold(now, peer, AFTER_MADE_ROOM, &self.env);
                }
                if needless {
                    self.backoff.forget(now, &peer);
                }
            }
            LinkEvent::Measured { peer, round_trip } => {
                for swarm in self.swarms.values_mut() {
                    swarm.tree.on_measured(&peer, round_trip);
                }
            }
            LinkEvent::Suspect { peer, suspect } => {
                for swarm in self.swarms.values_mut() {
                    swarm.tree.on_suspect(now, &peer, suspect, &self.env);
                }
                if suspect {
                    // Others may have gone with it, as a whole network does.
                    let others: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
                    for other in others {
                        self.links.probe(now, other, SILENT, &mut self.env);
                    }
                }
            }
        }
    }

    /// A peer with a link is in a party that we are in.
    pub(super) fn on_neighbour(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey) {
        // The record that came with the hello holds for parties that are shared later, too.
        let known = self.swarms.values().filter_map(|swarm| swarm.roster.record(&peer));
        let newest = known.chain(self.links.record(&peer)).max_by_key(|(record, _)| record.issued);
        let newest = newest.map(|(record, bytes)| (record.clone(), bytes.to_vec()));
        self.tell_members(peer, discovery);
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if let Some((record, bytes)) = newest {
            swarm.feeds.learn(now, &record, &bytes, &self.env);
            let identity = record.identity;
            swarm.roster.on_record(now, record, &bytes, &mut self.env);
            self.mail.on_known(now, &identity);
        }
        swarm.roster.on_linked(now, peer, true, &mut self.env);
        swarm.tree.on_linked(peer);
        let identity = swarm.roster.record(&peer).map(|(record, _)| record.identity);
        swarm.routes.on_linked(now, peer, identity.as_ref());
        swarm.broadcast.on_linked(peer);
        if let Some(private) = &mut swarm.private {
            private.group.on_linked(now, peer);
        }
        self.links.ping(now, peer, &mut self.env);
        swarm.on_changed(now, &self.env);
        let backlog = self.subscriptions.wants_backlog(now, &discovery);
        swarm.interest.on_linked(now, peer);
        let selective = backlog.is_none() && swarm.roster.is_large(&self.env);
        let own = || self.subscriptions.summary(&discovery, limits::INTEREST);
        let wants = selective.then(|| swarm.interest.downward(now, &swarm.tree, own).encode());
        let want = swarm.want(now, peer, backlog, wants.as_deref());
        self.links.send(peer, &want, &mut self.env);
        self.subscriptions.on_asked(&discovery, peer);
        let (presences, hops) = if !swarm.roster.is_large(&self.env) {
            (swarm.roster.presences(now, &self.env), 1)
        } else if swarm.has_state() {
            let (links, homes) = (std::iter::empty(), self.homes.signalers());
            (vec![swarm.sign_presence(now, Says::All, links, homes, &mut self.env)], limits::HOPS)
        } else {
            (Vec::new(), 0)
        };
        for presence in presences {
            self.links.send(peer, &Frame::Presence { hops, presence: &presence }, &mut self.env);
        }
        if !std::mem::replace(&mut swarm.ready, true) {
            self.env.event(Event::Ready { discovery });
        }
    }

    pub(super) fn on_link_frame(&mut self, now: Time, peer: PeerId, frame: Frame<'_>) {
        let of_a_swarm = matches!(
            frame,
            Frame::Tree { .. }
                | Frame::Digest { .. }
                | Frame::Graft { .. }
                | Frame::Prune { .. }
                | Frame::Want { .. }
                | Frame::Interest { .. }
                | Frame::Routes { .. }
                | Frame::Seek { .. }
        );
        self.stirred |= !of_a_swarm;
        match frame {
            Frame::Want { discovery, age_ms, have, wants } if self.links.shares(&peer, &discovery) => {
                let wants = wants.filter(|wants| wants.len() <= limits::INTEREST).and_then(Summary::decode);
                let age = age_ms.map(Duration::from_millis);
                let want = Want { since: now, age, have: have.into_vec(), wants };
                let swarm = self.swarms.get_mut(&discovery);
                if let Some(want) = swarm.and_then(|swarm| swarm.wants.on_want(now, peer, want)) {
                    self.answer_when_loaded(now, peer, discovery, want);
                }
            }
            Frame::Sent { discovery, heads, ends } => {
                if let Some(swarm) =
                    self.swarms.get_mut(&discovery).filter(|_| self.links.shares(&peer, &discovery))
                {
                    swarm.feeds.on_heads(&heads);
                    self.on_ends(now, peer, discovery, &ends.unwrap_or_default());
                }
                self.subscriptions.on_answered(&discovery, peer);
            }
            Frame::Presence { hops, presence } => self.on_presence(now, Some(peer), hops, presence),
            Frame::Envelope { to, hops, envelope, left } => {
                self.on_way(now, peer, (to, hops, left), envelope);
            }
            Frame::Routes { party, anew, near } => {
                if let Some(swarm) = self.common_mut(&peer, party) {
                    swarm.0.routes.on_routes(now, &peer, anew, &near, swarm.1);
                }
            }
            Frame::Seek { party, .. } => self.on_seek(now, peer, party, &frame),
            Frame::Found { party, origin, hops, record } => {
                self.on_found(now, peer, party, (origin, hops), record);
            }
            Frame::Tree { party, .. } => {
                if let Some((swarm, env)) = self.common_mut(&peer, party) {
                    swarm.tree.on_tree(now, &peer, &frame, env);
                }
            }
            Frame::Interest { party, wants } => self.on_interest(now, peer, party, wants),
            Frame::Digest { party, have } => {
                let Some((swarm, env)) = self.common_mut(&peer, party) else { return };
                let feeds = &swarm.feeds;
                swarm.broadcast.on_digest(now, peer, &have, |range| feeds.lacks(range, env), env);
            }
            Frame::Graft { party, want } => {
                let Some((swarm, _)) = self.common_mut(&peer, party) else { return };
                swarm.broadcast.on_graft(now, peer, &want);
                // However often it is named, it is sent once.
                let mut once: Map<Tag, Ranges> = Map::new();
                for range in want.iter() {
                    once.entry(range.feed).or_default().insert(range.first, range.last());
                }
                let named = once.iter().flat_map(|(feed, ranges)| ranges.pairs().map(|range| (*feed, range)));
                let wanted = named.flat_map(|(feed, (first, last))| swarm.feeds.of_range(feed, first, last));
                let begin = |kept: &Arc<Kept>| swarm.interest.skipped(&peer, kept.range().feed, kept.first);
                let wanted: Vec<_> = wanted.map(|kept| (begin(&kept), kept)).collect();
                let discovery = swarm.party.discovery();
                self.give_keys(now, peer, discovery, &wanted.iter().map(|(_, kept)| kept.feed).collect());
                for (begin, kept) in wanted {
                    let age_ms = u64::try_from(now.since(kept.since).as_millis()).unwrap_or(u64::MAX);
                    self.links.send_kept(peer, (&kept, begin), Some(age_ms), &mut self.env);
                }
            }
            Frame::Members { discovery, statements, redemption } => {
                self.on_members(now, peer, discovery, &statements, redemption);
            }
            Frame::Prekey { prekey } => self.on_neighbours_prekey(now, peer, prekey),
            Frame::Revoked { revocations } => self.on_revocations(now, peer, &revocations),
            Frame::NoMember { discovery, reason } => self.on_no_member(now, peer, discovery, reason),
            Frame::Fork { party, one, other } => self.on_fork(now, peer, party, (one, other)),
            Frame::Shuffle { party, reply, members } => {
                if let Some((swarm, _)) = self.common_mut(&peer, party) {
                    let discovery = swarm.party.discovery();
                    self.on_shuffle(now, peer, discovery, &members, reply);
                }
            }
            Frame::Prune { party } => {
                if let Some((swarm, _)) = self.common_mut(&peer, party) {
                    swarm.broadcast.on_prune(peer);
                }
            }
            _ => {}
        }
    }

    /// The party of that tag that we have in common with a neighbour.
    pub(super) fn common_mut(&mut self, peer: &PeerId, party: Tag) -> Option<(&mut Swarm, &Env)> {
        let links = &self.links;
        let mut swarms = self.swarms.iter_mut();
        let common = swarms.find(|(key, swarm)| swarm.tag == party && links.shares(peer, key));
        common.map(|(_, swarm)| (swarm, &self.env))
    }

    pub(super) fn on_presence(&mut self, now: Time, from: Option<PeerId>, hops: u8, bytes: &[u8]) {
        let Ok(peeked) = statement::peek_presence(bytes) else {
            return self.strike(now, from, "a presence that cannot be read");
        };
        // What came through a signaler was sealed under the party's key.
        if from.is_some_and(|peer| !self.links.shares(&peer, &peeked.discovery)) {
            return;
        }
        // Whoever has known the party's key can seal one; it says whose it is.
        let of = |record: &[u8]| statement::peek_record(record).ok().map(|record| record.identity);
        if of(&peeked.record).is_some_and(|identity| self.revocations.has(now, &identity, &peeked.peer)) {
            return;
        }
        let Some(swarm) = self.swarms.get_mut(&peeked.discovery) else { return };
        if swarm.private.is_some() && of(&peeked.record).and_then(|of| swarm.role(&of)).is_none() {
            return;
        }
        match swarm.roster.on_presence(now, (from, hops), bytes, &mut self.env) {
            Heard::New => self.on_heard(now, peeked.discovery, peeked.peer, (from, hops), bytes),
            Heard::Known => {}
            Heard::Forged => self.strike(now, from, "a presence that does not verify"),
            Heard::Flood => self.strike(now, from, "more presences than anybody has to say"),
        }
    }

    /// The presences of a party whose turn has come.
    pub(super) fn hear_late(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        for Said { peer, from, hops, bytes, .. } in swarm.roster.hear_late(now, &mut self.env) {
            self.on_heard(now, discovery, peer, (from, hops), &bytes);
        }
    }

    /// A presence is new: what it says of its peer, and who else is to hear it.
    fn on_heard(
        &mut self,
        now: Time,
        discovery: DiscoveryKey,
        of: PeerId,
        (from, hops): (Option<PeerId>, u8),
        bytes: &[u8],
    ) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if let Some((record, record_bytes)) = swarm.roster.record(&of) {
            swarm.feeds.learn(now, record, record_bytes, &self.env);
            self.mail.on_known(now, &record.identity);
        }
        if hops < limits::HOPS && !swarm.roster.is_large(&self.env) {
            let neighbours: Vec<PeerId> =
                self.links.neighbours(&discovery).filter(|peer| Some(*peer) != from).collect();
            for peer in neighbours {
                let frame = Frame::Presence { hops: hops + 1, presence: bytes };
                self.links.send(peer, &frame, &mut self.env);
            }
        }
    }

    pub(super) fn on_bundle(
        &mut self,
        now: Time,
        peer: PeerId,
        (hops, age_ms, from): (u8, u64, Option<u64>),
        record: Option<&[u8]>,
        bytes: &[u8],
    ) {
        let Ok(bundle) = decode::<Bundle>(bytes, feeds::BUNDLE) else {
            return self.strike(now, Some(peer), "a publication that cannot be read");
        };
        let discovery = bundle.discovery;
        if !self.links.shares(&peer, &discovery) {
            return;
        }
        let is_revoked = self.is_revoked_publication(now, &bundle);
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let (range, hops) = (feeds::range(&bundle), hops.saturating_add(1));
        if is_revoked || !swarm.may_publish(&bundle.author) {
            // Not its sender's fault for certain: it may know more of the members and of who was revoked, or less.
            self.env.stats.unopened += 1;
            return swarm.broadcast.on_refused(peer, range);
        }
        let age = Age { told: Duration::from_millis(age_ms), asked: swarm.asked(&peer) };
        let begin = from.filter(|from| *from < range.first);
        let verdict = swarm.feeds.on_bundle(now, (bundle, bytes), record, (age, hops, begin), &mut self.env);
        match verdict {
            Verdict::New { kept, ready } => {
                self.env.stats.received += kept.last - kept.first + 1;
                if let Some(begin) = begin {
                    swarm.interest.on_skipped(&peer, feed_range(range.feed, begin, range.first - 1));
                }
                if age.told < self.env.config.gap_wait {
                    self.pass_on(now, &kept, discovery, Some(peer));
                } else if now.since(kept.since) < self.env.config.repair_age {
                    // Most have it: those who lack it, too, may ask.
                    self.tell_of(now, &kept, discovery, peer);
                }
                self.deliver(now, discovery, &ready);
            }
            Verdict::Known => {
                self.env.stats.duplicates += 1;
                swarm.broadcast.on_again(now, peer, range, swarm.tag, &swarm.tree);
            }
            Verdict::NoRecord => self.env.stats.unopened += 1,
            Verdict::Forged => self.strike(now, Some(peer), "a publication that does not verify"),
        }
        self.tell_forks(now, discovery, None);
    }

    /// A neighbour passed on what nobody honest passes on.
    pub(super) fn strike(&mut self, now: Time, from: Option<PeerId>, what: &str) {
        self.env.stats.forged += 1;
        if let Some(peer) = from {
            let reason = format!("it sent {what}");
            self.on_link(now, LinkEvent::Close { peer, reason, misbehaved: true });
        }
    }

    /// Publications come in the order of their feeds: those of a private party as soon as they can be read.
    pub(super) fn deliver(&mut self, now: Time, discovery: DiscoveryKey, ready: &[Accepted]) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        match &mut swarm.private {
            None => self.hand_out(discovery, ready),
            Some(private) => {
                let open = private.group.on_ready(now, ready, (&mut swarm.feeds.storage, &mut self.env));
                self.hand_out(discovery, &open);
            }
        }
    }

    /// Gives publications that can be read to the subscriptions.
    pub(super) fn hand_out(&mut self, discovery: DiscoveryKey, open: &[Accepted]) {
        for accepted in open {
            self.subscriptions.on_ready(&discovery, accepted, &mut self.env);
        }
    }

    /// Closes links with peers that share no party with us any more.
    pub(super) fn close_useless(&mut self, now: Time) {
        let useless: Vec<PeerId> =
            self.links.open().map(|(peer, _)| peer).filter(|peer| !self.links.shares_any(peer)).collect();
        for peer in useless {
            self.drop_link(now, peer, ByeReason::NothingInCommon, "no party in common any more");
        }
    }
}
