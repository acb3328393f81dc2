//! Dotted paths and the values they lead to, array members included.

use crate::tree::{Single, name_key};
use crate::{Elements, View};
use std::fmt;
use std::sync::Arc;

/// A parsed dotted path such as `people.0.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path(Arc<[Step]>);

/// What a path does with an array at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Visits each element, then the array itself.
    Elements,
    /// Visits the array only.
    Whole,
}

/// One name of a path; in an array, perhaps an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    name: Box<str>,
    /// See [`name_key`].
    key: u64,
    /// The name as an index: decimal, without leading zeros.
    index: Option<usize>,
}

impl Path {
    /// Splits at the dots. Every text is a path; the caller bounds the number of steps.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.split('.').map(Step::parse).collect())
    }

    /// The first name: every value that the path leads to is in the member of this name.
    pub(crate) fn first(&self) -> &str {
        self.0.first().map_or("", |step| &step.name)
    }

    /// The path that goes on with another.
    pub(crate) fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&*rest.0).cloned().collect())
    }

    pub(crate) fn begins_with_index(&self) -> bool {
        self.0.first().is_some_and(|step| step.index.is_some())
    }

    pub(crate) fn ends_with_index(&self) -> bool {
        self.0.last().is_some_and(|step| step.index.is_some())
    }

    /// What the path leads to if that is one value: nowhere on the way is an array.
    #[inline]
    pub(crate) fn single<'d>(&self, root: View<'d>) -> Single<'d> {
        match root {
            View::Object(members) => members.follow(self.0.iter().map(|step| (&*step.name, step.key))),
            View::Array(_) => Single::Many,
            _ => Single::One(None),
        }
    }

    /// Whether `accept` takes one of the values that the path leads to; it sees `None` where the path ends early.
    ///
    /// The rules are MongoDB's (`src/mongo/db/matcher/path.cpp`): on its way a path goes on inside every object of
    /// an array that it meets, and also at the element that its next step numbers; elements that are neither are
    /// passed over without a `None`.
    pub(crate) fn any(
        &self,
        root: View<'_>,
        leaf: Leaf,
        accept: &mut dyn FnMut(Option<View<'_>>) -> bool,
    ) -> bool {
        any_member(root, &self.0, leaf, accept)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{}", step.name)?;
        }
        Ok(())
    }
}

impl Step {
    fn parse(name: &str) -> Self {
        let canonical =
            name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        Self { name: name.into(), key: name_key(name), index: name.parse().ok().filter(|_| canonical) }
    }
}

/// Follows `steps` from the members of a container. An array that `$elemMatch` starts from counts as an object
/// named by indices.
fn any_member(
    container: View<'_>,
    steps: &[Step],
    leaf: Leaf,
    accept: &mut dyn FnMut(Option<View<'_>>) -> bool,
) -> bool {
    let Some((first, mut rest)) = steps.split_first() else { return false };
    let mut current = match container {
        View::Array(items) => first.index.and_then(|index| items.get(index)),
        View::Object(object) => object.find(&first.name, first.key),
        _ => None,
    };
    loop {
        match (current, rest) {
            (Some(View::Array(items)), []) => {
                return (leaf == Leaf::Elements && items.iter().any(|item| accept(Some(item))))
                    || accept(current);
            }
            (Some(View::Array(items)), _) => return any_element(items, rest, leaf, accept),
            (Some(View::Object(object)), [step, after @ ..]) => {
                current = object.find(&step.name, step.key);
                rest = after;
            }
            (value, []) => return accept(value),
            _ => return accept(None),
        }
    }
}

/// Follows `steps`, at least one, from the elements of an array.
fn any_element(
    items: Elements<'_>,
    steps: &[Step],
    leaf: Leaf,
    accept: &mut dyn FnMut(Option<View<'_>>) -> bool,
) -> bool {
    let Some((first, rest)) = steps.split_first() else { return false };
    items.iter().enumerate().any(|(at, item)| {
        if matches!(item, View::Object(_)) && any_member(item, steps, leaf, accept) {
            return true;
        }
        if first.index != Some(at) {
            return false;
        }
        match item {
            // An index at the end of a path names the element as a whole: it is not looked into.
            _ if rest.is_empty() => accept(Some(item)),
            View::Object(_) => any_member(item, rest, leaf, accept),
            View::Array(inner) => any_element(inner, rest, leaf, accept),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::tree::Tree;

    /// The values that a path visits, in order, with `null` in quotes for a missing one.
    fn visited(path: &str, document: &str, leaf: Leaf) -> Vec<String> {
        let document = Tree::of_value(&json::parse(document).unwrap());
        let mut seen = Vec::new();
        Path::parse(path).any(document.root(), leaf, &mut |value| {
            seen.push(value.map_or("missing".to_owned(), |value| json::to_string(&value.to_value())));
            false
        });
        seen
    }

    #[test]
    fn paths_visit_what_mongodb_visits() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("a", r#"{"a":5}"#, &["5"]),
            ("a", r#"{"b":5}"#, &["missing"]),
            ("a.b", r#"{"a":5}"#, &["missing"]),
            ("a.b", r#"{"a":{"b":5}}"#, &["5"]),
            ("a", r#"{"a":[5,4]}"#, &["5", "4", "[5,4]"]),
            (
                "a.b",
                r#"{"a":[{"b":5},3,{},{"b":[9,11]},{"b":7}]}"#,
                &["5", "missing", "9", "11", "[9,11]", "7"],
            ),
            ("a.b", r#"{"a":[]}"#, &[]),
            (
                "a.b.c",
                r#"{"a":[{"b":[{"c":3},{"c":4}]},{"b":[{"c":5},{"c":[6,7]}]}]}"#,
                &["3", "4", "5", "6", "7", "[6,7]"],
            ),
            ("a.1", r#"{"a":[5,7,3]}"#, &["7"]),
            ("a.1", r#"{"a":[5,[2,4],3]}"#, &["[2,4]"]),
            ("a.1", r#"{"a":[5,{"1":4},3]}"#, &["4", "{\"1\":4}"]),
            ("a.1.b", r#"{"a":[5,{"b":4},3]}"#, &["missing", "4"]),
            ("a.1.b", r#"{"a":[5,[{"b":4}],3]}"#, &["4"]),
            ("a.0.0", r#"{"a":[[1,2]]}"#, &["1"]),
            ("a.00", r#"{"a":[1]}"#, &[]),
            ("a..b", r#"{"a":{"":{"b":1}}}"#, &["1"]),
        ];
        for (path, document, expected) in cases {
            assert_eq!(visited(path, document, Leaf::Elements), *expected, "{path} in {document}");
        }
    }

    #[test]
    fn a_whole_leaf_does_not_visit_the_elements() {
        assert_eq!(visited("a", r#"{"a":[5,4]}"#, Leaf::Whole), ["[5,4]"]);
        assert_eq!(visited("a.b", r#"{"a":[{"b":[1]},{"b":2}]}"#, Leaf::Whole), ["[1]", "2"]);
    }
}
