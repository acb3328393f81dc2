//! The residence of everybody in the small world: what signalers do about mail, as simple as can be.

use std::collections::{BTreeMap, BTreeSet};

use weft_crypto::challenge::{Collection, check_collection, check_taken};
use weft_crypto::{digest, statement};
use weft_wire::signaler::{FromSignaler, Recorded, ToSignaler, Waiting};
use weft_wire::{Bytes, Code, Digest, IdentityId, List, Nonce, PeerId, SignalerId, Text, Time, encode};

/// Envelopes in one page: few, so that there are several.
const PAGE: usize = 5;

/// Whose mailbox.
pub(crate) type Key = (IdentityId, PeerId);

/// Where mail waits. It survives every signaler.
#[derive(Default)]
pub(crate) struct Residence {
    pub(crate) boxes: BTreeMap<Key, Mailbox>,
    /// Open collections.
    open: BTreeSet<[u8; 32]>,
    nonces: u64,
    /// So many answers that come next are lost, after what was asked for was done.
    pub(crate) lose: usize,
    /// So many questions that come next are refused.
    pub(crate) refuse: Option<(Code, usize)>,
    /// What is to be stored is refused so.
    pub(crate) stores_nothing: Option<Code>,
    /// Whoever leaves something hears nothing, but for the mailboxes of this identity.
    pub(crate) mute_but: Option<IdentityId>,
    /// Every question, by its number in the enum of frames, with who asked.
    pub(crate) asked: Vec<(PeerId, u8)>,
    /// Every envelope that was to be stored, also again.
    pub(crate) given: Vec<Digest>,
    /// Envelopes of one mailbox, and of those of one sender.
    pub(crate) most: Option<(usize, usize)>,
    /// It does not delete what was taken.
    pub(crate) keeps: bool,
    /// Envelopes of a page, if it is not [`PAGE`].
    pub(crate) page: Option<usize>,
    /// It says that there are no prekeys, whatever there are.
    pub(crate) denies: bool,
    /// Peers that are their identities' no longer.
    pub(crate) revoked: BTreeSet<Key>,
    /// It says of everybody that they were revoked.
    pub(crate) lies: bool,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    pub(crate) record: Vec<u8>,
    pub(crate) once: Vec<Vec<u8>>,
    pub(crate) fallback: Option<Vec<u8>>,
    /// By when it came: who left it, and what.
    pub(crate) mail: Vec<(PeerId, Vec<u8>)>,
    /// What was there before.
    gone: BTreeSet<Digest>,
}

impl Residence {
    pub(crate) fn waiting(&self, peer: PeerId) -> usize {
        self.boxes.iter().filter(|((_, of), _)| *of == peer).map(|(_, one)| one.mail.len()).sum()
    }

    pub(crate) fn of(&mut self, peer: PeerId) -> &mut Mailbox {
        let found = self.boxes.iter_mut().find(|((_, of), _)| *of == peer);
        found.expect("a mailbox").1
    }

    fn page(&self, key: Key) -> Vec<Vec<u8>> {
        let mail = self.boxes.get(&key).into_iter().flat_map(|one| &one.mail);
        mail.take(self.page.unwrap_or(PAGE)).map(|(_, envelope)| envelope.clone()).collect()
    }

    /// The answer to a frame about mail, if it is one; and who is to hear that mail waits.
    pub(crate) fn ask(
        &mut self,
        now: Time,
        (us, from): (SignalerId, PeerId),
        frame: &ToSignaler<'_>,
    ) -> Option<(Vec<u8>, Option<Key>)> {
        let kind = encode(frame)[1..3].iter().copied().find(|byte| *byte >= 66).unwrap_or_default();
        let mut waits = None;
        let answer = match frame {
            ToSignaler::Publish { re, .. }
            | ToSignaler::Peers { re, .. }
            | ToSignaler::Store { re, .. }
            | ToSignaler::Collect { re, .. }
            | ToSignaler::Revoke { re, .. }
            | ToSignaler::Proof { re, .. }
            | ToSignaler::Taken { re, .. } => {
                self.asked.push((from, kind));
                let nothing = self.stores_nothing.filter(|_| matches!(frame, ToSignaler::Store { .. }));
                match self.refuse.take() {
                    None if nothing.is_some() => Err((*re, nothing.expect("a code"))),
                    Some((code, count)) if count > 0 => {
                        self.refuse = Some((code, count - 1));
                        Err((*re, code))
                    }
                    _ => self.serve(now, us, from, frame, &mut waits).map_err(|code| (*re, code)),
                }
            }
            _ => return None,
        };
        if let (ToSignaler::Store { identity, .. }, Some(but)) = (frame, self.mute_but)
            && *identity != but
        {
            return Some((Vec::new(), waits));
        }
        if self.lose > 0 {
            self.lose -= 1;
            return Some((Vec::new(), waits));
        }
        let answer = answer.unwrap_or_else(|(re, code)| {
            encode(&FromSignaler::Error { code, re: Some(re), discovery: None, text: Text::cut("no") })
        });
        Some((answer, waits))
    }

    fn serve(
        &mut self,
        now: Time,
        us: SignalerId,
        from: PeerId,
        frame: &ToSignaler<'_>,
        waits: &mut Option<Key>,
    ) -> Result<Vec<u8>, Code> {
        match frame {
            ToSignaler::Publish { re, record, prekeys } => {
                let opened = statement::open_record(&record.0).expect("a signed record");
                assert!(opened.name.is_empty(), "a residence does not learn the name");
                assert!(opened.issued <= now.millis() && opened.until > now.millis());
                if self.lies || self.revoked.contains(&(opened.identity, opened.peer)) {
                    return Err(Code::Revoked);
                }
                let one = self.boxes.entry((opened.identity, opened.peer)).or_default();
                one.record.clone_from(&record.0);
                for prekey in prekeys.iter() {
                    if statement::open_prekey(&prekey.0).expect("a signed prekey").once {
                        one.once.push(prekey.0.clone());
                    } else {
                        one.fallback = Some(prekey.0.clone());
                    }
                }
                let left = if self.denies { 0 } else { u32::try_from(one.once.len()).unwrap() };
                Ok(encode(&FromSignaler::Published { re: *re, left }))
            }
            ToSignaler::Peers { re, identity, once } => {
                let theirs = self.boxes.iter_mut().filter(|((of, _), _)| of == identity);
                let peers = theirs.map(|(_, one)| {
                    let taken = (*once && !one.once.is_empty()).then(|| one.once.remove(0));
                    let prekeys = taken.into_iter().chain(one.fallback.clone()).map(Bytes);
                    Recorded { record: Bytes(one.record.clone()), prekeys: List::first(prekeys) }
                });
                Ok(encode(&FromSignaler::Peers { re: *re, peers: List::first(peers.collect::<Vec<_>>()) }))
            }
            ToSignaler::Store { re, identity, peer, life_ms, envelope } => {
                assert!(*life_ms > 0);
                let most = self.most;
                if self.revoked.contains(&(*identity, *peer)) {
                    return Err(Code::Revoked);
                }
                let one = self.boxes.get_mut(&(*identity, *peer)).ok_or(Code::NoMailbox)?;
                let id = digest(envelope);
                self.given.push(id);
                let is_there = one.mail.iter().any(|(_, known)| digest(known) == id);
                if !is_there && !one.gone.contains(&id) {
                    let (all, each) = most.unwrap_or((1000, 250));
                    if one.mail.len() >= all {
                        return Err(Code::MailboxFull);
                    }
                    if one.mail.iter().filter(|(sender, _)| *sender == from).count() >= each {
                        return Err(Code::SenderFull);
                    }
                    one.mail.push((from, envelope.to_vec()));
                }
                *waits = Some((*identity, *peer));
                Ok(encode(&FromSignaler::Ack { re: *re }))
            }
            ToSignaler::Collect { re, identity, peer } => {
                if self.lies {
                    return Err(Code::Revoked);
                }
                self.boxes.get(&(*identity, *peer)).ok_or(Code::NoMailbox)?;
                self.nonces += 1;
                let mut nonce = [0; 32];
                nonce[..8].copy_from_slice(&self.nonces.to_be_bytes());
                Ok(encode(&FromSignaler::Prove { re: *re, signaler: us, nonce: Nonce(nonce) }))
            }
            ToSignaler::Proof { re, identity, peer, signaler, nonce, signature } => {
                let of = Collection { peer: *peer, identity: *identity, signaler: *signaler, nonce: *nonce };
                check_collection(&of, signature).map_err(|_| Code::BadSignature)?;
                if !self.open.insert(nonce.0) {
                    return Err(Code::Replayed);
                }
                Ok(self.show(*re, (*identity, *peer)))
            }
            ToSignaler::Taken { re, identity, peer, signaler, nonce, ids, signature } => {
                let of = Collection { peer: *peer, identity: *identity, signaler: *signaler, nonce: *nonce };
                check_taken(&of, ids, signature).map_err(|_| Code::BadSignature)?;
                if !self.open.contains(&nonce.0) {
                    return Err(Code::Expired);
                }
                let keeps = self.keeps;
                let one = self.boxes.get_mut(&(*identity, *peer)).ok_or(Code::NoMailbox)?;
                if !keeps {
                    one.gone.extend(ids.iter().copied());
                    let gone = &one.gone;
                    one.mail.retain(|(_, envelope)| !gone.contains(&digest(envelope)));
                }
                Ok(self.show(*re, (*identity, *peer)))
            }
            ToSignaler::Revoke { re, revocation } => {
                let said = statement::open_revocation(&revocation.0).map_err(|_| Code::BadSignature)?;
                assert!(said.until > now.millis() && said.issued <= now.millis());
                self.boxes.remove(&(said.identity, said.peer));
                self.revoked.insert((said.identity, said.peer));
                Ok(encode(&FromSignaler::Ack { re: *re }))
            }
            _ => unreachable!("not about mail"),
        }
    }

    fn show(&self, re: u32, key: Key) -> Vec<u8> {
        let page = self.page(key);
        let items = page.into_iter().zip(1..).map(|(envelope, at)| Waiting { at, envelope: Bytes(envelope) });
        let items = List::first(items.collect::<Vec<_>>());
        encode(&FromSignaler::Mail { re, items, more: false })
    }
}
