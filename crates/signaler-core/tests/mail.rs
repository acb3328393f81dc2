//! Mail that waits at the residence of an identity: who may leave it, who gets it, what survives whom.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::cast_possible_truncation, reason = "numbers of this file's own")]

mod world;

use std::time::Duration;

use weft_crypto::challenge::{Collection, prove_collection, sign_taken};
use weft_crypto::statement::{open_prekey, sign_prekey, sign_record, sign_revocation};
use weft_crypto::{IdentityKey, digest};
use weft_signaler_core::Config;
use weft_wire::ratchet::Prekey;
use weft_wire::signaler::ToSignaler;
use weft_wire::{
    AgreementKey, Bytes, Code, Digest, IdentityId, List, PeerId, PeerRecord, Revocation, SignalerId, Text,
    limits,
};
use world::{Got, World, seed, signaler_key, star};

const WEEK: u64 = 7 * 86_400_000;

fn identity(n: u8) -> IdentityKey {
    IdentityKey::new(&seed(n))
}

fn record(world: &World, identity: &IdentityKey, peer: PeerId, life: u64) -> Vec<u8> {
    let issued = world.now.millis();
    let agreement = AgreementKey([1; 32]);
    let until = issued + life;
    let id = identity.id();
    sign_record(
        identity,
        &PeerRecord { identity: id, peer, agreement, name: Text::default(), issued, until, sessions: None },
    )
}

fn prekeys(world: &World, client: usize, once: u8, from: u8) -> Vec<Vec<u8>> {
    let key = &world.clients[client].key;
    let issued = world.now.millis();
    let prekey = |n: u8, once| Prekey {
        peer: key.id(),
        account: AgreementKey([2; 32]),
        key: AgreementKey([n; 32]),
        once,
        issued,
        until: issued + 4 * WEEK,
    };
    let fallback = sign_prekey(key, &prekey(255, false));
    (from..from + once).map(|n| sign_prekey(key, &prekey(n, true))).chain([fallback]).collect()
}

fn publish(world: &mut World, client: usize, identity: &IdentityKey, once: u8) -> Got {
    publish_for(world, client, identity, once, 8 * WEEK)
}

fn publish_for(world: &mut World, client: usize, identity: &IdentityKey, once: u8, life: u64) -> Got {
    let record = Bytes(record(world, identity, world.peer(client), life));
    let prekeys = List::first(prekeys(world, client, once, 0).into_iter().map(Bytes));
    ask(world, client, &ToSignaler::Publish { re: 1, record, prekeys })
}

/// The answer to a frame, once it is there.
fn ask(world: &mut World, client: usize, frame: &ToSignaler<'_>) -> Got {
    let before = world.clients[client].got.len();
    world.send(client, frame);
    for _ in 0..40 {
        let answer =
            world.clients[client].got[before..].iter().position(|got| !matches!(got, Got::MailWaits(_)));
        if let Some(at) = answer {
            return world.clients[client].got.remove(before + at);
        }
        world.pass(Duration::from_millis(500));
    }
    panic!("no answer in 20 s to {frame:?}");
}

fn store(world: &mut World, client: usize, to: (IdentityId, PeerId), envelope: &[u8]) -> Got {
    let (identity, peer) = to;
    ask(world, client, &ToSignaler::Store { re: 2, identity, peer, life_ms: WEEK, envelope })
}

fn begin(world: &mut World, client: usize, identity: IdentityId) -> Result<Collection, Code> {
    let peer = world.peer(client);
    match ask(world, client, &ToSignaler::Collect { re: 3, identity, peer }) {
        Got::Prove(3, signaler, nonce) => Ok(Collection { peer, identity, signaler, nonce }),
        Got::Error(code, Some(3)) => Err(code),
        other => panic!("{other:?}"),
    }
}

fn proof(world: &World, client: usize, of: &Collection) -> ToSignaler<'static> {
    let signature = prove_collection(&world.clients[client].key, of);
    let Collection { peer, identity, signaler, nonce } = *of;
    ToSignaler::Proof { re: 4, identity, peer, signaler, nonce, signature }
}

fn taken(world: &World, client: usize, of: &Collection, ids: &[Digest]) -> ToSignaler<'static> {
    let signature = sign_taken(&world.clients[client].key, of, ids);
    let Collection { peer, identity, signaler, nonce } = *of;
    ToSignaler::Taken {
        re: 5,
        identity,
        peer,
        signaler,
        nonce,
        ids: List::first(ids.iter().copied()),
        signature,
    }
}

/// Everything that waits, taken.
fn collect(world: &mut World, client: usize, identity: IdentityId) -> Result<Vec<Vec<u8>>, Code> {
    let collection = begin(world, client, identity)?;
    let mut mail = Vec::new();
    let mut frame = proof(world, client, &collection);
    loop {
        match ask(world, client, &frame) {
            Got::Mail(_, items, more) => {
                assert!(!more || !items.is_empty());
                assert!(items.is_sorted_by(|a, b| a.0 < b.0), "in order");
                if items.is_empty() {
                    return Ok(mail);
                }
                let ids: Vec<Digest> = items.iter().map(|(_, envelope)| digest(envelope)).collect();
                mail.extend(items.into_iter().map(|(_, envelope)| envelope));
                frame = taken(world, client, &collection, &ids);
            }
            Got::Error(code, _) => return Err(code),
            other => panic!("{other:?}"),
        }
    }
}

fn one(config: impl Fn(Config) -> Config) -> World {
    World::with(1, &[], config)
}

/// Signalers of a federation that know each other.
fn federation(count: usize) -> World {
    let mut world = star(count);
    world.pass(Duration::from_secs(20));
    for at in 0..count {
        assert_eq!(world.signaler(at).residence(&[0; 32]).len(), count.min(3));
    }
    world
}

/// An identity whose residence is these signalers, the first first, by `wanted`.
fn identity_at(world: &World, wanted: impl Fn(&[usize]) -> bool) -> IdentityKey {
    let at = |id: &SignalerId| (0..world.signalers.len()).find(|at| signaler_key(*at).id() == *id).unwrap();
    let lives = world.signalers.iter().flatten().next().unwrap();
    (0..=u8::MAX)
        .map(identity)
        .find(|key| wanted(&lives.residence(&key.id().0).iter().map(at).collect::<Vec<_>>()))
        .expect("there is one among 256")
}

#[test]
fn c3_what_is_stored_waits_in_order_and_goes_when_it_was_taken() {
    let mut world = one(|config| config);
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    let to = (key.id(), world.peer(bob));
    assert_eq!(store(&mut world, ann, to, b"early"), Got::Error(Code::NoMailbox, Some(2)));
    assert_eq!(publish(&mut world, bob, &key, 3), Got::Published(1, 3));
    world.drop_client(bob);
    for n in 0..5_u8 {
        assert_eq!(store(&mut world, ann, to, &[n; 100]), Got::Ack(2));
    }
    assert_eq!(store(&mut world, ann, to, &[2; 100]), Got::Ack(2), "again");
    let bob = world.client(0, 1);
    let collection = begin(&mut world, bob, key.id()).unwrap();
    let Got::Mail(4, first, false) = ({
        let frame = proof(&world, bob, &collection);
        ask(&mut world, bob, &frame)
    }) else {
        panic!()
    };
    assert_eq!(first.iter().map(|(_, envelope)| envelope[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    // It was not taken: it is there the next time.
    assert_eq!(collect(&mut world, bob, key.id()).unwrap().len(), 5);
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![]));
    // What was taken is known, and does not come back.
    assert_eq!(store(&mut world, ann, to, &[2; 100]), Got::Ack(2));
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![]));
    assert_eq!(world.signaler(0).gauges().mail, 0);
}

#[test]
fn c3_mail_is_durable_before_it_is_acknowledged_and_survives_a_kill() {
    let mut world = one(|config| config);
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 3);
    assert_eq!(store(&mut world, ann, to, b"kept"), Got::Ack(2));
    // The disk is full: a code, and what is there stays.
    world.disks_full.insert(0);
    assert_eq!(store(&mut world, ann, to, b"not kept"), Got::Error(Code::NotStored, Some(2)));
    world.disks_full.clear();
    world.kill(0);
    world.restart(0, Config::default());
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    assert_eq!(store(&mut world, ann, to, b"not kept"), Got::Ack(2));
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![b"kept".to_vec(), b"not kept".to_vec()]));
    world.kill(0);
    world.restart(0, Config::default());
    let bob = world.client(0, 1);
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![]), "what was taken is durable, too");
}

#[test]
fn a_full_disk_may_be_emptied_and_the_same_envelope_sent_again() {
    let mut world = one(|config| config);
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 0);
    world.disks_full.insert(0);
    assert_eq!(store(&mut world, ann, to, b"a"), Got::Error(Code::NotStored, Some(2)));
    world.disks_full.clear();
    assert_eq!(store(&mut world, ann, to, b"a"), Got::Ack(2));
    world.kill(0);
    world.restart(0, Config::default());
    let bob = world.client(0, 1);
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![b"a".to_vec()]));
}

#[test]
fn c6_mail_is_shown_to_nobody_but_whom_it_is_for() {
    let mut world = federation(2);
    let (bob, eve) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    publish(&mut world, bob, &key, 3);
    publish(&mut world, eve, &key, 3);
    let to = (key.id(), world.peer(bob));
    assert_eq!(store(&mut world, eve, to, b"for bob"), Got::Ack(2));

    // Another key, and another peer of the same identity.
    let collection = begin(&mut world, bob, key.id()).unwrap();
    let ToSignaler::Proof { signature, .. } = proof(&world, eve, &collection) else { panic!() };
    let Collection { peer, identity, signaler, nonce } = collection;
    let forged = ToSignaler::Proof { re: 4, identity, peer, signaler, nonce, signature };
    assert_eq!(ask(&mut world, eve, &forged), Got::Error(Code::BadSignature, Some(4)));
    let own = Collection { peer: world.peer(eve), ..collection };
    let frame = proof(&world, eve, &own);
    assert_eq!(ask(&mut world, eve, &frame), Got::Error(Code::WrongParty, Some(4)), "a nonce for another");
    // A proof made for another signaler.
    let others = [0, 1].map(signaler_key).map(|key| key.id()).into_iter().find(|id| *id != signaler).unwrap();
    let elsewhere = Collection { signaler: others, ..collection };
    let ToSignaler::Proof { signature, .. } = proof(&world, bob, &elsewhere) else { panic!() };
    let forged = ToSignaler::Proof { re: 4, identity, peer, signaler, nonce, signature };
    assert_eq!(ask(&mut world, eve, &forged), Got::Error(Code::BadSignature, Some(4)));
    let frame = proof(&world, bob, &elsewhere);
    assert_eq!(ask(&mut world, eve, &frame), Got::Error(Code::WrongParty, Some(4)));
    // Nothing is taken before a proof, or without the key.
    let early = taken(&world, bob, &collection, &[digest(b"for bob")]);
    assert_eq!(ask(&mut world, bob, &early), Got::Error(Code::Expired, Some(5)));

    let good = proof(&world, bob, &collection);
    assert!(matches!(ask(&mut world, bob, &good), Got::Mail(4, items, false) if items.len() == 1));
    // Its replay, by whomever.
    assert_eq!(ask(&mut world, eve, &good), Got::Error(Code::Replayed, Some(4)));
    let forged = taken(&world, eve, &collection, &[digest(b"for bob")]);
    assert_eq!(ask(&mut world, eve, &forged), Got::Error(Code::BadSignature, Some(5)));
    assert_eq!(collect(&mut world, eve, key.id()), Ok(vec![]), "a mailbox of its own");
    // An old one.
    let late = begin(&mut world, bob, key.id()).unwrap();
    world.pass(Duration::from_secs(61));
    let frame = proof(&world, bob, &late);
    assert_eq!(ask(&mut world, bob, &frame), Got::Error(Code::Expired, Some(4)));
    let frame = taken(&world, bob, &collection, &[digest(b"for bob")]);
    assert_eq!(ask(&mut world, bob, &frame), Got::Error(Code::Expired, Some(5)));

    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![b"for bob".to_vec()]));
}

#[test]
fn c10_each_bound_has_a_code_of_its_own_and_leaves_others_alone() {
    let mut world = one(|config| Config {
        mailbox_envelopes: 6,
        mailbox_bytes: 2_000,
        mailbox_envelopes_per_sender: 3,
        mailbox_bytes_per_sender: 1_000,
        ..config
    });
    let [bob, bea, ann, abe, amy] = [1, 2, 3, 4, 5].map(|n| world.client(0, n));
    let key = identity(9);
    publish(&mut world, bob, &key, 0);
    publish(&mut world, bea, &key, 0);
    let to = (key.id(), world.peer(bob));
    let full = |code| Got::Error(code, Some(2));
    for n in 0..3 {
        assert_eq!(store(&mut world, ann, to, &[n; 10]), Got::Ack(2));
    }
    assert_eq!(store(&mut world, ann, to, &[3; 10]), full(Code::SenderFull));
    assert_eq!(
        store(&mut world, ann, to, &[2; 10]),
        Got::Ack(2),
        "what is there is acknowledged in any case"
    );
    assert_eq!(store(&mut world, abe, to, &[4; 1_001]), full(Code::SenderFull));
    for n in 5..8 {
        assert_eq!(store(&mut world, abe, to, &[n; 300]), Got::Ack(2));
    }
    assert_eq!(store(&mut world, amy, to, &[8; 10]), full(Code::MailboxFull));
    // The other peer's mailbox is its own.
    let other = (key.id(), world.peer(bea));
    for (n, sender) in [ann, abe, amy].into_iter().enumerate() {
        let wanted = if n < 2 { Got::Ack(2) } else { full(Code::MailboxFull) };
        assert_eq!(store(&mut world, sender, other, &[n as u8; 999]), wanted);
    }
    assert_eq!(store(&mut world, ann, other, b""), full(Code::BadFrame));
    let none = (key.id(), world.peer(ann));
    assert_eq!(store(&mut world, bob, none, b"a"), full(Code::NoMailbox));
    let (identity, peer) = other;
    let old = ToSignaler::Store { re: 2, identity, peer, life_ms: 0, envelope: b"a" };
    assert_eq!(ask(&mut world, ann, &old), full(Code::Expired));
    let large = vec![0; limits::ENVELOPE + 1];
    assert_eq!(store(&mut world, ann, other, &large), full(Code::TooLarge));
    // Once taken there is room again.
    assert_eq!(collect(&mut world, bob, key.id()).unwrap().len(), 6);
    assert_eq!(store(&mut world, ann, to, &[3; 10]), Got::Ack(2));
}

#[test]
fn mail_is_shown_in_pages_and_waits_no_longer_than_its_life() {
    let mut world = one(|config| Config {
        mailbox_envelopes_per_sender: 1_000,
        mailbox_bytes_per_sender: 4 << 20,
        ..config
    });
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    publish(&mut world, bob, &key, 0);
    let to = (key.id(), world.peer(bob));
    let mut sent = Vec::new();
    for n in 0..600_u32 {
        sent.push(n.to_be_bytes().to_vec());
        assert_eq!(store(&mut world, ann, to, &n.to_be_bytes()), Got::Ack(2));
    }
    for n in 0..4_u8 {
        sent.push(vec![n; limits::ENVELOPE]);
        assert_eq!(store(&mut world, ann, to, &vec![n; limits::ENVELOPE]), Got::Ack(2));
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(collect(&mut world, bob, key.id()), Ok(sent));
    let (identity, peer) = to;
    let short = ToSignaler::Store { re: 2, identity, peer, life_ms: 5_000, envelope: b"short" };
    assert_eq!(ask(&mut world, ann, &short), Got::Ack(2));
    let long = ToSignaler::Store { re: 2, identity, peer, life_ms: u64::MAX, envelope: b"long" };
    assert_eq!(ask(&mut world, ann, &long), Got::Ack(2));
    world.pass(Duration::from_secs(6));
    assert_eq!(world.signaler(0).mail_of(identity, peer), [digest(b"long")]);
    world.pass(Duration::from_millis(WEEK));
    assert_eq!(world.signaler(0).mail_of(identity, peer), []);
    assert_eq!(world.signaler(0).counters().mail_expired, 2);
}

#[test]
fn a_prekey_is_given_once_and_then_the_fallback() {
    let mut world = federation(3);
    let (bob, ann) = (world.client(0, 1), world.client(1, 2));
    let key = identity(9);
    let identity = key.id();
    assert_eq!(publish(&mut world, bob, &key, 2), Got::Published(1, 2));
    let mut given = Vec::new();
    for (once, count) in [(false, 1), (true, 2), (true, 2), (true, 1), (false, 1)] {
        let Got::Peers(6, peers) = ask(&mut world, ann, &ToSignaler::Peers { re: 6, identity, once }) else {
            panic!()
        };
        assert_eq!((peers.len(), peers[0].1.len()), (1, count));
        let prekeys: Vec<Prekey> = peers[0].1.iter().map(|bytes| open_prekey(bytes).unwrap()).collect();
        assert!(!prekeys.last().unwrap().once);
        given.extend(prekeys.iter().filter(|prekey| prekey.once).map(|prekey| prekey.key));
    }
    given.dedup();
    assert_eq!(given.len(), 2);
    // An old message to the signaler brings no used one back.
    assert_eq!(publish(&mut world, bob, &key, 2), Got::Published(1, 0));
    let record = Bytes(record(&world, &key, world.peer(bob), WEEK));
    let more = List::first(prekeys(&world, bob, 3, 100).into_iter().map(Bytes));
    let frame = ToSignaler::Publish { re: 1, record, prekeys: more };
    assert_eq!(ask(&mut world, bob, &frame), Got::Published(1, 3));
    // Another identity has none.
    let stranger = IdentityId([7; 32]);
    assert_eq!(
        ask(&mut world, ann, &ToSignaler::Peers { re: 6, identity: stranger, once: true }),
        Got::Peers(6, vec![])
    );
}

#[test]
fn nobody_uses_up_prekeys() {
    let mut world = one(|config| config);
    let (bob, eve, ann) = (world.client(0, 1), world.client(0, 2), world.client(0, 3));
    let key = identity(9);
    let identity = key.id();
    publish(&mut world, bob, &key, 63);
    let asked = |world: &mut World, client: usize| {
        (0..40)
            .filter(|_| match ask(world, client, &ToSignaler::Peers { re: 6, identity, once: true }) {
                Got::Peers(6, peers) => peers[0].1.len() == 2,
                other => panic!("{other:?}"),
            })
            .count()
    };
    assert_eq!(asked(&mut world, eve), 30, "then the fallback alone");
    assert_eq!(asked(&mut world, ann), 30);
    assert_eq!(world.signaler(0).counters().mail_withheld_prekeys, 20);
}

#[test]
fn poisoned_records_and_prekeys_are_refused() {
    let mut world = one(|config| config);
    let (bob, eve) = (world.client(0, 1), world.client(0, 2));
    let key = identity(9);
    let good = Bytes(record(&world, &key, world.peer(bob), WEEK));
    let refused = |code| Got::Error(code, Some(1));
    let publish = |world: &mut World, record: &Bytes<{ limits::RECORD }>, prekeys: Vec<Vec<u8>>| {
        let prekeys = List::first(prekeys.into_iter().map(Bytes));
        ask(world, eve, &ToSignaler::Publish { re: 1, record: record.clone(), prekeys })
    };
    let mut forged = good.clone();
    *forged.0.last_mut().unwrap() ^= 1;
    assert_eq!(publish(&mut world, &forged, vec![]), refused(Code::BadSignature));
    assert_eq!(publish(&mut world, &Bytes(vec![1, 2, 3]), vec![]), refused(Code::BadFrame));
    let theirs = prekeys(&world, eve, 1, 0);
    assert_eq!(publish(&mut world, &good, theirs), refused(Code::WrongParty));
    let mut forged = prekeys(&world, bob, 1, 0);
    *forged[0].last_mut().unwrap() ^= 1;
    assert_eq!(publish(&mut world, &good, forged), refused(Code::BadSignature));
    let old = Bytes(record(&world, &key, world.peer(bob), 0));
    assert_eq!(publish(&mut world, &old, vec![]), refused(Code::Expired));
    assert_eq!(world.signaler(0).gauges().mailboxes, 0);
    // Whoever brings it: the statements count.
    assert_eq!(publish(&mut world, &good, vec![]), Got::Published(1, 0));
}

#[test]
fn an_identity_has_sixteen_peers_and_records_run_out_with_what_waits() {
    let mut world = one(|config| config);
    let key = identity(200);
    let ann = world.client(0, 100);
    for n in 0..16 {
        let client = world.client(0, n);
        let life = if n == 0 { 60_000 } else { WEEK };
        assert_eq!(publish_for(&mut world, client, &key, 1, life), Got::Published(1, 1));
    }
    let more = world.client(0, 16);
    assert_eq!(publish(&mut world, more, &key, 1), Got::Error(Code::TooManyPeers, Some(1)));
    let first = (key.id(), world.peer(1));
    assert_eq!(store(&mut world, ann, first, b"lost"), Got::Ack(2));
    world.pass(Duration::from_secs(61));
    assert_eq!(world.signaler(0).gauges().mailboxes, 15);
    assert_eq!(store(&mut world, ann, first, b"late"), Got::Error(Code::NoMailbox, Some(2)));
    assert_eq!(publish(&mut world, more, &key, 1), Got::Published(1, 1));
}

#[test]
fn who_is_revoked_has_no_mailbox_any_more_and_gets_none() {
    let mut world = federation(3);
    let (bob, ann) = (world.client(0, 1), world.client(1, 2));
    let key = identity(9);
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 2);
    store(&mut world, ann, to, b"a");
    let issued = world.now.millis();
    let revocation =
        Revocation { identity: key.id(), peer: world.peer(bob), issued, until: issued + 8 * WEEK };
    let forged = Bytes(sign_revocation(&identity(10), &revocation));
    let refused = ask(&mut world, ann, &ToSignaler::Revoke { re: 8, revocation: forged });
    assert_eq!(refused, Got::Error(Code::BadSignature, Some(8)));
    let revocation = Bytes(sign_revocation(&key, &revocation));
    assert_eq!(ask(&mut world, ann, &ToSignaler::Revoke { re: 8, revocation }), Got::Ack(8));
    assert_eq!(publish(&mut world, bob, &key, 2), Got::Error(Code::Revoked, Some(1)));
    assert_eq!(store(&mut world, ann, to, b"b"), Got::Error(Code::Revoked, Some(2)));
    assert_eq!(begin(&mut world, bob, key.id()), Err(Code::Revoked));
    let identity = key.id();
    assert_eq!(
        ask(&mut world, ann, &ToSignaler::Peers { re: 6, identity, once: true }),
        Got::Peers(6, vec![])
    );
    for at in 0..3 {
        assert_eq!((world.signaler(at).gauges().mailboxes, world.signaler(at).gauges().mail), (1, 0));
    }
}

#[test]
fn c3_any_one_of_three_may_be_killed_with_mail_waiting() {
    for victim in 0..3 {
        let mut world = federation(3);
        let (bob, ann) = (world.client(victim, 1), world.client((victim + 1) % 3, 2));
        let key = identity(9);
        let to = (key.id(), world.peer(bob));
        publish(&mut world, bob, &key, 2);
        for n in 0..10 {
            assert_eq!(store(&mut world, ann, to, &[n; 50]), Got::Ack(2));
        }
        for at in 0..3 {
            assert_eq!(world.signaler(at).gauges().mail, 10, "at {at}");
        }
        world.kill(victim);
        // At once, before anybody has found out.
        let bob = world.client((victim + 2) % 3, 1);
        for n in 10..15 {
            assert_eq!(store(&mut world, ann, to, &[n; 50]), Got::Ack(2));
        }
        let collection = begin(&mut world, bob, key.id()).unwrap();
        let frame = proof(&world, bob, &collection);
        let Got::Mail(4, mail, false) = ask(&mut world, bob, &frame) else { panic!() };
        assert_eq!(
            mail.iter().map(|(_, envelope)| envelope[0]).collect::<Vec<_>>(),
            (0..15).collect::<Vec<_>>()
        );
        let ids: Vec<Digest> = mail.iter().take(12).map(|(_, envelope)| digest(envelope)).collect();
        let frame = taken(&world, bob, &collection, &ids);
        assert!(matches!(ask(&mut world, bob, &frame), Got::Mail(5, rest, false) if rest.len() == 3));
        // Who was away had ten that were taken meanwhile: they do not come back.
        world.restart(victim, world::star_config(victim, if victim == 0 { &[1, 2] } else { &[0] }));
        assert_eq!(world.signaler(victim).gauges().mail, 10);
        world.pass(Duration::from_secs(40));
        for at in 0..3 {
            assert_eq!(world.signaler(at).gauges().mail, 3, "at {at}");
        }
        let rest = collect(&mut world, bob, key.id()).unwrap();
        assert_eq!(rest.iter().map(|envelope| envelope[0]).collect::<Vec<_>>(), [12, 13, 14]);
    }
}

#[test]
fn who_is_connected_hears_that_mail_waits_wherever_it_is() {
    for count in [1, 3, 6] {
        let mut world = federation(count);
        let (home, other) = (0, count - 1);
        let (bob, ann) = (world.client(home, 1), world.client(other, 2));
        let key = identity(9);
        publish(&mut world, bob, &key, 0);
        let to = (key.id(), world.peer(bob));
        world.pass(Duration::from_secs(1));
        world.take(bob);
        for n in 0..3 {
            assert_eq!(store(&mut world, ann, to, &[n]), Got::Ack(2));
        }
        assert_eq!(world.take(bob), [Got::MailWaits(key.id())], "once, with {count}");
        assert_eq!(collect(&mut world, bob, key.id()).unwrap().len(), 3);
        assert_eq!(store(&mut world, ann, to, b"more"), Got::Ack(2));
        assert_eq!(world.take(bob), [Got::MailWaits(key.id())]);
    }
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_nothing_lost() {
    let mut world = federation(3);
    let key = identity_at(&world, |residence| residence[0] == 0);
    let (bob, ann) = (world.client(0, 1), world.client(0, 2));
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 0);
    world.disks_full.extend([1, 2]);
    assert_eq!(store(&mut world, ann, to, b"a"), Got::Error(Code::NotStored, Some(2)));
    world.disks_full.remove(&2);
    assert_eq!(store(&mut world, ann, to, b"a"), Got::Ack(2));
    assert_eq!(collect(&mut world, bob, key.id()), Ok(vec![b"a".to_vec()]));
    // The one that could not write learns of it later.
    world.disks_full.clear();
    world.pass(Duration::from_secs(40));
    let on =
        |world: &World, at: usize| world.disks[&at].values().filter(|item| item.sender.0 != [0; 8]).count();
    assert_eq!([0, 1, 2].map(|at| on(&world, at)), [1, 1, 1]);
}

#[test]
fn the_residence_does_not_learn_who_wrote() {
    let mut world = federation(5);
    let key = identity_at(&world, |residence| !residence.contains(&4));
    let (bob, ann) = (world.client(0, 1), world.client(4, 2));
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 0);
    world.seen.clear();
    assert_eq!(store(&mut world, ann, to, b"sealed"), Got::Ack(2));
    let ann = world.peer(ann);
    let told = world.seen.iter().filter(|(from, _)| *from == 4).collect::<Vec<_>>();
    assert!(told.iter().any(|(_, frame)| frame.windows(6).any(|part| part == b"sealed")), "it passed here");
    assert!(!world.seen.iter().any(|(_, frame)| frame.windows(32).any(|part| part == ann.0)));
    // The same sender counts as the same today, and as another one tomorrow.
    let tag = |world: &World, at: usize, id: Digest| {
        let disk = world.disks[&at].iter().find(|((_, _, known), _)| *known == id);
        disk.map(|(_, item)| item.sender)
    };
    let client = world.clients.len() - 1;
    assert_eq!(store(&mut world, client, to, b"again"), Got::Ack(2));
    let at = (0..5).find(|at| tag(&world, *at, digest(b"sealed")).is_some()).unwrap();
    assert_eq!(tag(&world, at, digest(b"sealed")), tag(&world, at, digest(b"again")));
    world.pass(Duration::from_secs(86_400));
    assert_eq!(store(&mut world, client, to, b"tomorrow"), Got::Ack(2));
    assert_ne!(tag(&world, at, digest(b"sealed")), tag(&world, at, digest(b"tomorrow")));
}

#[test]
fn c5_mail_moves_with_the_members_and_is_deleted_where_it_was() {
    let mut world = federation(6);
    let key = identity_at(&world, |residence| !residence.contains(&0) && !residence.contains(&1));
    let (bob, ann) = (world.client(0, 1), world.client(1, 2));
    let to = (key.id(), world.peer(bob));
    publish(&mut world, bob, &key, 3);
    for n in 0..5 {
        assert_eq!(store(&mut world, ann, to, &[n; 50]), Got::Ack(2));
    }
    let keeps = |world: &World| {
        (0..6)
            .filter(|at| world.signalers[*at].as_ref().is_some_and(|one| one.gauges().mail == 5))
            .collect::<Vec<_>>()
    };
    let before = keeps(&world);
    assert_eq!(before.len(), 3);
    // One of them goes, and somebody else takes its place.
    world.kill(before[0]);
    world.pass(Duration::from_secs(60));
    let after = keeps(&world);
    assert_eq!((after.len(), after.iter().filter(|at| before.contains(at)).count()), (3, 2));
    // It comes back, with what it had; the other one gives it up once it has everything.
    assert_eq!(store(&mut world, ann, to, &[5; 50]), Got::Ack(2));
    world.restart(before[0], world::star_config(before[0], &[0, 1]));
    world.pass(Duration::from_secs(120));
    let has = |world: &World| (0..6).map(|at| world.signaler(at).gauges().mail).collect::<Vec<_>>();
    let kept = has(&world);
    assert_eq!(kept.iter().filter(|mail| **mail == 6).count(), 3, "{kept:?}");
    assert_eq!(kept.iter().filter(|mail| **mail == 0).count(), 3, "{kept:?}");
    assert!(before.iter().all(|at| kept[*at] == 6));
    let mail = collect(&mut world, bob, key.id()).unwrap();
    assert_eq!(mail.iter().map(|envelope| envelope[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_a_sibling_makes_up_is_not_kept() {
    use weft_wire::sibling::{Kept, KeptKind, Sibling};
    use weft_wire::{Tag, encode};
    let mut world = federation(2);
    let key = identity(9);
    let bob = world.client(0, 1);
    publish(&mut world, bob, &key, 1);
    let (identity, peer) = (key.id(), world.peer(bob));
    let give = |world: &mut World, kind, body: Vec<u8>, id: Digest| {
        let kept = Kept { kind, id, at: 5, life_ms: WEEK, sender: Tag([0; 8]), body: Some(Bytes(body)) };
        let items = List::first([kept]);
        world.between(1, 0, encode(&Sibling::MailKeep { re: None, identity, peer, items }));
    };
    let before = world.disks[&0].len();
    let mut forged = record(&world, &key, peer, WEEK);
    *forged.last_mut().unwrap() ^= 1;
    let id = digest(&forged);
    give(&mut world, KeptKind::Record, forged, id);
    give(&mut world, KeptKind::Mail, b"other bytes".to_vec(), digest(b"these"));
    assert_eq!(world.disks[&0].len(), before);
    assert_eq!(world.signaler(0).counters().refused(Code::BadSignature), 1);
    assert_eq!(world.signaler(0).counters().refused(Code::BadFrame), 1);
}

/// Two who write to two, each envelope after the one before was acknowledged, while signalers are killed and come back: one at a
/// time, at any moment, what was not durable is lost.
struct Trial {
    world: World,
    random: u64,
    dead: Option<usize>,
    /// No other one dies before.
    calm: weft_wire::Time,
    key: IdentityKey,
    recipients: [PeerId; 2],
    senders: Vec<Sender>,
    collectors: Vec<Collector>,
}

struct Sender {
    seed: u8,
    client: usize,
    waits: Option<Vec<u8>>,
    asked: bool,
    next: u32,
    acknowledged: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Collector {
    client: usize,
    /// As the peer keeps them: each once.
    shown: Vec<Vec<u8>>,
    taken: std::collections::BTreeSet<Vec<u8>>,
}

impl Trial {
    fn new(random: u64, count: usize) -> Self {
        let mut world = federation(count);
        let key = identity((random % 251) as u8);
        let collectors: Vec<Collector> = [1, 2]
            .map(|n| Collector { client: world.client(usize::from(n), n), ..Collector::default() })
            .into_iter()
            .collect();
        for one in &collectors {
            assert_eq!(publish(&mut world, one.client, &key, 0), Got::Published(1, 0));
        }
        let recipients = [collectors[0].client, collectors[1].client].map(|client| world.peer(client));
        let senders = [3, 4]
            .map(|seed| Sender {
                seed,
                client: world.client(0, seed),
                waits: None,
                asked: false,
                next: 0,
                acknowledged: Vec::new(),
            })
            .into_iter()
            .collect();
        let calm = world.now;
        Self { world, random: random | 1, dead: None, calm, key, recipients, senders, collectors }
    }

    /// A number below `below`: xorshift (Marsaglia, Journal of Statistical Software 8(14), 2003).
    fn any(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    fn living(&mut self) -> usize {
        let count = self.world.signalers.len();
        loop {
            let at = self.any(count);
            if Some(at) != self.dead {
                return at;
            }
        }
    }

    fn kill(&mut self) {
        if self.dead.is_none() && self.world.now >= self.calm {
            let victim = self.living();
            self.world.kill(victim);
            self.dead = Some(victim);
        }
    }

    fn revive(&mut self) {
        if let Some(at) = self.dead.take() {
            let call: Vec<usize> = (0..self.world.signalers.len()).filter(|other| *other != at).collect();
            self.world.restart(at, world::star_config(at, &call));
            // So long it takes until everybody has what it missed.
            self.calm = self.world.now + Duration::from_secs(40);
        }
    }

    fn step(&mut self) {
        match self.any(12) {
            0 => self.kill(),
            1 => self.revive(),
            2 => {
                let wait = Duration::from_millis(self.any(12_000) as u64);
                self.world.pass(wait);
            }
            3 | 4 => {
                let at = self.any(2);
                let breaks = self.any(3) == 0;
                self.collect(at, breaks);
            }
            _ => {
                let at = self.any(2);
                self.write(at);
                let steps = self.any(80);
                self.world.settle_some(steps);
            }
        }
    }

    fn write(&mut self, at: usize) {
        let home = self.living();
        let to = self.any(2);
        let sender = &mut self.senders[at];
        if !self.world.clients[sender.client].open {
            sender.client = self.world.client(home, sender.seed);
            sender.asked = false;
        }
        for got in self.world.take(sender.client) {
            match got {
                Got::Ack(_) => sender.acknowledged.extend(sender.waits.take()),
                Got::Error(Code::NotStored | Code::SiblingUnreachable, _) => {}
                other => panic!("{other:?}"),
            }
            sender.asked = false;
        }
        if sender.asked {
            return;
        }
        let envelope = sender.waits.get_or_insert_with(|| {
            sender.next += 1;
            [&[sender.seed, to as u8][..], &sender.next.to_be_bytes()].concat()
        });
        sender.asked = true;
        let (identity, peer) = (self.key.id(), self.recipients[usize::from(envelope[1])]);
        let frame = ToSignaler::Store { re: sender.next, identity, peer, life_ms: WEEK, envelope };
        self.world.queue(sender.client, &frame);
    }

    fn ask(&mut self, client: usize, frame: &ToSignaler<'_>) -> Option<Got> {
        self.world.take(client);
        self.world.send(client, frame);
        for _ in 0..24 {
            let got = self.world.take(client);
            if let Some(answer) = got.into_iter().find(|got| !matches!(got, Got::MailWaits(_))) {
                return Some(answer);
            }
            self.world.pass(Duration::from_millis(500));
        }
        None
    }

    /// Whether everything that waits was taken.
    fn collect(&mut self, at: usize, breaks: bool) -> bool {
        let home = self.living();
        if !self.world.clients[self.collectors[at].client].open {
            self.collectors[at].client = self.world.client(home, at as u8 + 1);
        }
        let (client, peer, identity) = (self.collectors[at].client, self.recipients[at], self.key.id());
        let collect = ToSignaler::Collect { re: 3, identity, peer };
        let Some(Got::Prove(_, signaler, nonce)) = self.ask(client, &collect) else { return false };
        let collection = Collection { peer, identity, signaler, nonce };
        let mut frame = proof(&self.world, client, &collection);
        let mut told = Vec::new();
        loop {
            let Some(Got::Mail(_, items, _)) = self.ask(client, &frame) else { return false };
            self.collectors[at].taken.append(&mut told.drain(..).collect());
            for (_, envelope) in &items {
                assert!(!self.collectors[at].taken.contains(envelope), "{envelope:?} came back");
                if !self.collectors[at].shown.contains(envelope) {
                    self.collectors[at].shown.push(envelope.clone());
                }
            }
            if items.is_empty() {
                return true;
            }
            if breaks {
                self.kill();
                if !self.world.clients[client].open {
                    return false;
                }
            }
            let ids: Vec<Digest> = items.iter().map(|(_, envelope)| digest(envelope)).collect();
            frame = taken(&self.world, client, &collection, &ids);
            told = items.into_iter().map(|(_, envelope)| envelope).collect();
        }
    }

    /// How many were acknowledged.
    fn end(mut self) -> usize {
        self.revive();
        self.world.pass(Duration::from_secs(120));
        for at in 0..2 {
            self.write(at);
            self.world.pass(Duration::from_secs(12));
            self.write(at);
        }
        for at in 0..2 {
            assert!(self.collect(at, false));
            let shown = &self.collectors[at].shown;
            for sender in &self.senders {
                let of = |list: &[Vec<u8>]| {
                    let to = |one: &&Vec<u8>| one[0] == sender.seed && usize::from(one[1]) == at;
                    list.iter().filter(to).cloned().collect::<Vec<_>>()
                };
                let shown = of(shown);
                assert!(shown.is_sorted(), "in order: {shown:?}");
                for one in of(&sender.acknowledged) {
                    assert!(shown.contains(&one), "{one:?} is lost");
                }
            }
        }
        // In the end everybody who keeps it has the same, and nobody else anything.
        self.world.pass(Duration::from_secs(120));
        let count = self.world.signalers.len();
        let boxes: Vec<usize> = (0..count).map(|at| self.world.signaler(at).gauges().mailboxes).collect();
        assert_eq!(boxes.iter().sum::<usize>(), 2 * count.min(3), "{boxes:?}");
        self.senders.iter().map(|sender| sender.acknowledged.len()).sum()
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    #[test]
    fn c5_nothing_acknowledged_is_lost_nothing_taken_comes_back_and_order_is_kept(random in proptest::prelude::any::<u64>(), count in 3..7_usize) {
        let mut trial = Trial::new(random, count);
        for _ in 0..120 {
            trial.step();
        }
        let acknowledged = trial.end();
        proptest::prop_assert!(acknowledged > 5, "{acknowledged} were acknowledged");
    }
}
