//! Whatever comes, in whatever order: no panic, every bound, and two people see the same.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use weft_chat::book::{Event, FileState, NewFile, Output, Relation, State, answer};
use weft_chat::{AttachmentHash, Book, DocumentId, Head, Profile, Reads, Room, Said, Text, limits};
use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PeerId};

fn identity(n: u8) -> IdentityId {
    IdentityId([n; 32])
}

fn said() -> impl Strategy<Value = Said> {
    let head = (0..8_u8, 0..20_u64, 1..12_u64).prop_map(|(id, sent, n)| Head {
        id: DocumentId([id; 16]),
        sent,
        n: Some(n),
    });
    let of = || (0..8_u8).prop_map(|id| DocumentId([id; 16]));
    prop_oneof![
        4 => (head.clone(), "[a-z]{1,8}").prop_map(|(head, text)| {
            Said::Text(Text { head, text, reply: None, attachments: Vec::new() })
        }),
        2 => (head.clone(), of(), "[a-z]{1,8}").prop_map(|(head, of, text)| Said::Edit { head, of, text }),
        1 => (head.clone(), of()).prop_map(|(head, of)| Said::Delete { head, of }),
        2 => (head.clone(), of(), 1..4_u8, "[abc]?").prop_map(|(head, of, author, emoji)| {
            Said::Reaction { head, of, author: identity(author), emoji }
        }),
        1 => of().prop_map(|id| Said::Read(Reads::UpTo(id))),
        1 => vec(of(), 0..4).prop_map(|ids| Said::Read(Reads::Ids(ids))),
        1 => any::<bool>().prop_map(|on| Said::Typing { on }),
        1 => (0..9_u64).prop_map(|issued| Said::Profile(Profile { issued, name: "x".into(), ..Profile::default() })),
        1 => (head.clone(), 0..3_u8).prop_map(|(head, room)| {
            Said::Contact { head, name: "x".into(), room: Room([room; 16]), note: String::new() }
        }),
        1 => (0..3_u8).prop_map(|room| Said::Accept { name: "x".into(), room: Room([room; 16]) }),
        1 => (0..3_u8, 0..20_u32, 0..4_usize).prop_map(|(of, at, len)| {
            Said::Piece { of: AttachmentHash([of; 32]), at, data: Some(vec![0; len + 1]) }
        }),
        1 => (head, "[a-z]{1,4}").prop_map(|(head, name)| {
            Said::Invitation { head, name, invitation: "weft:z".into() }
        }),
    ]
}

/// What a book puts into rows, as a store would keep it.
fn drain(book: &mut Book, rows: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Output> {
    let mut others = Vec::new();
    while let Some(output) = book.poll() {
        match output {
            Output::Put { key, value } => _ = rows.insert(key, value),
            Output::Remove { key } => _ = rows.remove(&key),
            other => others.push(other),
        }
    }
    others
}

/// What people see of a conversation.
fn seen(book: &Book, with: &IdentityId) -> Vec<(IdentityId, DocumentId, String, bool, Vec<String>, bool)> {
    let contact = book.contact(with).unwrap();
    contact
        .items()
        .map(|item| {
            let signs = item.reactions.values().map(|one| one.emoji.clone()).collect();
            (item.author, item.head.id, item.text.clone(), item.deleted, signs, item.edited())
        })
        .collect()
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order_every_bound_holds_and_rows_are_the_same_book(
        steps in vec((2..5_u8, 1..4_u8, 0..50_000_u64, said()), 0..120),
        accepts in vec(0..120_usize, 0..3),
    ) {
        let me = identity(1);
        let mut book = Book::new(me, PeerId([9; 32]), [3; 32]);
        let mut rows = BTreeMap::new();
        let (mut now, mut previous) = (0, 0);
        for (at, (from, peer, wait, said)) in steps.iter().enumerate() {
            now += wait;
            let from = identity(*from);
            let document = said.encode().unwrap();
            let count = at as u8;
            book.on_document(now, from, PeerId([*peer; 32]), &MessageId([count; 16]), now, &document);
            book.on_document(now, from, PeerId([*peer; 32]), &MessageId([count; 16]), now, &document);
            if accepts.contains(&at) {
                // Nobody may have asked.
                let _ = book.accept(now, from);
                let _ = book.say(now, from, "hello", None, Vec::new());
            }
            book.on_time(now);
            prop_assert!(book.deadline(now).is_none_or(|at| at > now) || book.waiting() > 0);
            drain(&mut book, &mut rows);
            for (who, contact) in book.contacts() {
                let ids: BTreeSet<_> = contact.items().map(|item| (item.author, item.head.id)).collect();
                prop_assert_eq!(ids.len(), contact.items().len());
                prop_assert!(*who != me && contact.unread() <= contact.items().len());
            }
            prop_assert!(book.strangers().all(|(_, one)| one.items().len() <= limits::STRANGERS_DOCUMENTS));
            prop_assert!(book.waiting() <= limits::OUTGOING && rows.len() < 400);
            previous = now.max(previous);
        }
        // No typing is left after its time.
        book.on_time(previous + limits::TYPING_SHOWN);
        prop_assert!(book.contacts().all(|(_, one)| !one.typing()));
        drain(&mut book, &mut rows);
        let mut again = Book::new(me, PeerId([9; 32]), [4; 32]);
        again.load(rows.clone());
        prop_assert_eq!(again.contacts().count(), book.contacts().count());
        for (who, contact) in book.contacts() {
            prop_assert_eq!(seen(&again, who), seen(&book, who));
            let other = again.contact(who).unwrap();
            prop_assert_eq!((other.unread(), other.room, other.relation), (contact.unread(), contact.room, contact.relation));
        }
        prop_assert_eq!(
            again.strangers().collect::<Vec<_>>(),
            book.strangers().collect::<Vec<_>>()
        );
        prop_assert_eq!(again.waiting(), book.waiting());
    }

    #[test]
    fn two_people_that_hear_everything_in_any_order_see_the_same(
        deeds in vec((any::<bool>(), 0..5_u8, any::<prop::sample::Index>(), "[a-z]{1,6}"), 1..40),
        order in vec(any::<prop::sample::Index>(), 200),
    ) {
        let (a, b) = (identity(1), identity(2));
        let mut two = Two::contacts();
        let mut undelivered: Vec<(bool, Document)> = Vec::new();
        for (now, (first, deed, which, text)) in deeds.iter().enumerate() {
            let now = now as u64;
            let (book, with) = if *first { (&mut two.a, b) } else { (&mut two.b, a) };
            let known: Vec<_> = book.contact(&with).unwrap().items().map(|item| (item.author, item.head.id)).collect();
            let of = if known.is_empty() { None } else { Some(*which.get(&known)) };
            // What is not one's own is refused.
            match (deed, of) {
                (1, Some((_, id))) => _ = book.edit(now, with, id, text),
                (2, Some((_, id))) => _ = book.delete(now, with, id),
                (3, Some((author, id))) => _ = book.react(now, with, author, id, text),
                _ => _ = book.say(now, with, text, of.filter(|_| *deed == 4).map(|(author, id)| (id, author)), Vec::new()),
            }
            for output in drain(book, &mut BTreeMap::new()) {
                if let Output::Send { token, document, .. } = output {
                    book.on_sent(now, token, Ok((MessageId([0; 16]), true)));
                    undelivered.push((*first, document));
                }
            }
            // Some of what is under way arrives, in any order.
            while undelivered.len() > 6 {
                let at = order[now as usize].index(undelivered.len());
                let (from_a, document) = undelivered.remove(at);
                two.deliver(from_a, &document);
            }
        }
        for (at, (from_a, document)) in undelivered.into_iter().rev().enumerate() {
            two.deliver(from_a, &document);
            if at % 3 == 0 {
                two.deliver(from_a, &document);
            }
        }
        let sorted = |book: &Book, with| {
            let mut all = seen(book, &with);
            all.sort_by_key(|one| (one.0, one.1));
            all
        };
        prop_assert_eq!(sorted(&two.a, b), sorted(&two.b, a));
        // What one wrote is in one order for both.
        let of = |book: &Book, with, author| -> Vec<DocumentId> {
            seen(book, &with).into_iter().filter(|one| one.0 == author).map(|one| one.1).collect()
        };
        prop_assert_eq!(of(&two.a, b, a), of(&two.b, a, a));
        prop_assert_eq!(of(&two.a, b, b), of(&two.b, a, b));
    }
}

struct Two {
    a: Book,
    b: Book,
    count: u8,
}

impl Two {
    fn books() -> Self {
        let book = |n: u8| {
            let mut book = Book::new(identity(n), PeerId([n + 10; 32]), [n; 32]);
            book.on_online(0, true);
            book.set_profile(0, if n == 1 { "Ada" } else { "Ben" }, None, None).unwrap();
            book
        };
        Self { a: book(1), b: book(2), count: 0 }
    }

    /// Two that have found each other.
    fn contacts() -> Self {
        let mut two = Self::books();
        two.a.add(0, identity(2), "Ben?", "").unwrap();
        two.exchange(0);
        two.b.accept(0, identity(1)).unwrap();
        two.exchange(0);
        two
    }

    fn deliver(&mut self, from_a: bool, document: &Document) {
        self.count = self.count.wrapping_add(1);
        let (to, from) = if from_a { (&mut self.b, 1) } else { (&mut self.a, 2) };
        to.on_document(0, identity(from), PeerId([from + 10; 32]), &MessageId([self.count; 16]), 0, document);
    }

    /// Everything that is to be said arrives; gives events by whose they are.
    fn exchange(&mut self, now: u64) -> Vec<(u8, Event)> {
        let mut events = Vec::new();
        loop {
            let mut quiet = true;
            for n in [1, 2] {
                let book = if n == 1 { &mut self.a } else { &mut self.b };
                for output in drain(book, &mut BTreeMap::new()) {
                    match output {
                        Output::Send { token, document, .. } => {
                            quiet = false;
                            let book = if n == 1 { &mut self.a } else { &mut self.b };
                            book.on_sent(now, token, Ok((MessageId([0; 16]), true)));
                            self.deliver(n == 1, &document);
                        }
                        Output::Event(event) => events.push((n, event)),
                        _ => {}
                    }
                }
            }
            if quiet {
                return events;
            }
        }
    }
}

#[test]
fn who_asks_and_who_agrees_meet_in_one_room_and_know_each_others_names() {
    let two = Two::contacts();
    let (ada, ben) = (two.b.contact(&identity(1)).unwrap(), two.a.contact(&identity(2)).unwrap());
    assert_eq!((ada.relation, ben.relation), (Relation::Both, Relation::Both));
    assert!(ada.room.is_some() && ada.room == ben.room);
    assert_eq!((ada.name(&identity(1)), ben.name(&identity(2))), ("Ada".into(), "Ben".into()));
}

#[test]
fn when_both_ask_at_once_the_smaller_document_has_the_room() {
    for _ in 0..8 {
        let mut two = Two::books();
        two.a.add(0, identity(2), "", "").unwrap();
        two.b.add(0, identity(1), "", "").unwrap();
        two.exchange(0);
        let (ada, ben) = (two.b.contact(&identity(1)).unwrap(), two.a.contact(&identity(2)).unwrap());
        assert!(ada.room.is_some() && ada.room == ben.room);
        assert_eq!((ada.relation, ben.relation), (Relation::Both, Relation::Both));
    }
}

#[test]
fn a_stranger_is_kept_apart_with_sixteen_documents_and_the_oldest_of_64_goes() {
    let mut book = Book::new(identity(1), PeerId([9; 32]), [3; 32]);
    let text = |n: u8| {
        let head = Head { id: DocumentId([n; 16]), sent: 0, n: Some(u64::from(n) + 1) };
        Said::Text(Text { head, text: "psst".into(), reply: None, attachments: Vec::new() }).encode().unwrap()
    };
    for from in 0..65_u8 {
        for n in 0..20 {
            let id = MessageId([n; 16]);
            book.on_document(u64::from(from), identity(100 + from), PeerId([8; 32]), &id, 0, &text(n));
        }
    }
    assert_eq!(book.strangers().count(), limits::STRANGERS);
    assert!(book.stranger(&identity(100)).is_none() && book.stranger(&identity(164)).is_some());
    assert!(book.strangers().all(|(_, one)| one.items().len() == limits::STRANGERS_DOCUMENTS));
    assert_eq!(book.contacts().count(), 0);
    let typing = Said::Typing { on: true }.encode().unwrap();
    let before = book.counters().dropped;
    book.on_document(99, identity(99), PeerId([8; 32]), &MessageId([0; 16]), 0, &typing);
    assert_eq!((book.counters().dropped, book.stranger(&identity(99))), (before + 1, None));
    // Who is blocked is not heard.
    book.block(identity(164)).unwrap();
    book.on_document(99, identity(164), PeerId([8; 32]), &MessageId([0; 16]), 0, &text(1));
    assert_eq!(book.stranger(&identity(164)), None);
}

#[test]
fn a_conversation_keeps_its_latest_ten_thousand() {
    let mut two = Two::contacts();
    for n in 0..10_050_u64 {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let head = Head { id: DocumentId(id), sent: n, n: Some(n + 2) };
        let said = Said::Text(Text { head, text: n.to_string(), reply: None, attachments: Vec::new() });
        two.deliver(true, &said.encode().unwrap());
        while two.b.poll().is_some() {}
    }
    let contact = two.b.contact(&identity(1)).unwrap();
    assert_eq!(contact.items().len(), limits::KEPT);
    assert_eq!(contact.items().next().map(|item| item.text.as_str()), Some("50"));
}

#[test]
fn c8_typing_is_said_every_four_seconds_at_most_to_who_is_there_and_never_waits() {
    let mut two = Two::contacts();
    let said = |book: &mut Book| {
        let outputs = drain(book, &mut BTreeMap::new());
        outputs
            .iter()
            .filter(|output| matches!(output, Output::Send { token: 0, now_or_never: true, .. }))
            .count()
    };
    two.a.typing(0, identity(2), true).unwrap();
    assert_eq!(said(&mut two.a), 0, "nobody is there");
    two.a.on_presence(0, identity(2), true);
    for now in (0..=8000).step_by(100) {
        two.a.typing(now, identity(2), true).unwrap();
    }
    assert_eq!(said(&mut two.a), 3);
    two.a.typing(8100, identity(2), false).unwrap();
    two.a.typing(8200, identity(2), false).unwrap();
    assert_eq!((said(&mut two.a), two.a.waiting()), (1, 0));
}

#[test]
fn c8_read_is_said_every_two_seconds_at_most_and_reaches_the_author_as_a_state() {
    let mut two = Two::contacts();
    let ids: Vec<_> = (0..3).map(|n| two.a.say(n, identity(2), "hello", None, Vec::new()).unwrap()).collect();
    two.exchange(10);
    assert_eq!(two.b.contact(&identity(1)).unwrap().unread(), 3);
    let reads = |two: &mut Two, now| {
        let events = two.exchange(now);
        let is_read = |event: &Event| matches!(event, Event::State { state: State::Read, .. });
        events.iter().filter(|(n, event)| *n == 1 && is_read(event)).count()
    };
    two.b.read(10_000, identity(1), Some(ids[0])).unwrap();
    assert_eq!(reads(&mut two, 10_000), 1);
    two.b.read(10_001, identity(1), Some(ids[1])).unwrap();
    two.b.read(10_002, identity(1), None).unwrap();
    assert_eq!((reads(&mut two, 10_002), two.b.deadline(10_002)), (0, Some(12_000)));
    two.b.on_time(12_000);
    assert_eq!(reads(&mut two, 12_000), 2);
    assert_eq!(two.b.contact(&identity(1)).unwrap().unread(), 0);
}

#[test]
fn what_is_written_without_a_signaler_waits_and_goes_in_the_next_run() {
    let mut two = Two::contacts();
    two.a.on_online(0, false);
    let mut rows = BTreeMap::new();
    // The rows of before.
    two.a.set_profile(1, "Ada L.", None, None).unwrap();
    two.a.rename(identity(2), "Benjamin").unwrap();
    let id = two.a.say(1, identity(2), "later", None, Vec::new()).unwrap();
    let outputs = drain(&mut two.a, &mut rows);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Send { .. })));
    let mut again = Book::new(identity(1), PeerId([11; 32]), [77; 32]);
    again.load(rows);
    let state = |book: &Book| book.contact(&identity(2)).unwrap().item_of(id).unwrap().state.clone();
    assert_eq!(state(&again), State::Sending);
    again.on_online(5, true);
    let sent = drain(&mut again, &mut BTreeMap::new()).into_iter().find_map(|output| match output {
        Output::Send { token, document, .. } if document.get("text").is_some() => Some(token),
        _ => None,
    });
    again.on_sent(6, sent.unwrap(), Ok((MessageId([5; 16]), false)));
    assert_eq!(state(&again), State::Stored);
    again.on_outcome(&MessageId([5; 16]), Ok(()));
    assert_eq!(state(&again), State::Delivered);
}

#[test]
fn what_cannot_be_delivered_though_signalers_are_there_says_why_and_goes_again_when_asked_to() {
    let mut two = Two::contacts();
    let id = two.a.say(1, identity(2), "hello", None, Vec::new()).unwrap();
    let token = |book: &mut Book| {
        drain(book, &mut BTreeMap::new()).into_iter().find_map(|output| match output {
            Output::Send { token, .. } => Some(token),
            _ => None,
        })
    };
    let first = token(&mut two.a).unwrap();
    two.a.on_sent(2, first, Err("mailbox-full"));
    let state = |book: &Book| book.contact(&identity(2)).unwrap().item_of(id).unwrap().state.clone();
    assert_eq!(state(&two.a), State::Failed("mailbox-full".into()));
    two.a.resend(3, identity(2), id).unwrap();
    assert_eq!(state(&two.a), State::Sending);
    let second = token(&mut two.a).unwrap();
    two.a.on_sent(4, second, Ok((MessageId([1; 16]), true)));
    assert_eq!(state(&two.a), State::Delivered);
}

/// Pieces of a file of so many bytes, as a store has them.
fn pieces(size: usize) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (0..size).map(|at| (at / 251) as u8).collect();
    bytes.chunks(limits::PIECE).map(<[u8]>::to_vec).collect()
}

#[test]
fn a_large_file_is_fetched_from_who_is_there_goes_on_after_a_restart_and_is_given_to_nobody_else() {
    let mut two = Two::contacts();
    let size = 10 * limits::PIECE + 1;
    let (hash, pieces) = (AttachmentHash([5; 32]), pieces(size));
    let file = NewFile { name: "a".into(), media_type: "a/b".into(), size: size as u64, hash, data: None };
    two.a.say(1, identity(2), "", None, vec![file]).unwrap();
    let mut rows = BTreeMap::new();
    two.b.rename(identity(1), "A").unwrap();
    for output in drain(&mut two.a, &mut BTreeMap::new()) {
        assert!(!matches!(output, Output::SendPiece { .. }));
        if let Output::Send { document, .. } = output {
            two.deliver(true, &document);
        }
    }
    drain(&mut two.b, &mut rows);
    two.b.fetch(2, identity(1), hash).unwrap();
    let mut kept: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut given = 0;
    let mut checked = false;
    two.b.on_presence(2, identity(1), true);
    for run in 0..3 {
        let mut open = Vec::new();
        loop {
            for output in drain(&mut two.b, &mut rows) {
                match output {
                    Output::Ask { token, document, .. } => open.push((token, document)),
                    Output::Keep { at, data, .. } => assert!(kept.insert(at, data).is_none()),
                    Output::Check { .. } => checked = true,
                    _ => {}
                }
            }
            assert!(open.len() <= limits::ASKED);
            // The first two runs end in the middle.
            if run < 2 && given >= (run + 1) * 4 {
                break;
            }
            let Some((token, document)) = open.pop() else { break };
            two.a.on_request(identity(2), MessageId([1; 16]), 0, &document);
            let Some(Output::Give { hash, at, .. }) = drain(&mut two.a, &mut BTreeMap::new()).pop() else {
                panic!("not given")
            };
            two.a.on_request(identity(3), MessageId([2; 16]), 0, &document);
            let refused = drain(&mut two.a, &mut BTreeMap::new());
            assert!(matches!(refused[..], [Output::Refuse { .. }]));
            given += 1;
            let answer = answer(hash, at, pieces[at as usize].clone()).unwrap();
            two.b.on_answer(3, token, Ok(&answer));
        }
        if run < 2 {
            let mut again = Book::new(identity(2), PeerId([12; 32]), [run as u8 + 50; 32]);
            again.load(rows.clone());
            again.on_presence(4, identity(1), true);
            two.b = again;
        }
    }
    assert!(checked);
    assert_eq!(given, pieces.len());
    assert_eq!(kept.into_values().collect::<Vec<_>>(), pieces);
    two.b.on_checked(5, identity(1), hash, false);
    assert_eq!(two.b.file(identity(1), hash).unwrap().state, FileState::Damaged);
    let forgets = drain(&mut two.b, &mut rows);
    assert!(forgets.iter().any(|output| matches!(output, Output::Forget { .. })));
}

#[test]
fn pieces_of_a_file_of_half_a_mebibyte_go_right_behind_its_text_also_if_they_come_before_it() {
    let mut two = Two::contacts();
    let size = limits::PUSHED as usize;
    let (hash, pieces) = (AttachmentHash([5; 32]), pieces(size));
    let file = NewFile { name: "a".into(), media_type: "a/b".into(), size: size as u64, hash, data: None };
    two.a.say(1, identity(2), "look", None, vec![file]).unwrap();
    let mut said = Vec::new();
    for output in drain(&mut two.a, &mut BTreeMap::new()) {
        match output {
            Output::Send { document, .. } => said.push(document),
            Output::SendPiece { hash, at, .. } => {
                let data = Some(pieces[at as usize].clone());
                said.push(Said::Piece { of: hash, at, data }.encode().unwrap());
            }
            _ => {}
        }
    }
    assert_eq!(said.len(), 1 + pieces.len());
    for document in said.iter().rev() {
        two.deliver(true, document);
    }
    let outputs = drain(&mut two.b, &mut BTreeMap::new());
    let kept = outputs.iter().filter(|output| matches!(output, Output::Keep { .. })).count();
    assert_eq!(kept, pieces.len());
    assert!(outputs.iter().any(|output| matches!(output, Output::Check { .. })));
}

#[test]
fn small_files_travel_in_the_text_as_far_as_there_is_room() {
    let mut two = Two::contacts();
    let file = |n: u8| NewFile {
        name: n.to_string(),
        media_type: "a/b".into(),
        size: limits::PIECE as u64,
        hash: AttachmentHash([n; 32]),
        data: Some(vec![n; limits::PIECE]),
    };
    two.a.say(1, identity(2), &"x".repeat(limits::TEXT), None, vec![file(1), file(2), file(3)]).unwrap();
    let outputs = drain(&mut two.a, &mut BTreeMap::new());
    let sizes: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { document, .. } => Some(document.encode().len()),
            _ => None,
        })
        .collect();
    assert!(sizes[0] > limits::PIECE && sizes[0] <= limits::DOCUMENT, "{sizes:?}");
    let pushed = outputs.iter().filter(|output| matches!(output, Output::SendPiece { .. })).count();
    assert_eq!(pushed, 2);
}

#[test]
fn what_is_too_much_in_a_minute_is_kept_and_not_announced() {
    let mut two = Two::contacts();
    for n in 0..250_u64 {
        let mut id = [1; 16];
        id[0] = n as u8;
        let head = Head { id: DocumentId(id), sent: n, n: Some(n + 2) };
        let said = Said::Text(Text { head, text: "x".into(), reply: None, attachments: Vec::new() });
        two.deliver(true, &said.encode().unwrap());
    }
    let mut loud = 0;
    while let Some(output) = two.b.poll() {
        loud += usize::from(matches!(output, Output::Event(Event::Came { quiet: false, .. })));
    }
    assert!((150..=limits::FLOOD as usize).contains(&loud), "{loud}");
    assert_eq!(two.b.contact(&identity(1)).unwrap().items().len(), 250);
}
