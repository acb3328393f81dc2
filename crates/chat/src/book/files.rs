//! What is here of attachments, which pieces are asked for, and of whom.
//!
//! Between two people only the other one can be asked. In a group it is whoever wrote a text with that attachment, while one of
//! those is there and answers: they have it, and nobody else can spoil it. Otherwise the questions are spread over the other
//! members that are there, of whom each may have all of it or nothing.
//!
//! Invariants: at most [`limits::ASKED`] questions are open, each piece is asked for once at a time, and only of somebody who
//! is there. Whoever does not answer, or not with that piece, is not asked again before its time. A file is whole when its hash
//! was compared.

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::IdentityId;

use super::with::With;
use crate::hex::AttachmentHash;
use crate::limits;
use crate::said::pieces;

/// Whoever gives no answer is asked again after this long at first, ms; each time after twice as long.
const AGAIN: u64 = 2000;
/// A member of a group that has not got a file may have it later: it is asked again after this long at first, ms.
const LATER: u64 = 30_000;
/// So often these times are doubled.
const DOUBLINGS: u32 = 5;

/// What is here of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Bytes that it is to have.
    pub size: u64,
    /// How it is.
    pub state: FileState,
    /// A bit for each piece that is kept.
    pub(crate) have: Vec<u8>,
    /// Somebody wants it whole.
    pub(crate) wanted: bool,
    pub(crate) asked: BTreeSet<u32>,
    /// Who wrote a text with it, in a group.
    pub(crate) authors: BTreeSet<IdentityId>,
    /// What came from members of a group was something else, and nobody knows from whom: only its authors are asked.
    pub(crate) suspect: bool,
    /// It was wanted without that anybody said so, in a group.
    pub(crate) by_itself: bool,
    /// Members of a group that have not got it, or gave something else.
    aside: BTreeMap<IdentityId, Aside>,
}

/// Why and until when somebody is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aside {
    until: u64,
    tries: u32,
    gone: bool,
}

/// How an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Not all of it is here.
    Partial,
    /// All is here and being compared.
    Checking,
    /// All of it is here, and is what it is to be.
    Here,
    /// What came was something else.
    Damaged,
    /// Who sent it has it no more.
    Gone,
}

impl FileState {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Checking => "checking",
            Self::Here => "here",
            Self::Damaged => "damaged",
            Self::Gone => "gone",
        }
    }
}

impl File {
    pub(crate) fn new(size: u64) -> Self {
        let bytes = pieces(size).div_ceil(8) as usize;
        Self {
            size,
            state: FileState::Partial,
            have: vec![0; bytes],
            wanted: false,
            asked: BTreeSet::new(),
            authors: BTreeSet::new(),
            suspect: false,
            by_itself: false,
            aside: BTreeMap::new(),
        }
    }

    /// One that was whole from the first.
    pub(crate) fn whole(size: u64) -> Self {
        let mut file = Self::new(size);
        (0..pieces(size)).for_each(|at| _ = file.take(at));
        file.state = FileState::Here;
        file
    }

    pub(crate) fn has(&self, at: u32) -> bool {
        self.have.get(at as usize / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    }

    /// Whether that piece was missing.
    pub(crate) fn take(&mut self, at: u32) -> bool {
        if at >= pieces(self.size) || self.has(at) {
            return false;
        }
        if let Some(byte) = self.have.get_mut(at as usize / 8) {
            *byte |= 1 << (at % 8);
        }
        true
    }

    /// How many pieces are here.
    pub fn got(&self) -> u32 {
        self.have.iter().map(|byte| byte.count_ones()).sum()
    }

    /// How many there are.
    pub fn pieces(&self) -> u32 {
        pieces(self.size)
    }

    /// How many bytes that piece has to have.
    pub(crate) fn piece_len(&self, at: u32) -> usize {
        let from = u64::from(at) * limits::PIECE as u64;
        usize::try_from(self.size.saturating_sub(from)).unwrap_or(usize::MAX).min(limits::PIECE)
    }

    pub(crate) fn restart(&mut self) {
        self.have.fill(0);
        self.asked.clear();
    }

    /// A member has not got it, or gave something else.
    pub(crate) fn refused(&mut self, now: u64, by: IdentityId, gone: bool) {
        let one = self.aside.entry(by).or_insert(Aside { until: 0, tries: 0, gone });
        one.gone = gone;
        // Of questions that were asked at once only the first counts.
        if one.until <= now {
            one.until = now.saturating_add(LATER << one.tries.min(DOUBLINGS));
            one.tries = one.tries.saturating_add(1);
        }
    }

    /// Somebody came, and may have it now.
    pub(crate) fn came(&mut self, who: &IdentityId) {
        self.aside.remove(who);
    }

    /// Everybody may be asked.
    pub(crate) fn anew(&mut self) {
        self.aside.clear();
    }

    /// Those who wrote a text with it have it no more, and nobody else who is there has it.
    pub(crate) fn is_lost(&self, present: &[IdentityId]) -> bool {
        let gone = |who: &IdentityId| self.aside.get(who).is_some_and(|one| one.gone);
        let authors = !self.authors.is_empty() && self.authors.iter().all(gone);
        authors && (self.suspect || present.iter().all(|who| self.aside.contains_key(who)))
    }

    /// From when on somebody may be asked. Never, if it is theirs and they have it no more.
    fn free_at(&self, who: &IdentityId) -> Option<u64> {
        if self.suspect && !self.authors.contains(who) {
            return None;
        }
        match self.aside.get(who) {
            Some(one) if one.gone && self.authors.contains(who) => None,
            Some(one) => Some(one.until),
            None => Some(0),
        }
    }

    fn next(&self) -> Option<u32> {
        if !self.wanted || self.state != FileState::Partial {
            return None;
        }
        (0..self.pieces()).find(|at| !self.has(*at) && !self.asked.contains(at))
    }
}

pub(crate) type FileKey = (With, AttachmentHash);

/// A piece that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) key: FileKey,
    pub(crate) at: u32,
    pub(crate) to: IdentityId,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) all: BTreeMap<FileKey, File>,
    /// Bytes of files in groups that were wanted by themselves.
    pub(crate) by_itself: u64,
    open: BTreeMap<u64, Question>,
    /// Who gave no answer: until when they are not asked, and how often that was.
    silent: BTreeMap<IdentityId, (u64, u32)>,
    last: u64,
}

impl Files {
    /// The next piece to ask for, of one of those who are there and may have it.
    pub(crate) fn ask(
        &mut self,
        now: u64,
        present: impl Fn(&With) -> Vec<IdentityId>,
    ) -> Option<(u64, Question)> {
        if self.open.len() >= limits::ASKED {
            return None;
        }
        let question = self.all.iter().find_map(|(key, file)| {
            let at = file.next()?;
            let to = self.whom(now, file, present(&key.0))?;
            Some(Question { key: *key, at, to })
        })?;
        self.all.get_mut(&question.key)?.asked.insert(question.at);
        self.last += 1;
        self.open.insert(self.last, question);
        Some((self.last, question))
    }

    /// Authors before others, then those who are asked least.
    fn whom(&self, now: u64, file: &File, present: Vec<IdentityId>) -> Option<IdentityId> {
        let free = |who: &IdentityId| self.free_at(file, who).is_some_and(|at| at <= now);
        let open = |who: &IdentityId| self.open.values().filter(|one| one.to == *who).count();
        let may = present.into_iter().filter(free);
        may.min_by_key(|who| (!file.authors.contains(who), open(who), *who))
    }

    fn free_at(&self, file: &File, who: &IdentityId) -> Option<u64> {
        let silent = self.silent.get(who).map_or(0, |(until, _)| *until);
        Some(file.free_at(who)?.max(silent))
    }

    /// A question has an answer, or none.
    pub(crate) fn close(&mut self, token: u64) -> Option<Question> {
        let question = self.open.remove(&token)?;
        if let Some(file) = self.all.get_mut(&question.key) {
            file.asked.remove(&question.at);
        }
        Some(question)
    }

    /// Somebody gave no answer, or none that is one.
    pub(crate) fn is_silent(&mut self, now: u64, who: IdentityId) {
        let (until, tries) = self.silent.entry(who).or_default();
        // Of questions that were asked at once only the first counts.
        if *until <= now {
            *until = now.saturating_add(AGAIN << (*tries).min(DOUBLINGS));
            *tries = tries.saturating_add(1);
        }
    }

    /// Somebody answers, or came.
    pub(crate) fn is_heard(&mut self, who: &IdentityId) {
        self.silent.remove(who);
    }

    /// Everybody may be asked for that file.
    pub(crate) fn anew(&mut self, key: &FileKey) {
        self.silent.clear();
        if let Some(file) = self.all.get_mut(key) {
            file.anew();
        }
    }

    /// Files of a conversation.
    pub(crate) fn of(&mut self, with: With) -> impl Iterator<Item = (AttachmentHash, &mut File)> {
        let all = (with, AttachmentHash([0; 32]))..=(with, AttachmentHash([255; 32]));
        self.all.range_mut(all).map(|((_, hash), file)| (*hash, file))
    }

    pub(crate) fn deadline(&self, now: u64, present: impl Fn(&With) -> Vec<IdentityId>) -> Option<u64> {
        let waits = self.all.iter().filter(|(_, file)| file.next().is_some());
        let times = waits.flat_map(|(key, file)| {
            present(&key.0).into_iter().filter_map(|who| self.free_at(file, &who)).filter(|at| *at > now)
        });
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: AttachmentHash = AttachmentHash([2; 32]);
    const GROUP: With = With::Group(weft_wire::PartyKey([7; 32]));

    fn wanted(pieces: u64) -> File {
        let mut file = File::new(pieces * limits::PIECE as u64);
        file.wanted = true;
        file
    }

    fn asks(files: &mut Files, now: u64, present: &[u8]) -> Vec<(u64, u8)> {
        let present: Vec<_> = present.iter().map(|n| IdentityId([*n; 32])).collect();
        let asked = std::iter::from_fn(|| files.ask(now, |_| present.clone()));
        asked.map(|(token, one)| (token, one.to.0[0])).collect()
    }

    #[test]
    fn a_file_is_whole_after_its_last_piece_and_takes_each_once() {
        let mut file = File::new(2 * limits::PIECE as u64 + 1);
        assert_eq!((file.pieces(), file.piece_len(1), file.piece_len(2)), (3, limits::PIECE, 1));
        assert!(file.take(2) && !file.take(2) && file.take(0) && !file.take(3));
        assert_eq!(file.got(), 2);
        assert_eq!(File::new(0).pieces(), 0);
    }

    #[test]
    fn at_most_four_pieces_are_asked_for_at_once_and_only_of_who_is_there() {
        let who = IdentityId([1; 32]);
        let key = (With::Person(who), HASH);
        let mut files = Files::default();
        files.all.insert(key, wanted(8));
        assert_eq!(files.ask(0, |_| Vec::new()), None);
        let asked = std::iter::from_fn(|| files.ask(0, |_| vec![who]));
        assert_eq!(asked.map(|(_, one)| one.at).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(files.close(2), Some(Question { key, at: 1, to: who }));
        assert_eq!(files.ask(0, |_| vec![who]).map(|(_, one)| one.at), Some(1));
    }

    #[test]
    fn authors_are_asked_before_others_and_others_each_as_much() {
        let mut file = wanted(8);
        file.authors.insert(IdentityId([3; 32]));
        let mut files = Files::default();
        files.all.insert((GROUP, HASH), file);
        let asked = asks(&mut files, 0, &[1, 2, 3]);
        assert_eq!(asked.iter().map(|(_, who)| *who).collect::<Vec<_>>(), [3, 3, 3, 3]);
        for (token, _) in asked {
            files.close(token);
        }
        assert_eq!(
            asks(&mut files, 0, &[1, 2]).into_iter().map(|(_, who)| who).collect::<Vec<_>>(),
            [1, 2, 1, 2]
        );
    }

    #[test]
    fn who_says_nothing_is_asked_again_ever_later_and_who_has_nothing_too() {
        let who = IdentityId([1; 32]);
        let mut files = Files::default();
        files.all.insert((GROUP, HASH), wanted(1));
        let mut now = 0;
        for wait in [2000, 4000, 8000] {
            let token = asks(&mut files, now, &[1])[0].0;
            files.close(token);
            files.is_silent(now, who);
            assert_eq!(files.deadline(now, |_| vec![who]), Some(now + wait));
            assert_eq!(asks(&mut files, now + wait - 1, &[1]), []);
            now += wait;
        }
        files.is_heard(&who);
        for wait in [LATER, 2 * LATER] {
            let token = asks(&mut files, now, &[1])[0].0;
            files.close(token);
            files.all.get_mut(&(GROUP, HASH)).unwrap().refused(now, who, true);
            assert_eq!(asks(&mut files, now + wait - 1, &[1]), []);
            now += wait;
        }
        assert_eq!(asks(&mut files, now, &[1]).len(), 1);
    }
}
