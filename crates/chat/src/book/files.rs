//! What is here of attachments, and which pieces are asked for.
//!
//! Invariants: at most [`limits::ASKED`] questions are open, each piece is asked for once at a time, and only of somebody who
//! is there. A file is whole when its hash was compared.

use std::collections::{BTreeMap, BTreeSet};

use super::with::With;
use crate::hex::AttachmentHash;
use crate::limits;
use crate::said::pieces;

/// A question that had no answer is asked again after this long, ms.
const AGAIN: u64 = 2000;

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
    pub(crate) again_at: u64,
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
            again_at: 0,
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

    fn next(&self, now: u64) -> Option<u32> {
        if !self.wanted || self.state != FileState::Partial || self.again_at > now {
            return None;
        }
        (0..self.pieces()).find(|at| !self.has(*at) && !self.asked.contains(at))
    }
}

pub(crate) type FileKey = (With, AttachmentHash);

#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) all: BTreeMap<FileKey, File>,
    open: BTreeMap<u64, (FileKey, u32)>,
    last: u64,
}

impl Files {
    /// The next piece to ask for, of somebody who is there.
    pub(crate) fn ask(&mut self, now: u64, present: impl Fn(&With) -> bool) -> Option<(u64, FileKey, u32)> {
        if self.open.len() >= limits::ASKED {
            return None;
        }
        let (key, file, at) =
            self.all.iter_mut().filter(|(key, _)| present(&key.0)).find_map(|(key, file)| {
                let at = file.next(now)?;
                Some((*key, file, at))
            })?;
        file.asked.insert(at);
        self.last += 1;
        self.open.insert(self.last, (key, at));
        Some((self.last, key, at))
    }

    /// A question has an answer, or none.
    pub(crate) fn close(&mut self, token: u64) -> Option<(FileKey, u32)> {
        let (key, at) = self.open.remove(&token)?;
        if let Some(file) = self.all.get_mut(&key) {
            file.asked.remove(&at);
        }
        Some((key, at))
    }

    pub(crate) fn later(&mut self, now: u64, key: &FileKey) {
        if let Some(file) = self.all.get_mut(key) {
            file.again_at = now + AGAIN;
        }
    }

    pub(crate) fn deadline(&self, now: u64, present: impl Fn(&With) -> bool) -> Option<u64> {
        let waits = |file: &&File| file.wanted && file.state == FileState::Partial && file.again_at > now;
        let files = self.all.iter().filter(|(key, _)| present(&key.0)).map(|(_, file)| file);
        files.filter(waits).map(|file| file.again_at).min()
    }
}

#[cfg(test)]
mod tests {
    use weft_wire::IdentityId;

    use super::*;

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
        let key = (With::Person(IdentityId([1; 32])), AttachmentHash([2; 32]));
        let mut file = File::new(8 * limits::PIECE as u64);
        file.wanted = true;
        let mut files = Files::default();
        files.all.insert(key, file);
        assert_eq!(files.ask(0, |_| false), None);
        let asked: Vec<u32> = std::iter::from_fn(|| files.ask(0, |_| true)).map(|(_, _, at)| at).collect();
        assert_eq!(asked, [0, 1, 2, 3]);
        assert_eq!(files.close(2), Some((key, 1)));
        assert_eq!(files.ask(0, |_| true).map(|(_, _, at)| at), Some(1));
    }
}
