//! Every bit of everything that is signed or sealed, flipped: each is noticed. And what everything else but the bytes
//! decides: who it is from, who it is for.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_crypto::link::{Transcript, check_link, sign_link};
use weft_crypto::registry::Signer;
use weft_crypto::stream::Half;
use weft_crypto::{
    IdentityKey, Party, PeerKey, Seed, SignalerKey, StoreKey, VaultKey, challenge, envelope, publication,
    registry, statement,
};
use weft_wire::ratchet::Prekey;
use weft_wire::registry::{Heartbeat, Statement};
use weft_wire::{
    Bundle, BundleEntry, Card, Digest, Entry, Gone, List, Nonce, PeerRecord, Presence, Proof, PublicationId,
    Revocation, SessionId, Signature, Text, decode, encode,
};

/// A structure, and whether somebody takes it.
type Case = (&'static str, Vec<u8>, Box<dyn Fn(&[u8]) -> bool>);

fn case(name: &'static str, bytes: Vec<u8>, taken: impl Fn(&[u8]) -> bool + 'static) -> Case {
    (name, bytes, Box::new(taken))
}

fn signature(bytes: &[u8]) -> Signature {
    Signature(bytes.try_into().unwrap())
}

fn statements() -> Vec<Case> {
    let (identity, peer) = (IdentityKey::new(&Seed::new([1; 32])), PeerKey::new(&Seed::new([2; 32])));
    let signaler = SignalerKey::new(&Seed::new([4; 32]));
    let discovery = Party::open("movies").discovery();
    let (id, agreement, home) = (peer.id(), peer.agreement(), signaler.id());
    let entry = Entry { discovery, peer: id, home, agreement, seq: 1, since: 2, until: 3, left: false };
    let gone = Gone { discovery, peer: id, home, seq: 1 };
    let card = Card { signaler: home, since: 1, url: Text::new("wss://weft.example"), version: 1 };
    let name = Text::new("Ada").unwrap();
    let record = PeerRecord {
        identity: identity.id(),
        peer: id,
        agreement,
        name,
        issued: 1,
        until: 2,
        sessions: None,
    };
    let presence = Presence {
        discovery,
        peer: id,
        seq: 1,
        record: vec![1, 2, 3],
        links: List::first([id]),
        homes: List::first([home]),
        left: false,
        forwarded: 1,
        state: None,
    };
    let prekey = Prekey { peer: id, account: agreement, key: agreement, once: true, issued: 1, until: 2 };
    let entries = List::first([b"one", b"two"].map(|body| BundleEntry { time: 5, body: body.to_vec() }));
    let first = PublicationId([0; 32]);
    let (bundle, _) = publication::sign_bundle(&peer, discovery, identity.id(), 1, first, entries);
    let heartbeat = Heartbeat {
        network: "example".parse().unwrap(),
        signaler: home,
        id: "validator-002".parse().unwrap(),
        key: identity.id().into(),
        address: None,
        time: 1,
        nonce: Nonce([6; 32]),
    };
    let revocation = Revocation { identity: identity.id(), peer: peer.id(), issued: 1, until: 2 };
    let beat = Statement::Heartbeat(heartbeat);
    let sealed = registry::seal(&beat, Signer::Identity(&identity).sign(&beat));
    vec![
        case("entry", statement::sign_entry(&peer, &entry), |bytes| statement::open_entry(bytes).is_ok()),
        case("gone", statement::sign_gone(&signaler, &gone), |bytes| statement::open_gone(bytes).is_ok()),
        case("card", statement::sign_card(&signaler, &card), |bytes| statement::open_card(bytes).is_ok()),
        case("peer record", statement::sign_record(&identity, &record), |bytes| {
            statement::open_record(bytes).is_ok()
        }),
        case("presence", statement::sign_presence(&peer, &presence), |bytes| {
            statement::open_presence(bytes).is_ok()
        }),
        case("prekey", statement::sign_prekey(&peer, &prekey), |bytes| statement::open_prekey(bytes).is_ok()),
        case("revocation", statement::sign_revocation(&identity, &revocation), |bytes| {
            statement::open_revocation(bytes).is_ok()
        }),
        case("bundle", encode(&bundle), |bytes| {
            decode::<Bundle>(bytes, 10_000).is_ok_and(|bundle| publication::check_bundle(&bundle).is_ok())
        }),
        case("registry statement", encode(&sealed), |bytes| {
            decode::<weft_wire::registry::Sealed>(bytes, 10_000).is_ok_and(|sealed| {
                registry::peek(&sealed).is_ok_and(|said| registry::check(&said, &sealed.signature).is_ok())
            })
        }),
    ]
}

fn proofs() -> Vec<Case> {
    let (peer, other) = (PeerKey::new(&Seed::new([2; 32])), PeerKey::new(&Seed::new([3; 32])));
    let (signaler, sibling) = (SignalerKey::new(&Seed::new([4; 32])), SignalerKey::new(&Seed::new([5; 32])));
    let (ours, theirs) = (Nonce([6; 32]), Nonce([7; 32]));
    let transcript =
        Transcript::new(SessionId([8; 16]), (peer.id(), "SHA-256 AA"), (other.id(), "SHA-256 BB"));
    let party = Party::open("movies");
    let (id, home, away) = (peer.id(), signaler.id(), sibling.id());
    let proof = party.prove(transcript.hash(), &id.0);
    let linked = sign_link(&peer, &transcript);
    let hash = *transcript.hash();
    let identity = IdentityKey::new(&Seed::new([1; 32])).id();
    let mailbox = challenge::Collection { peer: id, identity, signaler: home, nonce: theirs };
    vec![
        case("link", linked.0.to_vec(), move |bytes| check_link(id, &transcript, &signature(bytes)).is_ok()),
        case("party proof", proof.0.to_vec(), move |bytes| {
            party.check(&hash, &id.0, &Proof(bytes.try_into().unwrap()))
        }),
        case(
            "peer to signaler",
            challenge::answer_as_peer(&peer, home, &theirs, &ours).0.to_vec(),
            move |bytes| challenge::check_peer(id, home, &theirs, &ours, &signature(bytes)).is_ok(),
        ),
        case(
            "signaler to peer",
            challenge::answer_as_signaler(&signaler, id, &theirs, &ours).0.to_vec(),
            move |bytes| challenge::check_signaler(home, id, &theirs, &ours, &signature(bytes)).is_ok(),
        ),
        case(
            "signaler to sibling",
            challenge::prove_to_sibling(&signaler, away, &ours, &theirs).0.to_vec(),
            move |bytes| challenge::check_sibling(home, away, &ours, &theirs, &signature(bytes)).is_ok(),
        ),
        case("collection", challenge::prove_collection(&peer, &mailbox).0.to_vec(), move |bytes| {
            challenge::check_collection(&mailbox, &signature(bytes)).is_ok()
        }),
        case("taken", challenge::sign_taken(&peer, &mailbox, &[Digest([10; 32])]).0.to_vec(), move |bytes| {
            challenge::check_taken(&mailbox, &[Digest([10; 32])], &signature(bytes)).is_ok()
        }),
    ]
}

fn sealed() -> Vec<Case> {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let (identity, peer) = (IdentityKey::new(&Seed::new([1; 32])), PeerKey::new(&Seed::new([2; 32])));
    let other = PeerKey::new(&Seed::new([3; 32]));
    let party = Party::open("movies");
    let letter = envelope::seal(&mut rng, &peer, other.id(), &other.agreement(), b"hello").unwrap();
    let fanout = party.seal_fanout(&mut rng, b"hello");
    let (half, half_of_other) = (Half::new(&mut rng), Half::new(&mut rng));
    let session = SessionId([8; 16]);
    let mut tunnel = half.agree(session, (peer.id(), other.id()), &half_of_other.public()).unwrap();
    let end = half_of_other.agree(session, (other.id(), peer.id()), &half.public()).unwrap();
    let (store, vault) = (StoreKey::new(&identity), VaultKey::new(&peer));
    let discovery = party.discovery();
    let row = store.seal(&discovery, b"key", b"value".to_vec());
    let secret = vault.seal(&mut rng, b"key", b"value");
    vec![
        case("envelope", letter, move |bytes| envelope::open(&other, bytes).is_ok()),
        case("fan-out", fanout, move |bytes| party.open_fanout(bytes).is_some()),
        case("packet of a stream", tunnel.seal(b"hello"), move |bytes| end.open(bytes).is_some()),
        case("stored row", row, move |bytes| store.open(&discovery, b"key", bytes).is_some()),
        case("stored secret", secret, move |bytes| vault.open(b"key", bytes).is_some()),
    ]
}

#[test]
fn c7_every_flipped_bit_of_everything_that_is_signed_or_sealed_is_noticed() {
    for (name, bytes, taken) in statements().into_iter().chain(proofs()).chain(sealed()) {
        assert!(taken(&bytes), "{name}");
        for bit in 0..8 * bytes.len() {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!taken(&altered), "{name}: bit {} of byte {}", bit % 8, bit / 8);
        }
    }
}

#[test]
fn c7_what_is_cut_or_has_more_behind_it_is_noticed() {
    for (name, bytes, taken) in statements().into_iter().chain(sealed()) {
        for end in 0..bytes.len() {
            assert!(!taken(&bytes[..end]), "{name}: cut at {end}");
        }
        assert!(!taken(&[&bytes[..], &[0]].concat()), "{name}: one byte more");
    }
}
