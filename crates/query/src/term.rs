//! A filter after parsing: conditions that can no longer be malformed.

use crate::View;
use crate::operand::Operand;
use crate::path::{Leaf, Path};
use crate::pattern::Pattern;
use std::sync::Arc;

/// A condition on a whole document, or on an element inside `$elemMatch`. A copy shares what it is made of.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) enum Term {
    /// Several conditions in one.
    Logic { logic: Logic, terms: Arc<[Term]> },
    /// A condition on the values that a path leads to.
    Field(Arc<Field>),
}

impl Term {
    /// Whether somewhere in it is a `$regex`.
    pub(crate) fn searches(&self) -> bool {
        match self {
            Self::Field(field) => field.searches,
            Self::Logic { terms, .. } => terms.iter().any(Self::searches),
        }
    }
}

/// A condition on the values that a path leads to.
#[derive(Debug, PartialEq, Hash)]
pub(crate) struct Field {
    pub(crate) path: Path,
    pub(crate) test: Test,
    /// Somewhere in the test is a `$regex`.
    pub(crate) searches: bool,
}

/// How the parts of a [`Term::Logic`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Logic {
    /// All must match: the members of one query object.
    Members,
    /// All must match: `$and`.
    And,
    /// One must match: `$or`.
    Or,
    /// None may match: `$nor`.
    Nor,
}

/// A condition on the values at a path.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) enum Test {
    /// `$eq`, `$gt`, `$gte`, `$lt`, `$lte`.
    Compare { relation: Relation, operand: Operand },
    /// `$in`: values in the order of [`compare`](crate::compare), patterns in any.
    In { values: Box<[Operand]>, patterns: Box<[Pattern]> },
    /// `$exists: true`.
    Exists,
    /// `$type`.
    Type(TypeSet),
    /// `$size`.
    Size(usize),
    /// `$mod`.
    Mod { divisor: i64, remainder: i64 },
    /// `$regex`.
    Regex(Pattern),
    /// `$contains`.
    Contains(Operand),
    /// `$elemMatch` with conditions on the members of an element.
    ElementMembers(Box<Term>),
    /// `$elemMatch` with conditions on an element as a value.
    ElementValue(Box<[Test]>),
    /// `$all`; without tests it matches nothing.
    All(Box<[Test]>),
    /// `$not`, `$ne`, `$nin`, `$exists: false`: not all of the tests hold.
    Not { operator: &'static str, tests: Box<[Test]> },
}

impl Test {
    /// The operator, for explanations.
    pub(crate) fn operator(&self) -> &'static str {
        match self {
            Self::Compare { relation, .. } => relation.operator(),
            Self::In { .. } => "$in",
            Self::Exists => "$exists",
            Self::Type(_) => "$type",
            Self::Size(_) => "$size",
            Self::Mod { .. } => "$mod",
            Self::Regex(_) => "$regex",
            Self::Contains(_) => "$contains",
            Self::ElementMembers(_) | Self::ElementValue(_) => "$elemMatch",
            Self::All(_) => "$all",
            Self::Not { operator, .. } => operator,
        }
    }

    /// Whether somewhere in it is a `$regex`.
    pub(crate) fn searches(&self) -> bool {
        match self {
            Self::Regex(_) => true,
            Self::In { patterns, .. } => !patterns.is_empty(),
            Self::ElementMembers(term) => term.searches(),
            Self::ElementValue(tests) | Self::All(tests) | Self::Not { tests, .. } => {
                tests.iter().any(Self::searches)
            }
            _ => false,
        }
    }

    /// Whether the test looks at the elements of an array or at the array.
    pub(crate) fn leaf(&self) -> Leaf {
        match self {
            Self::Size(_) | Self::Contains(_) | Self::ElementMembers(_) | Self::ElementValue(_) => {
                Leaf::Whole
            }
            _ => Leaf::Elements,
        }
    }
}

/// A comparison with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Relation {
    fn operator(self) -> &'static str {
        match self {
            Self::Eq => "$eq",
            Self::Gt => "$gt",
            Self::Gte => "$gte",
            Self::Lt => "$lt",
            Self::Lte => "$lte",
        }
    }

    /// Whether equal values satisfy the relation.
    pub(crate) fn takes_equal(self) -> bool {
        matches!(self, Self::Eq | Self::Gte | Self::Lte)
    }
}

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TypeSet(u16);

impl TypeSet {
    pub(crate) const EMPTY: Self = Self(0);

    /// The types of one of MongoDB's names.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(Self(match name {
            "double" => DOUBLE,
            "string" => STRING,
            "object" => OBJECT,
            "array" => ARRAY,
            "binData" => BYTES,
            "bool" => BOOL,
            "date" => DATE,
            "null" => NULL,
            // One integer type: how wide a number is, is no property of its value.
            "int" | "long" => INT,
            "number" => INT | DOUBLE,
            _ => return None,
        }))
    }

    /// The types of one of MongoDB's numbers (the BSON type codes).
    pub(crate) fn of_number(number: i64) -> Option<Self> {
        Some(Self(match number {
            1 => DOUBLE,
            2 => STRING,
            3 => OBJECT,
            4 => ARRAY,
            5 => BYTES,
            8 => BOOL,
            9 => DATE,
            10 => NULL,
            16 | 18 => INT,
            _ => return None,
        }))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The kinds of its types, as numbers of [`bracket`](crate::order::bracket).
    pub(crate) fn kinds(self) -> impl Iterator<Item = u8> {
        (0..).zip(KINDS).filter(move |(_, types)| self.0 & types != 0).map(|(kind, _)| kind)
    }

    /// All types of a kind.
    pub(crate) fn of_kind(kind: u8) -> Self {
        Self(KINDS.get(usize::from(kind)).copied().unwrap_or_default())
    }

    pub(crate) fn contains(self, value: View<'_>) -> bool {
        let bit = match value {
            View::Null => NULL,
            View::Bool(_) => BOOL,
            View::Int(_) => INT,
            View::Float(_) => DOUBLE,
            View::String(_) => STRING,
            View::Bytes(_) => BYTES,
            View::Date(_) => DATE,
            View::Array(_) => ARRAY,
            View::Object(_) => OBJECT,
        };
        self.0 & bit != 0
    }
}

const DOUBLE: u16 = 1;
const STRING: u16 = 1 << 1;
const OBJECT: u16 = 1 << 2;
const ARRAY: u16 = 1 << 3;
const BYTES: u16 = 1 << 4;
const BOOL: u16 = 1 << 5;
const DATE: u16 = 1 << 6;
const NULL: u16 = 1 << 7;
const INT: u16 = 1 << 8;
/// The types of each kind, in the order of [`bracket`](crate::order::bracket).
const KINDS: [u16; 8] = [NULL, INT | DOUBLE, STRING, OBJECT, ARRAY, BYTES, BOOL, DATE];
