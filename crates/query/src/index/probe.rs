//! A document's way through the tree.

use super::access::{GRAM, PREFIX, gram};
use super::choice::{bound, class};
use super::conditions::{Look, Quick};
use super::filing::{ClassOf, Filing, MORE, NONE, Posting, ROOT};
use super::keys::{is_exact, rank};
use crate::View;
use crate::evaluate::Truth;
use crate::order::bracket;
use crate::path::{Leaf, Path};
use crate::tree::Single;

/// What is remembered during one document's way, in memory that the next one uses again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Names the document; what was noted under another number is of an earlier one. A multiple of [`ROUND`].
    round: u32,
    /// By condition: the round, plus the outcome.
    outcomes: Vec<u32>,
    /// By entry: the round in which it was last given.
    given: Vec<u32>,
    /// By entry: the round in which a document last had something that a negation is about.
    marked: Vec<u32>,
    /// By path: what it leads to.
    resolved: Vec<Resolved>,
    values: Vec<Probed>,
}

/// Leaves room for an outcome.
const ROUND: u32 = 4;

/// The values at a path, in `values`.
#[derive(Clone, Copy, Debug, Default)]
struct Resolved {
    round: u32,
    start: u32,
    end: u32,
}

/// One of the values at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Probed {
    equal: u64,
    kind: u8,
    /// See [`rank`]; 0 if it has none.
    rank: u64,
    is_ranked: bool,
    /// No other value of the kind has the rank; see [`is_exact`].
    is_exact: bool,
}

/// The kind of null.
const NULL: u8 = 0;
/// The kind of what is missing.
const MISSING: u8 = u8::MAX;

/// This width stands for every greater one, too.
const WIDEST: u32 = 63;

impl Scratch {
    /// Calls `found` with every entry that the document satisfies.
    pub(super) fn select(&mut self, filing: &Filing, root: View<'_>, found: &mut dyn FnMut(u32)) {
        self.begin(filing);
        Visit { filing, scratch: self, root, found }.node(ROOT);
    }

    fn begin(&mut self, filing: &Filing) {
        let Self { round, outcomes, given, marked, resolved, values } = self;
        values.clear();
        *round = round.wrapping_add(ROUND);
        if *round == 0 {
            // Once in a thousand million documents: numbers come again.
            for list in [&mut *outcomes, &mut *given, &mut *marked] {
                list.clear();
            }
            resolved.clear();
            *round = ROUND;
        }
        for (list, len) in [
            (outcomes, filing.conditions.end()),
            (given, filing.entries.end()),
            (marked, filing.entries.end()),
        ] {
            if list.len() != len {
                list.resize(len, 0);
            }
        }
        if resolved.len() != filing.paths.end() {
            resolved.resize(filing.paths.end(), Resolved::default());
        }
    }
}

/// One document on its way.
struct Visit<'v> {
    filing: &'v Filing,
    scratch: &'v mut Scratch,
    root: View<'v>,
    found: &'v mut dyn FnMut(u32),
}

impl Visit<'_> {
    /// Looks at what is filed in a node and, where the document leads on, below it. As deep as an entry has conditions, at most 32.
    fn node(&mut self, number: u32) {
        let filing = self.filing;
        let Some(node) = filing.nodes.get(number) else { return };
        node.postings.iter().for_each(|posting| self.candidate(posting));
        let Some(inner) = &node.inner else { return };
        for class in &inner.classes {
            let Some(path) = filing.paths.get(class.path) else { continue };
            let range = self.resolve(class.path, path);
            self.class(number, class.path, path, class, range);
        }
        for negation in &inner.unless {
            let marked = self.scratch.marked.get(negation.posting.entry as usize);
            if marked != Some(&self.scratch.round) || self.holds(negation.condition) {
                self.candidate(&negation.posting);
            }
        }
    }

    fn class(&mut self, node: u32, number: u32, path: &Path, of: &ClassOf, (start, end): (u32, u32)) {
        let values = start as usize..end as usize;
        match of.class & !class::NEGATED {
            class::EQUAL => {
                for at in values {
                    let Some(value) = self.scratch.values.get(at) else { return };
                    self.edge(node, number, of.class, value.equal);
                }
            }
            class::PRESENT => {
                let values = self.scratch.values.get(values).unwrap_or_default();
                if values.iter().any(|value| value.kind != MISSING) {
                    self.edge(node, number, of.class, 0);
                }
            }
            class::KIND => {
                let values = self.scratch.values.get(values).unwrap_or_default();
                let kinds = values.iter().filter(|value| value.kind != MISSING);
                let kinds = kinds.fold(0u16, |kinds, value| kinds | 1 << value.kind);
                for kind in (0..16).filter(|kind| kinds & (1 << kind) != 0) {
                    self.edge(node, number, of.class, kind);
                }
            }
            class::GRAM => self.grams(path, of),
            prefix if prefix < class::GRAM => self.prefixes(node, number, path, prefix, of.class),
            _ => self.ordered(of, values),
        }
    }

    /// Goes on to the node of an edge, if there is one.
    fn edge(&mut self, node: u32, path: u32, class: u16, key: u64) {
        let Some(child) = self.filing.find(self.filing.edge(node, path, class, key)) else { return };
        if class & class::NEGATED == 0 {
            self.node(child);
            return;
        }
        let postings = self.filing.nodes.get(child).map(|node| &*node.postings).unwrap_or_default();
        for posting in postings {
            if let Some(mark) = self.scratch.marked.get_mut(posting.entry as usize) {
                *mark = self.scratch.round;
            }
        }
    }

    /// Intervals that the values at a path reach into. Between two values there may be an interval that neither is in, and
    /// both conditions hold all the same, each for one of them: so what counts is the least and the greatest value.
    fn ordered(&mut self, of: &ClassOf, values: std::ops::Range<usize>) {
        let base = [class::WITHIN, class::BELOW, class::ABOVE].into_iter().find(|base| of.class >= *base);
        let kind = of.class - base.unwrap_or_default();
        let values = self.scratch.values.get(values).unwrap_or_default();
        let ranked = values.iter().filter(|value| u16::from(value.kind) == kind && value.is_ranked);
        let ranks = ranked.map(|value| value.rank);
        let ends = ranks.fold(None, |ends: Option<(u64, u64)>, rank| {
            Some(ends.map_or((rank, rank), |(least, most)| (least.min(rank), most.max(rank))))
        });
        let (Some((least, most)), Some(ordered)) = (ends, &of.ordered) else { return };
        if base != Some(class::WITHIN) {
            let (from, to) = if base == Some(class::BELOW) { (least, u64::MAX) } else { (0, most) };
            ordered.range(from, to).for_each(|posting| self.candidate(posting));
            return;
        }
        let mut widths = of.widths;
        while widths != 0 {
            let width = widths.trailing_zeros();
            widths &= widths - 1;
            let from = if width < WIDEST { least.saturating_sub(1 << width) } else { 0 };
            let (from, to) = (bound(u64::from(width), from), bound(u64::from(width), most));
            ordered.range(from, to).for_each(|posting| self.candidate(posting));
        }
    }

    fn prefixes(&mut self, node: u32, number: u32, path: &Path, prefix: u16, class: u16) {
        let len = usize::from(prefix - class::PREFIX).min(PREFIX);
        let root = self.root;
        path.any(root, Leaf::Elements, &mut |value| {
            if let Some(first) = value.and_then(View::as_str).and_then(|text| text.as_bytes().get(..len)) {
                self.edge(node, number, class, self.filing.hashing.bytes(bracket(View::String("")), first));
            }
            false
        });
    }

    /// Three bytes at a time, unless there are fewer postings than that.
    fn grams(&mut self, path: &Path, of: &ClassOf) {
        let Some(ordered) = &of.ordered else { return };
        let mut grams = Vec::new();
        let most = of.count as usize;
        path.any(self.root, Leaf::Elements, &mut |value| {
            let mut add = |text: &str| {
                let last = (text.len() + 1).saturating_sub(GRAM);
                grams.extend(
                    (0..last).take(most + 1 - grams.len().min(most)).map(|at| gram(text.as_bytes(), at)),
                );
            };
            match value {
                Some(View::String(text)) => add(text),
                Some(View::Array(items)) => items.iter().filter_map(View::as_str).for_each(add),
                _ => {}
            }
            grams.len() > most
        });
        if grams.len() > most {
            ordered.range(0, u64::MAX).for_each(|posting| self.candidate(posting));
            return;
        }
        grams.sort_unstable();
        grams.dedup();
        for gram in grams {
            ordered.range(gram, gram).for_each(|posting| self.candidate(posting));
        }
    }

    /// The values that a path leads to, each once.
    fn resolve(&mut self, number: u32, path: &Path) -> (u32, u32) {
        let Scratch { round, resolved, values, .. } = &mut *self.scratch;
        let Some(known) = resolved.get_mut(number as usize) else { return (0, 0) };
        if known.round == *round {
            return (known.start, known.end);
        }
        let start = values.len();
        let hashing = &self.filing.hashing;
        let probed = |value: Option<View<'_>>| match value {
            Some(value) => {
                let rank = rank(value);
                Probed {
                    equal: hashing.value(value),
                    kind: bracket(value),
                    rank: rank.unwrap_or_default(),
                    is_ranked: rank.is_some(),
                    is_exact: is_exact(value),
                }
            }
            None => Probed {
                equal: hashing.value(View::Null),
                kind: MISSING,
                rank: 0,
                is_ranked: false,
                is_exact: false,
            },
        };
        if let Single::One(value) = path.single(self.root) {
            values.push(probed(value));
        } else {
            path.any(self.root, Leaf::Elements, &mut |value| {
                values.push(probed(value));
                false
            });
        }
        if let Some(new @ [_, _, ..]) = values.get_mut(start..) {
            new.sort_unstable();
            let mut kept = start;
            for at in start..values.len() {
                if at == start || values.get(at) != values.get(kept) {
                    kept += usize::from(at != start);
                    values.swap(kept, at);
                }
            }
            values.truncate(kept + 1);
        }
        let narrow = |wide| u32::try_from(wide).unwrap_or(u32::MAX);
        *known = Resolved { round: *round, start: narrow(start), end: narrow(values.len()) };
        (known.start, known.end)
    }

    fn candidate(&mut self, posting: &Posting) {
        for condition in posting.conditions {
            match condition {
                NONE => break,
                MORE => {
                    let entry = self.filing.entries.get(posting.entry);
                    let rest = entry.map(|entry| &*entry.conditions).unwrap_or_default();
                    if !rest.iter().all(|condition| self.holds(*condition)) {
                        return;
                    }
                }
                condition if !self.holds(condition) => return,
                _ => {}
            }
        }
        let round = self.scratch.round;
        if let Some(given) = self.scratch.given.get_mut(posting.entry as usize)
            && *given != round
        {
            *given = round;
            (self.found)(posting.entry);
        }
    }

    /// Whether a condition holds, found out once.
    fn holds(&mut self, condition: u32) -> bool {
        let round = self.scratch.round;
        match self.scratch.outcomes.get(condition as usize) {
            Some(outcome) if *outcome & !(ROUND - 1) == round => return *outcome & 1 == 1,
            _ => {}
        }
        let holds = self.look(condition).unwrap_or_else(|| {
            let term = self.filing.conditions.get(condition);
            term.is_some_and(|term| term.matches(self.root) == Truth::Yes)
        });
        if let Some(outcome) = self.scratch.outcomes.get_mut(condition as usize) {
            *outcome = round | u32::from(holds);
        }
        holds
    }

    /// Whether a condition holds, if the hashes and ranks of the values at its path tell.
    fn look(&mut self, condition: u32) -> Option<bool> {
        let Quick { path, look } = self.filing.conditions.quick(condition)?;
        let known = self.scratch.resolved.get(path as usize)?;
        let (start, end) = if known.round == self.scratch.round {
            (known.start, known.end)
        } else if self.filing.paths.holders(path) > FEW {
            self.resolve(path, self.filing.paths.get(path)?)
        } else {
            // Where hardly anybody asks, the condition itself is as quick.
            return None;
        };
        match self.scratch.values.get(start as usize..end as usize)? {
            [value] => value.tells(look),
            values => {
                let mut told = Some(false);
                for value in values {
                    match value.tells(look) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => told = None,
                    }
                }
                told
            }
        }
    }
}

impl Probed {
    /// Whether this value satisfies the condition, if that can be told.
    fn tells(&self, look: Look) -> Option<bool> {
        let is = |of: u8| self.kind == of && self.is_ranked;
        match look {
            Look::Exact(NULL, _) => Some(matches!(self.kind, NULL | MISSING)),
            Look::Exact(kind, rank) => Some(is(kind) && self.is_exact && self.rank == rank),
            Look::Equal(hash) if self.equal == hash => None,
            Look::Above(kind, least) if is(kind) && self.rank == least => None,
            Look::Below(kind, most) if is(kind) && self.rank == most => None,
            Look::Equal(_) => Some(false),
            Look::Above(kind, least) => Some(is(kind) && self.rank > least),
            Look::Below(kind, most) => Some(is(kind) && self.rank < most),
        }
    }
}

/// Conditions with one path that are evaluated one by one.
const FEW: u32 = 2;

#[cfg(test)]
impl Scratch {
    /// Conditions that the last document had evaluated.
    pub(super) fn evaluated(&self) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome & !(ROUND - 1) == self.round).count()
    }

    pub(super) fn skip_to_last_round(&mut self) {
        self.round = 0u32.wrapping_sub(2 * ROUND);
    }
}
