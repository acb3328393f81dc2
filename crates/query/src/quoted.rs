//! Texts and numbers as messages show them, without `Debug`: a wasm is smaller if it has none of that.

use core::fmt;

/// A text in quotation marks; what would not be seen, or would end it, is escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                other if other.is_control() => write!(f, "\\u{{{:x}}}", u32::from(other))?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A number that is seen to be a fraction: 1 reads 1.0. Never with an exponent, whose formatting would be code for this
/// alone.
pub(crate) fn float(value: f64) -> String {
    let mut text = value.to_string();
    if value.is_finite() && !text.contains('.') {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped() {
        assert_eq!(Quoted("a\"b\\c\nd\u{7}é").to_string(), r#""a\"b\\c\nd\u{7}é""#);
    }

    #[test]
    fn fractions_are_seen_to_be_such() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000.0"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }
}
