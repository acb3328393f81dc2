//! Error codes, one list for all protocols.

use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

use crate::cbor::{Decode, Decoder, Error};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why something was refused. Numbers are stable; names are what people and programs see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A code of a later version.
            Other(u16),
        }

        impl Code {
            /// Every code this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The stable name, as in `WeftError.code` and in metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(_) => "other",
                }
            }
        }

        impl From<u16> for Code {
            fn from(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}

codes! {
    /// The frame could not be decoded.
    BadFrame = 1, "bad-frame";
    /// The frame or message is larger than allowed.
    TooLarge = 2, "too-large";
    /// A frame that needs authentication came before it.
    NotAuthenticated = 3, "not-authenticated";
    /// A signature does not verify.
    BadSignature = 4, "bad-signature";
    /// Signed by or for somebody else than this connection or this signaler.
    WrongParty = 5, "wrong-party";
    /// A sequence number that was already seen: a replay, or two peers with one key.
    Replayed = 6, "replayed";
    /// The statement's time has passed or lies in the future.
    Expired = 7, "expired";
    /// Nobody by that id is connected to any reachable signaler.
    UnknownPeer = 8, "unknown-peer";
    /// The recipient does not read fast enough; the frame was dropped.
    RecipientBusy = 9, "recipient-busy";
    /// The swarm has as many members as this signaler allows.
    SwarmFull = 10, "swarm-full";
    /// The peer is in as many swarms as this signaler allows.
    TooManySwarms = 11, "too-many-swarms";
    /// More frames or bytes than this signaler allows in this time.
    RateLimited = 12, "rate-limited";
    /// The sibling that could deliver this is out of reach.
    SiblingUnreachable = 13, "sibling-unreachable";
    /// The frame took more hops than allowed.
    TooManyHops = 14, "too-many-hops";
    /// The signaler is shutting down.
    ShuttingDown = 15, "shutting-down";
    /// This signaler does not federate with that one.
    NotAdmitted = 16, "not-admitted";
    /// Another connection of the same peer took this one's place.
    Replaced = 17, "replaced";
    /// The other side was silent for too long.
    TimedOut = 18, "timed-out";
    /// The signaler has as many connections as it allows.
    SignalerFull = 19, "signaler-full";
    /// No version of the protocol in common.
    UnsupportedVersion = 20, "unsupported-version";
    /// Sending to a swarm one is not a member of.
    NotAMember = 21, "not-a-member";
    /// As much waits in the mailbox as may, by number or by bytes.
    MailboxFull = 22, "mailbox-full";
    /// As much of this sender waits in the mailbox as may.
    SenderFull = 23, "sender-full";
    /// No such peer of this identity has published its record.
    NoMailbox = 24, "no-mailbox";
    /// Not on enough signalers' disks, at least not now. It may yet come to be: to be sent again, unchanged.
    NotStored = 25, "not-stored";
    /// The identity has as many peers as are kept.
    TooManyPeers = 26, "too-many-peers";
    /// The identity has said that the peer is its own no longer.
    Revoked = 27, "revoked";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl<C> Encode<C> for Code {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u16(self.number())?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Code {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        u16::decode(d, context).map(Self::from)
    }
}
