//! Bytes of strangers: decoders never panic, and what they take is encoded as something that they take again, as the same.

use core::fmt::Debug;

use minicbor::Encode;
use weft_crypto::{Invitation, PeerKey, Seed, envelope, membership, registry, statement, stream};
use weft_wire::cbor::Decode;
use weft_wire::chunk::{Outgoing, Reassembler};
use weft_wire::gossip::{GossipHead, Update};
use weft_wire::link::Link;
use weft_wire::membership::{Membership, Redemption};
use weft_wire::ratchet::{Prekey, Ratcheted};
use weft_wire::sealed::Sealed;
use weft_wire::sibling::Sibling;
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Bundle, Card, Entry, Gone, PeerRecord, Presence, Signed, decode, encode, limits};

use crate::checks::Choices;

/// Tries one kind of what travels.
type Kind = fn(&[u8]) -> Option<Vec<u8>>;

/// Decodes, and encodes what it was.
fn stable<'b, T: Decode<'b, ()> + Encode<()> + PartialEq + Debug>(bytes: &'b [u8]) -> Option<Vec<u8>> {
    let value = decode::<T>(bytes, limits::FRAME).ok()?;
    Some(encode(&value))
}

/// Everything that travels, by its first byte.
pub(crate) fn frames(input: &[u8]) {
    const KINDS: [Kind; 17] = [
        |bytes| stable::<ToSignaler<'_>>(bytes),
        |bytes| stable::<FromSignaler<'_>>(bytes),
        |bytes| stable::<Sibling<'_>>(bytes),
        |bytes| stable::<Link<'_>>(bytes),
        |bytes| stable::<Sealed>(bytes),
        |bytes| stable::<Ratcheted>(bytes),
        |bytes| stable::<Membership>(bytes),
        |bytes| stable::<Redemption>(bytes),
        |bytes| stable::<Prekey>(bytes),
        |bytes| stable::<GossipHead>(bytes),
        |bytes| stable::<Update>(bytes),
        |bytes| stable::<Signed<'_>>(bytes),
        |bytes| stable::<Entry>(bytes),
        |bytes| stable::<PeerRecord>(bytes),
        |bytes| stable::<Presence>(bytes),
        |bytes| stable::<Card>(bytes),
        |bytes| stable::<Bundle>(bytes),
    ];
    let Some((kind, bytes)) = input.split_first() else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let Some(once) = kind(bytes) else { return };
    assert_eq!(kind(&once).as_deref(), Some(&once[..]), "what is encoded is decoded as the same");
}

/// What is signed or sealed, by people and by strangers.
pub(crate) fn statements(input: &[u8]) {
    if let Ok(entry) = statement::peek_entry(input) {
        assert_eq!(stable::<Entry>(&encode(&entry)), Some(encode(&entry)));
    }
    // A signature that holds is one of ours: no input finds one but by copying it from a seed.
    let _ = statement::open_entry(input);
    let _ = statement::open_gone(input);
    let _ = statement::open_card(input);
    let _ = statement::open_record(input);
    let _ = statement::open_revocation(input);
    let _ = statement::open_presence(input);
    let _ = statement::open_prekey(input);
    let _ = stable::<Gone>(input);
    let _ = stream::session(input);
    let key = PeerKey::new(&Seed::new([1; 32]));
    assert!(envelope::open(&key, input).is_err(), "nobody has sealed this for us");
    if let Ok(sealed) = decode::<weft_wire::registry::Sealed>(input, limits::FRAME) {
        let _ = registry::peek(&sealed);
    }
    if let Ok(text) = core::str::from_utf8(input)
        && let Ok(invitation) = text.parse::<Invitation>()
    {
        assert_eq!(invitation.to_string(), text.trim());
    }
    let party = membership::PartySecret::new(&Seed::new([2; 32])).key();
    let mut members = weft_crypto::Members::new(party);
    assert!(members.take([input]).new.is_empty(), "nobody has said this of the party");
    assert!(members.check_redemption(0, input).is_err());
}

/// Chunks as they come, each after its length in two bytes; and as they go.
pub(crate) fn chunks(input: &[u8]) {
    let mut reassembler = Reassembler::default();
    let mut rest = input;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (chunk, after) = after.split_at(length);
        rest = after;
        // A link does not go on after an error.
        let Ok(message) = reassembler.push(chunk) else { break };
        assert!(message.is_none_or(|message| message.len() <= limits::LINK_MESSAGE));
    }

    // Two messages in chunks of any size, mixed as the input says.
    let mut choices = Choices(input);
    let size = 16 + choices.one_of(200).unwrap_or(0);
    let half = input.len() / 2;
    let sent = [&input[..half], &input[half..]];
    let mut queues = [(1, sent[0]), (2, sent[1])]
        .map(|(number, bytes)| Outgoing::new(number, bytes.to_vec()).unwrap().in_chunks_of(size));
    let (mut reassembler, mut got) = (Reassembler::default(), Vec::new());
    while got.len() < 2 {
        let first = choices.one_of(2).unwrap_or(0);
        let (a, b) = queues.split_at_mut(1);
        let (this, that) = if first == 0 { (&mut a[0], &mut b[0]) } else { (&mut b[0], &mut a[0]) };
        let chunk = this.next_chunk().or_else(|| that.next_chunk()).expect("both have not come yet");
        got.extend(
            reassembler.push(&chunk).expect("chunks of ours are good").map(std::borrow::Cow::into_owned),
        );
    }
    got.sort();
    let mut sent = sent.map(<[u8]>::to_vec);
    sent.sort();
    assert_eq!(got, sent);
}
