//! Whom to call, when, and whom to admit.
//!
//! Inputs: the configured siblings, outcomes of dialling, proved keys. Outputs: dial now or wait, admit or refuse, what
//! to pin. Timer: one per sibling that has a URL. Invariant: at most one dialled connection per URL.

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use weft_wire::SignalerId;

use crate::config::{Config, SiblingConfig};
use crate::io::DialId;

#[derive(Debug)]
struct Sibling {
    config: SiblingConfig,
    busy: bool,
    failures: u32,
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
    siblings: Vec<Sibling>,
    open: bool,
}

impl Dials {
    pub(crate) fn new(config: &Config) -> Self {
        let sibling = |config: &SiblingConfig| Sibling { config: config.clone(), busy: false, failures: 0 };
        Self { siblings: config.siblings.iter().map(sibling).collect(), open: config.open }
    }

    /// Those that have a URL.
    pub(crate) fn all(&self) -> impl Iterator<Item = DialId> {
        (0_u32..)
            .zip(&self.siblings)
            .filter(|(_, sibling)| sibling.config.url.is_some())
            .map(|(at, _)| DialId(at))
    }

    /// Configured siblings: key if known, and URL.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Option<SignalerId>, Option<&str>)> {
        self.siblings.iter().map(|sibling| (sibling.expected(), sibling.config.url.as_deref()))
    }

    pub(crate) fn url(&self, dial: DialId) -> Option<&str> {
        self.siblings.get(dial.0 as usize)?.config.url.as_deref()
    }

    /// The key that a URL should prove, if it is known.
    pub(crate) fn expected(&self, dial: DialId) -> Option<SignalerId> {
        self.siblings.get(dial.0 as usize)?.expected()
    }

    /// Those that wait and may lead to `id`.
    pub(crate) fn waiting_for(&self, id: SignalerId) -> Vec<DialId> {
        self.all()
            .filter(|dial| {
                let sibling = self.siblings.get(dial.0 as usize);
                sibling.is_some_and(|sibling| !sibling.busy && sibling.expected() == Some(id))
            })
            .collect()
    }

    /// Begins to dial. Returns the URL, unless a connection is under way or there.
    pub(crate) fn begin(&mut self, dial: DialId) -> Option<String> {
        let sibling = self.siblings.get_mut(dial.0 as usize).filter(|sibling| !sibling.busy)?;
        let url = sibling.config.url.clone()?;
        sibling.busy = true;
        Some(url)
    }

    /// A dialled link is up: the next failure is the first again.
    pub(crate) fn on_up(&mut self, dial: DialId) {
        if let Some(sibling) = self.siblings.get_mut(dial.0 as usize) {
            sibling.failures = 0;
        }
    }

    /// Dialling failed or the dialled connection closed. Returns how long to wait: doubling, from half to the whole of
    /// it at random, so that two signalers do not go on missing each other.
    pub(crate) fn on_down(
        &mut self,
        dial: DialId,
        config: &Config,
        rng: &mut ChaCha20Rng,
    ) -> Option<Duration> {
        let sibling = self.siblings.get_mut(dial.0 as usize)?;
        sibling.busy = false;
        let doubled = config.redial_min_ms.saturating_mul(1 << sibling.failures.min(20));
        sibling.failures = sibling.failures.saturating_add(1);
        let whole = doubled.min(config.redial_max_ms).max(1);
        Some(Duration::from_millis(whole / 2 + rng.next_u64() % (whole / 2 + 1)))
    }

    /// Whether to admit a key that was proved on a connection that we dialled, or that came to us.
    pub(crate) fn judge(&mut self, dial: Option<DialId>, id: SignalerId) -> Verdict {
        let Some(dial) = dial else {
            let named = self.siblings.iter().any(|sibling| sibling.expected() == Some(id));
            return if named || self.open { Verdict::Admit } else { Verdict::Refuse };
        };
        let Some(sibling) = self.siblings.get_mut(dial.0 as usize) else { return Verdict::Refuse };
        let url = sibling.config.url.clone().unwrap_or_default();
        match sibling.expected() {
            Some(expected) if expected == id => Verdict::Admit,
            Some(expected) => Verdict::Wrong { url, expected },
            None => {
                sibling.config.pinned = Some(id);
                Verdict::Pin { url }
            }
        }
    }
}
