//! Remote input that is wrong in every way: it costs its sender something, and nobody else anything.

use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use weft_crypto::{IdentityKey, Party, PeerKey, Seed, envelope, publication, statement};
use weft_peer_core::{Config, HomeIndex, Input, Keys, LinkId, Output, Peer};
use weft_query::Value;
use weft_wire::link::Link as Frame;
use weft_wire::sealed::{Candidate, Refusal, Sealed, Signal};
use weft_wire::signaler::FromSignaler;
use weft_wire::{
    BundleEntry, DiscoveryKey, Entry, List, Nonce, PeerRecord, PublicationId, SessionId, SignalerId, Text,
    encode,
};

use crate::world::{START, World, object, one_chunk};

const SECOND: Duration = Duration::from_secs(1);

fn keys(n: u8) -> Keys {
    Keys { identity: IdentityKey::new(&Seed::new([n; 32])), peer: PeerKey::new(&Seed::new([n + 1; 32])) }
}

/// Two key pairs, the one with the lower PeerId first.
pub(crate) fn low_and_high() -> (Keys, Keys) {
    let (a, b) = (keys(10), keys(20));
    if a.peer.id() < b.peer.id() { (a, b) } else { (b, a) }
}

pub(crate) fn deliver(world: &mut World, to: usize, from: &Keys, recipient: &Keys, contents: &Sealed) {
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    let agreement = recipient.peer.agreement();
    let sealed =
        envelope::seal(&mut rng, &from.peer, recipient.peer.id(), &agreement, &encode(contents)).unwrap();
    world.input(
        to,
        Input::SignalerFrame {
            home: HomeIndex(0),
            bytes: &encode(&FromSignaler::Deliver { envelope: &sealed }),
        },
    );
}

/// A signaler lists a peer that is nobody's node.
pub(crate) fn introduce(world: &mut World, to: usize, peer: &Keys, discovery: DiscoveryKey) {
    let entry = Entry {
        discovery,
        peer: peer.peer.id(),
        home: SignalerId([7; 32]),
        agreement: peer.peer.agreement(),
        seq: 1,
        since: 1,
        until: u64::MAX,
        left: false,
    };
    let entry = statement::sign_entry(&peer.peer, &entry);
    let frame = encode(&FromSignaler::Joined { entry: &entry });
    world.input(to, Input::SignalerFrame { home: HomeIndex(0), bytes: &frame });
}

fn offer(discovery: DiscoveryKey, session: u8, generation: u32, sdp: &str) -> Sealed {
    Sealed::Signal {
        discovery,
        session: SessionId([session; 16]),
        generation,
        signal: Signal::Offer {
            sdp: Text::new(sdp).unwrap(),
            candidates: List::default(),
            urgent: false,
            links: None,
            entry: Vec::new(),
            stream: None,
        },
    }
}

#[test]
fn an_old_knock_that_a_signaler_repeats_ends_no_link() {
    let (low, high) = low_and_high();
    let mut world = World::new(5, 1);
    let (a, b) = (world.add_keys(low.clone(), &[0], |_| {}), world.add_keys(high.clone(), &[0], |_| {}));
    let discovery = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND * 2, |w| w.linked(a, b)).unwrap();
    let signal = Signal::Knock { urgent: true, entry: Vec::new(), links: Some(0), stream: None };
    let knock = Sealed::Signal { discovery, session: SessionId([0; 16]), generation: 0, signal };
    for _ in 0..20 {
        // Idle, as most links are.
        world.run(SECOND * 4);
        deliver(&mut world, a, &high, &low, &knock);
        world.run(SECOND / 2);
        deliver(&mut world, a, &high, &low, &knock);
    }
    world.run(SECOND * 5);
    assert_eq!(world.connections_made, 1);
    assert!(world.linked(a, b));
}

fn candidates(discovery: DiscoveryKey, session: u8) -> Sealed {
    let candidate = Candidate { candidate: Text::new("candidate:early").unwrap(), mid: None, index: Some(0) };
    Sealed::Signal {
        discovery,
        session: SessionId([session; 16]),
        generation: 0,
        signal: Signal::Candidates { candidates: List::first([candidate]) },
    }
}

const SDP: &str = "v=0\r\no=0 77 0\r\na=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11\r\n";

/// A victim with the higher id, connected and in the party, and the keys of an attacker with the lower one.
fn scene() -> (World, usize, Keys, Keys, DiscoveryKey) {
    let (attacker, victim) = low_and_high();
    let mut world = World::new(1, 1);
    let node = world.add_keys(victim.clone(), &[0], |_| {});
    let party = world.join(node, "p");
    world.run(SECOND);
    (world, node, attacker, victim, party)
}

#[test]
fn d9_an_offer_of_the_wrong_party_is_dropped() {
    let (mut world, node, attacker, victim, _) = scene();
    deliver(&mut world, node, &attacker, &victim, &offer(DiscoveryKey([3; 32]), 1, 0, SDP));
    world.run(SECOND);
    assert_eq!(world.nodes[node].peer.stats().unopened, 1);
    assert_eq!(world.nodes[node].events.iter().filter(|e| format!("{e:?}").contains("Link")).count(), 0);
}

#[test]
fn d9_signals_of_an_unknown_session_are_dropped() {
    let (mut world, node, attacker, victim, party) = scene();
    deliver(&mut world, node, &attacker, &victim, &candidates(party, 5));
    let answer = Sealed::Signal {
        discovery: party,
        session: SessionId([5; 16]),
        generation: 0,
        signal: Signal::Answer { sdp: Text::new(SDP).unwrap(), candidates: List::default() },
    };
    deliver(&mut world, node, &attacker, &victim, &answer);
    let refuse = Sealed::Signal {
        discovery: party,
        session: SessionId([5; 16]),
        generation: 0,
        signal: Signal::Refuse { reason: Refusal::Full },
    };
    deliver(&mut world, node, &attacker, &victim, &refuse);
    assert_eq!(world.nodes[node].peer.stats().unopened, 3);
}

#[test]
fn d9_an_envelope_for_somebody_else_is_dropped() {
    let (mut world, node, attacker, _, party) = scene();
    deliver(&mut world, node, &attacker, &keys(40), &offer(party, 1, 0, SDP));
    assert_eq!(world.nodes[node].peer.stats().unopened, 1);
}

#[test]
fn a_session_is_never_accepted_twice() {
    let (mut world, node, attacker, victim, party) = scene();
    let opened = |world: &World| world.count(node, |e| format!("{e:?}").contains("Connecting"));
    let before = opened(&world);
    deliver(&mut world, node, &attacker, &victim, &offer(party, 1, 0, SDP));
    assert_eq!(opened(&world), before + 1);
    world.run(SECOND * 15);
    deliver(&mut world, node, &attacker, &victim, &offer(party, 1, 0, SDP));
    assert_eq!(opened(&world), before + 1, "a replayed offer opened a connection");
}

#[test]
fn a_malformed_description_costs_a_failed_link_and_no_more() {
    let (mut world, node, attacker, victim, party) = scene();
    for (session, sdp) in [(1, ""), (2, "nonsense"), (3, "a=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11\r\n")]
    {
        deliver(&mut world, node, &attacker, &victim, &offer(party, session, 0, sdp));
        world.run(SECOND);
    }
    let other = world.add(&[0]);
    world.join(other, "p");
    assert!(world.run_until(SECOND * 3, |w| w.linked(node, other)).is_some());
}

#[test]
fn d9_a_candidate_that_comes_before_its_description_is_buffered() {
    // The victim has the lower id here: it offers, and gets the other side's candidate before the answer.
    let (victim, other) = low_and_high();
    let config = Config { signalers: vec!["ws://0".into()], ..Config::default() };
    let mut peer = Peer::new(config, victim.clone(), [1; 32], START);
    let party = Party::open("p");
    peer.command(START, weft_peer_core::Command::Join { party: party.clone() }).unwrap();
    let home = HomeIndex(0);
    peer.handle(START, Input::SignalerOpened { home });
    let signaler = weft_crypto::SignalerKey::new(&Seed::new([7; 32]));
    let nonce = Nonce([1; 32]);
    let challenge = encode(&FromSignaler::Challenge { signaler: signaler.id(), nonce });
    peer.handle(START, Input::SignalerFrame { home, bytes: &challenge });
    let mut theirs = None;
    while let Some(output) = peer.poll() {
        if let Output::SignalerFrame { bytes, .. } = output
            && let Ok(weft_wire::signaler::ToSignaler::Authenticate { nonce, .. }) =
                weft_wire::decode(&bytes, weft_wire::limits::FRAME)
        {
            theirs = Some(nonce);
        }
    }
    let signature =
        weft_crypto::challenge::answer_as_signaler(&signaler, victim.peer.id(), &nonce, &theirs.unwrap());
    let welcome = encode(&FromSignaler::Welcome {
        signature,
        ttl_ms: 120_000,
        keepalive_ms: 18_000,
        max_frame: 1,
        max_swarms: 1,
        now_ms: 0,
    });
    peer.handle(START, Input::SignalerFrame { home, bytes: &welcome });
    let entry = weft_crypto::statement::sign_entry(
        &other.peer,
        &weft_wire::Entry {
            discovery: party.discovery(),
            peer: other.peer.id(),
            home: SignalerId(signaler.id().0),
            agreement: other.peer.agreement(),
            seq: 1,
            since: 1,
            until: u64::MAX,
            left: false,
        },
    );
    peer.handle(
        START,
        Input::SignalerFrame { home, bytes: &encode(&FromSignaler::Joined { entry: &entry }) },
    );
    let mut link = None;
    while let Some(output) = peer.poll() {
        if let Output::OpenLink { link: opened, offer } = output {
            assert!(offer);
            link = Some(opened);
        }
    }
    let link: LinkId = link.expect("the lower side offers");
    peer.handle(START, Input::LocalDescription { link, sdp: SDP.into() });
    let later = START + Duration::from_millis(50);
    peer.handle(later, Input::Timeout);
    let mut session = None;
    while let Some(output) = peer.poll() {
        if let Output::SignalerFrame { bytes, .. } = output
            && let Ok(weft_wire::signaler::ToSignaler::Forward { envelope, .. }) =
                weft_wire::decode(&bytes, weft_wire::limits::FRAME)
        {
            let opened = envelope::open(&other.peer, envelope).unwrap();
            if let Sealed::Signal { session: id, .. } = weft_wire::decode(&opened.body, 100_000).unwrap() {
                session = Some(id);
            }
        }
    }
    let session = session.expect("an offer was sent");
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut say = |peer: &mut Peer, signal: Signal| {
        let contents = Sealed::Signal { discovery: party.discovery(), session, generation: 0, signal };
        let sealed = envelope::seal(
            &mut rng,
            &other.peer,
            victim.peer.id(),
            &victim.peer.agreement(),
            &encode(&contents),
        )
        .unwrap();
        let frame = encode(&FromSignaler::Deliver { envelope: &sealed });
        peer.handle(later, Input::SignalerFrame { home, bytes: &frame });
        let mut steps = Vec::new();
        while let Some(output) = peer.poll() {
            match output {
                Output::AcceptAnswer { .. } => steps.push("answer"),
                Output::AddCandidate { .. } => steps.push("candidate"),
                _ => {}
            }
        }
        steps
    };
    let candidate = Candidate { candidate: Text::new("candidate:early").unwrap(), mid: None, index: Some(0) };
    let early = Signal::Candidates { candidates: List::first([candidate.clone()]) };
    assert_eq!(say(&mut peer, early), Vec::<&str>::new());
    let answer = Signal::Answer { sdp: Text::new(SDP).unwrap(), candidates: List::first([candidate]) };
    assert_eq!(say(&mut peer, answer), ["answer", "candidate"], "once, after the description");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_from_a_signaler_or_a_neighbour_make_it_panic(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
        flips in proptest::collection::vec((any::<u16>(), 0..8_u8), 1..20),
    ) {
        let mut world = World::new(1, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        for (frame, (at, bit)) in frames.iter().zip(flips.iter().cycle()) {
            world.input(a, Input::SignalerFrame { home: HomeIndex(0), bytes: frame });
            world.input(a, Input::ChannelMessage { link: LinkId(1), bytes: frame });
            let mut entry = encode(&FromSignaler::Joined { entry: frame });
            let at = usize::from(*at) % entry.len();
            entry[at] ^= 1 << bit;
            world.input(a, Input::SignalerFrame { home: HomeIndex(0), bytes: &entry });
            world.run(SECOND);
        }
        let _ = party;
        world.run(SECOND * 90);
        let c = world.add(&[0]);
        world.join(c, "p");
        prop_assert!(world.run_until(SECOND * 20, |w| w.linked(a, c)).is_some());
    }
}

/// Anybody can sign a record that some peer is theirs. It must not be believed, nor its honest owner be accused.
#[test]
fn q12_a_record_that_claims_the_feed_of_another_changes_nothing() {
    let mut world = World::new(1, 1);
    let (author, reader) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(author, "p");
    world.join(reader, "p");
    let everything =
        world.subscribe(reader, party, &object(vec![("n", object(vec![("$gt", Value::Int(0))]))]), false);
    world.run_until(SECOND * 3, |w| w.linked(author, reader)).unwrap();
    world.publish(author, party, 1);
    world.run(SECOND);
    let thief = world.add(&[0]);
    world.join(thief, "p");
    world.run_until(SECOND * 3, |w| w.linked(thief, reader)).unwrap();
    let link = world.link_of(reader);

    let other = keys(70);
    let claim = PeerRecord {
        identity: other.identity.id(),
        peer: world.id(author),
        agreement: other.peer.agreement(),
        name: Text::new("thief").unwrap(),
        issued: world.now.millis() + 60_000,
        until: world.now.millis() + 600_000,
        sessions: None,
    };
    let record = statement::sign_record(&other.identity, &claim);
    let entries = List::first([BundleEntry { time: world.now.millis(), body: vec![0xa0] }]);
    let none = PublicationId([0; 32]);
    let (mut bundle, _) =
        publication::sign_bundle(&other.peer, party, other.identity.id(), u64::MAX / 2, none, entries);
    bundle.feed = world.id(author);
    let frame =
        Frame::Publish { hops: 0, age_ms: 0, record: Some(&record), bundle: &encode(&bundle), from: None };
    world.input(reader, Input::ChannelMessage { link, bytes: &one_chunk(&frame) });
    world.run(SECOND);
    assert!(!world.linked(thief, reader), "who sent it has lost the link");

    world.publish(author, party, 2);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(reader, everything), [1, 2]);
    assert!(world.linked(author, reader), "the author is not to blame");
}
