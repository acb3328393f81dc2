//! Links to siblings: proof of keys, admission, routes to homes that are not linked directly.
//!
//! Inputs: connections, `Challenge`, `Prove`, `Admitted`, who told of which home. Outputs: what to answer, which link
//! leads to a home. Timer: one pulse per connection, as for peers.
//!
//! Invariants: a link is up when both sides proved their keys and both said `Admitted`; at most one link per sibling is
//! in [`Links::to`]; every route leads over a link that is up.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use weft_crypto::SignalerKey;
use weft_crypto::challenge::{check_sibling, prove_to_sibling};
use weft_wire::{Code, Nonce, SignalerId, Signature, Time};

use crate::io::{ConnId, DialId};
use crate::peers::Pulse;

/// One connection with a sibling, or with somebody who says so.
#[derive(Debug)]
pub(crate) struct Link {
    /// If we dialled it.
    pub(crate) dial: Option<DialId>,
    ours: Nonce,
    theirs: Option<Nonce>,
    /// Claimed in its challenge, proved if `proved`.
    claimed: Option<SignalerId>,
    proved: bool,
    /// We said `Admitted`.
    pub(crate) admitted: bool,
    /// It said `Admitted`.
    pub(crate) admits_us: bool,
    pub(crate) opened: Time,
    /// When it came up.
    up: Option<Time>,
    pub(crate) pulse: Pulse,
    pub(crate) strikes: u32,
    /// The last change of the table that it was told.
    pub(crate) told: u64,
    /// The last change of the table before it came up, or before it was known to live.
    pub(crate) since: u64,
    /// It has not been told of those, or what it has of them is not compared yet.
    pub(crate) behind: bool,
    /// It is told all of those, without comparing.
    pub(crate) unlike: bool,
    /// Summaries in a row by which it knows other members than we do.
    pub(crate) differs: u32,
    /// Those that it knew by the last of them, and those that we did.
    pub(crate) rings: (u64, u64),
    /// Summaries that it got in answer to its own since the last that it got anyway.
    pub(crate) answers: u8,
    /// No summary of its table is looked at before this.
    pub(crate) compares_at: Time,
    /// That it belongs to another federation was told.
    pub(crate) other_network: bool,
    /// A summary that came while it was not known who keeps what.
    pub(crate) summary: Option<Summary>,
    /// Where it says it can be reached.
    pub(crate) url: Option<String>,
    /// It understands gossip: the card that it sent, checked once the link is up.
    pub(crate) card: Option<Vec<u8>>,
    /// Of which of our links it was told last.
    pub(crate) linked_told: Option<u64>,
    /// With whom it says that it is linked.
    pub(crate) says: Option<BTreeSet<SignalerId>>,
}

impl Link {
    /// Its proved key.
    pub(crate) fn id(&self) -> Option<SignalerId> {
        self.claimed.filter(|_| self.proved)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.admitted && self.admits_us
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pulse.full.is_some()
    }
}

/// What a sibling has in common with us, by its own word.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) ring: u64,
    pub(crate) whole: bool,
    pub(crate) sums: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    conns: BTreeMap<ConnId, Link>,
    by_id: BTreeMap<SignalerId, ConnId>,
    /// By home: the links over which its entries came, the first first.
    routes: BTreeMap<SignalerId, Vec<ConnId>>,
}

impl Links {
    pub(crate) fn on_connected(&mut self, now: Time, conn: ConnId, dial: Option<DialId>, ours: Nonce) {
        let link = Link {
            dial,
            ours,
            theirs: None,
            claimed: None,
            proved: false,
            admitted: false,
            admits_us: false,
            opened: now,
            up: None,
            pulse: Pulse::new(now),
            strikes: 0,
            told: 0,
            since: 0,
            behind: true,
            unlike: false,
            differs: 0,
            rings: (0, 0),
            answers: 0,
            compares_at: now,
            other_network: false,
            summary: None,
            url: None,
            card: None,
            linked_told: None,
            says: None,
        };
        self.conns.insert(conn, link);
    }

    /// The other side's challenge. Returns our proof.
    ///
    /// # Errors
    /// [`Code::BadFrame`] for a second challenge, [`Code::WrongParty`] for our own id. Nothing changed.
    pub(crate) fn on_challenge(
        &mut self,
        conn: ConnId,
        signaler: SignalerId,
        nonce: Nonce,
        key: &SignalerKey,
    ) -> Result<Signature, Code> {
        let link = self.conns.get_mut(&conn).filter(|link| link.theirs.is_none()).ok_or(Code::BadFrame)?;
        if signaler == key.id() {
            return Err(Code::WrongParty);
        }
        link.theirs = Some(nonce);
        link.claimed = Some(signaler);
        Ok(prove_to_sibling(key, signaler, &link.ours, &nonce))
    }

    /// The other side's proof. Returns its key.
    ///
    /// # Errors
    /// [`Code::BadFrame`] out of order, [`Code::BadSignature`]. Nothing changed.
    pub(crate) fn on_prove(
        &mut self,
        conn: ConnId,
        signature: &Signature,
        us: SignalerId,
    ) -> Result<SignalerId, Code> {
        let link = self.conns.get_mut(&conn).filter(|link| !link.proved).ok_or(Code::BadFrame)?;
        let (Some(id), Some(theirs)) = (link.claimed, link.theirs) else { return Err(Code::BadFrame) };
        check_sibling(id, us, &theirs, &link.ours, signature).map_err(|_| Code::BadSignature)?;
        link.proved = true;
        Ok(id)
    }

    /// A link came up. Returns the connection that is to be closed if there were two. Of two that came up within `racing` of
    /// each other, because both sides dialled, the one kept was dialled by the lower id, or is the newer one if the same side
    /// dialled both: both sides come to the same choice. Else the newer one: whoever dials has lost the older.
    pub(crate) fn on_up(
        &mut self,
        now: Time,
        conn: ConnId,
        us: SignalerId,
        racing: Duration,
    ) -> Option<ConnId> {
        let link = self.conns.get_mut(&conn)?;
        link.up = Some(now);
        let id = link.id()?;
        let we_dialled_new = link.dial.is_some();
        let loser = self.by_id.get(&id).copied().filter(|old| *old != conn).map(|at| {
            let old = self.conns.get(&at);
            let we_dialled_old = old.is_some_and(|old| old.dial.is_some());
            let races = old.and_then(|old| old.up).is_some_and(|up| now <= up + racing);
            let keep_new = !races || we_dialled_new == we_dialled_old || we_dialled_new == (us < id);
            if keep_new { at } else { conn }
        });
        if loser != Some(conn) {
            self.by_id.insert(id, conn);
        }
        loser
    }

    pub(crate) fn link(&self, conn: ConnId) -> Option<&Link> {
        self.conns.get(&conn)
    }

    pub(crate) fn link_mut(&mut self, conn: ConnId) -> Option<&mut Link> {
        self.conns.get_mut(&conn)
    }

    /// Every connection, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ConnId, &Link)> {
        self.conns.iter().map(|(conn, link)| (*conn, link))
    }

    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }

    /// The links that are used, in order.
    pub(crate) fn up(&self) -> Vec<ConnId> {
        self.by_id.values().copied().collect()
    }

    /// The siblings with which a link is used, in order.
    pub(crate) fn siblings(&self) -> impl Iterator<Item = &SignalerId> {
        self.by_id.keys()
    }

    /// The link to a sibling.
    pub(crate) fn to(&self, id: &SignalerId) -> Option<ConnId> {
        self.by_id.get(id).copied()
    }

    /// An entry of `home` came over `conn`.
    pub(crate) fn on_told(&mut self, home: SignalerId, conn: ConnId) {
        if !self.conns.get(&conn).is_some_and(Link::is_up) {
            return;
        }
        let links = self.routes.entry(home).or_default();
        if !links.contains(&conn) {
            links.push(conn);
        }
    }

    /// The link that leads to a home: its own, or the first over which its entries came. Never back to `from`.
    pub(crate) fn next_hop(&self, home: &SignalerId, from: Option<ConnId>) -> Option<ConnId> {
        let direct = self.by_id.get(home).copied();
        let told = self.routes.get(home).into_iter().flatten().copied();
        direct.into_iter().chain(told).find(|conn| Some(*conn) != from)
    }

    /// Forgets a connection. Returns it, and whether it was the one in use.
    pub(crate) fn on_closed(&mut self, conn: ConnId) -> Option<(Link, bool)> {
        let link = self.conns.remove(&conn)?;
        self.routes.retain(|_, links| {
            links.retain(|via| *via != conn);
            !links.is_empty()
        });
        let in_use = link.id().is_some_and(|id| self.by_id.get(&id) == Some(&conn));
        if in_use && let Some(id) = link.id() {
            self.by_id.remove(&id);
        }
        Some((link, in_use))
    }
}
