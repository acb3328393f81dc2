//! Siblings: handshake, admission, keeping tables alike.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use weft_crypto::statement::{open_entry, open_gone, peek_entry, peek_gone, refresh_of, refreshed};
use weft_wire::sibling::{Refresh, Sibling, Watching};
use weft_wire::signaler::EntryBytes;
use weft_wire::{Code, DiscoveryKey, SignalerId, Text, Time, WireError, decode, limits};

use crate::dials::Verdict;
use crate::forwarding::{Fan, Passage};
use crate::frames;
use crate::io::{ConnId, DialId, Event, Output};
use crate::links::Summary;
use crate::mailboxes::BoxId;
use crate::registry::Standing;
use crate::signaler::Signaler;
use crate::table::{Key, Kind, News, Statement};
use crate::timers::Timer;

/// Statements of siblings that wait to be verified, and what was said after them. One of each sibling after another, so that
/// nobody waits for a sibling that has much to say.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// None is empty.
    waiting: BTreeMap<ConnId, VecDeque<Waiting>>,
    /// How much that is, by [`Waiting::weight`].
    count: usize,
    last: Option<ConnId>,
    armed: bool,
}

impl Inbox {
    fn push(&mut self, from: ConnId, said: impl IntoIterator<Item = Waiting>) {
        let queue = self.waiting.entry(from).or_default();
        for one in said {
            self.count += one.weight();
            queue.push_back(one);
        }
        if queue.is_empty() {
            self.waiting.remove(&from);
        }
    }

    fn pop(&mut self) -> Option<(ConnId, Waiting)> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.waiting.range((after, Bound::Unbounded)).next().or_else(|| self.waiting.iter().next());
        let from = *next?.0;
        let queue = self.waiting.get_mut(&from)?;
        let said = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&from);
        }
        self.count -= said.weight();
        self.last = Some(from);
        Some((from, said))
    }

    /// Who has most to say.
    fn longest(&self) -> Option<ConnId> {
        self.waiting.iter().max_by_key(|(_, queue)| weight(queue)).map(|(from, _)| *from)
    }

    fn forget(&mut self, from: ConnId) {
        self.count -= self.waiting.remove(&from).map_or(0, |queue| weight(&queue));
    }
}

fn weight(queue: &VecDeque<Waiting>) -> usize {
    queue.iter().map(Waiting::weight).sum()
}

#[derive(Debug)]
enum Waiting {
    Statement(Unverified),
    Refresh { refresh: Refresh, pass: bool },
    Offer { discovery: DiscoveryKey, names: Vec<u8> },
    Watch { discovery: DiscoveryKey, said: Watching, sum: u64, hops: u8 },
    Summary(Summary),
}

impl Waiting {
    /// In statements: how much room it takes here.
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Offer { names, .. } => names.len(),
            Self::Summary(summary) => summary.sums.len(),
            Self::Statement(_) | Self::Refresh { .. } | Self::Watch { .. } => 0,
        };
        1 + bytes / STATEMENT_BYTES
    }
}

#[derive(Debug)]
struct Unverified {
    gone: bool,
    /// Whoever told us did not tell the others that keep it.
    pass: bool,
    bytes: Vec<u8>,
    /// It was put together here, from a refresh of something with this name.
    refresh: Option<u64>,
}

/// Signatures verified at once, so that nobody's answer waits for a whole table: about 1.5 ms.
const VERIFY_AT_ONCE: usize = 32;
/// About the bytes of a statement.
const STATEMENT_BYTES: usize = 256;
/// Statements looked at at once: most are known already and cost a lookup.
const LOOK_AT_ONCE: usize = 512;
/// Changes told at once per link: eight full frames.
const TELL_AT_ONCE: usize = 8 * limits::ENTRIES;

impl Signaler {
    pub(crate) fn on_sibling_bytes(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(link) = self.links.link_mut(conn) else { return };
        self.counters.sibling_frames += 1;
        self.counters.sibling_bytes += bytes.len() as u64;
        link.pulse.heard = now;
        let (up, admitted) = (link.is_up(), link.admitted);
        let max = if admitted { limits::FRAME } else { limits::FRAME_BEFORE_AUTH };
        let frame = match decode::<Sibling<'_>>(bytes, max) {
            Ok(frame) => frame,
            Err(WireError::UnknownOptional(_)) => {
                self.counters.ignored_frames += 1;
                return;
            }
            Err(WireError::TooLarge { .. }) => return self.close_link(now, conn, Code::TooLarge),
            Err(_) => return self.sibling_strike(now, conn, Code::BadFrame),
        };
        match frame {
            Sibling::Challenge { signaler, nonce } => {
                match self.links.on_challenge(conn, signaler, nonce, &self.key) {
                    Ok(signature) => self.send(conn, frames::small(&Sibling::Prove { signature })),
                    Err(code) => self.on_handshake_refused(now, conn, code),
                }
            }
            Sibling::Prove { signature } => match self.links.on_prove(conn, &signature, self.us) {
                Ok(id) => self.on_proved(now, conn, id),
                Err(code) => self.on_handshake_refused(now, conn, code),
            },
            Sibling::Admitted { url, card } => {
                self.on_admitted(now, conn, url.map(Text::into_string), card.map(|card| card.0));
            }
            Sibling::Error { code, .. } => {
                if !up {
                    let id = self.links.link(conn).and_then(crate::links::Link::id);
                    self.put(Output::Event(Event::RefusedBySibling { id, code }));
                }
            }
            Sibling::Goodbye { code } => {
                let id = self.links.link(conn).filter(|_| up).and_then(crate::links::Link::id);
                self.put(Output::Close { conn, code: Code::ShuttingDown });
                self.forget_link(now, conn);
                if code == Code::ShuttingDown
                    && let Some(id) = id
                {
                    self.on_member_goodbye(now, id);
                }
            }
            Sibling::Ping { token } => self.send(conn, frames::small(&Sibling::Pong { token })),
            Sibling::Pong { .. } => {}
            _ if !admitted => self.sibling_strike(now, conn, Code::NotAuthenticated),
            Sibling::Entries { entries, ring } => {
                self.on_statements(now, conn, entries.into_vec(), false, ring);
            }
            Sibling::Refreshes { refreshes, ring } => {
                let pass = ring != Some(self.ring.name());
                let refreshes = refreshes.into_vec().into_iter();
                let waiting = refreshes.map(|refresh| Waiting::Refresh { refresh, pass }).collect();
                self.on_many(now, conn, waiting);
            }
            Sibling::Gone { gone, ring } => self.on_statements(now, conn, gone.into_vec(), true, ring),
            Sibling::Offer { discovery, names } => {
                self.on_said(now, conn, Waiting::Offer { discovery, names: names.0 });
            }
            Sibling::Summary { ring, whole, sums } => {
                self.on_said(now, conn, Waiting::Summary(Summary { ring, whole, sums: sums.0 }));
            }
            Sibling::Wanted { discovery, names } => self.on_wanted(conn, discovery, &names.0),
            Sibling::Watch { discovery, said, sum, hops } => {
                self.on_said(now, conn, Waiting::Watch { discovery, said, sum, hops });
            }
            Sibling::Connected { peers, gone } => self.on_connected_peers(conn, &peers, &gone),
            Sibling::Forward { re, to, home, hops, envelope } => {
                let passage = Passage { to, home: Some(home), hops, from: Some(conn), envelope };
                self.on_sibling_forward(now, conn, re, &passage);
            }
            Sibling::Fanout { re, discovery, home, hops, from, payload } => {
                let fan = Fan { discovery, home, hops, sender: from, payload };
                self.on_sibling_fanout(now, conn, re, &fan);
            }
            Sibling::Outcome { re, code } => self.on_outcome(conn, re, code),
            Sibling::RegistrySummary { network, sums } => self.on_registry_summary(conn, &network, &sums.0),
            Sibling::RegistryHave { bucket, digests } => self.on_registry_have(conn, bucket, &digests),
            Sibling::RegistryStatements { statements } => {
                self.on_registry_statements(now, conn, &statements);
            }
            Sibling::Gossip { packet } => self.on_gossip(now, conn, packet),
            // Of siblings that do not admit us yet nothing about mail or links is taken.
            Sibling::MailAsk { .. }
            | Sibling::MailAnswer { .. }
            | Sibling::MailKeep { .. }
            | Sibling::MailKept { .. }
            | Sibling::MailSums { .. }
            | Sibling::MailLook { .. }
            | Sibling::MailHave { .. }
            | Sibling::MailNames { .. }
            | Sibling::MailDone { .. }
            | Sibling::MailWaits { .. }
            | Sibling::Linked { .. }
                if !up => {}
            Sibling::MailAsk { re, hops, sender, frame } => {
                self.on_mail_ask(now, conn, re, hops, sender, frame);
            }
            Sibling::MailAnswer { re, frame } => self.on_mail_answer(conn, re, frame),
            Sibling::MailKeep { re, identity, peer, items } => {
                self.on_mail_keep(now, conn, re, BoxId { identity, peer }, items.into_vec());
            }
            Sibling::MailKept { re, code, after } => self.on_mail_kept(now, conn, re, code, after),
            Sibling::MailSums { ring, answer, sums } => self.on_mail_sums(now, conn, ring, answer, &sums.0),
            Sibling::MailLook { re, identity, boxes } => self.on_mail_look(conn, re, identity, &boxes),
            Sibling::MailHave { re, leaving, boxes } => self.on_mail_have(now, conn, re, leaving, &boxes),
            Sibling::MailNames { re, identity, peer, names } => {
                self.on_mail_names(now, conn, re, BoxId { identity, peer }, &names.0);
            }
            Sibling::MailDone { re } => self.on_mail_done(now, conn, re),
            Sibling::MailWaits { identity, peer, hops } => {
                self.on_mail_waits(&BoxId { identity, peer }, hops);
            }
            Sibling::Linked { siblings } => self.on_linked(now, conn, &siblings),
        }
    }

    /// It is time to dial a sibling, unless it is linked already.
    pub(crate) fn on_dial(&mut self, now: Time, dial: DialId) {
        if self.stopping || !self.dials.is_due(dial, now) {
            return;
        }
        if self.dials.is_learned(dial) && !self.dials.expected(dial).is_some_and(|id| self.may_admit(&id)) {
            // Later, perhaps.
            return self.on_dial_down(now, dial);
        }
        if self.dials.expected(dial).is_some_and(|id| self.links.to(&id).is_some()) {
            // It called us. Should that link go, `forget_link` arms this again.
            return;
        }
        if let Some(url) = self.dials.begin(dial) {
            self.put(Output::Dial { dial, url });
        }
    }

    pub(crate) fn on_dial_down(&mut self, now: Time, dial: DialId) {
        if let Some(at) = self.dials.on_down(now, dial, &self.config, &mut self.rng) {
            self.timers.arm(at, Timer::Dial(dial));
        }
    }

    /// A connection with a sibling is gone, or is about to be.
    pub(crate) fn forget_link(&mut self, now: Time, conn: ConnId) {
        let Some((link, in_use)) = self.links.on_closed(conn) else { return };
        self.on_outcomes_lost(conn);
        self.on_mail_link_lost(now, conn, link.id());
        self.residences.on_lost(conn);
        if in_use && let Some(id) = link.id() {
            self.on_moves_lost(&id);
        }
        self.on_watches_lost(now, conn);
        if let Some(dial) = link.dial {
            self.on_dial_down(now, dial);
        }
        if in_use && let Some(id) = link.id() {
            self.put(Output::Event(Event::SiblingDown(id)));
            self.on_links_changed(now, true);
            for dial in self.dials.waiting_for(id) {
                self.on_dial_down(now, dial);
            }
        }
    }

    /// Tells a sibling why, and closes.
    pub(crate) fn close_link(&mut self, now: Time, conn: ConnId, code: Code) {
        self.sibling_goodbye(conn, code);
        self.forget_link(now, conn);
    }

    pub(crate) fn sibling_goodbye(&mut self, conn: ConnId, code: Code) {
        self.send(conn, frames::small(&Sibling::Goodbye { code }));
        self.put(Output::Close { conn, code });
    }

    /// Counts a sibling's malformed frame.
    pub(crate) fn sibling_strike(&mut self, now: Time, conn: ConnId, code: Code) {
        self.counters.refuse(code);
        self.send(conn, frames::sibling_error(code));
        let Some(link) = self.links.link_mut(conn) else { return };
        link.strikes += 1;
        if link.strikes >= self.config.strikes {
            self.close_link(now, conn, code);
        }
    }

    /// Something changed: siblings are told shortly.
    pub(crate) fn arm_flush(&mut self, now: Time) {
        if !self.flush_armed && !self.links.up().is_empty() {
            self.flush_armed = true;
            self.timers.arm(now + self.config.batch(), Timer::Flush);
        }
    }

    pub(crate) fn on_flush(&mut self, now: Time) {
        self.flush_armed = false;
        for conn in self.links.up() {
            self.flush_link(now, conn);
        }
    }

    /// Tells one sibling what changed since it was last told, a portion at a time.
    pub(crate) fn flush_link(&mut self, now: Time, conn: ConnId) {
        self.place_changes(now);
        let version = self.table.version();
        if self.links.link(conn).is_some_and(|link| self.is_held_back(now, link)) {
            return;
        }
        self.compare_first(conn);
        let Some(link) = self.links.link_mut(conn).filter(|link| link.is_up() && !link.is_full()) else {
            return;
        };
        if link.behind && link.told == 0 {
            link.since = version;
        }
        link.behind &= link.told < link.since;
        if link.told == version {
            return;
        }
        let Some(link) = self.links.link(conn) else { return };
        // Each told to all that keep them, and not.
        let (mut entries, mut gone) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let mut refreshes = [Vec::new(), Vec::new()];
        let full = self.is_unplaced(conn);
        let mut told = version;
        for (count, logged) in self.table.changes(link.told).enumerate() {
            if count == TELL_AT_ONCE {
                told = logged.version - 1;
                break;
            }
            // It is where this came from.
            if logged.via == Some(conn) || !self.is_told(conn, link, &logged) {
                continue;
            }
            let ours = logged.key.home == self.us;
            let to_all = usize::from(ours && self.reaches_all(&logged.key.discovery));
            let has_base = !full && logged.base <= link.told && logged.version > link.since;
            if let Some(refresh) =
                has_base.then(|| refresh_of(&logged.bytes, &logged.bytes, logged.name)).flatten()
            {
                refreshes[to_all].push(refresh);
                continue;
            }
            let list = if logged.kind == Kind::Gone { &mut gone } else { &mut entries };
            list[to_all].push(weft_wire::Bytes(logged.bytes.to_vec()));
        }
        if let Some(link) = self.links.link_mut(conn) {
            link.told = told;
            link.behind &= told < link.since;
        }
        let ring = Some(self.ring.name());
        for (refreshes, ring) in refreshes.into_iter().zip([None, ring]) {
            self.send_refreshes(conn, refreshes, ring);
        }
        for ((entries, gone), ring) in entries.into_iter().zip(gone).zip([None, ring]) {
            self.send_entries(conn, entries, ring);
            self.send_gone(conn, gone, ring);
        }
        if told != self.table.version() {
            self.arm_flush(now);
        }
    }

    /// Before a shutdown: all there is to tell. With whoever came a moment ago there is no time left to compare: it hears of what
    /// changed after `since`.
    pub(crate) fn flush_all(&mut self, now: Time, conn: ConnId, since: u64) {
        let Some(link) = self.links.link_mut(conn).filter(|link| link.is_up()) else { return };
        if link.behind && link.told == 0 && link.card.is_some() && !link.unlike {
            link.told = link.since.min(since);
        }
        link.behind = false;
        while self.links.link(conn).is_some_and(|link| !link.is_full() && link.told != self.table.version()) {
            self.flush_link(now, conn);
        }
    }

    /// Verifies a portion of what siblings sent.
    pub(crate) fn on_inbox(&mut self, now: Time) {
        self.inbox.armed = false;
        let (mut verified, mut looked) = (0, 0);
        while verified < VERIFY_AT_ONCE && looked < LOOK_AT_ONCE {
            let Some((from, waiting)) = self.inbox.pop() else { break };
            looked += waiting.weight();
            match waiting {
                Waiting::Statement(statement) => {
                    verified += usize::from(self.on_statement(now, from, &statement));
                }
                Waiting::Refresh { refresh, pass } => {
                    verified += usize::from(self.on_refreshed(now, from, &refresh, pass));
                }
                Waiting::Offer { discovery, names } => self.on_offer(now, from, discovery, &names),
                Waiting::Summary(summary) => self.on_summary(now, from, summary),
                Waiting::Watch { discovery, said, sum, hops } => {
                    self.on_watch(now, from, discovery, said, sum, hops);
                }
            }
        }
        if self.inbox.count > 0 {
            self.inbox.armed = true;
            self.timers.arm(now, Timer::Inbox);
        }
    }

    fn on_proved(&mut self, now: Time, conn: ConnId, id: SignalerId) {
        let dial = self.links.link(conn).and_then(|link| link.dial);
        let may_admit = self.may_admit(&id);
        let standing = self.standing_of(id);
        let verdict = match standing {
            Standing::Barred => Verdict::Refuse,
            Standing::Admitted | Standing::Unknown => self.dials.judge(dial, id, may_admit),
        };
        match verdict {
            Verdict::Admit => {}
            Verdict::Pin { url } => self.put(Output::PinSibling { url, id }),
            Verdict::Wrong { url, expected } => {
                self.put(Output::Event(Event::WrongSibling { url, expected, proved: id }));
                return self.close_link(now, conn, Code::WrongParty);
            }
            Verdict::Refuse => {
                self.counters.refuse(Code::NotAdmitted);
                self.put(Output::Event(Event::SiblingRefused {
                    id,
                    registered: standing == Standing::Barred,
                }));
                self.send(conn, frames::sibling_error(Code::NotAdmitted));
                return self.close_link(now, conn, Code::NotAdmitted);
            }
        }
        if let Some(link) = self.links.link_mut(conn) {
            link.admitted = true;
        }
        let url = self.config.public_url.as_deref().and_then(Text::new);
        self.put(Output::Raise { conn });
        let card = Some(weft_wire::Bytes(self.membership.card().to_vec()));
        self.send(conn, frames::small(&Sibling::Admitted { url, card }));
        self.on_maybe_up(now, conn);
    }

    fn on_admitted(&mut self, now: Time, conn: ConnId, url: Option<String>, card: Option<Vec<u8>>) {
        let Some(link) = self.links.link_mut(conn).filter(|link| !link.admits_us) else { return };
        link.admits_us = true;
        link.url = url;
        link.card = card;
        self.on_maybe_up(now, conn);
    }

    fn on_maybe_up(&mut self, now: Time, conn: ConnId) {
        let Some(link) = self.links.link(conn).filter(|link| link.is_up()) else { return };
        let (dial, id) = (link.dial, link.id());
        let version = self.table.version();
        if let Some(link) = self.links.link_mut(conn) {
            link.since = version;
        }
        let loser = self.links.on_up(now, conn, self.us, self.config.auth());
        if let Some(dial) = dial {
            self.dials.on_up(dial);
        }
        if loser != Some(conn) {
            self.tell_registry(conn);
            if loser.is_none()
                && let Some(id) = id
            {
                self.put(Output::Event(Event::SiblingUp(id)));
            }
            self.on_member_linked(now, conn);
            self.on_links_changed(now, loser.is_none());
            self.compare_mail_soon(now);
            self.retell_connected(now);
            for discovery in self.watches.all() {
                self.reconsider(now, &discovery);
            }
            self.flush_link(now, conn);
        }
        if let Some(loser) = loser {
            self.close_link(now, loser, Code::Replaced);
        }
    }

    fn on_handshake_refused(&mut self, now: Time, conn: ConnId, code: Code) {
        let dial = self.links.link(conn).and_then(|link| link.dial);
        if code == Code::WrongParty
            && let Some(url) = dial.and_then(|dial| self.dials.on_own(dial))
        {
            self.put(Output::Event(Event::OwnUrl(url)));
        }
        self.counters.refuse(code);
        self.send(conn, frames::sibling_error(code));
        self.close_link(now, conn, code);
    }

    fn on_statements(
        &mut self,
        now: Time,
        from: ConnId,
        statements: Vec<EntryBytes>,
        gone: bool,
        ring: Option<u64>,
    ) {
        let pass = ring != Some(self.ring.name());
        let unverified = |bytes| Unverified { gone, pass, bytes, refresh: None };
        let statements = statements.into_iter();
        let waiting =
            statements.map(|weft_wire::Bytes(bytes)| Waiting::Statement(unverified(bytes))).collect();
        self.on_many(now, from, waiting);
    }

    /// Something that counts only once what was said before is taken in.
    fn on_said(&mut self, now: Time, from: ConnId, said: Waiting) {
        self.on_many(now, from, vec![said]);
    }

    /// Statements that are looked at one after another. Should too many wait, it is the sibling with the most that goes: it begins
    /// anew once it is linked again.
    fn on_many(&mut self, now: Time, from: ConnId, said: Vec<Waiting>) {
        self.inbox.push(from, said);
        while self.inbox.count > (self.config.max_entries as usize).saturating_mul(2) {
            let Some(longest) = self.inbox.longest() else { return };
            self.inbox.forget(longest);
            if self.links.link(longest).is_some() {
                self.counters.refuse(Code::RateLimited);
                self.close_link(now, longest, Code::RateLimited);
            }
        }
        self.arm_inbox(now);
    }

    fn arm_inbox(&mut self, now: Time) {
        if !self.inbox.armed {
            self.inbox.armed = true;
            self.timers.arm(now, Timer::Inbox);
        }
    }

    /// Takes one statement. Returns whether a signature had to be verified.
    fn on_statement(&mut self, now: Time, from: ConnId, statement: &Unverified) -> bool {
        let Unverified { gone, mut pass, ref bytes, refresh } = *statement;
        let peeked = if gone {
            peek_gone(bytes).map(|gone| {
                (Key { discovery: gone.discovery, peer: gone.peer, home: gone.home }, gone.seq, Kind::Gone, 0)
            })
        } else {
            peek_entry(bytes).map(|entry| {
                let kind = if entry.left { Kind::Left } else { Kind::Present };
                (
                    Key { discovery: entry.discovery, peer: entry.peer, home: entry.home },
                    entry.seq,
                    kind,
                    entry.until,
                )
            })
        };
        let Ok((key, seq, kind, until)) = peeked else {
            self.counters.forged_entries += 1;
            self.sibling_strike(now, from, Code::BadFrame);
            return false;
        };
        // None: the link is lost since.
        let sibling = self.links.link(from).and_then(crate::links::Link::id);
        let from_home = sibling == Some(key.home);
        if !self.is_kept_here(now, &key) {
            self.counters.misdirected += 1;
            if !from_home && !self.is_unplaced(from) {
                // A watch of ours has just ended.
                return false;
            }
            self.counters.forwarded_once += 1;
            pass = true;
        }
        let news = self.table.news(&key, seq, kind, bytes);
        match news {
            News::Old => return false,
            News::Same => {
                self.links.on_told(key.home, from);
                return false;
            }
            News::New if self.has_its_share(&key, sibling) => {
                self.counters.refused_entries += 1;
                return false;
            }
            News::New if self.table.len() >= self.config.max_entries as usize => {
                self.counters.dropped_entries += 1;
                return false;
            }
            News::New | News::Newer | News::Other => {}
        }
        if kind == Kind::Present {
            let (present, is_member) = self.table.presence(&key.discovery, &key.peer);
            if !is_member && present >= self.config.max_members_per_swarm as usize {
                self.counters.dropped_entries += 1;
                return false;
            }
            if until <= now.millis() {
                self.counters.expired_entries += 1;
                return false;
            }
        }
        let genuine = if gone { open_gone(bytes).is_ok() } else { open_entry(bytes).is_ok() };
        if let (false, Some(name)) = (genuine, refresh) {
            // It refreshes something else than what is here.
            self.ask_for(now, from, key.discovery, name, seq);
            return true;
        }
        if !genuine {
            self.counters.forged_entries += 1;
            self.sibling_strike(now, from, Code::BadSignature);
            return true;
        }
        if news == News::Other {
            self.counters.equivocations += 1;
            return true;
        }
        self.links.on_told(key.home, from);
        let bytes: Arc<[u8]> = bytes.as_slice().into();
        if kind != Kind::Present {
            self.withdraw(now, key, seq, kind, bytes, Some((from, pass)));
            if let Some(id) = sibling.filter(|_| news == News::New) {
                self.table.charge(&key, id);
            }
            return true;
        }
        let until = Time::from_millis(until).min(now + self.config.ttl());
        let change =
            self.table.apply(Statement { key, seq, kind, until, bytes: bytes.clone() }, Some(from), pass);
        if let Some(id) = sibling.filter(|_| news == News::New) {
            self.table.charge(&key, id);
        }
        if key.home == self.us {
            // From before our own restart: the peer may come back, as after the loss of a socket.
            self.keep_place(now, key.peer, key.discovery);
        }
        self.tell(&key, change, &bytes);
        self.arm_flush(now);
        if self.is_unplaced(from) {
            self.reconsider(now, &key.discovery);
        }
        true
    }

    /// Whether a sibling has brought as many entries as it may. Those of other homes have a bound of their own: what somebody else
    /// floods it with, and it passes on, costs its own peers no place.
    fn has_its_share(&self, key: &Key, sibling: Option<SignalerId>) -> bool {
        let most = self.config.max_entries_per_sibling as usize;
        sibling.is_some_and(|id| {
            let own = key.home == id;
            self.table.share_of(&id, own) >= if own { most } else { most / 2 }
        })
    }

    /// Takes what is new in a refresh. Returns whether a signature had to be verified.
    fn on_refreshed(&mut self, now: Time, from: ConnId, refresh: &Refresh, pass: bool) -> bool {
        let Refresh { discovery, name, seq, .. } = *refresh;
        match self.table.present_named(&discovery, name) {
            Some((known, _)) if known >= seq => false,
            Some((_, old)) => {
                let Some(bytes) = refreshed(&old, refresh) else { return false };
                let statement = Unverified { gone: false, pass, bytes, refresh: Some(name) };
                self.on_statement(now, from, &statement)
            }
            None if self.placed(now, &discovery).keeps(&self.us) || self.wants(&discovery) => {
                self.ask_for(now, from, discovery, name, seq);
                false
            }
            None => {
                // A watch of ours has just ended.
                self.counters.misdirected += 1;
                false
            }
        }
    }

    /// Whether what is said of a swarm belongs here.
    fn is_kept_here(&mut self, now: Time, key: &Key) -> bool {
        key.home == self.us || self.placed(now, &key.discovery).keeps(&self.us) || self.wants(&key.discovery)
    }
}
