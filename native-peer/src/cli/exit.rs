//! How the command ends.

use std::fmt::Display;
use std::process::ExitCode;

use weft_native_peer::ResidenceError;

/// The exit codes, as `weft --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    TimedOut = 4,
    Revoked = 5,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why the command ends early, and what people are told.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: Option<String>,
}

impl Failure {
    /// Something failed.
    pub(crate) fn error(error: &dyn Display) -> Self {
        Self { exit: Exit::Failed, text: Some(error.to_string()) }
    }

    /// What was asked makes no sense.
    pub(crate) fn usage(error: &dyn Display) -> Self {
        Self { exit: Exit::Usage, text: Some(error.to_string()) }
    }

    /// Time ran out.
    pub(crate) fn timed_out(text: &dyn Display) -> Self {
        Self { exit: Exit::TimedOut, text: Some(text.to_string()) }
    }

    /// Others refused, with a code for programs.
    pub(crate) fn refused(text: &dyn Display, code: &str) -> Self {
        Self { exit: Exit::Failed, text: Some(format!("{text} ({code})")) }
    }

    /// Nobody was reached.
    pub(crate) fn unreachable(text: &dyn Display) -> Self {
        Self { exit: Exit::Unreachable, text: Some(text.to_string()) }
    }

    /// Our identity has revoked this place.
    pub(crate) fn revoked(text: &dyn Display) -> Self {
        Self { exit: Exit::Revoked, text: Some(text.to_string()) }
    }

    /// Interrupted before anything was done.
    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, text: None }
    }

    /// Nobody reads the output any more: as `head` wants it, a quiet and good end.
    pub(crate) fn nobody_reads() -> Self {
        Self { exit: Exit::Done, text: None }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl From<weft_native_peer::Error> for Failure {
    fn from(error: weft_native_peer::Error) -> Self {
        match &error {
            weft_native_peer::Error::Options(_) => Self::usage(&error),
            error if error.code() == "revoked" => Self::revoked(error),
            weft_native_peer::Error::Residence(ResidenceError::Unanswered(_)) => Self::unreachable(&error),
            _ => Self::error(&error),
        }
    }
}
