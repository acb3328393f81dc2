//! A document in three vectors, and views into it.
//!
//! ```text
//! nodes   [ "x" "y" | "a" "tags" | 1.5 [..] | … ]   16 bytes each; elements side by side, and so names and values
//! text    "atagsxy"                                             every string
//! data                                                          every binData
//! ```
//! An array or object names where its elements, or its names (in the order of their encoding) and behind them its values,
//! stand in `nodes`. So decoding allocates three times whatever the document holds, and not at all into a tree that
//! is used again; a member is found by binary search; and strings stay valid `&str` without unsafe code.

use crate::value::{DuplicateKey, key_order};
use crate::{Object, Value};
use std::fmt;

/// Values inside each other, stored flat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    text: String,
    data: Vec<u8>,
    /// Beside the rest, since every look begins here.
    root: Node,
}

/// One value. Positions are below 2^32: a document has at most [`DOCUMENT_BYTES`](crate::limits::DOCUMENT_BYTES).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Node {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Date(i64),
    String(Span),
    /// The name of a member: where its text begins, and its [`name_key`], by which most names are told apart without a look
    /// at the text.
    Name(u32, u64),
    Bytes(Span),
    Array(Span),
    Object(Span),
}

/// Where something stands in one of the vectors, and how many of it. Of an object: how many members.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    at: u32,
    len: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        let at = self.at as usize;
        at..at + self.len as usize
    }
}

impl Tree {
    pub(crate) fn root(&self) -> View<'_> {
        self.view(self.root)
    }

    #[inline]
    fn view(&self, node: Node) -> View<'_> {
        match node {
            Node::Null => View::Null,
            Node::Bool(bool) => View::Bool(bool),
            Node::Int(int) => View::Int(int),
            Node::Float(float) => View::Float(float),
            Node::Date(millis) => View::Date(millis),
            Node::String(span) => View::String(self.text(span)),
            Node::Name(at, key) => View::String(self.text(name_span(at, key))),
            Node::Bytes(span) => View::Bytes(self.data.get(span.range()).unwrap_or_default()),
            Node::Array(span) => View::Array(Elements { tree: self, span }),
            Node::Object(span) => View::Object(Members { tree: self, span }),
        }
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// The names and the values of an object.
    #[inline]
    fn members(&self, Span { at, len }: Span) -> (&[Node], &[Node]) {
        let range = at as usize..at as usize + 2 * len as usize;
        let nodes = self.nodes.get(range).unwrap_or_default();
        nodes.split_at_checked(len as usize).unwrap_or_default()
    }

    /// The value of an object's member.
    #[inline]
    fn member(&self, object: Span, name: &str, key: u64) -> Option<Node> {
        let (names, values) = self.members(object);
        let key_of = |node: &Node| if let Node::Name(_, key) = node { *key } else { 0 };
        // In a few names a search from the beginning is quicker than one that jumps.
        let first = match names.len() {
            0..=SMALL => names.iter().position(|node| key_of(node) >= key)?,
            _ => names.partition_point(|node| key_of(node) < key),
        };
        if name.len() <= FIRST {
            return values.get(first).filter(|_| names.get(first).map(key_of) == Some(key)).copied();
        }
        let same = names.get(first..)?;
        let same = same.get(..same.partition_point(|node| key_of(node) == key))?;
        let text = |node: &Node| self.view(*node).as_str().unwrap_or_default();
        let found = same.binary_search_by(|node| text(node).cmp(name)).ok()?;
        values.get(first + found).copied()
    }

    fn at(&self, position: usize) -> Option<View<'_>> {
        self.nodes.get(position).map(|node| self.view(*node))
    }
}

/// A value inside a document, borrowed.
#[derive(Clone, Copy)]
pub enum View<'d> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// An IEEE 754 double.
    Float(f64),
    /// Text.
    String(&'d str),
    /// Bytes.
    Bytes(&'d [u8]),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Date(i64),
    /// A sequence of values.
    Array(Elements<'d>),
    /// Named values.
    Object(Members<'d>),
}

impl<'d> View<'d> {
    /// The name of the type, as `$type` spells it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "binData",
            Self::Date(_) => "date",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The members, if this is an object.
    pub fn as_object(self) -> Option<Members<'d>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn as_str(self) -> Option<&'d str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A value of its own with the same content. As deep as the document.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(bool),
            Self::Int(int) => Value::Int(int),
            Self::Float(float) => Value::Float(float),
            Self::String(text) => Value::String(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Date(millis) => Value::Date(millis),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(members) => Value::Object(Object::from_sorted(
                members.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect(),
            )),
        }
    }
}

/// By representation, as [`Value`] does: `Int(1) != Float(1.0)`, and a NaN is unequal to itself.
impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a.len() == b.len() && a.iter().eq(b.iter()),
            (Self::Object(a), Self::Object(b)) => a.len() == b.len() && a.iter().eq(b.iter()),
            _ => false,
        }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

/// The elements of an array.
#[derive(Clone, Copy)]
pub struct Elements<'d> {
    tree: &'d Tree,
    span: Span,
}

impl<'d> Elements<'d> {
    /// The element at this index, counted from 0.
    pub fn get(self, index: usize) -> Option<View<'d>> {
        if index < self.len() { self.tree.at(self.span.at as usize + index) } else { None }
    }

    /// The elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = View<'d>> {
        let nodes = self.tree.nodes.get(self.span.range()).unwrap_or_default();
        nodes.iter().map(move |node| self.tree.view(*node))
    }

    /// The number of elements.
    pub fn len(self) -> usize {
        self.span.len as usize
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.span.len == 0
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The members of an object, in the order of their encoding: shorter names first, equally long ones by their bytes.
#[derive(Clone, Copy)]
pub struct Members<'d> {
    tree: &'d Tree,
    span: Span,
}

impl<'d> Members<'d> {
    /// The member of this name.
    pub fn get(self, name: &str) -> Option<View<'d>> {
        self.find(name, name_key(name))
    }

    /// The member of a name whose key is known.
    pub(crate) fn find(self, name: &str, key: u64) -> Option<View<'d>> {
        self.tree.member(self.span, name, key).map(|node| self.tree.view(node))
    }

    /// Goes from member to member by names with their keys, as long as there is no array.
    #[inline]
    pub(crate) fn follow<'s>(self, names: impl Iterator<Item = (&'s str, u64)>) -> Single<'d> {
        // Nodes fit into registers, views do not.
        let mut node = Node::Object(self.span);
        for (name, key) in names {
            node = match node {
                Node::Object(span) => match self.tree.member(span, name, key) {
                    Some(member) => member,
                    None => return Single::One(None),
                },
                Node::Array(_) => return Single::Many,
                _ => return Single::One(None),
            };
        }
        if matches!(node, Node::Array(_)) { Single::Many } else { Single::One(Some(self.tree.view(node))) }
    }

    /// The members.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'d str, View<'d>)> {
        let (names, values) = self.nodes();
        names.iter().zip(values).map(move |(name, value)| {
            (self.tree.view(*name).as_str().unwrap_or_default(), self.tree.view(*value))
        })
    }

    /// The number of members.
    pub fn len(self) -> usize {
        self.span.len as usize
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.span.len == 0
    }

    fn nodes(self) -> (&'d [Node], &'d [Node]) {
        self.tree.members(self.span)
    }
}

/// What a path leads to, seen at a glance.
pub(crate) enum Single<'d> {
    /// One value, or a missing one.
    One(Option<View<'d>>),
    /// There is an array: perhaps many, perhaps none.
    Many,
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Bytes of a name that are in its key.
const FIRST: usize = 4;
/// Members of an object that is searched from the beginning.
const SMALL: usize = 16;

/// Orders names as their encodings are ordered, as far as length and first bytes go.
pub(crate) fn name_key(name: &str) -> u64 {
    let mut first = [0; FIRST];
    first.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    (name.len() as u64) << 32 | u64::from(u32::from_be_bytes(first))
}

fn name_span(at: u32, key: u64) -> Span {
    Span { at, len: u32::try_from(key >> 32).unwrap_or_default() }
}

/// Builds a tree from the leaves up: what was added last and is not closed yet waits on a stack.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    tree: Tree,
    open: Vec<Node>,
}

impl Builder {
    /// With room for what an encoding of this many bytes usually holds.
    pub(crate) fn for_bytes(len: usize) -> Self {
        let len = len.min(ROOM);
        let tree =
            Tree { nodes: Vec::with_capacity(len / 8), text: String::with_capacity(len), ..Tree::default() };
        Self { tree, open: Vec::with_capacity(len / 8) }
    }

    pub(crate) fn null(&mut self) {
        self.open.push(Node::Null);
    }

    pub(crate) fn bool(&mut self, bool: bool) {
        self.open.push(Node::Bool(bool));
    }

    pub(crate) fn int(&mut self, int: i64) {
        self.open.push(Node::Int(int));
    }

    pub(crate) fn float(&mut self, float: f64) {
        self.open.push(Node::Float(float));
    }

    pub(crate) fn date(&mut self, millis: i64) {
        self.open.push(Node::Date(millis));
    }

    pub(crate) fn text(&mut self, text: &str) {
        let span = self.keep(text);
        self.open.push(Node::String(span));
    }

    /// The name of the member whose value is added next.
    pub(crate) fn name(&mut self, name: &str) {
        let Span { at, .. } = self.keep(name);
        self.open.push(Node::Name(at, name_key(name)));
    }

    fn keep(&mut self, text: &str) -> Span {
        let span = span(self.tree.text.len(), text.len());
        self.tree.text.push_str(text);
        span
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let span = span(self.tree.data.len(), bytes.len());
        self.tree.data.extend_from_slice(bytes);
        self.open.push(Node::Bytes(span));
    }

    /// Makes an array of the last `len` values.
    pub(crate) fn array(&mut self, len: usize) {
        let at = self.close(len);
        self.open.push(Node::Array(span(at, len)));
    }

    /// Makes an object of the last `len` names and values, which are in order and unique.
    pub(crate) fn object(&mut self, len: usize) {
        let at = self.tree.nodes.len();
        let members = self.open.len().saturating_sub(2 * len)..;
        let (members, _) = self.open.get(members.clone()).unwrap_or_default().as_chunks::<2>();
        self.tree.nodes.extend(members.iter().map(|[name, _]| *name));
        self.tree.nodes.extend(members.iter().map(|[_, value]| *value));
        self.open.truncate(self.open.len() - 2 * members.len());
        self.open.push(Node::Object(span(at, len)));
    }

    /// Makes an object of the last `len` names and values, in whatever order.
    pub(crate) fn object_of_any_order(&mut self, len: usize) -> Result<(), DuplicateKey> {
        let Self { tree, open } = self;
        let start = open.len().saturating_sub(2 * len);
        let (members, _) = open.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>();
        let name = |member: &[Node; 2]| match member {
            [Node::Name(at, key), _] => tree.text(name_span(*at, *key)),
            _ => "",
        };
        members.sort_unstable_by(|a, b| key_order(name(a), name(b)));
        if let Some(pair) = members.windows(2).find(|pair| matches!(pair, [a, b] if name(a) == name(b))) {
            return Err(DuplicateKey { key: pair.first().map_or("", name).to_owned() });
        }
        self.object(len);
        Ok(())
    }

    /// How many values and names wait for what they are part of.
    pub(crate) fn waiting(&self) -> usize {
        self.open.len()
    }

    /// Adds a value of another tree. As deep as that.
    pub(crate) fn copy(&mut self, view: View<'_>) {
        match view {
            View::Null => self.null(),
            View::Bool(bool) => self.bool(bool),
            View::Int(int) => self.int(int),
            View::Float(float) => self.float(float),
            View::Date(millis) => self.date(millis),
            View::String(text) => self.text(text),
            View::Bytes(bytes) => self.bytes(bytes),
            View::Array(items) => {
                items.iter().for_each(|item| self.copy(item));
                self.array(items.len());
            }
            View::Object(members) => {
                for (name, value) in members.iter() {
                    self.name(name);
                    self.copy(value);
                }
                self.object(members.len());
            }
        }
    }

    /// The tree of the one value that was built.
    pub(crate) fn finish(mut self) -> Tree {
        self.tree.root = self.open.pop().unwrap_or_default();
        self.tree
    }

    fn close(&mut self, len: usize) -> usize {
        let at = self.tree.nodes.len();
        self.tree.nodes.extend(self.open.drain(self.open.len().saturating_sub(len)..));
        at
    }
}

/// Most bytes that are reserved before anything was read.
const ROOM: usize = 1024;

fn span(at: usize, len: usize) -> Span {
    // Limits keep both below 2^32; what would pass them is refused before it is built.
    let narrow = |wide| u32::try_from(wide).unwrap_or(u32::MAX);
    Span { at: narrow(at), len: narrow(len) }
}

#[cfg(test)]
impl Tree {
    /// A value of a test.
    pub(crate) fn of_value(value: &Value) -> Self {
        let mut writer = crate::Writer::of_document();
        writer.value(value).expect("within the limits");
        writer.into_tree()
    }
}
