//! `weft chat` on a terminal: takes keys, does what follows, draws.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, Event as Key,
    KeyEventKind, read,
};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weft_chat::Address;
use weft_chat::book::Event;
use weft_native_peer::{IdentityId, Role};

use super::super::ReachArgs;
use super::super::exit::{Exit, Failure};
use super::super::interrupt::Interrupt;
use super::engine::{Engine, News, find, is_invitation, now};
use super::screen::{Action, Screen};
use super::view::{Look, Seen, draw};

/// Keys that are read ahead.
const AHEAD: usize = 256;
/// The clock on the screen, and what goes by itself.
const TICK: Duration = Duration::from_secs(30);

pub(crate) async fn run(reach: &ReachArgs) -> Result<Exit, Failure> {
    if !stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            &"this is no terminal: weft chat --json takes commands and prints events",
        ));
    }
    let interrupt = Interrupt::start();
    let engine = Engine::start(reach).await?;
    let shown = Shown::start().map_err(|error| Failure::error(&format!("the terminal: {error}")))?;
    let mut app = App {
        engine,
        screen: Screen::new(),
        look: Look::of_environment(),
        finding: JoinSet::new(),
        title: String::new(),
    };
    let result = app.work(interrupt).await;
    // Before anything is said or waited for.
    drop(shown);
    app.engine.close().await;
    result
}

/// The terminal while it is ours; given back however this ends.
struct Shown;

impl Shown {
    fn start() -> std::io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        let shown = Self;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
        Ok(shown)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        restore();
    }
}

/// A terminal that is gone need not be restored.
fn restore() {
    let _ = execute!(stdout(), DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

struct App {
    engine: Engine,
    screen: Screen,
    look: Look,
    /// Addresses that are looked up.
    finding: JoinSet<Result<Address, String>>,
    title: String,
}

impl App {
    async fn work(&mut self, mut interrupt: Interrupt) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| Failure::error(&format!("the terminal: {error}"));
        let mut terminal = Terminal::new(CrosstermBackend::new(stdout())).map_err(failed)?;
        let mut keys = keys();
        loop {
            self.hear();
            self.screen.settle(&self.engine.book);
            self.look.now = now();
            let all = self.engine.signalers.values();
            let signalers = (all.clone().filter(|(_, reached)| *reached).count(), all.len());
            let address = self.engine.address();
            let brief = Address { signalers: Vec::new(), ..address.clone() };
            let links = [address.to_string(), brief.to_string()];
            let seen = Seen { book: &self.engine.book, signalers, links };
            terminal.draw(|frame| draw(frame, &mut self.screen, &seen, &self.look)).map_err(failed)?;
            // Seen is what was on the screen just now.
            if let Some(with) = self.screen.seen() {
                // It is a contact.
                let _ = self.engine.book.read(now(), with, None);
                self.engine.settle().await?;
                self.hear();
            }
            self.retitle();
            tokio::select! {
                happened = self.engine.next() => self.engine.handle(happened).await?,
                key = keys.recv() => match key {
                    None => return Err(Failure::error(&"the terminal is gone")),
                    Some(key) => {
                        if self.on_key(key).await? {
                            return Ok(Exit::Done);
                        }
                        // What was typed quickly, or pasted where that is not told, is drawn once.
                        while let Ok(key) = keys.try_recv() {
                            if self.on_key(key).await? {
                                return Ok(Exit::Done);
                            }
                        }
                    }
                },
                Some(Ok(found)) = self.finding.join_next() => {
                    let added = found.and_then(|address| self.add(&address));
                    self.tell(added);
                    self.engine.settle().await?;
                }
                () = interrupt.asked() => return Ok(Exit::Done),
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Whether that was the end.
    async fn on_key(&mut self, key: Key) -> Result<bool, Failure> {
        let action = match key {
            Key::Key(key) if key.kind != KeyEventKind::Release => self.screen.on_key(&self.engine.book, key),
            Key::Paste(text) => self.screen.on_paste(&text),
            Key::FocusGained => {
                self.screen.focused = true;
                None
            }
            Key::FocusLost => {
                self.screen.focused = false;
                None
            }
            _ => None,
        };
        let Some(action) = action else { return Ok(false) };
        if action == Action::Quit {
            return Ok(true);
        }
        let done = self.act(action).await;
        self.tell(done);
        self.engine.settle().await?;
        Ok(false)
    }

    async fn act(&mut self, action: Action) -> Result<Option<String>, String> {
        let now = now();
        let book = &mut self.engine.book;
        let done = match action {
            Action::Quit => Ok(()),
            Action::Say { to, text, reply } => {
                let said = book.say(now, to, &text, reply, Vec::new());
                if said.is_err() {
                    self.screen.take_back(&text);
                }
                said.map(|_| ())
            }
            Action::Edit { to, of, text } => book.edit(now, to, of, &text),
            Action::Delete { to, of } => book.delete(now, to, of),
            Action::React { to, of: (author, id), emoji } => book.react(now, to, author, id, &emoji),
            Action::Resend { to, of } => book.resend(now, to, of),
            Action::Typing { to, on } => book.typing(now, to, on),
            Action::Attach { to, path, text } => {
                let file = match self.engine.attach(to, &path).await {
                    Ok(file) => file,
                    Err(error) => {
                        self.screen.take_back(&text);
                        return Err(error);
                    }
                };
                self.engine.book.say(now, to, &text, None, vec![file]).map(|_| ())
            }
            Action::Save { with, of, index, path } => {
                self.engine.save(with, of, index, &path, 0)?;
                return Ok(Some("it is saved as soon as all of it is here".into()));
            }
            Action::Add(text) if is_invitation(&text) => {
                let group = self.engine.join(&text).map_err(|error| error.to_string())?;
                self.screen.enter(&self.engine.book, group);
                return Ok(Some("you are in it as soon as an admin is there".into()));
            }
            Action::Add(text) => {
                self.finding.spawn(async move { find(&text).await });
                return Ok(Some("looking …".into()));
            }
            Action::Accept(who) => {
                book.accept(now, who).map_err(|error| error.to_string())?;
                self.screen.enter(&self.engine.book, who);
                Ok(())
            }
            Action::Refuse(who) => book.refuse(who),
            Action::Block(who) => book.block(who),
            Action::Remove(who) => book.remove(who),
            Action::Name(name) => book.set_profile(now, &name, None, None),
            Action::Given(who, name) => book.rename(who, &name),
            Action::Verify(who, on) => book.set_verified(who, on),
            Action::Mute(with, on) => book.set_muted(with, on),
            Action::Found(name) => {
                let group = self.engine.found(&name).map_err(|error| error.to_string())?;
                self.screen.enter(&self.engine.book, group);
                return Ok(Some(format!("{name}: Ctrl-G shows who is in it, and invites")));
            }
            Action::NameGroup(group, name) => {
                let picture = book.group(&group).and_then(|one| one.picture().cloned());
                book.name_group(now, group, &name, picture)
            }
            Action::Invite(group, who, history) => {
                let invited = self.engine.invite(group, who, Role::Writer, history).await;
                invited.map_err(|error| error.to_string())?;
                let name =
                    self.engine.book.contact(&who).map(|contact| contact.name(&who)).unwrap_or_default();
                return Ok(Some(format!("{name} was invited")));
            }
            Action::Take(with, of) => {
                let group = self.engine.take(with, of).map_err(|error| error.to_string())?;
                self.screen.enter(&self.engine.book, group);
                return Ok(Some("you are in it as soon as an admin is there".into()));
            }
            Action::Decline(with, of) => book.refuse_invitation(with, of),
            Action::Expel(group, who) => {
                self.engine.expel(group, who).await.map_err(|error| error.to_string())?;
                Ok(())
            }
            Action::Leave(group) => book.leave(now, group),
        };
        done.map(|()| None).map_err(|error| error.to_string())
    }

    fn add(&mut self, address: &Address) -> Result<Option<String>, String> {
        let who: IdentityId = address.identity;
        self.engine.book.add(now(), who, &address.name, "").map_err(|error| error.to_string())?;
        self.screen.enter(&self.engine.book, who);
        let name = self.engine.book.contact(&who).map(|contact| contact.name(&who)).unwrap_or_default();
        Ok(Some(self.engine.hint(address).unwrap_or_else(|| format!("{name} was asked"))))
    }

    fn tell(&mut self, done: Result<Option<String>, String>) {
        match done {
            Ok(Some(text)) => self.screen.notice = Some(text),
            Ok(None) => {}
            Err(text) => self.screen.notice = Some(format!("! {text}")),
        }
    }

    fn hear(&mut self) {
        while let Some(news) = self.engine.news() {
            match news {
                News::Said(Event::Came { with, quiet, .. }) => {
                    if !quiet && self.screen.seen() != Some(with) {
                        // ECMA-48 BEL: the terminal knows what a person wants to hear.
                        let _ = stdout().write_all(b"\x07").and_then(|()| stdout().flush());
                    }
                }
                News::Saved(_, Ok(path)) => self.screen.notice = Some(format!("saved: {}", path.display())),
                News::Saved(_, Err(text)) | News::Warning(text) => {
                    self.screen.notice = Some(format!("! {text}"));
                }
                News::Said(_) | News::Signaler => {}
            }
        }
    }

    /// The title of the window tells how much is unread.
    fn retitle(&mut self) {
        let book = &self.engine.book;
        let unread: usize = book.contacts().map(|(_, contact)| contact.unread()).sum();
        let unread = unread + book.groups().map(|(_, group)| group.unread()).sum::<usize>();
        let title = if unread > 0 { format!("({unread}) weft chat") } else { "weft chat".to_owned() };
        if title != self.title {
            let _ = execute!(stdout(), SetTitle(&title));
            self.title = title;
        }
    }
}

/// Keys, read by a thread that waits where nobody takes them.
fn keys() -> mpsc::Receiver<Key> {
    let (into, from) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        while let Ok(key) = read() {
            if into.blocking_send(key).is_err() {
                return;
            }
        }
    });
    from
}
