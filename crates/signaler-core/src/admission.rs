//! The registry between signalers: whom it lets in, and how registries come out alike.
//!
//! Whatever is new goes to every other sibling at once. What was missed on the way is found by comparing: a summary when a link
//! comes up, and every half minute; where two differ, each says what it has there, and gets what it lacks.

use core::time::Duration;
use std::collections::BTreeSet;

use weft_crypto::registry::peek;
use weft_wire::registry::{NetworkName, RegistrantId, Sealed, Statement};
use weft_wire::sibling::Sibling;
use weft_wire::{Bytes, Code, Digest, List, SignalerId, Signature, Time, limits};

use crate::frames;
use crate::io::{ConnId, Input, Output};
use crate::registry::{Record, Refusal, Registry, RegistryOutput, Standing, Status};
use crate::signaler::Signaler;
use crate::timers::Timer;

/// How often registries are compared. What is new does not wait for it; only what a lost link took along does.
pub(crate) const COMPARING: Duration = Duration::from_secs(30);

impl Signaler {
    /// Gives the registry what the database held. To be called before anything else; returns how much could not be read.
    pub fn restore(&mut self, now: Time, records: impl IntoIterator<Item = Record>) -> usize {
        let unread = self.registry.restore(now, records);
        self.on_registry(now, None);
        unread
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A client of the registry says something. What is to be stored comes as [`Output::Record`] before this returns.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing has changed.
    pub fn submit(
        &mut self,
        now: Time,
        statement: &Statement,
        signature: Signature,
    ) -> Result<Option<Status>, Refusal> {
        let taken = self.registry.submit(now, statement, signature);
        self.on_registry(now, None);
        taken
    }

    /// A service of a registrant was looked at.
    pub fn on_probed(
        &mut self,
        now: Time,
        id: &RegistrantId,
        kind: &weft_wire::registry::ServiceType,
        port: u16,
        healthy: bool,
    ) {
        self.registry.on_probed(now, id, kind, port, healthy);
        self.on_registry(now, None);
    }

    /// Siblings may let us in now: those that are not linked are called at once.
    pub fn redial(&mut self, now: Time) {
        for dial in self.dials.all().collect::<Vec<_>>() {
            self.dials.begin_again(dial);
            self.timers.arm(now, Timer::Dial(dial));
        }
        self.handle(now, Input::Tick);
    }

    /// Whether a sibling may be let in, as far as the registry is concerned.
    pub(crate) fn standing_of(&self, id: SignalerId) -> Standing {
        self.registry.standing(id.into())
    }

    /// Carries out what the registry wants. `from` is the link over which the cause came.
    pub(crate) fn on_registry(&mut self, now: Time, from: Option<ConnId>) {
        let mut news = Vec::new();
        while let Some(output) = self.registry.poll() {
            match output {
                RegistryOutput::Store(record) => self.put(Output::Record(record)),
                RegistryOutput::News(sealed) => news.push(sealed),
                RegistryOutput::Changed(id) => {
                    if let Some(shown) = self.registry.show(now, &id) {
                        self.put(Output::Registrant(Box::new(shown)));
                    }
                    self.expel(now);
                }
            }
        }
        for conn in self.links.up().into_iter().filter(|conn| Some(*conn) != from) {
            self.tell_statements(conn, news.iter().cloned());
        }
    }

    /// Closes the links of those who are not let in any more.
    fn expel(&mut self, now: Time) {
        let proved = self.links.all().filter_map(|(conn, link)| Some((conn, link.id()?)));
        let out: Vec<(ConnId, SignalerId)> =
            proved.filter(|(_, id)| self.standing_of(*id) == Standing::Barred).collect();
        for (conn, id) in out {
            self.counters.refuse(Code::NotAdmitted);
            self.send(conn, frames::sibling_error(Code::NotAdmitted));
            self.close_link(now, conn, Code::NotAdmitted);
            self.on_member_goodbye(now, id);
        }
    }

    /// A link came up: the other side hears what the registry holds, and who was heard of last.
    pub(crate) fn tell_registry(&mut self, conn: ConnId) {
        let sums = sums(&self.registry);
        if sums.iter().all(|sum| *sum == 0) {
            return;
        }
        self.tell_summary(conn, sums);
        let beats: Vec<Sealed> = self.registry.beats().cloned().collect();
        self.tell_statements(conn, beats);
    }

    /// It is time to compare registries.
    pub(crate) fn on_compare(&mut self, now: Time) {
        self.timers.arm(now + COMPARING, Timer::Registry);
        let sums = sums(&self.registry);
        if sums.iter().all(|sum| *sum == 0) {
            return;
        }
        for conn in self.links.up() {
            self.tell_summary(conn, sums.clone());
        }
    }

    /// A sibling says what its registry holds: where ours differs, it hears what we have, and gives us the rest.
    pub(crate) fn on_registry_summary(&mut self, conn: ConnId, network: &NetworkName, theirs: &[u8]) {
        if network != self.registry.network() {
            let Some(link) = self.links.link_mut(conn) else { return };
            if !core::mem::replace(&mut link.other_network, true)
                && let Some(id) = link.id()
            {
                let theirs = network.clone();
                self.put(Output::Event(crate::Event::OtherNetwork { id, theirs }));
            }
            return;
        }
        let ours = sums(&self.registry);
        let theirs = theirs.chunks_exact(8).chain(std::iter::repeat(&[0; 8][..]));
        for (bucket, (ours, theirs)) in (0..=u8::MAX).zip(ours.chunks_exact(8).zip(theirs)) {
            // What they lack altogether they ask for themselves.
            if ours == theirs || theirs.iter().all(|byte| *byte == 0) {
                continue;
            }
            let digests = self.registry.statements().map(|(digest, _)| digest);
            let digests = List::first(digests.filter(|digest| digest.0[0] == bucket));
            self.send(conn, frames::small(&Sibling::RegistryHave { bucket, digests }));
        }
    }

    /// A sibling says what it has: it gets the rest.
    pub(crate) fn on_registry_have(&mut self, conn: ConnId, bucket: u8, theirs: &[Digest]) {
        let theirs: BTreeSet<Digest> = theirs.iter().copied().collect();
        let lacking = self
            .registry
            .statements()
            .filter(|(digest, _)| digest.0[0] == bucket && !theirs.contains(digest));
        let mut lacking: Vec<Sealed> = lacking.map(|(_, sealed)| sealed.clone()).collect();
        // A heartbeat is of no use before its registration.
        let mut beats = Vec::new();
        for sealed in &lacking {
            if let Ok(Statement::Register(body)) = peek(sealed) {
                beats.extend(self.registry.beat(&body.id).cloned());
            }
        }
        lacking.extend(beats);
        self.tell_statements(conn, lacking);
    }

    /// A sibling passes statements on.
    pub(crate) fn on_registry_statements(&mut self, now: Time, conn: ConnId, statements: &[Sealed]) {
        for sealed in statements {
            if self.registry.on_sibling(now, sealed).is_err() {
                self.sibling_strike(now, conn, Code::BadSignature);
            }
        }
        self.on_registry(now, Some(conn));
    }

    fn tell_summary(&mut self, conn: ConnId, sums: Vec<u8>) {
        let frame = Sibling::RegistrySummary { network: self.registry.network().clone(), sums: Bytes(sums) };
        self.send(conn, frames::small(&frame));
    }

    fn tell_statements(&mut self, conn: ConnId, statements: impl IntoIterator<Item = Sealed>) {
        let mut statements = statements.into_iter().peekable();
        while statements.peek().is_some() {
            let statements = List::first(statements.by_ref().take(limits::REGISTRY_STATEMENTS));
            self.send(conn, frames::small(&Sibling::RegistryStatements { statements }));
        }
    }
}

/// What a registry holds, in few bytes: see [`Sibling::RegistrySummary`].
fn sums(registry: &Registry) -> Vec<u8> {
    let mut sums = vec![0; limits::REGISTRY_SUMS];
    for (digest, _) in registry.statements() {
        let bytes = digest.0.iter().skip(8).take(8);
        for (sum, byte) in sums.iter_mut().skip(usize::from(digest.0[0]) * 8).zip(bytes) {
            *sum ^= byte;
        }
    }
    sums
}
