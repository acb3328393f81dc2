//! A peer's sessions with other peers: which one counts, what is refused, what is stored.
//!
//! Commands: publish prekeys, begin a session with somebody's prekey, seal. Inputs: messages that came in envelopes, so that
//! their sender is known. Outputs: messages for envelopes, prekeys to publish, [`Change`]s to store. No timers.
//!
//! Rules:
//! - Whoever has no session with a peer begins one with a prekey of it. Each message says how to begin the session until
//!   something has come back in it. Of several sessions the last one counts, by when it was begun and then by id: two who
//!   begin at once come to the same one as soon as each has heard of both.
//! - Who cannot open what comes in a session answers that it is lost ([`SessionError::notice`]); if that was one of the last
//!   messages, and nothing has come back in the session since it was sealed, the sender forgets the session and those before it, and begins another one. So a side whose state was lost,
//!   or has gone back, costs a message that is sent again and nothing else, and old messages that somebody sends again
//!   cost nothing.
//! - Each message opens once. Of those that come late, 40 in each direction's turn are waited for; with more than
//!   [`GAP`](crate::session::GAP) missing the session is lost.
//! - A message is bound to its sender, recipient and session: what was meant for somebody else is refused even if it opens.
//!
//! The driver stores all [`Change`]s, in one transaction with what was opened, before anything is acknowledged and before
//! anything that was sealed leaves. What is stored is sealed ([`VaultKey`]).
//!
//! Invariants: at most [`CORRESPONDENTS`] peers are known, with at most [`SESSIONS`] sessions each; who was not heard or
//! written to for the longest time goes first. At most [`KEPT`] prekeys are kept, and at most [`HANDED`] of them are out with
//! single peers.

mod prekeys;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_core::CryptoRng;
use weft_wire::ratchet::Ratcheted;
use weft_wire::{AgreementKey, Bytes, PeerId, RatchetId, Tag, WireError, decode, encode, limits};

use crate::keys::PeerKey;
use crate::session::{Refused, Sessions};
use crate::statement::{StatementError, open_prekey};
use crate::vault::VaultKey;

pub use prekeys::{FALLBACK_AGE, FALLBACK_LIFE, FALLBACK_USES, KEPT, ONCE, ONCE_LIFE};

use prekeys::Prekeys;

/// Peers with whom sessions are kept. One may take 40 KB if somebody means ill, and takes 2 otherwise.
pub const CORRESPONDENTS: usize = 512;
/// Sessions with one peer: the one that counts, those of before whose messages are still on their way, and one in spare.
pub const SESSIONS: usize = 4;
/// Messages of a session, in each direction, that are known again.
pub const REMEMBERED: usize = 64;

/// Peers that have a prekey from us that they have not used: fewer than are kept beyond those that lie ready elsewhere.
pub const HANDED: usize = 64;

/// Sender, recipient, session and time, in front of what is sealed.
const BINDING: usize = 16;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A message.
    Message(Vec<u8>),
    /// The sender cannot open what we sent, and that session is forgotten: what has no receipt is to be sealed again. With
    /// `anew`, no session is left, and one begins with the sender's fallback, the prekey that a peer is least likely to have
    /// lost.
    Lost {
        /// There is no session with it any more.
        anew: bool,
    },
    /// The sender could not open a message of before, and others since: it came too late, or is an old one that somebody sent
    /// again. If it has no receipt, it is to be sealed again when its time has come.
    Missed,
}

/// Why nothing was opened, sealed or begun. Nothing was changed, but that a message which was [`Misdirected`](Self::Misdirected)
/// does not open again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Not a message of a session.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Not a message of Olm, or it names another session than its own.
    #[error("the message is malformed")]
    Malformed,
    /// It does not fit into an envelope.
    #[error("a message of a session has at most {max} bytes", max = limits::RATCHETED)]
    TooLarge,
    /// There is no session with that peer: one has to be begun.
    #[error("there is no session with that peer")]
    NoSession,
    /// The message is of a session that we do not have, and does not begin one: it cannot, or has before.
    #[error("the message's session is not known here")]
    UnknownSession(Missed),
    /// The message begins a session with a prekey that is used up, or was never ours.
    #[error("the message uses a prekey that is used up or unknown")]
    UnknownPrekey(Missed),
    /// The message was opened before.
    #[error("the message was opened before")]
    Replayed,
    /// The message's number was used for another message, or its key is gone: the sender's state has gone back.
    #[error("the message's key is gone")]
    Stale(Missed),
    /// More messages are missing before it than a session bears.
    #[error("too many messages are missing before this one")]
    TooFarAhead(Missed),
    /// The message was altered after it was sealed, or one side's state has gone back.
    #[error("the message was altered, or sealed with keys of before")]
    Tampered(Missed),
    /// The message was made by somebody else or for somebody else.
    #[error("the message was made for others")]
    Misdirected,
    /// The fallback has begun as many sessions as it may before it is renewed.
    #[error("the fallback prekey is worn out")]
    Worn(Missed),
    /// The prekey is no prekey, or its signature is not the peer's.
    #[error("the prekey is forged: {0}")]
    ForgedPrekey(#[from] StatementError),
    /// The prekey is somebody else's.
    #[error("the prekey is another peer's")]
    AnothersPrekey,
    /// The prekey's time has passed, or it claims more than any may have.
    #[error("the prekey has expired")]
    ExpiredPrekey,
    /// A key of small order: anybody would know what is agreed upon with it.
    #[error("the prekey is poisoned")]
    PoisonedPrekey,
}

impl SessionError {
    /// What to tell the sender, in an envelope: it has to begin another session.
    pub fn notice(&self) -> Option<Vec<u8>> {
        match self {
            Self::UnknownSession(missed)
            | Self::UnknownPrekey(missed)
            | Self::Worn(missed)
            | Self::Stale(missed)
            | Self::TooFarAhead(missed)
            | Self::Tampered(missed) => {
                Some(encode(&Ratcheted::Lost { session: missed.session, message: missed.message }))
            }
            _ => None,
        }
    }
}

/// What was not opened, as its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    session: RatchetId,
    message: Tag,
}

/// A row to store or, without a value, to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// At most 33 bytes.
    pub key: Vec<u8>,
    /// Sealed.
    pub value: Option<Vec<u8>>,
}

/// A peer's sessions. See the module's head.
pub struct Correspondence<S: Sessions> {
    me: PeerId,
    sessions: S,
    prekeys: Prekeys,
    with: BTreeMap<PeerId, Correspondent<S>>,
    /// Prekeys that peers got from us and have not used yet. Not stored: they work all the same.
    handed: BTreeMap<PeerId, Handed>,
    /// Counts what is done, to know who was not heard for the longest time.
    turn: u64,
    account_changed: bool,
    changed: BTreeSet<PeerId>,
}

/// A prekey that one peer got.
struct Handed {
    key: AgreementKey,
    signed: Vec<u8>,
    issued: u64,
}

/// All sessions with one peer.
struct Correspondent<S: Sessions> {
    /// The one that was used last is in front.
    held: Vec<Held<S>>,
    /// When the last session began, those that are forgotten included.
    latest: u64,
    /// When something was last done.
    turn: u64,
}

struct Held<S: Sessions> {
    session: S::Session,
    began: u64,
    /// The last messages that were opened, and that were sealed.
    opened: VecDeque<Tag>,
    sealed: VecDeque<Tag>,
    /// How many of those were sealed since something was opened: what opens shows that the other side has the session.
    unheard: usize,
}

impl<S: Sessions> Held<S> {
    fn new(session: S::Session, began: u64) -> Self {
        Self { session, began, opened: VecDeque::new(), sealed: VecDeque::new(), unheard: 0 }
    }

    fn rank(&self) -> (u64, RatchetId) {
        (self.began, S::id(&self.session))
    }
}

impl<S: Sessions> Correspondence<S> {
    /// A peer without sessions, whose state was lost or that is new.
    pub fn new(me: PeerId, rng: &mut impl CryptoRng) -> Self {
        Self {
            me,
            sessions: S::new(rng),
            prekeys: Prekeys::default(),
            with: BTreeMap::new(),
            handed: BTreeMap::new(),
            turn: 0,
            account_changed: true,
            changed: BTreeSet::new(),
        }
    }

    /// There is a session in which to seal for a peer.
    pub fn has(&self, peer: &PeerId) -> bool {
        self.with.get(peer).is_some_and(|with| !with.held.is_empty())
    }

    /// There is, or was, a session with a peer.
    pub fn knows(&self, peer: &PeerId) -> bool {
        self.with.contains_key(peer)
    }

    /// Forgets a peer: its sessions, and that there were any.
    pub fn forget(&mut self, peer: &PeerId) {
        self.handed.remove(peer);
        if self.with.remove(peer).is_some() {
            self.changed.insert(*peer);
        }
    }

    /// The session in which to seal for a peer.
    pub fn current(&self, peer: &PeerId) -> Option<RatchetId> {
        let held = self.with.get(peer)?.held.iter();
        held.map(Held::rank).max().map(|(_, id)| id)
    }

    /// Prekeys to publish, signed: the others hold `unused` for one session, and `now` is in milliseconds since the Unix
    /// epoch. Makes as many as are missing to [`ONCE`], and a fallback when the last one is [`FALLBACK_AGE`] old or worn.
    pub fn replenish(
        &mut self,
        rng: &mut impl CryptoRng,
        key: &PeerKey,
        now: u64,
        unused: usize,
    ) -> Vec<Vec<u8>> {
        let made = self.prekeys.replenish(&mut self.sessions, rng, key, now, unused);
        self.account_changed |= !made.is_empty();
        made
    }

    /// The fallback, signed, to publish it anew: after [`SessionError::UnknownPrekey`], which may mean that our state has
    /// gone back and others hold prekeys that we have not. None before [`replenish`](Self::replenish).
    pub fn fallback(&self, key: &PeerKey) -> Option<Vec<u8>> {
        self.prekeys.fallback(key, self.sessions.account())
    }

    /// A prekey for one peer that asks us directly, signed: the same one until it is used, and the fallback for those beyond
    /// [`HANDED`].
    pub fn hand_out(&mut self, rng: &mut impl CryptoRng, key: &PeerKey, now: u64, to: PeerId) -> Vec<u8> {
        let fresh = |one: &Handed| now.abs_diff(one.issued) < ONCE_LIFE / 2;
        self.handed.retain(|_, one| fresh(one) && self.prekeys.once.contains(&one.key));
        if let Some(one) = self.handed.get(&to) {
            return one.signed.clone();
        }
        let once = usize::from(self.handed.len() < HANDED);
        let made = self.prekeys.replenish(&mut self.sessions, rng, key, now, ONCE - once);
        self.account_changed |= !made.is_empty();
        let newest = self.prekeys.once.back().copied();
        match (made.into_iter().next_back(), newest) {
            (Some(signed), Some(key)) if once == 1 => {
                self.handed.insert(to, Handed { key, signed: signed.clone(), issued: now });
                signed
            }
            // There is one: it was made just now, if not before.
            _ => self.fallback(key).unwrap_or_default(),
        }
    }

    /// Begins a session with a peer, by one of its prekeys.
    ///
    /// # Errors
    /// See [`SessionError`]: forged, another's, expired and poisoned ones are told apart.
    pub fn begin(
        &mut self,
        rng: &mut impl CryptoRng,
        now: u64,
        peer: PeerId,
        prekey: &[u8],
    ) -> Result<(), SessionError> {
        let prekey = open_prekey(prekey)?;
        if prekey.peer != peer {
            return Err(SessionError::AnothersPrekey);
        }
        if prekey.until < now || prekey.until.saturating_sub(now) > ONCE_LIFE + FALLBACK_LIFE {
            return Err(SessionError::ExpiredPrekey);
        }
        let session = self.sessions.begin(rng, &prekey.account, &prekey.key);
        let session = session.ok_or(SessionError::PoisonedPrekey)?;
        let latest = self.with.get(&peer).map_or(0, |with| with.latest);
        let began = now.max(latest.saturating_add(1));
        self.keep(peer, Held::new(session, began));
        Ok(())
    }

    /// Seals a message for a peer.
    ///
    /// # Errors
    /// [`SessionError::NoSession`] and [`SessionError::TooLarge`].
    pub fn seal(
        &mut self,
        rng: &mut impl CryptoRng,
        peer: PeerId,
        plain: &[u8],
    ) -> Result<Vec<u8>, SessionError> {
        // What the library adds is under 300 bytes.
        if plain.len() + BINDING + 512 > limits::RATCHETED {
            return Err(SessionError::TooLarge);
        }
        let with = self.with.get_mut(&peer).ok_or(SessionError::NoSession)?;
        let held = with.held.iter_mut().max_by_key(|held| held.rank()).ok_or(SessionError::NoSession)?;
        let (began, session) = held.rank();
        let bound = [&binding(self.me, peer, session, began)[..], plain].concat();
        let sealed = S::seal(&mut held.session, rng, &bound);
        let (first, body) = sealed.ok_or(SessionError::NoSession)?;
        remember(&mut held.sealed, short_hash(&body));
        held.unheard = held.unheard.saturating_add(1);
        self.touch(peer);
        Ok(encode(&Ratcheted::Message { session, began, first, body: Bytes(body) }))
    }

    /// Opens what came from a peer, whose envelope has shown that it is the sender.
    ///
    /// # Errors
    /// See [`SessionError`]; if there is a [`notice`](SessionError::notice), the sender is to have it.
    pub fn open(&mut self, from: PeerId, bytes: &[u8]) -> Result<Opened, SessionError> {
        match decode(bytes, limits::ENVELOPE)? {
            Ratcheted::Message { session, began, first, body } => {
                let plain = self.open_message(from, session, began, first, &body.0)?;
                Ok(Opened::Message(plain))
            }
            Ratcheted::Lost { session, message } => Ok(self.on_lost(from, Missed { session, message })),
        }
    }

    fn open_message(
        &mut self,
        from: PeerId,
        session: RatchetId,
        began: u64,
        first: bool,
        body: &[u8],
    ) -> Result<Vec<u8>, SessionError> {
        let missed = Missed { session, message: short_hash(body) };
        let with = self.with.get_mut(&from);
        let known = with.and_then(|with| with.held.iter_mut().find(|held| S::id(&held.session) == session));
        let Some(held) = known else {
            return if first {
                self.accept(from, missed, began, body)
            } else {
                Err(SessionError::UnknownSession(missed))
            };
        };
        if held.began != began {
            return Err(SessionError::Malformed);
        }
        if held.opened.contains(&missed.message) {
            return Err(SessionError::Replayed);
        }
        // What it says of how the session began is not sealed, and would not be looked at any more.
        if first && S::first(body).map_err(|why| refusal(why, missed))?.id != session {
            return Err(SessionError::Malformed);
        }
        let bound = S::open(&mut held.session, first, body).map_err(|why| refusal(why, missed))?;
        let plain = unbind(&bound, &binding(from, self.me, session, began))?;
        remember(&mut held.opened, missed.message);
        held.unheard = 0;
        self.touch(from);
        self.bring_forward(from, session);
        Ok(plain)
    }

    /// Somebody begins a session.
    fn accept(
        &mut self,
        from: PeerId,
        missed: Missed,
        began: u64,
        body: &[u8],
    ) -> Result<Vec<u8>, SessionError> {
        let first = S::first(body).map_err(|why| refusal(why, missed))?;
        if first.id != missed.session {
            return Err(SessionError::Malformed);
        }
        self.prekeys.check(&first.prekey, missed)?;
        let before = self.sessions.save();
        let (new, bound) = self.sessions.accept(body).map_err(|why| refusal(why, missed))?;
        let plain = unbind(&bound, &binding(from, self.me, first.id, began));
        if plain.is_err()
            && let Some(before) = S::restore(&before)
        {
            // Somebody passes on what others have begun: the prekey is theirs still.
            self.sessions = before;
        }
        let plain = plain?;
        self.prekeys.on_used(&first.prekey, first.id);
        self.account_changed = true;
        let mut held = Held::new(new, began);
        remember(&mut held.opened, missed.message);
        self.keep(from, held);
        Ok(plain)
    }

    /// A peer cannot open what we send in a session.
    fn on_lost(&mut self, from: PeerId, missed: Missed) -> Opened {
        let Some(with) = self.with.get_mut(&from) else { return Opened::Missed };
        let held = with.held.iter().find(|held| S::id(&held.session) == missed.session);
        let is_new =
            |held: &&Held<S>| held.sealed.iter().rev().take(held.unheard).any(|one| *one == missed.message);
        let Some(held) = held.filter(is_new) else { return Opened::Missed };
        let rank = held.rank();
        with.held.retain(|held| held.rank() > rank);
        let anew = with.held.is_empty();
        self.touch(from);
        Opened::Lost { anew }
    }

    /// There is something to store. What nobody can have heard of yet need not be.
    pub fn is_changed(&self) -> bool {
        let known = !self.with.is_empty() || !self.prekeys.fallbacks.is_empty();
        self.account_changed && known || !self.changed.is_empty()
    }

    /// What is to be stored since this was last asked.
    pub fn changes(&mut self, rng: &mut impl CryptoRng, vault: &VaultKey) -> Vec<Change> {
        let mut rows = Vec::new();
        if core::mem::take(&mut self.account_changed) {
            rows.push((rows::ACCOUNT.to_vec(), Some(rows::account(&self.prekeys, &self.sessions))));
        }
        for peer in core::mem::take(&mut self.changed) {
            rows.push((rows::key(&peer), self.with.get(&peer).map(rows::correspondent)));
        }
        let seal = |(key, value): (Vec<u8>, Option<zeroize::Zeroizing<Vec<u8>>>)| Change {
            value: value.map(|value| vault.seal(rng, &key, &value)),
            key,
        };
        rows.into_iter().map(seal).collect()
    }

    /// What was stored. None if the lasting key is not there or not ours: all is lost then, and begins anew. Sessions that
    /// cannot be read are left out, and recover by themselves.
    pub fn restore<'a>(
        me: PeerId,
        vault: &VaultKey,
        rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<Self> {
        let (mut account, mut with) = (None, BTreeMap::new());
        for (turn, (key, value)) in (0..).zip(rows) {
            let Some(value) = vault.open(key, value) else { continue };
            if key == rows::ACCOUNT {
                account = rows::read_account::<S>(&value);
            } else if let Some(peer) = rows::peer(key)
                && with.len() < CORRESPONDENTS
                && let Some(correspondent) = rows::read_correspondent(&value, turn)
            {
                with.insert(peer, correspondent);
            }
        }
        let (prekeys, sessions) = account?;
        let turn = with.len() as u64;
        let (handed, changed) = (BTreeMap::new(), BTreeSet::new());
        Some(Self { me, sessions, prekeys, with, handed, turn, account_changed: false, changed })
    }

    /// Keeps a new session, in place of the one that was not used for the longest time.
    fn keep(&mut self, peer: PeerId, held: Held<S>) {
        if !self.with.contains_key(&peer)
            && self.with.len() >= CORRESPONDENTS
            && let Some(oldest) = self.with.iter().min_by_key(|(_, with)| with.turn).map(|(peer, _)| *peer)
        {
            self.with.remove(&oldest);
            self.changed.insert(oldest);
        }
        let with =
            self.with.entry(peer).or_insert_with(|| Correspondent { held: Vec::new(), latest: 0, turn: 0 });
        with.latest = with.latest.max(held.began);
        with.held.insert(0, held);
        with.held.truncate(SESSIONS);
        self.touch(peer);
    }

    fn bring_forward(&mut self, peer: PeerId, session: RatchetId) {
        if let Some(with) = self.with.get_mut(&peer)
            && let Some(at) = with.held.iter().position(|held| S::id(&held.session) == session)
        {
            with.held[..=at].rotate_right(1);
        }
    }

    fn touch(&mut self, peer: PeerId) {
        self.turn += 1;
        if let Some(with) = self.with.get_mut(&peer) {
            with.turn = self.turn;
        }
        self.changed.insert(peer);
    }
}

impl<S: Sessions> core::fmt::Debug for Correspondence<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Correspondence")
            .field("me", &self.me)
            .field("with", &self.with.len())
            .finish_non_exhaustive()
    }
}

fn remember(last: &mut VecDeque<Tag>, message: Tag) {
    last.push_back(message);
    if last.len() > REMEMBERED {
        last.pop_front();
    }
}

fn refusal(why: Refused, missed: Missed) -> SessionError {
    match why {
        Refused::Malformed | Refused::WeakKey => SessionError::Malformed,
        Refused::UnknownPrekey => SessionError::UnknownPrekey(missed),
        Refused::Tampered => SessionError::Tampered(missed),
        Refused::Used => SessionError::Stale(missed),
        Refused::TooFarAhead => SessionError::TooFarAhead(missed),
    }
}

/// Says by whom, for whom and in which session a message was sealed; in front of what the session seals.
pub fn binding(from: PeerId, to: PeerId, session: RatchetId, began: u64) -> [u8; BINDING] {
    let mut binding = [0; BINDING];
    let mut hash = blake3::Hasher::new_derive_key("weft/v1/session-binding");
    hash.update(&from.0).update(&to.0).update(&session.0).update(&began.to_be_bytes());
    hash.finalize_xof().fill(&mut binding);
    binding
}

fn unbind(bound: &[u8], binding: &[u8; BINDING]) -> Result<Vec<u8>, SessionError> {
    bound.strip_prefix(binding).map(<[u8]>::to_vec).ok_or(SessionError::Misdirected)
}

fn short_hash(body: &[u8]) -> Tag {
    let mut short = Tag([0; 8]);
    blake3::Hasher::new().update(body).finalize_xof().fill(&mut short.0);
    short
}
