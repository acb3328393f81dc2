//! The federation's members: found from one address, kept over restarts, given up when dead; and what liars can do.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_crypto::challenge::prove_to_sibling;
use weft_crypto::statement::{open_card, sign_card};
use weft_crypto::{Seed, SignalerKey};
use weft_signaler_core::{Config, ConnId, DialId, Input, Origin, Output, SiblingConfig, Signaler};
use weft_wire::cbor::{Decode as _, Decoder};
use weft_wire::gossip::{GossipHead, Life, Said, Standing, Update};
use weft_wire::sibling::Sibling;
use weft_wire::{Bytes, Card, Code, List, Nonce, SignalerId, Text, Time, decode, encode, limits};
use world::{World, millis, signaler_key, star, star_config as open, swarm};

fn linked(world: &World, at: usize) -> BTreeSet<SignalerId> {
    let siblings = world.signaler(at).gauges().siblings;
    siblings.into_iter().filter(|sibling| sibling.up).filter_map(|sibling| sibling.id).collect()
}

fn active(signaler: &Signaler) -> BTreeSet<SignalerId> {
    signaler.gauges().members.into_iter().filter(|member| member.active).map(|member| member.id).collect()
}

fn others(world: &World, at: usize, among: impl IntoIterator<Item = usize>) -> BTreeSet<SignalerId> {
    among.into_iter().filter(|other| *other != at).map(|other| world.id(other)).collect()
}

fn assert_complete(world: &World, among: &[usize]) {
    for at in among {
        let all = others(world, *at, among.iter().copied());
        assert_eq!(linked(world, *at), all, "links of {at}");
        assert_eq!(active(world.signaler(*at)), all, "members that {at} knows");
    }
}

fn kept(world: &World, at: usize) -> Vec<Vec<u8>> {
    world.cards.iter().filter(|((whose, _), _)| *whose == at).map(|(_, card)| card.clone()).collect()
}

#[test]
fn c1_one_address_leads_to_all() {
    let mut world = star(8);
    world.pass(millis(5_000));
    assert_complete(&world, &[0, 1, 2, 3, 4, 5, 6, 7]);
    // And stays so, without links that come and go.
    let events = world.events.len();
    world.pass(millis(600_000));
    assert_complete(&world, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(world.events.len(), events, "{:?}", &world.events[events..]);
}

#[test]
fn c1_the_list_survives_a_restart_when_the_one_address_is_dead() {
    let mut world = star(4);
    world.pass(millis(5_000));
    world.kill(0);
    world.kill(3);
    world.pass(millis(30_000));
    assert_complete(&world, &[1, 2]);
    // All that it was ever told is the address of the first, which is gone.
    let config = Config { cards: kept(&world, 3), ..open(3, &[0]) };
    world.restart(3, config);
    world.pass(millis(5_000));
    assert_complete(&world, &[1, 2, 3]);
}

#[test]
fn c1_a_dead_signaler_leaves_the_list_everywhere_and_is_forgotten() {
    let mut world = star(6);
    world.pass(millis(5_000));
    let dead = world.id(2);
    world.kill(2);
    // Six seconds of suspicion and probes, a few until somebody asks it.
    world.pass(millis(15_000));
    assert_complete(&world, &[0, 1, 3, 4, 5]);
    for at in [0, 1, 3, 4, 5] {
        assert!(world.signaler(at).gauges().members.iter().any(|member| member.id == dead && !member.active));
        assert!(world.cards.contains_key(&(at, dead)));
    }
    world.pass(millis(3_600_000));
    for at in [0, 1, 3, 4, 5] {
        assert!(world.signaler(at).gauges().members.iter().all(|member| member.id != dead));
        assert!(!world.cards.contains_key(&(at, dead)));
    }
    // Forgotten is not banned.
    world.restart(2, open(2, &[5]));
    world.pass(millis(10_000));
    assert_complete(&world, &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_signaler_that_stops_leaves_the_list_at_once() {
    let mut world = star(5);
    world.pass(millis(5_000));
    world.shutdown(4);
    world.pass(millis(10));
    for at in 0..4 {
        assert_eq!(active(world.signaler(at)), others(&world, at, 0..4));
    }
}

#[test]
fn who_stops_right_away_still_stores_what_it_learned() {
    let mut world = star(3);
    world.pass(millis(500));
    assert!(kept(&world, 1).is_empty());
    world.shutdown(1);
    let stored: BTreeSet<SignalerId> =
        kept(&world, 1).iter().map(|card| open_card(card).unwrap().signaler).collect();
    assert_eq!(stored, (0..3).map(|at| world.id(at)).collect());
}

#[test]
fn a_signaler_that_comes_back_under_another_url_is_called_there() {
    let mut world = star(3);
    world.pass(millis(5_000));
    world.kill(2);
    world.pass(millis(1_000));
    world.urls[2] = "ws://elsewhere".into();
    let config = Config { public_url: Some("ws://elsewhere".into()), ..open(2, &[0]) };
    world.restart(2, config);
    world.pass(millis(5_000));
    assert_complete(&world, &[0, 1, 2]);
    let told = world.signaler(1).gauges().members;
    assert!(told.iter().any(|member| member.url.as_deref() == Some("ws://elsewhere")), "{told:?}");
}

#[test]
fn halves_of_a_federation_find_each_other_again() {
    let mut world = star(6);
    world.pass(millis(5_000));
    for one in 0..3 {
        for other in 3..6 {
            world.cut.insert((one, other));
        }
    }
    world.pass(millis(120_000));
    assert_complete(&world, &[0, 1, 2]);
    assert_complete(&world, &[3, 4, 5]);
    world.cut.clear();
    // They are called every minute at the latest.
    world.pass(millis(90_000));
    assert_complete(&world, &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn two_that_were_cut_for_less_than_their_link_takes_to_be_lost_find_each_other_again() {
    for cut in [3_000, 8_000, 20_000, 35_000] {
        let mut world = star(2);
        world.pass(millis(5_000));
        world.cut.insert((0, 1));
        world.pass(millis(cut));
        world.cut.clear();
        // Some rounds of announces and new lives, five seconds each, or a call.
        world.pass(millis(60_000));
        assert_complete(&world, &[0, 1]);
    }
}

#[test]
fn while_one_link_is_cut_the_others_vouch_for_both_ends() {
    let mut world = star(4);
    world.pass(millis(5_000));
    world.cut.insert((1, 2));
    world.pass(millis(300_000));
    for at in 0..4 {
        assert_eq!(active(world.signaler(at)), others(&world, at, 0..4), "members that {at} knows");
    }
    assert!(!linked(&world, 1).contains(&world.id(2)));
    world.cut.clear();
    world.pass(millis(61_000));
    assert_complete(&world, &[0, 1, 2, 3]);
}

#[test]
fn who_is_not_admitted_leaves_no_trace() {
    let names = |at: usize, url: bool| SiblingConfig {
        id: Some(signaler_key(at).id()),
        url: url.then(|| format!("ws://{at}")),
        pinned: None,
    };
    let config = |at: usize, siblings| Config { siblings, open: false, ..open(at, &[]) };
    // The one in the middle admits both others; those admit nobody else.
    let mut world = World::of(vec![
        config(0, vec![names(1, true)]),
        config(1, vec![names(0, false), names(2, false)]),
        config(2, vec![names(1, true)]),
    ]);
    world.pass(millis(60_000));
    assert_eq!(linked(&world, 1), others(&world, 1, 0..3));
    for (at, stranger) in [(0, 2), (2, 0)] {
        assert_eq!(active(world.signaler(at)), others(&world, at, [1]));
        assert!(!world.cards.contains_key(&(at, world.id(stranger))));
        assert_eq!(world.sibling_frames.get(&(at, stranger)), None, "it was not even called");
    }
}

#[test]
fn a_name_without_an_address_is_enough_for_who_is_found_through_others() {
    let names = |at: usize, url: bool| SiblingConfig {
        id: Some(signaler_key(at).id()),
        url: url.then(|| format!("ws://{at}")),
        pinned: None,
    };
    let all = |at: usize| (0..4).filter(|other| *other != at).map(|other| names(other, other == 0)).collect();
    let config = |at: usize| Config { siblings: all(at), open: false, ..open(at, &[]) };
    let mut world = World::of((0..4).map(config).collect());
    world.pass(millis(5_000));
    assert_complete(&world, &[0, 1, 2, 3]);
}

#[test]
fn addresses_of_the_machine_itself_are_called_only_on_that_machine() {
    let at = |n: usize, url: &str, call: &[usize]| Config { public_url: Some(url.into()), ..open(n, call) };
    let mut world =
        World::of(vec![at(0, "ws://0", &[]), at(1, "ws://127.0.0.1:8190", &[0]), at(2, "ws://2", &[0])]);
    world.urls[1] = "ws://127.0.0.1:8190".into();
    world.pass(millis(60_000));
    // It calls the third one, which does not call its own machine.
    assert_complete(&world, &[0, 1, 2]);
    world.kill(0);
    world.pass(millis(120_000));
    let calls = |from: usize, to: usize| world.sibling_frames.get(&(from, to)).copied().unwrap_or(0);
    assert!(calls(1, 2) > 0 && calls(2, 1) > 0);
    assert_complete(&world, &[1, 2]);
}

#[test]
fn c1_a_peer_is_told_of_all_signalers_and_of_changes() {
    let mut world = star(3);
    world.pass(millis(5_000));
    let client = world.client(1, 1);
    let all = |world: &World| (0..3).map(|at| (world.id(at), Some(format!("ws://{at}")))).collect();
    assert_eq!(world.told[&client], all(&world));
    world.kill(2);
    world.pass(millis(15_000));
    world.announce(client, swarm(1));
    assert_eq!(world.told[&client].len(), 2);
    // Alone, there is nothing to tell.
    let mut alone = World::linked(1, &[]);
    let client = alone.client(0, 1);
    alone.announce(client, swarm(1));
    assert!(alone.told.is_empty());
}

#[test]
fn c2_everybody_computes_the_same_residences() {
    let mut world = star(7);
    world.pass(millis(5_000));
    let mut all = BTreeSet::new();
    for n in 0..200_u8 {
        let residences: BTreeSet<Vec<SignalerId>> =
            (0..7).map(|at| world.signaler(at).residence(&[n; 32])).collect();
        assert_eq!(residences.len(), 1);
        all.extend(residences.into_iter().flatten());
    }
    assert_eq!(all.len(), 7);
}

#[test]
fn an_entry_is_told_once_to_each_of_those_that_keep_it() {
    let mut world = star(8);
    // Then what changed has settled.
    world.pass(millis(12_000));
    let client = world.client(3, 1);
    world.pass(millis(20));
    // No ping is due in the few milliseconds that follow: what is counted is the entry.
    let before: usize = world.sibling_frames.values().sum();
    world.announce(client, swarm(1));
    world.pass(millis(20));
    let frames = world.sibling_frames.values().sum::<usize>() - before;
    // A home that keeps it itself tells two others. One that does not tells three, asks each of them and hears from each.
    let keeps = world.signaler(3).residence(&swarm(1).0).contains(&world.id(3));
    assert_eq!(frames, if keeps { 2 } else { 9 });
}

/// A signaler that a test speaks for, frame by frame, linked with a true one.
struct ByHand {
    key: SignalerKey,
    conn: ConnId,
    life: Life,
    /// Of the true one.
    theirs: Card,
    got: Vec<Vec<u8>>,
    closed: Option<Code>,
}

const START: Time = Time::from_millis(1_700_000_000_000);

fn key(n: u16) -> SignalerKey {
    let mut seed = [77; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SignalerKey::new(&Seed::new(seed))
}

fn card(key: &SignalerKey, since: u64) -> Vec<u8> {
    let url = Text::new("ws://nowhere.example:8190");
    sign_card(key, &Card { signaler: key.id(), since, url, version: 1 })
}

fn hear(signaler: &mut Signaler, hands: &mut [ByHand]) {
    while let Some(output) = signaler.poll() {
        match output {
            Output::Send { conn, frame } => {
                for hand in hands.iter_mut().filter(|hand| hand.conn == conn) {
                    hand.got.push(frame.to_vec());
                }
            }
            Output::Close { conn, code } => {
                for hand in hands.iter_mut().filter(|hand| hand.conn == conn) {
                    hand.closed = Some(code);
                }
            }
            _ => {}
        }
    }
}

impl ByHand {
    /// Linked; with a card it takes part, without it is of the version before.
    fn link(signaler: &mut Signaler, n: u16, with_card: bool) -> Self {
        let key = key(n);
        let life = Life { signaler: key.id(), since: 1_000 };
        let theirs = Card { signaler: signaler.id(), since: 0, url: None, version: 0 };
        let mut hand = Self { key, conn: ConnId(u64::from(n)), life, theirs, got: Vec::new(), closed: None };
        signaler.handle(START, Input::Connected { conn: hand.conn, origin: Origin::Sibling });
        hear(signaler, std::slice::from_mut(&mut hand));
        let challenge = hand.got.remove(0);
        let Ok(Sibling::Challenge { signaler: id, nonce }) = decode(&challenge, limits::FRAME) else {
            panic!()
        };
        let ours = Nonce([3; 32]);
        hand.say(signaler, &Sibling::Challenge { signaler: hand.key.id(), nonce: ours });
        let signature = prove_to_sibling(&hand.key, id, &ours, &nonce);
        hand.say(signaler, &Sibling::Prove { signature });
        let admitted = hand.got.pop().unwrap();
        let Ok(Sibling::Admitted { card: Some(theirs), .. }) = decode(&admitted, limits::FRAME) else {
            panic!()
        };
        hand.theirs = open_card(&theirs.0).unwrap();
        let own = with_card.then(|| Bytes(card(&hand.key, hand.life.since)));
        hand.got.clear();
        hand.say(signaler, &Sibling::Admitted { url: None, card: own });
        hand
    }

    fn say(&mut self, signaler: &mut Signaler, frame: &Sibling<'_>) {
        signaler.handle(START, Input::Frame { conn: self.conn, bytes: &encode(frame) });
        hear(signaler, std::slice::from_mut(self));
    }

    fn head(&self, said: Said) -> GossipHead {
        let to = Life { signaler: self.theirs.signaler, since: self.theirs.since };
        GossipHead { from: Bytes(card(&self.key, self.life.since)), incarnation: 0, to, said }
    }

    fn packet(&self, said: Said, updates: &[Update]) -> Vec<u8> {
        let mut packet = encode(&self.head(said));
        packet.extend(u16::try_from(updates.len()).unwrap().to_be_bytes());
        for update in updates {
            packet.extend(encode(update));
        }
        packet
    }

    fn gossip(&mut self, signaler: &mut Signaler, updates: &[Update]) {
        let packet = self.packet(Said::News, updates);
        self.say(signaler, &Sibling::Gossip { packet: &packet });
    }

    /// Heads of the packets that it got.
    fn heads(&self) -> Vec<GossipHead> {
        let heads = self.got.iter().filter_map(|frame| match decode(frame, limits::FRAME) {
            Ok(Sibling::Gossip { packet }) => GossipHead::decode(&mut Decoder::new(packet), &mut ()).ok(),
            _ => None,
        });
        heads.collect()
    }

    fn errors(&self) -> Vec<Code> {
        let codes = self.got.iter().filter_map(|frame| match decode(frame, limits::FRAME) {
            Ok(Sibling::Error { code, .. }) => Some(code),
            _ => None,
        });
        codes.collect()
    }
}

fn about(card: Vec<u8>, standing: Standing) -> Update {
    Update { card: Bytes(card), incarnation: 0, standing }
}

fn lone() -> Signaler {
    Signaler::new(Config { open: true, ..Config::default() }, signaler_key(0), [1; 32], START)
}

#[test]
fn a_sibling_of_the_version_before_works_without_gossip() {
    let mut signaler = lone();
    let mut old = ByHand::link(&mut signaler, 1, false);
    old.say(&mut signaler, &Sibling::Ping { token: 4 });
    old.say(&mut signaler, &Sibling::Entries { entries: List::default(), ring: None });
    signaler.handle(START + millis(30_000), Input::Tick);
    hear(&mut signaler, std::slice::from_mut(&mut old));
    assert!(old.got.contains(&encode(&Sibling::Pong { token: 4 })));
    assert!(old.heads().is_empty());
    let gauges = signaler.gauges();
    assert_eq!((gauges.siblings.len(), gauges.siblings[0].up), (1, true));
    assert!(gauges.members.is_empty(), "it takes no part in placement");
}

#[test]
fn nobody_speaks_for_somebody_else() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, true);
    let head = GossipHead { from: Bytes(card(&key(2), 1_000)), ..liar.head(Said::News) };
    liar.say(&mut signaler, &Sibling::Gossip { packet: &encode(&head) });
    assert_eq!(liar.errors(), [Code::WrongParty]);
    // Signed by the liar, about somebody else.
    let made_up = Card { signaler: key(2).id(), since: 5, url: None, version: 1 };
    liar.gossip(&mut signaler, &[about(sign_card(&liar.key, &made_up), Standing::Alive)]);
    assert_eq!(liar.errors(), [Code::WrongParty, Code::BadSignature]);
    assert_eq!(active(&signaler), BTreeSet::from([liar.key.id()]));
    liar.say(&mut signaler, &Sibling::Gossip { packet: b"\xff" });
    assert_eq!(liar.closed, Some(Code::BadFrame), "three strikes");
}

#[test]
fn a_card_that_is_not_its_senders_is_refused_and_the_link_goes_on() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, false);
    liar.say(&mut signaler, &Sibling::Admitted { url: None, card: Some(Bytes(card(&key(2), 1))) });
    assert!(active(&signaler).is_empty());
    let mut other = ByHand::link(&mut signaler, 3, true);
    other.gossip(&mut signaler, &[]);
    assert_eq!(active(&signaler), BTreeSet::from([other.key.id()]));
}

#[test]
fn rumours_about_a_linked_member_have_no_effect_and_its_own_word_has() {
    let mut signaler = lone();
    let honest = ByHand::link(&mut signaler, 1, true);
    let mut liar = ByHand::link(&mut signaler, 2, true);
    let both = BTreeSet::from([honest.key.id(), liar.key.id()]);
    for standing in [Standing::Suspect, Standing::Down] {
        liar.gossip(&mut signaler, &[about(card(&honest.key, honest.life.since), standing)]);
        assert_eq!(active(&signaler), both);
    }
    // An older life is no news either.
    liar.gossip(&mut signaler, &[about(card(&honest.key, honest.life.since - 1), Standing::Down)]);
    assert_eq!(active(&signaler), both);
    let own = about(card(&liar.key, liar.life.since), Standing::Down);
    liar.gossip(&mut signaler, &[own]);
    assert_eq!(active(&signaler), BTreeSet::from([honest.key.id()]));
    assert!(liar.errors().is_empty());
}

#[test]
fn who_declares_us_dead_gets_one_new_life_for_it_not_one_each_time() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, true);
    let since = liar.theirs.since;
    let lives = |liar: &ByHand| -> BTreeSet<u64> {
        liar.heads().iter().map(|head| open_card(&head.from.0).unwrap().since).collect()
    };
    for _ in 0..100 {
        let down = encode(&liar.head(Said::YouAreDown));
        liar.say(&mut signaler, &Sibling::Gossip { packet: &down });
        // Whichever life it has now.
        liar.theirs.since = lives(&liar).last().copied().unwrap_or(since);
    }
    assert_eq!(lives(&liar).into_iter().filter(|life| *life > since).count(), 1);
    assert_eq!(active(&signaler), BTreeSet::from([liar.key.id()]), "and goes on believing what it knows");
    // After a while it begins another one.
    signaler.handle(START + millis(6_000), Input::Tick);
    hear(&mut signaler, std::slice::from_mut(&mut liar));
    assert_eq!(lives(&liar).into_iter().filter(|life| *life > since).count(), 2);
}

#[test]
fn two_that_have_declared_each_other_dead_do_not_go_on_telling_each_other_so() {
    let mut signaler = lone();
    let mut other = ByHand::link(&mut signaler, 1, true);
    let own = about(card(&other.key, other.life.since), Standing::Down);
    other.gossip(&mut signaler, &[own]);
    for _ in 0..50 {
        let down = encode(&other.head(Said::YouAreDown));
        other.say(&mut signaler, &Sibling::Gossip { packet: &down });
        let last = other.heads().last().map(|head| open_card(&head.from.0).unwrap().since);
        other.theirs.since = last.unwrap_or(other.theirs.since).max(other.theirs.since);
    }
    // Nobody is there to gossip with, so the new life is seen in what is said to this one.
    other.theirs.since = other.theirs.since.max(START.millis() + 1);
    for _ in 0..50 {
        let down = encode(&other.head(Said::YouAreDown));
        other.say(&mut signaler, &Sibling::Gossip { packet: &down });
    }
    let told = other.heads().into_iter().filter(|head| head.said == Said::YouAreDown).count();
    assert!(told <= 3, "{told} answers to 100");
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_signaler_out() {
    let mut signaler = lone();
    let mut hand = ByHand::link(&mut signaler, 1, true);
    let later = START.millis() + 1_000_000;
    hand.gossip(&mut signaler, &[about(card(&signaler_key(0), later), Standing::Alive)]);
    let lives = hand.heads().iter().map(|head| open_card(&head.from.0).unwrap().since).max();
    assert_eq!(lives, Some(later + 1));
    // And what it stored says the same after a restart.
    let stored = card(&signaler_key(0), later);
    let config = Config { open: true, cards: vec![stored], ..Config::default() };
    let mut again = Signaler::new(config, signaler_key(0), [1; 32], START);
    assert_eq!(ByHand::link(&mut again, 1, true).theirs.since, later + 1);
}

#[test]
fn made_up_members_fill_no_more_than_their_bound() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, true);
    for portion in 0..4_u16 {
        let made_up: Vec<Update> =
            (0..150).map(|n| about(card(&key(1_000 + portion * 150 + n), 1), Standing::Alive)).collect();
        liar.gossip(&mut signaler, &made_up);
    }
    assert_eq!(signaler.gauges().members.len(), limits::MEMBERS);
    assert!(liar.errors().is_empty());
    // Who is known already still has its place, and the link of one more works without.
    liar.gossip(&mut signaler, &[about(card(&liar.key, liar.life.since), Standing::Down)]);
    assert!(!active(&signaler).contains(&liar.key.id()));
    let last = ByHand::link(&mut signaler, 2, true);
    assert!(!active(&signaler).contains(&last.key.id()));
    assert!(signaler.gauges().siblings.iter().any(|sibling| sibling.id == Some(last.key.id()) && sibling.up));
}

#[test]
fn no_more_siblings_are_believed_about_their_links_than_a_federation_has_members() {
    let mut signaler = lone();
    let count = u16::try_from(limits::MEMBERS).unwrap() + 3;
    let mut hands: Vec<ByHand> = (1..=count).map(|n| ByHand::link(&mut signaler, n, true)).collect();
    let nobody = Sibling::Linked { siblings: List::default() };
    for hand in &mut hands {
        hand.say(&mut signaler, &nobody);
    }
    // And this one itself.
    assert_eq!(signaler.linked().told_by.len(), limits::MEMBERS + 1);
    assert_eq!(signaler.counters().refused_links, 3);
    // Who is believed still is, and one that goes makes room.
    let (first, last) = (hands.remove(0), hands.last_mut().unwrap());
    signaler.handle(START, Input::Closed { conn: first.conn });
    last.say(&mut signaler, &Sibling::Linked { siblings: List::first([signaler_key(0).id()]) });
    last.say(&mut signaler, &nobody);
    let told_by = signaler.linked().told_by;
    assert!(told_by.contains(&last.key.id()) && !told_by.contains(&first.key.id()));
    assert_eq!(signaler.counters().refused_links, 3);
}

#[test]
fn our_links_are_told_to_siblings_with_a_card_and_to_no_others() {
    let mut signaler = lone();
    let mut hands: Vec<ByHand> = (1..=2).map(|n| ByHand::link(&mut signaler, n, n == 1)).collect();
    signaler.handle(START + millis(5), Input::Tick);
    hear(&mut signaler, &mut hands);
    let all = BTreeSet::from([1, 2].map(|n| key(n).id()));
    let told = hands.iter().map(|hand| {
        let frames = hand.got.iter().filter_map(|frame| match decode(frame, limits::FRAME) {
            Ok(Sibling::Linked { siblings }) => Some(siblings.into_iter().collect::<BTreeSet<_>>()),
            _ => None,
        });
        frames.collect::<Vec<_>>()
    });
    assert_eq!(told.collect::<Vec<_>>(), [vec![all], vec![]]);
}

#[test]
fn of_a_stranger_that_is_dead_nothing_is_kept() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, true);
    liar.gossip(&mut signaler, &[about(card(&key(2), 1), Standing::Down)]);
    assert!(!active(&signaler).contains(&key(2).id()));
    // Else this life of it would be over.
    liar.gossip(&mut signaler, &[about(card(&key(2), 1), Standing::Alive)]);
    assert!(active(&signaler).contains(&key(2).id()));
}

#[test]
fn packets_that_are_too_large_or_too_many_updates_are_refused() {
    let mut signaler = lone();
    let mut liar = ByHand::link(&mut signaler, 1, true);
    let mut large = encode(&liar.head(Said::News));
    large.resize(limits::GOSSIP + 1, 0);
    liar.say(&mut signaler, &Sibling::Gossip { packet: &large });
    let mut many = encode(&liar.head(Said::News));
    many.extend(u16::MAX.to_be_bytes());
    liar.say(&mut signaler, &Sibling::Gossip { packet: &many });
    assert_eq!(liar.errors(), [Code::TooLarge, Code::TooLarge]);
}

#[test]
fn stored_cards_that_are_damaged_are_left_out() {
    let mut damaged = card(&key(5), 1);
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    let cards = vec![damaged, b"nothing".to_vec(), card(&key(6), 1)];
    let config = Config { open: true, public_url: Some("ws://here".into()), cards, ..Config::default() };
    let mut signaler = Signaler::new(config, signaler_key(0), [1; 32], START);
    let known: Vec<SignalerId> = signaler.gauges().members.iter().map(|member| member.id).collect();
    assert_eq!(known, [key(6).id()]);
    signaler.handle(START + millis(1_000), Input::Tick);
    let dials: Vec<DialId> = std::iter::from_fn(|| signaler.poll())
        .filter_map(|output| if let Output::Dial { dial, .. } = output { Some(dial) } else { None })
        .collect();
    assert_eq!(dials.len(), 1);
}

/// Five signalers that are killed, stopped, started again, cut off and healed; at the end all run and nothing is cut.
fn story(steps: &[(u8, usize, usize)]) -> World {
    let mut world = star(5);
    let restart = |world: &mut World, at: usize| {
        let call = if at == 0 { vec![] } else { vec![0] };
        let config = Config { cards: kept(world, at), ..open(at, &call) };
        world.restart(at, config);
    };
    for (what, one, other) in steps.iter().copied() {
        match what {
            0 if world.signalers[one].is_some() => world.kill(one),
            1 if world.signalers[one].is_some() => world.shutdown(one),
            0 | 1 => restart(&mut world, one),
            2 if one != other => _ = world.cut.insert((one, other)),
            3 => world.cut.clear(),
            _ => world.pass(millis(1 + 700 * u64::from(what) * (1 + one as u64) * (1 + other as u64))),
        }
    }
    world.cut.clear();
    for at in 0..5 {
        if world.signalers[at].is_none() {
            restart(&mut world, at);
        }
    }
    world
}

fn frames(world: &World) -> usize {
    world.sibling_frames.values().sum()
}

/// What the property below found: a sibling that was called under its configured and under its learned address at once, and
/// one timer more to call it each time that the one link replaced the other.
#[test]
fn two_addresses_of_one_sibling_do_not_go_on_replacing_each_others_links() {
    #[rustfmt::skip]
    let steps = [
        (2, 1, 3), (4, 0, 1), (3, 2, 2), (1, 2, 0), (0, 2, 1), (2, 4, 4), (0, 2, 0), (0, 2, 4), (4, 3, 4), (0, 1, 0), (1, 4, 0),
        (1, 1, 3), (2, 0, 3), (2, 2, 4), (2, 0, 2), (2, 2, 1), (2, 2, 0), (4, 3, 0), (1, 1, 2), (5, 1, 2), (4, 4, 3), (2, 4, 1),
        (5, 1, 2), (5, 3, 4), (2, 0, 4), (3, 2, 3), (2, 0, 1), (1, 4, 2), (2, 4, 0), (1, 0, 1), (0, 1, 1), (3, 3, 4),
    ];
    let mut world = story(&steps);
    let before = frames(&world);
    world.pass(millis(105_000));
    assert_complete(&world, &[0, 1, 2, 3, 4]);
    assert!(frames(&world) - before < 5_000, "{}", frames(&world) - before);
}

#[test]
fn who_comes_back_before_its_old_link_is_missed_is_let_in_at_once() {
    // Whoever of the two dialled the old link, and whoever stays.
    for (dials, stays) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let called = [1 - dials];
        let calls = |at: usize| open(at, if at == dials { &called[..] } else { &[] });
        let mut world = World::of((0..2).map(calls).collect());
        world.pass(millis(15_000));
        let lost = 1 - stays;
        // As when the power fails: nobody hears of it.
        world.cut.insert((0, 1));
        world.shutdown(lost);
        world.cut.clear();
        world.kinds.clear();
        world.restart(lost, open(lost, &[stays]));
        world.pass(millis(2_000));
        assert_complete(&world, &[0, 1]);
        let challenges = world.kinds.get(&1).copied().unwrap_or_default();
        assert!(challenges <= 4, "two links at most, one from each side: {challenges}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_list_comes_out_right_whatever_happened(
        steps in prop::collection::vec((0..6_u8, 0..5_usize, 0..5_usize), 0..40),
    ) {
        let mut world = story(&steps);
        // The longest wait for a call, and what a false suspicion may still take.
        world.pass(millis(60_000 + 45_000));
        assert_complete(&world, &[0, 1, 2, 3, 4]);
        // Everything is quiet then: a ping a second each, with an answer, and the little that is asked each half minute, with a
        // summary over each link each way.
        let before = frames(&world);
        world.pass(millis(30_000));
        prop_assert!(frames(&world) - before <= 5 * 2 * 31 + 5 * 2 * 2 + 2 * 5 * 4, "{}", frames(&world) - before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn mutated_packets_never_panic(
        said in 0..10_usize,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
        late in 0..20_000_u64,
    ) {
        let mut signaler = lone();
        let mut hand = ByHand::link(&mut signaler, 1, true);
        let us = Life { signaler: hand.theirs.signaler, since: hand.theirs.since };
        let other = Life { signaler: key(2).id(), since: 1 };
        let said = [
            Said::Ping { number: 1 },
            Said::Ack { number: 1 },
            Said::AskPing { target: other, number: 1 },
            Said::PingFor { origin: us, number: 1 },
            Said::AckFor { target: other, number: 1 },
            Said::AckOf { origin: other, number: 1 },
            Said::Announce,
            Said::Feed,
            Said::News,
            Said::YouAreDown,
        ][said];
        let updates = [
            about(card(&key(2), 1), Standing::Alive),
            about(card(&key(3), 1), Standing::Suspect),
            about(card(&key(4), 1), Standing::Down),
        ];
        let mut packet = hand.packet(said, &updates);
        let place = at.index(packet.len());
        packet[place] = byte;
        packet.truncate(cut.index(packet.len()) + 1);
        hand.say(&mut signaler, &Sibling::Gossip { packet: &packet });
        signaler.handle(START + millis(late), Input::Tick);
        // It still serves others.
        let mut next = ByHand::link(&mut signaler, 9, true);
        next.say(&mut signaler, &Sibling::Ping { token: 4 });
        let pong = encode(&Sibling::Pong { token: 4 });
        prop_assert!(next.got.contains(&pong));
    }
}
