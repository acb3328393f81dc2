//! What a person sees: steps with their time on standard error, results on standard output.

use anyhow::Result;
use std::time::{Duration, Instant};

/// Runs one named step: announces it, times it, and names it in the error.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let started = Instant::now();
    let result = work();
    let took = seconds(started.elapsed());
    match &result {
        Ok(_) => eprintln!("    {name}: done in {took}"),
        Err(_) => eprintln!("    {name}: FAILED after {took}"),
    }
    result.map_err(|error| error.context(format!("{name} failed")))
}

/// A step that had nothing to do.
pub(crate) fn fresh(name: &str) {
    eprintln!("==> {name}: up to date");
}

/// A remark below the current step.
pub(crate) fn note(text: &str) {
    eprintln!("    {text}");
}

/// A result, on standard output.
#[expect(clippy::print_stdout, reason = "results of a command belong on standard output")]
pub(crate) fn out(text: &str) {
    println!("{text}");
}

/// An error with its causes; the innermost cause carries the next step.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("\nweft: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {}", cause.to_string().replace('\n', "\n  "));
    }
}

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_unit_that_is_read_most_easily() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_millis(12_900)), "12 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }
}
