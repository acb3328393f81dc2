//! How `foca` reads and writes: members as signed cards, packets in the shapes of [`weft_wire::gossip`].
//!
//! What is read here was looked through by `membership` before: cards are genuine.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Identity, Message, State};
use weft_crypto::SignalerKey;
use weft_crypto::statement::{peek_card, sign_card};
use weft_wire::cbor::{Decode, Decoder};
use weft_wire::gossip::{GossipHead, Life, Said, Standing, Update};
use weft_wire::{Card, SignalerId};

/// A member in one of its lives. Its card is empty where it is only named, as whom a packet is for.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    life: Life,
    card: Arc<[u8]>,
}

impl Member {
    pub(crate) fn new(card: &Card, bytes: &[u8]) -> Self {
        Self { life: Life { signaler: card.signaler, since: card.since }, card: bytes.into() }
    }

    /// The member of a card that is ours to sign.
    pub(crate) fn of(key: &SignalerKey, card: &Card) -> Self {
        Self::new(card, &sign_card(key, card))
    }

    pub(crate) fn id(&self) -> SignalerId {
        self.life.signaler
    }

    /// Signed.
    pub(crate) fn card(&self) -> &[u8] {
        &self.card
    }

    fn named(life: Life) -> Self {
        Self { life, card: Arc::default() }
    }

    fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let card = peek_card(bytes).map_err(|_| Unreadable)?;
        Ok(Self::new(&card, bytes))
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.life == other.life
    }
}

impl Eq for Member {}

impl Identity for Member {
    type Addr = SignalerId;

    /// A new life needs a signature: `membership` gives it one.
    fn renew(&self) -> Option<Self> {
        None
    }

    fn addr(&self) -> SignalerId {
        self.life.signaler
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life.since > adversary.life.since
    }
}

/// A packet that is not of this protocol, or that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl core::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a packet of this protocol")
    }
}

impl core::error::Error for Unreadable {}

/// The codec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packets;

impl Codec<Member> for Packets {
    type Error = Unreadable;

    fn encode_header(&mut self, header: &Header<Member>, buf: impl BufMut) -> Result<(), Unreadable> {
        let head = GossipHead {
            from: weft_wire::Bytes(header.src.card.to_vec()),
            incarnation: header.src_incarnation,
            to: header.dst.life,
            said: said(&header.message)?,
        };
        put(&weft_wire::encode(&head), buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Member>, Unreadable> {
        let head: GossipHead = take(buf)?;
        Ok(Header {
            src: Member::read(&head.from.0)?,
            src_incarnation: head.incarnation,
            dst: Member::named(head.to),
            message: message(head.said),
        })
    }

    fn encode_member(&mut self, member: &foca::Member<Member>, buf: impl BufMut) -> Result<(), Unreadable> {
        let update = Update {
            card: weft_wire::Bytes(member.id().card.to_vec()),
            incarnation: member.incarnation(),
            standing: match member.state() {
                State::Alive => Standing::Alive,
                State::Suspect => Standing::Suspect,
                State::Down => Standing::Down,
            },
        };
        put(&weft_wire::encode(&update), buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<foca::Member<Member>, Unreadable> {
        let update: Update = take(buf)?;
        let state = match update.standing {
            Standing::Alive => State::Alive,
            Standing::Suspect => State::Suspect,
            Standing::Down => State::Down,
        };
        Ok(foca::Member::new(Member::read(&update.card.0)?, update.incarnation, state))
    }
}

fn put(bytes: &[u8], mut buf: impl BufMut) -> Result<(), Unreadable> {
    if buf.remaining_mut() < bytes.len() {
        return Err(Unreadable);
    }
    buf.put_slice(bytes);
    Ok(())
}

fn take<T: for<'b> Decode<'b, ()>>(mut buf: impl Buf) -> Result<T, Unreadable> {
    let mut decoder = Decoder::new(buf.chunk());
    let value = T::decode(&mut decoder, &mut ()).map_err(|_| Unreadable)?;
    let read = decoder.position();
    buf.advance(read);
    Ok(value)
}

fn said(message: &Message<Member>) -> Result<Said, Unreadable> {
    Ok(match message {
        Message::Ping(number) => Said::Ping { number: *number },
        Message::Ack(number) => Said::Ack { number: *number },
        Message::PingReq { target, probe_number } => {
            Said::AskPing { target: target.life, number: *probe_number }
        }
        Message::IndirectPing { origin, probe_number } => {
            Said::PingFor { origin: origin.life, number: *probe_number }
        }
        Message::IndirectAck { target, probe_number } => {
            Said::AckFor { target: target.life, number: *probe_number }
        }
        Message::ForwardedAck { origin, probe_number } => {
            Said::AckOf { origin: origin.life, number: *probe_number }
        }
        Message::Announce => Said::Announce,
        Message::Feed => Said::Feed,
        Message::Gossip => Said::News,
        Message::TurnUndead => Said::YouAreDown,
        // Of things other than members; we have none.
        Message::Broadcast => return Err(Unreadable),
    })
}

fn message(said: Said) -> Message<Member> {
    match said {
        Said::Ping { number } => Message::Ping(number),
        Said::Ack { number } => Message::Ack(number),
        Said::AskPing { target, number } => {
            Message::PingReq { target: Member::named(target), probe_number: number }
        }
        Said::PingFor { origin, number } => {
            Message::IndirectPing { origin: Member::named(origin), probe_number: number }
        }
        Said::AckFor { target, number } => {
            Message::IndirectAck { target: Member::named(target), probe_number: number }
        }
        Said::AckOf { origin, number } => {
            Message::ForwardedAck { origin: Member::named(origin), probe_number: number }
        }
        Said::Announce => Message::Announce,
        Said::Feed => Message::Feed,
        Said::News => Message::Gossip,
        Said::YouAreDown => Message::TurnUndead,
    }
}
