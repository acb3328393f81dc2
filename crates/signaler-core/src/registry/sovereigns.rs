//! Who is sovereign, and since when: what follows from the first ones and all the changes that they signed.
//!
//! Input: changes, in any order. Output: the sovereigns now, and at any time. Invariants: the result depends on which changes
//! are there and not on the order in which they came; from a first sovereign on there is always one.
//!
//! Changes are gone through by (time, digest). One counts if its signer is a sovereign at that point, and what it asks for can
//! be done there; otherwise it is passed over, but kept: another one that comes later may be earlier, and change that.

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::registry::{Sealed, Statement};
use weft_wire::{Digest, RegistryKey};

use crate::registry::Refusal;

#[derive(Debug, Default)]
pub(crate) struct Sovereigns {
    first: BTreeSet<RegistryKey>,
    most: usize,
    changes: BTreeMap<(u64, Digest), (Statement, Sealed)>,
    /// The sovereigns after each change that counts.
    since: BTreeMap<(u64, Digest), BTreeSet<RegistryKey>>,
}

impl Sovereigns {
    pub(crate) fn new(first: impl IntoIterator<Item = RegistryKey>, most: u32) -> Self {
        Self { first: first.into_iter().collect(), most: most as usize, ..Self::default() }
    }

    /// One more first sovereign, from the database of an earlier run.
    pub(crate) fn add_first(&mut self, key: RegistryKey) {
        self.first.insert(key);
        self.count();
    }

    /// Those with whom it began.
    pub(crate) fn first(&self) -> &BTreeSet<RegistryKey> {
        &self.first
    }

    /// Who is sovereign after all that is known.
    pub(crate) fn now(&self) -> &BTreeSet<RegistryKey> {
        self.since.last_key_value().map_or(&self.first, |(_, keys)| keys)
    }

    /// Whether a key was sovereign when something was signed.
    pub(crate) fn was(&self, key: &RegistryKey, time: u64) -> bool {
        let at = self.since.range(..=(time, Digest([0xff; 32]))).next_back();
        at.map_or(&self.first, |(_, keys)| keys).contains(key)
    }

    /// The time of the newest change that counts; what its signer does next has to come later.
    pub(crate) fn changed_at(&self) -> u64 {
        self.since.last_key_value().map_or(0, |((time, _), _)| *time)
    }

    /// What there is against a change, as things are now.
    pub(crate) fn judge(&self, change: &Statement) -> Result<(), Refusal> {
        apply(&mut self.now().clone(), change, self.most)
    }

    /// Takes a change, counted or not.
    pub(crate) fn insert(&mut self, digest: Digest, change: Statement, sealed: Sealed) {
        self.changes.insert((change.time(), digest), (change, sealed));
        self.count();
    }

    /// Takes one back that does not count.
    pub(crate) fn remove(&mut self, time: u64, digest: Digest) {
        self.changes.remove(&(time, digest));
        self.count();
    }

    /// Makes room for a change by `signer`, if there is a cheaper one: of somebody whom nobody ever named.
    pub(crate) fn make_room(&mut self, signer: &RegistryKey) -> bool {
        let mut named = self.first.clone();
        for (change, _) in self.changes.values() {
            match change {
                Statement::AddSovereign(body) => drop(named.insert(body.key)),
                Statement::RotateSovereign(body) => named.extend(body.replacement),
                _ => {}
            }
        }
        let stray = self.changes.iter().find(|(_, (change, _))| !named.contains(&change.signer()));
        let stray = stray.map(|(at, _)| *at).filter(|_| named.contains(signer));
        stray.is_some_and(|at| self.changes.remove(&at).is_some())
    }

    pub(crate) fn counts(&self, time: u64, digest: Digest) -> bool {
        self.since.contains_key(&(time, digest))
    }

    pub(crate) fn has(&self, time: u64, digest: Digest) -> bool {
        self.changes.contains_key(&(time, digest))
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// All changes, for siblings.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Digest, &Sealed)> {
        self.changes.iter().map(|((_, digest), (_, sealed))| (*digest, sealed))
    }

    fn count(&mut self) {
        let mut keys = self.first.clone();
        self.since.clear();
        for (at, (change, _)) in &self.changes {
            if apply(&mut keys, change, self.most).is_ok() {
                self.since.insert(*at, keys.clone());
            }
        }
    }
}

/// Does what a change asks for, if its signer may and it can be done.
fn apply(keys: &mut BTreeSet<RegistryKey>, change: &Statement, most: usize) -> Result<(), Refusal> {
    if !keys.contains(&change.signer()) {
        return Err(Refusal::NotSovereign);
    }
    match change {
        Statement::AddSovereign(body) if keys.contains(&body.key) => Err(Refusal::AlreadySovereign),
        Statement::AddSovereign(_) if keys.len() >= most => Err(Refusal::TooManySovereigns),
        Statement::AddSovereign(body) => {
            keys.insert(body.key);
            Ok(())
        }
        Statement::RevokeSovereign(body) | Statement::RotateSovereign(body) if !keys.contains(&body.key) => {
            Err(Refusal::UnknownSovereign)
        }
        Statement::RevokeSovereign(_) if keys.len() == 1 => Err(Refusal::LastSovereign),
        Statement::RevokeSovereign(body) => {
            keys.remove(&body.key);
            Ok(())
        }
        Statement::RotateSovereign(body) => {
            let Some(new) = body.replacement.filter(|new| !keys.contains(new)) else {
                return Err(Refusal::AlreadySovereign);
            };
            keys.remove(&body.key);
            keys.insert(new);
            Ok(())
        }
        _ => Err(Refusal::NotSovereign),
    }
}
