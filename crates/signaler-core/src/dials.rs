//! Whom to call, when, and whom to admit.
//!
//! Inputs: the configured siblings, members that were learned of, outcomes of dialling, proved keys. Outputs: dial now or
//! wait, admit or refuse, what to pin. Timer: one per sibling that has a URL. Invariants: at most one dialled connection per
//! URL; what was learned admits nobody.

use core::time::Duration;
use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use weft_wire::{SignalerId, Time};

use crate::config::{Config, SiblingConfig};
use crate::io::DialId;

#[derive(Debug)]
struct Sibling {
    config: SiblingConfig,
    /// Not configured: a member says that it is there.
    learned: bool,
    busy: bool,
    failures: u32,
    /// It leads to this signaler, by the last attempt that led anywhere.
    own: bool,
    /// When it is dialled again, once it was lost: however often that is said, there is one such time.
    due: Option<Time>,
}

impl Sibling {
    fn expected(&self) -> Option<SignalerId> {
        self.config.id.or(self.config.pinned)
    }
}

/// Whether a proved key is a sibling's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Admit,
    /// It is from now on: the URL that we dialled proved it first.
    Pin {
        /// As configured.
        url: String,
    },
    /// The URL that we dialled should have proved another.
    Wrong {
        /// As configured.
        url: String,
        /// The other.
        expected: SignalerId,
    },
    /// It is not.
    Refuse,
}

#[derive(Debug)]
pub(crate) struct Dials {
    siblings: BTreeMap<DialId, Sibling>,
    /// Never used twice.
    next: u32,
    open: bool,
}

impl Dials {
    pub(crate) fn new(config: &Config) -> Self {
        let mut dials = Self { siblings: BTreeMap::new(), next: 0, open: config.open };
        for sibling in &config.siblings {
            dials.add(sibling.clone(), false);
        }
        dials
    }

    fn add(&mut self, config: SiblingConfig, learned: bool) -> DialId {
        let dial = DialId(self.next);
        self.next += 1;
        let sibling = Sibling { config, learned, busy: false, failures: 0, own: false, due: None };
        self.siblings.insert(dial, sibling);
        dial
    }

    /// Those that have a URL.
    pub(crate) fn all(&self) -> impl Iterator<Item = DialId> {
        self.siblings.iter().filter(|(_, sibling)| sibling.config.url.is_some()).map(|(dial, _)| *dial)
    }

    /// Configured siblings: key if known, and URL.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Option<SignalerId>, Option<&str>)> {
        let configured = self.siblings.values().filter(|sibling| !sibling.learned);
        configured.map(|sibling| (sibling.expected(), sibling.config.url.as_deref()))
    }

    /// Whether a key is one that is named or pinned, or any is welcome.
    pub(crate) fn may_admit(&self, id: &SignalerId) -> bool {
        let mut configured = self.siblings.values().filter(|sibling| !sibling.learned);
        self.open || configured.any(|sibling| sibling.expected() == Some(*id))
    }

    pub(crate) fn is_learned(&self, dial: DialId) -> bool {
        self.siblings.get(&dial).is_some_and(|sibling| sibling.learned)
    }

    /// A member can be called at a URL. Returns what to dial, if that is new.
    pub(crate) fn learn(&mut self, id: SignalerId, url: String) -> Option<DialId> {
        let mut known = self
            .siblings
            .iter_mut()
            .filter(|(_, one)| one.expected() == Some(id) && one.config.url.is_some());
        match known.next() {
            Some((dial, sibling)) if sibling.learned && sibling.config.url.as_ref() != Some(&url) => {
                sibling.config.url = Some(url);
                sibling.failures = 0;
                Some(*dial)
            }
            Some(_) => None,
            None => Some(self.add(SiblingConfig { id: Some(id), url: Some(url), pinned: None }, true)),
        }
    }

    /// A member is forgotten, and called no longer.
    pub(crate) fn unlearn(&mut self, id: &SignalerId) {
        self.siblings.retain(|_, sibling| !sibling.learned || sibling.expected() != Some(*id));
    }

    /// The key that a URL should prove, if it is known.
    pub(crate) fn expected(&self, dial: DialId) -> Option<SignalerId> {
        self.siblings.get(&dial)?.expected()
    }

    /// Those that wait and may lead to `id`.
    pub(crate) fn waiting_for(&self, id: SignalerId) -> Vec<DialId> {
        self.all()
            .filter(|dial| {
                let sibling = self.siblings.get(dial);
                sibling.is_some_and(|sibling| !sibling.busy && sibling.expected() == Some(id))
            })
            .collect()
    }

    /// A timer of this dial ran out: whether it is the one that counts.
    pub(crate) fn is_due(&mut self, dial: DialId, now: Time) -> bool {
        let Some(sibling) = self.siblings.get_mut(&dial) else { return false };
        let is_due = sibling.due.is_none_or(|due| due <= now);
        if is_due {
            sibling.due = None;
        }
        is_due
    }

    /// Begins to dial. Returns the URL, unless a connection is under way or there.
    pub(crate) fn begin(&mut self, dial: DialId) -> Option<String> {
        let sibling = self.siblings.get_mut(&dial).filter(|sibling| !sibling.busy)?;
        let url = sibling.config.url.clone()?;
        sibling.busy = true;
        Some(url)
    }

    /// Whoever refused may let us in now: the next attempt is the first again, and may be made at once.
    pub(crate) fn begin_again(&mut self, dial: DialId) {
        if let Some(sibling) = self.siblings.get_mut(&dial) {
            (sibling.failures, sibling.due) = (0, None);
        }
    }

    /// A dialled link is up: the next failure is the first again.
    pub(crate) fn on_up(&mut self, dial: DialId) {
        if let Some(sibling) = self.siblings.get_mut(&dial) {
            (sibling.failures, sibling.own) = (0, false);
        }
    }

    /// A URL leads to this signaler. Returns it if that is news; it is dialled on, for a name may have several addresses.
    pub(crate) fn on_own(&mut self, dial: DialId) -> Option<String> {
        let sibling = self.siblings.get_mut(&dial).filter(|sibling| !sibling.own)?;
        sibling.own = true;
        sibling.config.url.clone()
    }

    /// Dialling failed or the dialled connection closed. Returns when to dial again, unless that is known: after doubling
    /// waits, from half to the whole of each at random, so that two signalers do not go on missing each other.
    pub(crate) fn on_down(
        &mut self,
        now: Time,
        dial: DialId,
        config: &Config,
        rng: &mut ChaCha20Rng,
    ) -> Option<Time> {
        let sibling = self.siblings.get_mut(&dial)?;
        sibling.busy = false;
        if sibling.due.is_some() {
            return None;
        }
        let doubled = config.redial_min_ms.saturating_mul(1 << sibling.failures.min(20));
        sibling.failures = sibling.failures.saturating_add(1);
        let whole = doubled.min(config.redial_max_ms).max(1);
        sibling.due = Some(now + Duration::from_millis(whole / 2 + rng.next_u64() % (whole / 2 + 1)));
        sibling.due
    }

    /// Whether to admit a key that was proved on a connection that we dialled, or that came to us.
    pub(crate) fn judge(&mut self, dial: Option<DialId>, id: SignalerId, may_admit: bool) -> Verdict {
        let Some(dial) = dial else {
            return if may_admit { Verdict::Admit } else { Verdict::Refuse };
        };
        let Some(sibling) = self.siblings.get_mut(&dial) else { return Verdict::Refuse };
        let url = sibling.config.url.clone().unwrap_or_default();
        match sibling.expected() {
            Some(expected) if expected == id && (may_admit || !sibling.learned) => Verdict::Admit,
            Some(expected) if expected == id => Verdict::Refuse,
            Some(expected) => Verdict::Wrong { url, expected },
            None => {
                sibling.config.pinned = Some(id);
                // Two ways to call one sibling would replace each other's links.
                self.siblings.retain(|_, one| !one.learned || one.busy || one.expected() != Some(id));
                Verdict::Pin { url }
            }
        }
    }
}
