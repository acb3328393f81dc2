//! Golden values of keys, statements, proofs, publications and envelopes: `tests/vectors/crypto.json`.
//!
//! `WEFT_WRITE_VECTORS=1 cargo test -p weft-crypto --test vectors` writes the file anew; a difference in review is a
//! change of the protocol.

// Stand-ins have no golden values.
#![cfg(not(weft_simulation))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]

use std::fmt::Write as _;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_crypto::correspondence::binding;
use weft_crypto::link::{Transcript, sign_link};
use weft_crypto::part::PartKey;
use weft_crypto::registry::Signer;
use weft_crypto::{
    IdentityKey, Invitation, Members, Party, PartySecret, PeerKey, Seed, SignalerKey, challenge, envelope,
    group, publication, registry, session, statement, vault,
};
use weft_wire::membership::Role;
use weft_wire::ratchet::Prekey;
use weft_wire::registry::{
    Decision, Heartbeat, NetworkName, RegistrantId, Registration, Service, SovereignChange, Statement,
};
use weft_wire::{
    AgreementKey, BundleEntry, Card, ChainKey, Digest, DiscoveryKey, Entry, Epoch, Gone, List, MessageId,
    Nonce, PartSecret, PeerRecord, PublicationId, RegistryKey, Revocation, SessionId, Text, encode,
};

const GOLDEN: &str = include_str!("../../../tests/vectors/crypto.json");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn values() -> Vec<(&'static str, String)> {
    let identity = IdentityKey::new(&Seed::new([1; 32]));
    let peer = PeerKey::new(&Seed::new([2; 32]));
    let other = PeerKey::new(&Seed::new([3; 32]));
    let signaler = SignalerKey::new(&Seed::new([4; 32]));
    let sibling = SignalerKey::new(&Seed::new([5; 32]));
    let party = Party::open("movies");
    let (ours, theirs) = (Nonce([6; 32]), Nonce([7; 32]));
    let entry = Entry {
        discovery: party.discovery(),
        peer: peer.id(),
        home: signaler.id(),
        agreement: peer.agreement(),
        seq: 1,
        since: 2,
        until: 3,
        left: false,
    };
    let gone = Gone { discovery: party.discovery(), peer: peer.id(), home: signaler.id(), seq: 1 };
    let card = Card { signaler: signaler.id(), since: 1, url: Text::new("wss://weft.example"), version: 1 };
    let record = PeerRecord {
        identity: identity.id(),
        peer: peer.id(),
        agreement: peer.agreement(),
        name: Text::new("Ada").unwrap(),
        issued: 1,
        until: 2,
        sessions: None,
    };
    let transcript =
        Transcript::new(SessionId([8; 16]), (peer.id(), "SHA-256 AA:BB"), (other.id(), "SHA-256 CC:DD"));
    let entries =
        List::first([1_u8, 2].map(|n| BundleEntry { time: u64::from(n), body: vec![0xa1, 0x61, 0x6e, n] }));
    let (bundle, last) =
        publication::sign_bundle(&peer, party.discovery(), identity.id(), 1, PublicationId([0; 32]), entries);
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let sealed = envelope::seal(&mut rng, &peer, other.id(), &other.agreement(), b"hello").unwrap();
    assert_eq!(envelope::open(&other, &sealed).unwrap().body, b"hello");
    let fanout = party.seal_fanout(&mut rng, b"hello");
    assert_eq!(party.open_fanout(&fanout).unwrap(), b"hello");
    let DiscoveryKey(discovery) = party.discovery();
    let mut values = vec![
        ("identity id of seed 01…", identity.id().to_string()),
        ("peer id of seed 02…", peer.id().to_string()),
        ("agreement key of seed 02…", hex(&peer.agreement().0)),
        ("signaler id of seed 04…", signaler.id().to_string()),
        ("party key of \"movies\"", party.key().to_string()),
        ("discovery key of \"movies\"", hex(&discovery)),
        ("signed entry", hex(&statement::sign_entry(&peer, &entry))),
        ("signed gone", hex(&statement::sign_gone(&signaler, &gone))),
        ("signed card", hex(&statement::sign_card(&signaler, &card))),
        ("signed peer record", hex(&statement::sign_record(&identity, &record))),
        ("peer to signaler", hex(&challenge::answer_as_peer(&peer, signaler.id(), &theirs, &ours).0)),
        ("signaler to peer", hex(&challenge::answer_as_signaler(&signaler, peer.id(), &theirs, &ours).0)),
        ("signaler to sibling", hex(&challenge::prove_to_sibling(&signaler, sibling.id(), &ours, &theirs).0)),
        ("link transcript", hex(transcript.hash())),
        ("link signature", hex(&sign_link(&peer, &transcript).0)),
        ("party proof", hex(&party.prove(transcript.hash(), &peer.id().0).0)),
        ("bundle of two", hex(&encode(&bundle))),
        ("id of the second", hex(&last.0)),
        ("envelope to seed 03…, \"hello\"", hex(&sealed)),
        ("fanout to \"movies\", \"hello\"", hex(&fanout)),
    ];
    let (account, key) = (AgreementKey([10; 32]), AgreementKey([11; 32]));
    let prekey = Prekey { peer: peer.id(), account, key, once: true, issued: 1, until: 2 };
    let session = session::name(&[10; 32], &[12; 32], &[11; 32]);
    let secret = PartySecret::new(&Seed::new([13; 32]));
    let mut members = Members::found(&secret, identity.id(), 1);
    let founded = members.statements().next().map(|(_, bytes)| hex(bytes)).unwrap();
    let invitation = Invitation::new(&mut rng, secret.key());
    let guest = IdentityKey::new(&Seed::new([14; 32])).id();
    let redemption = invitation.redeem(guest);
    let revocation = Revocation { identity: identity.id(), peer: peer.id(), issued: 1, until: 2 };
    let (mailbox, ids) = (
        challenge::Collection {
            peer: peer.id(),
            identity: identity.id(),
            signaler: signaler.id(),
            nonce: theirs,
        },
        [Digest([15; 32]), Digest([16; 32])],
    );
    values.extend([
        ("signed peer record with sessions", {
            let record = PeerRecord { sessions: Some(true), ..record };
            hex(&statement::sign_record(&identity, &record))
        }),
        ("part 3 of message 0f…, \"hello\", key 10…", {
            let key = PartKey::from(PartSecret([16; 32]));
            hex(&key.seal(&MessageId([15; 16]), 3, b"hello"))
        }),
        ("place of peer 02…'s own rows", hex(&vault::place(&peer.id()).0)),
        ("signed revocation", hex(&statement::sign_revocation(&identity, &revocation))),
        ("collection", hex(&challenge::prove_collection(&peer, &mailbox).0)),
        ("taken 0f…, 10…", hex(&challenge::sign_taken(&peer, &mailbox, &ids).0)),
        ("signed prekey", hex(&statement::sign_prekey(&peer, &prekey))),
        ("session of account 0a…, base key 0c…, prekey 0b…", hex(&session.0)),
        (
            "its binding from seed 02… to seed 03…, begun at 7",
            hex(&binding(peer.id(), other.id(), session, 7)),
        ),
        ("key of the private party of seed 0d…", secret.key().to_string()),
        ("its founder (seed 01…) is an admin", founded),
        ("an invitation to it", invitation.to_string()),
        ("its key", invitation.key().to_string()),
        ("the admin has made it", hex(&members.invite(&identity, 2, &invitation, Role::Writer, 3).unwrap())),
        ("seed 0e… redeems it", hex(&redemption)),
        ("the admin admits it", hex(&members.redeem(&identity, 3, &redemption).unwrap().unwrap())),
        ("the admin removes it", hex(&members.remove(&identity, 4, guest).unwrap())),
    ]);
    let place = (&Party::new(secret.key()).discovery(), &peer.id());
    let mut chain = group::Chain::from_key(0, &ChainKey([15; 32])).unwrap();
    let mut publish = || hex(&chain.seal(place, Epoch([16; 8]), b"what members read"));
    values.extend([
        ("a document in that party, by peer 02…, epoch 10…, chain 0f…, place 0", publish()),
        ("the same at place 1", publish()),
        ("that chain at place 1", hex(&chain_at(1).0)),
    ]);
    for (name, statement) in registry_statements(&identity, &signaler) {
        let signer = Signer::Identity(&identity);
        values.push((name, hex(&statement.body())));
        values.push(("its signature", hex(&signer.sign(&statement).0)));
        values.push(("its digest", hex(&registry::digest(&statement).0)));
    }
    values
}

/// One of each kind, all signed by the identity.
fn chain_at(place: u32) -> ChainKey {
    group::Chain::from_key(0, &ChainKey([15; 32])).unwrap().at(place).unwrap().key()
}

fn registry_statements(identity: &IdentityKey, signaler: &SignalerKey) -> Vec<(&'static str, Statement)> {
    let (network, signaler, key): (NetworkName, _, RegistryKey) =
        ("example".parse().unwrap(), signaler.id(), identity.id().into());
    let (id, nonce): (RegistrantId, _) = ("validator-002".parse().unwrap(), Nonce([6; 32]));
    let service = Service { kind: "ledger".parse().unwrap(), port: 8080, key: RegistryKey([3; 32]) };
    let registration = Registration {
        network: network.clone(),
        signaler,
        id: id.clone(),
        key,
        host: "validator-b.ts.net".parse().unwrap(),
        address: Some("100.64.0.5".parse().unwrap()),
        services: List::first([service]),
        after: None,
        time: 1_700_000_000_000,
        nonce,
    };
    let decision = Decision {
        network: network.clone(),
        signaler,
        id: id.clone(),
        key,
        after: registry::digest(&Statement::Register(registration.clone())),
        sovereign: key,
        time: 1_700_000_000_001,
        nonce,
    };
    let change = SovereignChange {
        network: network.clone(),
        signaler,
        key: RegistryKey([4; 32]),
        replacement: None,
        description: Text::new("the second"),
        sovereign: key,
        time: 1_700_000_000_002,
        nonce,
    };
    let rotation =
        SovereignChange { replacement: Some(RegistryKey([5; 32])), description: None, ..change.clone() };
    let heartbeat = Heartbeat { network, signaler, id, key, address: None, time: 1_700_000_000_003, nonce };
    vec![
        ("registry: registration", Statement::Register(registration)),
        ("registry: approval of it", Statement::Approve(decision.clone())),
        ("registry: denial of it", Statement::Deny(decision.clone())),
        ("registry: reset of it", Statement::Reset(decision.clone())),
        ("registry: revocation of it", Statement::Revoke(decision)),
        ("registry: a sovereign is added", Statement::AddSovereign(change.clone())),
        ("registry: a sovereign is revoked", Statement::RevokeSovereign(change)),
        ("registry: a sovereign is rotated", Statement::RotateSovereign(rotation)),
        ("registry: heartbeat", Statement::Heartbeat(heartbeat)),
    ]
}

#[test]
fn every_value_is_golden() {
    let values = values();
    let mut text = String::from("[\n");
    for (n, (name, value)) in values.iter().enumerate() {
        let comma = if n + 1 < values.len() { "," } else { "" };
        writeln!(text, "  {{ \"name\": \"{}\", \"value\": \"{value}\" }}{comma}", name.replace('"', "'"))
            .unwrap();
    }
    text.push_str("]\n");
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/crypto.json");
        std::fs::write(file, &text).unwrap();
        return;
    }
    assert_eq!(GOLDEN, text, "the protocol changed; see the head of this file");
}
