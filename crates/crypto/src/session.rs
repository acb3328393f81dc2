//! Sessions between two peers, whose keys change with each message: what a library has to give.
//!
//! `Olm`, with the feature `olm`, is the one that people use; the simulator has one that gives the same bytes for the same seed. What follows from
//! losses, restarts and two who begin at once is written once, over this trait ([`crate::correspondence`]).

#[cfg(all(feature = "olm", not(weft_simulation)))]
mod olm;
#[cfg(any(test, weft_simulation))]
mod simulated;

use rand_core::CryptoRng;
use weft_wire::{AgreementKey, RatchetId};
use zeroize::Zeroizing;

#[cfg(all(feature = "olm", not(weft_simulation)))]
pub use olm::Olm;
#[cfg(any(test, weft_simulation))]
pub use simulated::Simulated;

/// The sessions that peers use.
#[cfg(all(feature = "olm", not(weft_simulation)))]
pub type Ratchets = Olm;
/// The sessions that peers use.
#[cfg(weft_simulation)]
pub type Ratchets = Simulated;

/// Messages of one chain that may be missing before one that is opened. With more the session is lost.
pub const GAP: u64 = 2000;

/// Why the library did not open a message. Neither keys nor sessions were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It is no message of this library.
    Malformed,
    /// It begins a session with a prekey that we never had, or that is used up.
    UnknownPrekey,
    /// A key in it is of small order: whoever sent it would know what is agreed upon.
    WeakKey,
    /// It was altered, or sealed in another session.
    Tampered,
    /// The key for its number is gone: it was opened before, or is older than what is kept for those that come late.
    Used,
    /// More than [`GAP`] messages are missing before it.
    TooFarAhead,
}

/// What a message that begins a session says in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// The session's name: a hash of the three keys.
    pub id: RatchetId,
    /// The lasting key of who began it.
    pub account: AgreementKey,
    /// Which of the recipient's prekeys it uses.
    pub prekey: AgreementKey,
}

/// The name of the session that began from these three keys.
pub fn name(account: &[u8; 32], base: &[u8; 32], prekey: &[u8; 32]) -> RatchetId {
    let mut id = RatchetId([0; 16]);
    let mut hash = blake3::Hasher::new_derive_key("weft/v1/session-id");
    hash.update(account).update(base).update(prekey).finalize_xof().fill(&mut id.0);
    id
}

/// A peer's lasting key and prekeys, and what is done with them.
///
/// Nothing in here knows peers, times or bounds: see [`crate::correspondence`].
pub trait Sessions: Sized {
    /// One end of a session.
    type Session;

    /// A new lasting key, without prekeys.
    fn new(rng: &mut impl CryptoRng) -> Self;

    /// The public lasting key.
    fn account(&self) -> AgreementKey;

    /// Makes prekeys for one session each.
    fn add_prekeys(&mut self, rng: &mut impl CryptoRng, count: usize) -> Vec<AgreementKey>;

    /// Removes such a prekey, if it is there.
    fn remove_prekey(&mut self, key: &AgreementKey);

    /// Makes a new fallback. The one before it goes on working, the one before that does not.
    fn renew_fallback(&mut self, rng: &mut impl CryptoRng) -> AgreementKey;

    /// Begins a session with somebody's lasting key and prekey. None if one of them is of small order.
    fn begin(
        &self,
        rng: &mut impl CryptoRng,
        account: &AgreementKey,
        prekey: &AgreementKey,
    ) -> Option<Self::Session>;

    /// What a message that begins a session says in clear.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    fn first(bytes: &[u8]) -> Result<First, Refused>;

    /// Takes a session that somebody began, with its message. A prekey for one session is used up then.
    ///
    /// # Errors
    /// See [`Refused`].
    fn accept(&mut self, bytes: &[u8]) -> Result<(Self::Session, Vec<u8>), Refused>;

    /// The session's name.
    fn id(session: &Self::Session) -> RatchetId;

    /// Seals a message, and says whether it begins the session. None where the other side's last key is of small order.
    fn seal(session: &mut Self::Session, rng: &mut impl CryptoRng, plain: &[u8]) -> Option<(bool, Vec<u8>)>;

    /// Opens a message, `first` if it says how to begin the session, too.
    ///
    /// # Errors
    /// See [`Refused`].
    fn open(session: &mut Self::Session, first: bool, bytes: &[u8]) -> Result<Vec<u8>, Refused>;

    /// The lasting key and the prekeys, secrets included.
    fn save(&self) -> Zeroizing<Vec<u8>>;

    /// What was saved; none if it is not.
    fn restore(bytes: &[u8]) -> Option<Self>;

    /// A session, secrets included.
    fn save_session(session: &Self::Session) -> Zeroizing<Vec<u8>>;

    /// What was saved; none if it is not.
    fn restore_session(bytes: &[u8]) -> Option<Self::Session>;
}
