//! `$regex`: regular expressions in linear time.

use crate::limits;
use crate::literal::Shape;
use regex_lite::{Regex, RegexBuilder};
use std::hash::{Hash, Hasher};

/// A compiled regular expression within the limits.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// What can be said about matching text without the engine.
    shape: Shape,
    options: Box<str>,
}

/// By source and options.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.options == other.options
    }
}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.regex.as_str(), &self.options).hash(state);
    }
}

impl Pattern {
    /// Compiles; `options` are letters of `imsxu`. The error says what is wrong with which of the two.
    pub(crate) fn compile(source: &str, options: &str) -> Result<Self, String> {
        if source.len() > limits::PATTERN_BYTES {
            return Err(format!("longer than {} bytes", limits::PATTERN_BYTES));
        }
        let mut builder = RegexBuilder::new(source);
        builder.size_limit(limits::PATTERN_COMPILED_BYTES).nest_limit(limits::PATTERN_DEPTH);
        for option in options.chars() {
            match option {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                // Patterns and strings are Unicode in any case.
                'u' => &mut builder,
                other => return Err(format!("unknown option '{other}'; known are i, m, s, x and u")),
            };
        }
        let regex = builder.build().map_err(|error| error.to_string())?;
        let literal = !options.contains(['i', 'm', 'x']);
        Ok(Self {
            regex,
            shape: if literal { Shape::of(source) } else { Shape::default() },
            options: options.into(),
        })
    }

    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        match self.shape.decides(text) {
            Some(found) => found,
            None => self.regex.is_match(text),
        }
    }

    /// Whether every text that the other occurs in is known to be one that this occurs in.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self == other || self.shape.covers(&other.shape)
    }

    /// Text that is part of every match.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }
}
