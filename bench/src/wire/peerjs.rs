//! peerjs-server (npm `peer`): JSON text, addressed by id.

use super::{Mode, Received, Signal, Step, Wire, relayed, text};

/// The clients of a peerjs-server.
pub(super) struct Peerjs;

impl Wire for Peerjs {
    fn request(&self, at: usize) -> (String, Option<&'static str>) {
        (format!("/peerjs?key=peerjs&id={}&token=t{at}&version=1.5.5", id(at)), None)
    }

    fn open(&mut self, _: usize) -> Step {
        Step::default()
    }

    fn greet(&mut self, _: usize, payload: &[u8]) -> anyhow::Result<Step> {
        anyhow::ensure!(payload == br#"{"type":"OPEN"}"#, "not open: {}", String::from_utf8_lossy(payload));
        Ok(Step { ready: true, ..Step::default() })
    }

    fn signal(&self, _: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8> {
        let name = if kind == Signal::Offer { "OFFER" } else { "ANSWER" };
        text(&format!(r#"{{"type":"{name}","dst":"{}","payload":"{}"}}"#, id(to), kind.text(from)))
    }

    fn received(&self, payload: &[u8]) -> Received {
        if payload.starts_with(br#"{"type":"E"#) {
            return Received::Refused(String::from_utf8_lossy(payload).into_owned());
        }
        relayed(payload)
    }
}

/// As long as the UUIDs that the library uses.
fn id(at: usize) -> String {
    format!("3fa85f64-5717-4562-b3fc-2c96{at:08}")
}
