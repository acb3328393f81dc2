//! The evaluator against the naive one.

use crate::generate::{objects, one, operators, queries, values};
use crate::naive;
use proptest::prelude::*;
use weft_query::{Document, Filter, Object, Value};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_evaluator_agrees_with_the_naive_one(query in queries(), document in objects(3)) {
        let filter = Filter::parse(&query).unwrap();
        let matches = naive::matches(&query, &document);
        let document = Document::from_value(&document).unwrap();
        prop_assert_eq!(filter.matches(&document), matches, "{:?}", filter.explain(&document));
        prop_assert_eq!(filter.explain(&document).failures.is_empty(), matches);
        // What travels behaves as what was written.
        let travelled = Filter::decode(&filter.encode()).unwrap();
        prop_assert_eq!(travelled.matches(&Document::decode(&document.encode()).unwrap()), matches);
    }

    /// The same where query and document always meet: one path, one or two conditions.
    #[test]
    fn the_evaluator_agrees_on_values_that_are_there(condition in operators(), values in prop::collection::vec(values(2), 1..8)) {
        let query = one("a", condition);
        let filter = Filter::parse(&query).unwrap();
        for value in values {
            let document = one("a", value);
            let matches = naive::matches(&query, &document);
            prop_assert_eq!(filter.matches(&Document::from_value(&document.clone()).unwrap()), matches, "{:?}", document);
        }
    }

    #[test]
    fn a_query_made_from_a_member_of_the_document_selects_it(document in objects(3)) {
        let members: Vec<_> = document.as_object().unwrap().iter().filter(|(_, value)| !matches!(value, Value::Object(_)))
            .map(|(key, value)| (key.to_owned(), value.clone())).collect();
        let query = Value::Object(Object::from_entries(members).unwrap());
        prop_assert!(Filter::parse(&query).unwrap().matches(&Document::from_value(&document).unwrap()));
    }
}
