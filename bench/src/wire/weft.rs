//! weft-signaler: CBOR, every connection authenticated and announced in its swarm.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use weft_crypto::challenge::answer_as_peer;
use weft_crypto::statement::sign_entry;
use weft_crypto::{PeerKey, Seed};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{DiscoveryKey, Entry, Nonce, PeerId, SignalerId, Text, decode, encode, limits};

use super::{Mode, Received, SWARM, Signal, Step, Wire, relayed};
use crate::framing;

/// Longest life that is asked for; the signaler clamps it.
const UNTIL_MS: u64 = 120_000;

/// The clients of a weft-signaler.
#[derive(Default)]
pub(super) struct Weft {
    clients: Vec<Option<Client>>,
}

struct Client {
    key: PeerKey,
    id: PeerId,
    home: SignalerId,
    /// Of the last entry.
    seq: u64,
}

impl Wire for Weft {
    fn request(&self, _: usize) -> (String, Option<&'static str>) {
        ("/".to_owned(), Some(weft_wire::PEER_PROTOCOL))
    }

    fn open(&mut self, at: usize) -> Step {
        if self.clients.len() <= at {
            self.clients.resize_with(at + 1, || None);
        }
        Step::default()
    }

    fn greet(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Step> {
        match decode::<FromSignaler<'_>>(payload, limits::FRAME)? {
            FromSignaler::Challenge { signaler, nonce } => {
                let key = PeerKey::new(&seed(at));
                let ours = Nonce([7; 32]);
                let signature = answer_as_peer(&key, signaler, &nonce, &ours);
                let id = key.id();
                *self.clients.get_mut(at).context("challenged before it was open")? =
                    Some(Client { key, id, home: signaler, seq: now_ms()? });
                let agent = Text::cut("weft-bench");
                Ok(say(&ToSignaler::Authenticate { peer: id, nonce: ours, signature, agent }))
            }
            FromSignaler::Welcome { .. } => Ok(Step { send: vec![self.announce(at)?], ready: false }),
            FromSignaler::Members { .. } => Ok(Step { ready: true, ..Step::default() }),
            // Of which siblings there are, for who wants to know.
            FromSignaler::Signalers { .. } => Ok(Step::default()),
            other => anyhow::bail!("instead of a greeting: {other:?}"),
        }
    }

    fn signal(&self, mode: Mode, from: usize, to: usize, kind: Signal) -> Vec<u8> {
        let signal = kind.payload(from);
        let re = u32::from(kind == Signal::Answer);
        let bytes = match (mode, self.client(to)) {
            (Mode::Unicast, Some(to)) => {
                encode(&ToSignaler::Forward { re, to: to.id, home: None, envelope: &signal, ack: false })
            }
            _ => encode(&ToSignaler::Fanout { re, discovery: swarm(from), payload: &signal, ack: false }),
        };
        framing::frame(framing::BINARY, &bytes)
    }

    fn received(&self, payload: &[u8]) -> Received {
        match relayed(payload) {
            // The rest is acknowledgements (frame number 9), as a rule.
            Received::Other if payload.get(1) != Some(&9) => {
                match decode::<FromSignaler<'_>>(payload, limits::FRAME) {
                    Ok(FromSignaler::Error { code, text, .. }) => {
                        Received::Refused(format!("{code:?} {text:?}"))
                    }
                    Ok(FromSignaler::Goodbye { code, .. }) => Received::Refused(format!("goodbye: {code:?}")),
                    Ok(_) => Received::Other,
                    Err(error) => Received::Refused(format!("not a frame: {error}")),
                }
            }
            received => received,
        }
    }

    /// Each entry is signed anew, with a higher number, as a refresh is.
    fn announce(&mut self, at: usize) -> anyhow::Result<Vec<u8>> {
        let client = self.clients.get_mut(at).and_then(Option::as_mut);
        let Client { key, id, home, seq } = client.context("announced before it was challenged")?;
        let now = now_ms()?;
        *seq = (*seq + 1).max(now);
        let entry = Entry {
            discovery: swarm(at),
            peer: *id,
            home: *home,
            agreement: key.agreement(),
            seq: *seq,
            since: now,
            until: now + UNTIL_MS,
            left: false,
        };
        let announce = encode(&ToSignaler::Announce { entry: &sign_entry(key, &entry) });
        Ok(framing::frame(framing::BINARY, &announce))
    }

    /// Frame number 4: the members.
    fn is_announced(&self, payload: &[u8]) -> bool {
        payload.get(1) == Some(&4)
    }
}

impl Weft {
    fn client(&self, at: usize) -> Option<&Client> {
        self.clients.get(at)?.as_ref()
    }
}

fn say(frame: &ToSignaler<'_>) -> Step {
    Step { send: vec![framing::frame(framing::BINARY, &encode(frame))], ready: false }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// The seed of a connection's keys.
pub(crate) fn seed(at: usize) -> Seed {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&(at as u64).to_be_bytes());
    Seed::new(bytes)
}

fn swarm(at: usize) -> DiscoveryKey {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&((at / SWARM) as u64).to_be_bytes());
    DiscoveryKey(bytes)
}
