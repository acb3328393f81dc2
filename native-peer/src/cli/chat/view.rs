//! What is on the screen.
//!
//! From 72 columns on the list and the conversation are side by side, below that one of them is there. Nothing is told by
//! color alone, and none is used where `NO_COLOR` is set (<https://no-color.org>).

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use ratatui_textarea::TextArea;
use weft_chat::book::{Book, Contact, FileState, Group, Item, Relation, Standing, State, Stranger, With};
use weft_chat::{shown, words};
use weft_native_peer::{IdentityId, Role};
use weft_wire::PartyKey;

use super::screen::{Dialog, Focus, Named, Place, Screen, Writing, named};
use super::wrap::{cut, width, wrap};

/// From so many columns on both parts are there.
const WIDE: u16 = 72;
/// Rows that are written in, at most.
const INPUT: usize = 6;
/// Texts of one person within so many ms stand together.
const TOGETHER: u64 = 5 * 60 * 1000;

/// How things look.
pub(crate) struct Look {
    /// Without colors.
    pub(crate) plain: bool,
    pub(crate) zone: TimeZone,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
}

impl Look {
    pub(crate) fn of_environment() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { plain, zone: TimeZone::system(), now: 0 }
    }

    fn color(&self, color: Color) -> Style {
        if self.plain { Style::new() } else { Style::new().fg(color) }
    }

    fn at(&self, ms: u64) -> Zoned {
        let at = Timestamp::from_millisecond(i64::try_from(ms).unwrap_or_default()).unwrap_or_default();
        at.to_zoned(self.zone.clone())
    }

    fn time(&self, ms: u64) -> String {
        self.at(ms).strftime("%H:%M").to_string()
    }

    fn day(&self, ms: u64) -> String {
        let (day, today) = (self.at(ms).date(), self.at(self.now).date());
        if day == today {
            "Today".to_owned()
        } else if day.tomorrow().ok() == Some(today) {
            "Yesterday".to_owned()
        } else {
            day.strftime("%A, %-d %B %Y").to_string()
        }
    }

    /// A time of today, or the day.
    fn brief(&self, ms: u64) -> String {
        let day = self.at(ms).date();
        if day == self.at(self.now).date() { self.time(ms) } else { day.strftime("%-d %b").to_string() }
    }
}

/// What there is to see.
pub(crate) struct Seen<'a> {
    pub(crate) book: &'a Book,
    /// Signalers in reach, and all.
    pub(crate) signalers: (usize, usize),
    /// Our own links: the whole one, and one without signalers.
    pub(crate) links: [String; 2],
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

pub(crate) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, seen: &Seen<'_>, look: &Look) {
    let [main, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    screen.wide = main.width >= WIDE;
    let talk = if screen.wide {
        let list = (main.width / 4).clamp(24, 34);
        let [list, talk] = Layout::horizontal([Constraint::Length(list), Constraint::Fill(1)]).areas(main);
        let edge = Block::new().borders(Borders::RIGHT).border_style(DIM);
        draw_list(frame, edge.inner(list), screen, seen, look);
        frame.render_widget(edge, list);
        Some(talk)
    } else if screen.focus == Focus::List {
        draw_list(frame, main, screen, seen, look);
        None
    } else {
        Some(main)
    };
    if let Some(area) = talk {
        match screen.open.filter(|with| seen.book.has(*with)) {
            Some(with) => draw_talk(frame, area, screen, seen.book, with, look),
            None => draw_welcome(frame, area, seen.book),
        }
    }
    draw_foot(frame, foot, screen, seen, look);
    if let Some(dialog) = &screen.dialog {
        draw_dialog(frame, main, dialog, seen, look);
    }
}

// ---- the list ----

fn draw_list(frame: &mut Frame<'_>, area: Rect, screen: &Screen, seen: &Seen<'_>, look: &Look) {
    let columns = area.width as usize;
    let mut lines = vec![Line::styled(cut(&format!(" {}", seen.book.own_name()), columns), BOLD)];
    let places = Screen::places(seen.book);
    if places.is_empty() {
        lines.push(Line::styled(" nobody yet", DIM));
    }
    // Two lines each, where there is room.
    let tall = area.height >= 14;
    let each = if tall { 2 } else { 1 };
    let rows = (area.height as usize).saturating_sub(1) / each;
    let chosen = places.iter().position(|place| screen.chosen == Some(*place)).unwrap_or(0);
    let first = (chosen + 1).saturating_sub(rows);
    for place in places.iter().skip(first).take(rows) {
        let is_chosen = screen.chosen == Some(*place);
        let sign = if is_chosen { "▸" } else { " " };
        let style = if is_chosen && screen.focus == Focus::List {
            Style::new().add_modifier(Modifier::REVERSED)
        } else if is_chosen {
            BOLD
        } else {
            Style::new()
        };
        let (first, second) = match place {
            Place::Contact(who) => match seen.book.contact(who) {
                Some(contact) => of_contact(who, contact, sign, columns, tall, seen.book, look),
                None => continue,
            },
            Place::Group(key) => match seen.book.group(key) {
                Some(group) => of_group(*key, group, sign, columns, tall, seen.book, look),
                None => continue,
            },
            Place::Stranger(who) => match seen.book.stranger(who) {
                Some(stranger) => of_stranger(who, stranger, sign, columns),
                None => continue,
            },
        };
        lines.push(Line::styled(first, style));
        if tall {
            lines.push(Line::styled(second, if is_chosen { style } else { DIM }));
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Words at both ends of a line, the left ones cut.
fn both_ends(left: &str, right: &str, columns: usize) -> String {
    let room = columns.saturating_sub(width(right) + 1);
    let left = cut(left, room);
    let gap = columns.saturating_sub(width(&left) + width(right));
    format!("{left}{}{right}", " ".repeat(gap))
}

fn of_contact(
    who: &IdentityId,
    contact: &Contact,
    sign: &str,
    columns: usize,
    tall: bool,
    book: &Book,
    look: &Look,
) -> (String, String) {
    let here = if contact.present { "●" } else { " " };
    let unread = contact.unread();
    let count = if unread > 0 { format!("({unread}) ") } else { String::new() };
    let muted = if contact.muted { " muted" } else { "" };
    let last = contact.items().next_back();
    let time = last.map(|item| look.brief(item.time())).unwrap_or_default();
    let right = if tall { format!("{time} ") } else { count.clone() };
    let first = both_ends(&format!("{sign}{here} {}{muted}", contact.name(who)), &right, columns);
    let words = if contact.typing() {
        "is writing …".to_owned()
    } else if contact.relation == Relation::Asked && last.is_none() {
        "was asked".to_owned()
    } else {
        last.map(|item| preview(item, (*who).into(), book)).unwrap_or_default()
    };
    (first, both_ends(&format!("   {words}"), &count, columns))
}

/// A group is told by the sign in front of its name, and by who wrote last.
fn of_group(
    key: PartyKey,
    group: &Group,
    sign: &str,
    columns: usize,
    tall: bool,
    book: &Book,
    look: &Look,
) -> (String, String) {
    let unread = group.unread();
    let count = if unread > 0 { format!("({unread}) ") } else { String::new() };
    let muted = if group.muted { " muted" } else { "" };
    let last = group.items().next_back();
    let time = last.map(|item| look.brief(item.time())).unwrap_or_default();
    let right = if tall { format!("{time} ") } else { count.clone() };
    let first = both_ends(&format!("{sign}# {}{muted}", group.name(&key)), &right, columns);
    let words = match (&group.standing, last) {
        (Standing::Member, Some(item)) => preview(item, key.into(), book),
        (Standing::Member, None) => "a new group".to_owned(),
        (Standing::Joining, _) => "waits for an admin".to_owned(),
        (Standing::Out(code), _) => over(code).to_owned(),
    };
    (first, both_ends(&format!("   {words}"), &count, columns))
}

/// Why one is in a group no more.
fn over(code: &str) -> &'static str {
    match code {
        "removed" => "you were removed",
        "invitation-used" => "the invitation was used by somebody else",
        "invitation-expired" => "the invitation has ended",
        _ => "you are no member",
    }
}

fn of_stranger(who: &IdentityId, stranger: &Stranger, sign: &str, columns: usize) -> (String, String) {
    let asks = if stranger.asks() { "asks to write" } else { "a stranger wrote" };
    (
        both_ends(&format!("{sign}? {}", stranger.name(who)), "new ", columns),
        both_ends(&format!("   {asks}"), "", columns),
    )
}

/// A text in one line.
fn preview(item: &Item, with: With, book: &Book) -> String {
    let words = if item.deleted {
        "(deleted)".to_owned()
    } else if let Some((name, _)) = &item.invitation {
        let to = if item.author == book.me() { "invited to" } else { "invites you to" };
        format!("{to} {}", shown::line(name))
    } else if item.text.is_empty() {
        item.attachments.first().map(|one| format!("file {}", shown::line(&one.name))).unwrap_or_default()
    } else {
        shown::line(&item.text)
    };
    match with {
        _ if item.author == book.me() => format!("you: {words}"),
        With::Person(_) => words,
        With::Group(group) => format!("{}: {words}", book.member_name(&group, &item.author)),
    }
}

// ---- a conversation ----

fn draw_talk(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen, book: &Book, with: With, look: &Look) {
    let contact = with.person().and_then(|who| Some((who, book.contact(&who)?)));
    let typing = contact.filter(|(_, contact)| contact.typing()).map(|(who, contact)| contact.name(&who));
    let columns = area.width.saturating_sub(4).max(1) as usize;
    let rows: usize = screen.input.lines().iter().map(|line| wrap(line, columns).len()).sum();
    let most = INPUT.min((area.height as usize).saturating_sub(4) / 2).max(1);
    let input = u16::try_from(rows.clamp(1, most)).unwrap_or(1);
    let [head, talk, writes, about, write] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(u16::from(typing.is_some())),
        Constraint::Length(1),
        Constraint::Length(input),
    ])
    .areas(area);
    match (contact, with.group().and_then(|key| Some((key, book.group(&key)?)))) {
        (Some((who, contact)), _) => draw_head(frame, head, &who, contact, look),
        (None, Some((key, group))) => draw_group_head(frame, head, &book.me(), &key, group, look),
        (None, None) => {}
    }
    draw_texts(frame, talk, screen, book, with, look);
    let line = format!(" {} is writing …", typing.unwrap_or_default());
    frame.render_widget(
        Line::styled(cut(&line, area.width as usize), DIM.add_modifier(Modifier::ITALIC)),
        writes,
    );
    draw_about(frame, about, screen, book, with);
    let [sign, words] = Layout::horizontal([Constraint::Length(2), Constraint::Fill(1)]).areas(write);
    let active = screen.focus == Focus::Input && screen.dialog.is_none();
    frame.render_widget(Line::styled("> ", if active { BOLD } else { DIM }), sign);
    show_cursor(&mut screen.input, active);
    frame.render_widget(&screen.input, words);
}

fn show_cursor(area: &mut TextArea<'static>, on: bool) {
    area.set_cursor_style(if on { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() });
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, who: &IdentityId, contact: &Contact, look: &Look) {
    let here = match (contact.relation, contact.present) {
        (Relation::Asked, _) => "was asked, no answer yet",
        (Relation::Both, true) => "● here",
        (Relation::Both, false) => "○ away",
    };
    let verified = if contact.verified { "words compared  " } else { "" };
    let muted = if contact.muted { "muted  " } else { "" };
    let text = both_ends(
        &format!(" {}", contact.name(who)),
        &format!("{verified}{muted}{here} "),
        area.width as usize,
    );
    frame.render_widget(
        Line::styled(text, look.color(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)),
        area,
    );
}

fn draw_group_head(
    frame: &mut Frame<'_>,
    area: Rect,
    me: &IdentityId,
    key: &PartyKey,
    group: &Group,
    look: &Look,
) {
    let reads = group.role(me) == Some(Role::Reader);
    let how = match &group.standing {
        Standing::Member if reads => "group · you may only read".to_owned(),
        Standing::Member => {
            let count = group.members().len();
            let members = if count == 1 { "member" } else { "members" };
            format!("group · {count} {members} · {} here", group.present() + 1)
        }
        Standing::Joining => "group · waits for an admin".to_owned(),
        Standing::Out(code) => format!("group · {}", over(code)),
    };
    let muted = if group.muted { "muted  " } else { "" };
    let text = both_ends(&format!(" # {}", group.name(key)), &format!("{muted}{how} "), area.width as usize);
    frame.render_widget(
        Line::styled(text, look.color(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)),
        area,
    );
}

/// What the words that are typed are.
fn draw_about(frame: &mut Frame<'_>, area: Rect, screen: &Screen, book: &Book, with: With) {
    let of = |(author, id): Named| {
        book.item(with, author, id).map(|item| preview(item, with, book)).unwrap_or_default()
    };
    let open = screen
        .marked
        .and_then(|(author, id)| book.item(with, author, id))
        .filter(|item| item.invitation.is_some() && item.taken.is_none() && item.author != book.me());
    let text = match screen.writing {
        _ if screen.focus == Focus::Texts && open.is_some() => {
            " Enter answers the invitation · + sign · Esc".to_owned()
        }
        _ if screen.focus == Focus::Texts => {
            " r answer · e edit · d delete · + sign · s save · Esc".to_owned()
        }
        Writing::New if screen.scroll > 0 => " ↓ more below: Page Down".to_owned(),
        Writing::New => String::new(),
        Writing::Reply(named) => format!(" answer to {} · Esc", of(named)),
        Writing::Edit(id) => format!(" edit {} · Esc", of((book.me(), id))),
    };
    let columns = area.width as usize;
    let text = cut(&text, columns.saturating_sub(1));
    let rule = "─".repeat(columns.saturating_sub(width(&text) + usize::from(!text.is_empty())));
    let line = if text.is_empty() { rule } else { format!("{text} {rule}") };
    frame.render_widget(Line::styled(line, DIM), area);
}

fn draw_texts(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen, book: &Book, with: With, look: &Look) {
    let (rows, columns) = (area.height as usize, area.width as usize);
    screen.page = rows;
    if book.items(with).len() == 0 {
        let contact = with.person().and_then(|who| book.contact(&who));
        let group = with.group().and_then(|group| book.group(&group));
        let text = match (contact.map(|one| one.relation), group.map(|one| &one.standing)) {
            (Some(Relation::Asked), _) => {
                "They were asked. You may write already; they see it when they agree."
            }
            (_, Some(Standing::Joining)) => {
                "You have taken the invitation. You are in as soon as an admin of the group is there."
            }
            (_, Some(Standing::Out(_))) => "You are no member of this group. Nothing was said here.",
            (_, Some(Standing::Member)) => {
                "Nothing was said yet. Ctrl-G shows who is in this group, and invites; Enter sends what you write."
            }
            _ => "Nothing was said yet. Write something below, Enter sends it.",
        };
        let lines: Vec<_> =
            wrap(text, columns.saturating_sub(2)).into_iter().map(|line| format!(" {line}")).collect();
        frame.render_widget(Paragraph::new(lines.join("\n")).style(DIM), area);
        return;
    }
    let of = Talk { book, with, look, columns, marked: screen.marked, unread: screen.unread };
    // From the last line upwards, as far as is needed.
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut items = book.items(with).rev().peekable();
    let mut marked = None;
    while let Some(item) = items.next() {
        let from = lines.len();
        lines.extend(of.lines(item, items.peek().copied()).into_iter().rev());
        if screen.marked == Some(named(item)) {
            marked = Some((from, lines.len()));
        }
        let waits = screen.marked.is_some() && marked.is_none();
        if lines.len() >= screen.scroll + rows && !waits {
            break;
        }
    }
    if let Some((from, to)) = marked {
        // The marked text is on the screen.
        if to > screen.scroll + rows {
            screen.scroll = to.saturating_sub(rows);
        }
        if from < screen.scroll {
            screen.scroll = from;
        }
    }
    screen.scroll = screen.scroll.min(lines.len().saturating_sub(rows));
    let shown: Vec<_> = lines.into_iter().skip(screen.scroll).take(rows).collect();
    let blank = rows.saturating_sub(shown.len());
    let place = Rect {
        y: area.y + u16::try_from(blank).unwrap_or(0),
        height: area.height.saturating_sub(u16::try_from(blank).unwrap_or(0)),
        ..area
    };
    frame.render_widget(Paragraph::new(shown.into_iter().rev().collect::<Vec<_>>()), place);
}

/// What is needed to write a text down.
struct Talk<'a> {
    book: &'a Book,
    with: With,
    look: &'a Look,
    columns: usize,
    marked: Option<Named>,
    unread: Option<Named>,
}

impl Talk<'_> {
    fn name(&self, who: &IdentityId) -> String {
        if *who == self.book.me() {
            return "you".to_owned();
        }
        match (self.with, self.book.contact(who)) {
            (With::Group(group), _) => self.book.member_name(&group, who),
            (With::Person(_), Some(contact)) => contact.name(who),
            (With::Person(_), None) => weft_chat::book::short(who),
        }
    }

    fn rule(&self, text: &str) -> Line<'static> {
        let text = format!(" {text} ");
        let left = self.columns.saturating_sub(width(&text)) / 2;
        let right = self.columns.saturating_sub(width(&text) + left);
        Line::styled(format!("{}{text}{}", "─".repeat(left), "─".repeat(right)), DIM)
    }

    fn lines(&self, item: &Item, before: Option<&Item>) -> Vec<Line<'static>> {
        let (look, room) = (self.look, self.columns.saturating_sub(3).max(1));
        let mut lines = Vec::new();
        let day = |item: &Item| look.at(item.time()).date();
        let new_day = before.is_none_or(|before| day(before) != day(item));
        if new_day {
            lines.push(self.rule(&look.day(item.time())));
        }
        let first_unread = self.unread == Some(named(item));
        if first_unread {
            lines.push(self.rule("new"));
        }
        let mine = item.author == self.book.me();
        let together = before.is_some_and(|before| {
            before.author == item.author && item.time().abs_diff(before.time()) < TOGETHER
        });
        if !together || new_day || first_unread {
            let style = if mine { look.color(Color::Green) } else { look.color(Color::Cyan) };
            lines.push(Line::from(vec![
                Span::styled(
                    format!(" {}", cut(&self.name(&item.author), room.saturating_sub(6))),
                    style.add_modifier(Modifier::BOLD),
                ),
                Span::styled(format!(" {}", look.time(item.time())), DIM),
            ]));
        }
        let is_marked = self.marked == Some(named(item));
        let margin = if is_marked { " ▌ " } else { "   " };
        let mut add = |text: &str, style: Style| {
            lines.extend(
                wrap(text, room)
                    .into_iter()
                    .map(|line| Line::from(vec![Span::styled(margin, BOLD), Span::styled(line, style)])),
            );
        };
        if let Some((id, author)) = item.reply {
            let quoted = self.book.item(self.with, author, id);
            let quoted = quoted.map(|item| preview(item, self.with, self.book));
            let quoted = quoted.unwrap_or_else(|| "something that is not here".to_owned());
            add(&cut(&format!("│ {quoted}"), room), DIM);
        }
        if item.deleted {
            add("(deleted)", DIM.add_modifier(Modifier::ITALIC));
        } else if let Some((name, _)) = &item.invitation {
            let name = shown::line(name);
            let (text, below) = match item.taken {
                _ if mine => (format!("invited to the group {name}"), "they join it when they say so"),
                Some(true) => (format!("invited you to the group {name}"), "you have taken it"),
                Some(false) => (format!("invited you to the group {name}"), "you have refused"),
                None => (format!("invites you to the group {name}"), "↑ marks it, Enter answers"),
            };
            add(&text, Style::new());
            add(below, DIM);
        } else if !item.text.is_empty() {
            add(&shown::text(&item.text), Style::new());
        }
        for (at, one) in item.attachments.iter().enumerate() {
            add(&self.file(at, one), Style::new());
        }
        let signs = item.reactions.iter().filter(|(_, one)| !one.emoji.is_empty());
        let signs: Vec<_> =
            signs.map(|(who, one)| format!("{} {}", shown::line(&one.emoji), self.name(who))).collect();
        if !signs.is_empty() {
            add(&signs.join(" · "), DIM);
        }
        self.add_marks(&mut lines, item, mine);
        lines
    }

    fn file(&self, at: usize, one: &weft_chat::Attachment) -> String {
        let file = self.book.file(self.with, one.hash);
        let how = match file.map(|file| (file.state, file)) {
            Some((FileState::Here, _)) | None => String::new(),
            Some((FileState::Partial, file)) if file.got() == 0 => ", s fetches and saves it".to_owned(),
            Some((FileState::Partial, file)) => format!(", {} %", file.got() * 100 / file.pieces().max(1)),
            Some((state, _)) => format!(", {}", state.word()),
        };
        format!("[{}: {}, {}{how}]", at + 1, shown::line(&one.name), size(one.size))
    }

    /// What is to be said of a text besides: at the end of its last line if there is room.
    fn add_marks(&self, lines: &mut Vec<Line<'static>>, item: &Item, mine: bool) {
        let mut words = Vec::new();
        if item.edited() {
            words.push("edited".to_owned());
        }
        if mine && !item.deleted {
            words.push(mark(&item.state));
        }
        if words.is_empty() {
            return;
        }
        let text = cut(&words.join(" · "), self.columns.saturating_sub(4));
        let style = match item.state {
            State::Failed(_) if mine => self.look.color(Color::Red).add_modifier(Modifier::BOLD),
            _ => DIM,
        };
        let used = lines.last().map_or(0, |line| line.spans.iter().map(|span| width(&span.content)).sum());
        let wanted = width(&text) + 1;
        if used + wanted + 2 > self.columns {
            lines.push(Line::from(String::new()));
        }
        if let Some(last) = lines.last_mut() {
            let used: usize = last.spans.iter().map(|span| width(&span.content)).sum();
            last.spans.push(Span::raw(" ".repeat(self.columns.saturating_sub(used + wanted))));
            last.spans.push(Span::styled(text, style));
        }
    }
}

/// How far a text is, as a sign and a word.
fn mark(state: &State) -> String {
    match state {
        State::Sending => "… sending".to_owned(),
        State::Stored => "○ stored".to_owned(),
        State::Delivered => "✓ delivered".to_owned(),
        State::Read => "✓✓ read".to_owned(),
        State::Published => "○ published".to_owned(),
        State::Failed(code) => format!("✗ failed: {code}, t tries again"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{}.{} MiB", bytes >> 20, (bytes % 1_048_576) * 10 / 1_048_576),
    }
}

fn draw_welcome(frame: &mut Frame<'_>, area: Rect, book: &Book) {
    let mut text = vec!["Weft chat", ""];
    if book.profile().name.is_empty() {
        text.push("n   say your name, so that others know who writes");
    }
    text.extend([
        "l   show your link: who has it can add you",
        "a   add somebody by their link",
        "c   make a group",
        "?   everything else",
    ]);
    let columns = area.width.saturating_sub(3) as usize;
    let lines =
        text.into_iter().flat_map(|line| wrap(line, columns)).map(|line| Line::from(format!("  {line}")));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, screen: &Screen, seen: &Seen<'_>, look: &Look) {
    let columns = area.width as usize;
    if let Some(notice) = &screen.notice {
        let style =
            if notice.starts_with('!') { look.color(Color::Red).add_modifier(Modifier::BOLD) } else { BOLD };
        frame.render_widget(Line::styled(cut(&format!(" {}", shown::line(notice)), columns), style), area);
        return;
    }
    let (reached, all) = seen.signalers;
    let status = match (reached, all) {
        (0, _) => "○ no signaler in reach: what you write waits".to_owned(),
        (_, 1) => "● connected".to_owned(),
        _ => format!("● {reached} of {all} signalers"),
    };
    let keys = match screen.focus {
        Focus::List => "a add · l link · ? help",
        Focus::Input => "Tab list · ↑ texts · F1 help",
        Focus::Texts => "↑↓ · Esc · F1 help",
    };
    let keys = if width(keys) + width(&status) + 3 > columns { "F1 help" } else { keys };
    frame.render_widget(
        Line::styled(both_ends(&format!(" {status}"), &format!("{keys} "), columns), DIM),
        area,
    );
}

// ---- in front of it ----

const HELP: &[&str] = &[
    "Everywhere",
    "  Ctrl-F  search   F1  help",
    "  Ctrl-N, Ctrl-P  other conversation",
    "  Page Up, Page Down  scroll",
    "  Ctrl-Q  quit",
    "",
    "In the list",
    "  ↑ ↓  choose      Enter  open",
    "  Tab  write       /  search",
    "  a  add somebody, or take an invitation",
    "  c  make a group (# in the list)",
    "  l  your link and QR code",
    "  n  your name",
    "  g  a name of your own for them,",
    "     or of a group, for all in it",
    "  w  compare verification words,",
    "     or who is in a group",
    "  m  mute          x  remove, leave",
    "",
    "While you write",
    "  Enter  send      Esc  to the list",
    "  Alt-Enter, Ctrl-J  new line",
    "  Ctrl-O  send a file, with the line",
    "  Ctrl-G  who is in the group, invite",
    "  ↑ in an empty line: mark a text",
    "",
    "With a text marked",
    "  r  answer        +  sign",
    "  e  edit          d  delete",
    "  s  save its file, 1 to 8: that one",
    "  t  try a failed one again",
    "  Enter  answer an invitation",
    "  Esc  back",
    "",
    "How far a text is",
    "  … sending    not yet on its way",
    "  ○ stored     waits for them",
    "  ✓ delivered  is where they are",
    "  ✓✓ read      was on their screen",
    "  ○ published  in a group: for all",
];

fn draw_dialog(frame: &mut Frame<'_>, area: Rect, dialog: &Dialog, seen: &Seen<'_>, look: &Look) {
    match dialog {
        Dialog::Help(at) => {
            let room = area.height.saturating_sub(2);
            let most = u16::try_from(HELP.len()).unwrap_or(0).saturating_sub(room);
            let lines: Vec<_> = HELP.iter().map(|line| Line::from(*line)).collect();
            let title = if most > 0 { "Help: ↑↓ scroll, Esc" } else { "Help: any key closes it" };
            let inner = frame_of(frame, area, title, 40, HELP.len());
            frame.render_widget(Paragraph::new(lines).scroll(((*at).min(most), 0)), inner);
        }
        Dialog::Link => draw_link(frame, area, seen, look),
        Dialog::Words(who) => {
            let words = words::of(&seen.book.me(), who);
            let name = seen.book.contact(who).map(|contact| contact.name(who)).unwrap_or_default();
            let mut text = vec![
                format!(" Read these to {} over the phone: they see the same.", shown::line(&name)),
                String::new(),
            ];
            for (row, four) in words.chunks(3).enumerate() {
                let four: Vec<_> = four
                    .iter()
                    .enumerate()
                    .map(|(at, word)| format!("{:>2} {word:<9}", row * 3 + at + 1))
                    .collect();
                text.push(format!(" {}", four.join(" ")));
            }
            text.extend([String::new(), " y they are the same · n they are not · Esc".to_owned()]);
            draw_text(frame, area, "Verification words", &text, 56);
        }
        Dialog::Stranger(who) => {
            let Some(stranger) = seen.book.stranger(who) else { return };
            let asks =
                if stranger.asks() { "asks to write to you." } else { "has written, and is no contact." };
            let mut text = vec![format!(" {} {asks}", stranger.name(who)), format!(" {who}")];
            if !stranger.note().is_empty() {
                text.push(format!(" “{}”", stranger.note()));
            }
            text.extend(
                stranger
                    .items()
                    .iter()
                    .take(4)
                    .map(|item| format!(" – {}", preview(item, (*who).into(), seen.book))),
            );
            text.extend([String::new(), " a accept · r refuse · b block · Esc later".to_owned()]);
            draw_text(frame, area, "Who is that?", &text, 66);
        }
        Dialog::Remove(who) => {
            let name = seen.book.contact(who).map(|contact| contact.name(who)).unwrap_or_default();
            let text = [
                format!(" Remove {name} and all that was said? They are not told."),
                String::new(),
                " y remove · b remove and block · any other key: no".to_owned(),
            ];
            draw_text(frame, area, "Remove", &text, 60);
        }
        Dialog::Members(group, at) => draw_members(frame, area, *group, *at, seen.book),
        Dialog::Invite(group, at, history) => draw_guests(frame, area, (*group, *at, *history), seen.book),
        Dialog::Invitation(with, of) => {
            let item = seen.book.item(*with, *with, *of);
            let Some((group, _)) = item.and_then(|item| item.invitation.as_ref()) else { return };
            let name = seen.book.contact(with).map(|contact| contact.name(with)).unwrap_or_default();
            let text = [
                format!(" {name} invites you to the group “{}”.", shown::line(group)),
                " Who is in it sees your identity and name, and reads what you write.".to_owned(),
                String::new(),
                " y join · n refuse, nobody is told · Esc later".to_owned(),
            ];
            draw_text(frame, area, "An invitation", &text, 60);
        }
        Dialog::Expel(group, who) => {
            let text = [
                format!(" Remove {} from the group?", seen.book.member_name(group, who)),
                " They read and write nothing more. What they have, they keep.".to_owned(),
                String::new(),
                " y remove · any other key: no".to_owned(),
            ];
            draw_text(frame, area, "Remove a member", &text, 62);
        }
        Dialog::Leave(key) => {
            let name = seen.book.group(key).map(|group| group.name(key)).unwrap_or_default();
            let text = [
                format!(" Leave {name}, and remove all that was said here?"),
                String::new(),
                " y leave · any other key: no".to_owned(),
            ];
            draw_text(frame, area, "Leave", &text, 60);
        }
        Dialog::Ask(question, typed) => {
            let inner =
                frame_of(frame, area, question.title(), area.width.saturating_sub(4).min(100).into(), 1);
            let mut typed = typed.clone();
            show_cursor(&mut typed, true);
            frame.render_widget(&typed, inner);
        }
        Dialog::Search { text, hits, at } => {
            let rows = (area.height as usize).saturating_sub(4).min(20);
            let inner = frame_of(
                frame,
                area,
                "Search: Enter opens",
                area.width.saturating_sub(4).min(100).into(),
                rows,
            );
            let [line, list] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
            let mut typed = text.clone();
            show_cursor(&mut typed, true);
            frame.render_widget(&typed, line);
            let rows = list.height as usize;
            let first = (at + 1).saturating_sub(rows);
            let columns = list.width as usize;
            let lines =
                hits.iter().enumerate().skip(first).take(rows).filter_map(|(place, (with, (author, id)))| {
                    let item = seen.book.item(*with, *author, *id)?;
                    let name = match with {
                        With::Person(who) => seen.book.contact(who)?.name(who),
                        With::Group(key) => format!("# {}", seen.book.group(key)?.name(key)),
                    };
                    let sign = if place == *at { "▸" } else { " " };
                    let left = format!("{sign} {name}: {}", preview(item, *with, seen.book));
                    let style = if place == *at { BOLD } else { Style::new() };
                    Some(Line::styled(both_ends(&left, &look.brief(item.time()), columns), style))
                });
            let mut lines: Vec<_> = lines.collect();
            if lines.is_empty() && !text.is_empty() {
                lines.push(Line::styled("nothing was found", DIM));
            }
            frame.render_widget(Paragraph::new(lines), list);
        }
    }
}

/// Who is in a group, one a line.
fn draw_members(frame: &mut Frame<'_>, area: Rect, key: PartyKey, at: usize, book: &Book) {
    let Some(group) = book.group(&key) else { return };
    let lines = group.members().map(|(who, role)| {
        let mine = if *who == book.me() { " (you)" } else { "" };
        let here = if mine.is_empty() && group.is_present(who) { " · here" } else { "" };
        let left = if group.has_left(who) { " · has left" } else { "" };
        format!("{}{mine} · {}{here}{left}", book.member_name(&key, who), role.name())
    });
    let admin = group.role(&book.me()) == Some(Role::Admin) && group.standing == Standing::Member;
    let below = if admin { " i invite · x remove · L leave · Esc" } else { " L leave · Esc" };
    draw_choice(frame, area, "Who is in it", &lines.collect::<Vec<_>>(), at, below);
}

/// Contacts that may be invited, one a line.
fn draw_guests(
    frame: &mut Frame<'_>,
    area: Rect,
    (group, at, history): (PartyKey, usize, bool),
    book: &Book,
) {
    let guests = Screen::guests(book, group);
    let mut lines: Vec<_> =
        guests.iter().filter_map(|who| book.contact(who).map(|contact| contact.name(who))).collect();
    if lines.is_empty() {
        lines.push("(nobody: an admin invites contacts that are not in it)".to_owned());
    }
    let below = if history {
        " Enter invites · h they may read what was said before: yes · Esc"
    } else {
        " Enter invites · h they may read what was said before: no · Esc"
    };
    draw_choice(frame, area, "Invite", &lines, at, below);
}

/// Lines of which one is marked, as many as there is room for, and what keys do.
fn draw_choice(frame: &mut Frame<'_>, area: Rect, title: &str, all: &[String], at: usize, below: &str) {
    let columns = 66.min((area.width as usize).saturating_sub(2));
    let foot = wrap(below, columns);
    let rows = (area.height as usize).saturating_sub(3 + foot.len()).max(1);
    let first = (at + 1).saturating_sub(rows);
    let mut lines: Vec<_> = all
        .iter()
        .enumerate()
        .skip(first)
        .take(rows)
        .map(|(place, line)| {
            let (sign, style) = if place == at { ("▸", BOLD) } else { (" ", Style::new()) };
            Line::styled(cut(&format!("{sign} {}", shown::line(line)), columns), style)
        })
        .collect();
    lines.push(Line::from(""));
    lines.extend(foot.into_iter().map(Line::from));
    let inner = frame_of(frame, area, title, columns, lines.len());
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_text(frame: &mut Frame<'_>, area: Rect, title: &str, text: &[String], columns: usize) {
    let columns = columns.min((area.width as usize).saturating_sub(2));
    let lines: Vec<_> = text
        .iter()
        .flat_map(|line| {
            let line = shown::text(line);
            wrap(&line, columns)
        })
        .collect();
    let inner = frame_of(frame, area, title, columns, lines.len());
    frame.render_widget(Paragraph::new(lines.join("\n")), inner);
}

/// A frame in the middle, and what is inside it.
fn frame_of(frame: &mut Frame<'_>, area: Rect, title: &str, columns: usize, rows: usize) -> Rect {
    let width = u16::try_from(columns + 2).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(rows + 2).unwrap_or(u16::MAX).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(cut(&format!(" {title} "), width.saturating_sub(2).into()));
    let inner = block.inner(place);
    frame.render_widget(block, place);
    inner
}

/// Our link and its QR code, as far as there is room for one.
fn draw_link(frame: &mut Frame<'_>, area: Rect, seen: &Seen<'_>, look: &Look) {
    let room = (area.width.saturating_sub(2) as usize, area.height.saturating_sub(2) as usize);
    let text = |link: &str| wrap(link, room.0);
    let code = seen.links.iter().find_map(|link| {
        let code = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::L).ok()?;
        // Light is drawn: terminals are mostly dark.
        let mut drawn = code.render::<Dense1x2>();
        let drawn = drawn.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(false).build();
        // Two modules of light around it: half of what the standard asks for is what cameras need.
        let mut lines: Vec<String> = drawn.lines().map(|line| format!("██{line}██")).collect();
        // Modules are odd in number: below the last of them is light as well, not nothing.
        if let Some(last) = lines.last_mut().filter(|_| code.width() % 2 == 1) {
            *last = last.replace('▀', "█").replace(' ', "▄");
        }
        let edge = "█".repeat(lines.first().map_or(0, |line| width(line)));
        lines.insert(0, edge.clone());
        lines.push(edge);
        let fits = lines.iter().all(|line| width(line) <= room.0) && lines.len() < room.1;
        fits.then_some(lines)
    });
    let whole = text(&seen.links[0]);
    let mut lines: Vec<Line<'_>> = Vec::new();
    if let Some(code) = &code {
        let style = if look.plain { Style::new() } else { Style::new().fg(Color::White).bg(Color::Black) };
        lines.extend(code.iter().map(|line| Line::styled(line.clone(), style)));
    }
    let left = room.1.saturating_sub(lines.len());
    lines.extend(whole.iter().take(left).map(|line| Line::from(line.clone())));
    if code.is_none() && lines.len() < room.1 {
        lines.push(Line::styled("A larger window has room for the QR code.", DIM));
    }
    let columns = lines.iter().map(Line::width).max().unwrap_or(0);
    let rows = lines.len();
    let inner = frame_of(frame, area, "Your link: any key closes it", columns.max(30), rows);
    frame.render_widget(Paragraph::new(lines), inner);
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
