//! What a person does at the terminal: where they are, what they type, and what follows from a key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea, WrapMode};
use weft_chat::book::{Book, Item, State, With};
use weft_chat::{DocumentId, shown};
use weft_native_peer::IdentityId;
use weft_wire::PartyKey;

/// Hits of a search that are shown.
const HITS: usize = 200;

/// A text: who wrote it, and its id.
pub(crate) type Named = (IdentityId, DocumentId);

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    List,
    Input,
    /// One text is marked.
    Texts,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stranger(IdentityId),
    Contact(IdentityId),
    Group(PartyKey),
}

impl Place {
    fn of(with: With) -> Self {
        match with {
            With::Person(who) => Self::Contact(who),
            With::Group(group) => Self::Group(group),
        }
    }

    /// The conversation, if it is one.
    fn with(self) -> Option<With> {
        match self {
            Self::Stranger(_) => None,
            Self::Contact(who) => Some(who.into()),
            Self::Group(group) => Some(group.into()),
        }
    }
}

/// What the words that are typed are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    New,
    Reply(Named),
    Edit(DocumentId),
}

/// Something in front of everything else.
#[derive(Clone, Debug)]
pub(crate) enum Dialog {
    Help(u16),
    Link,
    Words(IdentityId),
    Stranger(IdentityId),
    Remove(IdentityId),
    /// Who is in a group; the marked member.
    Members(PartyKey, usize),
    /// Whom to invite; the marked contact, and whether they may read what was said before.
    Invite(PartyKey, usize, bool),
    /// Somebody invites us.
    Invitation(IdentityId, DocumentId),
    Expel(PartyKey, IdentityId),
    Leave(PartyKey),
    Ask(Question, TextArea<'static>),
    Search {
        text: TextArea<'static>,
        hits: Vec<(With, Named)>,
        at: usize,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Address,
    Name,
    Given(IdentityId),
    NewGroup,
    GroupName(PartyKey),
    Attach(With),
    Save(With, DocumentId, usize),
    Sign(With, Named),
}

impl Question {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Address => "Add somebody: their link, identity or https: address",
            Self::NewGroup => "A new group: what it is called",
            Self::GroupName(_) => "What the group is called, for everybody in it",
            Self::Name => "Your name, as others see it",
            Self::Given(_) => "A name of your own for them; empty: theirs",
            Self::Attach(_) => "Path of a file to send",
            Self::Save(..) => "Save as, or into a folder",
            Self::Sign(..) => "A sign, as 👍; empty: none any more",
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Say { to: With, text: String, reply: Option<(DocumentId, IdentityId)> },
    Edit { to: With, of: DocumentId, text: String },
    Delete { to: With, of: DocumentId },
    React { to: With, of: Named, emoji: String },
    Resend { to: With, of: DocumentId },
    Typing { to: IdentityId, on: bool },
    Attach { to: With, path: PathBuf, text: String },
    Save { with: With, of: DocumentId, index: usize, path: PathBuf },
    Add(String),
    Accept(IdentityId),
    Refuse(IdentityId),
    Block(IdentityId),
    Remove(IdentityId),
    Name(String),
    Given(IdentityId, String),
    Verify(IdentityId, bool),
    Mute(With, bool),
    Found(String),
    NameGroup(PartyKey, String),
    Invite(PartyKey, IdentityId, bool),
    Take(IdentityId, DocumentId),
    Decline(IdentityId, DocumentId),
    Expel(PartyKey, IdentityId),
    Leave(PartyKey),
}

/// Everything of the screen that is not in the book.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) focus: Focus,
    pub(crate) chosen: Option<Place>,
    pub(crate) open: Option<With>,
    pub(crate) input: TextArea<'static>,
    pub(crate) writing: Writing,
    drafts: BTreeMap<With, Vec<String>>,
    /// Lines below the last that is shown.
    pub(crate) scroll: usize,
    /// How many lines of the conversation are shown.
    pub(crate) page: usize,
    pub(crate) marked: Option<Named>,
    /// The first text that was unread when the conversation was opened.
    pub(crate) unread: Option<Named>,
    pub(crate) dialog: Option<Dialog>,
    pub(crate) notice: Option<String>,
    /// The terminal is what the person looks at.
    pub(crate) focused: bool,
    /// The list and the conversation are both there.
    pub(crate) wide: bool,
}

/// An empty area for words.
pub(crate) fn area(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_cursor_line_style(ratatui::style::Style::default());
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            focus: Focus::List,
            chosen: None,
            open: None,
            input: area(""),
            writing: Writing::New,
            drafts: BTreeMap::new(),
            scroll: 0,
            page: 10,
            marked: None,
            unread: None,
            dialog: None,
            notice: None,
            focused: true,
            wide: true,
        }
    }

    /// Lines of the list: who asks, then conversations, the latest first.
    pub(crate) fn places(book: &Book) -> Vec<Place> {
        let strangers = book.strangers().map(|(who, _)| Place::Stranger(*who));
        let contacts =
            book.contacts().map(|(who, one)| (std::cmp::Reverse(one.latest()), With::Person(*who)));
        let groups = book.groups().map(|(key, one)| (std::cmp::Reverse(one.latest()), With::Group(*key)));
        let mut all: Vec<_> = contacts.chain(groups).collect();
        all.sort_unstable();
        strangers.chain(all.into_iter().map(|(_, with)| Place::of(with))).collect()
    }

    /// The conversation that a person sees to its end.
    pub(crate) fn seen(&self) -> Option<With> {
        let visible = self.wide || self.focus != Focus::List;
        self.open.filter(|_| visible && self.focused && self.dialog.is_none() && self.scroll == 0)
    }

    /// After the book has changed: what is gone is not chosen any more.
    pub(crate) fn settle(&mut self, book: &Book) {
        let places = Self::places(book);
        if !self.chosen.is_some_and(|chosen| places.contains(&chosen)) {
            self.chosen = places.first().copied();
        }
        if self.open.is_some_and(|open| !book.has(open)) {
            self.open = None;
            self.focus = Focus::List;
            self.forget_writing();
        }
        let is_over = match &self.dialog {
            Some(Dialog::Stranger(who)) => book.stranger(who).is_none(),
            Some(Dialog::Invitation(with, of)) => book.invitation(*with, *of).is_err(),
            Some(
                Dialog::Members(group, _)
                | Dialog::Invite(group, ..)
                | Dialog::Expel(group, _)
                | Dialog::Leave(group),
            ) => book.group(group).is_none(),
            _ => false,
        };
        if is_over {
            self.dialog = None;
        }
    }

    /// Opens a conversation.
    pub(crate) fn enter(&mut self, book: &Book, with: impl Into<With>) {
        let with = with.into();
        if self.open != Some(with) {
            if let Some(open) = self.open {
                let lines = self.input.lines().to_vec();
                if self.writing == Writing::New && lines.iter().any(|line| !line.is_empty()) {
                    self.drafts.insert(open, lines);
                } else {
                    self.drafts.remove(&open);
                }
            }
            self.open = Some(with);
            let draft = self.drafts.remove(&with).unwrap_or_default();
            self.input = area(&draft.join("\n"));
            self.writing = Writing::New;
            self.scroll = 0;
            self.marked = None;
            self.unread = book.items(with).find(|item| !item.seen).map(named);
        }
        self.chosen = Some(Place::of(with));
        self.focus = Focus::Input;
    }

    fn forget_writing(&mut self) {
        self.writing = Writing::New;
        self.input = area("");
    }

    /// What was typed so far.
    pub(crate) fn text(&self) -> String {
        self.input.lines().join("\n")
    }

    // ---- keys ----

    pub(crate) fn on_paste(&mut self, text: &str) -> Option<Action> {
        let text = shown::text(&text.replace("\r\n", "\n").replace('\r', "\n")).into_owned();
        match &mut self.dialog {
            Some(Dialog::Ask(_, area) | Dialog::Search { text: area, .. }) => {
                area.insert_str(shown::line(&text));
                None
            }
            Some(_) => None,
            None => {
                let open = self.open?;
                self.focus = Focus::Input;
                self.input.insert_str(text);
                open.person().map(|to| Action::Typing { to, on: true })
            }
        }
    }

    pub(crate) fn on_key(&mut self, book: &Book, key: KeyEvent) -> Option<Action> {
        self.notice = None;
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'q') if ctrl => return Some(Action::Quit),
            KeyCode::F(1) => {
                self.dialog = Some(Dialog::Help(0));
                return None;
            }
            KeyCode::Char('f') if ctrl => {
                self.dialog = Some(Dialog::Search { text: area(""), hits: Vec::new(), at: 0 });
                return None;
            }
            _ => {}
        }
        if self.dialog.is_some() {
            return self.on_dialog(book, key);
        }
        match key.code {
            KeyCode::Char('n') if ctrl => self.next(book, true),
            KeyCode::Char('p') if ctrl => self.next(book, false),
            KeyCode::PageUp => self.scroll += self.page.saturating_sub(1).max(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(self.page.saturating_sub(1).max(1)),
            _ => {
                return match self.focus {
                    Focus::List => self.on_list(book, key),
                    Focus::Input => self.on_input(book, key),
                    Focus::Texts => self.on_texts(book, key),
                };
            }
        }
        None
    }

    fn next(&mut self, book: &Book, down: bool) {
        self.step(book, down);
        if let Some(with) = self.chosen.and_then(Place::with) {
            self.enter(book, with);
        }
    }

    /// The line of the list below, or above.
    fn step(&mut self, book: &Book, down: bool) {
        let places = Self::places(book);
        let at = self.chosen.and_then(|chosen| places.iter().position(|place| *place == chosen));
        let at = match (at, down) {
            (None, _) => 0,
            (Some(at), true) => at + 1,
            (Some(at), false) => at.saturating_sub(1),
        };
        self.chosen = places.get(at.min(places.len().saturating_sub(1))).copied();
    }

    fn on_list(&mut self, book: &Book, key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.step(book, false),
            KeyCode::Down | KeyCode::Char('j') => self.step(book, true),
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Char('/') => {
                self.dialog = Some(Dialog::Search { text: area(""), hits: Vec::new(), at: 0 });
            }
            KeyCode::Char('a') => self.ask(Question::Address, ""),
            KeyCode::Char('l') => self.dialog = Some(Dialog::Link),
            KeyCode::Char('c') => self.ask(Question::NewGroup, ""),
            KeyCode::Char('n') => self.ask(Question::Name, &book.profile().name),
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Tab if self.open.is_some() => self.focus = Focus::Input,
            _ => match (self.chosen, key.code) {
                (Some(Place::Stranger(who)), KeyCode::Enter | KeyCode::Right) => {
                    self.dialog = Some(Dialog::Stranger(who));
                }
                (Some(Place::Contact(who)), code) => return self.on_contact(book, who, code),
                (Some(Place::Group(group)), code) => return self.on_group(book, group, code),
                _ => {}
            },
        }
        None
    }

    fn on_contact(&mut self, book: &Book, who: IdentityId, code: KeyCode) -> Option<Action> {
        let contact = book.contact(&who)?;
        match code {
            KeyCode::Enter | KeyCode::Right => self.enter(book, who),
            KeyCode::Char('w') => self.dialog = Some(Dialog::Words(who)),
            KeyCode::Char('g') => {
                self.ask(Question::Given(who), contact.given.as_deref().unwrap_or_default());
            }
            KeyCode::Char('m') => return Some(Action::Mute(who.into(), !contact.muted)),
            KeyCode::Char('x') => self.dialog = Some(Dialog::Remove(who)),
            _ => {}
        }
        None
    }

    fn on_group(&mut self, book: &Book, group: PartyKey, code: KeyCode) -> Option<Action> {
        let one = book.group(&group)?;
        match code {
            KeyCode::Enter | KeyCode::Right => self.enter(book, group),
            KeyCode::Char('w') => self.dialog = Some(Dialog::Members(group, 0)),
            KeyCode::Char('g') => self.ask(Question::GroupName(group), &one.name(&group)),
            KeyCode::Char('m') => return Some(Action::Mute(group.into(), !one.muted)),
            KeyCode::Char('x') => self.dialog = Some(Dialog::Leave(group)),
            _ => {}
        }
        None
    }

    /// Contacts that may be invited into a group.
    pub(crate) fn guests(book: &Book, group: PartyKey) -> Vec<IdentityId> {
        let contacts = book.contacts().map(|(who, _)| *who);
        contacts.filter(|who| book.may_invite(group, *who).is_ok()).collect()
    }

    fn ask(&mut self, question: Question, text: &str) {
        let mut area = area(text);
        area.set_wrap_mode(WrapMode::None);
        self.dialog = Some(Dialog::Ask(question, area));
    }

    fn on_input(&mut self, book: &Book, key: KeyEvent) -> Option<Action> {
        let Some(to) = self.open else {
            self.focus = Focus::List;
            return None;
        };
        let (ctrl, alt) =
            (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
        let shift = key.modifiers.contains(KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Enter if alt || shift || ctrl => self.input.insert_newline(),
            KeyCode::Char('j') if ctrl => self.input.insert_newline(),
            KeyCode::Enter => return self.finish(to),
            KeyCode::Esc if self.writing != Writing::New => {
                self.forget_writing();
                return to.person().map(|to| Action::Typing { to, on: false });
            }
            KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab => self.focus = Focus::List,
            KeyCode::Up if self.input.is_empty() => self.mark(book, to, None),
            KeyCode::Char('o') if ctrl => self.ask(Question::Attach(to), ""),
            KeyCode::Char('g') if ctrl => {
                self.dialog = to.group().map(|group| Dialog::Members(group, 0));
            }
            _ => {
                if self.input.input(key) {
                    let on = !self.input.is_empty();
                    return to.person().map(|to| Action::Typing { to, on });
                }
            }
        }
        None
    }

    fn finish(&mut self, to: With) -> Option<Action> {
        let text = self.text();
        if text.trim().is_empty() {
            return None;
        }
        let writing = self.writing;
        self.forget_writing();
        self.scroll = 0;
        self.unread = None;
        Some(match writing {
            Writing::New => Action::Say { to, text, reply: None },
            Writing::Reply((author, id)) => Action::Say { to, text, reply: Some((id, author)) },
            Writing::Edit(of) => Action::Edit { to, of, text },
        })
    }

    /// What was to be said was refused: it is in the line again.
    pub(crate) fn take_back(&mut self, text: &str) {
        if self.input.is_empty() {
            self.input = area(text);
        }
    }

    /// Marks a text: the last, or the one before or behind the marked one.
    fn mark(&mut self, book: &Book, with: With, down: Option<bool>) {
        let all: Vec<Named> = book.items(with).map(named).collect();
        let at = self.marked.and_then(|marked| all.iter().position(|one| *one == marked));
        let at = match (at, down) {
            (Some(at), Some(true)) => at + 1,
            (Some(at), Some(false)) => at.saturating_sub(1),
            _ => all.len().saturating_sub(1),
        };
        match all.get(at) {
            Some(one) => {
                self.marked = Some(*one);
                self.focus = Focus::Texts;
            }
            None => self.unmark(),
        }
    }

    fn unmark(&mut self) {
        self.marked = None;
        self.focus = Focus::Input;
    }

    fn on_texts(&mut self, book: &Book, key: KeyEvent) -> Option<Action> {
        let marked = self
            .open
            .zip(self.marked)
            .and_then(|(with, (author, id))| Some((with, book.item(with, author, id)?)));
        let Some((with, item)) = marked else {
            self.unmark();
            return None;
        };
        let (of, mine) = (named(item), item.author == book.me());
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.mark(book, with, Some(false)),
            KeyCode::Down | KeyCode::Char('j') => self.mark(book, with, Some(true)),
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Char('/') => {
                self.dialog = Some(Dialog::Search { text: area(""), hits: Vec::new(), at: 0 });
            }
            KeyCode::Enter if !mine && item.invitation.is_some() && item.taken.is_none() => {
                self.dialog = Some(Dialog::Invitation(item.author, item.head.id));
            }
            KeyCode::Esc | KeyCode::Enter | KeyCode::Tab => self.unmark(),
            _ if item.deleted => {}
            KeyCode::Char('r') => {
                self.unmark();
                self.writing = Writing::Reply(of);
            }
            KeyCode::Char('e') if mine => {
                self.unmark();
                self.input = area(&item.text);
                self.writing = Writing::Edit(item.head.id);
            }
            KeyCode::Char('d') if mine => return Some(Action::Delete { to: with, of: item.head.id }),
            KeyCode::Char('t') if mine && matches!(item.state, State::Failed(_)) => {
                return Some(Action::Resend { to: with, of: item.head.id });
            }
            KeyCode::Char('e' | 'd') => {
                self.notice = Some("only your own texts can be edited or deleted".into());
            }
            KeyCode::Char('+') => self.ask(Question::Sign(with, of), "👍"),
            KeyCode::Char('s') => match item.attachments.first() {
                None => self.notice = Some("there is no file with that text".into()),
                Some(one) => {
                    let name = super::engine::safe_name(&one.name);
                    self.ask(Question::Save(with, item.head.id, 0), &name);
                }
            },
            // Further files of a text, by their number.
            KeyCode::Char(digit @ '1'..='8') => {
                let index = digit as usize - '1' as usize;
                if let Some(one) = item.attachments.get(index) {
                    let name = super::engine::safe_name(&one.name);
                    self.ask(Question::Save(with, item.head.id, index), &name);
                }
            }
            _ => {}
        }
        None
    }

    fn on_dialog(&mut self, book: &Book, key: KeyEvent) -> Option<Action> {
        let dialog = self.dialog.take()?;
        match dialog {
            Dialog::Help(at) => match key.code {
                KeyCode::Down | KeyCode::PageDown => self.dialog = Some(Dialog::Help(at.saturating_add(3))),
                KeyCode::Up | KeyCode::PageUp => self.dialog = Some(Dialog::Help(at.saturating_sub(3))),
                _ => {}
            },
            Dialog::Link => {}
            Dialog::Words(who) => match key.code {
                KeyCode::Char('y') => return Some(Action::Verify(who, true)),
                KeyCode::Char('n') => return Some(Action::Verify(who, false)),
                _ => {}
            },
            Dialog::Stranger(who) => match key.code {
                KeyCode::Char('a') => return Some(Action::Accept(who)),
                KeyCode::Char('r') => return Some(Action::Refuse(who)),
                KeyCode::Char('b') => return Some(Action::Block(who)),
                KeyCode::Esc | KeyCode::Enter => {}
                _ => self.dialog = Some(dialog),
            },
            Dialog::Remove(who) => match key.code {
                KeyCode::Char('y') => return Some(Action::Remove(who)),
                KeyCode::Char('b') => return Some(Action::Block(who)),
                _ => {}
            },
            Dialog::Members(..) | Dialog::Invite(..) | Dialog::Invitation(..) => {
                return self.on_group_dialog(book, dialog, key.code);
            }
            Dialog::Expel(group, who) => match key.code {
                KeyCode::Char('y') => return Some(Action::Expel(group, who)),
                _ => self.dialog = Some(Dialog::Members(group, 0)),
            },
            Dialog::Leave(group) => {
                return Some(Action::Leave(group)).filter(|_| key.code == KeyCode::Char('y'));
            }
            Dialog::Ask(question, mut area) => match key.code {
                KeyCode::Esc => {}
                KeyCode::Enter => return self.answer(question, area.lines().join(" ").trim()),
                _ => {
                    area.input(key);
                    self.dialog = Some(Dialog::Ask(question, area));
                }
            },
            Dialog::Search { mut text, mut hits, mut at } => match key.code {
                KeyCode::Esc => {}
                KeyCode::Enter => {
                    if let Some((with, of)) = hits.get(at).copied() {
                        self.enter(book, with);
                        self.marked = Some(of);
                        self.focus = Focus::Texts;
                    }
                }
                KeyCode::Up => {
                    at = at.saturating_sub(1);
                    self.dialog = Some(Dialog::Search { text, hits, at });
                }
                KeyCode::Down => {
                    at = (at + 1).min(hits.len().saturating_sub(1));
                    self.dialog = Some(Dialog::Search { text, hits, at });
                }
                _ => {
                    if text.input(key) {
                        hits = search(book, &text.lines().join(" "));
                        at = 0;
                    }
                    self.dialog = Some(Dialog::Search { text, hits, at });
                }
            },
        }
        None
    }

    fn on_group_dialog(&mut self, book: &Book, dialog: Dialog, code: KeyCode) -> Option<Action> {
        match dialog {
            Dialog::Members(group, at) => {
                let members: Vec<_> = book.group(&group)?.members().map(|(who, _)| *who).collect();
                self.dialog = Some(match code {
                    KeyCode::Esc | KeyCode::Enter => return None,
                    KeyCode::Down | KeyCode::Char('j') => {
                        Dialog::Members(group, (at + 1).min(members.len().saturating_sub(1)))
                    }
                    KeyCode::Up | KeyCode::Char('k') => Dialog::Members(group, at.saturating_sub(1)),
                    KeyCode::Char('i') => Dialog::Invite(group, 0, true),
                    KeyCode::Char('x') => members
                        .get(at)
                        .map_or(Dialog::Members(group, at), |member| Dialog::Expel(group, *member)),
                    KeyCode::Char('L') => Dialog::Leave(group),
                    _ => Dialog::Members(group, at),
                });
            }
            Dialog::Invite(group, at, history) => {
                let guests = Self::guests(book, group);
                self.dialog = Some(match code {
                    KeyCode::Esc => Dialog::Members(group, 0),
                    KeyCode::Enter => return guests.get(at).map(|who| Action::Invite(group, *who, history)),
                    KeyCode::Down | KeyCode::Char('j') => {
                        Dialog::Invite(group, (at + 1).min(guests.len().saturating_sub(1)), history)
                    }
                    KeyCode::Up | KeyCode::Char('k') => Dialog::Invite(group, at.saturating_sub(1), history),
                    KeyCode::Char('h') => Dialog::Invite(group, at, !history),
                    _ => Dialog::Invite(group, at, history),
                });
            }
            Dialog::Invitation(with, of) => match code {
                KeyCode::Char('y') => return Some(Action::Take(with, of)),
                KeyCode::Char('n') => return Some(Action::Decline(with, of)),
                KeyCode::Esc | KeyCode::Enter => {}
                _ => self.dialog = Some(Dialog::Invitation(with, of)),
            },
            other => self.dialog = Some(other),
        }
        None
    }

    fn answer(&mut self, question: Question, text: &str) -> Option<Action> {
        let some = || Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(match question {
            Question::Address => Action::Add(some()?),
            Question::Name => Action::Name(some()?),
            Question::Given(who) => Action::Given(who, text.to_owned()),
            Question::NewGroup => Action::Found(some()?),
            Question::GroupName(group) => Action::NameGroup(group, some()?),
            Question::Attach(to) => {
                let action = Action::Attach { to, path: path(&some()?), text: self.text() };
                self.forget_writing();
                self.scroll = 0;
                action
            }
            Question::Save(with, of, index) => Action::Save { with, of, index, path: path(&some()?) },
            Question::Sign(to, of) => Action::React { to, of, emoji: text.to_owned() },
        })
    }
}

/// What names a text.
pub(crate) fn named(item: &Item) -> Named {
    (item.author, item.head.id)
}

/// A path as it is typed.
fn path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

/// Texts with those words in them, the latest first.
fn search(book: &Book, words: &str) -> Vec<(With, Named)> {
    let words = words.trim().to_lowercase();
    if words.is_empty() {
        return Vec::new();
    }
    let contacts = book.contacts().map(|(who, _)| With::Person(*who));
    let all = contacts.chain(book.groups().map(|(group, _)| With::Group(*group)));
    let mut hits: Vec<_> = all
        .flat_map(|with| book.items(with).map(move |item| (with, item)))
        .filter(|(_, item)| item.text.to_lowercase().contains(&words))
        .collect();
    hits.sort_by_key(|(_, item)| std::cmp::Reverse(item.time()));
    hits.into_iter().take(HITS).map(|(who, item)| (who, named(item))).collect()
}
