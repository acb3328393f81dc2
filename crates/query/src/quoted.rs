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

/// A number that is seen to be a fraction: 1 reads 1.0. Exact for what people write, otherwise to some fifteen digits;
/// formatting every double exactly, as the standard library does, would be 3 kB of code for this alone.
pub(crate) fn float(value: f64) -> String {
    let sign = if value.is_sign_negative() && !value.is_nan() { "-" } else { "" };
    let size = value.abs();
    if size.is_nan() {
        return "NaN".to_owned();
    }
    if size.is_infinite() {
        return format!("{sign}Infinity");
    }
    let mut exponent = 0;
    let mut digits = size;
    while size >= MOST && digits >= 10.0 {
        digits /= 10.0;
        exponent += 1;
    }
    while size != 0.0 && size < LEAST && digits < 1.0 {
        digits *= 10.0;
        exponent -= 1;
    }
    match exponent {
        0 => format!("{sign}{}", decimal(digits)),
        _ => format!("{sign}{}e{exponent}", decimal(digits)),
    }
}

/// From here on numbers have an exponent.
const MOST: f64 = 1e15;
/// Below this numbers have an exponent.
const LEAST: f64 = 1e-6;

/// A number from 0 to [`MOST`], with as few decimals as tell it from others.
fn decimal(value: f64) -> String {
    let (mut power, mut last) = (1.0, point(value.round() * 10.0, 1));
    for decimals in 1..=16 {
        power *= 10.0;
        if value * power >= 2.0 * MOST {
            break;
        }
        let scaled = (value * power).round();
        last = point(scaled, decimals);
        #[expect(clippy::float_cmp, reason = "whether these decimals are read as the same double")]
        if scaled / power == value {
            break;
        }
    }
    last
}

/// A whole number, as if it had been divided by a power of ten.
fn point(scaled: f64, decimals: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, not negative, below 2^53"
    )]
    let digits = format!("{:0>width$}", scaled as u64, width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{whole}.{fraction}")
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
            (6.9, "6.9"),
            (0.1 + 0.2, "0.300000000000000"),
            (123_456.789, "123456.789"),
            (-0.000_001_5, "-0.0000015"),
            (1e20, "1.0e20"),
            (2.5e-9, "2.5e-9"),
            (1.0 / 3.0, "0.333333333333333"),
            (999_999_999_999_999.5, "1000000000000000.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }
}
