//! `$regex`: regular expressions in linear time.

use crate::limits;
use regex_lite::{Regex, RegexBuilder};
use std::cell::Cell;

/// A compiled regular expression within the limits.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

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
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    fn occurs_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// What the searches of one match may still cost.
#[derive(Debug)]
pub(crate) struct Searches {
    /// Bytes of text; `None` once a search was refused.
    left: Cell<Option<usize>>,
}

impl Searches {
    /// What one match may cost: [`limits::PATTERN_TEXT_BYTES`].
    pub(crate) fn allowed() -> Self {
        Self { left: Cell::new(Some(limits::PATTERN_TEXT_BYTES)) }
    }

    /// Whether the pattern occurs in the text; false if the search would cost more than is left.
    pub(crate) fn finds(&self, pattern: &Pattern, text: &str) -> bool {
        // One more than the text, so that many empty ones are not free.
        self.left.set(self.left.get().and_then(|left| left.checked_sub(text.len() + 1)));
        self.left.get().is_some() && pattern.occurs_in(text)
    }

    /// Whether a search was refused: then nothing that was found or not found says anything.
    pub(crate) fn are_exhausted(&self) -> bool {
        self.left.get().is_none()
    }
}
