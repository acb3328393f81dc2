//! What two peers say to each other in a session whose keys change with each message, and the keys from which one begins.

use crate::cbor::{self as minicbor, Decode, Encode};

use crate::{AgreementKey, Bytes, PeerId, RatchetId, Tag, limits};

/// A key with which somebody begins a session with a peer that need not be there. Signed by the peer, domain
/// `weft/v1/prekey`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Prekey {
    /// Whose it is, the signer.
    #[n(0)]
    pub peer: PeerId,
    /// The lasting key of its sessions; another one after its state was lost.
    #[n(1)]
    pub account: AgreementKey,
    /// The key.
    #[n(2)]
    pub key: AgreementKey,
    /// For one session only. If not, it is the fallback for when no other is left.
    #[n(3)]
    pub once: bool,
    /// When it was made, milliseconds since the Unix epoch on the peer's clock.
    #[n(4)]
    pub issued: u64,
    /// Nobody begins a session with it after that.
    #[n(5)]
    pub until: u64,
}

/// A message of a session, or what is to be said instead. Travels in envelopes only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Ratcheted {
    /// A message.
    #[n(1)]
    Message {
        /// The session.
        #[n(0)]
        session: RatchetId,
        /// When it was begun, milliseconds since the Unix epoch on the clock of who began it. Of several sessions between
        /// two peers the last one counts, by this and then by id.
        #[n(1)]
        began: u64,
        /// It says how to begin the session, too: its sender has heard nothing in it yet.
        #[n(2)]
        first: bool,
        /// The message of the library (Olm).
        #[n(3)]
        body: Bytes<{ limits::RATCHETED }>,
    },
    /// The sender cannot open what comes in this session: the recipient is to begin another one.
    #[n(2)]
    Lost {
        /// The session.
        #[n(0)]
        session: RatchetId,
        /// What could not be opened: the first bytes of the hash (BLAKE3) of its body. Counts only if it is one of the last
        /// messages that the recipient sealed: an old one that somebody sends again is no reason.
        #[n(1)]
        message: Tag,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn both_have_their_golden_bytes() {
        let message = Ratcheted::Message {
            session: RatchetId([1; 16]),
            began: 2,
            first: true,
            body: Bytes(vec![3, 4]),
        };
        let bytes = encode(&message);
        assert_eq!(
            bytes,
            [&[0x82, 1, 0xa4, 0, 0x50][..], &[1; 16], &[1, 2, 2, 0xf5, 3, 0x42, 3, 4]].concat()
        );
        assert_eq!(decode::<Ratcheted>(&bytes, limits::ENVELOPE), Ok(message));
        let lost = Ratcheted::Lost { session: RatchetId([1; 16]), message: Tag([2; 8]) };
        assert_eq!(encode(&lost), [&[0x82, 2, 0xa2, 0, 0x50][..], &[1; 16], &[1, 0x48], &[2; 8]].concat());
    }

    #[test]
    fn a_message_that_is_too_long_is_none() {
        let message = |len| Ratcheted::Message {
            session: RatchetId([1; 16]),
            began: 2,
            first: false,
            body: Bytes(vec![0; len]),
        };
        assert!(decode::<Ratcheted>(&encode(&message(limits::RATCHETED)), limits::ENVELOPE).is_ok());
        assert!(decode::<Ratcheted>(&encode(&message(limits::RATCHETED + 1)), limits::ENVELOPE).is_err());
    }
}
