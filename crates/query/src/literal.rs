//! What can be told about a regular expression's matches from its source alone.
//!
//! Most expressions that people write are a few letters, perhaps anchored. Those never need the engine; and for most
//! others it need only run on text that has some letters in it. The engine is some hundred times slower than a search
//! for letters.

/// The longest text that is in every match, and whether that is all there is to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// In every match, without a gap; empty if nothing is known.
    literal: Box<str>,
    /// Every match begins at the beginning of the text with `literal`.
    starts: bool,
    /// Every match ends with `literal` at the end of the text.
    ends: bool,
    /// Where `literal` stands as the anchors demand, there is a match.
    complete: bool,
}

impl Shape {
    /// Reads the source of an expression that compiles and whose options are neither `i`, `m` nor `x`.
    ///
    /// Understands letters, escaped punctuation, `^` at the beginning, `$` at the end, and where groups, classes and
    /// repetitions begin and end. Whatever else there is, above all alternatives outside of groups, gives a shape that knows nothing.
    pub(crate) fn of(source: &str) -> Self {
        let mut reader = Reader { rest: source, runs: Vec::new(), run: Run::default(), whole: true };
        let anchored = reader.skip("^");
        match reader.read() {
            Some(ends) => reader.shape(anchored, ends),
            None => Self::default(),
        }
    }

    /// Whether the expression matches the text, if that can be told.
    pub(crate) fn decides(&self, text: &str) -> Option<bool> {
        let fits = match (self.starts, self.ends) {
            (true, true) => text == &*self.literal,
            (true, false) => text.starts_with(&*self.literal),
            (false, true) => text.ends_with(&*self.literal),
            (false, false) => text.contains(&*self.literal),
        };
        if fits && !self.complete { None } else { Some(fits) }
    }

    /// What every matching text begins with.
    pub(crate) fn prefix(&self) -> Option<&str> {
        (self.starts && !self.literal.is_empty()).then_some(&self.literal)
    }

    /// Whether text of the other shape always matches this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (literal, part) = (&*other.literal, &*self.literal);
        self.complete
            && match (self.starts, self.ends) {
                (true, true) => other.starts && other.ends && other.complete && literal == part,
                (true, false) => other.starts && literal.starts_with(part),
                (false, true) => other.ends && literal.ends_with(part),
                (false, false) => literal.contains(part),
            }
    }

    /// What is in every matching text; empty if nothing is known.
    pub(crate) fn literal(&self) -> &str {
        &self.literal
    }
}

/// Letters that follow each other in every match.
#[derive(Debug, Default)]
struct Run {
    text: String,
    /// Nothing comes before it.
    first: bool,
}

struct Reader<'s> {
    rest: &'s str,
    runs: Vec<Run>,
    run: Run,
    /// There were only letters so far.
    whole: bool,
}

impl Reader<'_> {
    /// Reads to the end; whether that is `$`. None if nothing can be said.
    fn read(&mut self) -> Option<bool> {
        self.run.first = true;
        while let Some(char) = self.next() {
            match char {
                '$' if self.rest.is_empty() => return Some(true),
                '|' | '^' | '$' | ')' | '*' | '+' | '?' | '{' => return None,
                '(' => {
                    // A flag may change what follows, also outside of the group.
                    if self.rest.starts_with('?') && !self.rest.starts_with("?:") {
                        return None;
                    }
                    self.skip_group()?;
                    self.gap();
                    self.skip_repetition();
                }
                '[' => {
                    self.skip_class()?;
                    self.gap();
                    self.skip_repetition();
                }
                '.' => {
                    self.gap();
                    self.skip_repetition();
                }
                '\\' => {
                    let escaped = self.next()?;
                    // These two are borders of words.
                    if escaped.is_ascii_punctuation() && !matches!(escaped, '<' | '>') {
                        self.letter(escaped);
                    } else if matches!(escaped, 'd' | 'D' | 'w' | 'W' | 's' | 'S') {
                        self.gap();
                        self.skip_repetition();
                    } else {
                        // Code points by number, word boundaries and the like.
                        return None;
                    }
                }
                letter => self.letter(letter),
            }
        }
        Some(false)
    }

    /// A letter, with what may follow it.
    fn letter(&mut self, letter: char) {
        match self.rest.chars().next() {
            Some('*' | '?' | '{') => {
                self.gap();
                self.skip_repetition();
            }
            Some('+') => {
                let after = self.rest.get(1..).unwrap_or_default();
                // Repeated again, as in `a+*`, it need not be there.
                if !after.strip_prefix('?').unwrap_or(after).starts_with(['*', '+', '?', '{']) {
                    self.run.text.push(letter);
                }
                self.gap();
                self.skip_repetition();
            }
            _ => self.run.text.push(letter),
        }
    }

    /// Something that is no letter.
    fn gap(&mut self) {
        self.whole = false;
        self.runs.push(std::mem::take(&mut self.run));
    }

    fn skip_repetition(&mut self) {
        loop {
            let before = self.rest.len();
            if self.rest.starts_with('{') {
                self.rest = self.rest.split_once('}').map_or("", |(_, rest)| rest);
            }
            self.rest = self.rest.trim_start_matches(['*', '+', '?']);
            if self.rest.len() == before {
                return;
            }
        }
    }

    /// Behind the parenthesis that closes the group which has just begun.
    fn skip_group(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                '\\' => _ = self.next()?,
                '[' => self.skip_class()?,
                '(' => {
                    if self.rest.starts_with('?') && !self.rest.starts_with("?:") {
                        return None;
                    }
                    depth += 1;
                }
                ')' => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    /// Behind the bracket that closes the class which has just begun. Classes in classes are left to the engine.
    fn skip_class(&mut self) -> Option<()> {
        self.skip("^");
        // A bracket that comes first is a member.
        self.skip("]");
        loop {
            match self.next()? {
                '\\' => _ = self.next()?,
                '[' => return None,
                ']' => return Some(()),
                _ => {}
            }
        }
    }

    fn shape(mut self, starts: bool, ends: bool) -> Shape {
        if self.whole {
            return Shape { literal: self.run.text.into(), starts, ends, complete: true };
        }
        self.runs.push(self.run);
        // The beginning and the end are worth more than a longer text in the middle.
        let known = |text: &str, starts, ends| Shape { literal: text.into(), starts, ends, complete: false };
        if let Some(run) = self.runs.first().filter(|run| starts && run.first && !run.text.is_empty()) {
            return known(&run.text, true, false);
        }
        match self.runs.last() {
            Some(run) if ends && !run.text.is_empty() => known(&run.text, false, true),
            _ => {
                let longest = self.runs.iter().max_by_key(|run| run.text.len());
                known(longest.map_or("", |run| &run.text), false, false)
            }
        }
    }

    fn skip(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex_lite::Regex;

    fn shape(literal: &str, starts: bool, ends: bool, complete: bool) -> Shape {
        Shape { literal: literal.into(), starts, ends, complete }
    }

    #[test]
    fn letters_and_anchors_are_all_that_simple_expressions_are() {
        for (source, expected) in [
            ("abc", shape("abc", false, false, true)),
            ("^abc", shape("abc", true, false, true)),
            ("abc$", shape("abc", false, true, true)),
            ("^a\\.b$", shape("a.b", true, true, true)),
            ("", shape("", false, false, true)),
            ("^a+bc", shape("a", true, false, false)),
            ("ab*cde?f", shape("cd", false, false, false)),
            ("[0-9]+ km$", shape(" km", false, true, false)),
            ("(a|b)cde", shape("cde", false, false, false)),
            ("x\\d{3}yz", shape("yz", false, false, false)),
            ("a|b", Shape::default()),
            ("(?i)ab", Shape::default()),
            ("a\\bb", Shape::default()),
        ] {
            assert_eq!(Shape::of(source), expected, "{source}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_a_shape_decides_is_what_the_engine_finds(
            parts in prop::collection::vec(prop::sample::select(vec![
                "a", "b", "c", "ab", ".", "\\.", "\\d", "[ab]", "[^a]", "[]a]", "[a\\]b]", "(a)", "(b|c)", "(?:a(b)c)", "(?i)", "(?i:a)",
                "*", "+", "?", "{2}", "{0,1}", "{1,}?", "^", "$", "|", "\\b", "\\<", "\\x61", "\\\\", "-", "é",
            ]), 0..7),
            anchored: bool, ended: bool,
            texts in prop::collection::vec("[abc.1é\\\\-]{0,6}", 1..8),
        ) {
            let source = format!("{}{}{}", if anchored { "^" } else { "" }, parts.concat(), if ended { "$" } else { "" });
            if let Ok(regex) = Regex::new(&source) {
                let shape = Shape::of(&source);
                for text in texts {
                    if let Some(found) = shape.decides(&text) {
                        prop_assert_eq!(regex.is_match(&text), found, "{} in {}", source, text);
                    }
                }
            }
        }
    }
}
