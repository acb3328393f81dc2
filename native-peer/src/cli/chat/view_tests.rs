use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use weft_chat::book::Published;
use weft_chat::{DocumentId, Head, Profile, Room, Said, Text};
use weft_native_peer::{MessageId, PeerId};

use super::super::screen::Action;

const NOW: u64 = 1_700_000_000_000;
const GROUP: PartyKey = PartyKey([6; 32]);
const DAY: u64 = 24 * 3600 * 1000;

fn identity(n: u8) -> IdentityId {
    IdentityId([n; 32])
}

struct Stage {
    book: Book,
    screen: Screen,
    look: Look,
    count: u8,
    signalers: (usize, usize),
}

impl Stage {
    fn new() -> Self {
        let mut book = Book::new(identity(1), PeerId([11; 32]), [5; 32]);
        book.set_profile(NOW, "Grace", None, None).unwrap();
        book.on_online(NOW, true);
        let look = Look { plain: true, zone: TimeZone::UTC, now: NOW };
        Self { book, screen: Screen::new(), look, count: 0, signalers: (1, 1) }
    }

    fn hears(&mut self, from: u8, at: u64, said: &Said) {
        self.count += 1;
        let id = MessageId([self.count; 16]);
        self.book.on_document(at, identity(from), PeerId([from; 32]), &id, at, &said.encode().unwrap());
    }

    fn head(&mut self, at: u64) -> Head {
        self.count += 1;
        Head { id: DocumentId([self.count; 16]), sent: at, n: Some(u64::from(self.count)) }
    }

    fn asks(&mut self, from: u8, name: &str) {
        let head = self.head(NOW);
        let said = Said::Contact { head, name: name.into(), room: Room([from; 16]), note: "we met".into() };
        self.hears(from, NOW - 2 * DAY, &said);
    }

    fn meets(&mut self, from: u8, name: &str) {
        self.asks(from, name);
        self.book.accept(NOW - 2 * DAY, identity(from)).unwrap();
    }

    fn writes(&mut self, from: u8, at: u64, text: &str) -> DocumentId {
        let head = self.head(at);
        self.hears(
            from,
            at,
            &Said::Text(Text { head, text: text.into(), reply: None, attachments: Vec::new() }),
        );
        head.id
    }

    fn key(&mut self, code: KeyCode) -> Option<Action> {
        self.screen.on_key(&self.book, KeyEvent::new(code, KeyModifiers::NONE))
    }

    /// The lines of a screen of that size.
    fn at(&mut self, columns: u16, rows: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        self.screen.settle(&self.book);
        let links = [
            format!("weft:{}?name=Grace&signaler=wss://signaler.example", identity(1)),
            format!("weft:{}?name=Grace", identity(1)),
        ];
        let seen = Seen { book: &self.book, signalers: self.signalers, links };
        terminal.draw(|frame| draw(frame, &mut self.screen, &seen, &self.look)).unwrap();
        let buffer = terminal.backend().buffer();
        (0..rows)
            .map(|row| (0..columns).map(|column| buffer[(column, row)].symbol()).collect::<String>())
            .collect()
    }

    fn shows(&mut self, columns: u16, rows: u16, words: &str) -> bool {
        self.at(columns, rows).iter().any(|line| line.contains(words))
    }

    fn invites(&mut self, from: u8, name: &str) -> DocumentId {
        let head = self.head(NOW);
        self.hears(from, NOW, &Said::Invitation { head, name: name.into(), invitation: "weft:z1".into() });
        head.id
    }

    fn publishes(&mut self, author: u8, at: u64, said: &Said) {
        let document = &said.encode().unwrap();
        let (author, peer) = (identity(author), PeerId([author; 32]));
        let id = MessageId([0; 16]);
        let one = Published { author, peer, id, time: at, backlog: false, document };
        self.book.on_document_in(at, GROUP, one);
    }

    /// A group of ours with somebody whom we know, and somebody whom we do not.
    fn groups(&mut self) {
        self.book.found(NOW, GROUP, "Friends").unwrap();
        let members = [(identity(1), Role::Admin), (identity(2), Role::Writer), (identity(8), Role::Writer)];
        self.book.on_members(NOW, GROUP, members);
        self.publishes(
            8,
            NOW,
            &Said::Profile(Profile { issued: 1, name: "Hal".into(), ..Profile::default() }),
        );
        for (author, text) in [(2, "tea?"), (8, "coffee")] {
            let head = self.head(NOW + u64::from(author));
            let text = text.into();
            self.publishes(
                author,
                NOW + 9,
                &Said::Text(Text { head, text, reply: None, attachments: Vec::new() }),
            );
        }
        self.book.say(NOW + 10, GROUP, "both", None, Vec::new()).unwrap();
        self.screen.enter(&self.book, GROUP);
    }

    fn conversation() -> Self {
        let mut stage = Self::new();
        stage.meets(2, "Ada");
        stage.meets(3, "Ben");
        stage.writes(2, NOW - DAY, "seen Ran yet?");
        stage.book.say(NOW - 1000, identity(2), "twice", None, Vec::new()).unwrap();
        stage.writes(3, NOW, "hello");
        stage.writes(3, NOW, "are you there?");
        let book = &stage.book;
        stage.screen.enter(book, identity(2));
        stage
    }
}

#[test]
fn every_size_is_drawn_whatever_is_open() {
    let sizes = [(1, 1), (10, 3), (20, 6), (40, 12), (71, 20), (72, 20), (80, 24), (120, 40), (200, 60)];
    let opens: [fn(&mut Stage); 12] = [
        |_| {},
        |stage| stage.screen.focus = Focus::List,
        |stage| stage.screen.dialog = Some(Dialog::Help(99)),
        |stage| stage.screen.dialog = Some(Dialog::Link),
        |stage| stage.screen.dialog = Some(Dialog::Words(identity(2))),
        |stage| {
            stage.asks(9, "Eve");
            stage.screen.dialog = Some(Dialog::Stranger(identity(9)));
        },
        |stage| {
            stage.screen.focus = Focus::List;
            stage.key(KeyCode::Char('/'));
            stage.key(KeyCode::Char('e'));
        },
        |stage| stage.groups(),
        |stage| {
            stage.groups();
            stage.screen.dialog = Some(Dialog::Members(GROUP, 1));
        },
        |stage| {
            stage.groups();
            stage.screen.dialog = Some(Dialog::Invite(GROUP, 9, true));
        },
        |stage| {
            stage.groups();
            stage.screen.dialog = Some(Dialog::Expel(GROUP, identity(3)));
        },
        |stage| {
            stage.meets(7, "Fay");
            let of = stage.invites(7, "Friends");
            stage.screen.dialog = Some(Dialog::Invitation(identity(7), of));
        },
    ];
    for open in opens {
        let mut stage = Stage::conversation();
        open(&mut stage);
        for (columns, rows) in sizes {
            assert_eq!(stage.at(columns, rows).len(), rows as usize);
        }
        let mut empty = Stage::new();
        open(&mut empty);
        for (columns, rows) in sizes {
            empty.at(columns, rows);
        }
    }
}

#[test]
fn c13_the_list_shows_who_wrote_and_how_much_is_unread() {
    let mut stage = Stage::conversation();
    for (columns, rows) in [(80, 24), (120, 40)] {
        let lines = stage.at(columns, rows);
        let ben = lines.iter().position(|line| line.contains("Ben")).unwrap();
        assert!(lines[ben + 1].contains("are you there?"), "{lines:#?}");
        assert!(lines[ben + 1].contains("(2)"), "{lines:#?}");
    }
    stage.screen.focus = Focus::List;
    let narrow = stage.at(40, 12);
    assert!(narrow.iter().any(|line| line.contains("Ben") && line.contains("(2)")), "{narrow:#?}");
    stage.asks(9, "Eve");
    assert!(stage.shows(80, 24, "? Eve"));
    assert!(stage.shows(80, 24, "asks to write"));
}

#[test]
fn c13_a_conversation_has_days_times_names_and_delivery_marks_in_words() {
    let mut stage = Stage::conversation();
    for (columns, rows) in [(40, 12), (80, 24), (120, 40)] {
        let lines = stage.at(columns, rows);
        let has = |words: &str| lines.iter().any(|line| line.contains(words));
        for words in ["Yesterday", "Today", "Ada 22:13", "seen Ran yet?", "you 22:13", "twice", "… sending"]
        {
            assert!(has(words), "{words} at {columns}: {lines:#?}");
        }
    }
    let marks = ["○ stored", "✓ delivered", "✓✓ read", "✗ failed: mailbox-full"];
    let states = [State::Stored, State::Delivered, State::Read, State::Failed("mailbox-full".into())];
    for (state, words) in states.iter().zip(marks) {
        assert!(mark(state).starts_with(words));
    }
}

#[test]
fn c13_typing_and_presence_are_lines_of_their_own() {
    let mut stage = Stage::conversation();
    assert!(stage.shows(80, 24, "○ away"));
    stage.book.on_presence(NOW, identity(2), true);
    stage.hears(2, NOW, &Said::Typing { on: true });
    assert!(stage.shows(40, 12, "Ada is writing …"));
    assert!(stage.shows(80, 24, "● here"));
    stage.book.on_time(NOW + 6000);
    assert!(!stage.shows(80, 24, "is writing"));
}

#[test]
fn control_characters_of_others_never_reach_the_terminal() {
    let mut stage = Stage::new();
    stage.meets(2, "A\x1b]0;da\u{202e}\n");
    stage.writes(2, NOW, "a\x1b[31mb\u{9b}2J\u{2066}c\rd");
    stage.screen.enter(&stage.book, identity(2));
    for (columns, rows) in [(40, 12), (80, 24)] {
        let all = stage.at(columns, rows).concat();
        assert!(all.contains("a[31mb2Jcd"), "{all}");
        assert!(!all.chars().any(|char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char)));
    }
}

#[test]
fn what_is_typed_is_sent_answered_and_edited_by_keys() {
    let mut stage = Stage::conversation();
    for char in "hi".chars() {
        assert!(matches!(stage.key(KeyCode::Char(char)), Some(Action::Typing { on: true, .. })));
    }
    let said = stage.key(KeyCode::Enter);
    assert_eq!(said, Some(Action::Say { to: identity(2).into(), text: "hi".into(), reply: None }));
    assert_eq!(stage.key(KeyCode::Enter), None);
    // The last text is one's own: it can be edited, with its words in the line.
    stage.key(KeyCode::Up);
    assert!(stage.shows(80, 24, "▌ twice"));
    stage.key(KeyCode::Char('e'));
    assert!(stage.shows(80, 24, "edit you: twice"));
    stage.key(KeyCode::Char('!'));
    let edited = stage.key(KeyCode::Enter);
    assert!(matches!(edited, Some(Action::Edit { ref text, .. }) if text == "twice!"), "{edited:?}");
    // The one before is not, and can be answered.
    stage.key(KeyCode::Up);
    stage.key(KeyCode::Up);
    stage.key(KeyCode::Char('e'));
    assert!(stage.shows(80, 24, "only your own"));
    stage.key(KeyCode::Char('r'));
    assert!(stage.shows(80, 24, "answer to seen Ran yet?"));
    stage.key(KeyCode::Char('y'));
    let answered = stage.key(KeyCode::Enter);
    assert!(matches!(answered, Some(Action::Say { reply: Some(_), .. })), "{answered:?}");
}

#[test]
fn a_draft_stays_with_its_conversation() {
    let mut stage = Stage::conversation();
    stage.key(KeyCode::Char('x'));
    stage.screen.enter(&stage.book, identity(3));
    assert_eq!(stage.screen.text(), "");
    stage.screen.enter(&stage.book, identity(2));
    assert_eq!(stage.screen.text(), "x");
}

#[test]
fn a_long_conversation_scrolls_to_its_beginning_and_a_search_finds_what_is_far_up() {
    let mut stage = Stage::conversation();
    for n in 0..200 {
        stage.writes(3, NOW + n, &format!("number {n} of many words that take two lines on small screens"));
        stage.count = 20 + u8::try_from(n).unwrap();
    }
    stage.screen.enter(&stage.book, identity(3));
    assert!(stage.shows(40, 12, "number 199"));
    assert_eq!(stage.screen.seen(), Some(identity(3).into()));
    for _ in 0..200 {
        stage.key(KeyCode::PageUp);
        stage.at(40, 12);
    }
    assert!(stage.shows(40, 12, "Today"));
    assert!(stage.shows(40, 12, "more below"));
    assert_eq!(stage.screen.seen(), None, "what is below was not seen");
    stage.screen.on_key(&stage.book, KeyEvent::new(KeyCode::Char('f'), KeyModifiers::CONTROL));
    for char in "NUMBER 57 ".chars() {
        stage.key(KeyCode::Char(char));
    }
    stage.key(KeyCode::Enter);
    assert!(stage.shows(40, 12, "▌ number 57"));
}

#[test]
fn ones_own_link_has_a_qr_code_where_there_is_room() {
    let mut stage = Stage::conversation();
    stage.screen.dialog = Some(Dialog::Link);
    let lines = stage.at(80, 24);
    let blocks = lines.concat().chars().filter(|char| matches!(char, '█' | '▀' | '▄')).count();
    assert!(blocks > 200, "{lines:#?}");
    assert!(lines.concat().contains("weft:z6Mk"));
    assert!(stage.shows(40, 12, "larger window"));
}

#[test]
fn c13_a_group_is_told_by_a_sign_and_a_word_and_each_text_by_who_wrote_it() {
    let mut stage = Stage::conversation();
    stage.groups();
    let tail = identity(8).to_string();
    let hal = format!("Hal ({})", &tail[tail.len() - 4..]);
    for (columns, rows) in [(40, 16), (80, 24), (120, 40)] {
        let lines = stage.at(columns, rows);
        let has = |words: &str| lines.iter().any(|line| line.contains(words));
        for words in
            ["# Friends", "group · 3 members", "Ada 22:13", &hal, "you 22:13", "tea?", "coffee", "both"]
        {
            assert!(has(words), "{words} at {columns}: {lines:#?}");
        }
    }
    stage.book.on_present(1, GROUP, [identity(2)]);
    assert!(stage.shows(80, 24, "2 here"));
    stage.screen.focus = Focus::List;
    assert!(stage.shows(40, 16, "# Friends"));
    assert!(stage.shows(40, 16, "you: both"));
    let head = stage.head(NOW + 20);
    stage.publishes(
        8,
        NOW + 20,
        &Said::Text(Text { head, text: "no".into(), reply: None, attachments: Vec::new() }),
    );
    assert!(stage.shows(80, 24, "Hal ("), "who wrote last");
    stage.book.on_members(NOW, GROUP, [(identity(2), Role::Admin)]);
    assert!(stage.shows(80, 24, "you were removed"));
}

#[test]
fn groups_are_made_members_invited_and_removed_and_left_by_keys() {
    let mut stage = Stage::conversation();
    stage.screen.focus = Focus::List;
    stage.key(KeyCode::Char('c'));
    for char in "Us".chars() {
        stage.key(KeyCode::Char(char));
    }
    assert_eq!(stage.key(KeyCode::Enter), Some(Action::Found("Us".into())));
    stage.groups();
    stage.screen.on_key(&stage.book, KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL));
    assert!(stage.shows(80, 24, "Grace (you) · admin"));
    assert!(stage.shows(80, 24, "Ada · writer"));
    stage.key(KeyCode::Char('i'));
    assert!(stage.shows(80, 24, "▸ Ben"), "Ada is in it already");
    stage.key(KeyCode::Char('h'));
    assert_eq!(stage.key(KeyCode::Enter), Some(Action::Invite(GROUP, identity(3), false)));
    stage.screen.on_key(&stage.book, KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL));
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Char('x'));
    assert!(stage.shows(80, 24, "Remove Ada from the group?"));
    assert_eq!(stage.key(KeyCode::Char('y')), Some(Action::Expel(GROUP, identity(2))));
    stage.screen.focus = Focus::List;
    stage.key(KeyCode::Char('x'));
    assert!(stage.shows(80, 24, "Leave Friends"));
    assert_eq!(stage.key(KeyCode::Char('y')), Some(Action::Leave(GROUP)));
}

#[test]
fn an_invitation_is_answered_where_it_stands() {
    let mut stage = Stage::conversation();
    let of = stage.invites(2, "Fri\u{202e}ends");
    assert!(stage.shows(80, 24, "invites you to the group Friends"));
    stage.key(KeyCode::Up);
    assert!(stage.shows(80, 24, "Enter answers the invitation"));
    stage.key(KeyCode::Enter);
    assert!(stage.shows(80, 24, "Ada invites you to the group “Friends”"));
    assert_eq!(stage.key(KeyCode::Char('y')), Some(Action::Take(identity(2), of)));
    stage.book.refuse_invitation(identity(2), of).unwrap();
    assert!(stage.shows(80, 24, "you have refused"));
    stage.key(KeyCode::Enter);
    assert!(stage.screen.dialog.is_none(), "it is answered once");
}
