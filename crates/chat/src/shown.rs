//! What of others' text may be on a screen.

use std::borrow::Cow;

/// A text, without control characters and what turns the direction of writing around: neither tells anything, and both can
/// make a line look like another one, or a terminal do something.
pub fn text(text: &str) -> Cow<'_, str> {
    let kept = |char: char| char == '\n' || char == '\t' || !is_left_out(char);
    if text.chars().all(kept) { text.into() } else { text.chars().filter(|char| kept(*char)).collect() }
}

/// The same in one line, without blanks at its ends: names.
pub fn line(text: &str) -> String {
    let words = text.chars().map(|char| if char == '\n' || char == '\t' { ' ' } else { char });
    words.filter(|char| !is_left_out(*char)).collect::<String>().trim().to_owned()
}

fn is_left_out(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// When something was written, as far as that is believed: what lies too far ahead was written when it came.
pub fn time(sent: u64, came: u64) -> u64 {
    if sent > came.saturating_add(crate::limits::AHEAD) { came } else { sent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        assert_eq!(text("a\x1b[31mb\u{9b}c\r\nd\te\u{7f}"), "a[31mbc\nd\te");
        assert_eq!(text("\u{202e}gpj.exe\u{2069}"), "gpj.exe");
        assert!(matches!(text("plain\ntext"), Cow::Borrowed(_)));
        assert_eq!(line(" Ada\n\x07\u{2066} L. "), "Ada  L.");
    }

    #[test]
    fn a_time_far_ahead_is_that_of_coming() {
        let minutes = |count: u64| count * 60_000;
        assert_eq!(time(minutes(5), 0), minutes(5));
        assert_eq!(time(minutes(5) + 1, 0), 0);
        assert_eq!(time(1, minutes(60)), 1);
    }
}
