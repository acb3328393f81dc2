//! The peer as the TypeScript side sees it.

use std::rc::Rc;
use std::time::Duration;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use weft_crypto::membership::InvitationError;
use weft_crypto::{Grant, IdentityKey, Invitation, Members, Party, PartySecret, PeerKey, Seed};
use weft_peer_core::{Backlog, Command, CommandId, Keys, MemberDeed, STATEMENT_KEYS, Stats, StoreDone};
use weft_wire::membership::Role;
use weft_wire::{DiscoveryKey, IdentityId, MessageId, PartyKey, PeerId};

use crate::convert;
use crate::driver::{self, Driver};
use crate::failure::Failure;
use crate::matcher::Matcher;
use crate::options;
use crate::sink::{Sink, count, diagnosis, loaded, peer_info, rows};

/// A running peer. Parties are named by their discovery keys in hexadecimal, commands by numbers.
#[wasm_bindgen(js_name = Peer)]
pub struct Face {
    driver: Rc<Driver>,
}

#[wasm_bindgen(js_class = Peer)]
impl Face {
    /// Starts a peer with two 32-byte seeds, the identity's before the peer's. Of `how`, `store`: there is a store; `lasts`: the
    /// peer's seed will be there after a reload, so that its own state is stored, too; `discover`: signalers that others tell
    /// of stand in.
    ///
    /// # Errors
    /// `bad-option`, `name-too-long`, or `internal` without a source of randomness.
    #[wasm_bindgen(constructor)]
    pub fn new(
        signalers: Vec<String>,
        name: String,
        rtc: &JsValue,
        limits: &JsValue,
        seeds: &[u8],
        how: &JsValue,
        sink: Sink,
    ) -> Result<Face, JsValue> {
        let mut config = options::config(signalers, name, limits)?;
        config.store = options::flag(how, "store");
        config.store_peer = options::flag(how, "lasts");
        config.discover = options::flag(how, "discover");
        // Until somebody listens it would be collected to be forgotten.
        config.collect = false;
        let (identity, peer) = seeds.split_at(seeds.len() / 2);
        let keys = Keys { identity: IdentityKey::new(&seed(identity)?), peer: PeerKey::new(&seed(peer)?) };
        let mut randomness = [0; 32];
        getrandom::fill(&mut randomness)
            .map_err(|_| Failure::new("internal", "the browser gave no random bytes"))?;
        Ok(Self { driver: Driver::start(config, keys, randomness, driver::configuration(rtc), sink) })
    }

    /// The identity.
    #[wasm_bindgen(getter)]
    pub fn identity(&self) -> String {
        self.driver.look(|peer| peer.identity().to_string())
    }

    /// The peer.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.driver.look(|peer| peer.id().to_string())
    }

    /// The discovery key and the key of a party, by its key or else of the open party of a name.
    ///
    /// # Errors
    /// `bad-id`.
    pub fn party(&self, name_or_key: &str, is_key: bool) -> Result<Array, JsValue> {
        let party = if is_key { Party::new(id::<PartyKey>(name_or_key)?) } else { Party::open(name_or_key) };
        let texts = [party.discovery().to_string(), party.key().to_string()];
        Ok(texts.into_iter().map(JsValue::from).collect())
    }

    /// Leaves a party and removes what is stored of it; gives the command's number, by which `forgotten` answers.
    ///
    /// # Errors
    /// `closed`.
    pub fn forget(&self, party: &str) -> Result<f64, JsValue> {
        self.command(Command::Forget { discovery: discovery(party)? })
    }

    /// What was read of a party's store, as `Sink.store` would have given it, or why it could not be.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    pub fn loaded(&self, party: &str, found: &Array, failed: Option<String>) -> Result<(), JsValue> {
        self.driver.on_store(loaded(discovery(party)?, found, failed));
        Ok(())
    }

    /// A write is durable, or has failed.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    pub fn written(&self, party: &str, work: f64, failed: Option<String>) -> Result<(), JsValue> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number that was given out"
        )]
        let work = work as u64;
        let (discovery, outcome) = (discovery(party)?, failed.map_or(Ok(()), Err));
        self.driver.on_store(StoreDone::Written { discovery, work, outcome });
        Ok(())
    }

    /// Goes into a party by its key.
    ///
    /// # Errors
    /// `bad-id`, `closed` or `too-many-parties`.
    pub fn join(&self, key: &str) -> Result<(), JsValue> {
        self.command(Command::Join { party: Party::new(id::<PartyKey>(key)?) }).map(|_| ())
    }

    /// The discovery key and the key of the private party that a seed makes.
    ///
    /// # Errors
    /// `internal` if that is no seed.
    pub fn founded(&self, bytes: &[u8]) -> Result<Array, JsValue> {
        let party = Party::new(PartySecret::new(&seed(bytes)?).key());
        let texts = [party.discovery().to_string(), party.key().to_string()];
        Ok(texts.into_iter().map(JsValue::from).collect())
    }

    /// The discovery key and the key of the party of an invitation.
    ///
    /// # Errors
    /// `bad-invitation`.
    pub fn invited(&self, text: &str) -> Result<Array, JsValue> {
        let party = Party::new(invitation(text)?.party());
        let texts = [party.discovery().to_string(), party.key().to_string()];
        Ok(texts.into_iter().map(JsValue::from).collect())
    }

    /// Goes into a private party by its key, as its founder with its seed, or with an invitation; `statements` are what is
    /// known of its members beside what is stored.
    ///
    /// # Errors
    /// `bad-id`, `bad-invitation`, `closed` or `too-many-parties`.
    #[wasm_bindgen(js_name = joinPrivate)]
    pub fn join_private(
        &self,
        key: &str,
        secret: &[u8],
        invited: Option<String>,
        statements: &Array,
    ) -> Result<(), JsValue> {
        let mut members = if secret.is_empty() {
            Members::new(id::<PartyKey>(key)?)
        } else {
            // The same statement each time.
            Members::found(
                &PartySecret::new(&seed(secret)?),
                self.driver.look(weft_peer_core::Peer::identity),
                0,
            )
        };
        let statements: Vec<Vec<u8>> =
            statements.iter().map(|said| Uint8Array::new(&said).to_vec()).collect();
        members.take(statements.iter().map(Vec::as_slice));
        let invitation = invited.map(|text| invitation(&text)).transpose()?;
        self.command(Command::JoinPrivate { members: Box::new(members), invitation }).map(|_| ())
    }

    /// Makes an invitation to a private party that ends after so many milliseconds.
    ///
    /// # Errors
    /// `closed`, `not-in-party`, `not-private`, `not-an-admin` or `not-possible`.
    pub fn invite(&self, party: &str, role: &str, history: bool, expires: f64) -> Result<String, JsValue> {
        let discovery = discovery(party)?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)
            .map_err(|_| Failure::new("internal", "the browser gave no random bytes"))?;
        let key = self.driver.look(|peer| peer.members(&discovery).map(Members::party));
        let key = key.ok_or_else(|| Failure::new("not-private", "only a private party has members"))?;
        let invitation = Invitation::with_secret(key, secret);
        let until = js_sys::Date::now() + expires;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and saturates")]
        let until = until as u64;
        let grant = Grant { role: named(role)?, history };
        let deed = MemberDeed::Invite { invitation: invitation.clone(), grant, until };
        self.command(Command::Say { discovery, deed })?;
        Ok(invitation.to_string())
    }

    /// Admits somebody to a private party, also again.
    ///
    /// # Errors
    /// As [`invite`](Self::invite), and `bad-id`.
    pub fn admit(&self, party: &str, member: &str, role: &str, history: bool) -> Result<(), JsValue> {
        let grant = Grant { role: named(role)?, history };
        let deed = MemberDeed::Admit { member: id(member)?, grant };
        self.command(Command::Say { discovery: discovery(party)?, deed }).map(|_| ())
    }

    /// Removes a member of a private party.
    ///
    /// # Errors
    /// As [`invite`](Self::invite), and `bad-id`.
    pub fn remove(&self, party: &str, member: &str) -> Result<(), JsValue> {
        let deed = MemberDeed::Remove { member: id(member)? };
        self.command(Command::Say { discovery: discovery(party)?, deed }).map(|_| ())
    }

    /// The members of a private party as far as is known, each followed by its role; undefined for other parties.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    pub fn members(&self, party: &str) -> Result<Option<Array>, JsValue> {
        let discovery = discovery(party)?;
        let texts = |members: &Members| {
            let each = members.roles().flat_map(|(member, role)| [member.to_string(), role.name().into()]);
            each.map(JsValue::from).collect::<Array>()
        };
        Ok(self.driver.look(|peer| peer.members(&discovery).map(texts)))
    }

    /// What admins have said about the members of a private party, each signed; nothing of other parties.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    pub fn statements(&self, party: &str) -> Result<Array, JsValue> {
        let discovery = discovery(party)?;
        let said = |members: &Members| {
            members.statements().map(|(_, said)| JsValue::from(Uint8Array::from(said))).collect::<Array>()
        };
        Ok(self.driver.look(|peer| peer.members(&discovery).map(said)).unwrap_or_default())
    }

    /// Between which keys of a party its statements about members are stored, the second not included.
    #[wasm_bindgen(js_name = statementKeys)]
    pub fn statement_keys(&self) -> Array {
        let (first, end) = STATEMENT_KEYS;
        [first, end].map(|key| JsValue::from(Uint8Array::from(&key[..]))).into_iter().collect()
    }

    /// The same of a party that is not joined, of rows that were read between [`statement_keys`](Self::statement_keys): each
    /// key followed by its value.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    #[wasm_bindgen(js_name = storedStatements)]
    pub fn stored_statements(&self, party: &str, found: &Array) -> Result<Array, JsValue> {
        let (discovery, rows) = (discovery(party)?, rows(found, 0));
        let said = self.driver.look(|peer| peer.stored_statements(&discovery, &rows));
        Ok(said.iter().map(|said| JsValue::from(Uint8Array::from(said.as_slice()))).collect())
    }

    /// Leaves a party.
    ///
    /// # Errors
    /// `closed` or `not-in-party`.
    pub fn leave(&self, party: &str) -> Result<(), JsValue> {
        self.command(Command::Leave { discovery: discovery(party)? }).map(|_| ())
    }

    /// Subscribes; gives the subscription's number.
    ///
    /// The backlog is as old (milliseconds) and as many publications as given at most; infinite is all.
    ///
    /// # Errors
    /// `closed`, `not-in-party` or `too-many-subscriptions`.
    pub fn subscribe(
        &self,
        party: &str,
        matcher: &Matcher,
        backlog: bool,
        age: f64,
        most: f64,
    ) -> Result<f64, JsValue> {
        let filter = matcher.filter.clone();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and saturates")]
        let count = most.is_finite().then_some(most as usize);
        let age = Duration::try_from_secs_f64(age / 1000.0).ok();
        let backlog = backlog.then_some(Backlog { age, count });
        self.command(Command::Subscribe { discovery: discovery(party)?, filter, backlog })
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// `closed` or `unknown-subscription`.
    pub fn unsubscribe(&self, subscription: f64) -> Result<(), JsValue> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number that was given out"
        )]
        let subscription = CommandId(subscription as u64);
        self.command(Command::Unsubscribe { subscription }).map(|_| ())
    }

    /// Publishes; gives the command's number, by which `published` answers.
    ///
    /// # Errors
    /// `bad-document`, `too-large`, `queue-full`, `closed` or `not-in-party`.
    pub fn publish(&self, party: &str, document: &JsValue) -> Result<f64, JsValue> {
        let document = convert::document(document)?;
        self.command(Command::Publish { discovery: discovery(party)?, document })
    }

    /// Sends a message, which may wait for so many milliseconds for a recipient that is away; gives the command's number, by
    /// which `sent` answers.
    ///
    /// # Errors
    /// `bad-id`, `bad-document`, `too-large`, `queue-full` or `closed`.
    pub fn send(&self, to: &str, document: &JsValue, expires: f64) -> Result<f64, JsValue> {
        let (to, document) = (id::<IdentityId>(to)?, convert::document(document)?);
        // As long as it may, where that is not said.
        let life = Duration::try_from_secs_f64(expires / 1000.0).unwrap_or(Duration::MAX);
        self.command(Command::SendFor { to, document, life })
    }

    /// Asks an identity, or one peer if that is the id of one in a party; gives the command's number, by which `answered`
    /// answers within so many milliseconds.
    ///
    /// # Errors
    /// `bad-id`, `bad-document`, `too-large`, `queue-full` or `closed`.
    pub fn request(&self, to: &str, document: &JsValue, timeout: f64) -> Result<f64, JsValue> {
        let (id, document) = (id::<PeerId>(to)?, convert::document(document)?);
        let owner = self.driver.look(|peer| peer.identity_of(&id));
        let (to, peer) = owner.map_or((IdentityId(id.0), None), |owner| (owner, Some(id)));
        let timeout = Duration::try_from_secs_f64(timeout / 1000.0).unwrap_or(Duration::MAX);
        self.command(Command::Request { to, peer, document, timeout })
    }

    /// Gives up a message or a request: what has not been sent is not sent.
    pub fn cancel(&self, command: f64) {
        // A number that this gave out; and of a peer that is closed nobody waits for anything.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let command = CommandId(command as u64);
        _ = self.command(Command::Cancel { command });
    }

    /// Somebody listens to messages from now on: what waits for us is collected.
    pub fn collect(&self) {
        _ = self.command(Command::Collect);
    }

    /// Whether requests of others are told from now on, and not refused.
    pub fn answering(&self, on: bool) {
        // Of a peer that is closed nobody asks anything.
        _ = self.command(Command::AnswerRequests { on });
    }

    /// Answers a request, or says why not if `failed` is given.
    ///
    /// # Errors
    /// `bad-document`, `too-large`, `queue-full`, `unknown-request` or `closed`.
    pub fn respond(&self, request: &str, document: &JsValue, failed: Option<String>) -> Result<(), JsValue> {
        let request =
            hexadecimal(request).map(MessageId).ok_or_else(|| Failure::new("internal", "not an id"))?;
        let outcome = match failed {
            Some(failed) => Err(failed),
            None => Ok(convert::document(document)?),
        };
        self.command(Command::Respond { request, outcome }).map(|_| ())
    }

    /// Says of this peer in a party from now on; nothing (null) takes back what was said.
    ///
    /// # Errors
    /// `bad-document`, `too-large`, `closed` or `not-in-party`.
    pub fn state(&self, party: &str, state: &JsValue) -> Result<(), JsValue> {
        let state = if state.is_null() { None } else { Some(convert::document(state)?) };
        self.command(Command::SetState { discovery: discovery(party)?, state }).map(|_| ())
    }

    /// Has no links with a peer, or may have some again.
    ///
    /// # Errors
    /// `bad-id` or `closed`.
    pub fn block(&self, peer: &str, blocked: bool) -> Result<(), JsValue> {
        let peer = id::<PeerId>(peer)?;
        let command = if blocked { Command::Block { peer } } else { Command::Unblock { peer } };
        self.command(command).map(|_| ())
    }

    /// Changes the display name.
    ///
    /// # Errors
    /// `name-too-long` or `closed`.
    pub fn rename(&self, name: String) -> Result<(), JsValue> {
        self.command(Command::Rename { name }).map(|_| ())
    }

    /// Says goodbye; `closed` is the last event.
    ///
    /// # Errors
    /// `closed` if that was done before.
    pub fn close(&self) -> Result<(), JsValue> {
        self.command(Command::Close).map(|_| ())
    }

    /// The network is there again, or the page is looked at again.
    pub fn woke(&self) {
        self.driver.woke();
    }

    /// Who is in a party: `PeerInfo[]`.
    ///
    /// # Errors
    /// `internal` if that is no party's discovery key.
    pub fn peers(&self, party: &str) -> Result<Array, JsValue> {
        let discovery = discovery(party)?;
        let peers = self.driver.look(|peer| peer.peers(&discovery));
        Ok(peers.iter().map(peer_info).collect())
    }

    /// Asks who the peers of our own identity are; gives the command's number, by which `listed` answers.
    ///
    /// # Errors
    /// `closed`, `queue-full` or `revoked`.
    #[wasm_bindgen(js_name = listPeers)]
    pub fn list_peers(&self) -> Result<f64, JsValue> {
        self.command(Command::ListPeers)
    }

    /// Says that a peer is our identity's no longer; gives the command's number, by which `peerRevoked` answers.
    ///
    /// # Errors
    /// `bad-id`, `bad-option`, `closed`, `revoked` or `too-many-peers`.
    pub fn revoke(&self, peer: &str) -> Result<f64, JsValue> {
        self.command(Command::Revoke { peer: id(peer)? })
    }

    /// Why each peer is, or is not, directly connected: `PeerDiagnosis[]`.
    pub fn diagnose(&self) -> Array {
        self.driver.look_now(weft_peer_core::Peer::diagnose).iter().map(diagnosis).collect()
    }

    /// `Stats` of types.ts.
    pub fn stats(&self) -> JsValue {
        let Stats {
            published,
            received,
            forwarded,
            duplicates,
            forged,
            delivered,
            keys_given: _,
            unopened,
            malformed,
            link_bytes_out,
            link_bytes_in,
            assembling,
            sent: _,
        } = self.driver.look(weft_peer_core::Peer::stats);
        let figures = [
            ("published", published),
            ("received", received),
            ("forwarded", forwarded),
            ("duplicates", duplicates),
            ("forged", forged),
            ("delivered", delivered),
            ("unopened", unopened),
            ("malformed", malformed),
            ("linkBytesOut", link_bytes_out),
            ("linkBytesIn", link_bytes_in),
            ("assembling", assembling),
            ("connections", self.driver.connections() as u64),
            ("unsent", self.driver.look(weft_peer_core::Peer::unsent) as u64),
            ("unstored", self.driver.look(weft_peer_core::Peer::unstored) as u64),
        ];
        convert::record(&figures.map(|(name, figure)| (name, count(figure).into())))
    }
}

impl Face {
    fn command(&self, command: Command) -> Result<f64, JsValue> {
        Ok(self.driver.command(command).map(|id| count(id.0)).map_err(Failure::from)?)
    }
}

pub(crate) fn seed(bytes: &[u8]) -> Result<Seed, Failure> {
    let bytes = bytes.try_into().map_err(|_| Failure::new("internal", "a seed has 32 bytes"))?;
    Ok(Seed::new(bytes))
}

pub(crate) fn id<Id: std::str::FromStr<Err = weft_wire::IdError>>(text: &str) -> Result<Id, Failure> {
    text.parse().map_err(|error: weft_wire::IdError| Failure::new("bad-id", error.to_string()))
}

/// The 64 hexadecimal digits that [`Face::join`] gave out.
fn invitation(text: &str) -> Result<Invitation, Failure> {
    text.parse().map_err(|error: InvitationError| Failure::new("bad-invitation", error.to_string()))
}

fn named(role: &str) -> Result<Role, Failure> {
    let roles = [Role::Reader, Role::Writer, Role::Admin];
    let named = roles.into_iter().find(|one| one.name() == role);
    named.ok_or_else(|| Failure::new("bad-option", "a role is reader, writer or admin"))
}

fn discovery(text: &str) -> Result<DiscoveryKey, Failure> {
    hexadecimal(text).map(DiscoveryKey).ok_or_else(|| Failure::new("internal", "not a party"))
}

fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_key_is_read_as_it_was_written() {
        let discovery_key = Party::open("movies").discovery();
        assert_eq!(discovery(&discovery_key.to_string()), Ok(discovery_key));
        for text in ["", "00", "zz", &"0".repeat(66), "\u{e9}"] {
            assert_eq!(discovery(text).map_err(|failure| failure.code), Err("internal"), "{text}");
        }
    }
}
