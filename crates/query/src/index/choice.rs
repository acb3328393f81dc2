//! By which of its conditions an entry is filed.

use super::access::{self, Access, Alternatives, Selectivity};
use super::keys::Hashing;
use crate::term::{Field, Term, Test};

/// How an access is looked up: by hash, or in order.
pub(super) mod class {
    pub(in super::super) const EQUAL: u16 = 0;
    pub(in super::super) const PRESENT: u16 = 1;
    pub(in super::super) const KIND: u16 = 2;
    /// With the length of the prefix, up to 32.
    pub(in super::super) const PREFIX: u16 = 16;
    pub(in super::super) const GRAM: u16 = 64;
    /// In the order of the lower bound, there being no upper one; with the kind.
    pub(in super::super) const ABOVE: u16 = 72;
    /// In the order of the upper bound, there being no lower one; with the kind.
    pub(in super::super) const BELOW: u16 = 80;
    /// In the order of width and lower bound; with the kind. See [`bound`](super::bound).
    pub(in super::super) const WITHIN: u16 = 88;
    /// Leads to marks of negations, not to entries.
    pub(in super::super) const NEGATED: u16 = 1 << 15;
}

/// The place of an interval among others: by its width in bits, then by the lower end without its last bits.
pub(super) fn bound(width: u64, least: u64) -> u64 {
    width << WIDTH_AT | least >> (64 - WIDTH_AT)
}

/// The width of the interval that has this place.
pub(super) fn width(bound: u64) -> u64 {
    bound >> WIDTH_AT
}

/// Where in a place the width is.
const WIDTH_AT: u32 = 58;

/// An access as it is looked up.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) class: u16,
    pub(super) key: u64,
}

impl Key {
    pub(super) fn of(access: Access) -> Self {
        let kind_of = |base: u16, kind: u8| base + u16::from(kind);
        let (class, key) = match access {
            Access::Equal(hash) => (class::EQUAL, hash),
            Access::Present => (class::PRESENT, 0),
            Access::Kind(kind) => (class::KIND, u64::from(kind)),
            Access::Prefix(len, hash) => (class::PREFIX + u16::from(len), hash),
            Access::Gram(gram) => (class::GRAM, gram),
            Access::Within { kind, least, most: u64::MAX } => (kind_of(class::ABOVE, kind), least),
            Access::Within { kind, least: 0, most } => (kind_of(class::BELOW, kind), most),
            Access::Within { kind, least, most } => {
                // Below 64, because neither end is an end of the line.
                let width = 64 - most.saturating_sub(least).leading_zeros().max(1);
                (kind_of(class::WITHIN, kind), bound(u64::from(width), least))
            }
        };
        Self { class, key }
    }

    pub(super) fn is_ordered(self) -> bool {
        self.class & class::NEGATED == 0 && self.class >= class::GRAM
    }
}

/// The next step of an entry on its way down.
pub(super) struct Choice {
    /// Its conditions, by position.
    pub(super) used: u32,
    pub(super) alternatives: Alternatives,
    /// It is the negation of this that finds it.
    pub(super) negated: bool,
}

/// Conditions that are looked at, at most: a bit for each.
const MOST: usize = 32;

impl Choice {
    /// The best next step of an entry with these conditions: the most selective kind, and of these the way with the fewest
    /// postings. `used` ones are part of the way already; `weight` counts what is on a way. Away from
    /// the root at most `most` ways are taken. None if it should stay where it is.
    pub(super) fn best(
        terms: &[Option<&Term>],
        used: u32,
        at_root: bool,
        most: usize,
        hashing: &Hashing,
        weight: &dyn Fn(&Alternatives) -> u32,
    ) -> Option<Self> {
        let mut best: Option<((Selectivity, u32), Self)> = None;
        for at in 0..terms.len().min(MOST) {
            let Some((selectivity, choice)) = Self::at(at, terms, used, hashing) else { continue };
            if choice.alternatives.is_empty() && !choice.negated {
                // It never holds, nor does the entry.
                return Some(choice);
            }
            // Looking at the postings is as cheap as such a step.
            if !at_root && (selectivity >= Selectivity::Kind || choice.alternatives.len() > most) {
                continue;
            }
            let cost = (selectivity, weight(&choice.alternatives));
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, choice));
            }
        }
        best.map(|(_, choice)| choice)
    }

    /// The step by one condition.
    fn at(at: usize, terms: &[Option<&Term>], used: u32, hashing: &Hashing) -> Option<(Selectivity, Self)> {
        let is_free = |at: usize| at < MOST && used & 1 << at == 0;
        let term = (*terms.get(at)?).filter(|_| is_free(at))?;
        let Some(mut alternatives) = access::of_term(term, hashing) else {
            let alternatives = distinct(of_negation(term, hashing)?);
            return Some((Selectivity::Absence, Self { used: 1 << at, alternatives, negated: true }));
        };
        let mut used = 1 << at;
        if let (Term::Field(field), [(_, only)]) = (term, &mut *alternatives) {
            // Its other end, if it is an interval.
            let others = terms.iter().enumerate().filter(|(at, _)| is_free(*at));
            let ends = others.filter_map(|(at, other)| match other {
                Some(Term::Field(other)) => {
                    Some((at, access::interval(field, other).or_else(|| access::interval(other, field))?))
                }
                _ => None,
            });
            if let Some((other, interval)) = { ends }.next() {
                *only = interval;
                used |= 1 << other;
            }
        }
        let selectivity = access::cost(&alternatives).0.unwrap_or(Selectivity::Value);
        Some((selectivity, Self { used, alternatives: distinct(alternatives), negated: false }))
    }
}

/// Each access once: an entry is filed at most once in a node.
fn distinct(alternatives: Alternatives) -> Alternatives {
    let mut kept = Alternatives::new();
    for one in alternatives {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// What the document must not have for a negation to hold for certain.
fn of_negation(term: &Term, hashing: &Hashing) -> Option<Alternatives> {
    let Term::Field(field) = term else { return None };
    let Field { path, test: Test::Not { tests, .. }, searches: false } = &**field else { return None };
    let [test] = &**tests else { return None };
    let is_exact = |access: &Access| matches!(access, Access::Equal(_) | Access::Present);
    access::of_field(path, test, hashing).filter(|found| found.iter().all(|(_, access)| is_exact(access)))
}
