//! What was said about one registrant, and what follows from it.
//!
//! Input: its registrations and the decisions about it, in any order. Output: its [`State`]. Invariant: the state depends on
//! which statements are there, and on the sovereigns, not on the order in which anything came.
//!
//! Each decision names the statement that it follows, so a history is a tree with a registration at its root, and clocks
//! do not matter for its order. The state is found by walking from the root, at each fork to the branch that comes first:
//!
//! - of two registrations, the one that a sovereign has decided about; then the earlier, then the one with the smaller digest;
//! - of two decisions, the stricter (revoke or deny, approve, reset, a new registration); then the earlier, then the smaller digest.
//!
//! ```text
//!            approve            revoke
//! Pending -----------> Approved -------> Revoked
//!    |  ^ \  deny          |                |
//!    |  |  ---------> Denied                |
//!    +--+ register        | reset           | reset
//!  (after a reset)        +---> Pending <---+
//! ```

use std::collections::BTreeMap;

use weft_wire::registry::{Registration, Sealed, Statement};
use weft_wire::{Digest, RegistryKey};

use crate::registry::sovereigns::Sovereigns;

/// What sovereigns say of a registrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet; or that it may try again.
    Pending {
        /// Room was made for a new registration.
        reset: bool,
    },
    Approved,
    Denied,
    Revoked,
}

/// How a registrant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The registration that counts.
    pub(crate) registration: Digest,
    /// The newest statement that counts; what follows names it.
    pub(crate) head: Digest,
    pub(crate) verdict: Verdict,
    /// The last decision: when, and whose.
    pub(crate) decided: Option<(u64, RegistryKey)>,
}

#[derive(Debug, Default)]
pub(crate) struct History(BTreeMap<Digest, (Statement, Sealed)>);

impl History {
    pub(crate) fn insert(&mut self, digest: Digest, statement: Statement, sealed: Sealed) {
        self.0.insert(digest, (statement, sealed));
    }

    pub(crate) fn remove(&mut self, digest: &Digest) {
        self.0.remove(digest);
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn registration(&self, digest: &Digest) -> Option<(&Registration, &Sealed)> {
        match self.0.get(digest)? {
            (Statement::Register(body), sealed) => Some((body, sealed)),
            _ => None,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Digest, &Sealed)> {
        self.0.iter().map(|(digest, (_, sealed))| (*digest, sealed))
    }

    /// What follows from all that was said.
    pub(crate) fn state(&self, sovereigns: &Sovereigns) -> Option<State> {
        let root = self
            .0
            .iter()
            .filter(|(_, (statement, _))| follows(statement).is_none())
            .map(|(digest, (statement, _))| (begin(*digest), statement.time()))
            .min_by_key(|(root, time)| (self.next(root, sovereigns).is_none(), *time, root.head));
        let (mut state, _) = root?;
        // Every step adds a statement, so there are at most as many.
        while let Some(next) = self.next(&state, sovereigns) {
            state = next;
        }
        Some(state)
    }

    /// The state after the statement that comes first of those that follow.
    fn next(&self, state: &State, sovereigns: &Sovereigns) -> Option<State> {
        let key = self.registration(&state.registration)?.0.key;
        self.0
            .iter()
            .filter(|(_, (statement, _))| follows(statement) == Some(state.head))
            .filter_map(|(digest, (statement, _))| {
                let (rank, next) = step(state, *digest, statement, &key, sovereigns)?;
                Some(((rank, statement.time(), *digest), next))
            })
            .min_by_key(|(order, _)| *order)
            .map(|(_, next)| next)
    }
}

fn begin(registration: Digest) -> State {
    State { registration, head: registration, verdict: Verdict::Pending { reset: false }, decided: None }
}

/// The statement that one follows.
fn follows(statement: &Statement) -> Option<Digest> {
    match statement {
        Statement::Register(body) => body.after,
        Statement::Approve(body)
        | Statement::Deny(body)
        | Statement::Reset(body)
        | Statement::Revoke(body) => Some(body.after),
        _ => None,
    }
}

/// The state after a statement, if it can follow, and its rank among others that could.
fn step(
    state: &State,
    digest: Digest,
    statement: &Statement,
    key: &RegistryKey,
    sovereigns: &Sovereigns,
) -> Option<(u8, State)> {
    let pending = matches!(state.verdict, Verdict::Pending { .. });
    let (rank, verdict, body) = match statement {
        Statement::Revoke(body) if state.verdict == Verdict::Approved => (0, Verdict::Revoked, body),
        Statement::Deny(body) if pending => (0, Verdict::Denied, body),
        Statement::Approve(body) if pending => (1, Verdict::Approved, body),
        // Also of an approval: its registrant may have been denied here because no heartbeats came.
        Statement::Reset(body) if !pending => (2, Verdict::Pending { reset: true }, body),
        Statement::Register(_) if state.verdict == (Verdict::Pending { reset: true }) => {
            return Some((3, begin(digest)));
        }
        _ => return None,
    };
    if body.key != *key || !sovereigns.was(&body.sovereign, body.time) {
        return None;
    }
    let decided = Some((body.time, body.sovereign));
    Some((rank, State { head: digest, verdict, decided, ..*state }))
}
