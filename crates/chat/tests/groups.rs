//! Groups: whatever comes in whatever order is the same group for everybody, within every bound, and again after a restart.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use weft_chat::book::{BookError, Event, Output, Published, Standing, State};
use weft_chat::{Book, DocumentId, Head, Picture, Profile, Said, Text, limits};
use weft_query::Document;
use weft_wire::membership::Role;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

const GROUP: PartyKey = PartyKey([7; 32]);

fn identity(n: u8) -> IdentityId {
    IdentityId([n; 32])
}

fn head(id: u8, sent: u64, n: u64) -> Head {
    Head { id: DocumentId([id; 16]), sent, n: Some(n) }
}

fn text(id: u8, sent: u64, words: &str) -> Said {
    Said::Text(Text { head: head(id, sent, 1), text: words.into(), reply: None, attachments: Vec::new() })
}

fn new(n: u8) -> Book {
    Book::new(identity(n), PeerId([n; 32]), [n; 32])
}

/// Somebody who has joined, together with others: 2 is an admin, 5 a reader.
fn member(n: u8) -> Book {
    let mut book = new(n);
    book.join(0, GROUP, "weft:z", "Friends").unwrap();
    book.on_members(0, GROUP, everybody());
    book
}

fn everybody() -> Vec<(IdentityId, Role)> {
    let role = |n: u8| match n {
        2 => Role::Admin,
        5 => Role::Reader,
        _ => Role::Writer,
    };
    (1..6).map(|n| (identity(n), role(n))).collect()
}

fn publish(book: &mut Book, now: u64, author: u8, said: &Said, backlog: bool) {
    let document = said.encode().unwrap();
    let peer = PeerId([author; 32]);
    let id = MessageId([9; 16]);
    let one = Published { author: identity(author), peer, id, time: now, backlog, document: &document };
    book.on_document_in(now, GROUP, one);
}

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

fn outputs(book: &mut Book) -> Vec<Output> {
    drain(book, &mut BTreeMap::new())
}

/// What everybody sees alike.
fn seen(book: &Book) -> String {
    let group = book.group(&GROUP).unwrap();
    let items = group.items().map(|item| {
        (item.author, item.head.id, item.text.clone(), item.deleted, item.reactions.clone(), item.edited())
    });
    let names: Vec<_> = (1..6).map(|n| group.name_of(&identity(n), None)).collect();
    format!("{} {names:?} {:?}", group.name(&GROUP), items.collect::<Vec<_>>())
}

/// What is said to `2`, who is somebody's contact, is said.
fn befriend(book: &mut Book, other: u8) {
    let asks = Said::Contact {
        head: head(200, 0, 1),
        name: "Ben".into(),
        room: weft_chat::Room([1; 16]),
        note: String::new(),
    };
    let document = asks.encode().unwrap();
    book.on_document(0, identity(other), PeerId([other; 32]), &MessageId([1; 16]), 0, &document);
    book.accept(0, identity(other)).unwrap();
}

fn said() -> impl Strategy<Value = Said> {
    let head = || (0..10_u8, 0..20_u64, 1..9_u64).prop_map(|(id, sent, n)| head(id, sent, n));
    let of = || (0..10_u8).prop_map(|id| DocumentId([id; 16]));
    prop_oneof![
        4 => (head(), "[a-z]{1,6}").prop_map(|(head, text)| {
            Said::Text(Text { head, text, reply: None, attachments: Vec::new() })
        }),
        2 => (head(), of(), "[a-z]{1,6}").prop_map(|(head, of, text)| Said::Edit { head, of, text }),
        1 => (head(), of()).prop_map(|(head, of)| Said::Delete { head, of }),
        2 => (head(), of(), 1..6_u8, "[abc]?").prop_map(|(head, of, author, emoji)| {
            Said::Reaction { head, of, author: identity(author), emoji }
        }),
        1 => (0..9_u64, "[a-z]{1,6}").prop_map(|(issued, name)| Said::Group { issued, name, picture: None }),
        1 => (0..9_u64, "[a-z]{1,6}").prop_map(|(issued, name)| {
            Said::Profile(Profile { issued, name, ..Profile::default() })
        }),
        1 => head().prop_map(|head| Said::Leave { head }),
        1 => any::<bool>().prop_map(|on| Said::Typing { on }),
    ]
}

/// One id names one document of its author, and of two that say something at once one is later: otherwise what counts is the first
/// that came, which is not the same for everybody.
fn unlike(deeds: Vec<(u8, Said)>) -> Vec<(u8, Said)> {
    let mut known = std::collections::BTreeSet::new();
    let mut deeds = deeds;
    for (at, (_, said)) in deeds.iter_mut().enumerate() {
        let unique = DocumentId([100 + at as u8; 16]);
        match said {
            Said::Edit { head, .. } | Said::Delete { head, .. } | Said::Reaction { head, .. } => {
                head.id = unique;
            }
            Said::Group { issued, .. } => *issued = at as u64,
            Said::Profile(profile) => profile.issued = at as u64,
            _ => {}
        }
    }
    deeds.retain(|(author, said)| match said {
        Said::Text(text) => known.insert((*author, text.head.id)),
        _ => true,
    });
    deeds
}

proptest! {
    #[test]
    fn whoever_hears_everything_in_whatever_order_sees_the_same_and_again_after_a_restart(
        deeds in vec((2..6_u8, said()), 0..60),
        order in vec(any::<prop::sample::Index>(), 60),
        members_at in any::<prop::sample::Index>(),
    ) {
        let deeds = unlike(deeds);
        let mut one = member(1);
        let mut rows = BTreeMap::new();
        for (author, said) in &deeds {
            publish(&mut one, 100, *author, said, false);
            publish(&mut one, 100, *author, said, true);
        }
        drain(&mut one, &mut rows);
        let mut again = new(1);
        again.load(rows);
        prop_assert_eq!(seen(&again), seen(&one));
        let (left, right) = (again.group(&GROUP).unwrap(), one.group(&GROUP).unwrap());
        prop_assert_eq!((left.unread(), &left.standing), (right.unread(), &right.standing));
        prop_assert_eq!(left.members().collect::<Vec<_>>(), right.members().collect::<Vec<_>>());

        let mut other = new(1);
        other.join(0, GROUP, "weft:z", "Friends").unwrap();
        // The core takes nothing of readers: here what they say is not there, in whatever order its members are known.
        let mut left: Vec<_> = deeds.iter().filter(|(author, _)| *author != 5).collect();
        let from = members_at.index(left.len() + 1);
        for (count, index) in order.iter().enumerate() {
            if count == from {
                other.on_members(0, GROUP, everybody());
            }
            if left.is_empty() {
                break;
            }
            let (author, said) = left.remove(index.index(left.len()));
            publish(&mut other, 100, *author, said, true);
        }
        other.on_members(0, GROUP, everybody());
        prop_assert_eq!(seen(&other), seen(&one));
    }
}

#[test]
fn who_founds_a_group_is_its_admin_says_its_name_and_who_they_are() {
    let mut book = new(1);
    book.set_profile(1, "Ada", None, None).unwrap();
    assert!(matches!(book.found(2, GROUP, " "), Err(BookError::Bound { .. })));
    assert!(matches!(book.found(2, GROUP, &"a".repeat(65)), Err(BookError::Bound { .. })));
    book.found(2, GROUP, "Friends").unwrap();
    assert_eq!(book.found(2, GROUP, "Friends"), Err(BookError::KnownGroup));
    let published: Vec<_> = outputs(&mut book)
        .into_iter()
        .filter_map(|output| match output {
            Output::Publish { document, .. } => Some(document),
            Output::Join { group, invitation } => {
                assert_eq!((group, invitation), (GROUP, None));
                None
            }
            _ => None,
        })
        .collect();
    let kinds: Vec<_> = published.iter().map(|one| one.get("kind").unwrap().as_str().unwrap()).collect();
    assert_eq!(kinds, ["profile", "group"]);
    let group = book.group(&GROUP).unwrap();
    assert_eq!((group.name(&GROUP), group.role(&identity(1))), ("Friends".into(), Some(Role::Admin)));
    book.name_group(3, GROUP, "Old friends", Picture::new(b"\x89PNG\r\n\x1a\n")).unwrap();
    let group = book.group(&GROUP).unwrap();
    assert_eq!((group.name(&GROUP).as_str(), group.picture().is_some()), ("Old friends", true));
}

#[test]
fn an_invitation_is_a_message_to_a_contact_and_taken_or_refused_once() {
    let (mut ada, mut ben) = (new(1), new(2));
    befriend(&mut ada, 2);
    befriend(&mut ben, 1);
    ada.on_online(0, true);
    ada.found(1, GROUP, "Friends").unwrap();
    assert_eq!(ada.may_invite(GROUP, identity(3)), Err(BookError::NoContact));
    outputs(&mut ada);
    let id = ada.invite(2, GROUP, identity(2), "weft:z123").unwrap();
    let (token, document) = outputs(&mut ada)
        .into_iter()
        .find_map(|output| match output {
            Output::Send { token, document, .. } => Some((token, document)),
            _ => None,
        })
        .unwrap();
    ada.on_sent(3, token, Ok((MessageId([3; 16]), true)));
    let item = ada.contact(&identity(2)).unwrap().item(identity(1), id).unwrap();
    assert_eq!(item.state, State::Delivered, "it is told how far an invitation is");

    ben.on_document(4, identity(1), PeerId([1; 32]), &MessageId([3; 16]), 4, &document);
    assert_eq!(ben.invitation(identity(1), id), Ok("weft:z123"));
    assert_eq!(ben.take_invitation(5, identity(1), DocumentId([0; 16]), GROUP), Err(BookError::NoInvitation));
    outputs(&mut ben);
    ben.take_invitation(5, identity(1), id, GROUP).unwrap();
    let joins = outputs(&mut ben);
    let join = Output::Join { group: GROUP, invitation: Some("weft:z123".into()) };
    assert!(joins.contains(&join), "{joins:?}");
    assert_eq!(ben.group(&GROUP).unwrap().standing, Standing::Joining);
    assert_eq!(ben.refuse_invitation(identity(1), id), Err(BookError::NoInvitation));
    assert!(matches!(ben.say(6, GROUP, "hello", None, Vec::new()), Err(BookError::NotAMember(_))));
    ben.on_members(7, GROUP, [(identity(1), Role::Admin), (identity(2), Role::Writer)]);
    ben.say(8, GROUP, "hello", None, Vec::new()).unwrap();
    assert_eq!(ben.name_group(9, GROUP, "Mine", None), Err(BookError::NotAnAdmin));
    assert_eq!(ben.may_remove(GROUP, identity(1)), Err(BookError::NotAnAdmin));

    let id = ada.invite(10, GROUP, identity(2), "weft:z124").unwrap();
    let Some(Output::Send { document, .. }) =
        outputs(&mut ada).into_iter().find(|output| matches!(output, Output::Send { .. }))
    else {
        panic!("nothing was sent")
    };
    ben.on_document(11, identity(1), PeerId([1; 32]), &MessageId([4; 16]), 11, &document);
    assert_eq!(ben.take_invitation(12, identity(1), id, GROUP), Err(BookError::KnownGroup));
    ben.refuse_invitation(identity(1), id).unwrap();
    assert!(!outputs(&mut ben).iter().any(|output| matches!(output, Output::Send { .. })), "nobody is told");
}

#[test]
fn a_joining_group_is_joined_again_with_its_invitation_at_the_next_start_and_one_that_is_over_is_not() {
    let mut book = new(1);
    let mut rows = BTreeMap::new();
    book.join(0, GROUP, "weft:z", "Friends").unwrap();
    drain(&mut book, &mut rows);
    let mut again = new(1);
    again.load(rows.clone());
    let joined = outputs(&mut again);
    assert!(joined.contains(&Output::Join { group: GROUP, invitation: Some("weft:z".into()) }), "{joined:?}");
    again.on_members(1, GROUP, everybody());
    again.on_members(1, GROUP, []);
    assert_eq!(again.group(&GROUP).unwrap().standing, Standing::Member, "nothing is known yet");
    again.on_members(2, GROUP, everybody().into_iter().filter(|(who, _)| *who != identity(1)));
    drain(&mut again, &mut rows);
    let mut third = new(1);
    third.load(rows);
    assert_eq!(outputs(&mut third), []);
    let group = third.group(&GROUP).unwrap();
    assert_eq!(group.standing, Standing::Out("removed".into()));
    assert_eq!(third.say(3, GROUP, "x", None, Vec::new()), Err(BookError::NotAMember("removed".into())));
    // Somebody may be asked back.
    third.join(4, GROUP, "weft:z2", "Friends").unwrap();
    third.on_members(5, GROUP, everybody());
    third.say(6, GROUP, "x", None, Vec::new()).unwrap();
}

#[test]
fn what_is_written_waits_until_the_core_has_it_also_over_a_restart() {
    let mut book = member(1);
    let mut rows = BTreeMap::new();
    drain(&mut book, &mut rows);
    let id = book.say(1, GROUP, "hello", None, Vec::new()).unwrap();
    let token = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Publish { token, .. } => Some(*token),
            _ => None,
        })
    };
    assert!(token(&drain(&mut book, &mut rows)).is_some());
    let mut again = new(1);
    again.load(rows);
    again.on_time(2);
    let first = token(&outputs(&mut again)).unwrap();
    again.on_published(3, first, Err("not-in-party"));
    assert_eq!(token(&outputs(&mut again)), None);
    let due = again.deadline(3).unwrap();
    again.on_time(due);
    let second = token(&outputs(&mut again)).unwrap();
    again.on_published(due, second, Ok(()));
    let state = |book: &Book| book.group(&GROUP).unwrap().item(identity(1), id).unwrap().state.clone();
    assert_eq!((state(&again), again.waiting()), (State::Published, 0));

    let id = book.say(4, GROUP, "no more", None, Vec::new()).unwrap();
    let refused = token(&outputs(&mut book)).unwrap();
    book.on_published(5, refused, Err("not-a-writer"));
    let failed = book.group(&GROUP).unwrap().item(identity(1), id).unwrap().state.clone();
    assert_eq!(failed, State::Failed("not-a-writer".into()));
    book.resend(6, GROUP, id).unwrap();
    assert!(token(&outputs(&mut book)).is_some());
}

#[test]
fn a_reader_writes_nothing_and_somebody_blocked_is_not_heard() {
    let mut reader = member(5);
    assert_eq!(reader.say(1, GROUP, "x", None, Vec::new()), Err(BookError::NotAWriter));
    assert_eq!(reader.react(1, GROUP, identity(2), DocumentId([1; 16]), "x"), Err(BookError::NotAWriter));
    let mut book = member(1);
    book.block(identity(3)).unwrap();
    publish(&mut book, 1, 3, &text(1, 1, "from somebody blocked"), false);
    publish(&mut book, 1, 5, &text(2, 1, "from a reader"), false);
    publish(&mut book, 1, 4, &text(3, 1, "from a writer"), false);
    let texts: Vec<_> = book.group(&GROUP).unwrap().items().map(|item| item.text.clone()).collect();
    assert_eq!((texts, book.counters().dropped), (vec!["from a writer".to_owned()], 2));
}

#[test]
fn backlog_and_a_flood_are_kept_unread_and_not_announced() {
    let mut book = member(1);
    outputs(&mut book);
    let announced = |book: &mut Book| {
        let all = outputs(book);
        all.iter().filter(|output| matches!(output, Output::Event(Event::Came { quiet: false, .. }))).count()
    };
    publish(&mut book, 1, 2, &text(1, 1, "x"), true);
    assert_eq!((announced(&mut book), book.group(&GROUP).unwrap().unread()), (0, 1));
    for n in 0..250_u64 {
        let mut said = text(0, n, "x");
        if let Said::Text(text) = &mut said {
            text.head.id = DocumentId((1000 + u128::from(n)).to_be_bytes());
        }
        publish(&mut book, 2, 2, &said, false);
    }
    assert_eq!((announced(&mut book), book.group(&GROUP).unwrap().unread()), (limits::FLOOD as usize, 251));
    book.set_muted(GROUP, true).unwrap();
    publish(&mut book, 70_000, 2, &text(2, 1, "x"), false);
    assert_eq!(announced(&mut book), 0);
    book.read(70_001, GROUP, None).unwrap();
    assert_eq!(book.group(&GROUP).unwrap().unread(), 0);
    assert!(
        !outputs(&mut book).iter().any(|one| matches!(one, Output::Send { .. } | Output::Publish { .. }))
    );
}

#[test]
fn who_leaves_says_so_last_and_keeps_nothing() {
    let mut book = member(1);
    let mut rows = BTreeMap::new();
    publish(&mut book, 1, 2, &text(1, 1, "x"), false);
    book.say(2, GROUP, "y", None, Vec::new()).unwrap();
    drain(&mut book, &mut rows);
    book.leave(3, GROUP).unwrap();
    let outputs = drain(&mut book, &mut rows);
    let last: Vec<&Document> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Leave { document, .. } => document.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!(last[0].get("kind").unwrap().as_str(), Some("leave"));
    assert!(rows.is_empty(), "{rows:?}");
    assert!(book.group(&GROUP).is_none() && book.waiting() == 0);
    assert_eq!(book.leave(4, GROUP), Err(BookError::NoGroup));
}

#[test]
fn names_of_strangers_are_shown_with_the_end_of_their_identity_and_those_of_contacts_are_ours() {
    let mut book = member(1);
    befriend(&mut book, 2);
    for author in [2, 3] {
        let profile = Profile { issued: 1, name: "Ben".into(), ..Profile::default() };
        publish(&mut book, 1, author, &Said::Profile(profile), false);
    }
    book.rename(identity(2), "My Ben").unwrap();
    let tail = identity(3).to_string();
    let tail = &tail[tail.len() - 4..];
    assert_eq!(book.member_name(&GROUP, &identity(2)), "My Ben");
    assert_eq!(book.member_name(&GROUP, &identity(3)), format!("Ben ({tail})"));
    assert_eq!(book.member_name(&GROUP, &identity(4)), weft_chat::book::short(&identity(4)));
}

#[test]
fn who_we_are_is_said_again_before_the_first_text_after_somebody_came() {
    let mut book = member(1);
    book.set_profile(1, "Ada", None, Picture::new(b"\x89PNG\r\n\x1a\n")).unwrap();
    let profiles = |book: &mut Book| {
        let all = outputs(book);
        let published = all.into_iter().filter_map(|output| match output {
            Output::Publish { document, .. } => Some(document),
            _ => None,
        });
        let all: Vec<_> = published
            .filter(|one| one.get("kind").and_then(weft_query::View::as_str) == Some("profile"))
            .collect();
        assert!(all.iter().all(|one| one.get("picture").is_none()), "it would be in everybody's backlog");
        all.len()
    };
    assert_eq!(profiles(&mut book), 1);
    book.say(2, GROUP, "x", None, Vec::new()).unwrap();
    assert_eq!(profiles(&mut book), 0);
    let more = everybody().into_iter().chain([(identity(6), Role::Writer)]);
    book.on_members(3, GROUP, more);
    assert_eq!(profiles(&mut book), 0, "not everybody at once");
    book.say(4, GROUP, "x", None, Vec::new()).unwrap();
    book.say(5, GROUP, "x", None, Vec::new()).unwrap();
    assert_eq!(profiles(&mut book), 1);
}

#[test]
fn there_are_bounds_on_groups_members_and_namers() {
    let mut book = new(1);
    for n in 0..limits::GROUPS {
        book.join(0, PartyKey([n as u8; 32]), "weft:z", "x").unwrap();
    }
    assert_eq!(book.join(0, PartyKey([255; 32]), "weft:z", "x"), Err(BookError::TooManyGroups));
    let wide = |n: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        IdentityId(bytes)
    };
    let many = (0..2 * limits::MEMBERS).map(|n| (wide(n), Role::Admin));
    book.on_members(0, GROUP, many.chain([(identity(1), Role::Writer)]));
    let group = book.group(&GROUP).unwrap();
    assert_eq!(group.members().len(), limits::MEMBERS);
    assert_eq!(group.standing, Standing::Member, "we are not the one that is left out");
    let picture = Picture::new(&[b"\xff\xd8\xff".as_slice(), &vec![0; limits::PICTURE - 3]].concat());
    let name = || "a".repeat(limits::NAME);
    let profile = Said::Profile(Profile { issued: 1, name: name(), ..Profile::default() });
    let said = (0..limits::MEMBERS + 8).map(|n| (n, profile.clone()));
    let said = said.chain((0..8).map(|n| (n, Said::Leave { head: head(1, 2, 1) })));
    let naming = Said::Group { issued: 1, name: name(), picture };
    let said = said.chain((0..2 * limits::NAMERS).map(|n| (n, naming.clone())));
    let mut rows = BTreeMap::new();
    for (n, said) in said {
        let document = said.encode().unwrap();
        let one = Published {
            author: wide(n),
            peer: PeerId([1; 32]),
            id: MessageId([1; 16]),
            time: 1,
            backlog: true,
            document: &document,
        };
        book.on_document_in(1, GROUP, one);
        drain(&mut book, &mut rows);
    }
    let mut again = new(1);
    again.load(rows);
    assert_eq!(again.groups().count(), limits::GROUPS);
    assert_eq!(again.group(&GROUP).unwrap().members().len(), limits::MEMBERS, "a full row is read again");
}
