//! Golden documents, words, links and conversations: `tests/vectors/chat.json`.
//!
//! `WEFT_WRITE_VECTORS=1 cargo test -p weft-chat --test vectors` writes the file anew; a difference in review is a change of
//! the protocol.
//!
//! - `documents`: what comes in a message with the id `message` and the time 1700000000000, and what it `means`: the document
//!   that says the same, as the chat would write it.
//! - `dropped`: documents that say nothing: as what they are counted, and why.
//! - `words`, `links`, `wellKnown`.
//! - `scripts`: `them` is a contact of `me`. Each step happens at a time: a `document` of theirs (of their first peer, or of
//!   `peer` 2), `say`ing something whose id is called `as` from then on, that being `stored` or `delivered`, or `read`ing all.
//!   Then the conversation is `items`, so much is `unread`, and they are `typing` or not.
//! - `groups`: `me` has taken an invitation into the party `group`, called Friends. Each step: these are the `members`, a `document`
//!   was published `by` somebody (with their first peer), perhaps before (`backlog`), something is said or read as above, or we are
//!   `excluded` with that code by a peer of `whose`. Then the group has that `name`, we are so (`standing`), these have `left`; `items` and `unread` as above.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_chat::book::{Item, Output, Published, Standing, State};
use weft_chat::{Address, Book, DocumentId, decode, words};
use weft_query::{Document, json as forms};
use weft_wire::membership::Role;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

const GOLDEN: &str = include_str!("../../../tests/vectors/chat.json");
const TIME: u64 = 1_700_000_000_000;
const MESSAGE: MessageId = MessageId([0x66; 16]);

fn id(n: u8) -> String {
    DocumentId([n; 16]).to_string()
}

fn identity(n: u8) -> IdentityId {
    IdentityId([n; 32])
}

fn document(value: &Value) -> Document {
    Document::from_value(&forms::parse(&value.to_string()).unwrap()).unwrap()
}

fn shown(document: &Document) -> Value {
    serde_json::from_str(&forms::to_string(&document.to_value())).unwrap()
}

/// An object with more members, or others.
fn with(value: &Value, more: &Value) -> Value {
    let mut all = value.as_object().unwrap().clone();
    for (key, value) in more.as_object().unwrap() {
        if value.is_null() {
            all.remove(key)
        } else {
            all.insert(key.clone(), value.clone())
        };
    }
    Value::Object(all)
}

fn text(n: u64, words: &str) -> Value {
    let id = id(u8::try_from(n).unwrap());
    json!({ "chat": 1, "kind": "text", "id": id, "sent": TIME + n, "n": n, "text": words })
}

fn bytes(bytes: &[u8]) -> Value {
    let value = weft_query::Value::Bytes(bytes.to_vec());
    serde_json::from_str(&forms::to_string(&value)).unwrap()
}

fn attachment() -> Value {
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    json!({ "name": "hello.txt", "type": "text/plain", "size": 5, "hash": hash, "data": bytes(b"hello") })
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0";

fn samples() -> Vec<(&'static str, Value)> {
    let head = json!({ "chat": 1, "id": id(9), "sent": TIME, "n": 7 });
    let of = |kind: &str, more: Value| with(&with(&head, &json!({ "kind": kind, "of": id(1) })), &more);
    let room = id(0xab);
    vec![
        ("a text", text(1, "hello")),
        ("a text with members that nobody knows", with(&text(1, "hello"), &json!({ "later": true }))),
        ("a text of 16,384 bytes", text(1, &"ü".repeat(8192))),
        ("an answer", with(&text(2, "yes"), &json!({ "reply": id(1), "replyTo": identity(2).to_string() }))),
        ("a file and no words", with(&text(1, ""), &json!({ "attachments": [attachment()] }))),
        (
            "a file that is fetched in pieces",
            with(
                &text(1, "look"),
                &json!({ "attachments": [with(&attachment(), &json!({
                "name": "a b.tar.gz", "type": "application/vnd.x+gzip", "size": 67_108_864, "data": null
            }))] }),
            ),
        ),
        ("other words", of("edit", json!({ "text": "hello!" }))),
        ("a text is taken back", of("delete", json!({}))),
        ("a sign", of("reaction", json!({ "author": identity(2).to_string(), "emoji": "👍" }))),
        ("a sign is taken back", of("reaction", json!({ "author": identity(2).to_string(), "emoji": "" }))),
        ("seen up to", json!({ "chat": 1, "kind": "read", "upTo": id(1) })),
        ("seen", json!({ "chat": 1, "kind": "read", "ids": [id(1), id(2)] })),
        ("somebody writes", json!({ "chat": 1, "kind": "typing", "on": true })),
        ("a name", json!({ "chat": 1, "kind": "profile", "issued": TIME, "name": "Ada" })),
        (
            "a name, a color and a picture",
            json!({ "chat": 1, "kind": "profile", "issued": TIME, "name": "Ada", "color": "#a0B1c2", "picture": bytes(PNG) }),
        ),
        (
            "a request",
            with(&head, &json!({ "kind": "contact", "name": "Ada", "room": room, "note": "we met" })),
        ),
        ("a request without a word", with(&head, &json!({ "kind": "contact", "name": "Ada", "room": room }))),
        ("a yes", json!({ "chat": 1, "kind": "accept", "name": "Ben", "room": room })),
        (
            "a piece",
            json!({ "chat": 1, "kind": "piece", "of": attachment()["hash"], "at": 1023, "data": bytes(b"x") }),
        ),
        ("the wish for a piece", json!({ "chat": 1, "kind": "piece", "of": attachment()["hash"], "at": 0 })),
        (
            "an invitation",
            with(&head, &json!({ "kind": "invitation", "name": "Friends", "invitation": "weft:z123" })),
        ),
        ("a group's name", json!({ "chat": 1, "kind": "group", "issued": TIME, "name": "Friends" })),
        (
            "a group's name and picture",
            json!({ "chat": 1, "kind": "group", "issued": TIME, "name": "Friends", "picture": bytes(PNG) }),
        ),
        ("a member leaves", with(&head, &json!({ "kind": "leave" }))),
        ("what weft send writes", json!({ "text": "hello from a shell" })),
        (
            "a kind of later, with a text",
            json!({ "chat": 1, "kind": "poll", "text": "tea or coffee?", "of": 3 }),
        ),
    ]
}

fn wrong() -> Vec<(&'static str, Value)> {
    let good = text(1, "hello");
    let but = |more: Value| with(&good, &more);
    let file = |more: Value| but(json!({ "attachments": [with(&attachment(), &more)] }));
    let edit = with(&good, &json!({ "kind": "edit", "of": id(1) }));
    let sign = json!({ "kind": "reaction", "of": id(1), "author": identity(2).to_string(), "emoji": "x" });
    let sign = with(&good, &sign);
    let profile = json!({ "chat": 1, "kind": "profile", "issued": TIME, "name": "Ada" });
    let contact = with(&good, &json!({ "kind": "contact", "name": "Ada", "room": id(1) }));
    let piece = json!({ "chat": 1, "kind": "piece", "of": attachment()["hash"], "at": 0 });
    vec![
        ("another version", but(json!({ "chat": 2 }))),
        ("a version that is no integer", but(json!({ "chat": "1" }))),
        ("no kind", but(json!({ "kind": null }))),
        ("no id", but(json!({ "id": null }))),
        ("an id in capitals", but(json!({ "id": id(0xab).to_uppercase() }))),
        ("an id that is short", but(json!({ "id": "ab" }))),
        ("no time", but(json!({ "sent": null }))),
        ("a time below 0", but(json!({ "sent": -1 }))),
        ("a time that is a fraction", but(json!({ "sent": 1.5 }))),
        ("n of 0", but(json!({ "n": 0 }))),
        ("n beyond the safe integers", but(json!({ "n": 9_007_199_254_740_992_u64 }))),
        ("no text", but(json!({ "text": null }))),
        ("an empty text without attachments", but(json!({ "text": "" }))),
        ("a text that is a number", but(json!({ "text": 1 }))),
        ("a text of 16,385 bytes", but(json!({ "text": "a".repeat(16_385) }))),
        ("a reply to nobody", but(json!({ "reply": id(1) }))),
        ("nine attachments", but(json!({ "attachments": vec![attachment(); 9] }))),
        ("attachments that are no list", but(json!({ "attachments": attachment() }))),
        ("an attachment in a folder", file(json!({ "name": "../x" }))),
        ("an attachment in a folder of Windows", file(json!({ "name": "..\\x" }))),
        ("an attachment with a line end in its name", file(json!({ "name": "a\nb" }))),
        ("an attachment without a name", file(json!({ "name": "" }))),
        ("an attachment of 64 MiB and a byte", file(json!({ "size": 67_108_865, "data": null }))),
        ("an attachment with other than all of it", file(json!({ "size": 4 }))),
        ("an attachment without a hash", file(json!({ "hash": null }))),
        ("an attachment of no media type", file(json!({ "type": "text" }))),
        ("an attachment with a media type of three parts", file(json!({ "type": "a/b/c" }))),
        ("an empty edit", with(&edit, &json!({ "text": "" }))),
        ("an edit of nothing", with(&edit, &json!({ "of": null }))),
        ("a sign of 33 bytes", with(&sign, &json!({ "emoji": "a".repeat(33) }))),
        ("a sign to nobody's text", with(&sign, &json!({ "author": "nobody" }))),
        ("seen what", json!({ "chat": 1, "kind": "read" })),
        ("seen both ways", json!({ "chat": 1, "kind": "read", "upTo": id(1), "ids": [] })),
        ("65 that were seen", json!({ "chat": 1, "kind": "read", "ids": vec![id(1); 65] })),
        ("writing that is a number", json!({ "chat": 1, "kind": "typing", "on": 1 })),
        ("an empty name", with(&profile, &json!({ "name": "" }))),
        ("a name of 65 bytes", with(&profile, &json!({ "name": "a".repeat(65) }))),
        ("a color by name", with(&profile, &json!({ "color": "red" }))),
        ("a picture that is none", with(&profile, &json!({ "picture": bytes(b"<svg/>") }))),
        ("a picture that is text", with(&profile, &json!({ "picture": "x" }))),
        ("a request without a room", with(&contact, &json!({ "room": null }))),
        ("a request with a word of 513 bytes", with(&contact, &json!({ "note": "a".repeat(513) }))),
        ("a piece beyond 64 MiB", with(&piece, &json!({ "at": 1024 }))),
        ("an empty piece", with(&piece, &json!({ "data": bytes(b"") }))),
        ("a group without a name", json!({ "chat": 1, "kind": "group", "issued": TIME })),
        (
            "a group with a name of 65 bytes",
            json!({ "chat": 1, "kind": "group", "issued": TIME, "name": "a".repeat(65) }),
        ),
        ("a group that was named at no time", json!({ "chat": 1, "kind": "group", "name": "Friends" })),
        ("leaving without an id", json!({ "chat": 1, "kind": "leave", "sent": TIME, "n": 1 })),
        (
            "an invitation of 513 bytes",
            with(&good, &json!({ "kind": "invitation", "name": "Friends", "invitation": "a".repeat(513) })),
        ),
        ("a kind of later without a text", json!({ "chat": 1, "kind": "poll" })),
        ("something else altogether", json!({ "title": "Ran" })),
        ("a bare text of 16,385 bytes", json!({ "text": "a".repeat(16_385) })),
    ]
}

fn scripts() -> Vec<(&'static str, Vec<Value>)> {
    let at = |n: u64, more: Value| with(&json!({ "at": TIME + n }), &more);
    let comes = |n: u64, document: Value| at(n, json!({ "document": document }));
    let mine = |n: u64, words: &str, name: &str| at(n, json!({ "say": words, "as": name }));
    let of = |n: u64, kind: &str, of: &str, more: Value| {
        let head = with(&text(n, "x"), &json!({ "kind": kind, "of": of, "text": null }));
        with(&head, &more)
    };
    let (me, them) = (identity(1).to_string(), identity(2).to_string());
    let typing = |on: bool| json!({ "chat": 1, "kind": "typing", "on": on });
    vec![
        ("two texts that come the other way round", vec![comes(1, text(2, "two")), comes(2, text(1, "one"))]),
        (
            "two peers of theirs have an order each",
            vec![
                comes(1, text(5, "first, five")),
                with(&comes(2, text(1, "second, one")), &json!({ "peer": 2 })),
                comes(3, text(4, "first, four")),
            ],
        ),
        (
            "a text that comes twice is there once",
            vec![comes(1, text(1, "one")), comes(2, text(1, "another"))],
        ),
        (
            "the edit with the highest n counts",
            vec![
                comes(1, text(1, "one")),
                comes(2, of(3, "edit", &id(1), json!({ "text": "three" }))),
                comes(3, of(2, "edit", &id(1), json!({ "text": "two" }))),
            ],
        ),
        (
            "an edit that comes before its text",
            vec![comes(1, of(2, "edit", &id(1), json!({ "text": "two" }))), comes(2, text(1, "one"))],
        ),
        (
            "nothing comes back after a deletion",
            vec![
                comes(1, text(1, "one")),
                comes(2, of(2, "delete", &id(1), json!({}))),
                comes(3, of(3, "edit", &id(1), json!({ "text": "three" }))),
                comes(4, text(1, "one")),
            ],
        ),
        (
            "nobody edits what somebody else wrote",
            vec![
                mine(1, "mine", "$1"),
                comes(2, of(1, "edit", "$1", json!({ "text": "theirs" }))),
                comes(3, of(2, "delete", "$1", json!({}))),
            ],
        ),
        (
            "the latest sign of a person counts",
            vec![
                mine(1, "mine", "$1"),
                comes(2, of(1, "reaction", "$1", json!({ "author": me, "emoji": "a", "sent": TIME + 9 }))),
                comes(3, of(2, "reaction", "$1", json!({ "author": me, "emoji": "b", "sent": TIME + 8 }))),
                comes(4, text(3, "theirs")),
                comes(5, of(4, "reaction", &id(3), json!({ "author": them, "emoji": "c" }))),
                comes(6, of(5, "reaction", &id(3), json!({ "author": them, "emoji": "" }))),
            ],
        ),
        (
            "seen up to a text covers what was before it and never goes back",
            vec![
                mine(1, "one", "$1"),
                at(2, json!({ "delivered": "$1" })),
                mine(3, "two", "$2"),
                at(4, json!({ "stored": "$2" })),
                comes(5, json!({ "chat": 1, "kind": "read", "upTo": "$1" })),
                at(6, json!({ "delivered": "$2" })),
                at(7, json!({ "delivered": "$1" })),
                mine(8, "three", "$3"),
            ],
        ),
        (
            "an answer names what it answers",
            vec![
                mine(1, "a question", "$1"),
                comes(2, with(&text(1, "an answer"), &json!({ "reply": "$1", "replyTo": me }))),
            ],
        ),
        ("somebody writes for six seconds at most", vec![comes(1, typing(true)), at(6001, json!({}))]),
        ("somebody writes for nearly six seconds", vec![comes(1, typing(true)), at(6000, json!({}))]),
        ("a text ends writing", vec![comes(1, typing(true)), comes(2, text(1, "one"))]),
        (
            "what was read is not unread",
            vec![comes(1, text(1, "one")), at(2, json!({ "read": true })), comes(3, text(2, "two"))],
        ),
        (
            "what weft send writes is a text",
            vec![comes(1, json!({ "text": "from a shell" })), comes(2, text(1, "one"))],
        ),
        (
            "a clock that is far ahead shows the time of coming",
            vec![comes(1, with(&text(1, "one"), &json!({ "sent": TIME + 600_000 })))],
        ),
    ]
}

/// What a script makes of a conversation.
fn play(steps: &[Value]) -> Value {
    let (me, them) = (identity(1), identity(2));
    let mut book = Book::new(me, PeerId([11; 32]), [7; 32]);
    let mut names: BTreeMap<String, DocumentId> = BTreeMap::new();
    let mut tokens: BTreeMap<DocumentId, u64> = BTreeMap::new();
    let mut count = 0_u8;
    let mut feed = |book: &mut Book, now: u64, peer: u64, value: &Value| {
        count += 1;
        let peer = PeerId([20 + u8::try_from(peer).unwrap(); 32]);
        book.on_document(now, them, peer, &MessageId([count; 16]), now, &document(value));
    };
    let asks = json!({ "chat": 1, "kind": "contact", "id": id(0xcc), "sent": 0, "n": 1, "name": "Them", "room": id(1) });
    feed(&mut book, 0, 1, &asks);
    book.accept(0, them).unwrap();
    book.on_online(0, true);
    for step in steps {
        let now = step["at"].as_u64().unwrap();
        let mut written = step.to_string();
        for (name, id) in &names {
            written = written.replace(&format!("\"{name}\""), &format!("\"{id}\""));
        }
        let written: Value = serde_json::from_str(&written).unwrap();
        let named = |key: &str| written[key].as_str().map(|id| id.parse::<DocumentId>().unwrap());
        if step["document"].is_object() {
            feed(&mut book, now, step["peer"].as_u64().unwrap_or(1), &written["document"]);
        } else if let Some(words) = step["say"].as_str() {
            let id = book.say(now, them, words, None, Vec::new()).unwrap();
            names.insert(step["as"].as_str().unwrap().to_owned(), id);
        } else if let Some((id, delivered)) =
            named("stored").map(|id| (id, false)).or(named("delivered").map(|id| (id, true)))
        {
            let message = MessageId(id.0);
            match tokens.remove(&id) {
                Some(token) => book.on_sent(now, token, Ok((message, delivered))),
                None => book.on_outcome(&message, Ok(())),
            }
        } else if step["read"].as_bool() == Some(true) {
            book.read(now, them, None).unwrap();
        }
        book.on_time(now);
        while let Some(output) = book.poll() {
            if let Output::Send { token, document, .. } = output
                && let Some(id) = document.get("id").and_then(weft_query::View::as_str)
            {
                tokens.insert(id.parse().unwrap(), token);
            }
        }
    }
    let contact = book.contact(&them).unwrap();
    let items = shown_items(me, contact.items(), &names);
    json!({ "items": items, "unread": contact.unread(), "typing": contact.typing() })
}

/// Items as they are in the file; what was written here by the names that it has there.
fn shown_items<'a>(
    me: IdentityId,
    items: impl Iterator<Item = &'a Item>,
    names: &BTreeMap<String, DocumentId>,
) -> Vec<Value> {
    let name_of = |id: DocumentId| {
        let name = names.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone());
        name.unwrap_or_else(|| id.to_string())
    };
    items
        .map(|item| {
            let mut shown = json!({
                "author": item.author.to_string(), "id": name_of(item.head.id), "text": item.text, "time": item.time(),
            });
            let members = shown.as_object_mut().unwrap();
            let mut add = |key: &str, value: Value| _ = members.insert(key.into(), value);
            if item.author == me {
                add("state", item.state.word().into());
            }
            if item.edited() {
                add("edited", true.into());
            }
            if item.deleted {
                add("deleted", true.into());
            }
            if let Some((id, author)) = item.reply {
                add("reply", json!({ "id": name_of(id), "author": author.to_string() }));
            }
            let signs = item.reactions.iter().filter(|(_, one)| !one.emoji.is_empty());
            let signs: serde_json::Map<String, Value> =
                signs.map(|(who, one)| (who.to_string(), one.emoji.clone().into())).collect();
            if !signs.is_empty() {
                add("reactions", signs.into());
            }
            shown
        })
        .collect()
}

fn groups() -> Vec<(&'static str, Vec<Value>)> {
    let at = |n: u64, more: Value| with(&json!({ "at": TIME + n }), &more);
    let who = |n: u8| identity(n).to_string();
    let roles = |roles: &[(u8, &str)]| {
        let all: serde_json::Map<String, Value> =
            roles.iter().map(|(n, role)| (who(*n), json!(role))).collect();
        json!({ "members": all })
    };
    let all = || at(0, roles(&[(1, "writer"), (2, "admin"), (3, "writer"), (4, "reader")]));
    let by = |n: u64, author: u8, document: Value| at(n, json!({ "by": who(author), "document": document }));
    let said = |n: u64, words: &str, sent: u64| with(&text(n, words), &json!({ "sent": TIME + sent }));
    let of = |n: u64, kind: &str, of: &str, more: Value| {
        let head = with(&text(n, "x"), &json!({ "kind": kind, "of": of, "text": null }));
        with(&head, &more)
    };
    let called = |issued: u64, name: &str| json!({ "chat": 1, "kind": "group", "issued": TIME + issued, "name": name });
    let leave =
        |n: u64, sent: u64| json!({ "chat": 1, "kind": "leave", "id": id(99), "sent": TIME + sent, "n": n });
    vec![
        (
            "what each has published comes one after the other and is shown by its time",
            vec![
                all(),
                with(&by(9, 2, said(1, "one", 1)), &json!({ "backlog": true })),
                with(&by(9, 2, said(3, "three", 3)), &json!({ "backlog": true })),
                with(&by(9, 3, said(2, "two", 2)), &json!({ "backlog": true })),
                with(&by(9, 3, said(4, "four", 4)), &json!({ "backlog": true })),
            ],
        ),
        (
            "what has the same time is shown by its id and then by its author",
            vec![
                all(),
                by(5, 2, said(7, "seven", 1)),
                by(5, 2, said(2, "two of the second", 1)),
                by(5, 3, said(2, "two of the third", 1)),
                by(5, 3, said(1, "one", 1)),
            ],
        ),
        (
            "a clock that is far ahead has the time of coming",
            vec![all(), by(5, 2, said(1, "ahead", 900_000)), by(6, 3, said(2, "right", 6))],
        ),
        (
            "what comes again is there once",
            vec![all(), by(1, 2, said(1, "one", 1)), by(2, 2, said(1, "two", 2))],
        ),
        (
            "only who wrote a text edits it or takes it back, an admin neither",
            vec![
                all(),
                at(1, json!({ "say": "mine", "as": "$1" })),
                by(2, 2, of(1, "edit", "$1", json!({ "text": "theirs" }))),
                by(3, 2, of(2, "delete", "$1", json!({}))),
                by(4, 3, said(3, "three", 4)),
                by(5, 3, of(4, "edit", &id(3), json!({ "text": "four" }))),
                by(6, 3, said(5, "five", 6)),
                by(7, 3, of(6, "delete", &id(5), json!({}))),
            ],
        ),
        (
            "anybody reacts to anybody's text",
            vec![
                all(),
                by(1, 2, said(1, "one", 1)),
                by(2, 3, of(1, "reaction", &id(1), json!({ "author": who(2), "emoji": "a" }))),
                by(3, 2, of(2, "reaction", &id(1), json!({ "author": who(2), "emoji": "b" }))),
                by(4, 3, of(3, "reaction", &id(1), json!({ "author": who(2), "emoji": "c" }))),
            ],
        ),
        (
            "a reader's documents and what is said between two people only are dropped",
            vec![
                all(),
                by(1, 4, said(1, "a reader's", 1)),
                by(2, 4, called(2, "a reader's")),
                by(3, 2, json!({ "chat": 1, "kind": "read", "ids": [] })),
                by(4, 2, json!({ "chat": 1, "kind": "typing", "on": true })),
                by(5, 2, json!({ "chat": 1, "kind": "accept", "name": "x", "room": id(1) })),
                by(6, 2, json!({ "text": "from a shell" })),
            ],
        ),
        (
            "the latest name by an admin counts, in whatever order names and members come",
            vec![
                by(1, 3, called(9, "a writer's")),
                by(2, 2, called(2, "second")),
                by(3, 2, called(1, "first")),
                all(),
            ],
        ),
        (
            "who is an admin no more names nothing",
            vec![
                all(),
                by(1, 2, called(1, "by an admin")),
                at(2, roles(&[(1, "writer"), (3, "admin"), (4, "reader")])),
                by(3, 3, said(3, "still here", 3)),
            ],
        ),
        (
            "who leaves has left until they say something later",
            vec![
                all(),
                by(1, 2, leave(1, 10)),
                by(2, 3, leave(1, 10)),
                by(3, 3, said(2, "before", 9)),
                by(4, 2, said(2, "back", 11)),
            ],
        ),
        (
            "leaving that comes after what was said later counts for nothing",
            vec![all(), by(1, 2, said(2, "later", 11)), by(2, 2, leave(1, 10))],
        ),
        (
            "who is removed keeps what it has",
            vec![
                all(),
                by(1, 2, said(1, "one", 1)),
                at(2, json!({ "read": true })),
                at(3, roles(&[(2, "admin"), (3, "writer")])),
            ],
        ),
        (
            "an invitation that was used by somebody else",
            vec![at(1, json!({ "excluded": "invitation-used" }))],
        ),
        ("somebody who does not know us yet", vec![at(1, json!({ "excluded": "not-a-member" }))]),
        (
            "somebody says that we were removed who is no member",
            vec![all(), at(1, json!({ "excluded": "removed", "whose": who(7) }))],
        ),
        (
            "a member says that we were removed",
            vec![all(), at(1, json!({ "excluded": "removed", "whose": who(3) }))],
        ),
        (
            "what is ours is published",
            vec![
                all(),
                at(1, json!({ "say": "one", "as": "$1" })),
                at(2, json!({ "published": "$1" })),
                at(3, json!({ "say": "two", "as": "$2" })),
            ],
        ),
    ]
}

const GROUP: PartyKey = PartyKey([9; 32]);

/// What a script makes of a group.
fn play_group(steps: &[Value]) -> Value {
    let me = identity(1);
    let mut book = Book::new(me, PeerId([11; 32]), [7; 32]);
    let mut names: BTreeMap<String, DocumentId> = BTreeMap::new();
    let mut tokens: BTreeMap<DocumentId, u64> = BTreeMap::new();
    book.join(0, GROUP, "weft:z", "Friends").unwrap();
    for (count, step) in steps.iter().enumerate() {
        let now = step["at"].as_u64().unwrap();
        let mut written = step.to_string();
        for (name, id) in &names {
            written = written.replace(&format!("\"{name}\""), &format!("\"{id}\""));
        }
        let written: Value = serde_json::from_str(&written).unwrap();
        if let Some(author) = written["by"].as_str() {
            let author: IdentityId = author.parse().unwrap();
            let one = Published {
                author,
                peer: PeerId(author.0),
                id: MessageId([u8::try_from(count).unwrap() + 100; 16]),
                time: now,
                backlog: written["backlog"].as_bool() == Some(true),
                document: &document(&written["document"]),
            };
            book.on_document_in(now, GROUP, one);
        } else if let Some(members) = written["members"].as_object() {
            let role = |name: &str| match name {
                "reader" => Role::Reader,
                "writer" => Role::Writer,
                _ => Role::Admin,
            };
            let members =
                members.iter().map(|(who, one)| (who.parse().unwrap(), role(one.as_str().unwrap())));
            book.on_members(now, GROUP, members.collect::<Vec<_>>());
        } else if let Some(words) = written["say"].as_str() {
            let id = book.say(now, GROUP, words, None, Vec::new()).unwrap();
            names.insert(step["as"].as_str().unwrap().to_owned(), id);
        } else if let Some(id) = written["published"].as_str() {
            book.on_published(now, tokens[&id.parse().unwrap()], Ok(()));
        } else if let Some(code) = written["excluded"].as_str() {
            let whose = written["whose"].as_str().map(|who| who.parse().unwrap());
            book.on_excluded(GROUP, whose, code);
        } else if written["read"].as_bool() == Some(true) {
            book.read(now, GROUP, None).unwrap();
        }
        while let Some(output) = book.poll() {
            if let Output::Publish { token, document, .. } = output
                && let Some(id) = document.get("id").and_then(weft_query::View::as_str)
            {
                tokens.insert(id.parse().unwrap(), token);
            }
        }
    }
    let group = book.group(&GROUP).unwrap();
    let items = shown_items(me, group.items(), &names);
    let standing = match &group.standing {
        Standing::Out(code) => code.clone(),
        other => other.word().to_owned(),
    };
    let left = group.members().map(|(who, _)| who).filter(|who| group.has_left(who));
    let left: Vec<_> = left.map(ToString::to_string).collect();
    json!({ "name": group.name(&GROUP), "standing": standing, "left": left, "items": items, "unread": group.unread() })
}

fn links() -> Vec<Value> {
    let who = identity(7).to_string();
    let texts = [
        who.clone(),
        format!("weft:{who}"),
        format!(
            "weft:{who}?name=Ada%20%26%20Co.&signaler=wss%3A%2F%2Fa.example%2Fx&signaler=ws://localhost:8190&later=1"
        ),
        format!("https://weft.example/demo/chat/#weft:{who}?name=%C3%9C"),
        "weft:nobody".into(),
        format!("weft:{who}?name="),
        format!("weft:{who}?name=%FF"),
        format!("weft:{who}?signaler=https://a"),
        format!("weft:{who}?{}", ["signaler=ws://a"; 5].join("&")),
    ];
    let of = |text: &String| match text.parse::<Address>() {
        Ok(address) => json!({
            "text": text, "identity": address.identity.to_string(), "name": address.name,
            "signalers": address.signalers, "written": address.to_string(),
        }),
        Err(_) => json!({ "text": text, "refused": true }),
    };
    texts.iter().map(of).collect()
}

fn well_known() -> Vec<Value> {
    let who = identity(7).to_string();
    let texts = [
        json!({ "weft": 1, "identity": who }).to_string(),
        json!({ "weft": 1, "identity": who, "name": "Ada", "signalers": ["wss://a.example"], "later": {} })
            .to_string(),
        json!({ "weft": 2, "identity": who }).to_string(),
        json!({ "weft": 1 }).to_string(),
        json!({ "weft": 1, "identity": who, "signalers": "wss://a.example" }).to_string(),
        json!({ "weft": 1, "identity": who, "name": 3 }).to_string(),
        "<html>".into(),
    ];
    let of = |text: &String| match Address::from_well_known(text.as_bytes()) {
        Ok(address) => json!({
            "text": text, "identity": address.identity.to_string(), "name": address.name, "signalers": address.signalers,
        }),
        Err(_) => json!({ "text": text, "refused": true }),
    };
    texts.iter().map(of).collect()
}

fn vectors() -> Value {
    let documents = samples().into_iter().map(|(name, value)| {
        let said =
            decode(&document(&value), &MESSAGE, TIME).unwrap_or_else(|error| panic!("{name}: {error}"));
        let means = shown(&said.encode().unwrap());
        json!({ "name": name, "document": value, "means": means })
    });
    let dropped = wrong().into_iter().map(|(name, value)| {
        let error = decode(&document(&value), &MESSAGE, TIME).expect_err(name);
        json!({ "name": name, "document": value, "code": error.code(), "why": error.to_string() })
    });
    let pairs = [(1, 2), (2, 1), (3, 200)];
    let words = pairs.into_iter().map(|(a, b)| {
        let (a, b) = (identity(a), identity(b));
        json!({ "a": a.to_string(), "b": b.to_string(), "words": words::of(&a, &b).join(" ") })
    });
    let scripts = scripts().into_iter().map(|(name, steps)| {
        let result = play(&steps);
        json!({ "name": name, "steps": steps, "result": result })
    });
    let groups = groups().into_iter().map(|(name, steps)| {
        let result = play_group(&steps);
        json!({ "name": name, "steps": steps, "result": result })
    });
    json!({
        "message": DocumentId(MESSAGE.0).to_string(),
        "me": identity(1).to_string(),
        "them": identity(2).to_string(),
        "documents": documents.collect::<Vec<_>>(),
        "dropped": dropped.collect::<Vec<_>>(),
        "words": words.collect::<Vec<_>>(),
        "links": links(),
        "wellKnown": well_known(),
        "scripts": scripts.collect::<Vec<_>>(),
        "group": GROUP.to_string(),
        "groups": groups.collect::<Vec<_>>(),
    })
}

/// One case a line.
fn written(all: &Value) -> String {
    let parts = all.as_object().unwrap().iter().map(|(key, value)| match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| format!("    {item}")).collect();
            format!("  {}: [\n{}\n  ]", json!(key), items.join(",\n"))
        }
        other => format!("  {}: {other}", json!(key)),
    });
    format!("{{\n{}\n}}\n", parts.collect::<Vec<_>>().join(",\n"))
}

#[test]
fn documents_words_links_and_conversations_are_the_golden_ones() {
    let now = vectors();
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/chat.json");
        std::fs::write(path, written(&now)).unwrap();
        return;
    }
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    for (key, value) in golden.as_object().unwrap() {
        match (value.as_array(), now[key].as_array()) {
            (Some(golden), Some(now)) => {
                assert_eq!(golden.len(), now.len(), "{key}");
                for (golden, now) in golden.iter().zip(now) {
                    assert_eq!(golden, now, "{key}: {}", golden["name"]);
                }
            }
            _ => assert_eq!(value, &now[key], "{key}"),
        }
    }
    assert_eq!(golden.as_object().unwrap().len(), now.as_object().unwrap().len());
}

#[test]
fn what_a_document_means_means_the_same_again() {
    for (name, value) in samples() {
        let said = decode(&document(&value), &MESSAGE, TIME).unwrap();
        if value["chat"].is_null() || value["kind"] == "poll" {
            // It had no head, which only the core's message has.
            assert!(said.encode().unwrap().get("n").is_none(), "{name}");
            continue;
        }
        assert_eq!(decode(&said.encode().unwrap(), &MESSAGE, TIME).unwrap(), said, "{name}");
    }
}

#[test]
fn the_states_of_a_text_have_words_of_their_own() {
    let states = [
        State::Sending,
        State::Stored,
        State::Delivered,
        State::Read,
        State::Published,
        State::Failed("x".into()),
    ];
    let words: std::collections::BTreeSet<_> = states.iter().map(State::word).collect();
    assert_eq!(words.len(), states.len());
}
