//! Documents and queries from values that are not of this crate, such as JavaScript's.

use crate::cbor::{DATE_FRAME_BYTES, check_depth, date_is_in_range, float_bytes, head_bytes, int_argument};
use crate::filter::Filter;
use crate::limits::Budget;
use crate::tree::{Builder, Tree};
use crate::{Document, DocumentError, FilterError, Value};

/// Writes one document or one query, value by value, within the [`limits`](crate::limits). What is too long is refused before it is copied.
///
/// ```
/// use weft_query::Writer;
///
/// let mut writer = Writer::of_document();
/// writer.begin()?;
/// writer.name("title")?;
/// writer.text("Ran")?;
/// writer.end_object()?;
/// let document = writer.into_document()?;
/// assert_eq!(document.get("title").and_then(|title| title.as_str()), Some("Ran"));
/// # Ok::<(), weft_query::DocumentError>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    builder: Builder,
    budget: Budget,
    bytes: usize,
    values: usize,
    /// Where the arrays and objects that have begun begin.
    begun: Vec<usize>,
}

impl Writer {
    /// Writes a document.
    pub fn of_document() -> Self {
        Self::within(Budget::DOCUMENT)
    }

    /// Writes a query.
    pub fn of_filter() -> Self {
        Self::within(Budget::FILTER)
    }

    fn within(budget: Budget) -> Self {
        Self { builder: Builder::default(), budget, bytes: 0, values: 0, begun: Vec::new() }
    }

    /// Null.
    pub fn null(&mut self) -> Result<(), DocumentError> {
        self.value_of(1)?;
        self.builder.null();
        Ok(())
    }

    /// True or false.
    pub fn bool(&mut self, bool: bool) -> Result<(), DocumentError> {
        self.value_of(1)?;
        self.builder.bool(bool);
        Ok(())
    }

    /// An integer.
    pub fn int(&mut self, int: i64) -> Result<(), DocumentError> {
        self.value_of(head_bytes(int_argument(int)))?;
        self.builder.int(int);
        Ok(())
    }

    /// A double.
    pub fn float(&mut self, float: f64) -> Result<(), DocumentError> {
        self.value_of(float_bytes(float))?;
        self.builder.float(float);
        Ok(())
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> Result<(), DocumentError> {
        self.value_of(text_bytes(text.len()))?;
        self.builder.text(text);
        Ok(())
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), DocumentError> {
        self.value_of(text_bytes(bytes.len()))?;
        self.builder.bytes(bytes);
        Ok(())
    }

    /// A date, in milliseconds since 1970.
    pub fn date(&mut self, millis: i64) -> Result<(), DocumentError> {
        if !date_is_in_range(millis) {
            return Err(DocumentError::DateOutOfRange);
        }
        let parts = [millis.div_euclid(1000), millis.rem_euclid(1000)];
        let parts = parts.map(|part| head_bytes(int_argument(part)));
        self.value_of(DATE_FRAME_BYTES + parts.iter().sum::<usize>())?;
        self.builder.date(millis);
        Ok(())
    }

    /// The name of the member of which the value comes next.
    pub fn name(&mut self, name: &str) -> Result<(), DocumentError> {
        self.add(text_bytes(name.len()))?;
        self.builder.name(name);
        Ok(())
    }

    /// Begins an array or an object.
    pub fn begin(&mut self) -> Result<(), DocumentError> {
        check_depth(self.begun.len() + 1)?;
        self.value_of(1)?;
        self.begun.push(self.builder.waiting());
        Ok(())
    }

    /// Ends what began last, an array of the values since then.
    pub fn end_array(&mut self) -> Result<(), DocumentError> {
        let len = self.since_begun();
        self.add(head_bytes(len as u64) - 1)?;
        self.builder.array(len);
        Ok(())
    }

    /// Ends what began last, an object of the names and values since then. They may come in any order.
    pub fn end_object(&mut self) -> Result<(), DocumentError> {
        let len = self.since_begun() / 2;
        self.add(head_bytes(len as u64) - 1)?;
        self.builder.object_of_any_order(len).map_err(|error| DocumentError::DuplicateKey { key: error.key })
    }

    /// A value with everything in it.
    pub fn value(&mut self, value: &Value) -> Result<(), DocumentError> {
        match value {
            Value::Null => self.null(),
            Value::Bool(bool) => self.bool(*bool),
            Value::Int(int) => self.int(*int),
            Value::Float(float) => self.float(*float),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Date(millis) => self.date(*millis),
            Value::Array(items) => {
                self.begin()?;
                items.iter().try_for_each(|item| self.value(item))?;
                self.end_array()
            }
            Value::Object(object) => {
                self.begin()?;
                object.iter().try_for_each(|(name, value)| {
                    self.name(name)?;
                    self.value(value)
                })?;
                self.end_object()
            }
        }
    }

    /// The document, if what was written is an object.
    pub fn into_document(self) -> Result<Document, DocumentError> {
        Document::of_tree(self.into_tree())
    }

    /// The filter, if what was written is a query.
    pub fn into_filter(self) -> Result<Filter, FilterError> {
        Filter::of_tree(&self.into_tree())
    }

    pub(crate) fn into_tree(mut self) -> Tree {
        while !self.begun.is_empty() {
            // Whoever forgot to end something gets something that is no object.
            let len = self.since_begun();
            self.builder.array(len);
        }
        self.builder.finish()
    }

    fn since_begun(&mut self) -> usize {
        let waiting = self.builder.waiting();
        waiting - self.begun.pop().unwrap_or(waiting).min(waiting)
    }

    fn value_of(&mut self, bytes: usize) -> Result<(), DocumentError> {
        self.values += 1;
        if self.values > self.budget.values {
            return Err(DocumentError::TooManyValues { limit: self.budget.values });
        }
        self.add(bytes)
    }

    fn add(&mut self, bytes: usize) -> Result<(), DocumentError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.budget.bytes {
            return Err(DocumentError::TooLarge { len: self.bytes, limit: self.budget.bytes });
        }
        Ok(())
    }
}

fn text_bytes(len: usize) -> usize {
    head_bytes(len as u64).saturating_add(len)
}
