//! `weft chat --json`: commands and events, one JSON object a line.

use std::io::{BufRead as _, Read as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use weft_chat::book::{BookError, Contact, Event, Group, Item, Relation, Standing, State, With};
use weft_chat::{DocumentId, shown, words};
use weft_native_peer::{IdentityId, Role};
use weft_wire::PartyKey;

use super::super::ReachArgs;
use super::super::exit::{Exit, Failure};
use super::super::interrupt::Interrupt;
use super::super::output::print;
use super::engine::{Engine, News, Refusal, find, now};

/// Commands that are read ahead.
const AHEAD: usize = 64;
/// Bytes of a line.
const LINE: u64 = 256 * 1024;
/// After the end of the input, what is written may take so long to be safe.
const FAREWELL: Duration = Duration::from_secs(30);
/// Items of a conversation that are shown if nothing is said.
const HISTORY: usize = 50;
/// What is found at most.
const FOUND: usize = 500;

/// Why a command was not done: a code for programs, and words for people.
type Refused = (String, String);

pub(crate) async fn run(reach: &ReachArgs, stay: bool) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::start();
    let mut engine = Engine::start(reach).await?;
    let mut input = read();
    let mut lines = Lines { waits: Vec::new(), last: 0 };
    let address = engine.address();
    say(&json!({
        "event": "ready", "identity": engine.weft.identity().to_string(), "peer": engine.weft.id().to_string(),
        "name": engine.book.own_name(), "link": address.to_string(),
    }))?;
    let (mut farewell, mut ended): (Option<Instant>, bool) = (None, false);
    let result = loop {
        while let Some(news) = engine.news() {
            lines.tell(&engine, news)?;
        }
        let over = farewell.is_some() && engine.book.waiting() == 0 && lines.waits.is_empty();
        if over {
            break Ok(Exit::Done);
        }
        let open = farewell.is_none() && !ended;
        tokio::select! {
            happened = engine.next() => engine.handle(happened).await?,
            line = input.recv(), if open => match line {
                Some(line) => {
                    if lines.on_line(&mut engine, &line).await? {
                        farewell = Some(Instant::now() + FAREWELL);
                    }
                    engine.settle().await?;
                }
                None if stay => ended = true,
                None => farewell = Some(Instant::now() + FAREWELL),
            },
            () = interrupt.asked() => break Ok(if stay || farewell.is_none() { Exit::Done } else { Exit::Interrupted }),
            () = tokio::time::sleep_until(farewell.unwrap_or_else(|| Instant::now() + FAREWELL * 1000)) => {
                let waiting = engine.book.waiting();
                break Err(Failure::timed_out(&format!(
                    "{waiting} documents are not sent yet: they wait for a signaler in reach, and go in the next run"
                )));
            }
        }
    };
    engine.close().await;
    result
}

/// Lines of standard input, read by a thread that waits where nobody takes them.
fn read() -> mpsc::Receiver<String> {
    let (into, from) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = std::io::BufReader::new(std::io::stdin());
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            if !line.trim().is_empty() && into.blocking_send(line).is_err() {
                return;
            }
        }
    });
    from
}

fn say(value: &Value) -> Result<(), Failure> {
    print(&format!("{value}\n"))
}

/// Commands that have no answer yet.
struct Lines {
    /// Files that are to be saved: numbers, and the tags of the commands.
    waits: Vec<(u64, Value)>,
    last: u64,
}

impl Lines {
    /// Does what a line says, and answers. Whether that was to end.
    async fn on_line(&mut self, engine: &mut Engine, line: &str) -> Result<bool, Failure> {
        let Ok(Value::Object(command)) = serde_json::from_str(line) else {
            say(
                &json!({ "event": "error", "code": "bad-line", "text": "a command is one JSON object a line, as in {\"do\":\"contacts\"}" }),
            )?;
            return Ok(false);
        };
        let tag = command.get("tag").cloned().unwrap_or_default();
        let what = command.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
        let done = self.on_command(engine, &what, &Members(&command), &tag).await;
        match done {
            Ok(Some(mut answer)) => {
                if !tag.is_null() {
                    answer.insert("tag".into(), tag);
                }
                say(&Value::Object(answer))?;
            }
            Ok(None) => {}
            Err((code, text)) => {
                let mut answer = json!({ "event": "error", "do": what, "code": code, "text": text });
                if let (false, Some(members)) = (tag.is_null(), answer.as_object_mut()) {
                    members.insert("tag".into(), tag);
                }
                say(&answer)?;
            }
        }
        Ok(what == "quit")
    }

    async fn on_command(
        &mut self,
        engine: &mut Engine,
        what: &str,
        one: &Members<'_>,
        tag: &Value,
    ) -> Result<Option<Map<String, Value>>, Refused> {
        let now = now();
        let mut answer = Map::new();
        answer.insert("event".into(), "done".into());
        answer.insert("do".into(), what.into());
        match what {
            "say" => {
                let to = one.with(engine, "to")?;
                let reply = one.0.get("reply").map(|_| one.id("reply")).transpose()?;
                let reply = reply.map(|id| {
                    let item = engine.book.item_of(to, id).ok_or_else(no_text)?;
                    Ok::<_, Refused>((id, item.author))
                });
                let reply = reply.transpose()?;
                let paths = one.list("attach")?;
                if paths.len() > weft_chat::limits::ATTACHMENTS {
                    return Err(refused("bound", "a text has at most 8 attachments"));
                }
                let mut files = Vec::new();
                for path in paths {
                    let file = engine.attach(to, Path::new(&path)).await;
                    files.push(file.map_err(|error| refused("file", &error))?);
                }
                let text = one.text("text").unwrap_or_default();
                let id = engine.book.say(now, to, &text, reply, files).map_err(told)?;
                answer.insert("id".into(), id.to_string().into());
            }
            "edit" => {
                let (to, of) = (one.with(engine, "to")?, one.id("of")?);
                engine.book.edit(now, to, of, &one.need("text")?).map_err(told)?;
            }
            "delete" => {
                let (to, of) = (one.with(engine, "to")?, one.id("of")?);
                engine.book.delete(now, to, of).map_err(told)?;
            }
            "react" => {
                let (to, of) = (one.with(engine, "to")?, one.id("of")?);
                let author = engine.book.item_of(to, of).ok_or_else(no_text)?.author;
                engine
                    .book
                    .react(now, to, author, of, &one.text("emoji").unwrap_or_default())
                    .map_err(told)?;
            }
            "read" => {
                let with = one.with(engine, "with")?;
                let up_to = one.0.get("upTo").map(|_| one.id("upTo")).transpose()?;
                engine.book.read(now, with, up_to).map_err(told)?;
            }
            "typing" => {
                let to = one.who(engine, "to")?;
                engine.book.typing(now, to, one.flag("on")).map_err(told)?;
            }
            "resend" => {
                let (to, of) = (one.with(engine, "to")?, one.id("of")?);
                engine.book.resend(now, to, of).map_err(told)?;
            }
            "add" => {
                let found = find(&one.need("address")?).await.map_err(|error| refused("address", &error))?;
                let name = one.text("name").unwrap_or_default();
                let who = found.identity;
                engine
                    .book
                    .add(now, who, &found.name, &one.text("note").unwrap_or_default())
                    .map_err(told)?;
                if !name.is_empty() {
                    engine.book.rename(who, &name).map_err(told)?;
                }
                answer.insert("with".into(), who.to_string().into());
                if let Some(hint) = engine.hint(&found) {
                    answer.insert("hint".into(), hint.into());
                }
            }
            "accept" => engine.book.accept(now, one.who(engine, "who")?).map_err(told)?,
            "refuse" => engine.book.refuse(one.who(engine, "who")?).map_err(told)?,
            "block" => engine.book.block(one.who(engine, "who")?).map_err(told)?,
            "unblock" => engine.book.unblock(one.who(engine, "who")?).map_err(told)?,
            "remove" if one.0.contains_key("from") => {
                let group = one.group(engine, "from")?;
                let who = one.member(engine, group, "who")?;
                engine.expel(group, who).await.map_err(told_why)?;
            }
            "remove" => engine.book.remove(one.who(engine, "who")?).map_err(told)?,
            "group" => {
                let group = engine.found(&one.need("name")?).map_err(told_why)?;
                answer.insert("with".into(), group.to_string().into());
            }
            "invite" => {
                let (group, who) = (one.group(engine, "to")?, one.who(engine, "who")?);
                let role = one.role()?;
                let id = engine.invite(group, who, role, one.flag("history")).await.map_err(told_why)?;
                answer.insert("id".into(), id.to_string().into());
            }
            "join" => {
                let group = match one.text("invitation") {
                    Some(invitation) => engine.join(&invitation),
                    None => engine.take(one.who(engine, "with")?, one.id("of")?),
                };
                let group = group.map_err(told_why)?;
                answer.insert("with".into(), group.to_string().into());
            }
            "decline" => {
                let (with, of) = (one.who(engine, "with")?, one.id("of")?);
                engine.book.refuse_invitation(with, of).map_err(told)?;
            }
            "leave" => engine.book.leave(now, one.group(engine, "with")?).map_err(told)?,
            "members" => {
                let key = one.group(engine, "with")?;
                let group = engine.book.group(&key).ok_or_else(|| told(BookError::NoGroup))?;
                let members = group.members().map(|(who, role)| member_line(engine, &key, group, who, role));
                answer.insert("members".into(), members.collect());
            }
            "rename" if one.0.contains_key("group") => {
                let group = one.group(engine, "group")?;
                let picture = engine.book.group(&group).and_then(|one| one.picture().cloned());
                engine.book.name_group(now, group, &one.need("name")?, picture).map_err(told)?;
            }
            "rename" => {
                let who = one.who(engine, "who")?;
                engine.book.rename(who, &one.text("name").unwrap_or_default()).map_err(told)?;
            }
            "verify" => engine.book.set_verified(one.who(engine, "who")?, one.flag("on")).map_err(told)?,
            "mute" => engine.book.set_muted(one.with(engine, "who")?, one.flag("on")).map_err(told)?,
            "words" => {
                let who = one.who(engine, "with")?;
                let words = words::of(&engine.book.me(), &who);
                answer.insert("words".into(), words.join(" ").into());
            }
            "profile" => {
                if let Some(name) = one.text("name") {
                    engine.book.set_profile(now, &name, one.text("color"), None).map_err(told)?;
                }
                answer.insert("name".into(), engine.book.profile().name.clone().into());
                answer.insert("identity".into(), engine.book.me().to_string().into());
                answer.insert("link".into(), engine.address().to_string().into());
            }
            "contacts" => {
                let contacts = engine.book.contacts().map(|(who, contact)| contact_line(who, contact));
                answer.insert("contacts".into(), contacts.collect());
                let groups = engine.book.groups().map(|(key, group)| group_line(engine, key, group));
                answer.insert("groups".into(), groups.collect());
                let strangers = engine.book.strangers().map(|(who, one)| {
                    let texts: Vec<_> = one.items().iter().map(|item| shown::text(&item.text).into_owned()).collect();
                    json!({ "who": who.to_string(), "name": one.name(who), "asks": one.asks(), "note": one.note(), "texts": texts })
                });
                answer.insert("strangers".into(), strangers.collect());
                let blocked = engine.book.blocked().map(|who| Value::from(who.to_string()));
                answer.insert("blocked".into(), blocked.collect());
            }
            "history" => {
                let with = one.with(engine, "with")?;
                let count = one.number("count")?.unwrap_or(HISTORY);
                if !engine.book.has(with) {
                    return Err(no_contact());
                }
                let items = || engine.book.items(with);
                let before = one.0.get("before").map(|_| one.id("before")).transpose()?;
                let end = match before {
                    None => items().len(),
                    Some(id) => items().position(|item| item.head.id == id).ok_or_else(no_text)?,
                };
                let items = items().take(end).skip(end.saturating_sub(count));
                answer.insert("items".into(), items.map(|item| item_line(engine, with, item)).collect());
            }
            "search" => {
                let wanted = one.need("text")?.to_lowercase();
                let only = one.0.get("with").map(|_| one.with(engine, "with")).transpose()?;
                let all = conversations(engine).filter(|with| only.is_none_or(|only| only == *with));
                let found = all.flat_map(|with| {
                    let is = |item: &&Item| item.text.to_lowercase().contains(&wanted);
                    let items = engine.book.items(with).rev().filter(is);
                    items.map(|item| item_line(engine, with, item)).collect::<Vec<_>>()
                });
                answer.insert("items".into(), found.take(FOUND).collect());
            }
            "save" | "fetch" => {
                let (with, of) = (one.with(engine, "with")?, one.id("of")?);
                let index = one.number("index")?.unwrap_or(0);
                if what == "fetch" {
                    let item = engine.book.item_of(with, of).ok_or_else(no_text)?;
                    let hash = item.attachments.get(index).map(|one| one.hash);
                    let hash =
                        hash.ok_or_else(|| refused("no-attachment", "the text has no such attachment"))?;
                    engine.book.fetch(now, with, hash).map_err(told)?;
                } else {
                    self.last += 1;
                    let path = one.text("path").unwrap_or_else(|| ".".into());
                    let saved = engine.save(with, of, index, Path::new(&path), self.last);
                    saved.map_err(|error| refused("file", &error))?;
                    self.waits.push((self.last, tag.clone()));
                    return Ok(None);
                }
            }
            "quit" => {}
            _ => {
                return Err(refused(
                    "bad-command",
                    "do is one of: say edit delete react read typing resend add accept refuse block unblock remove rename \
                     verify mute words profile contacts group invite join decline leave members history search fetch \
                     save quit",
                ));
            }
        }
        Ok(Some(answer))
    }

    fn tell(&mut self, engine: &Engine, news: News) -> Result<(), Failure> {
        let name = |with: &IdentityId| match (engine.book.contact(with), engine.book.stranger(with)) {
            (Some(contact), _) => contact.name(with),
            (None, Some(stranger)) => stranger.name(with),
            (None, None) => with.to_string(),
        };
        let line = match news {
            News::Said(Event::Came { with, author, id, quiet }) => {
                let Some(item) = engine.book.item(with, author, id) else { return Ok(()) };
                let mut line = item_line(engine, with, item);
                add(&mut line, "event", "text");
                add(
                    &mut line,
                    "name",
                    with.group()
                        .map_or_else(|| name(&author), |group| engine.book.member_name(&group, &author)),
                );
                add(&mut line, "quiet", quiet);
                line
            }
            News::Said(Event::Changed { with, author, id }) => {
                let Some(item) = engine.book.item(with, author, id) else { return Ok(()) };
                let mut line = item_line(engine, with, item);
                add(&mut line, "event", "changed");
                line
            }
            News::Said(Event::State { with, id, state }) => {
                let mut line = json!({ "event": "state", "with": with.to_string(), "id": id.to_string(), "state": state.word() });
                if let State::Failed(code) = &state {
                    add(&mut line, "code", code.clone());
                }
                line
            }
            News::Said(Event::Stranger { from }) => {
                let Some(stranger) = engine.book.stranger(&from) else { return Ok(()) };
                json!({
                    "event": "request", "from": from.to_string(), "name": stranger.name(&from),
                    "asks": stranger.asks(), "note": stranger.note(), "texts": stranger.items().len(),
                })
            }
            News::Said(Event::Contact { with }) => {
                let Some(contact) = engine.book.contact(&with) else {
                    return say(&json!({ "event": "removed", "with": with.to_string() }));
                };
                let mut line = contact_line(&with, contact);
                add(&mut line, "event", "contact");
                line
            }
            News::Said(Event::Group { group }) => {
                let Some(one) = engine.book.group(&group) else {
                    return say(&json!({ "event": "removed", "with": group.to_string() }));
                };
                let mut line = group_line(engine, &group, one);
                add(&mut line, "event", "group");
                line
            }
            News::Said(Event::Unread { with }) => {
                let unread = engine.book.unread(with);
                json!({ "event": "unread", "with": with.to_string(), "unread": unread })
            }
            News::Said(Event::Typing { with, on }) => {
                json!({ "event": "typing", "with": with.to_string(), "name": name(&with), "on": on })
            }
            News::Said(Event::Presence { with, on }) => {
                json!({ "event": "presence", "with": with.to_string(), "name": name(&with), "on": on })
            }
            News::Said(Event::File { with, hash }) => {
                let Some(file) = engine.book.file(with, hash) else { return Ok(()) };
                json!({
                    "event": "file", "with": with.to_string(), "hash": hash.to_string(), "state": file.state.word(),
                    "pieces": file.pieces(), "got": file.got(),
                })
            }
            News::Said(_) => return Ok(()),
            News::Signaler => {
                let all = engine.signalers.values();
                let all = all.map(|(url, reached)| json!({ "url": url, "connected": reached }));
                json!({ "event": "signalers", "signalers": all.collect::<Vec<_>>() })
            }
            News::Saved(number, outcome) => {
                let Some(place) = self.waits.iter().position(|(other, _)| *other == number) else {
                    return Ok(());
                };
                let (_, tag) = self.waits.remove(place);
                let mut line = match outcome {
                    Ok(path) => json!({ "event": "done", "do": "save", "path": path.display().to_string() }),
                    Err(text) => json!({ "event": "error", "do": "save", "code": "file", "text": text }),
                };
                if !tag.is_null() {
                    add(&mut line, "tag", tag);
                }
                line
            }
            News::Warning(text) => {
                eprintln!("weft: warning: {}", shown::line(&text));
                return Ok(());
            }
        };
        say(&line)
    }
}

fn add(line: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = line.as_object_mut() {
        members.insert(name.into(), value.into());
    }
}

fn refused(code: &str, text: &str) -> Refused {
    (code.to_owned(), text.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: BookError) -> Refused {
    refused(error.code(), &error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told_why(error: Refusal) -> Refused {
    refused(error.code(), &error.to_string())
}

fn no_text() -> Refused {
    told(BookError::NoText)
}

fn no_contact() -> Refused {
    told(BookError::NoContact)
}

/// Every conversation.
fn conversations(engine: &Engine) -> impl Iterator<Item = With> {
    let contacts = engine.book.contacts().map(|(who, _)| With::Person(*who));
    contacts.chain(engine.book.groups().map(|(group, _)| With::Group(*group)))
}

fn group_line(engine: &Engine, key: &PartyKey, group: &Group) -> Value {
    let last = group.items().next_back();
    let role = group.role(&engine.book.me()).map(Role::name);
    let mut line = json!({
        "with": key.to_string(), "group": group.name(key), "standing": group.standing.word(), "role": role,
        "members": group.members().len(), "present": group.present(), "unread": group.unread(), "muted": group.muted,
        "texts": group.items().len(), "last": last.map(|item| item.head.id.to_string()),
    });
    if let Standing::Out(code) = &group.standing {
        add(&mut line, "code", code.clone());
    }
    line
}

fn member_line(engine: &Engine, key: &PartyKey, group: &Group, who: &IdentityId, role: Role) -> Value {
    let mine = *who == engine.book.me();
    json!({
        "who": who.to_string(), "name": engine.book.member_name(key, who), "role": role.name(), "mine": mine,
        "present": mine || group.is_present(who), "left": group.has_left(who),
    })
}

fn contact_line(who: &IdentityId, contact: &Contact) -> Value {
    let last = contact.items().next_back();
    json!({
        "with": who.to_string(), "name": contact.name(who), "contact": contact.relation == Relation::Both,
        "unread": contact.unread(), "present": contact.present, "typing": contact.typing(), "verified": contact.verified,
        "muted": contact.muted, "texts": contact.items().len(), "last": last.map(|item| item.head.id.to_string()),
    })
}

/// A text, as programs see it: what others wrote without what a terminal would obey.
fn item_line(engine: &Engine, with: With, item: &Item) -> Value {
    let mine = item.author == engine.book.me();
    let mut line = json!({
        "with": with.to_string(), "id": item.head.id.to_string(), "author": item.author.to_string(), "mine": mine,
        "time": item.time(), "text": shown::text(&item.text),
    });
    if let Some((key, group)) = with.group().and_then(|key| Some((key, engine.book.group(&key)?))) {
        add(&mut line, "in", group.name(&key));
    }
    if mine {
        add(&mut line, "state", item.state.word());
    } else {
        add(&mut line, "seen", item.seen);
    }
    if item.edited() {
        add(&mut line, "edited", true);
    }
    if item.deleted {
        add(&mut line, "deleted", true);
    }
    if let Some((id, author)) = item.reply {
        add(&mut line, "reply", id.to_string());
        add(&mut line, "replyTo", author.to_string());
    }
    if let Some((name, invitation)) = &item.invitation {
        add(&mut line, "group", shown::line(name));
        add(&mut line, "invitation", shown::line(invitation));
        if let Some(taken) = item.taken {
            add(&mut line, "taken", taken);
        }
    }
    let reactions = item.reactions.iter().filter(|(_, one)| !one.emoji.is_empty());
    let reactions: Map<String, Value> =
        reactions.map(|(who, one)| (who.to_string(), shown::line(&one.emoji).into())).collect();
    if !reactions.is_empty() {
        add(&mut line, "reactions", reactions);
    }
    let files = item.attachments.iter().map(|one| {
        let file = engine.book.file(with, one.hash);
        json!({
            "name": shown::line(&one.name), "type": one.media_type, "size": one.size, "hash": one.hash.to_string(),
            "state": file.map(|file| file.state.word()), "got": file.map(weft_chat::book::File::got),
        })
    });
    let files: Vec<Value> = files.collect();
    if !files.is_empty() {
        add(&mut line, "attachments", files);
    }
    line
}

/// Members of a command.
struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn need(&self, name: &str) -> Result<String, Refused> {
        self.text(name).ok_or_else(|| refused("bad-command", &format!("{name} is missing, or no text")))
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(|value| value.as_bool() != Some(false))
    }

    fn id(&self, name: &str) -> Result<DocumentId, Refused> {
        let wrong = || refused("bad-command", &format!("{name} is no id of a text"));
        self.need(name)?.parse().map_err(|_| wrong())
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refused> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| refused("bad-command", &format!("{name} is no number")))
    }

    fn list(&self, name: &str) -> Result<Vec<String>, Refused> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let items = value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        items.flatten().ok_or_else(|| refused("bad-command", &format!("{name} is no list of texts")))
    }

    /// A conversation by its key, or by a name that only one has.
    fn with(&self, engine: &Engine, name: &str) -> Result<With, Refused> {
        let text = self.need(name)?;
        if let Ok(key) = text.parse::<PartyKey>()
            && engine.book.group(&key).is_some()
        {
            return Ok(key.into());
        }
        let groups = engine.book.groups().filter(|(key, group)| group.name(key) == text);
        let groups: Vec<PartyKey> = groups.map(|(key, _)| *key).collect();
        match (self.who(engine, name), &groups[..]) {
            (who, []) => who.map(With::Person),
            (Err((code, _)), [group]) if code == "no-contact" => Ok((*group).into()),
            _ => Err(refused("bad-command", &format!("several are called {text}: use the identity or key"))),
        }
    }

    /// A group.
    fn group(&self, engine: &Engine, name: &str) -> Result<PartyKey, Refused> {
        self.with(engine, name)?.group().ok_or_else(|| told(BookError::NoGroup))
    }

    /// A member of a group by identity, or by a name that only one of them has.
    fn member(&self, engine: &Engine, group: PartyKey, name: &str) -> Result<IdentityId, Refused> {
        let text = self.need(name)?;
        if let Ok(who) = text.parse() {
            return Ok(who);
        }
        let members = engine.book.group(&group).into_iter().flat_map(Group::members).map(|(who, _)| *who);
        let mut called = members.filter(|who| engine.book.member_name(&group, who) == text);
        match (called.next(), called.next()) {
            (Some(who), None) => Ok(who),
            (Some(_), Some(_)) => {
                Err(refused("bad-command", &format!("several are called {text}: use the identity")))
            }
            (None, _) => Err(refused("no-contact", &format!("no member is called {text}"))),
        }
    }

    /// What a new member may do.
    fn role(&self) -> Result<Role, Refused> {
        let Some(text) = self.text("role") else { return Ok(Role::Writer) };
        let roles = [Role::Reader, Role::Writer, Role::Admin];
        let role = roles.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| refused("bad-command", "role is one of: reader writer admin"))
    }

    /// Somebody by their identity, or by a name that only one of them has.
    fn who(&self, engine: &Engine, name: &str) -> Result<IdentityId, Refused> {
        let text = self.need(name)?;
        if let Ok(who) = text.parse() {
            return Ok(who);
        }
        let contacts = engine.book.contacts().filter(|(who, one)| one.name(who) == text).map(|(who, _)| *who);
        let strangers =
            engine.book.strangers().filter(|(who, one)| one.name(who) == text).map(|(who, _)| *who);
        let mut all = contacts.chain(strangers);
        match (all.next(), all.next()) {
            (Some(who), None) => Ok(who),
            (Some(_), Some(_)) => {
                Err(refused("bad-command", &format!("several are called {text}: use the identity")))
            }
            (None, _) => Err(refused("no-contact", &format!("nobody is called {text}"))),
        }
    }
}
