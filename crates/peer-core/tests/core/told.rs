//! Signalers that signalers told of: whom a peer calls, and whom it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use weft_crypto::{Seed, SignalerKey, challenge, statement};
use weft_peer_core::{Command, Config, HomeIndex, Input, Output, Peer, StoreDone, StoreRow, StoreWork};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Bytes, Card, DiscoveryKey, List, Nonce, Text, Time, decode, encode, limits};

use crate::disk::keys;
use crate::world::START;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const NONCE: Nonce = Nonce([7; 32]);

type Rows = BTreeMap<(DiscoveryKey, Vec<u8>), Vec<u8>>;

/// Where what was told is stored.
const STORED: DiscoveryKey = DiscoveryKey(*b"weft/v1/signalers-that-were-told");

/// One peer, and everything that it may call.
struct Town {
    now: Time,
    peer: Peer,
    signalers: BTreeMap<String, Signaler>,
    sockets: BTreeMap<HomeIndex, String>,
    /// With when.
    dialled: Vec<(Time, String)>,
    rows: Rows,
    reads: usize,
}

struct Signaler {
    key: SignalerKey,
    up: bool,
    /// What it tells whoever connects.
    tells: Vec<Vec<u8>>,
    /// It lets nobody stay.
    closes: bool,
}

fn key(n: u16) -> SignalerKey {
    let mut seed = [9; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SignalerKey::new(&Seed::new(seed))
}

fn url(n: u16) -> String {
    format!("ws://s{n}.example:{}", n + 1)
}

fn card_at(n: u16, url: &str, since: u64) -> Vec<u8> {
    let card = Card { signaler: key(n).id(), since, url: Text::new(url), version: 2 };
    statement::sign_card(&key(n), &card)
}

/// As an honest signaler has it.
fn card(n: u16) -> Vec<u8> {
    card_at(n, &url(n), 5)
}

fn cards(of: impl IntoIterator<Item = u16>) -> Vec<Vec<u8>> {
    of.into_iter().map(card).collect()
}

impl Town {
    fn new(configured: &[u16]) -> Self {
        Self::with(START, configured, Rows::new(), |_| {})
    }

    fn with(now: Time, configured: &[u16], rows: Rows, configure: impl FnOnce(&mut Config)) -> Self {
        let signalers = configured.iter().map(|n| url(*n)).collect();
        let mut config = Config { signalers, store: true, mail: false, ..Config::default() };
        configure(&mut config);
        let peer = Peer::new(config, keys(1), [3; 32], now);
        let (signalers, sockets, dialled) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { now, peer, signalers, sockets, dialled, rows, reads: 0 }
    }

    /// The same peer, killed and started again.
    fn restart(mut self, configured: &[u16], configure: impl FnOnce(&mut Config)) -> Self {
        let signalers = std::mem::take(&mut self.signalers);
        Self { signalers, ..Self::with(self.now, configured, self.rows, configure) }
    }

    fn add(&mut self, n: u16, tells: Vec<Vec<u8>>) {
        self.signalers.insert(url(n), Signaler { key: key(n), up: true, tells, closes: false });
    }

    /// A federation of so many that know each other.
    fn federate(&mut self, of: Range<u16>) {
        for n in of.clone() {
            self.add(n, cards(of.clone()));
        }
    }

    fn signaler(&mut self, n: u16) -> &mut Signaler {
        self.signalers.get_mut(&url(n)).expect("a signaler")
    }

    /// Ends, and all that are connected see it.
    fn kill(&mut self, n: u16) {
        self.signaler(n).up = false;
        for home in self.homes_at(&url(n)) {
            self.sockets.remove(&home);
            self.input(Input::SignalerClosed { home, reason: "gone".into() });
        }
    }

    /// A signaler tells something anew.
    fn tell(&mut self, n: u16, tells: Vec<Vec<u8>>) {
        self.signaler(n).tells = tells;
        for home in self.homes_at(&url(n)) {
            self.say_all(home);
        }
    }

    fn homes_at(&self, url: &str) -> Vec<HomeIndex> {
        self.sockets.iter().filter(|(_, at)| *at == url).map(|(home, _)| *home).collect()
    }

    fn connected(&self) -> BTreeSet<String> {
        self.sockets.values().cloned().collect()
    }

    fn is_at(&self, of: &[u16]) -> bool {
        self.connected() == of.iter().map(|n| url(*n)).collect()
    }

    fn dialled(&self) -> BTreeSet<&str> {
        self.dialled.iter().map(|(_, url)| &**url).collect()
    }

    fn input(&mut self, input: Input<'_>) {
        self.peer.handle(self.now, input);
        self.carry_out();
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.carry_out();
        while let Some(at) = self.peer.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.peer.poll() {
            match output {
                Output::DialSignaler { home, url } => self.dial(home, url),
                Output::SignalerFrame { home, bytes } => self.answer(home, &bytes),
                Output::HangUpSignaler { home } => self.hang_up(home),
                Output::Store(work) => self.store(work),
                _ => {}
            }
        }
        assert!(self.sockets.len() <= 3, "two homes, and one that comes back");
    }

    fn hang_up(&mut self, home: HomeIndex) {
        if self.sockets.remove(&home).is_some() {
            self.peer.handle(self.now, Input::SignalerClosed { home, reason: "hung up".into() });
        }
    }

    fn dial(&mut self, home: HomeIndex, url: String) {
        self.dialled.push((self.now, url.clone()));
        let Some(signaler) = self.signalers.get(&url).filter(|signaler| signaler.up) else {
            let reason = "refused".into();
            return self.peer.handle(self.now, Input::SignalerClosed { home, reason });
        };
        let challenge = FromSignaler::Challenge { signaler: signaler.key.id(), nonce: NONCE };
        self.sockets.insert(home, url);
        self.peer.handle(self.now, Input::SignalerOpened { home });
        self.peer.handle(self.now, Input::SignalerFrame { home, bytes: &encode(&challenge) });
    }

    fn answer(&mut self, home: HomeIndex, bytes: &[u8]) {
        let Some(signaler) = self.sockets.get(&home).and_then(|url| self.signalers.get(url)) else { return };
        let (peer, nonce) = match decode(bytes, limits::FRAME) {
            Ok(ToSignaler::Authenticate { peer, nonce, .. }) => (peer, nonce),
            Ok(ToSignaler::Ping { token }) => {
                let pong = encode(&FromSignaler::Pong { token });
                return self.peer.handle(self.now, Input::SignalerFrame { home, bytes: &pong });
            }
            _ => return,
        };
        let welcome = FromSignaler::Welcome {
            signature: challenge::answer_as_signaler(&signaler.key, peer, &NONCE, &nonce),
            ttl_ms: 120_000,
            keepalive_ms: 18_000,
            max_frame: 262_144,
            max_swarms: 64,
            now_ms: self.now.millis(),
        };
        let closes = signaler.closes;
        self.peer.handle(self.now, Input::SignalerFrame { home, bytes: &encode(&welcome) });
        if closes {
            self.sockets.remove(&home);
            self.peer.handle(self.now, Input::SignalerClosed { home, reason: "go away".into() });
        } else {
            self.say_all(home);
        }
    }

    fn say_all(&mut self, home: HomeIndex) {
        let cards = List::first(self.signalers[&self.sockets[&home]].tells.iter().cloned().map(Bytes));
        let bytes = encode(&FromSignaler::Signalers { cards });
        self.input(Input::SignalerFrame { home, bytes: &bytes });
    }

    fn store(&mut self, work: StoreWork) {
        let done = match work {
            StoreWork::Load { discovery, after } => {
                // Sessions are read, too.
                self.reads += usize::from(discovery == STORED);
                let rows = self.rows.iter().filter(|((of, _), _)| *of == discovery);
                let rows = rows.filter(|((_, key), _)| after.as_ref().is_none_or(|after| key > after));
                let rows: Vec<_> = rows
                    .map(|((_, key), value)| StoreRow { key: key.clone(), value: value.clone() })
                    .collect();
                let more = rows.len() > 5;
                StoreDone::Loaded { discovery, rows: Ok(rows.into_iter().take(5).collect()), more }
            }
            StoreWork::Write { discovery, work, put, remove } => {
                for row in put {
                    assert!(row.key.len() <= 64 && !remove.contains(&row.key));
                    self.rows.insert((discovery, row.key), row.value);
                }
                for key in remove {
                    self.rows.remove(&(discovery, key));
                }
                StoreDone::Written { discovery, work, outcome: Ok(()) }
            }
            StoreWork::Forget { .. } => unreachable!("nothing is forgotten here"),
        };
        self.peer.handle(self.now, Input::Store(done));
    }
}

#[test]
fn c1_one_address_leads_to_a_second_home_at_once() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(SECOND);
    assert_eq!(town.connected().len(), 2);
    assert!(town.connected().contains(&url(0)));
    assert_eq!(town.dialled.len(), 2, "nobody is dialled without need: {:?}", town.dialled);
}

#[test]
fn c1_when_the_one_address_dies_others_stand_in_until_it_is_back() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(SECOND);
    town.kill(0);
    town.run(SECOND * 4);
    assert!(town.is_at(&[1, 2]), "{:?}", town.connected());
    // It is still dialled, though seldom.
    let before = town.dialled.len();
    town.run(SECOND * 600);
    let (calls, new) = (&town.dialled[before..], url(0));
    assert!(calls.iter().all(|(_, url)| *url == new), "{calls:?}");
    assert!((8..=12).contains(&calls.len()), "{} calls in ten minutes", calls.len());
    town.signaler(0).up = true;
    town.run(SECOND * 75);
    assert_eq!(town.connected().len(), 2);
    assert!(town.connected().contains(&url(0)), "what is configured is preferred: {:?}", town.connected());
}

#[test]
fn c1_what_was_told_survives_a_restart_with_the_one_address_dead() {
    let mut town = Town::new(&[0]);
    town.federate(0..20);
    town.run(SECOND * 3);
    town.kill(0);
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 3);
    assert_eq!(town.connected().len(), 2, "{:?}", town.dialled());
    assert!(town.reads > 1, "the list was read in parts");
}

#[test]
fn c1_the_dead_leave_and_are_not_brought_back_by_what_was_stored() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(SECOND * 3);
    let other = if town.connected().contains(&url(1)) { 1 } else { 2 };
    // The one that is not a home dies, and everybody says so.
    let dead = 3 - other;
    town.kill(dead);
    town.tell(0, cards([0, other]));
    town.tell(other, cards([0, other]));
    // A signaler that has just started names few, so it is waited for a while.
    town.run(SECOND * 30);
    assert!(town.rows.keys().any(|(_, row)| row[32..] == key(dead).id().0));
    town.run(SECOND * 40);
    assert!(!town.rows.keys().any(|(_, row)| row[32..] == key(dead).id().0));
    let mut town = town.restart(&[0], |_| {});
    town.kill(0);
    town.run(SECOND * 120);
    assert!(!town.dialled().contains(&*url(dead)));
    assert!(town.is_at(&[other]));
}

#[test]
fn who_starts_anew_and_names_nobody_yet_makes_nobody_forgotten() {
    let mut town = Town::new(&[0]);
    town.federate(0..4);
    town.run(SECOND * 3);
    town.tell(0, cards([0]));
    town.run(SECOND * 20);
    town.tell(0, cards(0..4));
    town.run(SECOND * 200);
    town.kill(0);
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 3);
    assert_eq!(town.connected().len(), 2);
}

#[test]
fn without_discovery_nobody_is_learned_stored_or_called() {
    let off = |config: &mut Config| config.discover = false;
    let mut town = Town::with(START, &[0], Rows::new(), off);
    town.federate(0..3);
    town.run(SECOND * 3);
    assert!(town.is_at(&[0]));
    assert!(town.rows.is_empty() && town.reads == 0);
    // Nor what was learned before.
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 3);
    assert_eq!(town.connected().len(), 2);
    let mut town = town.restart(&[0], off);
    town.kill(0);
    town.run(SECOND * 60);
    assert_eq!(town.dialled(), [&*url(0)].into());
}

#[test]
fn what_is_configured_comes_first_and_needs_no_stand_in() {
    let mut town = Town::new(&[0, 1]);
    town.federate(0..6);
    town.run(SECOND * 10);
    assert!(town.is_at(&[0, 1]));
    assert_eq!(town.dialled.len(), 2);
    town.kill(1);
    town.run(SECOND * 3);
    assert_eq!(town.connected().len(), 2, "one stands in");
    town.signaler(1).up = true;
    town.run(SECOND * 75);
    assert!(town.is_at(&[0, 1]), "{:?}", town.connected());
}

#[test]
fn where_both_may_be_called_what_is_configured_is() {
    let mut town = Town::new(&[0, 1]);
    town.federate(0..6);
    town.run(SECOND * 10);
    for n in 0..6 {
        town.kill(n);
    }
    town.run(SECOND * 60);
    for n in 0..6 {
        town.signaler(n).up = true;
    }
    town.input(Input::Online);
    assert!(town.is_at(&[0, 1]), "{:?}", town.connected());
}

#[test]
fn a_lying_signaler_crowds_out_nobody_whom_another_told_of() {
    // 1 is configured, too, and tells of its own only: as many as a frame holds.
    let mut town = Town::new(&[0, 1]);
    town.federate(0..3);
    let own = cards(1000..1256);
    town.add(1, own.clone());
    for n in 1000..1256 {
        town.add(n, own.clone());
    }
    town.run(SECOND * 3);
    // Of one that lies no more is kept than of another.
    assert!(town.rows.len() <= 2 + 8, "{}", town.rows.len());
    assert!(town.rows.keys().any(|(_, row)| row[32..] == key(2).id().0));
    // Both go; of those who stand in, some are its own, and they tell of more.
    town.kill(0);
    town.kill(1);
    town.run(SECOND * 60);
    for n in 1000..1256 {
        town.signaler(n).closes = true;
        for home in town.homes_at(&url(n)) {
            town.sockets.remove(&home);
            town.input(Input::SignalerClosed { home, reason: "go away".into() });
        }
    }
    town.run(SECOND * 60);
    assert!(town.rows.len() <= 64, "{}", town.rows.len());
    assert!(town.rows.keys().any(|(_, row)| row[32..] == key(2).id().0), "the honest one is still known");
    assert!(town.connected().contains(&url(2)), "and stands in: {:?}", town.connected());
    // What is configured is tried all the same.
    town.signaler(0).up = true;
    town.run(SECOND * 75);
    assert!(town.connected().contains(&url(0)));
}

#[test]
fn however_often_a_list_changes_calls_wait_for_the_back_off() {
    let mut town = Town::new(&[0]);
    // Nobody of all those is there.
    town.add(0, Vec::new());
    town.run(SECOND);
    let before = town.dialled.len();
    for round in 0..600u16 {
        town.tell(0, cards((0..20).map(|n| 1000 + 20 * (round % 1000) + n)));
        town.run(SECOND / 10);
    }
    let calls = town.dialled.len() - before;
    // A minute: doubling from 100 ms to 5 s, half of it at random.
    assert!((10..=35).contains(&calls), "{calls} calls in a minute");
}

#[test]
fn who_takes_calls_and_lets_nobody_stay_is_called_ever_less() {
    let mut town = Town::new(&[0]);
    town.federate(0..2);
    town.signaler(1).closes = true;
    town.run(SECOND * 600);
    let calls = town.dialled.iter().filter(|(_, of)| *of == url(1)).count();
    assert!(calls <= 25, "{calls} calls in ten minutes");
}

#[test]
fn lies_about_others_are_not_believed() {
    let forged = {
        let mut bytes = card(2);
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        bytes
    };
    let ms = START.millis();
    let lies: [(&str, Vec<u8>); 9] = [
        ("forged", forged),
        ("no card", vec![1, 2, 3]),
        ("inside", card_at(2, "ws://192.168.1.1", 5)),
        ("the machine", card_at(2, "ws://127.0.0.1:6379", 5)),
        ("metadata", card_at(2, "ws://169.254.169.254/latest", 5)),
        ("no signaler's address", card_at(2, "http://s2.example", 5)),
        ("a query", card_at(2, "wss://s2.example/?delete=all", 5)),
        ("from the future", card_at(2, &url(2), ms + 48 * 3_600_000)),
        (
            "without an address",
            statement::sign_card(&key(2), &Card { signaler: key(2).id(), since: 5, url: None, version: 2 }),
        ),
    ];
    for (what, lie) in lies {
        let mut town = Town::new(&[0]);
        town.federate(0..1);
        town.add(2, Vec::new());
        town.tell(0, vec![lie]);
        town.run(SECOND * 5);
        assert_eq!(town.dialled(), [&*url(0)].into(), "{what}");
        assert!(town.rows.is_empty(), "{what}");
    }
}

#[test]
fn an_address_where_somebody_else_is_is_left_at_once() {
    let mut town = Town::new(&[0]);
    town.federate(0..1);
    town.add(3, Vec::new());
    // 2 signs for itself that it is where 3 is.
    town.tell(0, vec![card_at(2, &url(3), 5)]);
    town.run(SECOND * 60);
    assert!(town.dialled().contains(&*url(3)));
    assert!(town.is_at(&[0]));
    let calls = town.dialled.iter().filter(|(_, of)| *of == url(3)).count();
    assert!(calls <= 15, "{calls} calls in a minute");
}

#[test]
fn an_old_card_does_not_lead_back_to_where_somebody_was() {
    let mut town = Town::new(&[0]);
    town.add(0, vec![card_at(2, &url(2), 9)]);
    town.add(2, Vec::new());
    town.run(SECOND);
    assert!(town.is_at(&[0, 2]));
    // What it signed before, replayed.
    town.tell(0, vec![card_at(2, &url(3), 8)]);
    town.kill(2);
    town.run(SECOND * 30);
    assert!(!town.dialled().contains(&*url(3)));
    // What it signed later is where it moved to.
    town.add(3, Vec::new());
    town.signaler(3).key = key(2);
    town.tell(0, vec![card_at(2, &url(3), 10)]);
    town.run(SECOND * 60);
    assert!(town.is_at(&[0, 3]), "{:?}", town.connected());
}

#[test]
fn nobody_is_a_home_twice_under_two_addresses() {
    let mut town = Town::new(&[0, 1]);
    // 0 has another address in the world, and the second configured one leads to it as well.
    town.add(0, vec![card_at(0, "ws://other.example", 5)]);
    town.add(1, vec![card_at(0, "ws://other.example", 5), card(1)]);
    town.signalers.insert(
        "ws://other.example".into(),
        Signaler { key: key(0), up: true, tells: Vec::new(), closes: false },
    );
    town.kill(0);
    town.run(SECOND * 5);
    // Its configured address does not answer: the other one does.
    assert_eq!(town.connected(), [url(1), "ws://other.example".into()].into());
    town.signaler(0).up = true;
    town.run(SECOND * 75);
    assert!(town.is_at(&[0, 1]), "{:?}", town.connected());
    let late = town
        .dialled
        .iter()
        .filter(|(at, of)| of == "ws://other.example" && *at > START + SECOND * 10)
        .count();
    assert_eq!(late, 0);
}

#[test]
fn what_was_stored_under_another_configuration_or_long_ago_counts_for_nothing() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.federate(10..13);
    town.run(SECOND * 3);
    assert!(!town.rows.is_empty());
    // The configuration is what is trusted: whom the old one told of is not called, and is not forgotten either.
    let mut town = town.restart(&[10], |_| {});
    town.kill(10);
    town.run(SECOND * 60);
    assert_eq!(town.dialled(), [&*url(10)].into());
    let mut town = town.restart(&[0], |_| {});
    town.kill(0);
    town.run(SECOND * 3);
    assert!(town.is_at(&[1, 2]));
    // A week later nobody would know what is there now.
    town.now = town.now + DAY * 8;
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 60);
    assert_eq!(town.dialled(), [&*url(0)].into());
    assert!(town.rows.is_empty(), "{}", town.rows.len());
}

#[test]
fn a_list_that_never_changes_holds_for_longer_than_a_week() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(DAY * 9);
    town.kill(0);
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 3);
    assert!(town.is_at(&[1, 2]), "{:?}", town.dialled());
}

#[test]
fn what_was_altered_in_the_store_is_removed() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(SECOND * 3);
    for value in town.rows.values_mut() {
        let middle = value.len() / 2;
        value[middle] ^= 1;
    }
    town.kill(0);
    let mut town = town.restart(&[0], |_| {});
    town.run(SECOND * 10);
    assert_eq!(town.dialled(), [&*url(0)].into());
    assert!(town.rows.is_empty());
}

#[test]
fn the_first_list_is_stored_at_once_and_what_was_just_told_at_the_end() {
    let mut town = Town::new(&[0]);
    town.federate(0..3);
    town.run(SECOND / 10);
    let first = town.rows.len();
    assert!(first > 0, "whoever is killed now knows more than one address next time");
    town.tell(0, cards(0..5));
    town.run(SECOND / 10);
    assert_eq!(town.rows.len(), first, "changes are gathered");
    town.peer.command(town.now, Command::Close).unwrap();
    town.carry_out();
    assert!(town.rows.len() > first);
}

#[test]
fn a_signaler_that_is_reached_inside_may_tell_of_others_inside() {
    let inside = |n: u16| format!("ws://10.0.0.{n}");
    let tells: Vec<_> = (0..3).map(|n| card_at(n, &inside(n), 5)).collect();
    let mut town = Town::with(START, &[], Rows::new(), |config| config.signalers = vec![inside(0)]);
    for n in 0..3 {
        town.signalers
            .insert(inside(n), Signaler { key: key(n), up: true, tells: tells.clone(), closes: false });
    }
    town.run(SECOND);
    assert_eq!(town.connected().len(), 2);
}
