//! A query on its own.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use weft_query::{Document, Filter};

use crate::convert;
use crate::failure::Failure;

/// A parsed query.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Matcher {
    pub(crate) filter: Filter,
}

#[wasm_bindgen]
impl Matcher {
    /// Parses a query.
    ///
    /// # Errors
    /// `bad-query` with the path of what is wrong.
    #[wasm_bindgen(constructor)]
    pub fn new(query: &JsValue) -> Result<Matcher, JsValue> {
        Self::parse(query).map_err(JsValue::from)
    }

    /// Whether a document satisfies every condition.
    ///
    /// # Errors
    /// `bad-document` or `too-large`.
    pub fn matches(&self, document: &JsValue) -> Result<bool, JsValue> {
        Ok(self.filter.matches(&convert::document(document)?))
    }

    /// `{matches, failures: [{term, field, reason}]}`.
    ///
    /// # Errors
    /// `bad-document` or `too-large`.
    pub fn explain(&self, document: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.explained(&convert::document(document)?))
    }
}

impl Matcher {
    fn parse(query: &JsValue) -> Result<Self, Failure> {
        Ok(Self { filter: convert::filter(query)? })
    }

    fn explained(&self, document: &Document) -> JsValue {
        let explanation = self.filter.explain(document);
        let failures: Array = explanation
            .failures
            .iter()
            .map(|failure| {
                convert::record(&[
                    ("term", failure.term.as_str().into()),
                    ("field", failure.field.as_str().into()),
                    ("reason", failure.reason.as_str().into()),
                ])
            })
            .collect();
        convert::record(&[("matches", explanation.matches.into()), ("failures", failures.into())])
    }
}
