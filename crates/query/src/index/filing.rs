//! Where each entry is filed: the tree of nodes, and how it grows and shrinks.

use super::access::{self, Access, Selectivity};
use super::conditions::Conditions;
use super::keys::Hashing;
use super::ordered::Ordered;
use super::table::{Slots, Table};
use crate::path::Path;
use crate::term::{Field, Logic, Term, Test};
use smallvec::SmallVec;

/// All filters, taken apart into conditions and filed under what documents must have to satisfy them.
#[derive(Debug)]
pub(super) struct Filing {
    pub(super) hashing: Hashing,
    pub(super) conditions: Conditions,
    pub(super) entries: Slots<Entry>,
    by_conditions: Table,
    pub(super) nodes: Slots<Node>,
    by_edge: Table,
    pub(super) paths: Slots<HeldPath>,
    by_path: Table,
}

/// A filter.
#[derive(Debug)]
pub(super) struct Entry {
    /// All of them must hold; sorted, so that equal filters have equal lists.
    pub(super) conditions: SmallVec<[u32; 4]>,
    /// Where it is filed. Nowhere, if it never holds.
    places: SmallVec<[Place; 1]>,
}

/// Where a posting is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In a node's list, at this position.
    Here { node: u32, at: u32 },
    /// In a node's list of negations.
    Unless { node: u32, at: u32 },
    /// In the order of a node's class.
    Ordered { node: u32, path: u32, class: u16, bound: u64 },
}

/// The number of the node where every document begins.
pub(super) const ROOT: u32 = 0;
/// A node with more postings passes them on where it can.
const CROWDED: usize = 8;
/// No condition.
pub(super) const NONE: u32 = u32::MAX;
/// There are more conditions than a posting holds.
pub(super) const MORE: u32 = u32::MAX - 1;

/// An entry, where a document may meet it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posting {
    pub(super) entry: u32,
    /// The first conditions of the entry, here to be at hand; then [`NONE`] or [`MORE`].
    pub(super) conditions: [u32; 3],
    /// The conditions, by position, that the way here is made of.
    used: u32,
}

/// A posting in a list of negations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Negation {
    /// Without the condition that is negated.
    pub(super) posting: Posting,
    /// That condition: it holds unless the document has led to the entry's mark.
    pub(super) condition: u32,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) postings: Vec<Posting>,
    pub(super) inner: Option<Box<Inner>>,
    /// Postings in this node and below.
    weight: u32,
    parent: u32,
    /// The hash of parent, path, class and key, by which the node is found.
    pub(super) edge: u64,
    path: u32,
    class: u16,
    /// It was crowded once: postings go on.
    split: bool,
}

/// What only some nodes have.
#[derive(Debug, Default)]
pub(super) struct Inner {
    /// What is filed by a value at a path.
    pub(super) parts: Vec<Part>,
    /// What holds unless a document has something.
    pub(super) unless: Vec<Negation>,
}

/// What is filed by a value at one path.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: u32,
    pub(super) classes: Vec<ClassOf>,
}

/// Accesses of one class.
#[derive(Debug)]
pub(super) struct ClassOf {
    pub(super) class: u16,
    /// Nodes below, or postings in order.
    pub(super) count: u32,
    pub(super) ordered: Option<Box<Ordered<Posting>>>,
}

#[derive(Debug)]
pub(super) struct HeldPath {
    pub(super) path: Path,
    parts: u32,
}

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
    /// In the order of the lower bound; with 64 times the kind, and with the width of the interval in bits.
    pub(in super::super) const WITHIN: u16 = 128;
    /// Leads to marks of negations, not to entries.
    pub(in super::super) const NEGATED: u16 = 1 << 15;
}

/// An access as it is looked up.
#[derive(Clone, Copy)]
struct Key {
    class: u16,
    key: u64,
}

impl Key {
    fn of(access: Access) -> Self {
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
                (class::WITHIN + 64 * u16::from(kind) + u16::try_from(width).unwrap_or(63), least)
            }
        };
        Self { class, key }
    }

    fn is_ordered(self) -> bool {
        self.class & class::NEGATED == 0 && self.class >= class::GRAM
    }
}

/// The next step of an entry on its way down.
struct Choice {
    /// Its conditions, by position.
    used: u32,
    alternatives: access::Alternatives,
    negated: Option<u32>,
}

impl Filing {
    pub(super) fn new(seed: u64) -> Self {
        let mut nodes = Slots::default();
        nodes.insert(Node { split: true, ..Node::default() });
        Self {
            hashing: Hashing::new(seed),
            conditions: Conditions::default(),
            entries: Slots::default(),
            by_conditions: Table::default(),
            nodes,
            by_edge: Table::default(),
            paths: Slots::default(),
            by_path: Table::default(),
        }
    }

    /// The entry of a filter, perhaps a new one.
    pub(super) fn insert(&mut self, term: &Term) -> u32 {
        let mut list: SmallVec<[u32; 4]> = SmallVec::new();
        take_apart(term, &mut |term| list.push(self.conditions.hold(term, &self.hashing)));
        list.sort_unstable();
        let mut last = NONE;
        list.retain(|condition| {
            let again = std::mem::replace(&mut last, *condition) == *condition;
            if again {
                self.conditions.release(*condition);
            }
            !again
        });
        let hash = self.hashing.of(&*list);
        let is_it = |slot| self.entries.get(slot).is_some_and(|entry: &Entry| entry.conditions == list);
        if let Some(entry) = self.by_conditions.find(hash, &mut { is_it }) {
            list.iter().for_each(|condition| self.conditions.release(*condition));
            return entry;
        }
        let entry = self.entries.insert(Entry { conditions: list, places: SmallVec::new() });
        self.by_conditions.insert(hash, entry);
        self.file(entry, ROOT, 0);
        entry
    }

    pub(super) fn remove(&mut self, entry: u32) {
        let Some(Entry { conditions, places }) = self.entries.remove(entry) else { return };
        self.by_conditions.remove(self.hashing.of(&*conditions), entry);
        for at in 0..places.len() {
            // Each removal may move a posting of this same entry.
            if let Some(place) = places.get(at) {
                self.take_out(entry, *place);
            }
        }
        conditions.iter().for_each(|condition| self.conditions.release(*condition));
    }

    /// Files an entry in this node or below it.
    fn file(&mut self, entry: u32, node: u32, used: u32) {
        let split = self.nodes.get(node).is_some_and(|node| node.split);
        let choice = if split { self.choose(entry, node, used) } else { None };
        let Some(Choice { used: conditions, alternatives, negated }) = choice else {
            self.put_here(entry, node, used);
            return;
        };
        let used = used | conditions;
        let alternatives = distinct(alternatives);
        if let Some(condition) = negated {
            self.put_unless(entry, node, used, condition);
        }
        for (path, access) in alternatives {
            let key = Key::of(access);
            let path = self.part(node, path);
            match negated {
                Some(_) => {
                    let child = self.child(node, path, Key { class: key.class | class::NEGATED, ..key });
                    self.put_here(entry, child, used);
                }
                None if key.is_ordered() => self.put_in_order(entry, node, used, path, key),
                None => {
                    let child = self.child(node, path, key);
                    self.file(entry, child, used);
                }
            }
        }
    }

    /// By which of its conditions an entry goes on: the most selective kind, and of these the way with the fewest postings.
    fn choose(&self, entry: u32, node: u32, used: u32) -> Option<Choice> {
        let conditions = &self.entries.get(entry)?.conditions;
        let terms = conditions.iter().map(|condition| self.conditions.get(*condition));
        let terms: SmallVec<[Option<&Term>; 8]> = terms.take(32).collect();
        let mut best: Option<((Selectivity, u32), Choice)> = None;
        for (at, term) in terms.iter().enumerate() {
            let bit = 1 << at;
            let Some(term) = term.filter(|_| used & bit == 0) else { continue };
            let Some((selectivity, choice)) =
                self.choice(term, bit, &terms, used, conditions.get(at).copied())
            else {
                continue;
            };
            if choice.alternatives.is_empty() && choice.negated.is_none() {
                // It never holds, nor does the entry.
                return Some(choice);
            }
            // Looking at the postings is as cheap as such a step.
            if node != ROOT && selectivity >= Selectivity::Kind {
                continue;
            }
            let weight =
                choice.alternatives.iter().map(|(path, access)| self.weight(node, path, *access)).sum();
            if best.as_ref().is_none_or(|(least, _)| (selectivity, weight) < *least) {
                best = Some(((selectivity, weight), choice));
            }
        }
        best.map(|(_, choice)| choice)
    }

    fn choice(
        &self,
        term: &Term,
        bit: u32,
        terms: &[Option<&Term>],
        used: u32,
        condition: Option<u32>,
    ) -> Option<(Selectivity, Choice)> {
        if let Some(alternatives) = access::of_term(term, &self.hashing) {
            let mut choice = Choice { used: bit, alternatives, negated: None };
            if let (Term::Field(field), [(_, only)]) = (term, &mut *choice.alternatives) {
                for (at, other) in terms.iter().enumerate().filter(|(at, _)| used & (1 << at) == 0) {
                    let Some(Term::Field(other)) = other else { continue };
                    if let Some(interval) =
                        access::interval(field, other).or_else(|| access::interval(other, field))
                    {
                        *only = interval;
                        choice.used |= 1 << at;
                        break;
                    }
                }
            }
            let selectivity = access::cost(&choice.alternatives).0.unwrap_or(Selectivity::Value);
            return Some((selectivity, choice));
        }
        let alternatives = of_negation(term, &self.hashing)?;
        Some((Selectivity::Absence, Choice { used: bit, alternatives, negated: condition }))
    }

    /// How many postings there are on a way.
    fn weight(&self, node: u32, path: &Path, access: Access) -> u32 {
        let key = Key::of(access);
        let Some(path) = self.path(path) else { return 0 };
        if key.is_ordered() {
            let inner = self.nodes.get(node).and_then(|node| node.inner.as_ref());
            let part = inner.and_then(|inner| inner.parts.iter().find(|part| part.path == path));
            let class = part.and_then(|part| part.classes.iter().find(|one| one.class == key.class));
            return class.map_or(0, |class| class.count);
        }
        let child = self.find(self.edge(node, path, key.class, key.key));
        child.and_then(|child| self.nodes.get(child)).map_or(0, |node| node.weight)
    }

    /// The hash by which the node below another is found.
    pub(super) fn edge(&self, node: u32, path: u32, class: u16, key: u64) -> u64 {
        self.hashing.of((node, path, class, key))
    }

    /// The node of an edge.
    pub(super) fn find(&self, edge: u64) -> Option<u32> {
        self.by_edge.find(edge, &mut |node| self.nodes.get(node).is_some_and(|node| node.edge == edge))
    }

    fn path(&self, path: &Path) -> Option<u32> {
        let is_it = |slot| self.paths.get(slot).is_some_and(|held: &HeldPath| held.path == *path);
        self.by_path.find(self.hashing.of(path), &mut { is_it })
    }

    /// The number of a path, which is a part of the node from now on.
    fn part(&mut self, node: u32, path: Path) -> u32 {
        let number = self.path(&path).unwrap_or_else(|| {
            let hash = self.hashing.of(&path);
            let slot = self.paths.insert(HeldPath { path, parts: 0 });
            self.by_path.insert(hash, slot);
            slot
        });
        let Some(inner) = self.nodes.get_mut(node).map(|node| node.inner.get_or_insert_default()) else {
            return number;
        };
        if let Err(at) = inner.parts.binary_search_by_key(&number, |part| part.path) {
            inner.parts.insert(at, Part { path: number, classes: Vec::new() });
            if let Some(held) = self.paths.get_mut(number) {
                held.parts += 1;
            }
        }
        number
    }

    fn class(&mut self, node: u32, path: u32, class: u16) -> Option<&mut ClassOf> {
        let part = self.nodes.get_mut(node)?.inner.as_mut()?.part(path)?;
        let at = match part.classes.binary_search_by_key(&class, |one| one.class) {
            Ok(at) => at,
            Err(at) => {
                part.classes.insert(at, ClassOf { class, count: 0, ordered: None });
                at
            }
        };
        part.classes.get_mut(at)
    }

    /// The node below another, perhaps a new one.
    fn child(&mut self, node: u32, path: u32, key: Key) -> u32 {
        let edge = self.edge(node, path, key.class, key.key);
        if let Some(child) = self.find(edge) {
            return child;
        }
        if let Some(class) = self.class(node, path, key.class) {
            class.count += 1;
        }
        let child = Node { parent: node, edge, path, class: key.class, ..Node::default() };
        let child = self.nodes.insert(child);
        self.by_edge.insert(edge, child);
        child
    }

    fn put_here(&mut self, entry: u32, node: u32, used: u32) {
        let posting = self.posting(entry, used, None);
        let Some(list) = self.nodes.get_mut(node).map(|node| &mut node.postings) else { return };
        if list.is_empty() {
            // Most lists stay as short as this.
            list.reserve_exact(1);
        }
        list.push(posting);
        let at = position(list.len());
        let is_crowded = list.len() > CROWDED;
        self.filed(entry, Place::Here { node, at }, node);
        if is_crowded {
            self.split(node);
        }
    }

    fn put_unless(&mut self, entry: u32, node: u32, used: u32, condition: u32) {
        let posting = self.posting(entry, used, Some(condition));
        let Some(inner) = self.nodes.get_mut(node).map(|node| node.inner.get_or_insert_default()) else {
            return;
        };
        inner.unless.push(Negation { posting, condition });
        let at = position(inner.unless.len());
        self.filed(entry, Place::Unless { node, at }, node);
    }

    fn put_in_order(&mut self, entry: u32, node: u32, used: u32, path: u32, key: Key) {
        let posting = self.posting(entry, used, None);
        let Some(class) = self.class(node, path, key.class) else { return };
        class.count += 1;
        class.ordered.get_or_insert_default().insert(key.key, posting);
        self.filed(entry, Place::Ordered { node, path, class: key.class, bound: key.key }, node);
    }

    fn filed(&mut self, entry: u32, place: Place, node: u32) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.places.push(place);
        }
        let mut next = Some(node);
        while let Some(node) = next.and_then(|number| self.nodes.get_mut(number)) {
            node.weight += 1;
            next = next.filter(|number| *number != ROOT).map(|_| node.parent);
        }
    }

    fn posting(&self, entry: u32, used: u32, without: Option<u32>) -> Posting {
        let all = self.entries.get(entry).map(|entry| &*entry.conditions).unwrap_or_default();
        // What the way here is made of holds nearly always: it comes last.
        let is_used = |at: usize| at < 32 && used & (1 << at) != 0;
        let others = all.iter().enumerate().filter(|(at, _)| !is_used(*at));
        let ways = all.iter().enumerate().filter(|(at, _)| is_used(*at));
        let mut rest =
            others.chain(ways).map(|(_, condition)| *condition).filter(|one| Some(*one) != without);
        let mut conditions = [NONE; 3];
        for place in &mut conditions {
            *place = rest.next().unwrap_or(NONE);
        }
        if rest.next().is_some() {
            conditions[2] = MORE;
        }
        Posting { entry, conditions, used }
    }

    /// Passes the postings of a node on where it can.
    fn split(&mut self, number: u32) {
        let Some(node) =
            self.nodes.get_mut(number).filter(|node| !node.split && node.class & class::NEGATED == 0)
        else {
            return;
        };
        node.split = true;
        let postings = std::mem::take(&mut node.postings);
        for (at, posting) in postings.iter().enumerate() {
            self.unfiled(number);
            if let Some(entry) = self.entries.get_mut(posting.entry) {
                entry.places.retain(|place| *place != Place::Here { node: number, at: position(at + 1) });
            }
        }
        for posting in postings {
            self.file(posting.entry, number, posting.used);
        }
    }

    fn take_out(&mut self, entry: u32, place: Place) {
        match place {
            Place::Here { node, at } => {
                let Some(list) = self.nodes.get_mut(node).map(|node| &mut node.postings) else { return };
                debug_assert!(list.get(at as usize).is_some_and(|posting| posting.entry == entry));
                list.swap_remove(at as usize);
                if list.capacity() > 4 * list.len() + 4 {
                    list.shrink_to(2 * list.len());
                }
                let moved = list.get(at as usize).map(|posting| posting.entry);
                let was = Place::Here { node, at: position(list.len() + 1) };
                self.moved(moved, was, place);
                self.unfiled_and_pruned(node);
            }
            Place::Unless { node, at } => {
                let inner = self.nodes.get_mut(node).and_then(|node| node.inner.as_mut());
                let Some(list) = inner.map(|inner| &mut inner.unless) else { return };
                list.swap_remove(at as usize);
                let moved = list.get(at as usize).map(|negation| negation.posting.entry);
                let was = Place::Unless { node, at: position(list.len() + 1) };
                self.moved(moved, was, place);
                self.unfiled_and_pruned(node);
            }
            Place::Ordered { node, path, class, bound } => {
                if let Some(class) = self.class(node, path, class) {
                    class.count -= 1;
                    if let Some(ordered) = &mut class.ordered {
                        ordered.remove(bound, |posting| posting.entry == entry);
                    }
                }
                self.tidy(node, path, class);
                self.unfiled_and_pruned(node);
            }
        }
    }

    /// Another posting has taken the place of one that went.
    fn moved(&mut self, entry: Option<u32>, was: Place, is: Place) {
        let Some(entry) = entry.and_then(|entry| self.entries.get_mut(entry)) else { return };
        if let Some(place) = entry.places.iter_mut().find(|place| **place == was) {
            *place = is;
        }
    }

    fn unfiled(&mut self, node: u32) {
        let mut next = Some(node);
        while let Some(node) = next.and_then(|number| self.nodes.get_mut(number)) {
            node.weight = node.weight.saturating_sub(1);
            next = next.filter(|number| *number != ROOT).map(|_| node.parent);
        }
    }

    /// One posting less; nodes that have none any more go.
    fn unfiled_and_pruned(&mut self, node: u32) {
        self.unfiled(node);
        let mut number = node;
        while number != ROOT {
            let Some(Node { weight: 0, parent, edge, path, class, .. }) = self.nodes.get(number) else {
                return;
            };
            let (parent, edge, path, class) = (*parent, *edge, *path, *class);
            self.by_edge.remove(edge, number);
            self.nodes.remove(number);
            if let Some(class) = self.class(parent, path, class) {
                class.count -= 1;
            }
            self.tidy(parent, path, class);
            number = parent;
        }
    }

    /// Removes a class without anything in it, then a part without classes.
    fn tidy(&mut self, node: u32, path: u32, class: u16) {
        let Some(node) = self.nodes.get_mut(node) else { return };
        let Some(inner) = &mut node.inner else { return };
        let Some(part) = inner.part(path) else { return };
        part.classes.retain(|one| one.class != class || one.count > 0);
        if !part.classes.is_empty() {
            return;
        }
        inner.parts.retain(|part| part.path != path);
        if inner.parts.is_empty() && inner.unless.is_empty() {
            node.inner = None;
        }
        let Some(held) = self.paths.get_mut(path) else { return };
        held.parts -= 1;
        if held.parts == 0 {
            self.by_path.remove(self.hashing.of(&held.path), path);
            self.paths.remove(path);
        }
    }
}

impl Inner {
    fn part(&mut self, path: u32) -> Option<&mut Part> {
        let at = self.parts.binary_search_by_key(&path, |part| part.path).ok()?;
        self.parts.get_mut(at)
    }
}

/// Each access once: an entry is filed at most once in a node.
fn distinct(alternatives: access::Alternatives) -> access::Alternatives {
    let mut kept = access::Alternatives::new();
    for one in alternatives {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// Where the last of this many is.
fn position(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// What the document must not have for a negation to hold for certain.
fn of_negation(term: &Term, hashing: &Hashing) -> Option<access::Alternatives> {
    match term {
        Term::Field(Field { path, test: Test::Not { tests, .. }, searches: false }) => match &**tests {
            [test] => {
                let field = Field { path: path.clone(), test: test.clone(), searches: false };
                access::of_term(&Term::Field(field), hashing).filter(|found| {
                    found.iter().all(|(_, access)| matches!(access, Access::Equal(_) | Access::Present))
                })
            }
            _ => None,
        },
        _ => None,
    }
}

/// The conditions that all have to hold.
fn take_apart(term: &Term, condition: &mut dyn FnMut(Term)) {
    match term {
        Term::Logic { logic, terms }
            if matches!(logic, Logic::Members | Logic::And) || (*logic == Logic::Or && terms.len() == 1) =>
        {
            for term in terms {
                take_apart(term, condition);
            }
        }
        Term::Field(Field { path, test: Test::All(tests), searches }) if !tests.is_empty() => {
            for test in tests {
                let field = Field { path: path.clone(), test: test.clone(), searches: *searches };
                condition(Term::Field(field));
            }
        }
        _ => condition(term.clone()),
    }
}
