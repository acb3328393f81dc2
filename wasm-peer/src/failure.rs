//! What is thrown at JavaScript: `[code, message, path, hint]`, from which TypeScript makes a `WeftError`.

use js_sys::Array;
use wasm_bindgen::JsValue;
use weft_peer_core::CommandError;
use weft_query::{DocumentError, FilterError};

/// A refused call. State is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, hint: None }
    }

    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        let code = match error {
            DocumentError::TooLarge { .. } | DocumentError::TooManyValues { .. } => "too-large",
            _ => "bad-document",
        };
        Self::new(code, error.to_string()).at("$")
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        let hint = match &error {
            FilterError::UnknownOperator { hint, .. } => Some(hint.clone()),
            FilterError::BadOperand { expected, .. } => Some(format!("expected {expected}")),
            FilterError::MixedNames { .. } => Some("to compare with an object, use $eq".to_owned()),
            _ => None,
        };
        Self { hint, ..Self::new("bad-query", error.to_string()).at(error.path()) }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let text = |text: Option<String>| text.map_or(Self::UNDEFINED, Self::from);
        let parts = [failure.code.into(), failure.message.into(), text(failure.path), text(failure.hint)];
        parts.into_iter().collect::<Array>().into()
    }
}
