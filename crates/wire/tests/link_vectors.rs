//! Golden bytes of what two peers say to each other: `tests/vectors/frames-link.json`.
//!
//! `WEFT_WRITE_VECTORS=1 cargo test -p weft-wire --test link_vectors` writes the file anew; a difference in review is a
//! change of the protocol.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]

use std::fmt::Write as _;

use weft_wire::link::{ByeReason, End, Exclusion, FeedHave, FeedRange, Link, Near, PartyProof};
use weft_wire::sealed::{Candidate, Packet, Refusal, Sealed, Signal};
use weft_wire::{
    AgreementKey, Bundle, BundleEntry, Bytes, Digest, DiscoveryKey, Entry, Gone, IdentityId, List, MessageId,
    PartSecret, PeerId, PeerRecord, Presence, Proof, PublicationId, SessionId, SignalerId, Signature, Signed,
    Tag, Text, decode, encode, limits,
};

const GOLDEN: &str = include_str!("../../../tests/vectors/frames-link.json");

struct Vector {
    name: &'static str,
    bytes: Vec<u8>,
    again: fn(&[u8]) -> Vec<u8>,
}

fn link(name: &'static str, frame: &Link<'_>) -> Vector {
    Vector {
        name,
        bytes: encode(frame),
        again: |bytes| encode(&decode::<Link<'_>>(bytes, limits::LINK_MESSAGE).unwrap()),
    }
}

fn message(
    asks: Option<bool>,
    answers: Option<MessageId>,
    failed: Option<Text<{ limits::FAILURE }>>,
) -> Sealed {
    Sealed::Message {
        id: MessageId([0x66; 16]),
        record: vec![1],
        time: 1_700_000_000_000,
        body: vec![0xa0],
        entry: vec![2],
        to: IdentityId([0x99; 32]),
        asks,
        answers,
        failed,
    }
}

fn sealed(name: &'static str, contents: &Sealed) -> Vector {
    Vector {
        name,
        bytes: encode(contents),
        again: |bytes| encode(&decode::<Sealed>(bytes, limits::ENVELOPE).unwrap()),
    }
}

fn vectors() -> Vec<Vector> {
    let discovery = DiscoveryKey([0x11; 32]);
    let peer = PeerId([0x22; 32]);
    let signature = Signature([0x33; 64]);
    let session = SessionId([0x44; 16]);
    let candidate = Candidate {
        candidate: Text::new("candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host").unwrap(),
        mid: Text::new("0"),
        index: Some(0),
    };
    let (party, range) = (Tag::from(&discovery), FeedRange { feed: Tag::from(&peer), first: 8, more: 2 });
    let proof = PartyProof { discovery, proof: Proof([0x55; 32]) };
    let signal = |signal| Sealed::Signal { discovery, session, generation: 1, signal };
    let id = MessageId([0x66; 16]);
    let plain = |name, bytes| Vector { name, bytes, again: <[u8]>::to_vec };
    vec![
        link(
            "hello",
            &Link::Hello {
                version: 1,
                peer,
                signature,
                record: &[1, 2],
                parties: List::first([proof.clone()]),
                resumes: None,
            },
        ),
        link(
            "hello of a connection that takes a stream's place",
            &Link::Hello {
                version: 1,
                peer,
                signature,
                record: &[1, 2],
                parties: List::default(),
                resumes: Some(17),
            },
        ),
        link("parties", &Link::Parties { joined: List::first([proof]), left: List::first([discovery]) }),
        link("ping", &Link::Ping { token: 7 }),
        link("pong", &Link::Pong { token: 7 }),
        link("bye", &Link::Bye { reason: ByeReason::MadeRoom }),
        link(
            "publish",
            &Link::Publish { hops: 1, age_ms: 0, record: Some(&[3]), bundle: &[4, 5], from: None },
        ),
        link(
            "publish without record",
            &Link::Publish { hops: 0, age_ms: 1500, record: None, bundle: &[4, 5], from: None },
        ),
        link(
            "want",
            &Link::Want {
                discovery,
                age_ms: Some(250),
                have: List::first([FeedHave { feed: peer, ranges: List::first([(1, 5), (9, 9)]) }]),
                wants: None,
            },
        ),
        link(
            "want everything",
            &Link::Want { discovery, age_ms: None, have: List::default(), wants: Some(&[1]) },
        ),
        link("sent", &Link::Sent { discovery, heads: List::first([range]), ends: None }),
        link(
            "sent: with what is under the last numbers",
            &Link::Sent {
                discovery,
                heads: List::default(),
                ends: Some(List::first([End { feed: party, seq: 9, id: Tag([0x44; 8]) }])),
            },
        ),
        link("presence", &Link::Presence { hops: 2, presence: &[6] }),
        link("envelope", &Link::Envelope { to: peer, hops: 0, envelope: &[7, 8], left: None }),
        link(
            "tree",
            &Link::Tree {
                party,
                root: Tag::from(&peer),
                weight: 0,
                seq: 7,
                hops: 3,
                cost: 60,
                parent: true,
                links: 5,
                anew: None,
            },
        ),
        link(
            "tree, asking for a new beacon",
            &Link::Tree {
                party,
                root: Tag::from(&peer),
                weight: 1,
                seq: 7,
                hops: 4,
                cost: 61,
                parent: false,
                links: 2,
                anew: Some(true),
            },
        ),
        link("digest", &Link::Digest { party, have: List::first([range]) }),
        link("graft", &Link::Graft { party, want: List::first([range]) }),
        link(
            "publish behind what is not wanted",
            &Link::Publish { hops: 1, age_ms: 0, record: None, bundle: &[4, 5], from: Some(3) },
        ),
        link("interest", &Link::Interest { party, wants: &[1] }),
        link("prune", &Link::Prune { party }),
        link("shuffle", &Link::Shuffle { party, reply: false, members: List::first([Bytes(vec![1, 2])]) }),
        link(
            "envelope over several links",
            &Link::Envelope { to: peer, hops: 2, envelope: &[7, 8], left: Some(3) },
        ),
        link(
            "routes",
            &Link::Routes {
                party,
                anew: true,
                near: List::first([Near { peer: Tag::from(&peer), identity: Tag([0x99; 8]), hops: 2 }]),
            },
        ),
        link(
            "seek",
            &Link::Seek {
                party,
                origin: Tag([0x12; 8]),
                id: 3,
                target: Tag([0x99; 8]),
                identity: true,
                hops: 1,
                left: 4,
            },
        ),
        link("found", &Link::Found { party, origin: Tag([0x12; 8]), hops: 0, record: &[3] }),
        link("fork", &Link::Fork { party, one: &[1, 2], other: &[1, 3] }),
        link(
            "members",
            &Link::Members { discovery, statements: List::first([Bytes(vec![1, 2])]), redemption: None },
        ),
        link(
            "members: a redemption",
            &Link::Members { discovery, statements: List::default(), redemption: Some(&[1, 2]) },
        ),
        link("no member", &Link::NoMember { discovery, reason: Exclusion::UsedInvitation }),
        sealed(
            "signal: knock",
            &signal(Signal::Knock { urgent: true, entry: vec![9], links: Some(2), stream: None }),
        ),
        sealed(
            "signal: offer",
            &signal(Signal::Offer {
                sdp: Text::new("v=0").unwrap(),
                candidates: List::first([candidate.clone()]),
                urgent: false,
                entry: vec![9],
                links: None,
                stream: Some(SessionId([0x44; 16])),
            }),
        ),
        sealed(
            "signal: answer",
            &signal(Signal::Answer { sdp: Text::new("v=0").unwrap(), candidates: List::default() }),
        ),
        sealed("signal: candidates", &signal(Signal::Candidates { candidates: List::first([candidate]) })),
        sealed("signal: refuse", &signal(Signal::Refuse { reason: Refusal::NotInSwarm })),
        sealed(
            "signal: stream",
            &signal(Signal::Stream {
                key: AgreementKey([0x88; 32]),
                urgent: false,
                entry: vec![9],
                links: Some(1),
            }),
        ),
        plain(
            "packet of a stream",
            encode(&Packet { came: 3, first: 5, chunks: List::first([Bytes(vec![1, 2]), Bytes(vec![3])]) }),
        ),
        sealed("message", &message(None, None, None)),
        sealed("message: a request", &message(Some(true), None, None)),
        sealed("message: an answer", &message(None, Some(MessageId([0x55; 16])), None)),
        sealed("message: a failure", &message(None, Some(MessageId([0x55; 16])), Text::new("no such film"))),
        sealed("root", &Sealed::Root { discovery, root: Tag::from(&peer), seq: 7, reply: false }),
        sealed("receipt", &Sealed::Receipt { id: MessageId([0x66; 16]), refused: None, others: None }),
        sealed(
            "receipt: refused",
            &Sealed::Receipt { id: MessageId([0x66; 16]), refused: Some(true), others: None },
        ),
        sealed(
            "receipt: of several",
            &Sealed::Receipt {
                id: MessageId([0x66; 16]),
                refused: None,
                others: Some(List::first([MessageId([0x67; 16]), MessageId([0x68; 16])])),
            },
        ),
        sealed(
            "large",
            &Sealed::Large {
                message: encode(&message(None, None, None)),
                length: 200_000,
                hash: Digest([0xcc; 32]),
                key: None,
            },
        ),
        sealed(
            "large: in a session",
            &Sealed::Large {
                message: encode(&message(None, None, None)),
                length: 200_000,
                hash: Digest([0xcc; 32]),
                key: Some(PartSecret([0xdd; 32])),
            },
        ),
        sealed(
            "session",
            &Sealed::Session { frame: vec![1, 2], record: Some(vec![3]), entry: Some(vec![4]), prekey: None },
        ),
        sealed(
            "session: lost",
            &Sealed::Session { frame: vec![1, 2], record: None, entry: None, prekey: Some(vec![5]) },
        ),
        sealed("prekey: asked for", &Sealed::Prekey { prekey: None, entry: Some(vec![4]) }),
        sealed("prekey", &Sealed::Prekey { prekey: Some(vec![5]), entry: None }),
        link("prekey over a link", &Link::Prekey { prekey: &[5] }),
        link("revoked", &Link::Revoked { revocations: List::first([Bytes(vec![1, 2]), Bytes(vec![3])]) }),
        link("bye: revoked", &Link::Bye { reason: ByeReason::Revoked }),
        sealed("part", &Sealed::Part { id, at: 4, bytes: vec![1, 2, 3] }),
        sealed("taken", &Sealed::Taken { id, run: 9, next: 2, ahead: 5, full: None }),
        sealed("taken: no room", &Sealed::Taken { id, run: 9, next: 0, ahead: 0, full: Some(true) }),
        sealed("stop", &Sealed::Stop { id }),
        plain(
            "statement: entry",
            encode(&Entry {
                discovery,
                peer,
                home: SignalerId([0x77; 32]),
                agreement: AgreementKey([0x88; 32]),
                seq: 1_700_000_000_000,
                since: 1_699_999_999_000,
                until: 1_700_000_120_000,
                left: false,
            }),
        ),
        plain("statement: gone", encode(&Gone { discovery, peer, home: SignalerId([0x77; 32]), seq: 5 })),
        plain(
            "statement: peer record",
            encode(&PeerRecord {
                identity: IdentityId([0x99; 32]),
                peer,
                agreement: AgreementKey([0x88; 32]),
                name: Text::new("Ada").unwrap(),
                issued: 1_700_000_000_000,
                until: 1_707_776_000_000,
                sessions: None,
            }),
        ),
        plain(
            "statement: presence",
            encode(&Presence {
                discovery,
                peer,
                seq: 1_700_000_000_000,
                record: vec![1],
                links: List::first([peer]),
                homes: List::first([SignalerId([0x77; 32])]),
                left: false,
                forwarded: 12,
                state: None,
            }),
        ),
        plain(
            "statement: presence with a state",
            encode(&Presence {
                discovery,
                peer,
                seq: 1_700_000_000_000,
                record: vec![1],
                links: List::default(),
                homes: List::default(),
                left: false,
                forwarded: 0,
                state: Some(Bytes(vec![0xa1, 0x61, 0x78, 0x05])),
            }),
        ),
        plain("signed", encode(&Signed { body: &[1, 2, 3], signature })),
        plain(
            "bundle: a feed that is taken up again",
            encode(&Bundle {
                discovery,
                author: IdentityId([0x99; 32]),
                feed: peer,
                first: 1_700_000_000_000_000,
                previous: PublicationId([0x11; 32]),
                entries: List::first([BundleEntry { time: 1_700_000_000_000, body: vec![0xa0] }]),
                signature,
                after: Some(1_600_000_000_000_007),
            }),
        ),
        plain(
            "bundle",
            encode(&Bundle {
                discovery,
                author: IdentityId([0x99; 32]),
                feed: peer,
                first: 1_700_000_000_000_000,
                previous: PublicationId([0; 32]),
                entries: List::first([BundleEntry { time: 1_700_000_000_000, body: vec![0xa0] }]),
                signature,
                after: None,
            }),
        ),
    ]
}

#[test]
fn every_frame_has_its_golden_bytes() {
    let mut text = String::from("[\n");
    let vectors = vectors();
    for (n, vector) in vectors.iter().enumerate() {
        let hex: String = vector.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let comma = if n + 1 < vectors.len() { "," } else { "" };
        writeln!(text, "  {{ \"name\": \"{}\", \"hex\": \"{hex}\" }}{comma}", vector.name).unwrap();
        assert_eq!((vector.again)(&vector.bytes), vector.bytes, "{} does not survive decoding", vector.name);
    }
    text.push_str("]\n");
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/frames-link.json");
        std::fs::write(file, &text).unwrap();
        return;
    }
    assert_eq!(GOLDEN, text, "the protocol changed; see the head of this file");
}

#[test]
fn unknown_fields_are_skipped_and_unknown_optional_frames_told_apart() {
    // A ping with a field that this version does not know, then frames 63 and 99.
    let ping = [0x82, 0x03, 0xa2, 0x00, 0x07, 0x18, 0x63, 0x61, b'x'];
    assert_eq!(decode::<Link<'_>>(&ping, 100), Ok(Link::Ping { token: 7 }));
    assert_eq!(decode::<Link<'_>>(&[0x82, 0x18, 63, 0xa0], 100), Err(weft_wire::WireError::Unknown(63)));
    assert_eq!(
        decode::<Link<'_>>(&[0x82, 0x18, 99, 0xa0], 100),
        Err(weft_wire::WireError::UnknownOptional(99))
    );
}

#[test]
fn bounds_are_checked_while_decoding() {
    let entries: Vec<u8> =
        encode(&Link::Sent { discovery: DiscoveryKey([1; 32]), heads: List::default(), ends: None });
    assert!(decode::<Link<'_>>(&entries[..entries.len() - 1], 100).is_err());
    let mut trailing = entries.clone();
    trailing.push(0);
    assert_eq!(decode::<Link<'_>>(&trailing, 100), Err(weft_wire::WireError::Trailing(1)));
    assert_eq!(
        decode::<Link<'_>>(&entries, 10),
        Err(weft_wire::WireError::TooLarge { len: entries.len(), max: 10 })
    );
    // A list that claims 2^32 items, and a name of 65 bytes.
    assert!(decode::<List<u8, 4>>(&[0x9b, 0, 0, 0, 1, 0, 0, 0, 0], 100).is_err());
    let mut name = vec![0x78, 65];
    name.extend([b'a'; 65]);
    assert!(decode::<Text<64>>(&name, 100).is_err());
}
