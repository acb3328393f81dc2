//! matchbox_server: JSON text, addressed by the id that the server assigns, in rooms.

use anyhow::Context as _;

use super::{Mode, SWARM, Signal, Step, Wire, text};

/// The clients of a matchbox_server.
#[derive(Default)]
pub(super) struct Matchbox {
    /// Assigned ids by connection.
    ids: Vec<String>,
}

impl Wire for Matchbox {
    fn request(&self, at: usize) -> (String, Option<&'static str>) {
        (format!("/room{}", at / SWARM), None)
    }

    fn open(&mut self, at: usize) -> Step {
        if self.ids.len() <= at {
            self.ids.resize(at + 1, String::new());
        }
        Step::default()
    }

    fn greet(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Step> {
        let said = String::from_utf8_lossy(payload);
        let id = said.strip_prefix(r#"{"IdAssigned":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
        let place = self.ids.get_mut(at).context("greeted before it was open")?;
        id.with_context(|| format!("no id: {said}"))?.clone_into(place);
        Ok(Step { ready: true, ..Step::default() })
    }

    fn signal(&self, _: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8> {
        let id = self.ids.get(to).map_or("", String::as_str);
        text(&format!(r#"{{"Signal":{{"receiver":"{id}","data":"{}"}}}}"#, kind.text(from)))
    }
}
