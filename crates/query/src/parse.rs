//! From a query value to a [`Term`]: everything that can be wrong with a query is found here.

use crate::error::{FilterError, Place, shortened};
use crate::operand::Operand;
use crate::order::compare;
use crate::path::Path;
use crate::pattern::Pattern;
use crate::term::{Field, Logic, Relation, Term, Test, TypeSet};
use crate::{Elements, Members, View, limits};
use std::sync::Arc;

/// Parses a query whose depth and size were checked already: the recursion is as deep as the value.
pub(crate) fn parse(query: View<'_>) -> Result<Term, FilterError> {
    Parser { terms: 0, patterns: 0 }.members(query, &Place::Root)
}

/// Where a query is the value of a field.
const FIELD_OPERATORS: [&str; 18] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$not",
    "$exists",
    "$type",
    "$all",
    "$elemMatch",
    "$size",
    "$mod",
    "$regex",
    "$options",
    "$contains",
];
/// Where a query stands on its own.
const LOGICAL_OPERATORS: [&str; 3] = ["$and", "$or", "$nor"];

/// Counts what the limits bound.
struct Parser {
    terms: usize,
    patterns: usize,
}

impl Parser {
    /// `{field: …, $and: […]}`.
    fn members(&mut self, query: View<'_>, place: &Place<'_>) -> Result<Term, FilterError> {
        let View::Object(object) = query else {
            return Err(place.bad_operand("an object with conditions", query.type_name()));
        };
        let mut terms = Vec::with_capacity(object.len());
        for (key, value) in object.iter() {
            let place = place.member(key);
            match key {
                "$and" => terms.push(self.branches(Logic::And, value, &place)?),
                "$or" => terms.push(self.branches(Logic::Or, value, &place)?),
                "$nor" => terms.push(self.branches(Logic::Nor, value, &place)?),
                _ if key.starts_with('$') => return Err(misplaced_operator(key, &place)),
                _ => {
                    if key.split('.').count() > limits::PATH_STEPS {
                        return Err(place.too_many("steps in a path", limits::PATH_STEPS));
                    }
                    let path = Path::parse(key);
                    let tests = self.field(value, &place)?;
                    terms.extend(tests.into_iter().map(|test| {
                        let searches = test.searches();
                        Term::Field(Arc::new(Field { path: path.clone(), test, searches }))
                    }));
                }
            }
        }
        Ok(Term::Logic { logic: Logic::Members, terms: terms.into() })
    }

    /// The operand of `$and`, `$or` or `$nor`.
    fn branches(&mut self, logic: Logic, operand: View<'_>, place: &Place<'_>) -> Result<Term, FilterError> {
        let expected = "an array of at least one query";
        let View::Array(items) = operand else {
            return Err(place.bad_operand(expected, operand.type_name()));
        };
        if items.is_empty() {
            return Err(place.bad_operand(expected, "an empty array"));
        }
        let terms = items.iter().enumerate().map(|(at, item)| {
            let place = place.element(at);
            self.count_term(&place)?;
            self.members(item, &place)
        });
        Ok(Term::Logic { logic, terms: terms.collect::<Result<_, _>>()? })
    }

    /// The value of a field: operators, or a value to be equal to.
    fn field(&mut self, value: View<'_>, place: &Place<'_>) -> Result<Vec<Test>, FilterError> {
        match value {
            View::Object(object) if has_operator(object) => self.operators(object, place),
            _ => {
                self.count_term(place)?;
                Ok(vec![equal_to(value)])
            }
        }
    }

    /// `{$gt: …, $lt: …}`.
    fn operators(&mut self, object: Members<'_>, place: &Place<'_>) -> Result<Vec<Test>, FilterError> {
        if let Some((key, _)) = object.iter().find(|(key, _)| !key.starts_with('$')) {
            return Err(place.mixed_names(key));
        }
        let mut tests = Vec::with_capacity(object.len());
        for (key, operand) in object.iter() {
            self.count_term(place)?;
            if let Some(test) = self.operator(key, operand, object, place)? {
                tests.push(test);
            }
        }
        Ok(tests)
    }

    /// One operator; `$options` gives nothing by itself.
    fn operator(
        &mut self,
        key: &str,
        operand: View<'_>,
        siblings: Members<'_>,
        object_place: &Place<'_>,
    ) -> Result<Option<Test>, FilterError> {
        let place = object_place.member(key);
        let compare = |relation| Test::Compare { relation, operand: Operand::of(operand) };
        Ok(Some(match key {
            "$eq" => equal_to(operand),
            "$ne" => not("$ne", [equal_to(operand)]),
            "$gt" => compare(Relation::Gt),
            "$gte" => compare(Relation::Gte),
            "$lt" => compare(Relation::Lt),
            "$lte" => compare(Relation::Lte),
            "$in" => self.one_of(operand, &place)?,
            "$nin" => not("$nin", [self.one_of(operand, &place)?]),
            "$not" => match operand {
                View::Object(object) if has_operator(object) => not("$not", self.operators(object, &place)?),
                other => return Err(place.bad_operand("an object with operators", other.type_name())),
            },
            "$exists" => match operand {
                View::Bool(true) | View::Int(1) => Test::Exists,
                View::Bool(false) | View::Int(0) => not("$exists", [Test::Exists]),
                other => return Err(place.bad_operand("true or false", other.type_name())),
            },
            "$type" => Test::Type(types(operand, &place)?),
            "$all" => self.all(operand, &place)?,
            "$elemMatch" => self.element(operand, &place)?,
            "$size" => {
                let size = whole(operand).and_then(|size| usize::try_from(size).ok());
                Test::Size(
                    size.ok_or_else(|| place.bad_operand("a whole number from 0 up", operand.type_name()))?,
                )
            }
            "$mod" => modulo(operand, &place)?,
            "$regex" => Test::Regex(self.pattern(siblings, &place)?),
            "$options" if siblings.get("$regex").is_some() => return Ok(None),
            "$options" => return Err(place.bad_operand("$regex beside $options", "$options alone")),
            "$contains" => Test::Contains(Operand::of(operand)),
            other => return Err(object_place.unknown_operator(other, hint(other, &FIELD_OPERATORS))),
        }))
    }

    /// The operand of `$in` and `$nin`.
    fn one_of(&mut self, operand: View<'_>, place: &Place<'_>) -> Result<Test, FilterError> {
        let mut values = Vec::new();
        let mut patterns = Vec::new();
        for (at, item) in array(operand, place)?.iter().enumerate() {
            let place = place.element(at);
            match item {
                View::Object(object) if has_operator(object) => {
                    patterns.push(self.lone_pattern(object, &place)?);
                }
                value => values.push(Operand::of(value)),
            }
        }
        values.sort_unstable_by(|a, b| compare(a.view(), b.view()));
        values.dedup_by(|a, b| compare(a.view(), b.view()).is_eq());
        Ok(Test::In { values: values.into(), patterns: patterns.into() })
    }

    /// The operand of `$all`.
    fn all(&mut self, operand: View<'_>, place: &Place<'_>) -> Result<Test, FilterError> {
        let items = array(operand, place)?;
        let is_element_match =
            |item: View<'_>| item.as_object().is_some_and(|object| object.get("$elemMatch").is_some());
        let element_matches = items.iter().filter(|item| is_element_match(*item)).count();
        if element_matches != 0 && element_matches != items.len() {
            return Err(place.bad_operand("only values or only $elemMatch", "both"));
        }
        let tests = items.iter().enumerate().map(|(at, item)| {
            let place = place.element(at);
            self.count_term(&place)?;
            match item {
                View::Object(object) if element_matches != 0 => {
                    if let Some((other, _)) = object.iter().find(|(key, _)| *key != "$elemMatch") {
                        return Err(place.unknown_operator(other, "only $elemMatch may stand there".into()));
                    }
                    self.element(object.get("$elemMatch").unwrap_or(View::Null), &place.member("$elemMatch"))
                }
                View::Object(object) if has_operator(object) => {
                    Ok(Test::Regex(self.lone_pattern(object, &place)?))
                }
                value => Ok(equal_to(value)),
            }
        });
        Ok(Test::All(tests.collect::<Result<_, _>>()?))
    }

    /// The operand of `$elemMatch`: operators for the element as a value, or a query on its members.
    fn element(&mut self, operand: View<'_>, place: &Place<'_>) -> Result<Test, FilterError> {
        match operand {
            View::Object(object)
                if has_operator(object)
                    && !object.iter().any(|(key, _)| LOGICAL_OPERATORS.contains(&key)) =>
            {
                Ok(Test::ElementValue(self.operators(object, place)?.into()))
            }
            _ => Ok(Test::ElementMembers(Box::new(self.members(operand, place)?))),
        }
    }

    /// `{$regex: …, $options: …}` and nothing else, as a member of a list.
    fn lone_pattern(&mut self, object: Members<'_>, place: &Place<'_>) -> Result<Pattern, FilterError> {
        if let Some((other, _)) = object.iter().find(|(key, _)| !matches!(*key, "$regex" | "$options")) {
            let hint = "a list holds values and {$regex, $options}".to_owned();
            return Err(place.unknown_operator(other, hint));
        }
        self.pattern(object, &place.member("$regex"))
    }

    /// The pattern of an object with `$regex` and perhaps `$options`.
    fn pattern(&mut self, object: Members<'_>, place: &Place<'_>) -> Result<Pattern, FilterError> {
        self.patterns += 1;
        if self.patterns > limits::FILTER_PATTERNS {
            return Err(place.too_many("regular expressions", limits::FILTER_PATTERNS));
        }
        let text = |key: &str, default| match object.get(key) {
            Some(View::String(text)) => Ok(text),
            Some(other) => Err(place.bad_operand("text", other.type_name())),
            None => default,
        };
        let source = text("$regex", Err(place.bad_operand("$regex beside $options", "$options alone")))?;
        let options = text("$options", Ok(""))?;
        Pattern::compile(source, options).map_err(|reason| place.bad_pattern(reason))
    }

    fn count_term(&mut self, place: &Place<'_>) -> Result<(), FilterError> {
        self.terms += 1;
        if self.terms > limits::FILTER_TERMS {
            return Err(place.too_many("conditions", limits::FILTER_TERMS));
        }
        Ok(())
    }
}

fn equal_to(operand: View<'_>) -> Test {
    Test::Compare { relation: Relation::Eq, operand: Operand::of(operand) }
}

fn not(operator: &'static str, tests: impl Into<Box<[Test]>>) -> Test {
    Test::Not { operator, tests: tests.into() }
}

fn has_operator(object: Members<'_>) -> bool {
    object.iter().any(|(key, _)| key.starts_with('$'))
}

fn array<'v>(operand: View<'v>, place: &Place<'_>) -> Result<Elements<'v>, FilterError> {
    match operand {
        View::Array(items) => Ok(items),
        other => Err(place.bad_operand("an array", other.type_name())),
    }
}

fn types(operand: View<'_>, place: &Place<'_>) -> Result<TypeSet, FilterError> {
    let one = |item: View<'_>, place: &Place<'_>| {
        let set = match item {
            View::String(name) => TypeSet::of_name(name),
            number => whole(number).and_then(TypeSet::of_number),
        };
        set.ok_or_else(|| place.bad_operand("the name or number of a type", "another value"))
    };
    match operand {
        View::Array(items) if items.is_empty() => {
            Err(place.bad_operand("at least one type", "an empty array"))
        }
        View::Array(items) => items
            .iter()
            .enumerate()
            .try_fold(TypeSet::EMPTY, |set, (at, item)| Ok(set.union(one(item, &place.element(at))?))),
        item => one(item, place),
    }
}

fn modulo(operand: View<'_>, place: &Place<'_>) -> Result<Test, FilterError> {
    let expected = "[divisor, remainder], both whole numbers and the divisor not 0";
    let items = array(operand, place)?;
    let (Some(divisor), Some(remainder), 2) = (items.get(0), items.get(1), items.len()) else {
        return Err(place.bad_operand(expected, "an array of another length"));
    };
    match (whole(divisor), whole(remainder)) {
        (Some(divisor), Some(remainder)) if divisor != 0 => Ok(Test::Mod { divisor, remainder }),
        (Some(0), Some(_)) => Err(place.bad_operand(expected, "a divisor of 0")),
        _ => Err(place.bad_operand(expected, "another value")),
    }
}

/// The whole number that a value is, if it is one and fits.
fn whole(value: View<'_>) -> Option<i64> {
    match value {
        View::Int(int) => Some(int),
        View::Float(float) if float.fract() == 0.0 => crate::order::truncated(float),
        _ => None,
    }
}

fn misplaced_operator(operator: &str, place: &Place<'_>) -> FilterError {
    let Place::Member(parent, _) = place else { return place.unknown_operator(operator, String::new()) };
    let hint = match operator {
        "$not" => "use $nor, or $not behind a field".to_owned(),
        _ if FIELD_OPERATORS.contains(&operator) => {
            format!("{operator} stands behind a field: {{field: {{{operator}: …}}}}")
        }
        _ => hint(operator, &LOGICAL_OPERATORS),
    };
    parent.unknown_operator(operator, hint)
}

/// The nearest operator by edit distance, or all of them.
fn hint(operator: &str, known: &[&str]) -> String {
    if known != LOGICAL_OPERATORS && LOGICAL_OPERATORS.contains(&operator) {
        return format!("{operator} stands beside fields, not behind one");
    }
    let operator = shortened(operator);
    // Two letters of `$date` make it `$gte`, which nobody meant. The dollar is no letter.
    let most = if operator.len() <= 5 { 1 } else { 2 };
    let nearest = known.iter().map(|name| (edit_distance(operator, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= most => format!("did you mean {name}?"),
        _ => format!("known are {}", known.join(" ")),
    }
}

/// Levenshtein distance in bytes, in one row.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, a_byte) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, b_byte) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(a_byte != b_byte);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_guessed_and_the_shorter_the_nearer() {
        let guesses =
            [("$gtee", Some("$gte")), ("$exsits", Some("$exists")), ("$foo", None), ("$date", None)];
        for (written, guess) in guesses {
            let hint = hint(written, &FIELD_OPERATORS);
            match guess {
                Some(name) => assert_eq!(hint, format!("did you mean {name}?")),
                None => assert!(hint.starts_with("known are"), "{written}: {hint}"),
            }
        }
    }
}
