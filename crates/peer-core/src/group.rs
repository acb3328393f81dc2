//! Keys of a private party's feeds: each peer seals what it publishes under a chain of keys ([`weft_crypto::group`]), and
//! members give the chains to members.
//!
//! A chain goes with the publications: before a neighbour is sent something of a feed it is given the chains of that feed that
//! we have, once. So each peer is given each chain by the neighbour that brings what it opens, whoever the author is and
//! wherever. What comes without its key waits for it, and neighbours and the author are asked.
//!
//! Who was removed has the chains of before. So a peer that hears of a removal begins another one, before it publishes
//! again; a chain names the removals that its author knew, and who does not know these does not pass it on.
//!
//! Inputs: documents to seal, publications in the order of their feeds, chains and requests for them; what was stored.
//! Outputs: publications that are open, in the order of their feeds; chains and requests to send; chains to store.
//! Timers: requests, publications that have waited too long.
//! Invariants: a key that somebody gave is used for what it opens and for nothing else, and given up if it opens nothing; at
//! most [`KEYS`] chains are kept, [`OF_FEED`] of one feed, and [`WANTED`] wanted; what waits is bounded like what waits for
//! predecessors.

use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::group::{Chain, Reader, Unreadable, named};
use weft_crypto::{Members, VaultKey};
use weft_wire::sealed::{FeedEpoch, FeedKey};
use weft_wire::{
    Bundle, BundleEntry, ChainKey, DiscoveryKey, Epoch, IdentityId, List, PeerId, Tag, Time, limits,
};

use crate::env::Env;
use crate::feeds::{Accepted, Feeds};
use crate::keys::Keys;
use crate::pace::Pace;
use crate::sorted::{Map, Set};
use crate::storage::Storage;

/// Chains of one party: what thousands of runs of peers leave within a week.
const KEYS: usize = 8192;
/// Chains of one feed.
const OF_FEED: usize = 1024;
/// Chains that were given and have opened nothing yet.
const UNPROVEN: usize = 1024;
/// Chains that something has come for, and that are not here.
const WANTED: usize = 1024;
/// A chain serves no longer than this, so that who got one by theft reads no more than that.
const ROTATE: Duration = Duration::from_secs(24 * 3600);
/// A publication without its key holds up its feed for so long.
const WAIT: Duration = Duration::from_secs(10);
/// First wait before a key is asked for: it may be on its way. Doubled from the second time on, up to the last.
const ASK: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_millis(300);
const ASK_MOST: Duration = Duration::from_secs(10);
/// So often a key is asked for; then again with the next publication that needs it, or the next neighbour.
const ASKS: u32 = 16;
/// Keys that wait for a session with a neighbour; it asks for what is beyond them.
const OWED: usize = 4 * limits::KEYS;
/// What a request costs, how many are answered at once, and of how many peers that is counted.
const ANSWER: Duration = Duration::from_millis(100);
const ANSWERS: Duration = Duration::from_millis(1600);
const ASKERS: usize = 256;
/// While what is stored is being read, a key may be in it.
const LOADING: Duration = Duration::from_millis(100);

/// A chain's name: the feed, and which.
type Name = (PeerId, Epoch);

#[derive(Debug)]
pub(crate) struct Group {
    discovery: DiscoveryKey,
    vault: VaultKey,
    own: Option<Own>,
    keys: Map<Name, Key>,
    wanted: Map<Name, Wanted>,
    /// What waits for a key, or for what does, by feed.
    waiting: Map<PeerId, VecDeque<Accepted>>,
    waiting_bytes: usize,
    /// What has waited too long: it is delivered without an order if its key comes.
    late: VecDeque<Accepted>,
    late_bytes: usize,
    /// What each neighbour was given, or gave.
    given: Map<PeerId, Set<Name>>,
    /// What neighbours are to be given once there is a session with them.
    owed: Map<PeerId, Owed>,
    askers: Map<PeerId, Pace>,
}

/// The chain under which we publish.
#[derive(Debug)]
struct Own {
    epoch: Epoch,
    chain: Chain,
    since: Time,
    knows: List<Tag, { limits::REMOVALS }>,
}

#[derive(Debug)]
struct Key {
    reader: Reader,
    knows: List<Tag, { limits::REMOVALS }>,
    /// Who gave it.
    from: PeerId,
    /// It has opened something.
    proven: bool,
    /// When the newest was published that it has opened; when it came, before.
    used: Time,
}

#[derive(Debug)]
struct Owed {
    since: Time,
    keys: Vec<FeedKey>,
}

#[derive(Debug)]
struct Wanted {
    since: Time,
    at: Time,
    asked: u32,
    /// These gave one that is wrong.
    wrong: Vec<PeerId>,
}

impl Group {
    pub(crate) fn new(discovery: DiscoveryKey, keys: &Keys) -> Self {
        Self {
            discovery,
            vault: VaultKey::of_identity(&keys.identity),
            own: None,
            keys: Map::new(),
            wanted: Map::new(),
            waiting: Map::new(),
            waiting_bytes: 0,
            late: VecDeque::new(),
            late_bytes: 0,
            given: Map::new(),
            owed: Map::new(),
            askers: Map::new(),
        }
    }

    // ---- our own ----

    /// Seals a document of ours.
    pub(crate) fn seal(
        &mut self,
        now: Time,
        body: &[u8],
        members: &Members,
        (storage, env): (&mut Storage, &mut Env),
    ) -> Vec<u8> {
        let place = (self.discovery, env.me);
        let mut own = match self.own.take() {
            Some(own) if !own.chain.is_used_up() && now.since(own.since) < ROTATE => own,
            _ => self.begin(now, members, (storage, env)),
        };
        let sealed = own.chain.seal((&place.0, &place.1), own.epoch, body);
        self.own = Some(own);
        sealed
    }

    fn begin(&mut self, now: Time, members: &Members, (storage, env): (&mut Storage, &mut Env)) -> Own {
        let (epoch, chain, knows) = (Epoch(env.random()), Chain::new(&mut env.rng), members.removals());
        let reader = Reader::new(chain.clone());
        let key = Key { reader, knows: knows.clone(), from: env.me, proven: true, used: now };
        self.store(now, (env.me, epoch), &key, (storage, env));
        self.insert(now, (env.me, epoch), key, storage);
        Own { epoch, chain, since: now, knows }
    }

    /// Something new is known of the members: with other removals, the chain does not serve any more.
    pub(crate) fn on_members(&mut self, members: &Members) {
        if self.own.as_ref().is_some_and(|own| own.knows != members.removals()) {
            self.own = None;
        }
    }

    /// Somebody has the chain who is to read no more of it.
    pub(crate) fn begin_anew(&mut self) {
        self.own = None;
    }

    // ---- publications ----

    /// Opens publications that come in the order of their feeds; gives those that are open, in that order, and keeps the others.
    pub(crate) fn on_ready(
        &mut self,
        now: Time,
        ready: &[Accepted],
        (storage, env): (&mut Storage, &mut Env),
    ) -> Vec<Accepted> {
        let mut open = Vec::new();
        for accepted in ready {
            let mut accepted = accepted.clone();
            let feed = accepted.bundle.feed;
            let queued = !accepted.unordered && self.waiting.contains_key(&feed);
            if !queued && self.open(now, &mut accepted, (storage, env)).is_ok() {
                open.push(accepted);
            } else if accepted.unordered {
                self.put_late(accepted, env);
            } else {
                self.waiting_bytes += accepted.kept.bytes.len();
                self.waiting.entry(feed).or_default().push_back(accepted);
            }
        }
        while self.waiting_bytes > env.config.gap_bytes
            && let Some(feed) = self.longest()
        {
            self.pass_over(feed, env);
            self.follow(now, feed, &mut open, (storage, env));
        }
        open
    }

    /// The feed of which most waits.
    fn longest(&self) -> Option<PeerId> {
        self.waiting.iter().max_by_key(|(_, queue)| queue.len()).map(|(feed, _)| *feed)
    }

    /// Opens all documents of a bundle whose keys are here, if they all are. What no key of ours will ever open is left empty, which is
    /// no document.
    pub(crate) fn open(
        &mut self,
        now: Time,
        accepted: &mut Accepted,
        (storage, env): (&mut Storage, &mut Env),
    ) -> Result<(), ()> {
        let feed = accepted.bundle.feed;
        let mut bodies = Vec::with_capacity(accepted.bundle.entries.len());
        for entry in accepted.bundle.entries.iter() {
            let Some(named) = named(&entry.body) else {
                bodies.push(Vec::new());
                continue;
            };
            let name = (feed, named.epoch);
            let Some(key) = self.keys.get_mut(&name) else {
                self.want(now, name, env);
                return Err(());
            };
            match key.reader.open((&self.discovery, &feed), &entry.body) {
                Ok(body) => {
                    key.used = key.used.max(accepted.kept.since);
                    let first = !std::mem::replace(&mut key.proven, true);
                    bodies.push(body);
                    if first {
                        self.wanted.remove(&name);
                        self.store_named(now, name, (storage, env));
                    }
                }
                // Who gave it was wrong, unless it is the author.
                Err(Unreadable::WrongKey) if !key.proven && key.from != feed => {
                    let from = key.from;
                    self.keys.remove(&name);
                    self.want(now, name, env);
                    if let Some(wanted) = self.wanted.get_mut(&name) {
                        wanted.wrong.push(from);
                    }
                    return Err(());
                }
                Err(_) => bodies.push(Vec::new()),
            }
        }
        let entries = std::mem::take(&mut accepted.bundle.entries).into_vec();
        let opened = entries.into_iter().zip(bodies).map(|(mut entry, body)| {
            entry.body = body;
            entry
        });
        accepted.bundle.entries = List::first(opened);
        Ok(())
    }

    /// The documents of a bundle, if all its keys are here.
    pub(crate) fn peek(&mut self, bundle: &Bundle) -> Option<Vec<Vec<u8>>> {
        let feed = bundle.feed;
        let open = |entry: &BundleEntry| {
            let key = self.keys.get_mut(&(feed, named(&entry.body)?.epoch))?;
            key.reader.open((&self.discovery, &feed), &entry.body).ok()
        };
        bundle.entries.iter().map(open).collect()
    }

    /// A document, if its key is here.
    pub(crate) fn read(&self, feed: PeerId, body: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.get(&(feed, named(body)?.epoch))?;
        key.reader.clone().open((&self.discovery, &feed), body).ok()
    }

    /// Opens what can be opened of what is kept, for a subscription that wants the backlog. The rest is left out.
    pub(crate) fn open_all(
        &mut self,
        now: Time,
        kept: &mut Vec<Accepted>,
        (storage, env): (&mut Storage, &mut Env),
    ) {
        kept.retain_mut(|accepted| self.open(now, accepted, (storage, env)).is_ok());
    }

    /// Something waits for its key, and has not waited too long.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Delivers what is open of what waits, without the rest.
    pub(crate) fn release(&mut self, now: Time, (storage, env): (&mut Storage, &mut Env)) -> Vec<Accepted> {
        let mut open = Vec::new();
        while let Some((feed, _)) = self.waiting.first_key_value() {
            let feed = *feed;
            self.pass_over(feed, env);
            self.follow(now, feed, &mut open, (storage, env));
        }
        open
    }

    /// The first of what waits of a feed waits no longer.
    fn pass_over(&mut self, feed: PeerId, env: &Env) {
        let Some(queue) = self.waiting.get_mut(&feed) else { return };
        if let Some(mut first) = queue.pop_front() {
            self.waiting_bytes -= first.kept.bytes.len();
            first.unordered = true;
            self.put_late(first, env);
        }
        if self.waiting.get(&feed).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&feed);
        }
    }

    fn put_late(&mut self, accepted: Accepted, env: &Env) {
        self.late_bytes += accepted.kept.bytes.len();
        self.late.push_back(accepted);
        while self.late_bytes > env.config.gap_bytes {
            let Some(gone) = self.late.pop_front() else { return };
            self.late_bytes -= gone.kept.bytes.len();
        }
    }

    /// Opens what can be opened of a feed, from the front.
    fn follow(
        &mut self,
        now: Time,
        feed: PeerId,
        open: &mut Vec<Accepted>,
        (storage, env): (&mut Storage, &mut Env),
    ) {
        let Some(mut queue) = self.waiting.remove(&feed) else { return };
        while let Some(mut first) = queue.pop_front() {
            if self.open(now, &mut first, (storage, env)).is_err() {
                queue.push_front(first);
                break;
            }
            self.waiting_bytes -= first.kept.bytes.len();
            open.push(first);
        }
        if !queue.is_empty() {
            self.waiting.insert(feed, queue);
        }
    }

    // ---- keys ----

    /// A member has given keys. Gives what they open of what has waited.
    pub(crate) fn on_keys(
        &mut self,
        now: Time,
        from: PeerId,
        keys: &[FeedKey],
        (storage, env): (&mut Storage, &mut Env),
    ) -> Vec<Accepted> {
        let (mut feeds, me) = (Set::new(), env.me);
        for given in keys.iter().filter(|given| given.feed != me) {
            let name = (given.feed, given.epoch);
            self.on_given(from, name);
            if self.wanted.get(&name).is_some_and(|wanted| wanted.wrong.contains(&from)) {
                continue;
            }
            let Some(chain) = Chain::from_key(given.place, &given.chain) else { continue };
            if let Some(known) = self.keys.get_mut(&name) {
                if known.reader.extend(chain) && known.proven {
                    self.store_named(now, name, (storage, env));
                }
            } else {
                let knows = given.knows.clone();
                let key = Key { reader: Reader::new(chain), knows, from, proven: false, used: now };
                self.insert(now, name, key, storage);
            }
            feeds.insert(given.feed);
        }
        self.deliver_of(now, &feeds, (storage, env))
    }

    fn deliver_of(
        &mut self,
        now: Time,
        feeds: &Set<PeerId>,
        (storage, env): (&mut Storage, &mut Env),
    ) -> Vec<Accepted> {
        let mut open = Vec::new();
        for feed in feeds.iter() {
            self.follow(now, *feed, &mut open, (storage, env));
        }
        self.late_bytes = 0;
        for mut late in std::mem::take(&mut self.late) {
            if feeds.contains(&late.bundle.feed) && self.open(now, &mut late, (storage, env)).is_ok() {
                open.push(late);
            } else {
                self.late_bytes += late.kept.bytes.len();
                self.late.push_back(late);
            }
        }
        open
    }

    /// Keeps a key, in place of the least useful one where there are too many.
    fn insert(&mut self, now: Time, name: Name, key: Key, storage: &mut Storage) {
        let unproven = || self.keys.iter().filter(|(_, key)| !key.proven);
        let used = |(name, key): (&Name, &Key)| (key.proven, key.used, *name);
        let gone = if self.of_feed(name.0).count() >= OF_FEED {
            self.of_feed(name.0).map(used).min()
        } else if !key.proven && unproven().count() >= UNPROVEN || self.keys.len() >= KEYS {
            self.keys.iter().map(used).min()
        } else {
            None
        };
        if let Some((proven, _, gone)) = gone {
            self.keys.remove(&gone);
            if proven {
                storage.remove_secret(now, gone.0, gone.1);
            }
        }
        self.keys.insert(name, key);
    }

    fn of_feed(&self, feed: PeerId) -> impl Iterator<Item = (&Name, &Key)> {
        self.keys.range((feed, Epoch([0; 8]))..=(feed, Epoch([0xff; 8])))
    }

    fn want(&mut self, now: Time, name: Name, env: &Env) {
        if self.wanted.len() >= WANTED && !self.wanted.contains_key(&name) {
            let oldest = self.wanted.iter().min_by_key(|(_, wanted)| wanted.since).map(|(name, _)| *name);
            oldest.map(|oldest| self.wanted.remove(&oldest));
        }
        if name.0 != env.me {
            let new = || Wanted { since: now, at: now + ASK, asked: 0, wrong: Vec::new() };
            let wanted = self.wanted.entry(name).or_insert_with(new);
            if wanted.asked >= ASKS && now.since(wanted.at) >= ASK_MOST {
                (wanted.asked, wanted.at) = (ASKS - 1, now);
            }
        }
    }

    // ---- giving ----

    /// The keys of a feed that a neighbour has not been given yet, if it may have them.
    pub(crate) fn give(
        &mut self,
        peer: PeerId,
        to: &IdentityId,
        feed: &PeerId,
        (members, feeds): (&Members, &Feeds),
    ) -> Vec<FeedKey> {
        let given = self.given.get(&peer);
        let new = |name: &Name| given.is_none_or(|given| !given.contains(name));
        let names: Vec<Name> = self.of_feed(*feed).map(|(name, _)| *name).filter(new).collect();
        if *feed == peer || names.is_empty() {
            return Vec::new();
        }
        let keys: Vec<_> = names.iter().filter_map(|name| self.key_for(to, name, (members, feeds))).collect();
        for key in &keys {
            self.on_given(peer, (key.feed, key.epoch));
        }
        keys
    }

    /// A key as a member may have it: from when on it may read, if we know the removals that the author knew.
    fn key_for(&self, to: &IdentityId, name: &Name, (members, feeds): (&Members, &Feeds)) -> Option<FeedKey> {
        let since = members.reads_since(to)?;
        let key = self.keys.get(name).filter(|key| members.knows(&key.knows))?;
        let mut chain = key.reader.first().clone();
        if since > 0 {
            let own = self.own.as_ref().filter(|own| own.epoch == name.1);
            let next = own.map_or(key.reader.next(), |own| own.chain.place());
            let place = feeds.first_place(&name.0, name.1, since).unwrap_or(next);
            chain = chain.at(place.max(chain.place()))?;
            // There is nothing to read with it.
            if chain.is_used_up() {
                return None;
            }
        }
        let (feed, epoch) = *name;
        Some(FeedKey { feed, epoch, place: chain.place(), chain: chain.key(), knows: key.knows.clone() })
    }

    /// Answers a request of a member.
    pub(crate) fn on_wanted(
        &mut self,
        now: Time,
        (peer, to): (PeerId, &IdentityId),
        wanted: &[FeedEpoch],
        (members, feeds): (&Members, &Feeds),
    ) -> Vec<FeedKey> {
        self.askers.retain(|_, pace| !pace.is_paid(now));
        if self.askers.len() >= ASKERS && !self.askers.contains_key(&peer)
            || self.askers.entry(peer).or_default().take(now, ANSWER, ANSWERS).is_err()
        {
            return Vec::new();
        }
        let names = wanted.iter().map(|wanted| (wanted.feed, wanted.epoch));
        let keys: Vec<_> = names.filter_map(|name| self.key_for(to, &name, (members, feeds))).collect();
        for key in &keys {
            self.on_given(peer, (key.feed, key.epoch));
        }
        keys
    }

    fn on_given(&mut self, peer: PeerId, name: Name) {
        // Of who is no neighbour nothing is remembered: it is given what it asks for.
        let Some(given) = self.given.get_mut(&peer) else { return };
        if given.len() >= KEYS {
            given.clear();
        }
        given.insert(name);
    }

    /// Keys could not be said, for want of a session.
    pub(crate) fn owe(&mut self, now: Time, peer: PeerId, keys: &[FeedKey]) {
        if self.given.contains_key(&peer) {
            let owed = self.owed.entry(peer).or_insert_with(|| Owed { since: now, keys: Vec::new() });
            owed.keys.extend(keys.iter().take(OWED.saturating_sub(owed.keys.len())).cloned());
        }
    }

    /// Neighbours that are owed keys.
    pub(crate) fn debts(&self) -> usize {
        self.owed.len()
    }

    /// What could not be said to a neighbour.
    pub(crate) fn take_owed(&mut self, peer: &PeerId) -> Vec<FeedKey> {
        self.owed.remove(peer).map(|owed| owed.keys).unwrap_or_default()
    }

    /// Somebody has become a neighbour, who may have what is wanted.
    pub(crate) fn on_linked(&mut self, now: Time, peer: PeerId) {
        self.given.entry(peer).or_default();
        for wanted in self.wanted.values_mut().filter(|wanted| wanted.asked >= ASKS) {
            (wanted.asked, wanted.at) = (ASKS - 1, now + ASK);
        }
    }

    pub(crate) fn on_unlinked(&mut self, peer: &PeerId) {
        self.given.remove(peer);
        self.owed.remove(peer);
    }

    // ---- timers ----

    /// Who is to be asked for which keys. `neighbours` are those in the party.
    pub(crate) fn asks(
        &mut self,
        now: Time,
        neighbours: &[PeerId],
        loading: bool,
    ) -> Map<PeerId, Vec<FeedEpoch>> {
        let mut asks: Map<PeerId, Vec<FeedEpoch>> = Map::new();
        for (&(feed, epoch), wanted) in &mut self.wanted {
            if wanted.at > now || wanted.asked >= ASKS || self.keys.contains_key(&(feed, epoch)) {
                continue;
            }
            if loading {
                wanted.at = now + LOADING;
                continue;
            }
            let others = neighbours.iter().filter(|peer| **peer != feed && !wanted.wrong.contains(peer));
            let mut whom: Vec<PeerId> = others.copied().collect();
            // Its author knows it for certain, if it is still there.
            whom.insert(if neighbours.contains(&feed) { 0 } else { whom.len().min(2) }, feed);
            let to = whom[wanted.asked as usize % whom.len()];
            wanted.asked += 1;
            let doubled = ASK_AGAIN * 2_u32.saturating_pow((wanted.asked - 1).min(10));
            wanted.at = now + doubled.min(ASK_MOST);
            asks.entry(to).or_default().push(FeedEpoch { feed, epoch });
        }
        asks
    }

    /// What has waited long enough is passed over; gives what waited behind it.
    pub(crate) fn on_time(&mut self, now: Time, (storage, env): (&mut Storage, &mut Env)) -> Vec<Accepted> {
        let mut open = Vec::new();
        let late: Vec<PeerId> = self.waiting.keys().copied().collect();
        for feed in late {
            while self.held_until(&feed).is_some_and(|until| until <= now) {
                self.pass_over(feed, env);
                self.follow(now, feed, &mut open, (storage, env));
            }
        }
        open
    }

    /// Until when a feed is held up by the first of what waits of it.
    fn held_until(&self, feed: &PeerId) -> Option<Time> {
        let first = self.waiting.get(feed)?.front()?;
        let names = first.bundle.entries.iter().filter_map(|entry| named(&entry.body));
        let missing = names.map(|named| (*feed, named.epoch)).find(|name| self.wanted.contains_key(name));
        // What is not wanted any more does not come.
        let since = missing.and_then(|name| self.wanted.get(&name)).map_or(Time::ZERO, |wanted| wanted.since);
        Some(since + WAIT)
    }

    /// Keys of what nobody keeps any more are forgotten.
    pub(crate) fn expire(&mut self, now: Time, (storage, env): (&mut Storage, &Env)) {
        let life = env.config.keep_age + ROTATE;
        let own = self.own.as_ref().map(|own| own.epoch);
        self.keys.retain(|(feed, epoch), key| {
            let keeps = key.used + life > now || Some(*epoch) == own;
            if !keeps {
                storage.remove_secret(now, *feed, *epoch);
            }
            keeps
        });
        // Who gives no prekey for so long asks, if it wants them still.
        self.owed.retain(|_, owed| now.since(owed.since) < WAIT);
        let keys = &self.keys;
        self.wanted.retain(|name, wanted| {
            !keys.get(name).is_some_and(|key| key.proven) && wanted.since + life > now
        });
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let asks =
            self.wanted.iter().filter(|(name, wanted)| wanted.asked < ASKS && !self.keys.contains_key(name));
        let held = self.waiting.keys().filter_map(|feed| self.held_until(feed));
        asks.map(|(_, wanted)| wanted.at).chain(held).min()
    }

    // ---- what is stored ----

    fn store_named(&self, now: Time, name: Name, (storage, env): (&mut Storage, &mut Env)) {
        if let Some(key) = self.keys.get(&name) {
            self.store(now, name, key, (storage, env));
        }
    }

    fn store(&self, now: Time, name: Name, key: &Key, (storage, env): (&mut Storage, &mut Env)) {
        if !storage.stores() {
            return;
        }
        let first = key.reader.first();
        let mut value = zeroize::Zeroizing::new(first.place().to_be_bytes().to_vec());
        value.extend_from_slice(&first.key().0);
        value.extend_from_slice(&key.used.millis().to_be_bytes());
        for tag in key.knows.iter() {
            value.extend_from_slice(&tag.0);
        }
        let sealed = self.vault.seal(&mut env.rng, &label(&self.discovery, &name), &value);
        storage.put_secret(now, name.0, name.1, sealed);
    }

    /// What was stored has been read. Gives what it opens of what has waited.
    pub(crate) fn on_stored(
        &mut self,
        now: Time,
        stored: Vec<(PeerId, Epoch, Vec<u8>)>,
        (storage, env): (&mut Storage, &mut Env),
    ) -> Vec<Accepted> {
        let mut feeds = Set::new();
        for (feed, epoch, sealed) in stored {
            let name = (feed, epoch);
            let value = self.vault.open(&label(&self.discovery, &name), &sealed);
            let key = value.as_ref().and_then(|value| Key::read(value, feed));
            match key {
                Some(key) if key.used + env.config.keep_age + ROTATE > now => {
                    if !self.keys.contains_key(&name) {
                        self.insert(now, name, key, storage);
                    }
                    feeds.insert(feed);
                }
                _ => storage.remove_secret(now, feed, epoch),
            }
        }
        self.deliver_of(now, &feeds, (storage, env))
    }
}

impl Key {
    fn read(value: &[u8], from: PeerId) -> Option<Self> {
        let (place, rest) = value.split_first_chunk::<4>()?;
        let (chain, rest) = rest.split_first_chunk::<32>()?;
        let (used, rest) = rest.split_first_chunk::<8>()?;
        let chain = Chain::from_key(u32::from_be_bytes(*place), &ChainKey(*chain))?;
        let (tags, _) = rest.as_chunks::<8>();
        Some(Self {
            reader: Reader::new(chain),
            knows: List::first(tags.iter().map(|tag| Tag(*tag))),
            from,
            proven: true,
            used: Time::from_millis(u64::from_be_bytes(*used)),
        })
    }
}

/// What a stored chain is bound to.
fn label(discovery: &DiscoveryKey, (feed, epoch): &Name) -> Vec<u8> {
    [&discovery.0[..], &feed.0, &epoch.0].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Config;
    use crate::kept::Kept;
    use weft_crypto::{IdentityKey, PartySecret, PeerKey, Seed, publication};
    use weft_wire::{BundleEntry, PublicationId, encode};

    const START: Time = Time::from_millis(1_700_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const NONE: [u8; 0] = [];

    /// One peer's keys, as a member of a party of whose members only the founder matters.
    struct Side {
        group: Group,
        members: Members,
        storage: Storage,
        env: Env,
        feeds: Feeds,
        next: u64,
    }

    fn keys(n: u8) -> Keys {
        Keys {
            identity: IdentityKey::new(&Seed::new([n; 32])),
            peer: PeerKey::new(&Seed::new([n + 100; 32])),
        }
    }

    impl Side {
        fn new(n: u8) -> Self {
            Self::with(n, Config::default())
        }

        fn with(n: u8, config: Config) -> Self {
            let secret = PartySecret::new(&Seed::new([99; 32]));
            let mut members = Members::found(&secret, keys(1).identity.id(), 0);
            for n in 2..6 {
                let role = weft_wire::membership::Role::Writer;
                members.admit(&keys(1).identity, 1, keys(n).identity.id(), role).unwrap();
            }
            let discovery = weft_crypto::Party::new(secret.key()).discovery();
            let mut env = Env::new(config, keys(n), [n; 32], START);
            let feeds = Feeds::new(discovery, START, &mut env);
            let storage = Storage::new(discovery, START, &mut env);
            Self { group: Group::new(discovery, &keys(n)), members, storage, env, feeds, next: 1 }
        }

        /// Publishes a number, as it arrives elsewhere.
        fn publish(&mut self, now: Time, n: u8) -> Accepted {
            let body = self.group.seal(now, &[n], &self.members, (&mut self.storage, &mut self.env));
            let entries = List::first([BundleEntry { time: now.millis(), body }]);
            let (bundle, id) = publication::sign_bundle(
                &self.env.keys.peer,
                self.group.discovery,
                self.env.identity,
                self.next,
                PublicationId([0; 32]),
                entries,
            );
            self.next += 1;
            let kept = Kept {
                feed: bundle.feed,
                first: bundle.first,
                last: bundle.first,
                since: now,
                hops: 1,
                previous: bundle.previous,
                id,
                bytes: encode(&bundle),
                record: Vec::new(),
            };
            Accepted { kept: Arc::new(kept), ids: publication::ids(&bundle), bundle, unordered: false }
        }

        fn take(&mut self, now: Time, one: &Accepted) -> Vec<u8> {
            let ready =
                self.group.on_ready(now, std::slice::from_ref(one), (&mut self.storage, &mut self.env));
            read(&ready)
        }

        fn give(&mut self, now: Time, from: PeerId, keys: &[FeedKey]) -> Vec<u8> {
            read(&self.group.on_keys(now, from, keys, (&mut self.storage, &mut self.env)))
        }

        /// What this one gives another one, a neighbour, of its own feed.
        fn keys_for(&mut self, to: u8) -> Vec<FeedKey> {
            let (peer, identity, me) = (keys(to).peer.id(), keys(to).identity.id(), self.env.me);
            self.group.on_linked(START, peer);
            self.group.give(peer, &identity, &me, (&self.members, &self.feeds))
        }
    }

    fn read(ready: &[Accepted]) -> Vec<u8> {
        ready.iter().flat_map(|one| one.bundle.entries.iter().flat_map(|entry| entry.body.clone())).collect()
    }

    #[test]
    fn what_comes_before_its_key_waits_and_is_delivered_in_order() {
        let (mut author, mut reader) = (Side::new(1), Side::new(2));
        let all: Vec<Accepted> = (0..5).map(|n| author.publish(START, n)).collect();
        for one in &all[..3] {
            assert_eq!(reader.take(START, one), NONE);
        }
        assert!(reader.group.is_waiting());
        // It is asked for: the author first, if it is there, else others, and the author now and then.
        let (feed, others) = (author.env.me, [PeerId([7; 32]), PeerId([8; 32])]);
        let asks = reader.group.asks(START + ASK, &[others[0], feed], false);
        assert_eq!(asks.keys().collect::<Vec<_>>(), [&feed]);
        assert!(reader.group.asks(START + ASK, &others, false).is_empty(), "not again at once");
        let mut asked = Set::new();
        for second in 1..60 {
            let asks = reader.group.asks(START + SECOND * second, &others, false);
            asks.keys().for_each(|peer| _ = asked.insert(*peer));
        }
        assert_eq!(asked.len(), 3);
        let keys = author.keys_for(2);
        assert_eq!(keys.len(), 1);
        assert!(author.keys_for(2).is_empty(), "each is given once");
        assert_eq!(reader.give(START, feed, &keys), [0, 1, 2]);
        assert_eq!((reader.take(START, &all[3]), reader.take(START, &all[4])), (vec![3], vec![4]));
        assert!(!reader.group.is_waiting() && reader.group.deadline().is_none());
    }

    #[test]
    fn what_never_gets_its_key_holds_up_its_feed_for_a_while_and_comes_late_if_it_does() {
        let (mut author, mut reader) = (Side::new(1), Side::new(2));
        let lost = author.publish(START, 1);
        let keys = author.keys_for(2);
        // Another epoch, whose key is there.
        author.group.own = None;
        let next = author.publish(START, 2);
        let later = author.keys_for(2);
        assert_eq!((keys.len(), later.len()), (1, 1));
        assert_eq!(reader.give(START, author.env.me, &later), NONE);
        assert_eq!((reader.take(START, &lost), reader.take(START, &next)), (vec![], vec![]));
        let with = (&mut reader.storage, &mut reader.env);
        assert_eq!(read(&reader.group.on_time(START + WAIT - SECOND, with)), NONE);
        let with = (&mut reader.storage, &mut reader.env);
        assert_eq!(read(&reader.group.on_time(START + WAIT, with)), [2]);
        let with = (&mut reader.storage, &mut reader.env);
        let late = reader.group.on_keys(START + WAIT, author.env.me, &keys, with);
        assert_eq!((read(&late), late[0].unordered), (vec![1], true));
    }

    #[test]
    fn of_keys_from_who_is_no_neighbour_nothing_is_remembered_and_what_is_owed_to_a_neighbour_is_bounded() {
        let (mut author, mut reader) = (Side::new(1), Side::new(2));
        author.publish(START, 1);
        let keys = author.keys_for(2);
        let (stranger, neighbour) = (PeerId([7; 32]), PeerId([8; 32]));
        reader.give(START, stranger, &keys);
        reader.group.owe(START, stranger, &keys);
        assert!(reader.group.given.is_empty() && reader.group.take_owed(&stranger).is_empty());
        reader.group.on_linked(START, neighbour);
        reader.give(START, neighbour, &keys);
        for _ in 0..2 * OWED {
            reader.group.owe(START, neighbour, &keys);
        }
        assert_eq!(reader.group.given.get(&neighbour).unwrap().len(), 1);
        assert_eq!(reader.group.owed.get(&neighbour).unwrap().keys.len(), OWED);
        let with = (&mut reader.storage, &reader.env);
        reader.group.expire(START + WAIT, with);
        assert_eq!(reader.group.debts(), 0, "not for ever");
        reader.group.owe(START, neighbour, &keys);
        reader.group.on_unlinked(&neighbour);
        assert!(reader.group.given.is_empty() && reader.group.owed.is_empty());
    }

    #[test]
    fn a_chain_that_makes_room_for_others_is_removed_from_the_store() {
        let stores = Config { store: true, ..Config::default() };
        let (mut author, mut reader) = (Side::new(1), Side::with(2, stores));
        let mut stored = std::collections::BTreeMap::new();
        let mut epochs = Vec::new();
        for n in 0..OF_FEED + 2 {
            author.group.own = None;
            let one = author.publish(START + SECOND * u32::try_from(n).unwrap(), 1);
            let key = author.keys_for(2).pop().unwrap();
            epochs.push(key.epoch);
            reader.give(START, author.env.me, &[key]);
            assert_eq!(reader.take(START, &one), [1]);
            reader.storage.write(START, true, &mut reader.env);
            while let Some(out) = reader.env.out.pop_front() {
                let crate::api::Output::Store(crate::StoreWork::Write { put, remove, work, .. }) = out else {
                    continue;
                };
                for key in &remove {
                    stored.remove(key);
                }
                stored.extend(put.into_iter().map(|row| (row.key, row.value)));
                reader.storage.on_written(START, work, Ok(()), &mut reader.env);
            }
        }
        let row = |epoch: &Epoch| [&[16][..], &author.env.me.0, &epoch.0].concat();
        let there: Vec<bool> = epochs.iter().map(|epoch| stored.contains_key(&row(epoch))).collect();
        assert_eq!(there[..3], [false, false, true]);
        assert_eq!(stored.len(), OF_FEED);
    }

    #[test]
    fn a_wrong_key_of_somebody_else_is_given_up_for_the_right_one() {
        let (mut author, mut reader) = (Side::new(1), Side::new(2));
        let (one, liar) = (author.publish(START, 1), PeerId([7; 32]));
        let keys = author.keys_for(2);
        let wrong = [FeedKey { chain: ChainKey([5; 32]), ..keys[0].clone() }];
        assert_eq!(reader.give(START, liar, &wrong), NONE);
        assert_eq!(reader.take(START, &one), NONE);
        // It is not listened to again, and not asked.
        assert_eq!(reader.give(START, liar, &wrong), NONE);
        let asks = reader.group.asks(START + SECOND, &[liar], false);
        assert_eq!(asks.keys().collect::<Vec<_>>(), [&author.env.me]);
        assert_eq!(reader.give(START, author.env.me, &keys), [1]);
    }

    #[test]
    fn a_chain_serves_for_a_day_for_an_epoch_and_until_a_removal() {
        let mut author = Side::new(1);
        let mut epochs = Set::new();
        let mut epoch = |author: &mut Side, now: Time| {
            let one = author.publish(now, 1);
            let named = named(&one.bundle.entries.iter().next().unwrap().body).unwrap();
            epochs.insert(named.epoch);
            epochs.len()
        };
        assert_eq!((epoch(&mut author, START), epoch(&mut author, START + SECOND)), (1, 1));
        assert_eq!(epoch(&mut author, START + ROTATE), 2);
        let now = START + ROTATE;
        for _ in 1..weft_crypto::group::EPOCH {
            assert_eq!(epoch(&mut author, now), 2);
        }
        assert_eq!(epoch(&mut author, now), 3);
        // An admission changes nothing, a removal does.
        let role = weft_wire::membership::Role::Reader;
        author.members.admit(&keys(1).identity, 5, keys(9).identity.id(), role).unwrap();
        author.group.on_members(&author.members);
        assert_eq!(epoch(&mut author, now), 3);
        author.members.remove(&keys(1).identity, 6, keys(9).identity.id()).unwrap();
        author.group.on_members(&author.members);
        assert_eq!(epoch(&mut author, now), 4);
        // Who was removed is given nothing.
        assert!(author.keys_for(9).is_empty() && !author.keys_for(2).is_empty());
    }

    #[test]
    fn all_that_others_can_fill_is_bounded() {
        let mut reader = Side::new(2);
        let chain = ChainKey([1; 32]);
        for n in 0..u32::try_from(KEYS + 2000).unwrap() {
            let mut epoch = Epoch([0; 8]);
            epoch.0[..4].copy_from_slice(&n.to_be_bytes());
            let feed = PeerId([u8::try_from(n % 200).unwrap(); 32]);
            let key = FeedKey { feed, epoch, place: 0, chain, knows: List::default() };
            reader.give(START, PeerId([7; 32]), &[key]);
            reader.group.want(START, (feed, Epoch([9; 8])), &reader.env);
            reader.group.want(START, (PeerId([3; 32]), epoch), &reader.env);
        }
        assert!(reader.group.keys.len() <= UNPROVEN && reader.group.wanted.len() <= WANTED);
        // What waits, too: of many feeds without keys.
        reader.env.config.gap_bytes = 4096;
        let mut author = Side::new(1);
        for n in 0..100 {
            let one = author.publish(START, n);
            reader.take(START, &one);
        }
        assert!(reader.group.waiting_bytes <= 4096 && reader.group.late_bytes <= 4096);
    }
}
