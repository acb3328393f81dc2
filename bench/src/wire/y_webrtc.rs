//! The signaling server of y-webrtc: JSON text, published to all subscribers of a topic, the sender included.

use super::{Mode, SWARM, Signal, Step, Wire, text};

/// The clients of a y-webrtc server.
pub(super) struct YWebrtc;

impl Wire for YWebrtc {
    fn request(&self, _: usize) -> (String, Option<&'static str>) {
        ("/".to_owned(), None)
    }

    /// Subscribing has no answer; a ping behind it has.
    fn open(&mut self, at: usize) -> Step {
        let subscribe = text(&format!(r#"{{"type":"subscribe","topics":["{}"]}}"#, topic(at)));
        Step { send: vec![subscribe, text(r#"{"type":"ping"}"#)], ready: false }
    }

    fn greet(&mut self, _: usize, payload: &[u8]) -> anyhow::Result<Step> {
        Ok(Step { ready: payload == br#"{"type":"pong"}"#, ..Step::default() })
    }

    fn signal(&self, _: Mode, from: usize, _: usize, kind: Signal) -> Vec<u8> {
        text(&format!(r#"{{"type":"publish","topic":"{}","data":"{}"}}"#, topic(from), kind.text(from)))
    }
}

fn topic(at: usize) -> String {
    format!("swarm-{}", at / SWARM)
}
