//! Seeds of identity and peers in files.
//!
//! ```text
//! DIR/                 mode 0700
//!   identity.seed      64 hexadecimal digits and a newline, mode 0600
//!   name               the display name, if one was chosen
//!   lock               held while something is written
//!   peers/0.seed       the peer of slot 0
//!   peers/0.lock       held for as long as a process is that peer
//!   peers/1.seed …
//! ```
//! A process takes the first slot whose lock is free, so two processes are two peers of one identity, and one that is
//! started again is the peer it was. The system frees a lock when its process ends, however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use weft_crypto::{IdentityKey, PeerKey, Seed};
use weft_peer_core::Keys;
use weft_wire::{PeerId, limits};

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
    /// [`KeyStoreError::NoSlot`] if all are taken, or another [`KeyStoreError`].
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
            return Ok(Slot { keys: Keys { identity: self.identity()?, peer }, number, _lock: lock });
        }
        Err(KeyStoreError::NoSlot)
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
        write_whole(path, format!("{}\n", to_hex(seed.expose())).as_bytes())?;
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

/// Bytes of the largest file that is read: a seed has 65.
/// The file with the identity's seed.
const IDENTITY: &str = "identity.seed";
const FILE_BYTES: u64 = 4096;

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

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES).read_to_string(&mut text)?;
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
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect();
    bytes?.try_into().ok()
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
