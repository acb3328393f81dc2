//! What many filters are interested in, in few bytes.
//!
//! ```text
//! tuples    room, type     0x1f2e3d4c 0x5a6b7c8d …   hashes of (room, type), for filters that ask for both
//! range     price number   [a, b] [c, d] …           ranks that values lie in
//! kinds     text           string, array             types of values
//! all                                                everything
//! ```
//! A summary may say that a document is of interest when no filter selects it; it never says that one is not when some
//! filter does. Where the bytes do not suffice it gets coarser: fewer paths in a tuple, shorter hashes, ranges that are joined,
//! and in the end everything.
//!
//! The encoding is in `docs/spec/query.md`, section 8. The hash is FNV-1a (draft-eastlake-fnv, 64 bits) with the finalizer of MurmurHash3: collisions, also
//! sought ones, only make interest where there is none.

use crate::index::access::{self, Access};
use crate::index::keys::{Hashing, rank};
use crate::order::{bracket, truncated};
use crate::path::{Leaf, Path};
use crate::term::{Field, Logic, Relation, Term, Test};
use crate::{Document, Filter, View, cbor, limits};
use minicbor::{Decoder, Encoder};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// What a set of filters is interested in, or a little more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    all: bool,
    /// By paths: hashes of the values that filters want there.
    tuples: BTreeMap<Vec<String>, Hashes>,
    /// By path and kind: ranks that filters want, apart and in order.
    ranges: BTreeMap<(String, u8), Vec<(u64, u64)>>,
    /// By path: a bit for each kind.
    kinds: BTreeMap<String, u8>,
}

/// The upper bits of hashes, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hashes {
    /// 4, 3, 2 or 1.
    bytes: usize,
    values: Vec<u32>,
}

/// Paths of one tuple, at most.
const PATHS: usize = 3;
/// Tuples of one filter that has several paths, at most: the product of its `$in`s.
const PRODUCT: usize = 32;
/// Branches of one filter, at most, all `$or`s multiplied out.
const BRANCHES: usize = 64;
/// Tuples of one document's values that are looked up, at most; with more it counts as of interest.
const LOOKED_UP: usize = 256;
/// Groups (tuples, ranges and kinds by their paths), at most. Each is looked up for every document: for the largest document
/// all together take some tenths of a second.
const GROUPS: usize = 64;
/// The kinds that have ranks: numbers, strings, binData, bool and dates.
const RANKED: [u8; 5] = [1, 2, 5, 6, 7];
/// Bytes of a summary of nothing, or of everything.
const SHORTEST: usize = 5;
/// Bytes of an encoded summary, at most.
const BYTES: usize = limits::FILTER_BYTES;

impl Summary {
    /// What the filters are interested in, in at most this many bytes, and at most 64 KiB (but never less than five).
    pub fn of<'f>(filters: impl IntoIterator<Item = &'f Filter, IntoIter: Clone>, max_bytes: usize) -> Self {
        let filters = filters.into_iter();
        let mut summary = Self::default();
        for paths in (1..=PATHS).rev() {
            summary = Self::default();
            filters.clone().for_each(|filter| summary.add(filter.term(), paths));
            summary.tidy();
            if summary.fits(max_bytes) {
                return summary;
            }
        }
        summary.shrink(max_bytes);
        summary
    }

    /// Interest in every document.
    pub fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Adds what another is interested in; at most this many bytes, and at most 64 KiB (but never less
    /// than five).
    pub fn merge(&mut self, other: &Self, max_bytes: usize) {
        self.all |= other.all;
        for (paths, hashes) in &other.tuples {
            let own = self
                .tuples
                .entry(paths.clone())
                .or_insert_with(|| Hashes { bytes: hashes.bytes, values: Vec::new() });
            own.shorten(hashes.bytes);
            let mut others = hashes.clone();
            others.shorten(own.bytes);
            own.values.extend(others.values);
        }
        for (place, ranges) in &other.ranges {
            self.ranges.entry(place.clone()).or_default().extend(ranges);
        }
        for (path, kinds) in &other.kinds {
            *self.kinds.entry(path.clone()).or_default() |= kinds;
        }
        self.tidy();
        self.shrink(max_bytes);
    }

    /// Whether a document may be of interest. False is certain.
    pub fn may_match(&self, document: &Document) -> bool {
        let root = document.view();
        self.all
            || self.kinds.iter().any(|(path, kinds)| has_kind(root, path, *kinds))
            || self.ranges.iter().any(|((path, kind), ranges)| has_rank(root, path, *kind, ranges))
            || self.tuples.iter().any(|(paths, hashes)| has_tuple(root, paths, hashes))
    }

    /// Whether nothing is of interest.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Deterministic CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        // Appending to a Vec is infallible, and the encoder has no other error.
        let _ = self.write(&mut encoder);
        encoder.into_writer()
    }

    /// Decodes what [`encode`](Self::encode) writes; None for anything else. At most 64 KiB.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > BYTES {
            return None;
        }
        let summary = Self::read(&mut Decoder::new(bytes))?;
        (summary.encode() == bytes).then_some(summary)
    }

    /// Adds what a filter wants, as tuples of at most `paths` paths.
    fn add(&mut self, term: &Term, paths: usize) {
        for branch in branches(term) {
            self.add_branch(&branch, paths);
        }
    }

    /// Adds what has to hold all together, by the best of it.
    fn add_branch(&mut self, fields: &[&Field], paths: usize) {
        // No hash is compared here.
        let hashing = Hashing::new(0);
        let never = |field: &&Field| {
            access::of_field(&field.path, &field.test, &hashing).is_some_and(|found| found.is_empty())
        };
        if fields.iter().any(never) {
            return;
        }
        let mut tuple: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        for field in fields {
            let (path, Some(values)) = (field.path.to_string(), equal_to(&field.test)) else { continue };
            let product = tuple.iter().map(|(_, values)| values.len()).product::<usize>() * values.len();
            let fits = tuple.is_empty() || (tuple.len() < paths && product <= PRODUCT);
            if fits && tuple.iter().all(|(other, _)| *other != path) {
                tuple.push((path, values));
            }
        }
        if !tuple.is_empty() {
            tuple.sort();
            let (paths, values): (Vec<_>, Vec<_>) = tuple.into_iter().unzip();
            let hashes = self.tuples.entry(paths).or_insert_with(|| Hashes { bytes: 4, values: Vec::new() });
            hashes.values.extend(products(&values).into_iter().map(upper));
            return;
        }
        let pairs =
            fields.iter().enumerate().flat_map(|(at, a)| fields.iter().skip(at + 1).map(move |b| (*a, *b)));
        let both =
            pairs.filter_map(|(a, b)| Some((a, access::interval(a, b).or_else(|| access::interval(b, a))?)));
        let single = fields.iter().filter_map(|field| Some((*field, range(&field.test)?)));
        let mut ranges = both.chain(single).filter_map(|(field, access)| match access {
            Access::Within { kind, least, most } => Some((field, kind, least, most)),
            _ => None,
        });
        if let Some((field, kind, least, most)) = ranges.next() {
            // Bounds the wrong way round hold for two elements that are beyond them.
            let range = (least.min(most), least.max(most));
            self.ranges.entry((field.path.to_string(), kind)).or_default().push(range);
            return;
        }
        match fields.iter().find_map(|field| Some((field.path.to_string(), kinds(field)?))) {
            Some((path, kinds)) => *self.kinds.entry(path).or_default() |= kinds,
            None => self.all = true,
        }
    }

    /// Sorts, joins what overlaps, and drops what something else includes.
    fn tidy(&mut self) {
        if self.all {
            *self = Self { all: true, ..Self::default() };
        }
        for hashes in self.tuples.values_mut() {
            hashes.values.sort_unstable();
            hashes.values.dedup();
        }
        for ranges in self.ranges.values_mut() {
            join(ranges, 0);
        }
        let Self { tuples, ranges, kinds, .. } = self;
        tuples.retain(|_, hashes| !hashes.values.is_empty());
        kinds.retain(|_, kinds| *kinds != 0);
        ranges.retain(|(path, kind), ranges| {
            !ranges.is_empty() && kinds.get(path).is_none_or(|kinds| kinds & 1 << kind == 0)
        });
    }

    /// Gets coarser until it fits.
    fn shrink(&mut self, max_bytes: usize) {
        for bytes in [3, 2, 1] {
            for most in [256, 64, 16, 4] {
                if self.fits(max_bytes) {
                    return;
                }
                self.ranges.values_mut().for_each(|ranges| leave(ranges, most));
            }
            self.tuples.values_mut().for_each(|hashes| hashes.shorten(bytes));
        }
        if !self.fits(max_bytes) {
            self.all = true;
            self.tidy();
        }
    }

    fn groups(&self) -> usize {
        self.tuples.len() + self.ranges.len() + self.kinds.len()
    }

    fn fits(&self, max_bytes: usize) -> bool {
        self.groups() <= GROUPS && self.encode().len() <= max_bytes.clamp(SHORTEST, BYTES)
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        encoder.array(4)?.bool(self.all)?.array(self.tuples.len() as u64)?;
        for (paths, Hashes { bytes, values }) in &self.tuples {
            encoder.array(3)?.array(paths.len() as u64)?;
            paths.iter().try_for_each(|path| encoder.str(path)?.ok())?;
            let packed: Vec<u8> =
                values.iter().flat_map(|value| value.to_be_bytes().into_iter().take(*bytes)).collect();
            encoder.u64(*bytes as u64)?.bytes(&packed)?;
        }
        encoder.array(self.ranges.len() as u64)?;
        for ((path, kind), ranges) in &self.ranges {
            encoder.array(3)?.str(path)?.u8(*kind)?.array(2 * ranges.len() as u64)?;
            ranges.iter().try_for_each(|(least, most)| encoder.u64(*least)?.u64(*most)?.ok())?;
        }
        encoder.array(self.kinds.len() as u64)?;
        self.kinds.iter().try_for_each(|(path, kinds)| encoder.array(2)?.str(path)?.u8(*kinds)?.ok())
    }

    /// Reads leniently: only what is written in the same way again is taken.
    fn read(decoder: &mut Decoder<'_>) -> Option<Self> {
        let mut summary = Self::default();
        let array = |decoder: &mut Decoder<'_>| decoder.array().ok()?.filter(|len| *len <= GROUPS as u64);
        let path = |decoder: &mut Decoder<'_>| {
            let path = decoder.str().ok()?;
            (path.split('.').count() <= limits::PATH_STEPS).then(|| path.to_owned())
        };
        array(decoder)?;
        summary.all = decoder.bool().ok()?;
        for _ in 0..array(decoder)? {
            array(decoder)?;
            let paths = (0..array(decoder)?.min(PATHS as u64 + 1))
                .map(|_| path(decoder))
                .collect::<Option<Vec<_>>>()?;
            let bytes = usize::from(decoder.u8().ok()?);
            let packed = decoder.bytes().ok()?;
            if !(1..=PATHS).contains(&paths.len())
                || !paths.is_sorted_by(|a, b| a < b)
                || !(1..=4).contains(&bytes)
                || packed.len() % bytes != 0
            {
                return None;
            }
            let value = |chunk: &[u8]| {
                chunk.iter().zip([24, 16, 8, 0]).fold(0, |sum, (byte, by)| sum | u32::from(*byte) << by)
            };
            let values = packed.chunks(bytes).map(value).collect();
            summary.tuples.insert(paths, Hashes { bytes, values });
        }
        for _ in 0..array(decoder)? {
            array(decoder)?;
            let (path, kind) = (path(decoder)?, decoder.u8().ok().filter(|kind| RANKED.contains(kind))?);
            let pairs = decoder.array().ok()?? / 2;
            let mut ranges = Vec::new();
            for _ in 0..pairs {
                ranges.push((decoder.u64().ok()?, decoder.u64().ok()?));
            }
            summary.ranges.insert((path, kind), ranges);
        }
        for _ in 0..array(decoder)? {
            array(decoder)?;
            let (path, kinds) = (path(decoder)?, decoder.u8().ok()?);
            summary.kinds.insert(path, kinds);
        }
        let written = summary.clone();
        summary.tidy();
        (summary == written && summary.groups() <= GROUPS).then_some(summary)
    }
}

impl Hashes {
    /// Keeps this many bytes of each.
    fn shorten(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes);
        let mask = u32::MAX.checked_shl(32 - 8 * u32::try_from(self.bytes).unwrap_or(4)).unwrap_or(u32::MAX);
        self.values.iter_mut().for_each(|value| *value &= mask);
        self.values.sort_unstable();
        self.values.dedup();
    }

    fn contains(&self, hash: u64) -> bool {
        let mut one = Self { bytes: 4, values: vec![upper(hash)] };
        one.shorten(self.bytes);
        one.values.first().is_some_and(|value| self.values.binary_search(value).is_ok())
    }
}

/// The parts of a filter of which one has to hold, each a list of conditions that all have to. Conditions that say nothing
/// about what a document must have are left out.
fn branches(term: &Term) -> Vec<Vec<&Field>> {
    match term {
        Term::Field(field) if matches!(field.test, Test::Not { .. }) => vec![Vec::new()],
        Term::Logic { logic: Logic::Nor, .. } => vec![Vec::new()],
        Term::Field(field) => vec![vec![field]],
        Term::Logic { logic: Logic::Or, terms } => {
            let all: Vec<_> = terms.iter().flat_map(branches).collect();
            if all.len() <= BRANCHES { all } else { vec![Vec::new()] }
        }
        Term::Logic { logic: Logic::Members | Logic::And, terms } => {
            terms.iter().fold(vec![Vec::new()], |sofar, term| {
                let more = branches(term);
                if sofar.len() * more.len() > BRANCHES {
                    return sofar;
                }
                sofar
                    .iter()
                    .flat_map(|a| more.iter().map(move |b| a.iter().chain(b).copied().collect()))
                    .collect()
            })
        }
    }
}

/// The encodings of the values of which one has to be there.
fn equal_to(test: &Test) -> Option<Vec<Vec<u8>>> {
    match test {
        Test::Compare { relation: Relation::Eq, operand } => Some(vec![encoding(operand.view())]),
        Test::In { values, patterns } if patterns.is_empty() => {
            Some(values.iter().map(|value| encoding(value.view())).collect())
        }
        Test::All(tests) => tests.iter().find_map(equal_to),
        _ => None,
    }
}

fn range(test: &Test) -> Option<Access> {
    match test {
        Test::Compare { relation: Relation::Gt | Relation::Gte | Relation::Lt | Relation::Lte, .. } => {
            access::end(test)
        }
        Test::Regex(pattern) => {
            let prefix = pattern.shape().prefix()?.as_bytes();
            let mut last = [u8::MAX; 8];
            last.iter_mut().zip(prefix).for_each(|(to, from)| *to = *from);
            let least = rank(View::String(pattern.shape().prefix()?))?;
            Some(Access::Within { kind: bracket(View::String("")), least, most: u64::from_be_bytes(last) })
        }
        _ => None,
    }
}

/// The kinds of which one has to be there, as bits; None if nothing has to.
fn kinds(field: &Field) -> Option<u8> {
    if field.test.accepts(None) {
        return None;
    }
    Some(match &field.test {
        Test::Type(types) => types.kinds().fold(0, |kinds, kind| kinds | 1 << kind),
        Test::Compare { operand, .. } => 1 << bracket(operand.view()),
        Test::Mod { .. } => 1 << bracket(View::Int(0)),
        Test::Regex(_) => 1 << bracket(View::String("")),
        Test::All(tests) if tests.is_empty() => 0,
        _ => u8::MAX,
    })
}

/// Equal for values that a query takes for equal; arrays and objects count by their length alone.
fn encoding(value: View<'_>) -> Vec<u8> {
    match value {
        View::Float(float) if float.fract() == 0.0 => match truncated(float) {
            Some(whole) => cbor::encode(View::Int(whole)),
            None => cbor::encode(value),
        },
        View::Array(items) => vec![0x80, items.len().to_le_bytes()[0]],
        View::Object(members) => vec![0xa0, members.len().to_le_bytes()[0]],
        scalar => cbor::encode(scalar),
    }
}

/// The hashes of every way to take one value of each list.
fn products(lists: &[Vec<Vec<u8>>]) -> Vec<u64> {
    lists.iter().fold(vec![OFFSET], |hashes, values| {
        hashes.iter().flat_map(|hash| values.iter().map(move |value| fnv(*hash, value))).collect()
    })
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The upper half, once every bit has gone into it: FNV's upper bits hardly depend on the last bytes. The finalizer of MurmurHash3
/// (A. Appleby, 64 bits).
fn upper(hash: u64) -> u32 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    u32::try_from((hash ^ hash >> 33) >> 32).unwrap_or_default()
}

fn has_kind(root: View<'_>, path: &str, kinds: u8) -> bool {
    any(root, path, &mut |value| value.is_some_and(|value| kinds & 1 << bracket(value) != 0))
}

fn has_rank(root: View<'_>, path: &str, of: u8, ranges: &[(u64, u64)]) -> bool {
    // The least and the greatest of several values count: see `Visit::ordered` of the index.
    let mut ends: Option<(u64, u64)> = None;
    any(root, path, &mut |value| {
        if let Some(rank) = value.filter(|value| bracket(*value) == of).and_then(rank) {
            ends = Some(ends.map_or((rank, rank), |(least, most)| (least.min(rank), most.max(rank))));
        }
        false
    });
    let Some((least, most)) = ends else { return false };
    let at = ranges.partition_point(|(_, end)| *end < least);
    ranges.get(at).is_some_and(|(start, _)| *start <= most)
}

fn has_tuple(root: View<'_>, paths: &[String], hashes: &Hashes) -> bool {
    let mut lists = Vec::new();
    let mut product = 1;
    for path in paths {
        let mut values = Vec::new();
        let too_many = any(root, path, &mut |value| {
            values.push(encoding(value.unwrap_or(View::Null)));
            values.len() > LOOKED_UP
        });
        product *= values.len();
        if too_many || product > LOOKED_UP {
            return true;
        }
        lists.push(values);
    }
    products(&lists).into_iter().any(|hash| hashes.contains(hash))
}

fn any(root: View<'_>, path: &str, accept: &mut dyn FnMut(Option<View<'_>>) -> bool) -> bool {
    Path::parse(path).any(root, Leaf::Elements, accept)
}

/// Sorts, and joins what overlaps or is at most so far apart.
fn join(ranges: &mut Vec<(u64, u64)>, gap: u64) {
    ranges.retain(|(least, most)| least <= most);
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (least, most) in ranges.drain(..) {
        match joined.last_mut() {
            Some((_, last)) if least <= last.saturating_add(gap).saturating_add(1) => *last = most.max(*last),
            _ => joined.push((least, most)),
        }
    }
    *ranges = joined;
}

/// Joins the nearest until no more than `most` are left.
fn leave(ranges: &mut Vec<(u64, u64)>, most: usize) {
    let mut gaps: Vec<u64> = ranges.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)).collect();
    if ranges.len() <= most {
        return;
    }
    gaps.sort_unstable();
    if let Some(gap) = gaps.get(ranges.len() - most - 1) {
        join(ranges, *gap);
    }
}
