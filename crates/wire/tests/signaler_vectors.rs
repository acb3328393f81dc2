//! Golden bytes of what signalers say and hear: `tests/vectors/frames-signaler.json`.
//!
//! `WEFT_WRITE_VECTORS=1 cargo test -p weft-wire --test signaler_vectors` writes the file anew; a difference in review
//! is a change of the protocol.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]

use std::fmt::Write as _;

use weft_wire::gossip::{GossipHead, Life, Said, Standing, Update};
use weft_wire::registry::{NetworkName, Sealed};
use weft_wire::sibling::{BoxSum, Kept, KeptKind, Refresh, Sibling, Watching};
use weft_wire::signaler::{FromSignaler, Recorded, ToSignaler, Waiting};
use weft_wire::{
    Bytes, Code, Digest, DiscoveryKey, IdentityId, List, Nonce, PeerId, SignalerId, Signature, Tag, Text,
    WireError, decode, encode, limits,
};

const GOLDEN: &str = include_str!("../../../tests/vectors/frames-signaler.json");

struct Vector {
    protocol: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    meaning: String,
    again: fn(&[u8]) -> Result<Vec<u8>, WireError>,
}

fn to(name: &'static str, frame: &ToSignaler<'_>) -> Vector {
    Vector {
        protocol: "peer to signaler",
        name,
        bytes: encode(frame),
        meaning: format!("{frame:?}"),
        again: |bytes| decode::<ToSignaler<'_>>(bytes, limits::FRAME).map(|frame| encode(&frame)),
    }
}

fn from(name: &'static str, frame: &FromSignaler<'_>) -> Vector {
    Vector {
        protocol: "signaler to peer",
        name,
        bytes: encode(frame),
        meaning: format!("{frame:?}"),
        again: |bytes| decode::<FromSignaler<'_>>(bytes, limits::FRAME).map(|frame| encode(&frame)),
    }
}

fn sibling(name: &'static str, frame: &Sibling<'_>) -> Vector {
    Vector {
        protocol: "signaler to signaler",
        name,
        bytes: encode(frame),
        meaning: format!("{frame:?}"),
        again: |bytes| decode::<Sibling<'_>>(bytes, limits::FRAME).map(|frame| encode(&frame)),
    }
}

fn head(name: &'static str, said: Said) -> Vector {
    let to = Life { signaler: SignalerId([0x33; 32]), since: 9 };
    let head = GossipHead { from: Bytes(vec![1, 2]), incarnation: 5, to, said };
    Vector {
        protocol: "head of gossip",
        name,
        bytes: encode(&head),
        meaning: format!("{head:?}"),
        again: |bytes| decode::<GossipHead>(bytes, limits::GOSSIP).map(|head| encode(&head)),
    }
}

fn update(name: &'static str, standing: Standing) -> Vector {
    let update = Update { card: Bytes(vec![1, 2]), incarnation: 5, standing };
    Vector {
        protocol: "update of gossip",
        name,
        bytes: encode(&update),
        meaning: format!("{update:?}"),
        again: |bytes| decode::<Update>(bytes, limits::GOSSIP).map(|update| encode(&update)),
    }
}

fn vectors() -> Vec<Vector> {
    let life = Life { signaler: SignalerId([0x66; 32]), since: 8 };
    let discovery = DiscoveryKey([0x11; 32]);
    let peer = PeerId([0x22; 32]);
    let home = SignalerId([0x33; 32]);
    let signature = Signature([0x44; 64]);
    let nonce = Nonce([0x55; 32]);
    let identity = IdentityId([0x99; 32]);
    let kept = |kind, there: bool| Kept {
        kind,
        id: Digest([0x77; 32]),
        at: 1_700_000_000_000,
        life_ms: 604_800_000,
        sender: Tag([0x77; 8]),
        body: there.then(|| Bytes(vec![4, 5, 6])),
    };
    let box_sum = || BoxSum { identity, peer, sum: 7 };
    let entry = &[1_u8, 2, 3][..];
    let sealed = &[4_u8, 5, 6][..];
    let entries = || List::first([Bytes(vec![1, 2]), Bytes(vec![3])]);
    vec![
        to(
            "authenticate",
            &ToSignaler::Authenticate { peer, nonce, signature, agent: Text::cut("weft/0.1") },
        ),
        to("announce", &ToSignaler::Announce { entry }),
        to("leave", &ToSignaler::Leave { entry }),
        to("forward", &ToSignaler::Forward { re: 7, to: peer, home: None, envelope: sealed, ack: false }),
        to(
            "forward with home",
            &ToSignaler::Forward { re: 7, to: peer, home: Some(home), envelope: sealed, ack: false },
        ),
        to(
            "forward, acknowledged",
            &ToSignaler::Forward { re: 7, to: peer, home: None, envelope: sealed, ack: true },
        ),
        to("fanout", &ToSignaler::Fanout { re: 8, discovery, payload: sealed, ack: false }),
        to("fanout, acknowledged", &ToSignaler::Fanout { re: 8, discovery, payload: sealed, ack: true }),
        to("ping", &ToSignaler::Ping { token: 9 }),
        to(
            "publish",
            &ToSignaler::Publish {
                re: 7,
                record: Bytes(vec![1, 2, 3]),
                prekeys: List::first([Bytes(vec![1]), Bytes(vec![2])]),
            },
        ),
        to("peers", &ToSignaler::Peers { re: 7, identity, once: false }),
        to("peers, with prekeys for one use", &ToSignaler::Peers { re: 7, identity, once: true }),
        to("store", &ToSignaler::Store { re: 7, identity, peer, life_ms: 604_800_000, envelope: sealed }),
        to("collect", &ToSignaler::Collect { re: 7, identity, peer }),
        to("proof", &ToSignaler::Proof { re: 8, identity, peer, signaler: home, nonce, signature }),
        to(
            "taken",
            &ToSignaler::Taken {
                re: 9,
                identity,
                peer,
                signaler: home,
                nonce,
                ids: List::first([Digest([0x77; 32])]),
                signature,
            },
        ),
        to("revoke", &ToSignaler::Revoke { re: 7, revocation: Bytes(vec![1, 2, 3]) }),
        from("challenge", &FromSignaler::Challenge { signaler: home, nonce }),
        from(
            "welcome",
            &FromSignaler::Welcome {
                signature,
                ttl_ms: 120_000,
                keepalive_ms: 18_000,
                max_frame: 262_144,
                max_swarms: 64,
                now_ms: 1_700_000_000_000,
            },
        ),
        from(
            "error",
            &FromSignaler::Error {
                code: Code::UnknownPeer,
                re: Some(7),
                discovery: None,
                text: Text::cut("nobody"),
            },
        ),
        from(
            "error about a swarm",
            &FromSignaler::Error {
                code: Code::SwarmFull,
                re: None,
                discovery: Some(discovery),
                text: Text::cut(""),
            },
        ),
        from("members", &FromSignaler::Members { discovery, entries: entries(), total: 300 }),
        from("joined", &FromSignaler::Joined { entry }),
        from("left", &FromSignaler::Left { discovery, peer }),
        from("deliver", &FromSignaler::Deliver { envelope: sealed }),
        from("fanned", &FromSignaler::Fanned { discovery, payload: sealed }),
        from("ack", &FromSignaler::Ack { re: 7 }),
        from("pong", &FromSignaler::Pong { token: 9 }),
        from(
            "ice servers",
            &FromSignaler::IceServers {
                urls: List::first([Text::cut("turn:turn.example:3478?transport=udp")]),
                username: Text::cut("1700007200:weft"),
                credential: Text::cut("c2VjcmV0"),
                life_s: 7200,
            },
        ),
        from(
            "signalers",
            &FromSignaler::Signalers { cards: List::first([Bytes(vec![1, 2]), Bytes(vec![3])]) },
        ),
        from("published", &FromSignaler::Published { re: 7, left: 50 }),
        from(
            "peers",
            &FromSignaler::Peers {
                re: 7,
                peers: List::first([
                    Recorded {
                        record: Bytes(vec![4, 5]),
                        prekeys: List::first([Bytes(vec![1]), Bytes(vec![2])]),
                    },
                    Recorded { record: Bytes(vec![6]), prekeys: List::default() },
                ]),
            },
        ),
        from("prove", &FromSignaler::Prove { re: 7, signaler: home, nonce }),
        from(
            "mail",
            &FromSignaler::Mail {
                re: 8,
                items: List::first([Waiting { at: 1_700_000_000_000, envelope: Bytes(sealed.to_vec()) }]),
                more: true,
            },
        ),
        from("mail, no more", &FromSignaler::Mail { re: 9, items: List::default(), more: false }),
        from("mail waits", &FromSignaler::MailWaits { identity }),
        from("goodbye", &FromSignaler::Goodbye { code: Code::ShuttingDown, retry_ms: 1500 }),
        sibling("challenge", &Sibling::Challenge { signaler: home, nonce }),
        sibling("prove", &Sibling::Prove { signature }),
        sibling("admitted", &Sibling::Admitted { url: None, card: None }),
        sibling(
            "admitted with url",
            &Sibling::Admitted { url: Some(Text::cut("wss://weft.example")), card: None },
        ),
        sibling("admitted with card", &Sibling::Admitted { url: None, card: Some(Bytes(vec![1, 2])) }),
        sibling("error", &Sibling::Error { code: Code::NotAdmitted, text: Text::cut("no") }),
        sibling("entries", &Sibling::Entries { entries: entries(), ring: None }),
        sibling("entries, told to all keepers", &Sibling::Entries { entries: entries(), ring: Some(5) }),
        sibling("gone", &Sibling::Gone { gone: entries(), ring: None }),
        sibling("gone, told to all keepers", &Sibling::Gone { gone: entries(), ring: Some(5) }),
        sibling("forward", &Sibling::Forward { re: 1, to: peer, home, hops: 0, envelope: sealed }),
        sibling("outcome: delivered", &Sibling::Outcome { re: 1, code: None }),
        sibling("outcome: refused", &Sibling::Outcome { re: 1, code: Some(Code::RecipientBusy) }),
        sibling("fanout", &Sibling::Fanout { re: 2, discovery, home, hops: 1, from: peer, payload: sealed }),
        sibling("ping", &Sibling::Ping { token: 9 }),
        sibling("pong", &Sibling::Pong { token: 9 }),
        sibling("gossip", &Sibling::Gossip { packet: sealed }),
        sibling(
            "refreshes",
            &Sibling::Refreshes {
                refreshes: List::first([Refresh {
                    discovery,
                    name: 7,
                    seq: 1_700_000_040_000,
                    until: 1_700_000_160_000,
                    signature,
                }]),
                ring: Some(5),
            },
        ),
        sibling("offer", &Sibling::Offer { discovery, names: Bytes(vec![0x77; 24]) }),
        sibling("wanted", &Sibling::Wanted { discovery, names: Bytes(vec![0x77; 12]) }),
        sibling("watch: begin", &Sibling::Watch { discovery, said: Watching::Begin, sum: u64::MAX, hops: 1 }),
        sibling("watch: look", &Sibling::Watch { discovery, said: Watching::Look, sum: 0, hops: 0 }),
        sibling("watch: end", &Sibling::Watch { discovery, said: Watching::End, sum: 0, hops: 0 }),
        sibling("watch: done", &Sibling::Watch { discovery, said: Watching::Done, sum: 6, hops: 0 }),
        sibling(
            "connected",
            &Sibling::Connected { peers: List::first([peer]), gone: List::first([PeerId([0x88; 32])]) },
        ),
        sibling("summary", &Sibling::Summary { ring: 5, whole: false, sums: Bytes(vec![0x99; 16]) }),
        sibling("summary of few", &Sibling::Summary { ring: 5, whole: true, sums: Bytes(vec![0x99; 8]) }),
        sibling("goodbye", &Sibling::Goodbye { code: Code::ShuttingDown }),
        sibling(
            "registry-summary",
            &Sibling::RegistrySummary { network: NetworkName::default(), sums: Bytes(vec![0x66; 16]) },
        ),
        sibling(
            "registry-have",
            &Sibling::RegistryHave { bucket: 0x77, digests: List::first([Digest([0x77; 32])]) },
        ),
        sibling(
            "registry-statements",
            &Sibling::RegistryStatements {
                statements: List::first([Sealed { kind: 9, body: Bytes(vec![0xa0]), signature }]),
            },
        ),
        sibling("mail: ask", &Sibling::MailAsk { re: 1, hops: 0, sender: Tag([0x77; 8]), frame: sealed }),
        sibling("mail: answer", &Sibling::MailAnswer { re: 1, frame: sealed }),
        sibling(
            "mail: keep",
            &Sibling::MailKeep {
                re: Some(2),
                identity,
                peer,
                items: List::first([kept(KeptKind::Mail, true), kept(KeptKind::Once, false)]),
            },
        ),
        sibling(
            "mail: keep, unasked",
            &Sibling::MailKeep {
                re: None,
                identity,
                peer,
                items: List::first(
                    [KeptKind::Fallback, KeptKind::Record, KeptKind::Revocation].map(|kind| kept(kind, true)),
                ),
            },
        ),
        sibling("mail: kept", &Sibling::MailKept { re: 2, code: None, after: None }),
        sibling(
            "mail: not kept",
            &Sibling::MailKept { re: 2, code: Some(Code::Replayed), after: Some(1_700_000_000_000) },
        ),
        sibling("mail: sums", &Sibling::MailSums { ring: 5, answer: false, sums: Bytes(vec![0x77; 16]) }),
        sibling("mail: look", &Sibling::MailLook { re: 3, identity, boxes: List::first([box_sum()]) }),
        sibling(
            "mail: have",
            &Sibling::MailHave { re: Some(3), leaving: false, boxes: List::first([box_sum()]) },
        ),
        sibling(
            "mail: have, leaving",
            &Sibling::MailHave { re: None, leaving: true, boxes: List::first([box_sum()]) },
        ),
        sibling("mail: names", &Sibling::MailNames { re: 4, identity, peer, names: Bytes(vec![0x77; 16]) }),
        sibling("mail: done", &Sibling::MailDone { re: 4 }),
        sibling("mail: waits", &Sibling::MailWaits { identity, peer, hops: 0 }),
        sibling("linked", &Sibling::Linked { siblings: List::first([home, SignalerId([0x88; 32])]) }),
        sibling("linked with nobody any more", &Sibling::Linked { siblings: List::default() }),
        head("ping", Said::Ping { number: 7 }),
        head("ack", Said::Ack { number: 7 }),
        head("ask ping", Said::AskPing { target: life, number: 7 }),
        head("ping for", Said::PingFor { origin: life, number: 7 }),
        head("ack for", Said::AckFor { target: life, number: 7 }),
        head("ack of", Said::AckOf { origin: life, number: 7 }),
        head("announce", Said::Announce),
        head("feed", Said::Feed),
        head("news", Said::News),
        head("you are down", Said::YouAreDown),
        update("alive", Standing::Alive),
        update("suspect", Standing::Suspect),
        update("down", Standing::Down),
    ]
}

fn json(vectors: &[Vector]) -> String {
    let mut text = String::from("[\n");
    for (at, vector) in vectors.iter().enumerate() {
        let hex: String = vector.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let comma = if at + 1 < vectors.len() { "," } else { "" };
        let meaning = vector.meaning.replace('\\', "\\\\").replace('"', "\\\"");
        let Vector { protocol, name, .. } = vector;
        writeln!(
            text,
            r#"  {{ "protocol": "{protocol}", "name": "{name}", "hex": "{hex}", "meaning": "{meaning}" }}{comma}"#
        )
        .unwrap();
    }
    text.push_str("]\n");
    text
}

#[test]
fn frames_have_their_golden_bytes() {
    let written = json(&vectors());
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/frames-signaler.json");
        std::fs::write(file, &written).unwrap();
        return;
    }
    let golden = GOLDEN;
    for (ours, golden) in written.lines().zip(golden.lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(written.len(), golden.len());
}

#[test]
fn golden_bytes_decode_to_themselves() {
    for vector in vectors() {
        let again = (vector.again)(&vector.bytes);
        assert_eq!(again.as_deref(), Ok(&*vector.bytes), "{} {}", vector.protocol, vector.name);
    }
}

#[test]
fn cut_frames_are_errors() {
    for vector in vectors() {
        for len in 0..vector.bytes.len() {
            assert!((vector.again)(&vector.bytes[..len]).is_err(), "{} {}", vector.protocol, vector.name);
        }
    }
}
