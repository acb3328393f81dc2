//! A book, a peer and a history: carries out what the book wants, and tells it what happens.
//!
//! What the book puts into rows is committed before anything that follows from it leaves.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use weft_chat::book::{BookError, Event as Said, FileState, NewFile, Output, Published, With, answer};
use weft_chat::{Address, AttachmentHash, Book, DocumentId, Room, Said as Saying, limits};
use weft_crypto::membership::InvitationError;
use weft_native_peer::keystore::{self, KeyStore};
use weft_native_peer::{
    Delivery, Document, Error, Event, Events, Grant, HomeIndex, IdentityId, Invitation, Message, MessageId,
    Messages, Party, Publication, Requests, Role, Sent, SignalerState, Until, Weft,
};
use weft_wire::PartyKey;

use super::super::ReachArgs;
use super::super::exit::Failure;
use super::super::session::REVOKED;
use super::groups::{Groups, Next};
use super::history::{History, Work};

/// How long an answer with a piece is waited for.
const ANSWER: Duration = Duration::from_secs(20);
/// What is told and not yet read.
const NEWS: usize = 4096;

/// Everything that a chat is made of, but for what people see of it.
pub(crate) struct Engine {
    pub(crate) weft: Weft,
    pub(crate) book: Book,
    /// URLs of signalers, and whether they are in reach.
    pub(crate) signalers: BTreeMap<HomeIndex, (String, bool)>,
    /// Those that were named on the command line.
    named: Vec<String>,
    history: History,
    events: Events,
    messages: Messages,
    requests: Requests,
    sending: JoinSet<(u64, Result<Sent, Error>)>,
    asking: JoinSet<(u64, Result<Document, Error>)>,
    rooms: BTreeMap<weft_native_peer::DiscoveryKey, (IdentityId, Room)>,
    groups: Groups,
    saves: Vec<Save>,
    news: VecDeque<News>,
}

/// A file that is to be written as soon as all of it is here.
struct Save {
    with: With,
    hash: AttachmentHash,
    path: PathBuf,
    tag: u64,
}

/// What people may want to know.
#[derive(Debug)]
pub(crate) enum News {
    /// Of the book.
    Said(Said),
    /// A signaler came into reach or went.
    Signaler,
    /// A file was written, or not: the number of the wish, and where it is or why not.
    Saved(u64, Result<PathBuf, String>),
    /// Something that people should know.
    Warning(String),
}

/// What happened next.
pub(crate) enum Happened {
    Message(Result<Message, u64>),
    Request(Message),
    Event(Event),
    Sent(u64, Result<Sent, Error>),
    Answered(u64, Result<Document, Error>),
    Group(Next),
    Time,
    /// The peer has ended.
    Closed,
}

impl Engine {
    /// Opens the history and starts the peer.
    ///
    /// # Errors
    /// Says what to do.
    pub(crate) async fn start(reach: &ReachArgs) -> Result<Self, Failure> {
        let directory = reach.keys.directory()?;
        let store = KeyStore::open(directory).map_err(|error| Failure::error(&error))?;
        let identity = store.identity().map_err(|error| Failure::error(&error))?;
        let place = Some(store.directory()).filter(|_| !reach.no_store);
        let (history, rows) = History::open(place, &identity)?;
        let (weft, events) = Weft::connect_with_events(reach.options()).await?;
        let messages = weft.messages().await?;
        let requests = weft.requests().await?;
        let mut seed = [0; 32];
        let mut rng = keystore::rng().map_err(|error| Failure::error(&error))?;
        rand_core::Rng::fill_bytes(&mut rng, &mut seed);
        let mut book = Book::new(weft.identity(), weft.id(), seed);
        book.load(rows);
        let name = store.name().map_err(|error| Failure::error(&error))?;
        let mut engine = Self {
            groups: Groups::new(&weft, store),
            weft,
            book,
            signalers: BTreeMap::new(),
            named: reach.signaler.clone(),
            history,
            events,
            messages,
            requests,
            sending: JoinSet::new(),
            asking: JoinSet::new(),
            rooms: BTreeMap::new(),
            saves: Vec::new(),
            news: VecDeque::new(),
        };
        if engine.book.profile().name.is_empty() && !name.is_empty() {
            // It has at most as many bytes as names of the chat.
            let _ = engine.book.set_profile(now(), &name, None, None);
        }
        engine.settle().await?;
        Ok(engine)
    }

    /// The next thing that happens. Cancel safe.
    pub(crate) async fn next(&mut self) -> Happened {
        let deadline = self.book.deadline(now());
        let time = async {
            match deadline {
                // Not at once again and again, should something be due that cannot be done.
                Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(now()).max(20))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = self.messages.next() => message.map_or(Happened::Closed, Happened::Message),
            event = self.events.next() => event.map_or(Happened::Closed, Happened::Event),
            request = self.requests.next() => request.map_or(Happened::Closed, Happened::Request),
            Some(Ok((token, sent))) = self.sending.join_next() => Happened::Sent(token, sent),
            Some(Ok((token, answer))) = self.asking.join_next() => Happened::Answered(token, answer),
            next = self.groups.next() => Happened::Group(next),
            () = time => Happened::Time,
        }
    }

    /// Takes in what happened, and does what follows from it.
    ///
    /// # Errors
    /// If the history cannot be written, or the peer has ended.
    pub(crate) async fn handle(&mut self, happened: Happened) -> Result<(), Failure> {
        match happened {
            Happened::Message(Ok(one)) => {
                self.book.on_document(now(), one.from, one.peer, &one.id, one.time, &one.document);
            }
            Happened::Message(Err(missed)) => {
                self.tell(News::Warning(format!("{missed} messages were lost: this machine is too slow")));
            }
            Happened::Request(one) => self.book.on_request(one.from, one.id, one.time, &one.document),
            Happened::Event(event) => self.on_event(event).await?,
            Happened::Sent(token, Ok(sent)) => {
                self.book.on_sent(now(), token, Ok((sent.id, sent.state == Until::Delivered)));
            }
            Happened::Sent(token, Err(error)) => self.book.on_sent(now(), token, Err(error.code())),
            Happened::Answered(token, Ok(document)) => self.book.on_answer(now(), token, Ok(&document)),
            Happened::Answered(token, Err(error)) => {
                let gone = matches!(&error, Error::Request(weft_native_peer::RequestError::Failed(text)) if text == "gone");
                self.book.on_answer(now(), token, Err(if gone { "gone" } else { error.code() }));
            }
            Happened::Group(Next::Heard(group, Delivery::Data { publication, backlog })) => {
                self.on_publication(group, &publication, backlog);
            }
            Happened::Group(Next::Heard(_, Delivery::Live)) => {}
            Happened::Group(Next::Heard(_, Delivery::Missed(missed))) => {
                let text =
                    format!("{missed} documents of a group were lost: they come again at the next start");
                self.tell(News::Warning(text));
            }
            Happened::Group(Next::Published(token, outcome)) => {
                self.book.on_published(now(), token, outcome.as_ref().copied().map_err(Error::code));
            }
            Happened::Time => self.book.on_time(now()),
            Happened::Closed if self.weft.is_revoked() => return Err(Error::Revoked.into()),
            Happened::Closed => return Err(Error::Closed.into()),
        }
        self.settle().await
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Signaler { home, url, told, state } => {
                let reached = matches!(state, SignalerState::Connected { .. });
                if told && !reached {
                    self.signalers.remove(&home);
                } else {
                    self.signalers.insert(home, (url, reached));
                }
                let online = self.signalers.values().any(|(_, reached)| *reached);
                self.book.on_online(now(), online);
                self.tell(News::Signaler);
            }
            Event::Sent { id, outcome, .. } => {
                let code = outcome.as_ref().err().map(weft_native_peer::SendError::code);
                self.book.on_outcome(&id, code.map_or(Ok(()), Err));
            }
            Event::Members { discovery, .. } => {
                if let Some(group) = self.groups.of(&discovery) {
                    let members = self.groups.members(group).await?;
                    self.book.on_members(now(), group, members);
                }
            }
            Event::NoMember { discovery, peer, reason } => {
                if let Some(group) = self.groups.of(&discovery) {
                    let peers = self.weft.peers(discovery).await?;
                    let by = peers.iter().find(|one| one.peer == peer).and_then(|one| one.identity);
                    self.book.on_excluded(group, by, reason.code());
                }
            }
            Event::Peer { discovery, .. } => {
                if let Some(group) = self.groups.of(&discovery) {
                    let present = self.groups.present(discovery).await?;
                    self.book.on_present(now(), group, present);
                }
                if let Some((who, _)) = self.rooms.get(&discovery).copied() {
                    let peers = self.weft.peers(discovery).await?;
                    let here = peers.iter().any(|peer| peer.identity == Some(who) && peer.linked);
                    self.book.on_presence(now(), who, here);
                }
            }
            Event::Revoked { .. } => self.tell(News::Warning(REVOKED.into())),
            Event::Warning { code, text } => self.tell(News::Warning(format!("{text} ({code})"))),
            _ => {}
        }
        Ok(())
    }

    /// Does everything that the book wants.
    ///
    /// # Errors
    /// If the history cannot be written, or the peer has ended.
    pub(crate) async fn settle(&mut self) -> Result<(), Failure> {
        loop {
            let (mut works, mut others) = (Vec::new(), Vec::new());
            while let Some(output) = self.book.poll() {
                match output {
                    Output::Put { key, value } => works.push(Work::Put(key, value)),
                    Output::Remove { key } => works.push(Work::Remove(key)),
                    Output::Keep { with, hash, at, data } => works.push(Work::Keep(with, hash, at, data)),
                    Output::Forget { with, hash } => works.push(Work::Forget(with, hash)),
                    other => others.push(other),
                }
            }
            if works.is_empty() && others.is_empty() {
                return self.save_what_is_here();
            }
            self.history.commit(works)?;
            for output in others {
                self.carry_out(output).await?;
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Result<(), Failure> {
        match output {
            Output::Send { token, to, document, now_or_never } => {
                let life = now_or_never.then_some(Duration::ZERO);
                self.send(token, to, document, life).await?;
            }
            Output::SendPiece { token, to, hash, at } => {
                let data = self.history.piece(to.into(), hash, at)?;
                match (Saying::Piece { of: hash, at, data }).encode() {
                    Ok(document) => self.send(token, to, document, None).await?,
                    // Not the right size for a document, which no piece is.
                    Err(_) => self.book.on_sent(now(), token, Err("too-large")),
                }
            }
            Output::Ask { token, to, document } => {
                let asking = self.weft.start_request(to, None, document, ANSWER).await?;
                self.asking.spawn(async move { (token, asking.await) });
            }
            Output::Give { request, with, hash, at } => {
                let data = self.history.piece(with, hash, at)?;
                let given = data.and_then(|data| answer(hash, at, data).ok()).ok_or("gone".to_owned());
                // It may have waited too long for it.
                let _ = self.weft.respond(request, given).await;
            }
            Output::Refuse { request } => {
                let _ = self.weft.respond(request, Err("gone".to_owned())).await;
            }
            Output::Check { with, hash, size } => {
                let right = self.has_hash(with, hash, size)?;
                self.book.on_checked(now(), with, hash, right);
            }
            Output::Rooms(rooms) => self.meet(rooms).await?,
            Output::Publish { token, group, document } => {
                if !self.groups.publish(token, group, document).await? {
                    self.book.on_published(now(), token, Err("not-in-party"));
                }
            }
            Output::Join { group, invitation } => {
                match self.groups.join(group, invitation.as_deref()).await {
                    Ok(()) => {
                        let members = self.groups.members(group).await?;
                        self.book.on_members(now(), group, members);
                    }
                    Err(why) => self.tell(News::Warning(format!("a group was not joined: {why}"))),
                }
            }
            Output::Leave { group, document } => self.groups.leave(group, document),
            Output::Event(event) => self.tell(News::Said(event)),
            Output::Put { .. } | Output::Remove { .. } | Output::Keep { .. } | Output::Forget { .. } => {}
        }
        Ok(())
    }

    async fn send(
        &mut self,
        token: u64,
        to: IdentityId,
        document: Document,
        life: Option<Duration>,
    ) -> Result<(), Failure> {
        let sending = self.weft.start_send_until(to, document, Until::Stored, life).await?;
        self.sending.spawn(async move { (token, sending.await) });
        Ok(())
    }

    async fn meet(&mut self, rooms: Vec<(IdentityId, Room)>) -> Result<(), Failure> {
        let left: Vec<_> = self.rooms.iter().filter(|(_, room)| !rooms.contains(room)).collect();
        for (discovery, who) in left.into_iter().map(|(key, (who, _))| (*key, *who)).collect::<Vec<_>>() {
            self.rooms.remove(&discovery);
            self.weft.leave(discovery).await?;
            self.book.on_presence(now(), who, false);
        }
        for (who, room) in rooms {
            if !self.rooms.values().any(|known| *known == (who, room)) {
                let discovery = self.weft.join(&Party::open(&room.party())).await?;
                self.rooms.insert(discovery, (who, room));
            }
        }
        Ok(())
    }

    fn on_publication(&mut self, group: PartyKey, one: &Publication, backlog: bool) {
        // Ids of documents are half as long as those of publications.
        let id = MessageId(one.id.0.first_chunk().copied().unwrap_or_default());
        let published = Published {
            author: one.author,
            peer: one.feed,
            id,
            time: one.time,
            backlog,
            document: &one.document,
        };
        self.book.on_document_in(now(), group, published);
    }

    // ---- groups ----

    /// Makes a group. Gives its key.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) fn found(&mut self, name: &str) -> Result<PartyKey, Refusal> {
        // Before anything is kept.
        self.book.may_found(name)?;
        let group = self.groups.found().map_err(Refusal::Failed)?;
        self.book.found(now(), group, name)?;
        Ok(group)
    }

    /// Invites a contact into a group.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) async fn invite(
        &mut self,
        group: PartyKey,
        who: IdentityId,
        role: Role,
        history: bool,
    ) -> Result<DocumentId, Refusal> {
        self.book.may_invite(group, who)?;
        let grant = Grant { role, history };
        let invitation = self.groups.invite(now(), group, who, grant).await.map_err(Refusal::Failed)?;
        Ok(self.book.invite(now(), group, who, &invitation)?)
    }

    /// Takes the invitation of a contact.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) fn take(&mut self, with: IdentityId, of: DocumentId) -> Result<PartyKey, Refusal> {
        let invitation = parse(self.book.invitation(with, of)?)?;
        self.book.take_invitation(now(), with, of, invitation.party())?;
        Ok(invitation.party())
    }

    /// Joins a group by an invitation that came another way.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) fn join(&mut self, invitation: &str) -> Result<PartyKey, Refusal> {
        let invitation = parse(invitation)?;
        self.book.join(now(), invitation.party(), &invitation.to_string(), "")?;
        Ok(invitation.party())
    }

    /// Removes a member of a group.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) async fn expel(&mut self, group: PartyKey, who: IdentityId) -> Result<(), Refusal> {
        self.book.may_remove(group, who)?;
        self.groups.remove(group, who).await.map_err(Refusal::Failed)?;
        let members = self.groups.members(group).await.map_err(|error| Refusal::Failed(error.to_string()))?;
        self.book.on_members(now(), group, members);
        Ok(())
    }

    /// Compares all pieces of a file, one behind the other, with its hash.
    fn has_hash(&self, with: With, hash: AttachmentHash, size: u64) -> Result<bool, Failure> {
        let (mut hashed, mut bytes) = (Sha256::new(), 0);
        for at in 0..pieces(size) {
            let Some(piece) = self.history.piece(with, hash, at)? else { return Ok(false) };
            bytes += piece.len() as u64;
            hashed.update(&piece);
        }
        Ok(bytes == size && <[u8; 32]>::from(hashed.finalize()) == hash.0)
    }

    fn tell(&mut self, news: News) {
        // Whoever reads nothing misses the oldest.
        if self.news.len() == NEWS {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }

    /// What people may want to know, until there is nothing.
    pub(crate) fn news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    // ---- files ----

    /// Reads a file and keeps it, to be sent in a conversation.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub(crate) async fn attach(&mut self, to: With, path: &Path) -> Result<NewFile, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| told(&"not a file"))?;
        let most = limits::ATTACHMENT;
        let read = {
            let path = path.to_owned();
            move || {
                use std::io::Read as _;
                let file = std::fs::File::open(&path)?;
                if !file.metadata()?.is_file() {
                    return Err(std::io::Error::other("not a file"));
                }
                let mut bytes = Vec::new();
                file.take(most + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        };
        let bytes = tokio::task::spawn_blocking(read).await;
        let bytes = bytes.map_err(|error| told(&error))?.map_err(|error| told(&error))?;
        if bytes.len() as u64 > most {
            return Err(told(&format!("larger than {} MiB", most >> 20)));
        }
        let hash = AttachmentHash(Sha256::digest(&bytes).into());
        let works = bytes
            .chunks(limits::PIECE)
            .enumerate()
            .map(|(at, piece)| Work::Keep(to, hash, u32::try_from(at).unwrap_or(u32::MAX), piece.to_vec()));
        self.history.commit(works.collect()).map_err(|error| told(&error.text().unwrap_or_default()))?;
        let size = bytes.len() as u64;
        let data = (bytes.len() <= limits::PIECE).then_some(bytes);
        Ok(NewFile { media_type: media_type(&name).to_owned(), name, size, hash, data })
    }

    /// Writes an attachment to a file, now or as soon as all of it is here; a number of the caller's names it in the news.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) fn save(
        &mut self,
        with: With,
        of: DocumentId,
        index: usize,
        path: &Path,
        tag: u64,
    ) -> Result<(), String> {
        let item = self.book.item_of(with, of).ok_or("there is no such text in the conversation")?;
        let one = item.attachments.get(index).ok_or("the text has no such attachment")?;
        let (hash, name) = (one.hash, one.name.clone());
        let path = if path.is_dir() { path.join(safe_name(&name)) } else { path.to_owned() };
        if path.exists() {
            return Err(format!("{} is there already, and stays as it is", path.display()));
        }
        self.book.fetch(now(), with, hash).map_err(|error| error.to_string())?;
        self.saves.push(Save { with, hash, path, tag });
        Ok(())
    }

    fn save_what_is_here(&mut self) -> Result<(), Failure> {
        for save in std::mem::take(&mut self.saves) {
            let state = self.book.file(save.with, save.hash).map(|file| (file.state, file.size));
            let outcome = match state {
                Some((FileState::Here, size)) => self.write(&save, size)?.map(|()| save.path.clone()),
                Some((FileState::Damaged, _)) => Err("what came is not what was sent".to_owned()),
                Some((FileState::Gone, _)) if save.with.group().is_some() => {
                    Err("who sent it has it no more, and nobody else who is there".to_owned())
                }
                Some((FileState::Gone, _)) => Err("who sent it has it no more".to_owned()),
                None => Err("it was taken back".to_owned()),
                Some((FileState::Partial | FileState::Checking, _)) => {
                    self.saves.push(save);
                    continue;
                }
            };
            self.tell(News::Saved(save.tag, outcome));
        }
        Ok(())
    }

    fn write(&self, save: &Save, size: u64) -> Result<Result<(), String>, Failure> {
        let mut bytes = Vec::new();
        for at in 0..pieces(size) {
            bytes.extend(self.history.piece(save.with, save.hash, at)?.unwrap_or_default());
        }
        Ok(keystore::write_new(&save.path, &bytes).map_err(|error| error.to_string()))
    }

    // ---- addresses ----

    /// A link with which others can add us.
    pub(crate) fn address(&self) -> Address {
        let reached = self.signalers.values().filter(|(_, reached)| *reached).map(|(url, _)| url);
        let mut signalers: Vec<String> = Vec::new();
        for url in self.named.iter().chain(reached) {
            if !signalers.contains(url) && signalers.len() < limits::SIGNALERS {
                signalers.push(url.clone());
            }
        }
        Address { identity: self.weft.identity(), name: self.book.profile().name.clone(), signalers }
    }

    /// What to do where somebody is at home at signalers that are not ours, and not told of by ours.
    pub(crate) fn hint(&self, address: &Address) -> Option<String> {
        let known =
            |url: &String| self.named.contains(url) || self.signalers.values().any(|(other, _)| other == url);
        if address.signalers.is_empty() || address.signalers.iter().any(known) {
            return None;
        }
        let first = weft_chat::shown::line(address.signalers.first()?);
        Some(format!("they are at {first}: if they cannot be reached, start with --signaler {first} as well"))
    }

    /// Sends what can be sent, says goodbye, and ends.
    pub(crate) async fn close(mut self) {
        self.groups.close().await;
        // The messages that are under way end with the peer, not before it.
        self.weft.close().await;
    }
}

/// Why something with a group was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error("{0}")]
    Invitation(#[from] InvitationError),
    /// The core refused, or the disk.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// A stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Book(error) => error.code(),
            Self::Invitation(_) => "bad-invitation",
            Self::Failed(_) => "failed",
        }
    }
}

/// Whether that is an invitation. Links to people begin alike.
pub(crate) fn is_invitation(text: &str) -> bool {
    parse(text).is_ok()
}

/// An invitation as it was given, or at the end of a link.
fn parse(text: &str) -> Result<Invitation, InvitationError> {
    let text = text.trim();
    text.rfind("weft:z").and_then(|at| text.get(at..)).unwrap_or(text).parse()
}

/// Who is meant by an identity, a link, or the `https:` address of somebody.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) async fn find(text: &str) -> Result<Address, String> {
    if text.starts_with("https://") && !text.contains("#weft:") {
        let url = match text.trim_start_matches("https://").trim_end_matches('/') {
            host if host.contains('/') => text.to_owned(),
            host => format!("https://{host}/.well-known/weft.json"),
        };
        let read = weft_native_peer::http::read(&url, limits::WELL_KNOWN, Duration::from_secs(10)).await;
        let bytes = read.map_err(|error| format!("{error:#}"))?;
        return Address::from_well_known(&bytes).map_err(|error| format!("{url}: {error}"));
    }
    text.parse().map_err(|error: weft_chat::AddressError| error.to_string())
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn pieces(size: u64) -> u32 {
    u32::try_from(size.div_ceil(limits::PIECE as u64)).unwrap_or(u32::MAX)
}

/// A name of somebody else's for a file here: no folder, nothing hidden, nothing that a shell or terminal obeys.
pub(crate) fn safe_name(name: &str) -> String {
    let kept = weft_chat::shown::line(name);
    let kept: String =
        kept.chars().map(|char| if matches!(char, '/' | '\\' | ':') { '_' } else { char }).collect();
    let kept = kept.trim_start_matches('.');
    if kept.is_empty() { "attachment".to_owned() } else { kept.to_owned() }
}

/// The media type of a file, by the end of its name.
fn media_type(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    match end.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_others_is_a_plain_file_here() {
        let cases = [
            ("a.txt", "a.txt"),
            ("..", "attachment"),
            (".bashrc", "bashrc"),
            ("../x", "_x"),
            ("a\x1b[2Jb\u{202e}c", "a[2Jbc"),
            ("C:\\x", "C__x"),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_name(name), safe, "{name}");
        }
    }

    #[test]
    fn an_invitation_is_told_from_a_link_to_somebody() {
        let invitation = Invitation::with_secret(PartyKey([9; 32]), [7; 16]);
        let who = IdentityId([7; 32]);
        assert!(is_invitation(&invitation.to_string()));
        assert!(is_invitation(&format!(" https://chat.example/#{invitation}\n")));
        for other in [who.to_string(), format!("weft:{who}"), format!("weft:{who}?name=weft:z1")] {
            assert!(!is_invitation(&other), "{other}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_told() {
        let error = find("nobody").await.unwrap_err();
        assert!(error.contains("z6Mk"), "{error}");
        let who = IdentityId([7; 32]);
        assert_eq!(find(&format!("weft:{who}?name=Ada")).await.unwrap().identity, who);
        assert!(find("https://[::1]:1/").await.unwrap_err().contains("[::1]:1"));
    }
}
