//! What waits to be given to the core, and what the core has not yet made safe.
//!
//! Once a document is stored at its reader's residence, or delivered, the core answers for it; until then it is in a row
//! here, and goes again at the next start. Invariants: at most [`limits::OUTGOING`] wait, at most [`limits::UNDER_WAY`] are
//! given to the core at once, oldest first.

use std::collections::BTreeMap;

use super::with::With;
use crate::hex::{AttachmentHash, DocumentId};
use crate::limits;

/// First wait before something that could not be delivered is tried again, and the longest; ms.
const RETRY: (u64, u64) = (15_000, 300_000);
/// What is nobody's text is given up after this long, as the core does; ms.
pub(crate) const LIFE: u64 = 7 * 24 * 3600 * 1000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) to: With,
    pub(crate) what: What,
    /// The text that this is, or belongs to.
    pub(crate) text: Option<DocumentId>,
    /// When it began to wait, ms.
    pub(crate) since: u64,
    pub(crate) under_way: bool,
    pub(crate) retry_at: u64,
    pub(crate) tries: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// An encoded document, and its kind.
    Document(Vec<u8>, Kind),
    Piece(AttachmentHash, u32),
}

/// What matters of a document's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its state is shown.
    Text,
    /// A newer one takes its place.
    Profile,
    /// The same.
    Read,
    Other,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
}

impl Outgoing {
    pub(crate) fn is_full(&self, more: usize) -> bool {
        self.waiting.len() + more > limits::OUTGOING
    }

    pub(crate) fn add(&mut self, waiting: Waiting) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, waiting);
        self.last
    }

    pub(crate) fn restore(&mut self, token: u64, waiting: Waiting) {
        self.last = self.last.max(token);
        self.waiting.insert(token, waiting);
    }

    pub(crate) fn get(&self, token: u64) -> Option<&Waiting> {
        self.waiting.get(&token)
    }

    pub(crate) fn remove(&mut self, token: u64) -> Option<Waiting> {
        self.waiting.remove(&token)
    }

    /// Takes out what satisfies a condition.
    pub(crate) fn take(&mut self, is: impl Fn(&Waiting) -> bool) -> Vec<u64> {
        let tokens: Vec<u64> =
            self.waiting.iter().filter(|(_, one)| is(one)).map(|(token, _)| *token).collect();
        for token in &tokens {
            self.waiting.remove(token);
        }
        tokens
    }

    /// It was not delivered: it waits for its time, or for somebody to come.
    pub(crate) fn later(&mut self, now: u64, token: u64) {
        if let Some(one) = self.waiting.get_mut(&token) {
            one.under_way = false;
            let wait = RETRY.0.saturating_mul(1 << one.tries.min(8)).min(RETRY.1);
            one.retry_at = now.saturating_add(wait);
            one.tries += 1;
        }
    }

    /// Something has changed for those that wait: try again at once.
    pub(crate) fn hurry(&mut self, to: Option<With>) {
        for one in self.waiting.values_mut().filter(|one| to.is_none_or(|to| one.to == to)) {
            one.retry_at = 0;
        }
    }

    /// The next that is to go, marked as under way.
    pub(crate) fn next(&mut self, now: u64, reachable: impl Fn(&With) -> bool) -> Option<(u64, &Waiting)> {
        if self.waiting.values().filter(|one| one.under_way).count() >= limits::UNDER_WAY {
            return None;
        }
        let ready = |one: &Waiting| !one.under_way && one.retry_at <= now && reachable(&one.to);
        let (token, one) = self.waiting.iter_mut().find(|(_, one)| ready(one))?;
        one.under_way = true;
        Some((*token, one))
    }

    /// When something is to be tried again.
    pub(crate) fn deadline(&self, reachable: impl Fn(&With) -> bool) -> Option<u64> {
        if self.waiting.values().filter(|one| one.under_way).count() >= limits::UNDER_WAY {
            return None;
        }
        let waits = self.waiting.values().filter(|one| !one.under_way && reachable(&one.to));
        waits.map(|one| one.retry_at).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
