//! What peers seal, open, agree upon and sign, as wasm: `cargo xtask bench crypto` compares it with what others have for it.
//!
//! Built as the package's wasm is (the profile `wasm`, the same flags and passes). Each function is one call across the border:
//! what it takes is copied into wasm, and what it gives is copied out of it, as with libsodium-wrappers.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use wasm_bindgen::prelude::wasm_bindgen;
use weft_crypto::correspondence::{Correspondence, Opened};
use weft_crypto::group::{Chain, Reader};
use weft_crypto::link::{Transcript, check_link, sign_link};
use weft_crypto::session::Ratchets;
use weft_crypto::stream::{Half, Tunnel};
use weft_crypto::{PeerKey, Seed, VaultKey, envelope, primitives};
use weft_wire::{AgreementKey, DiscoveryKey, Epoch, PeerId, SessionId, Signature};

/// Milliseconds since the Unix epoch: prekeys are signed and used at the same time.
const NOW: u64 = 1_700_000_000_000;

/// One of two peers that have a session.
struct Side {
    key: PeerKey,
    vault: VaultKey,
    sessions: Correspondence<Ratchets>,
    rng: ChaCha20Rng,
}

impl Side {
    fn new(n: u8) -> Self {
        let key = PeerKey::new(&Seed::new([n; 32]));
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let sessions = Correspondence::new(key.id(), &mut rng);
        Self { vault: VaultKey::new(&key), key, sessions, rng }
    }
}

/// Two peers that have heard each other.
#[wasm_bindgen]
pub struct Session {
    sides: [Side; 2],
}

#[wasm_bindgen]
impl Session {
    /// Begins a session with a prekey, and answers.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Self, String> {
        let [mut one, mut other] = [Side::new(1), Side::new(2)];
        let prekey = other.sessions.hand_out(&mut other.rng, &other.key, NOW, one.key.id());
        let begun = one.sessions.begin(&mut one.rng, NOW, other.key.id(), &prekey);
        begun.map_err(|error| error.to_string())?;
        let mut session = Self { sides: [one, other] };
        for from in [0, 1] {
            let hello = session.seal(from, b"hello")?;
            session.open(1 - from, &hello)?;
        }
        Ok(session)
    }

    /// Seals a message of one side, 0 or 1, for the other.
    pub fn seal(&mut self, from: usize, plain: &[u8]) -> Result<Vec<u8>, String> {
        let (side, to) = self.side(from)?;
        side.sessions.seal(&mut side.rng, to, plain).map_err(|error| error.to_string())
    }

    /// Opens a message at one side.
    pub fn open(&mut self, at: usize, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let (side, from) = self.side(at)?;
        match side.sessions.open(from, sealed) {
            Ok(Opened::Message(plain)) => Ok(plain),
            Ok(_) => Err("no message".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What a side stores since this was last asked, sealed: how many bytes.
    pub fn stored(&mut self, at: usize) -> Result<usize, String> {
        let (side, _) = self.side(at)?;
        let changes = side.sessions.changes(&mut side.rng, &side.vault);
        Ok(changes.iter().map(|change| change.key.len() + change.value.as_ref().map_or(0, Vec::len)).sum())
    }

    /// As `seal`, in the envelope in which it travels.
    pub fn send(&mut self, from: usize, plain: &[u8]) -> Result<Vec<u8>, String> {
        let sealed = self.seal(from, plain)?;
        let agreement = self.sides.get(1 - from).ok_or("there are two sides")?.key.agreement();
        let (side, to) = self.side(from)?;
        envelope::seal(&mut side.rng, &side.key, to, &agreement, &sealed).map_err(|error| error.to_string())
    }

    /// As `open`, of an envelope.
    pub fn receive(&mut self, at: usize, envelope: &[u8]) -> Result<Vec<u8>, String> {
        let (side, from) = self.side(at)?;
        let opened = envelope::open(&side.key, envelope).map_err(|error| error.to_string())?;
        if opened.sender != from {
            return Err("somebody else's".to_owned());
        }
        self.open(at, &opened.body)
    }

    /// A side, and who the other one is.
    fn side(&mut self, at: usize) -> Result<(&mut Side, PeerId), String> {
        let [one, other] = &mut self.sides;
        match at {
            0 => Ok((one, other.key.id())),
            1 => Ok((other, one.key.id())),
            _ => Err("there are two sides".to_owned()),
        }
    }
}

/// Who publishes in a private party, and a member.
#[wasm_bindgen]
pub struct Documents {
    party: DiscoveryKey,
    feed: PeerId,
    rng: ChaCha20Rng,
    epoch: u64,
    chain: Chain,
    reader: Reader,
}

#[wasm_bindgen]
impl Documents {
    /// With a first chain.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let chain = Chain::new(&mut rng);
        let reader = Reader::new(chain.clone());
        Self { party: DiscoveryKey([4; 32]), feed: PeerId([5; 32]), rng, epoch: 0, chain, reader }
    }

    /// Seals a document; with a new chain when the one before is used up, which the member knows at once.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        if self.chain.is_used_up() {
            self.epoch += 1;
            self.chain = Chain::new(&mut self.rng);
            self.reader = Reader::new(self.chain.clone());
        }
        self.chain.seal((&self.party, &self.feed), Epoch(self.epoch.to_be_bytes()), plain)
    }

    /// Opens a document.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        self.reader.open((&self.party, &self.feed), sealed).map_err(|error| format!("{error:?}"))
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}

/// ChaCha20-Poly1305 alone.
#[wasm_bindgen]
pub fn seal(key: &[u8], nonce: &[u8], plain: &[u8]) -> Result<Vec<u8>, String> {
    Ok(primitives::seal(array(key)?, array(nonce)?, &[], plain))
}

/// The same, opened.
#[wasm_bindgen]
pub fn open(key: &[u8], nonce: &[u8], sealed: &[u8]) -> Result<Vec<u8>, String> {
    primitives::open(array(key)?, array(nonce)?, &[], sealed).ok_or_else(|| "altered".to_owned())
}

/// One end of a link that signalers forward, which agrees on keys and proves whose they are: it plays both ends.
#[wasm_bindgen]
pub struct Link {
    key: PeerKey,
    other: PeerId,
    session: SessionId,
    rng: ChaCha20Rng,
    half: Half,
    /// What the last agreement came to.
    tunnel: Option<Tunnel>,
}

#[wasm_bindgen]
impl Link {
    /// Of two peers.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        let [key, other] = [6, 7].map(|n| PeerKey::new(&Seed::new([n; 32])));
        let half = Half::new(&mut rng);
        Self { key, other: other.id(), session: SessionId([8; 16]), rng, half, tunnel: None }
    }

    /// Makes a pair of keys for this link: X25519 with the base point.
    pub fn half(&mut self) -> Vec<u8> {
        self.half = Half::new(&mut self.rng);
        self.half.public().0.to_vec()
    }

    /// Agrees with the other side on the link's keys: X25519, and two keys derived from it.
    pub fn agree(&mut self, public: &[u8]) -> Result<(), String> {
        let ends = (self.key.id(), self.other);
        let tunnel = self.half.agree(self.session, ends, &AgreementKey(array(public)?));
        self.tunnel = Some(tunnel.ok_or("no key")?);
        Ok(())
    }

    /// Signs the transcript of a session, 16 bytes.
    pub fn sign(&self, session: &[u8]) -> Result<Vec<u8>, String> {
        Ok(sign_link(&self.key, &self.transcript(session)?).0.to_vec())
    }

    /// Checks such a signature.
    pub fn check(&self, session: &[u8], signature: &[u8]) -> Result<(), String> {
        let signature = Signature(array(signature)?);
        let checked = check_link(self.key.id(), &self.transcript(session)?, &signature);
        checked.map_err(|error| error.to_string())
    }

    fn transcript(&self, session: &[u8]) -> Result<Transcript, String> {
        let ends = [(self.key.id(), "one"), (self.other, "other")];
        Ok(Transcript::new(SessionId(array(session)?), ends[0], ends[1]))
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{} bytes instead of {N}", bytes.len()))
}
