//! Text in lines of so many columns.

use unicode_width::UnicodeWidthChar as _;

/// Columns that a tab takes.
const TAB: &str = "    ";

/// Columns of a text in one line.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|char| char.width().unwrap_or(0)).sum()
}

/// A text in lines of at most so many columns, broken between words where that can be.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.replace('\t', TAB).split_inclusive(' ') {
            let bare = width(word.trim_end_matches(' '));
            if used + bare > columns && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            for char in word.chars() {
                let wide = char.width().unwrap_or(0);
                if used + wide > columns {
                    // A blank at the end of a line is not carried over.
                    if char == ' ' {
                        continue;
                    }
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(char);
                used += wide;
            }
        }
        lines.push(line);
    }
    lines
}

/// The beginning of a text in at most so many columns, with a sign that there is more.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 0);
    for char in text.chars() {
        let wide = char.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        kept.push(char);
        used += wide;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two", 3), ["one", "two"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        let text = "a 日本 abcdefghijkl\tx  y   zz e\u{301}e\u{301}";
        for columns in 2..20 {
            for line in wrap(text, columns) {
                assert!(width(&line) <= columns, "{line:?} in {columns}");
            }
            assert!(width(&cut(text, columns)) <= columns);
        }
    }
}
