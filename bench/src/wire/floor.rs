//! The least that a forwarding server can do (`weft-bench floor`): binary frames, addressed by the number of a connection.

use super::{Mode, Signal, Step, Wire};
use crate::floor::EVERYBODY;
use crate::framing;

/// The clients of the floor.
pub(super) struct Floor;

impl Wire for Floor {
    fn request(&self, at: usize) -> (String, Option<&'static str>) {
        (format!("/{at}"), None)
    }

    fn open(&mut self, _: usize) -> Step {
        Step { ready: true, ..Step::default() }
    }

    fn greet(&mut self, _: usize, _: &[u8]) -> anyhow::Result<Step> {
        anyhow::bail!("it greets nobody")
    }

    fn signal(&self, mode: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8> {
        let to = match mode {
            Mode::Unicast => u32::try_from(to).unwrap_or(EVERYBODY),
            Mode::Fanout => EVERYBODY,
        };
        framing::frame(framing::BINARY, &[&to.to_be_bytes()[..], &kind.payload(from)].concat())
    }
}
