//! One negotiation: descriptions of a generation, candidates, restarts.

use std::time::Duration;

use weft_wire::sealed::{Candidate, Refusal, Signal};
use weft_wire::{DiscoveryKey, List, PeerId, SessionId, Time, limits};

use super::{Description, REMOTE_CANDIDATES, Retry, Session, Step};
use crate::api::Output;
use crate::env::Env;

/// Candidates may come for so long after ICE has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn begin_generation(&mut self, now: Time, generation: u32) {
        self.generation = generation;
        self.since = now;
        self.local = None;
        self.local_sent = false;
        self.candidates.clear();
        self.candidates_sent = 0;
        self.flush_at = None;
        self.retry = None;
        self.remote_candidates.retain(|(of, _)| *of >= generation);
    }

    /// Restarts ICE, or asks the other side to. Should that get lost, another one follows.
    pub(super) fn restart(&mut self, now: Time, peer: PeerId, env: &mut Env, steps: &mut Vec<Step>) {
        self.restart_at = Some(now + env.config.ice_restart_after);
        if !self.offerer {
            steps.push(knock_step(
                peer,
                self.discovery,
                Some(self.id),
                self.generation,
                (false, None),
                self.generation,
            ));
            return;
        }
        // An offer that is on its way is sent again by itself; a newer one would only overtake its answer.
        let under_way = self.remote.is_none_or(|of| of < self.generation)
            && now.since(self.since) < env.config.signal_give_up;
        if self.describing || (under_way && !self.restart_anew) {
            return;
        }
        self.restart_anew = false;
        self.begin_generation(now, self.generation + 1);
        self.describing = true;
        env.out.push_back(Output::RestartIce { link: self.link });
    }

    /// Gives a remote description to the platform, and the candidates that waited for it.
    pub(super) fn accept(&mut self, generation: u32, description: Description, answer: bool, env: &mut Env) {
        let (link, sdp) = (self.link, description.sdp.into_string());
        self.kinds.1.learn(&sdp);
        self.largest = largest_message(&sdp);
        env.out.push_back(if answer {
            Output::AcceptAnswer { link, sdp }
        } else {
            Output::AcceptOffer { link, sdp }
        });
        self.describing |= !answer;
        self.remote = Some(generation);
        let waited: Vec<Candidate> = self
            .remote_candidates
            .iter()
            .filter(|(of, _)| *of == generation)
            .map(|(_, c)| c.clone())
            .collect();
        for candidate in waited {
            env.out.push_back(Output::AddCandidate { link, candidate });
        }
        self.take_candidates(generation, description.candidates, env);
    }

    pub(super) fn take_candidates(
        &mut self,
        generation: u32,
        candidates: List<Candidate, { limits::CANDIDATES }>,
        env: &mut Env,
    ) {
        for candidate in candidates {
            let known = self.remote_candidates.iter().any(|(of, c)| *of == generation && *c == candidate);
            if known || generation < self.generation || self.remote_candidates.len() >= REMOTE_CANDIDATES {
                continue;
            }
            self.kinds.1.learn(&candidate.candidate);
            self.remote_candidates.push((generation, candidate.clone()));
            if self.remote == Some(generation) {
                env.out.push_back(Output::AddCandidate { link: self.link, candidate });
            }
        }
    }

    /// Sends the description if it has not been sent, else the candidates that came since.
    pub(super) fn flush(
        &mut self,
        now: Time,
        peer: PeerId,
        stream: Option<SessionId>,
        env: &Env,
    ) -> Option<Step> {
        self.local.as_ref()?;
        if !self.local_sent {
            self.local_sent = true;
            self.candidates_sent = self.candidates.len();
            if self.offerer {
                self.retry = Some(Retry::first(now, env));
            }
            return self.describe(peer, stream, 0);
        }
        let more = List::first(self.candidates.iter().skip(self.candidates_sent).cloned());
        self.candidates_sent = self.candidates.len();
        (!more.is_empty()).then(|| self.step(peer, Signal::Candidates { candidates: more }, 0))
    }

    /// The description, as a signal. An offer names the stream that the connection is to replace.
    pub(super) fn describe(&self, peer: PeerId, stream: Option<SessionId>, attempt: u32) -> Option<Step> {
        let sdp = self.local.clone()?;
        let candidates = List::first(self.candidates.iter().cloned());
        let signal = if self.offerer {
            Signal::Offer { sdp, candidates, urgent: self.urgent, entry: Vec::new(), links: None, stream }
        } else {
            Signal::Answer { sdp, candidates }
        };
        Some(self.step(peer, signal, attempt))
    }

    pub(super) fn step(&self, to: PeerId, signal: Signal, attempt: u32) -> Step {
        let (discovery, session, generation) = (self.discovery, self.id, self.generation);
        Step::Send { to, discovery, session, generation, signal, attempt }
    }

    pub(super) fn give_up_at(&self, env: &Env) -> Option<Time> {
        match (self.open_since, self.troubled_since) {
            (None, _) => {
                let at = self.since + env.config.signal_give_up;
                Some(self.failed_at.map_or(at, |failed| at.min(failed + AFTER_FAILURE)))
            }
            (Some(_), Some(since)) => Some(since + env.config.ice_give_up),
            (Some(_), None) => None,
        }
    }

    pub(super) fn deadlines(&self, env: &Env) -> impl Iterator<Item = Time> {
        let retry = self.retry.map(|retry| retry.at);
        [self.flush_at, retry, self.restart_at, self.give_up_at(env)].into_iter().flatten()
    }
}

pub(super) fn knock_step(
    to: PeerId,
    discovery: DiscoveryKey,
    session: Option<SessionId>,
    generation: u32,
    (urgent, stream): (bool, Option<SessionId>),
    attempt: u32,
) -> Step {
    let session = session.unwrap_or(SessionId([0; 16]));
    Step::Send {
        to,
        discovery,
        session,
        generation,
        signal: Signal::Knock { urgent, entry: Vec::new(), links: None, stream },
        attempt,
    }
}

pub(super) fn refuse_step(
    to: PeerId,
    discovery: DiscoveryKey,
    session: SessionId,
    generation: u32,
    reason: Refusal,
) -> Step {
    Step::Send { to, discovery, session, generation, signal: Signal::Refuse { reason }, attempt: 0 }
}

pub(super) fn refusal_text(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Full => "refused: all its places are taken",
        Refusal::Blocked => "refused",
        Refusal::NotInSwarm => "refused: it is not in this party any more",
        Refusal::BadDescription => "refused: it could not use our description",
        Refusal::UnknownSession => "the other side was restarted",
        Refusal::Other => "refused, for a reason that this version does not know",
    }
}

/// The value of the first `a=fingerprint` line (RFC 8122 section 5), in upper case.
pub(super) fn fingerprint(sdp: &str) -> Option<String> {
    let value = sdp.lines().find_map(|line| line.trim().strip_prefix("a=fingerprint:"))?.trim();
    (value.len() >= 16 && value.len() <= 256).then(|| value.to_ascii_uppercase())
}

/// The value of the first `a=max-message-size` line (RFC 8841 section 6): 64 KiB without one, any size if it is 0.
fn largest_message(sdp: &str) -> usize {
    let value = sdp.lines().find_map(|line| line.trim().strip_prefix("a=max-message-size:"));
    match value.and_then(|value| value.trim().parse().ok()) {
        Some(0) => usize::MAX,
        Some(bytes) => bytes,
        None => 64 * 1024,
    }
}
