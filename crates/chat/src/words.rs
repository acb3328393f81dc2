//! Twelve words that two people read to each other to be sure of their keys.

use bip39::Language;
use sha2::{Digest as _, Sha256};
use weft_wire::IdentityId;

/// How many words there are. A key that gives the same ones to both sides of a conversation costs 2^66 tries.
pub const COUNT: usize = 12;
/// Bits that a word stands for: the list has 2048.
const BITS: usize = 11;

/// The words of two identities, the same in either order.
pub fn of(a: &IdentityId, b: &IdentityId) -> [&'static str; COUNT] {
    let (first, second) = if a.0 <= b.0 { (a, b) } else { (b, a) };
    let mut hash = Sha256::new();
    for part in [b"weft/v1/words\0".as_slice(), &first.0, &second.0] {
        hash.update(part);
    }
    let hash = hash.finalize();
    let list = Language::English.word_list();
    std::array::from_fn(|word| {
        let bits = word * BITS..(word + 1) * BITS;
        let index = bits.fold(0, |sum, bit| {
            let byte = hash.get(bit / 8).copied().unwrap_or_default();
            sum * 2 + usize::from(byte >> (7 - bit % 8) & 1)
        });
        list.get(index).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_depend_on_who_is_asked_and_change_with_each_bit_of_a_key() {
        let (a, b) = (IdentityId([1; 32]), IdentityId([2; 32]));
        assert_eq!(of(&a, &b), of(&b, &a));
        let mut other = b;
        other.0[31] ^= 1;
        assert_ne!(of(&a, &b), of(&a, &other));
        assert!(of(&a, &b).iter().all(|word| !word.is_empty()));
    }
}
