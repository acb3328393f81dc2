//! Encoding of the frames a signaler sends, into shared bytes.

use bytes::Bytes;
use minicbor::Encode;
use weft_wire::sibling::Sibling;
use weft_wire::signaler::FromSignaler;
use weft_wire::{Code, DiscoveryKey, Text, limits};

/// Encodes a frame that carries `payload` bytes: one allocation, one copy.
pub(crate) fn carrying<T: Encode<()>>(frame: &T, payload: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(payload + 128);
    let result = minicbor::encode(frame, &mut bytes);
    debug_assert!(result.is_ok(), "writing to a Vec cannot fail");
    Bytes::from(bytes)
}

/// Encodes a small frame.
pub(crate) fn small<T: Encode<()>>(frame: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(24);
    let result = minicbor::encode(frame, &mut bytes);
    debug_assert!(result.is_ok(), "writing to a Vec cannot fail");
    Bytes::from(bytes)
}

/// An error for a peer.
pub(crate) fn error(code: Code, re: Option<u32>, discovery: Option<DiscoveryKey>) -> Bytes {
    let text = Text::<{ limits::TEXT }>::cut(advice(code));
    small(&FromSignaler::Error { code, re, discovery, text })
}

/// An error for a sibling.
pub(crate) fn sibling_error(code: Code) -> Bytes {
    small(&Sibling::Error { code, text: Text::cut(advice(code)) })
}

/// What a person can do about it.
const fn advice(code: Code) -> &'static str {
    match code {
        Code::BadFrame => "the frame could not be decoded: is the client of this protocol version?",
        Code::TooLarge => "the frame is larger than the limit in Welcome (8 KiB before authentication)",
        Code::NotAuthenticated => "answer the Challenge first",
        Code::BadSignature => "the signature does not verify",
        Code::WrongParty => "signed by or for somebody else than this connection or this signaler",
        Code::Replayed => "a newer entry is known: use a higher sequence number",
        Code::Expired => "the entry's time has passed: compare your clock with now_ms in Welcome",
        Code::UnknownPeer => "nobody by that id is connected to a reachable signaler",
        Code::RecipientBusy => "the recipient does not read fast enough; the frame was dropped",
        Code::SwarmFull => "the swarm has as many members as this signaler allows",
        Code::TooManySwarms => "the peer is in as many swarms as this signaler allows",
        Code::RateLimited => "more frames or bytes than this signaler allows; slow down",
        Code::SiblingUnreachable => "the signaler of the recipient is out of reach",
        Code::TooManyHops => "the frame took more hops than allowed",
        Code::ShuttingDown => "the signaler is shutting down",
        Code::NotAdmitted => "this signaler is not configured to federate with that one",
        Code::Replaced => "another connection of the same key took this one's place",
        Code::TimedOut => "silent for too long",
        Code::SignalerFull => "the signaler is full; use another one",
        Code::UnsupportedVersion => "no version of the protocol in common",
        Code::MailboxFull => "as much waits for this peer as may; it has to collect its mail",
        Code::SenderFull => "as much of this sender waits for this peer as may; it has to collect its mail",
        Code::NoMailbox => "no such peer of this identity has published its record",
        Code::NotStored => "not on enough disks in time: send the same again, later",
        Code::TooManyPeers => "the identity has as many peers as are kept; revoke one",
        Code::Revoked => "the identity has revoked this peer",
        Code::NotAMember => "announce in the swarm first",
        _ => "",
    }
}
