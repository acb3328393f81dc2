//! Standing queries, found by the documents that they select.
//!
//! A filter is taken apart into its conditions, all of which have to hold. Equal conditions of different filters are one
//! (`Conditions`) and are evaluated at most once for a document. Equal filters are one entry with several ids. An entry is
//! filed in a tree of nodes:
//!
//! ```text
//! root ── room = "r1" ── type = "t1"   [e7]          each edge is a condition's access: a value at a path
//!      │               └ type = "t2"   [e9 e12]
//!      ├─ user = "u5"  [e3]
//!      ├─ price: intervals in order of their lower ends [e4 e8 …]
//!      ├─ unless type = "t3" [e5]      holds if the document has nothing like that
//!      └─ [e1]                         the rest, looked at for every document
//! ```
//! A document goes down the edges that its own values name, which it finds by hashing; whatever entries it meets there are
//! candidates, and their conditions are evaluated. An access is necessary for its condition, never sufficient, so a
//! collision of hashes costs time and nothing else. A node that has gathered more than a few entries passes them on by their next best
//! condition. That is the access predicate of F. Fabret et al. ("Filtering algorithms and implementation for very fast
//! publish/subscribe systems", SIGMOD 2001, section 3) and the adaptive tree of M. Sadoghi and H.-A. Jacobsen ("BE-Tree", SIGMOD
//! 2011, section 4), here with MongoDB's semantics.
//!
//! Inputs: insert, remove, select. Outputs: ids. No timers.
//! Invariants: an entry has at least one id, a node other than the root at least one posting below it, a condition at least one
//! entry; so everything that is removed is gone.

pub(crate) mod access;
mod choice;
mod conditions;
mod filing;
pub(crate) mod keys;
mod ordered;
mod paths;
mod probe;
mod table;

use crate::{Document, Filter};
use filing::Filing;
use probe::Scratch;
use std::fmt;
use std::hash::Hash;
use table::{Slots, Table};

/// Many filters, each under an id, that are matched against a document at once.
///
/// ```
/// use weft_query::{Document, Filter, Index};
///
/// let mut index = Index::new(0x5eed);
/// index.insert("dramas", &Filter::parse_json(r#"{"genre":"Drama","rating":{"$gte":8}}"#)?);
/// index.insert("rest", &Filter::parse_json(r#"{"genre":{"$ne":"Drama"}}"#)?);
///
/// let film = weft_query::json::parse(r#"{"title":"Ran","genre":"Drama","rating":8.2}"#)?;
/// let mut found = Vec::new();
/// index.select(&Document::from_value(&film)?, |id| found.push(id));
/// assert_eq!(found, ["dramas"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `select` takes time with the number of filters that come near the document, not with that of all: see
/// `bench/RESULTS.md`. Looked at each time are filters without any condition on what a document must have, or must not have,
/// at some path: above all those that only negate a `$regex`.
pub struct Index<K> {
    filing: Filing,
    /// Who has each entry.
    ids: Vec<Vec<K>>,
    subscribers: Slots<Subscriber<K>>,
    by_id: Table,
    scratch: Scratch,
}

/// Where an id is.
#[derive(Debug)]
struct Subscriber<K> {
    id: K,
    entry: u32,
    /// In the entry's list.
    at: u32,
}

impl<K: Copy + Eq + Hash> Index<K> {
    /// An empty index. The seed should be random where queries or documents come from strangers: it is what keeps them
    /// from making many values fall together.
    pub fn new(seed: u64) -> Self {
        Self {
            filing: Filing::new(seed),
            ids: Vec::new(),
            subscribers: Slots::default(),
            by_id: Table::default(),
            scratch: Scratch::default(),
        }
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a filter under an id; true if the id is new, false if it had a filter, which is forgotten.
    pub fn insert(&mut self, id: K, filter: &Filter) -> bool {
        let is_new = !self.remove(&id);
        let entry = self.filing.insert(filter.term());
        if self.ids.len() <= entry as usize {
            self.ids.resize_with(entry as usize + 1, Vec::new);
        }
        let Some(ids) = self.ids.get_mut(entry as usize) else { return is_new };
        let at = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        ids.push(id);
        let slot = self.subscribers.insert(Subscriber { id, entry, at });
        self.by_id.insert(self.filing.hashing.of(&id), slot);
        is_new
    }

    /// Forgets an id; whether there was one.
    pub fn remove(&mut self, id: &K) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        self.by_id.remove(self.filing.hashing.of(id), slot);
        let Some(Subscriber { entry, at, .. }) = self.subscribers.remove(slot) else { return false };
        let Some(ids) = self.ids.get_mut(entry as usize) else { return false };
        ids.swap_remove(at as usize);
        if ids.is_empty() {
            ids.shrink_to_fit();
            self.filing.remove(entry);
            self.ids.truncate(self.filing.entries.end());
            if self.ids.capacity() > 4 * self.ids.len() {
                self.ids.shrink_to_fit();
            }
        } else if let Some(moved) = ids.get(at as usize).copied() {
            // The last one now stands in the gap.
            if let Some(subscriber) = self.slot(&moved).and_then(|slot| self.subscribers.get_mut(slot)) {
                subscriber.at = at;
            }
        }
        true
    }

    /// Calls `found` with the id of every filter that the document satisfies, once each, in no particular order.
    ///
    /// Takes `&mut self` for what is remembered meanwhile; the filters stay as they are.
    pub fn select(&mut self, document: &Document, mut found: impl FnMut(K)) {
        let ids = &self.ids;
        self.scratch.select(&self.filing, document.view(), &mut |entry| {
            ids.get(entry as usize).into_iter().flatten().for_each(|id| found(*id));
        });
    }

    fn slot(&self, id: &K) -> Option<u32> {
        let is_it = |slot| self.subscribers.get(slot).is_some_and(|one| one.id == *id);
        self.by_id.find(self.filing.hashing.of(id), &mut { is_it })
    }
}

impl<K> fmt::Debug for Index<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("len", &self.subscribers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn document(text: &str) -> Document {
        Document::from_value(&json::parse(text).unwrap()).unwrap()
    }

    fn selected<K: Copy + Eq + Hash + Ord>(index: &mut Index<K>, text: &str) -> Vec<K> {
        let mut found = Vec::new();
        index.select(&document(text), |id| found.push(id));
        found.sort_unstable();
        found
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut index = Index::new(7);
        let texts = [
            r#"{"a":%,"b":{"$in":[%,2,3]}}"#,
            r#"{"a":{"$gte":%,"$lt":40}}"#,
            r#"{"a":{"$gt":%}}"#,
            r#"{"a":{"$lte":%},"c":"x"}"#,
            r#"{"a":{"$ne":%}}"#,
            r#"{"a":{"$nin":[%,1]},"d":{"$exists":false}}"#,
            r#"{"$or":[{"a":%},{"b":%,"c":{"$exists":true}}]}"#,
            r#"{"e":{"$regex":"^ab%"}}"#,
            r#"{"e":{"$contains":"abc%"}}"#,
            r#"{"e":{"$elemMatch":{"f":%}}}"#,
            r#"{"a":%,"b":%,"c":%,"d":%,"e":%}"#,
            r#"{"$nor":[{"a":%}]}"#,
            r#"{"a":{"$in":[]}}"#,
            "{}",
        ];
        let queries = (0..50).flat_map(|n| texts.map(|text| text.replace('%', &n.to_string())));
        let filters: Vec<_> = queries.map(|text| Filter::parse_json(&text).unwrap()).collect();
        for (id, filter) in filters.iter().enumerate() {
            assert!(index.insert(id, filter));
            assert!(!index.insert(id, filter));
        }
        assert_eq!(index.len(), filters.len());
        assert!(selected(&mut index, r#"{"a":7,"b":7,"c":"x"}"#).len() > 100);
        // In an order of its own.
        for id in (0..filters.len()).map(|n| n * 389 % filters.len()) {
            assert!(index.remove(&id), "{id}");
            assert!(!index.remove(&id));
        }
        let Index { filing, ids, subscribers, .. } = &index;
        let left =
            [filing.conditions.len(), filing.entries.len(), filing.paths.len(), ids.len(), subscribers.len()];
        assert_eq!((left, filing.nodes.len()), ([0; 5], 1));
        assert!(index.is_empty() && selected(&mut index, r#"{"a":7}"#).is_empty());
    }

    #[test]
    fn equal_filters_are_kept_once_and_each_id_is_found() {
        let mut index = Index::new(7);
        let queries = [r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"$and":[{"a":1},{"b":2},{"a":1}]}"#];
        for (id, text) in queries.into_iter().enumerate() {
            index.insert(id, &Filter::parse_json(text).unwrap());
        }
        assert_eq!(index.filing.entries.len(), 1);
        assert_eq!(selected(&mut index, r#"{"a":1,"b":2}"#), [0, 1, 2]);
        index.remove(&0);
        assert_eq!(selected(&mut index, r#"{"a":1,"b":2}"#), [1, 2]);
        index.insert(2, &Filter::parse_json(r#"{"a":5}"#).unwrap());
        assert_eq!(selected(&mut index, r#"{"a":1,"b":2}"#), [1]);
    }

    #[test]
    fn a_document_meets_only_what_its_values_name() {
        let mut index = Index::new(7);
        for n in 0..10_000i64 {
            let text = format!(
                r#"{{"room":"r{}","type":"t{}","price":{{"$gte":{n},"$lt":{}}}}}"#,
                n % 100,
                n % 7,
                n + 10
            );
            index.insert(n, &Filter::parse_json(&text).unwrap());
        }
        assert_eq!(selected(&mut index, r#"{"room":"r3","type":"t3","price":705}"#), [703]);
        let evaluated = index.scratch.evaluated();
        assert!(evaluated < 50, "{evaluated} conditions were evaluated");
    }

    #[test]
    fn lists_do_not_multiply_without_bound() {
        let mut index = Index::new(7);
        let list = |own: usize| {
            let values: Vec<_> = (0..62).chain([own]).map(|value| value.to_string()).collect();
            format!("{{\"$in\":[{}]}}", values.join(","))
        };
        for n in 0..60 {
            let list = list(100 + n);
            let text = format!("{{\"a\":{list},\"b\":{list},\"c\":{list}}}");
            index.insert(n, &Filter::parse_json(&text).unwrap());
        }
        assert_eq!(selected(&mut index, r#"{"a":5,"b":[7,107],"c":61}"#).len(), 60);
        assert_eq!(selected(&mut index, r#"{"a":5,"b":107,"c":61}"#), [7]);
        assert!(index.filing.places() <= 60 * 2 * 64, "{} places", index.filing.places());
    }

    #[test]
    fn the_numbers_of_rounds_may_come_again() {
        let mut index = Index::new(7);
        index.insert(1u8, &Filter::parse_json(r#"{"a":1}"#).unwrap());
        index.insert(2, &Filter::parse_json(r#"{"a":{"$ne":1}}"#).unwrap());
        index.scratch.skip_to_last_round();
        for _ in 0..4 {
            assert_eq!(selected(&mut index, r#"{"a":1}"#), [1]);
            assert_eq!(selected(&mut index, r#"{"a":2}"#), [2]);
        }
    }
}
