//! Offers, answers and knocks: how a session begins, and what comes to it.

use weft_wire::sealed::Refusal;
use weft_wire::{DiscoveryKey, PeerId, SessionId, Time, limits};

use super::{DOUBT, Description, Kinds, Negotiator, Session, Step, fingerprint, refuse_step};
use crate::api::{Event, LinkId, LinkState, Output};
use crate::env::Env;

impl Negotiator {
    pub(super) fn begin_offer(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        urgent: bool,
        env: &mut Env,
    ) {
        let id = SessionId(env.random());
        self.remember(id);
        let link = self.begin(now, peer, (discovery, id), true, urgent);
        env.out.push_back(Output::OpenLink { link, offer: true });
    }

    pub(super) fn begin_answer(
        &mut self,
        now: Time,
        peer: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        urgent: bool,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(fingerprint) = fingerprint(&description.sdp) else {
            return vec![refuse_step(peer, discovery, id, 0, Refusal::BadDescription)];
        };
        if self.knocks.remove(&peer).is_none() && !self.streams.contains_key(&peer) {
            env.event(Event::Link { peer, state: LinkState::Connecting });
        }
        let link = self.begin(now, peer, (discovery, id), false, urgent);
        env.out.push_back(Output::OpenLink { link, offer: false });
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.fingerprints.1 = Some(fingerprint);
            session.accept(0, description, false, env);
        }
        Vec::new()
    }

    pub(super) fn begin(
        &mut self,
        now: Time,
        peer: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        offerer: bool,
        urgent: bool,
    ) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.insert(link, peer);
        self.sessions.insert(
            peer,
            Session {
                link,
                id,
                discovery,
                offerer,
                urgent,
                generation: 0,
                since: now,
                local: None,
                local_sent: false,
                describing: offerer,
                waiting_offer: None,
                restart_anew: false,
                candidates: Vec::new(),
                candidates_sent: 0,
                flush_at: None,
                remote: None,
                remote_candidates: Vec::new(),
                retry: None,
                fingerprints: (None, None),
                largest: limits::CHUNK,
                open_since: None,
                connected: false,
                restart_at: None,
                troubled_since: None,
                failed_at: None,
                kinds: (Kinds::default(), Kinds::default()),
            },
        );
        link
    }

    /// An offer in a session that we know: our answer got lost, or ICE restarts.
    pub(super) fn on_known_offer(
        &mut self,
        now: Time,
        from: PeerId,
        generation: u32,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(session) = self.sessions.get_mut(&from) else { return Vec::new() };
        if session.offerer || generation < session.generation {
            return Vec::new();
        }
        if generation > session.generation {
            if !session.describing {
                session.begin_generation(now, generation);
                session.accept(generation, description, false, env);
            } else if session.waiting_offer.as_ref().is_none_or(|(waiting, _)| *waiting < generation) {
                session.waiting_offer = Some((generation, description));
            }
            return Vec::new();
        }
        session.take_candidates(generation, description.candidates, env);
        if session.local_sent { session.describe(from, None, 0).into_iter().collect() } else { Vec::new() }
    }

    pub(super) fn on_answer(
        &mut self,
        from: PeerId,
        generation: u32,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(session) = self.sessions.get_mut(&from) else { return Vec::new() };
        if !session.offerer || generation != session.generation || !session.local_sent {
            return Vec::new();
        }
        if session.remote == Some(generation) {
            session.take_candidates(generation, description.candidates, env);
            return Vec::new();
        }
        let Some(fingerprint) = fingerprint(&description.sdp) else {
            return self.end(from, "the answer has no fingerprint", Some(Refusal::BadDescription), env);
        };
        session.fingerprints.1.get_or_insert(fingerprint);
        session.retry = None;
        session.accept(generation, description, true, env);
        Vec::new()
    }

    pub(super) fn on_knock(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        (urgent, stream): (bool, Option<SessionId>),
        owes: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        if from < env.me {
            return Vec::new(); // The lower side offers, it does not knock.
        }
        let stream_id = self.stream_id(&from);
        let Some(session) = self.sessions.get_mut(&from).filter(|one| stream_id.is_none() || one.id == id)
        else {
            return match stream_id {
                // A restart of an attempt that has ended here.
                Some(_) if id != SessionId([0; 16]) => Vec::new(),
                // The stream stays until the connection is there.
                Some(_) if stream == stream_id && self.sessions.contains_key(&from) => Vec::new(),
                Some(_) if stream != stream_id => self.on_doubt(now, from, (discovery, urgent), owes, env),
                _ => {
                    if stream_id.is_none() {
                        env.event(Event::Link { peer: from, state: LinkState::Connecting });
                    }
                    self.begin_offer(now, from, discovery, urgent, env);
                    Vec::new()
                }
            };
        };
        if session.id == id {
            // The other side asks for an ICE restart. Ours may be under way already.
            if session.open_since.is_some() && now.since(session.since) >= env.config.signal_retry {
                session.restart_at = Some(now);
                session.troubled_since.get_or_insert(now);
            }
            return Vec::new();
        }
        if session.open_since.is_none() {
            // Its knock and our offer have crossed; or it has answered, and knocks as one who knows nothing of that: it has
            // begun anew.
            if session.remote.is_none() || now.since(session.since) < DOUBT {
                return Vec::new();
            }
            return self.begin_anew(now, from, (discovery, urgent), env);
        }
        self.on_doubt(now, from, (discovery, urgent), owes, env)
    }

    /// The other side knows nothing of the link, it seems. Its knock may be older than the link, or an old one that somebody
    /// repeats: the link is replaced only if it does not answer.
    fn on_doubt(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, urgent): (DiscoveryKey, bool),
        owes: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        if owes.is_none_or(|since| now.since(since) < DOUBT) {
            return vec![Step::Doubted { peer: from }];
        }
        self.begin_anew(now, from, (discovery, urgent), env)
    }

    /// What there is with the other side makes room for a new offer.
    fn begin_anew(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, urgent): (DiscoveryKey, bool),
        env: &mut Env,
    ) -> Vec<Step> {
        let mut steps = self.replace(now, from, env);
        env.event(Event::Link { peer: from, state: LinkState::Connecting });
        self.begin_offer(now, from, discovery, urgent, env);
        steps.retain(|step| !matches!(step, Step::Doubted { .. }));
        steps
    }
}
