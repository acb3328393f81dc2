//! Files in groups: whoever has one gives it to members, and to nobody else.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]
#![allow(clippy::cast_sign_loss, clippy::naive_bytecount, reason = "members and pieces are few")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_chat::book::{FileState, NewFile, Output, Published, With, answer};
use weft_chat::{Attachment, AttachmentHash, Book, DocumentId, Head, Said, Text, limits};
use weft_query::Document;
use weft_wire::membership::Role;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

const GROUP: PartyKey = PartyKey([7; 32]);
const OTHER: PartyKey = PartyKey([8; 32]);
const HASH: AttachmentHash = AttachmentHash([3; 32]);
/// Five pieces, the last of one byte.
const SIZE: usize = 4 * limits::PIECE + 1;

fn identity(n: u8) -> IdentityId {
    IdentityId([n; 32])
}

fn everybody() -> impl Iterator<Item = (IdentityId, Role)> {
    (1..6).map(|n| (identity(n), if n == 1 { Role::Admin } else { Role::Writer }))
}

/// The bytes of the file in pieces.
fn pieces() -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at / 251) as u8).collect();
    bytes.chunks(limits::PIECE).map(<[u8]>::to_vec).collect()
}

fn file(hash: AttachmentHash, size: usize) -> NewFile {
    let data = (size <= limits::PIECE).then(|| vec![0; size]);
    NewFile { name: "a".into(), media_type: "a/b".into(), size: size as u64, hash, data }
}

fn wish(hash: AttachmentHash, at: u32) -> Document {
    Said::Piece { of: hash, at, data: None }.encode().unwrap()
}

/// Books of members 1 to 5, with what they keep, and a clock.
struct Ring {
    books: BTreeMap<u8, Book>,
    rows: BTreeMap<u8, BTreeMap<Vec<u8>, Vec<u8>>>,
    kept: BTreeMap<(u8, AttachmentHash, u32), Vec<u8>>,
    /// Who is there.
    there: BTreeSet<u8>,
    /// Who was asked for a piece, in order.
    asked: Vec<u8>,
    /// What somebody gives, instead of what they have.
    lies: BTreeMap<u8, Vec<u8>>,
    /// Who answers nothing.
    silent: BTreeSet<u8>,
    /// What is right of files that are not [`pieces`].
    right: BTreeMap<AttachmentHash, Vec<Vec<u8>>>,
    /// So many answers come before all goes out, if it does.
    answers: usize,
    now: u64,
}

impl Ring {
    fn new(there: &[u8]) -> Self {
        let mut ring = Self {
            books: BTreeMap::new(),
            rows: BTreeMap::new(),
            kept: BTreeMap::new(),
            there: BTreeSet::new(),
            asked: Vec::new(),
            lies: BTreeMap::new(),
            silent: BTreeSet::new(),
            right: BTreeMap::new(),
            answers: usize::MAX,
            now: 1,
        };
        for n in 1..6 {
            let mut book = Book::new(identity(n), PeerId([n; 32]), [n; 32]);
            for group in [GROUP, OTHER] {
                book.join(0, group, "weft:z", "Friends").unwrap();
                book.on_members(0, group, everybody());
            }
            ring.books.insert(n, book);
            ring.rows.insert(n, BTreeMap::new());
        }
        ring.are_there(there);
        ring
    }

    fn book(&mut self, n: u8) -> &mut Book {
        self.books.get_mut(&n).unwrap()
    }

    /// These are linked with each other from now on.
    fn are_there(&mut self, there: &[u8]) {
        self.there = there.iter().copied().collect();
        for n in 1..6 {
            let others: Vec<_> =
                there.iter().filter(|_| self.there.contains(&n)).map(|n| identity(*n)).collect();
            let now = self.now;
            self.book(n).on_present(now, GROUP, others);
        }
        self.settle();
    }

    /// Somebody writes a text with a file of so many bytes, which those who are told get.
    fn say(&mut self, author: u8, hash: AttachmentHash, size: usize, to: &[u8]) -> Document {
        for (at, piece) in pieces().into_iter().enumerate() {
            self.kept.insert((author, hash, at as u32), piece);
        }
        let now = self.now;
        self.book(author).say(now, GROUP, "look", None, vec![file(hash, size)]).unwrap();
        let mut said = None;
        for output in self.drain(author) {
            if let Output::Publish { document, token, .. } = output {
                self.book(author).on_published(now, token, Ok(()));
                said = Some(document);
            }
        }
        let said = said.unwrap();
        for n in to {
            self.hear(*n, author, &said);
        }
        said
    }

    fn hear(&mut self, n: u8, author: u8, document: &Document) {
        let now = self.now;
        let (peer, id) = (PeerId([author; 32]), MessageId([9; 16]));
        let one = Published { author: identity(author), peer, id, time: now, backlog: false, document };
        self.book(n).on_document_in(now, GROUP, one);
        self.settle();
    }

    fn drain(&mut self, n: u8) -> Vec<Output> {
        let mut others = Vec::new();
        while let Some(output) = self.book(n).poll() {
            let rows = self.rows.get_mut(&n).unwrap();
            match output {
                Output::Put { key, value } => _ = rows.insert(key, value),
                Output::Remove { key } => _ = rows.remove(&key),
                Output::Keep { hash, at, data, .. } => {
                    assert!(self.kept.insert((n, hash, at), data).is_none(), "each piece once");
                }
                Output::Forget { hash, .. } => {
                    self.kept.retain(|(who, which, _), _| (*who, *which) != (n, hash));
                }
                other => others.push(other),
            }
        }
        others
    }

    /// Everything that is asked is answered, until there is nothing more, or as many answers came as may.
    fn settle(&mut self) {
        let mut open = VecDeque::new();
        loop {
            let mut checked = false;
            for n in 1..6 {
                for output in self.drain(n) {
                    match output {
                        Output::Ask { token, to, document } => open.push_back((n, token, to.0[0], document)),
                        Output::Check { with, hash, .. } => {
                            let (now, right) = (self.now, self.has(n, hash));
                            self.book(n).on_checked(now, with, hash, right);
                            checked = true;
                        }
                        _ => {}
                    }
                }
            }
            if checked {
                continue;
            }
            assert!(open.len() <= 5 * limits::ASKED);
            let Some((n, token, to, document)) = open.pop_front() else { return };
            if self.answers == 0 {
                return;
            }
            self.answers -= 1;
            assert!(self.there.contains(&to), "{to} is not there");
            self.asked.push(to);
            let now = self.now;
            if self.silent.contains(&to) {
                self.book(n).on_answer(now, token, Err("timeout"));
                continue;
            }
            let given = self.lie(to, &document).or_else(|| self.ask(n, to, &document));
            match given {
                Some(document) => self.book(n).on_answer(now, token, Ok(&document)),
                None => self.book(n).on_answer(now, token, Err("gone")),
            }
        }
    }

    fn lie(&self, to: u8, document: &Document) -> Option<Document> {
        let hash = document.get("of")?.as_str()?.parse().ok()?;
        let weft_query::View::Int(at) = document.get("at")? else { return None };
        self.lies.get(&to).map(|data| answer(hash, at as u32, data.clone()).unwrap())
    }

    /// What somebody is given who asks.
    fn ask(&mut self, from: u8, to: u8, document: &Document) -> Option<Document> {
        self.book(to).on_request(identity(from), MessageId([1; 16]), 0, document);
        let given = self.drain(to).into_iter().find_map(|output| match output {
            Output::Give { with, hash, at, .. } => Some((with, hash, at)),
            _ => None,
        });
        let (with, hash, at) = given?;
        assert_eq!(with, With::Group(GROUP));
        Some(answer(hash, at, self.kept[&(to, hash, at)].clone()).unwrap())
    }

    fn has(&self, n: u8, hash: AttachmentHash) -> bool {
        let kept = self.kept.iter().filter(|((who, which, _), _)| (*who, *which) == (n, hash));
        let right = self.right.get(&hash).cloned().unwrap_or_else(pieces);
        kept.map(|(_, data)| data.clone()).collect::<Vec<_>>() == right
    }

    fn fetch(&mut self, n: u8) {
        let now = self.now;
        self.book(n).fetch(now, GROUP, HASH).unwrap();
        self.settle();
    }

    /// So much later.
    fn later(&mut self, by: u64) {
        self.now += by;
        let now = self.now;
        self.books.values_mut().for_each(|book| book.on_time(now));
        self.settle();
    }

    fn state(&self, n: u8) -> FileState {
        self.books[&n].file(GROUP, HASH).unwrap().state
    }

    fn got(&self, n: u8) -> u32 {
        self.books[&n].file(GROUP, HASH).unwrap().got()
    }

    /// Starts again with what was stored.
    fn restart(&mut self, n: u8) {
        let mut book = Book::new(identity(n), PeerId([n; 32]), [n + 50; 32]);
        book.load(self.rows[&n].clone());
        self.books.insert(n, book);
    }
}

#[test]
fn a_file_of_any_size_goes_to_a_group_small_ones_in_the_text_and_nothing_is_pushed() {
    let mut ring = Ring::new(&[]);
    let sizes = [limits::PIECE, limits::PIECE, limits::PUSHED as usize, limits::ATTACHMENT as usize];
    let files = sizes.iter().enumerate().map(|(n, size)| file(AttachmentHash([n as u8; 32]), *size));
    ring.book(1).say(1, GROUP, "look", None, files.collect()).unwrap();
    let mut inside = Vec::new();
    for output in ring.drain(1) {
        assert!(!matches!(output, Output::SendPiece { .. } | Output::Send { .. }), "{output:?}");
        if let Output::Publish { document, .. } = output {
            let weft_query::View::Array(all) = document.get("attachments").unwrap() else {
                panic!("{document:?}")
            };
            inside = all.iter().map(|one| one.as_object().unwrap().get("data").is_some()).collect();
        }
    }
    assert_eq!(inside, [true, false, false, false]);
    assert_eq!(ring.book(1).waiting(), 1, "the text alone");
    let wide = file(HASH, limits::ATTACHMENT as usize + 1);
    assert!(ring.book(1).say(1, GROUP, "", None, vec![wide]).is_err());
}

#[test]
fn a_file_comes_from_its_author_and_from_nobody_else_while_they_are_there() {
    let mut ring = Ring::new(&[1, 2, 3]);
    ring.say(1, HASH, SIZE, &[2, 3]);
    assert_eq!((ring.state(2), ring.state(3)), (FileState::Here, FileState::Here), "up to 512 KiB by itself");
    assert_eq!(ring.asked, [1; 10]);
    // Whoever reads only has it as well, and gives it.
    let readers = everybody().map(|(who, role)| (who, if who == identity(4) { Role::Reader } else { role }));
    let readers: Vec<_> = readers.collect();
    ring.books.values_mut().for_each(|book| book.on_members(2, GROUP, readers.clone()));
    ring.are_there(&[2, 3, 4]);
    let said = text(1, HASH, SIZE);
    ring.hear(4, 1, &said);
    assert_eq!(ring.state(4), FileState::Here);
    assert!(ring.ask(5, 4, &wish(HASH, 4)).is_some());
}

/// A text with a file that is not inside.
fn text(id: u8, hash: AttachmentHash, size: usize) -> Document {
    let head = Head { id: DocumentId([id; 16]), sent: 1, n: Some(1) };
    let one = Attachment { name: "a".into(), media_type: "a/b".into(), size: size as u64, hash, data: None };
    Said::Text(Text { head, text: String::new(), reply: None, attachments: vec![one] }).encode().unwrap()
}

#[test]
fn when_the_author_is_away_it_comes_from_those_who_have_it_each_as_much() {
    let mut ring = Ring::new(&[1, 2, 3]);
    let said = ring.say(1, HASH, SIZE, &[2, 3]);
    ring.asked.clear();
    ring.are_there(&[2, 3, 4]);
    ring.hear(4, 1, &said);
    assert_eq!(ring.state(4), FileState::Here);
    let of = |who: u8| ring.asked.iter().filter(|one| **one == who).count();
    assert_eq!((of(2) + of(3), of(2).min(of(3))), (5, 2), "{:?}", ring.asked);
}

#[test]
fn who_has_not_got_it_is_passed_over_and_asked_later_and_it_waits_for_somebody_to_come() {
    let mut ring = Ring::new(&[2, 3]);
    ring.say(1, HASH, SIZE, &[2, 3]);
    assert_eq!((ring.state(2), ring.asked.len()), (FileState::Partial, 8), "each four, of the other one");
    ring.later(1000);
    assert_eq!(ring.asked.len(), 8);
    ring.later(60_000);
    assert_eq!(ring.asked.len(), 16, "it may have come meanwhile");
    // Somebody with the file comes, and both have it from then on.
    ring.are_there(&[1, 2, 3]);
    assert_eq!((ring.state(2), ring.state(3)), (FileState::Here, FileState::Here));
}

#[test]
fn who_says_nothing_stops_nobody_else_from_giving_it() {
    let mut ring = Ring::new(&[1, 2]);
    let said = ring.say(1, HASH, SIZE, &[2]);
    ring.silent.insert(1);
    ring.asked.clear();
    ring.are_there(&[1, 2, 3]);
    ring.hear(3, 1, &said);
    assert_eq!(ring.state(3), FileState::Here);
    assert_eq!(ring.asked.iter().filter(|who| **who == 1).count(), 4);
}

#[test]
fn it_is_gone_when_its_author_says_so_and_nobody_else_is_left() {
    let mut ring = Ring::new(&[1, 2]);
    let said = ring.say(1, HASH, SIZE, &[]);
    let of = ring.books[&1].items(GROUP).next().unwrap().head.id;
    ring.book(1).delete(2, GROUP, of).unwrap();
    ring.settle();
    ring.are_there(&[1, 2, 3]);
    ring.hear(3, 1, &said);
    assert_eq!(ring.state(3), FileState::Gone);
    let asked = ring.asked.len();
    ring.later(3_600_000);
    assert_eq!(ring.asked.len(), asked, "nobody is asked again by itself");
    ring.fetch(3);
    assert!(ring.asked.len() > asked);
    assert_eq!(ring.state(3), FileState::Gone);
    // Somebody else writes a text with it.
    ring.say(4, HASH, SIZE, &[3]);
    assert_eq!(ring.state(3), FileState::Partial);
    ring.are_there(&[3, 4]);
    assert_eq!(ring.state(3), FileState::Here);
}

#[test]
fn pieces_go_to_members_of_a_group_that_the_text_is_in_and_to_nobody_else() {
    let mut ring = Ring::new(&[1, 2]);
    ring.say(1, HASH, SIZE, &[2]);
    for holder in [1, 2] {
        assert!(ring.ask(5, holder, &wish(HASH, 4)).is_some(), "a member");
        assert!(ring.ask(5, holder, &wish(HASH, 5)).is_none(), "no such piece");
        assert!(ring.ask(5, holder, &wish(AttachmentHash([9; 32]), 0)).is_none(), "no such file");
        assert!(ring.ask(6, holder, &wish(HASH, 0)).is_none(), "a stranger");
        ring.book(holder).block(identity(4)).unwrap();
        assert!(ring.ask(4, holder, &wish(HASH, 0)).is_none(), "somebody blocked");
        let rest: Vec<_> = everybody().filter(|(who, _)| *who != identity(5)).collect();
        ring.book(holder).on_members(2, GROUP, rest);
        assert!(ring.ask(5, holder, &wish(HASH, 0)).is_none(), "somebody who was removed");
        assert!(ring.ask(3, holder, &wish(HASH, 0)).is_some(), "the others are given it");
    }
    // Somebody who is a member of another group of ours only.
    ring.book(2).on_members(3, OTHER, everybody().chain([(identity(9), Role::Writer)]));
    assert!(ring.ask(9, 2, &wish(HASH, 0)).is_none());
    // Who was removed knows no more who is a member.
    ring.book(2).on_members(4, GROUP, everybody().filter(|(who, _)| *who != identity(2)));
    assert!(ring.ask(3, 2, &wish(HASH, 0)).is_none());
}

#[test]
fn what_is_not_whole_is_given_to_nobody() {
    let mut ring = Ring::new(&[1, 2]);
    ring.answers = 3;
    ring.say(1, HASH, SIZE, &[2]);
    assert_eq!(ring.got(2), 3);
    assert!(ring.ask(3, 2, &wish(HASH, 0)).is_none());
}

#[test]
fn it_goes_on_after_a_restart_also_with_another_member() {
    let mut ring = Ring::new(&[1, 2, 3]);
    let said = ring.say(1, HASH, SIZE, &[2]);
    ring.answers = 2;
    ring.hear(3, 1, &said);
    assert_eq!(ring.got(3), 2);
    ring.answers = usize::MAX;
    ring.restart(3);
    ring.asked.clear();
    ring.are_there(&[2]);
    ring.are_there(&[2, 3]);
    assert_eq!((ring.state(3), ring.asked.clone()), (FileState::Here, vec![2; 3]));
}

#[test]
fn a_piece_of_another_length_is_passed_over_and_who_gave_it_is_not_asked_at_once() {
    let mut ring = Ring::new(&[2]);
    let said = ring.say(1, HASH, SIZE, &[]);
    ring.lies.insert(4, vec![0; 10]);
    ring.are_there(&[2, 4]);
    ring.hear(2, 1, &said);
    assert_eq!((ring.state(2), ring.got(2), ring.asked.len()), (FileState::Partial, 0, 4));
    ring.are_there(&[1, 2, 4]);
    assert_eq!(ring.state(2), FileState::Here);
    assert!(!ring.asked[4..].contains(&4));
}

#[test]
fn after_damage_only_the_author_is_asked_and_only_when_the_person_wants_it() {
    let mut ring = Ring::new(&[2]);
    let said = ring.say(1, HASH, SIZE, &[5]);
    ring.lies.insert(4, vec![0; limits::PIECE]);
    ring.are_there(&[1, 5]);
    ring.are_there(&[2, 4, 5]);
    ring.hear(2, 1, &said);
    assert_eq!(ring.state(2), FileState::Damaged, "{:?}", ring.asked);
    assert!(!ring.kept.keys().any(|(who, ..)| *who == 2));
    ring.later(1_000_000);
    ring.restart(2);
    ring.are_there(&[5]);
    ring.asked.clear();
    ring.are_there(&[2, 4, 5]);
    assert_eq!((ring.state(2), ring.asked.len()), (FileState::Damaged, 0), "not by itself");
    ring.fetch(2);
    assert_eq!((ring.state(2), ring.asked.len()), (FileState::Partial, 0), "the author is not there");
    ring.are_there(&[1, 2, 4, 5]);
    assert_eq!((ring.state(2), ring.asked.clone()), (FileState::Here, vec![1; 5]));
}

#[test]
fn what_is_larger_than_512_kib_or_too_much_in_all_comes_when_somebody_wants_it() {
    let mut ring = Ring::new(&[1, 2]);
    let large = text(1, HASH, limits::PUSHED as usize + 1);
    ring.hear(2, 1, &large);
    assert_eq!((ring.state(2), ring.asked.len()), (FileState::Partial, 0));
    ring.fetch(2);
    assert!(!ring.asked.is_empty());
    let hash = |n: u64| {
        let mut bytes = [9; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        AttachmentHash(bytes)
    };
    ring.are_there(&[2]);
    let most = limits::BY_ITSELF / limits::PUSHED;
    for n in 0..=most {
        let mut head = Head { id: DocumentId([0; 16]), sent: 1, n: Some(n + 2) };
        head.id.0[..8].copy_from_slice(&(n + 1).to_be_bytes());
        let one = Attachment {
            name: "a".into(),
            media_type: "a/b".into(),
            size: limits::PUSHED,
            hash: hash(n),
            data: None,
        };
        let said = Text { head, text: String::new(), reply: None, attachments: vec![one] };
        ring.hear(2, 1, &Said::Text(said).encode().unwrap());
    }
    ring.restart(2);
    ring.hear(2, 1, &text(3, hash(most + 1), limits::PUSHED as usize));
    ring.are_there(&[1, 2]);
    // The author has none of them, and says so of each that is wanted.
    let state = |n: u64| ring.books[&2].file(GROUP, hash(n)).unwrap().state;
    let gone = (0..=most + 1).filter(|n| state(*n) == FileState::Gone).count() as u64;
    assert_eq!((gone, state(most), state(most + 1)), (most, FileState::Partial, FileState::Partial));
}

#[test]
fn a_text_that_failed_goes_again_without_what_was_inside_and_that_is_asked_for() {
    let mut ring = Ring::new(&[1, 2]);
    let id = ring.book(1).say(1, GROUP, "look", None, vec![file(HASH, 3)]).unwrap();
    let publish = |ring: &mut Ring| {
        ring.drain(1).into_iter().find_map(|output| match output {
            Output::Publish { token, document, .. } => Some((token, document)),
            _ => None,
        })
    };
    let (token, _) = publish(&mut ring).unwrap();
    ring.book(1).on_published(2, token, Err("not-a-writer"));
    ring.book(1).resend(3, GROUP, id).unwrap();
    let (_, document) = publish(&mut ring).unwrap();
    ring.right.insert(HASH, vec![vec![1, 2, 3]]);
    ring.kept.insert((1, HASH, 0), vec![1, 2, 3]);
    ring.hear(2, 1, &document);
    assert_eq!((ring.state(2), ring.asked.clone()), (FileState::Here, vec![1]));
}
