//! Where each entry is filed: the tree of nodes, and how it grows and shrinks.

use super::access::{Access, Alternatives};
use super::choice::{self, Choice, Key, class, width};
use super::conditions::Conditions;
use super::keys::Hashing;
use super::ordered::Ordered;
use super::paths::Paths;
use super::table::{Slots, Table};
use crate::path::Path;
use crate::term::{Field, Logic, Relation, Term, Test};

/// All filters, taken apart into conditions and filed under what documents must have to satisfy them.
#[derive(Debug)]
pub(super) struct Filing {
    pub(super) hashing: Hashing,
    pub(super) conditions: Conditions,
    pub(super) entries: Slots<Entry>,
    by_conditions: Table,
    pub(super) nodes: Slots<Node>,
    by_edge: Table,
    pub(super) paths: Paths,
}

/// A filter.
#[derive(Debug)]
pub(super) struct Entry {
    /// All of them must hold; sorted, so that equal filters have equal lists.
    pub(super) conditions: Box<[u32]>,
    /// Where it is filed. Nowhere, if it never holds.
    places: Vec<Place>,
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
/// The same of the root, whose postings every document meets.
const CROWDED_ROOT: usize = 3;
/// Places of one entry, about.
const PLACES: usize = 64;
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
    /// What is filed by a value at a path, sorted by path.
    pub(super) classes: Vec<ClassOf>,
    /// What holds unless a document has something.
    pub(super) unless: Vec<Negation>,
}

/// What is filed by accesses of one class at one path.
#[derive(Debug)]
pub(super) struct ClassOf {
    pub(super) path: u32,
    pub(super) class: u16,
    /// Nodes below, or postings in order.
    pub(super) count: u32,
    pub(super) ordered: Option<Box<Ordered<Posting>>>,
    /// Of intervals: the widths that there are, as bits.
    pub(super) widths: u64,
}

impl Filing {
    pub(super) fn new(seed: u64) -> Self {
        let mut nodes = Slots::default();
        nodes.insert(Node::default());
        Self {
            hashing: Hashing::new(seed),
            conditions: Conditions::default(),
            entries: Slots::default(),
            by_conditions: Table::default(),
            nodes,
            by_edge: Table::default(),
            paths: Paths::default(),
        }
    }

    /// The entry of a filter, perhaps a new one.
    pub(super) fn insert(&mut self, term: &Term) -> u32 {
        let Self { conditions, hashing, paths, .. } = self;
        let mut list = Vec::new();
        take_apart(term, &mut |term| list.push(conditions.hold(term, hashing, paths)));
        list.sort_unstable();
        let mut last = NONE;
        list.retain(|condition| {
            let again = std::mem::replace(&mut last, *condition) == *condition;
            if again {
                conditions.release(*condition, hashing, paths);
            }
            !again
        });
        let hash = hashing.of(&*list);
        let is_it = |slot| self.entries.get(slot).is_some_and(|entry: &Entry| *entry.conditions == *list);
        if let Some(entry) = self.by_conditions.find(hash, &mut { is_it }) {
            for condition in list {
                conditions.release(condition, hashing, paths);
            }
            return entry;
        }
        let entry = self.entries.insert(Entry { conditions: list.into(), places: Vec::new() });
        self.by_conditions.insert(hash, entry);
        self.file(entry, ROOT, 0);
        entry
    }

    pub(super) fn remove(&mut self, entry: u32) {
        let Some(Entry { conditions, places }) = self.entries.remove(entry) else { return };
        self.by_conditions.remove(self.hashing.of(&*conditions), entry);
        for place in places {
            self.take_out(entry, place);
        }
        for condition in conditions {
            self.conditions.release(condition, &self.hashing, &mut self.paths);
        }
    }

    /// Files an entry in this node or below it.
    fn file(&mut self, entry: u32, node: u32, used: u32) {
        let Some(Choice { used: conditions, alternatives, negated }) = self.choose(entry, node, used) else {
            self.put_here(entry, node, used);
            return;
        };
        let used = used | conditions;
        if negated {
            self.put_unless(entry, node, used, conditions);
        }
        for (path, access) in alternatives {
            let key = Key::of(access);
            let path = self.paths.hold(&path, &self.hashing);
            if negated {
                let child = self.child(node, path, Key { class: key.class | class::NEGATED, ..key });
                self.put_here(entry, child, used);
            } else if key.is_ordered() {
                self.put_in_order(entry, node, used, path, key);
            } else {
                let child = self.child(node, path, key);
                self.file(entry, child, used);
            }
            self.paths.release(path, &self.hashing);
        }
    }

    fn choose(&self, entry: u32, node: u32, used: u32) -> Option<Choice> {
        self.nodes.get(node).filter(|node| node.split)?;
        let Entry { conditions, places } = self.entries.get(entry)?;
        // Lists multiply: each way that a list leads to may go on by another one.
        let most = PLACES.saturating_sub(places.len());
        let terms: Vec<_> = conditions.iter().map(|condition| self.conditions.get(*condition)).collect();
        let weight =
            |ways: &Alternatives| ways.iter().map(|(path, access)| self.weight(node, path, *access)).sum();
        Choice::best(&terms, used, node == ROOT, most, &self.hashing, &weight)
    }

    /// How many postings there are on a way.
    fn weight(&self, node: u32, path: &Path, access: Access) -> u32 {
        let key = Key::of(access);
        let Some(path) = self.paths.find(path, &self.hashing) else { return 0 };
        if key.is_ordered() {
            let inner = self.nodes.get(node).and_then(|node| node.inner.as_ref());
            let class = inner.and_then(|inner| inner.classes.get(inner.position(path, key.class).ok()?));
            return class.map_or(0, |class| class.count);
        }
        let child = self.find(self.edge(node, path, key.class, key.key));
        child.and_then(|child| self.nodes.get(child)).map_or(0, |node| node.weight)
    }

    /// The hash by which the node below another is found.
    pub(super) fn edge(&self, node: u32, path: u32, class: u16, key: u64) -> u64 {
        self.hashing.mix(u64::from(node) << 32 | u64::from(path), u64::from(class), key)
    }

    /// The node of an edge.
    pub(super) fn find(&self, edge: u64) -> Option<u32> {
        self.by_edge.find(edge, &mut |node| self.nodes.get(node).is_some_and(|node| node.edge == edge))
    }

    /// A class of a node, perhaps a new one, which holds the path.
    fn class(&mut self, node: u32, path: u32, class: u16) -> Option<&mut ClassOf> {
        let inner = self.nodes.get_mut(node)?.inner.get_or_insert_default();
        let at = inner.position(path, class).unwrap_or_else(|at| {
            self.paths.hold_again(path);
            inner.classes.insert(at, ClassOf { path, class, count: 0, ordered: None, widths: 0 });
            at
        });
        inner.classes.get_mut(at)
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
        let is_crowded = list.len() > if node == ROOT { CROWDED_ROOT } else { CROWDED };
        self.filed(entry, Place::Here { node, at }, node);
        if is_crowded {
            self.split(node);
        }
    }

    /// `negated`: the position of the condition, as a bit.
    fn put_unless(&mut self, entry: u32, node: u32, used: u32, negated: u32) {
        let conditions = self.entries.get(entry).map(|entry| &*entry.conditions).unwrap_or_default();
        let Some(condition) = conditions.get(negated.trailing_zeros() as usize).copied() else { return };
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
        class.widths |= 1 << width(key.key);
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
        let mut order: Vec<(u8, u32)> = Vec::new();
        for (at, condition) in all.iter().enumerate().filter(|(_, condition)| Some(**condition) != without) {
            // What the way here is made of holds nearly always: it comes last.
            let is_way = at < 32 && used & (1 << at) != 0;
            let effort = self.conditions.get(*condition).map_or(0, effort);
            order.push((if is_way { u8::MAX } else { effort }, *condition));
        }
        order.sort_unstable();
        let mut rest = order.into_iter().map(|(_, condition)| condition);
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
                        let width = width(bound);
                        if ordered
                            .range(choice::bound(width, 0), choice::bound(width, u64::MAX))
                            .next()
                            .is_none()
                        {
                            class.widths &= !(1 << width);
                        }
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

    /// Removes a class without anything in it.
    fn tidy(&mut self, node: u32, path: u32, class: u16) {
        let Some(node) = self.nodes.get_mut(node) else { return };
        let Some(inner) = &mut node.inner else { return };
        let Ok(at) = inner.position(path, class) else { return };
        if inner.classes.get(at).is_none_or(|class| class.count > 0) {
            return;
        }
        inner.classes.remove(at);
        if inner.classes.is_empty() && inner.unless.is_empty() {
            node.inner = None;
        }
        self.paths.release(path, &self.hashing);
    }
}

impl Inner {
    /// Where a class is, or belongs.
    fn position(&self, path: u32, class: u16) -> Result<usize, usize> {
        self.classes.binary_search_by_key(&(path, class), |one| (one.path, one.class))
    }
}

/// Where the last of this many is.
fn position(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// What is quickly found out comes first.
fn effort(term: &Term) -> u8 {
    let Term::Field(field) = term else { return 3 };
    let Field { test, searches, .. } = &**field;
    match test {
        Test::Compare { relation: Relation::Eq, .. } | Test::Exists | Test::Type(_) | Test::Size(_) => 0,
        Test::Compare { .. } | Test::Mod { .. } => 1,
        _ if *searches => 3,
        _ => 2,
    }
}

/// The conditions that all have to hold.
fn take_apart(term: &Term, condition: &mut dyn FnMut(Term)) {
    match term {
        Term::Logic { logic, terms }
            if matches!(logic, Logic::Members | Logic::And) || (*logic == Logic::Or && terms.len() == 1) =>
        {
            for term in &**terms {
                take_apart(term, condition);
            }
        }
        _ => condition(term.clone()),
    }
}

#[cfg(test)]
impl Filing {
    /// All places of all entries.
    pub(super) fn places(&self) -> usize {
        (0..).map_while(|entry| self.entries.get(entry)).map(|entry| entry.places.len()).sum()
    }
}
