//! Figures of several rounds, for people.

use std::io::Write as _;
use std::time::Duration;

/// Values of one figure, one per round.
#[derive(Clone, Default)]
pub(crate) struct Figure(Vec<f64>);

impl Figure {
    /// Adds a round.
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle value; of two, the lower one. Zero without rounds.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    /// `median (least to most)`.
    pub(crate) fn show(&self, digits: usize) -> String {
        let (least, most) = (self.0.first().copied().unwrap_or_default(), self.0.last().copied());
        format!("{:.digits$} ({least:.digits$} to {:.digits$})", self.median(), most.unwrap_or_default())
    }
}

/// The value that `share` (0 to 1) of the sorted values do not exceed, in milliseconds.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the length of a slice"
    )]
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at).map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

/// One line on standard output.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_shows_its_middle_and_its_ends() {
        let mut figure = Figure::default();
        for value in [3.0, 1.0, 2.0] {
            figure.add(value);
        }
        assert_eq!(figure.show(1), "2.0 (1.0 to 3.0)");
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let at = |share| percentile(&sorted, share).round();
        assert_eq!((at(0.5), at(0.99), at(1.0)), (50.0, 99.0, 100.0));
        assert_eq!(percentile(&[], 0.5).to_bits(), 0.0_f64.to_bits());
    }
}
