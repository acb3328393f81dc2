//! Seeds of identity and peers in files.
//!
//! ```text
//! DIR/                 mode 0700
//!   identity.seed      64 hexadecimal digits and a newline, mode 0600
//!   name               the display name, if one was chosen
//!   lock               held while something is written
//!   peers/0.seed       the peer of slot 0
//!   peers/0.lock       held for as long as a process is that peer
//!   peers/0.revoked    our identity has revoked that peer: it does not run any more
//!   peers/1.seed …
//!   parties/HASH.members  what is known of the members of a private party: its key, and a statement a line, mode 0600
//!   parties/HASH.seed     the seed of one that the identity has founded, mode 0600
//! ```
//! A process takes the first slot whose lock is free, so two processes are two peers of one identity, and one that is
//! started again is the peer it was. The system frees a lock when its process ends, however it ends.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_crypto::export::{Export, ExportedParty};
use weft_crypto::{IdentityKey, Members, Party, PartySecret, PeerKey, Seed};
use weft_peer_core::Keys;
use weft_wire::{DiscoveryKey, PartyKey, PeerId, limits};
use zeroize::Zeroizing;

/// Peers of one identity that may run at once with one directory.
pub const SLOTS: u32 = 64;

/// The directory of an identity and its peers.
#[derive(Clone, Debug)]
pub struct KeyStore {
    directory: PathBuf,
}

/// A peer of the store that is this process's alone until it is dropped.
#[derive(Debug)]
pub struct Slot {
    /// Identity and peer.
    pub keys: Keys,
    /// Which slot.
    pub number: u32,
    revoked: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl KeyStore {
    /// The default directory: `$XDG_DATA_HOME/weft`, or `~/.local/share/weft`.
    ///
    /// # Errors
    /// [`KeyStoreError::NoHome`] if neither variable is set.
    pub fn default_directory() -> Result<PathBuf, KeyStoreError> {
        directory_of(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))
    }

    /// Opens a directory, making it and an identity if there are none.
    ///
    /// # Errors
    /// [`KeyStoreError`]; what was there is unchanged.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        let store = Self { directory: directory.into() };
        make_directory(&store.directory.join("peers"))?;
        make_directory(&store.directory)?;
        store.seed(&store.identity_path())?;
        Ok(store)
    }

    /// There is an identity in a directory.
    pub fn has_identity(directory: &Path) -> bool {
        directory.join(IDENTITY).exists()
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the identity's seed is.
    pub fn identity_path(&self) -> PathBuf {
        self.directory.join(IDENTITY)
    }

    /// The identity.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn identity(&self) -> Result<IdentityKey, KeyStoreError> {
        Ok(IdentityKey::new(&self.seed(&self.identity_path())?))
    }

    /// The display name, empty if none was chosen.
    ///
    /// # Errors
    /// [`KeyStoreError::File`].
    pub fn name(&self) -> Result<String, KeyStoreError> {
        let path = self.directory.join("name");
        match read_bounded(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(KeyStoreError::file(&path, error)),
        }
    }

    /// Chooses the display name; peers that run already keep theirs.
    ///
    /// # Errors
    /// [`KeyStoreError::NameTooLong`] or [`KeyStoreError::File`]; the old name is then still there.
    pub fn set_name(&self, name: &str) -> Result<(), KeyStoreError> {
        let name = name.trim();
        if name.len() > limits::NAME {
            return Err(KeyStoreError::NameTooLong);
        }
        let _lock = self.lock()?;
        write_whole(&self.directory.join("name"), format!("{name}\n").as_bytes())
    }

    /// The peers of the slots that have been used so far.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn peers(&self) -> Result<Vec<PeerId>, KeyStoreError> {
        (0..SLOTS)
            .map(|number| self.slot_path(number, "seed"))
            .filter(|path| path.exists())
            .map(|path| Ok(PeerKey::new(&self.seed(&path)?).id()))
            .collect()
    }

    /// Takes the first free slot, making its peer if it has none.
    ///
    /// # Errors
    /// [`KeyStoreError::Revoked`] if its peer was revoked, [`KeyStoreError::NoSlot`] if all are taken, or another [`KeyStoreError`].
    pub fn take_slot(&self) -> Result<Slot, KeyStoreError> {
        for number in 0..SLOTS {
            let path = self.slot_path(number, "lock");
            let lock = open_lock(&path).map_err(|error| KeyStoreError::file(&path, error))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(KeyStoreError::file(&path, error)),
            }
            let peer = PeerKey::new(&self.seed(&self.slot_path(number, "seed"))?);
            let revoked = self.slot_path(number, REVOKED);
            if revoked.exists() {
                let path = self.directory.display().to_string();
                return Err(KeyStoreError::Revoked { peer: peer.id(), path });
            }
            return Ok(Slot {
                keys: Keys { identity: self.identity()?, peer },
                number,
                revoked,
                _lock: lock,
            });
        }
        Err(KeyStoreError::NoSlot)
    }

    // ---- export and import ----

    /// The identity and its private parties, to take elsewhere. Peers are not a part of it.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn export(&self) -> Result<Export, KeyStoreError> {
        let identity = self.seed(&self.identity_path())?;
        let mut parties: BTreeMap<PartyKey, ExportedParty> = BTreeMap::new();
        let directory = self.directory.join("parties");
        let failed = |error| KeyStoreError::file(&directory, error);
        let files = match fs::read_dir(&directory) {
            Ok(files) => files.collect::<io::Result<Vec<_>>>().map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        for path in files.iter().map(fs::DirEntry::path) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let (key, seed, statements) = match extension {
                Some("seed") => {
                    let Some(seed) = read_seed(&path)? else { continue };
                    (PartySecret::new(&seed).key(), Some(seed), Vec::new())
                }
                Some("members") => {
                    let text = read_up_to(&path, MEMBERS_BYTES);
                    let text = text.map_err(|error| KeyStoreError::file(&path, error))?;
                    let mut lines = text.lines();
                    let Some(key) = lines.next().and_then(|line| line.parse().ok()) else { continue };
                    (key, None, lines.filter_map(bytes_of).collect())
                }
                _ => continue,
            };
            let party =
                parties.entry(key).or_insert(ExportedParty { key, seed: None, statements: Vec::new() });
            party.seed = seed.or(party.seed.take());
            party.statements.extend(statements);
        }
        Ok(Export { identity, name: self.name()?, parties: parties.into_values().collect() })
    }

    /// Takes in what was exported. Parties that are known here are known better afterwards; the name that was chosen here
    /// stays, and peers that were revoked are others afterwards. The identity's seed is written last, so that what was not imported whole can be imported again.
    ///
    /// # Errors
    /// [`KeyStoreError::Another`] if there is another identity in the directory, which is left as it is; or another
    /// [`KeyStoreError`].
    pub fn import(directory: impl Into<PathBuf>, export: &Export) -> Result<Self, KeyStoreError> {
        let store = Self { directory: directory.into() };
        for part in ["peers", "parties", ""] {
            make_directory(&store.directory.join(part))?;
        }
        let lock = store.lock()?;
        let (path, expected) = (store.identity_path(), IdentityKey::new(&export.identity).id());
        let there = read_seed(&path)?.map(|seed| IdentityKey::new(&seed).id());
        if there.is_some_and(|there| there != expected) {
            return Err(KeyStoreError::Another { path: store.directory.display().to_string() });
        }
        for party in &export.parties {
            let discovery = Party::new(party.key).discovery();
            if let Some(seed) = &party.seed {
                write_seed(&store.party_path(&discovery, "seed"), seed)?;
            }
            let mut members = match &party.seed {
                Some(seed) => Members::found(&PartySecret::new(seed), expected, 0),
                None => Members::new(party.key),
            };
            let known = store.statements(party.key)?.unwrap_or_default();
            members.take(known.iter().chain(&party.statements).map(Vec::as_slice));
            store.write_members(party.key, members.statements().map(|(_, bytes)| bytes))?;
        }
        if store.name()?.is_empty() && !export.name.is_empty() && export.name.len() <= limits::NAME {
            write_whole(&store.directory.join("name"), format!("{}\n", export.name).as_bytes())?;
        }
        if there.is_none() {
            write_seed(&path, &export.identity)?;
        }
        store.replace_revoked()?;
        drop(lock);
        Ok(store)
    }

    /// Whoever takes an identity in again means this place to be one of its peers: not as those that were revoked.
    fn replace_revoked(&self) -> Result<(), KeyStoreError> {
        for number in 0..SLOTS {
            let mark = self.slot_path(number, REVOKED);
            // The mark last: a peer that was revoked never runs without it.
            for path in [self.slot_path(number, "seed"), mark.clone()] {
                if mark.exists() && path.exists() {
                    fs::remove_file(&path).map_err(|error| KeyStoreError::file(&path, error))?;
                }
            }
        }
        Ok(())
    }

    // ---- private parties ----

    /// Makes a private party, whose first admin is the identity.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn create_party(&self) -> Result<PartySecret, KeyStoreError> {
        let seed = new_seed()?;
        let secret = PartySecret::new(&seed);
        let discovery = Party::new(secret.key()).discovery();
        make_directory(&self.directory.join("parties"))?;
        let _lock = self.lock()?;
        write_seed(&self.party_path(&discovery, "seed"), &seed)?;
        Ok(secret)
    }

    /// Remembers a private party that the identity is a member of, with what its admins have said: what another process has
    /// heard meanwhile stays.
    ///
    /// # Errors
    /// [`KeyStoreError`]; what was known before is then still there.
    pub fn remember_party<S: AsRef<[u8]>>(
        &self,
        key: PartyKey,
        statements: impl IntoIterator<Item = S>,
    ) -> Result<(), KeyStoreError> {
        make_directory(&self.directory.join("parties"))?;
        let _lock = self.lock()?;
        let mut members = self.members(key)?;
        let statements: Vec<S> = statements.into_iter().collect();
        members.take(statements.iter().map(AsRef::as_ref));
        self.write_members(key, members.statements().map(|(_, bytes)| bytes))
    }

    fn write_members<S: AsRef<[u8]>>(
        &self,
        key: PartyKey,
        statements: impl IntoIterator<Item = S>,
    ) -> Result<(), KeyStoreError> {
        let mut text = format!("{key}\n");
        for statement in statements {
            text.push_str(&to_hex(statement.as_ref()));
            text.push('\n');
        }
        write_whole(&self.party_path(&Party::new(key).discovery(), "members"), text.as_bytes())
    }

    /// What is known of the members of a private party. Of a party that the identity has founded it is a member at least.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn members(&self, key: PartyKey) -> Result<Members, KeyStoreError> {
        let mut members = match self.founded(key)? {
            // The same statement each time.
            Some(secret) => Members::found(&secret, self.identity()?.id(), 0),
            None => Members::new(key),
        };
        // Each is checked; one that is damaged is as good as one that is not known.
        let statements = self.statements(key)?.unwrap_or_default();
        members.take(statements.iter().map(Vec::as_slice));
        Ok(members)
    }

    /// What is remembered of a private party's members, if it is.
    fn statements(&self, key: PartyKey) -> Result<Option<Vec<Vec<u8>>>, KeyStoreError> {
        let path = self.party_path(&Party::new(key).discovery(), "members");
        match read_up_to(&path, MEMBERS_BYTES) {
            Ok(text) => Ok(Some(text.lines().skip(1).filter_map(bytes_of).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeyStoreError::file(&path, error)),
        }
    }

    /// A private party that the identity has founded.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub fn founded(&self, key: PartyKey) -> Result<Option<PartySecret>, KeyStoreError> {
        let seed = read_seed(&self.party_path(&Party::new(key).discovery(), "seed"))?;
        Ok(seed.map(|seed| PartySecret::new(&seed)))
    }

    /// The identity has founded this private party, or is a member of it as far as is known.
    pub fn is_private(&self, key: PartyKey) -> bool {
        let discovery = Party::new(key).discovery();
        ["seed", "members"].iter().any(|extension| self.party_path(&discovery, extension).exists())
    }

    fn party_path(&self, discovery: &DiscoveryKey, extension: &str) -> PathBuf {
        self.directory.join("parties").join(format!("{discovery}.{extension}"))
    }

    fn slot_path(&self, number: u32, extension: &str) -> PathBuf {
        self.directory.join("peers").join(format!("{number}.{extension}"))
    }

    /// Reads a seed, or makes one.
    fn seed(&self, path: &Path) -> Result<Seed, KeyStoreError> {
        if let Some(seed) = read_seed(path)? {
            return Ok(seed);
        }
        let _lock = self.lock()?;
        // Another process may have made it while this one waited for the lock.
        if let Some(seed) = read_seed(path)? {
            return Ok(seed);
        }
        let seed = new_seed()?;
        write_seed(path, &seed)?;
        Ok(seed)
    }

    fn lock(&self) -> Result<File, KeyStoreError> {
        let path = self.directory.join("lock");
        open_lock(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| KeyStoreError::file(&path, error))
    }
}

/// New keys that are in no file.
///
/// # Errors
/// [`KeyStoreError::Randomness`].
pub fn ephemeral() -> Result<Keys, KeyStoreError> {
    Ok(Keys { identity: IdentityKey::new(&new_seed()?), peer: PeerKey::new(&new_seed()?) })
}

/// Randomness of the operating system, stretched.
///
/// # Errors
/// [`KeyStoreError::Randomness`].
pub fn rng() -> Result<ChaCha20Rng, KeyStoreError> {
    Ok(ChaCha20Rng::from_seed(*new_seed()?.expose()))
}

/// Makes a file that only its owner can read; whole, or not at all.
///
/// # Errors
/// [`KeyStoreError::File`], also if it exists.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
    let mut file = private_file(OpenOptions::new().write(true).create_new(true), path)
        .map_err(|error| KeyStoreError::file(path, error))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half of it is of no use.
        let _ = fs::remove_file(path);
        KeyStoreError::file(path, error)
    })
}

/// Why there are no keys. The files are unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// No directory to keep them in.
    #[error("neither XDG_DATA_HOME nor HOME is set; say where to keep the keys with --data DIR")]
    NoHome,
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else than a seed.
    #[error("{path}: not a seed (64 hexadecimal digits); it was left as it is")]
    NotASeed {
        /// Which.
        path: String,
    },
    /// Somebody else's keys are where keys were to be imported.
    #[error(
        "{path} has the keys of another identity, and was left as it is: choose another directory with --data"
    )]
    Another {
        /// Where.
        path: String,
    },
    /// The identity has revoked this place's peer, which does not run any more.
    #[error(
        "the peer of this place ({peer}) was revoked by its identity. To be another peer of it, take it in again (weft import FILE); or name another folder than {path} (--data FOLDER)"
    )]
    Revoked {
        /// Which.
        peer: PeerId,
        /// The directory.
        path: String,
    },
    /// All slots are taken.
    #[error("{SLOTS} peers of this identity are running already")]
    NoSlot,
    /// A name that is too long.
    #[error("a name has at most {max} bytes", max = limits::NAME)]
    NameTooLong,
    /// The system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

impl KeyStoreError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.display().to_string(), error }
    }
}

impl Slot {
    /// Its peer was revoked: nobody takes the slot any more.
    ///
    /// # Errors
    /// [`KeyStoreError::File`].
    pub fn mark_revoked(&self) -> Result<(), KeyStoreError> {
        write_whole(&self.revoked, format!("{}\n", self.keys.peer.id()).as_bytes())
    }
}

/// What marks a peer that was revoked.
const REVOKED: &str = "revoked";
/// The file with the identity's seed.
const IDENTITY: &str = "identity.seed";
/// Bytes of the largest file that is read: a seed has 65.
const FILE_BYTES: u64 = 4096;
/// Of the largest list of statements about members: 5,120 of 2,560 bytes.
const MEMBERS_BYTES: u64 = 32 * 1024 * 1024;

fn directory_of(
    data_home: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Result<PathBuf, KeyStoreError> {
    // The XDG base directory specification has relative paths ignored.
    let data_home = data_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    data_home
        .or_else(|| home.map(|home| home.join(".local/share")))
        .map(|data| data.join("weft"))
        .ok_or(KeyStoreError::NoHome)
}

fn new_seed() -> Result<Seed, KeyStoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(KeyStoreError::Randomness)?;
    Ok(Seed::new(bytes))
}

fn read_seed(path: &Path) -> Result<Option<Seed>, KeyStoreError> {
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyStoreError::file(path, error)),
    };
    match from_hex(text.trim()) {
        Some(bytes) => Ok(Some(Seed::new(bytes))),
        None => Err(KeyStoreError::NotASeed { path: path.display().to_string() }),
    }
}

fn write_seed(path: &Path, seed: &Seed) -> Result<(), KeyStoreError> {
    write_whole(path, Zeroizing::new(format!("{}\n", to_hex(seed.expose()))).as_bytes())
}

fn read_bounded(path: &Path) -> io::Result<String> {
    read_up_to(path, FILE_BYTES)
}

fn read_up_to(path: &Path, bytes: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes all of a file or nothing, also when the power fails: a new file beside it, synced, takes its place.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
    let beside = path.with_extension("new");
    let written = private_file(OpenOptions::new().write(true).create(true).truncate(true), &beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
    written.map_err(|error| KeyStoreError::file(path, error))
}

fn open_lock(path: &Path) -> io::Result<File> {
    private_file(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
}

#[cfg(unix)]
fn private_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

fn make_directory(path: &Path) -> Result<(), KeyStoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| KeyStoreError::file(path, error))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    bytes_of(text)?.try_into().ok()
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = KeyStore::open(directory.path()).unwrap().identity().unwrap().id();
        let second = KeyStore::open(directory.path()).unwrap().identity().unwrap().id();
        assert_eq!(first, second);
    }

    #[test]
    fn two_takers_are_two_peers_of_one_identity_and_a_freed_slot_is_the_peer_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let first = store.take_slot().unwrap();
        let second = store.take_slot().unwrap();
        assert_eq!((first.number, second.number), (0, 1));
        assert_eq!(first.keys.identity.id(), second.keys.identity.id());
        assert_ne!(first.keys.peer.id(), second.keys.peer.id());
        let was = first.keys.peer.id();
        drop(first);
        let again = store.take_slot().unwrap();
        assert_eq!((again.number, again.keys.peer.id()), (0, was));
        assert_eq!(store.peers().unwrap(), [was, second.keys.peer.id()]);
    }

    #[test]
    fn a_revoked_peer_does_not_run_again_until_the_identity_is_taken_in_again_as_another_peer() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let (first, other) = (store.take_slot().unwrap(), store.take_slot().unwrap());
        let (was, others, identity) = (first.keys.peer.id(), other.keys.peer.id(), first.keys.identity.id());
        first.mark_revoked().unwrap();
        drop((first, other));
        for _ in 0..2 {
            let refused = store.take_slot().map(|slot| slot.number);
            assert!(
                matches!(&refused, Err(KeyStoreError::Revoked { peer, .. }) if *peer == was),
                "{refused:?}"
            );
        }
        assert_eq!(store.peers().unwrap(), [was, others], "nothing is deleted");
        let export = store.export().unwrap();
        let store = KeyStore::import(directory.path(), &export).unwrap();
        let (first, other) = (store.take_slot().unwrap(), store.take_slot().unwrap());
        assert_eq!((first.number, first.keys.identity.id()), (0, identity));
        assert_ne!(first.keys.peer.id(), was);
        assert_eq!(other.keys.peer.id(), others, "who was not revoked stays who it was");
    }

    #[cfg(unix)]
    #[test]
    fn seeds_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("new");
        let store = KeyStore::open(&directory).unwrap();
        let _slot = store.take_slot().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&store.identity_path()), 0o600);
        assert_eq!(mode(&store.slot_path(0, "seed")), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn p4_private_parties_are_remembered_and_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let (founded, joined) = (store.create_party().unwrap().key(), PartyKey([1; 32]));
        let statements: Vec<Vec<u8>> = {
            let mut members = store.members(founded).unwrap();
            let guest = weft_wire::IdentityId([3; 32]);
            let admin = store.identity().unwrap();
            members.admit(&admin, 5, guest, weft_wire::membership::Role::Reader).unwrap();
            members.statements().map(|(_, bytes)| bytes.to_vec()).collect()
        };
        store.remember_party(founded, &statements).unwrap();
        store.remember_party(joined, [[0; 3]]).unwrap();
        let again = KeyStore::open(directory.path()).unwrap();
        assert_eq!(again.founded(founded).unwrap().map(|secret| secret.key()), Some(founded));
        assert!(again.founded(joined).unwrap().is_none());
        assert_eq!(again.members(founded).unwrap().roles().count(), 2);
        assert_eq!(again.members(joined).unwrap().roles().count(), 0);
        assert!(
            again.is_private(founded) && again.is_private(joined) && !again.is_private(PartyKey([2; 32]))
        );
        let files = fs::read_dir(directory.path().join("parties")).unwrap();
        let modes = files.map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777);
        assert_eq!(modes.collect::<Vec<_>>(), [0o600; 3]);
    }

    #[test]
    fn p4_what_is_exported_is_imported_elsewhere_and_other_keys_are_left_alone() {
        let [here, there, other] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let store = KeyStore::open(here.path()).unwrap();
        store.set_name("Ada").unwrap();
        let (founded, joined) = (store.create_party().unwrap().key(), PartyKey([1; 32]));
        let guest = weft_wire::IdentityId([3; 32]);
        let admitted = {
            let mut members = store.members(founded).unwrap();
            let role = weft_wire::membership::Role::Reader;
            members.admit(&store.identity().unwrap(), 5, guest, role).unwrap();
            members.statements().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>()
        };
        store.remember_party(founded, &admitted).unwrap();
        store.remember_party(joined, [[0; 3]; 0]).unwrap();
        let export = store.export().unwrap();

        let imported = KeyStore::import(there.path(), &export).unwrap();
        let id = |store: &KeyStore| store.identity().unwrap().id();
        assert_eq!((id(&imported), imported.name().unwrap()), (id(&store), "Ada".into()));
        assert_eq!(imported.founded(founded).unwrap().map(|secret| secret.key()), Some(founded));
        let roles = |store: &KeyStore| store.members(founded).unwrap().roles().count();
        assert_eq!((roles(&imported), roles(&store)), (2, 2));
        assert!(imported.is_private(joined));
        assert!(imported.peers().unwrap().is_empty(), "it has peers of its own");

        // Who knows less takes nothing away.
        store.remember_party(founded, [[0; 3]; 0]).unwrap();
        assert_eq!(roles(&store), 2);

        // Once more changes nothing, and takes nothing away that is known since.
        imported.set_name("Ada at home").unwrap();
        let later = {
            let mut members = imported.members(founded).unwrap();
            let role = weft_wire::membership::Role::Writer;
            let another = weft_wire::IdentityId([4; 32]);
            members.admit(&imported.identity().unwrap(), 6, another, role).unwrap();
            members.statements().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>()
        };
        imported.remember_party(founded, &later).unwrap();
        let again = KeyStore::import(there.path(), &export).unwrap();
        assert_eq!((roles(&again), again.name().unwrap()), (3, "Ada at home".into()));

        let stranger = id(&KeyStore::open(other.path()).unwrap());
        assert!(matches!(KeyStore::import(other.path(), &export), Err(KeyStoreError::Another { .. })));
        let left = KeyStore::open(other.path()).unwrap();
        assert_eq!((id(&left), left.is_private(founded)), (stranger, false));
    }

    #[test]
    fn a_file_that_is_no_seed_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity.seed");
        for text in ["", "12", &"g".repeat(64), &"a".repeat(65)] {
            fs::write(&path, text).unwrap();
            assert!(
                matches!(KeyStore::open(directory.path()), Err(KeyStoreError::NotASeed { .. })),
                "{text}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), *text);
        }
    }

    #[test]
    fn a_name_is_kept_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        assert_eq!(store.name().unwrap(), "");
        store.set_name(" Ada ").unwrap();
        assert!(matches!(store.set_name(&"x".repeat(limits::NAME + 1)), Err(KeyStoreError::NameTooLong)));
        assert_eq!(store.name().unwrap(), "Ada");
    }

    #[test]
    fn the_default_directory_follows_the_base_directory_specification() {
        let os = |text: &str| Some(std::ffi::OsString::from(text));
        assert_eq!(directory_of(os("/data"), os("/home/ada")).unwrap(), Path::new("/data/weft"));
        assert_eq!(
            directory_of(os("data"), os("/home/ada")).unwrap(),
            Path::new("/home/ada/.local/share/weft")
        );
        assert!(matches!(directory_of(None, None), Err(KeyStoreError::NoHome)));
    }

    #[test]
    fn hexadecimal_digits_are_read_back() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
    }
}
