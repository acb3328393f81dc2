//! The index against the evaluator.

use crate::generate::{objects, standing};
use proptest::prelude::*;
use weft_query::{Document, Filter, Index};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_index_agrees_with_the_evaluator_whatever_comes_and_goes(
        steps in prop::collection::vec((0u8..60, prop::option::weighted(0.8, standing())), 1..200),
        documents in prop::collection::vec(objects(3), 1..12),
        seed: u64,
    ) {
        let mut index = Index::new(seed);
        let mut filters = std::collections::BTreeMap::new();
        let documents: Vec<_> = documents.iter().map(|document| Document::from_value(document).unwrap()).collect();
        for (at, (id, query)) in steps.into_iter().enumerate() {
            if let Some(query) = query {
                let filter = Filter::parse(&query).unwrap();
                prop_assert_eq!(index.insert(id, &filter), filters.insert(id, filter).is_none());
            } else {
                prop_assert_eq!(index.remove(&id), filters.remove(&id).is_some());
            }
            prop_assert_eq!(index.len(), filters.len());
            let document = &documents[at % documents.len()];
            let mut found = Vec::new();
            index.select(document, |id| found.push(id));
            found.sort_unstable();
            let expected: Vec<u8> =
                filters.iter().filter(|(_, filter)| filter.matches(document)).map(|(id, _)| *id).collect();
            prop_assert_eq!(found, expected, "{:?}", document);
        }
    }
}
