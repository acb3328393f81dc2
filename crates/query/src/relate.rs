//! What can be said of two filters without a document: whether one selects all that the other does, and whether there may be
//! a document that both select.
//!
//! Both answers are conservative. `covers` says true, and `overlap` says false, only where it is proven; where they find no
//! proof there may still be one. A proof is found by comparing conditions on the same path, one by one. Arrays make such
//! comparisons weak: `{a: 1}` and `{a: 2}` do overlap, since both select `{a: [1, 2]}`.

use crate::View;
use crate::filter::Filter;
use crate::operand::Operand;
use crate::order::{bracket, compare, is_nan};
use crate::path::Leaf;
use crate::term::{Field, Logic, Relation, Term, Test, TypeSet};
use std::cmp::Ordering;

/// Whether some document may satisfy both filters. False is certain, true is not.
pub fn overlap(a: &Filter, b: &Filter) -> bool {
    let terms = [a.term(), b.term()];
    Prover::new().satisfiable(&terms)
}

/// Whether every document that satisfies `b` satisfies `a`. True is certain, false is not.
pub fn covers(a: &Filter, b: &Filter) -> bool {
    a == b || Prover::new().implies(&[b.term()], a.term())
}

/// The kind of arrays; see [`bracket`].
const ARRAY: u8 = 4;

/// Steps of one proof, at most: comparisons of conditions. A guess; a thousand take some 20 us.
const STEPS: usize = 4096;

/// Looks for a proof until it has taken too many steps.
struct Prover {
    steps: usize,
}

impl Prover {
    fn new() -> Self {
        Self { steps: STEPS }
    }

    /// Whether a step may still be taken.
    fn step(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
    }

    /// Whether all of `known` together imply `wanted`.
    fn implies(&mut self, known: &[&Term], wanted: &Term) -> bool {
        if !self.step() {
            return false;
        }
        let known = flat(known);
        if let Some((rest, branches)) = first_or(&known) {
            // Directly, or for each branch on its own.
            return self.implied_by_all(&known, wanted)
                || branches.iter().all(|branch| {
                    let mut known = rest.clone();
                    known.push(branch);
                    self.implies(&known, wanted)
                });
        }
        self.implied_by_all(&known, wanted)
    }

    /// The same, without looking into branches of `known`.
    fn implied_by_all(&mut self, known: &[&Term], wanted: &Term) -> bool {
        match wanted {
            Term::Logic { logic: Logic::Members | Logic::And, terms } => {
                terms.iter().all(|wanted| self.implied_by_all(known, wanted))
            }
            Term::Logic { logic: Logic::Or, terms } => {
                known.contains(&wanted) || terms.iter().any(|wanted| self.implied_by_all(known, wanted))
            }
            Term::Logic { logic: Logic::Nor, terms } => {
                terms.iter().all(|excluded| known.iter().any(|known| self.excludes(known, excluded)))
            }
            Term::Field(wanted) => known.iter().any(|known| match known {
                Term::Field(known) => self.field_implies(known, wanted),
                Term::Logic { .. } => false,
            }),
        }
    }

    /// Whether a `$nor` among the conditions excludes the term: whatever satisfies this satisfies what is excluded there.
    fn excludes(&mut self, known: &Term, term: &Term) -> bool {
        match known {
            Term::Logic { logic: Logic::Nor, terms } => {
                // A search may be unknown where what is excluded here is false.
                terms
                    .iter()
                    .any(|excluded| excluded == term || (!term.searches() && self.implies(&[term], excluded)))
            }
            _ => false,
        }
    }

    fn field_implies(&mut self, known: &Field, wanted: &Field) -> bool {
        // A document whose text is too long for `wanted` is selected by `known` unless that searches the same member, too.
        self.step()
            && known.path == wanted.path
            && (known.searches || !wanted.searches)
            && self.test_implies(&known.test, &wanted.test, known.path.ends_with_index())
    }

    /// Whether, at any path, `known` implies `wanted`. `indexed`: the path ends with an index, so that it visits no elements
    /// of what it leads to.
    fn test_implies(&mut self, known: &Test, wanted: &Test, indexed: bool) -> bool {
        if known == wanted {
            return true;
        }
        match (known, wanted) {
            (Test::Not { tests: known, .. }, Test::Not { tests: wanted, .. }) => {
                // What is excluded there is excluded here: the other way round.
                known
                    .iter()
                    .all(|known| wanted.iter().any(|wanted| self.test_implies(wanted, known, indexed)))
            }
            (Test::Not { .. }, _) | (_, Test::Not { .. }) => false,
            (Test::All(known), wanted) => known.iter().any(|known| self.test_implies(known, wanted, indexed)),
            (known, Test::All(wanted)) => {
                !wanted.is_empty() && wanted.iter().all(|wanted| self.test_implies(known, wanted, indexed))
            }
            // One of the elements of the array, each of which the path visits.
            (Test::ElementValue(known), wanted) if wanted.leaf() == Leaf::Elements && !indexed => {
                known.iter().any(|known| self.value_implies(known, wanted))
            }
            // One and the same value: but an element of an array is none that `Leaf::Whole` visits.
            (known, wanted) if known.leaf() == Leaf::Whole || wanted.leaf() == Leaf::Elements => {
                self.value_implies(known, wanted)
            }
            _ => false,
        }
    }

    /// Whether every value, or missing value, that satisfies `known` satisfies `wanted`.
    fn value_implies(&mut self, known: &Test, wanted: &Test) -> bool {
        if !self.step() {
            return false;
        }
        if known == wanted {
            return true;
        }
        match (known, wanted) {
            (Test::Compare { relation: Relation::Eq, operand }, wanted) => equal_implies(operand, wanted),
            (Test::In { values, patterns }, wanted) => {
                values.iter().all(|value| equal_implies(value, wanted))
                    && patterns.iter().all(|pattern| match wanted {
                        Test::In { patterns, .. } => patterns.contains(pattern),
                        wanted => self.value_implies(&Test::Regex(pattern.clone()), wanted),
                    })
            }
            (known, Test::Exists) => !known.accepts(None) && !matches!(known, Test::Not { .. }),
            (Test::Compare { relation, operand }, Test::Compare { relation: wanted, operand: bound }) => {
                range_implies(*relation, operand.view(), *wanted, bound.view())
            }
            (Test::Compare { operand, .. }, Test::Type(types)) => {
                !known.accepts(None) && types.contains_kind(bracket(operand.view()))
            }
            (Test::Mod { .. }, Test::Type(types)) => types.contains_kind(bracket(View::Int(0))),
            (Test::Regex(_), Test::Type(types)) => types.contains_kind(bracket(View::String(""))),
            (Test::Size(_) | Test::ElementMembers(_) | Test::ElementValue(_), Test::Type(types)) => {
                types.contains_kind(ARRAY)
            }
            (Test::Regex(known), Test::Regex(wanted)) => wanted.covers(known),
            (Test::Type(known), Test::Type(wanted)) => known.union(*wanted) == *wanted,
            (Test::ElementMembers(known), Test::ElementMembers(wanted)) => self.implies(&[known], wanted),
            (Test::ElementValue(known), Test::ElementValue(wanted)) => {
                wanted.iter().all(|wanted| known.iter().any(|known| self.value_implies(known, wanted)))
            }
            (Test::Not { tests: known, .. }, Test::Not { tests: wanted, .. }) => {
                known.iter().all(|known| wanted.iter().any(|wanted| self.value_implies(wanted, known)))
            }
            _ => false,
        }
    }

    /// Whether there may be a document that satisfies all of the terms.
    fn satisfiable(&mut self, terms: &[&Term]) -> bool {
        if !self.step() {
            return true;
        }
        let known = flat(terms);
        if known.iter().any(|term| self.contradicts(term, &known)) {
            return false;
        }
        match first_or(&known) {
            Some((rest, branches)) => branches.iter().any(|branch| {
                let mut terms = rest.clone();
                terms.push(branch);
                self.satisfiable(&terms)
            }),
            None => true,
        }
    }

    /// Whether a term cannot hold together with the others.
    fn contradicts(&mut self, term: &Term, known: &[&Term]) -> bool {
        match term {
            Term::Logic { logic: Logic::Nor, terms } => {
                terms.iter().any(|excluded| self.implied_by_all(known, excluded))
            }
            Term::Field(field) => match &field.test {
                Test::Not { tests, .. } if !field.searches => tests.iter().all(|excluded| {
                    known.iter().any(|known| match known {
                        Term::Field(known) => {
                            self.step()
                                && known.path == field.path
                                && self.test_implies(&known.test, excluded, known.path.ends_with_index())
                        }
                        Term::Logic { .. } => false,
                    })
                }),
                Test::In { values, patterns } => values.is_empty() && patterns.is_empty(),
                Test::All(tests) => tests.is_empty(),
                _ => false,
            },
            Term::Logic { .. } => false,
        }
    }
}

/// The conditions that all have to hold.
fn flat<'t>(terms: &[&'t Term]) -> Vec<&'t Term> {
    let mut all = Vec::new();
    for term in terms {
        match term {
            Term::Logic { logic: Logic::Members | Logic::And, terms } => {
                all.extend(flat(&terms.iter().collect::<Vec<_>>()));
            }
            other => all.push(*other),
        }
    }
    all
}

/// The branches of the first `$or`, and what there is beside it.
fn first_or<'t>(terms: &[&'t Term]) -> Option<(Vec<&'t Term>, &'t [Term])> {
    terms.iter().enumerate().find_map(|(at, term)| match term {
        Term::Logic { logic: Logic::Or, terms: branches } => {
            let mut rest = terms.to_vec();
            rest.remove(at);
            Some((rest, &**branches))
        }
        _ => None,
    })
}

/// Whether a value that equals the operand satisfies the test, whatever else it is.
fn equal_implies(operand: &Operand, wanted: &Test) -> bool {
    let value = operand.view();
    // What equals null may be missing.
    if matches!(value, View::Null) && !wanted.accepts(None) {
        return false;
    }
    match wanted {
        Test::Compare { .. } | Test::In { .. } | Test::Mod { .. } | Test::Regex(_) => {
            wanted.accepts(Some(value))
        }
        Test::Exists => true,
        // An int equals a double.
        Test::Type(types) => types.contains_kind(bracket(value)),
        _ => false,
    }
}

/// Whether all that is on the right side of one bound is on the right side of another.
fn range_implies(known: Relation, operand: View<'_>, wanted: Relation, bound: View<'_>) -> bool {
    if bracket(operand) != bracket(bound) || is_nan(operand) || is_nan(bound) || matches!(bound, View::Null) {
        return false;
    }
    let order = compare(operand, bound);
    match (known, wanted) {
        (Relation::Gte, Relation::Gt) => order == Ordering::Greater,
        (Relation::Gt | Relation::Gte, Relation::Gt | Relation::Gte) => order.is_ge(),
        (Relation::Lte, Relation::Lt) => order == Ordering::Less,
        (Relation::Lt | Relation::Lte, Relation::Lt | Relation::Lte) => order.is_le(),
        _ => false,
    }
}

impl TypeSet {
    /// Whether every value of the kind has one of the types.
    fn contains_kind(self, kind: u8) -> bool {
        let whole = Self::of_kind(kind);
        self.union(whole) == self
    }
}
