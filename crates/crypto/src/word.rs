//! Secrets as words that people pass on: a prefix, and base58btc of what is said with a check behind it, which tells what was
//! copied with an error.

use core::fmt;

use zeroize::Zeroizing;

/// Bytes of the check: the first of BLAKE3 of what is before.
pub(crate) const CHECK: usize = 4;

/// Why a text is no word of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It does not begin like one, or holds something that base58btc does not have.
    Other,
    /// It is cut short, or was copied with an error.
    Damaged,
}

/// Writes the word that says these bytes.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, prefix: &str, said: &[u8]) -> fmt::Result {
    let mut bytes = Zeroizing::new(Vec::with_capacity(said.len() + CHECK));
    bytes.extend_from_slice(said);
    bytes.extend(check(said));
    write!(f, "{prefix}{}", bs58::encode(&*bytes).into_string())
}

/// What a word says, of which so many bytes are expected at most.
pub(crate) fn read(text: &str, prefix: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let text = text.trim().strip_prefix(prefix).ok_or(Wrong::Other)?;
    if text.len() > 2 * (most + CHECK) {
        return Err(Wrong::Damaged);
    }
    let mut bytes = Zeroizing::new(bs58::decode(text).into_vec().map_err(|_| Wrong::Other)?);
    let (said, checked) = bytes.split_last_chunk::<CHECK>().ok_or(Wrong::Damaged)?;
    if check(said) != *checked {
        return Err(Wrong::Damaged);
    }
    let len = said.len();
    bytes.truncate(len);
    Ok(bytes)
}

pub(crate) fn check(bytes: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut check);
    check
}
