//! What every machine of a peer shares: configuration, keys, randomness, figures and the queue of outputs.

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_crypto::{envelope, statement};
use weft_wire::sealed::Sealed;
use weft_wire::{AgreementKey, IdentityId, PeerId, PeerRecord, Text, Time, encode, limits};

use crate::api::{Event, Output, Stats};
use crate::config::Config;
use crate::keys::Keys;

#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) me: PeerId,
    pub(crate) identity: IdentityId,
    pub(crate) rng: ChaCha12Rng,
    pub(crate) stats: Stats,
    pub(crate) out: VecDeque<Output>,
    /// Chunks of links that signalers forward.
    pub(crate) streamed: Vec<(PeerId, Vec<u8>)>,
    /// Our own signed peer record.
    pub(crate) record: Vec<u8>,
    stamp: u64,
    store_works: u64,
}

impl Env {
    pub(crate) fn new(config: Config, keys: Keys, seed: [u8; 32], now: Time) -> Self {
        let mut env = Self {
            me: keys.peer.id(),
            identity: keys.identity.id(),
            config,
            keys,
            rng: ChaCha12Rng::from_seed(seed),
            stats: Stats::default(),
            out: VecDeque::new(),
            streamed: Vec::new(),
            record: Vec::new(),
            stamp: 0,
            store_works: 0,
        };
        env.renew_record(now);
        env
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    pub(crate) fn warn(&mut self, code: &'static str, text: impl Into<String>) {
        self.event(Event::Warning { code, text: text.into() });
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `bound` (which is small, so the bias of the remainder does not matter); 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let random = u64::from_le_bytes(self.random());
        usize::try_from(random % (bound.max(1) as u64)).unwrap_or_default()
    }

    /// How long to wait after so many failures in a row before this one: doubling from the first wait, half of it at random.
    pub(crate) fn backoff(&mut self, failures: u32, most: Duration) -> Duration {
        self.backoff_from(self.config.reconnect_first, failures, most)
    }

    /// The same, about mail.
    pub(crate) fn mail_backoff(&mut self, failures: u32) -> Duration {
        self.backoff_from(self.config.mail_retry, failures, self.config.mail_retry_most)
    }

    fn backoff_from(&mut self, first: Duration, failures: u32, most: Duration) -> Duration {
        let wait = first.saturating_mul(1 << failures.min(16)).min(most);
        let part = u32::try_from(self.below(501)).unwrap_or_default();
        wait / 2 + wait * part / 1000
    }

    /// The sequence number of our next statement: milliseconds since the Unix epoch, or the last one plus one. Grows
    /// also over restarts, as long as the clock does.
    pub(crate) fn next_stamp(&mut self, now: Time) -> u64 {
        self.stamp = now.millis().max(self.stamp + 1);
        self.stamp
    }

    /// Names the next work of the driver's store.
    pub(crate) fn next_store_work(&mut self) -> u64 {
        self.store_works += 1;
        self.store_works
    }

    /// Signs our peer record anew, with the name that is configured now.
    pub(crate) fn renew_record(&mut self, now: Time) {
        self.record = self.sign_record(Text::cut(&self.config.name), now.millis());
    }

    /// Our record for a residence, which need not know our name; and when the next one is due. It is the same for a twelfth of its
    /// life: what is there already need not be stored again.
    pub(crate) fn residence_record(&self, now: Time) -> (Vec<u8>, Time) {
        let period = u64::try_from(self.config.record_life.as_millis() / 12).unwrap_or(u64::MAX).max(1);
        let issued = now.millis() / period * period;
        (self.sign_record(Text::default(), issued), Time::from_millis(issued.saturating_add(period)))
    }

    fn sign_record(&self, name: Text<{ limits::NAME }>, issued: u64) -> Vec<u8> {
        let record = PeerRecord {
            identity: self.identity,
            peer: self.me,
            agreement: self.keys.peer.agreement(),
            name,
            issued,
            until: (Time::from_millis(issued) + self.config.record_life).millis(),
            sessions: Some(true),
        };
        statement::sign_record(&self.keys.identity, &record)
    }

    /// Seals contents for a peer; counted and dropped if they do not fit, which only a key that is none can cause.
    pub(crate) fn seal(
        &mut self,
        to: PeerId,
        agreement: &AgreementKey,
        contents: &Sealed,
    ) -> Option<Vec<u8>> {
        let body = encode(contents);
        let sealed = envelope::seal(&mut self.rng, &self.keys.peer, to, agreement, &body);
        if let Err(error) = &sealed {
            self.warn("not-sealed", error.to_string());
        }
        sealed.ok()
    }
}
