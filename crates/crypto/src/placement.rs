//! Which signalers keep something: rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
//! rates", IEEE/ACM Transactions on Networking 6(1), 1998), also called highest random weight.
//!
//! Each active signaler gets a score for a key; the [`REPLICAS`] highest keep it. Nobody is asked and nothing is stored:
//! whoever knows the same signalers comes to the same ones. When one comes, it takes its share from all others evenly, and
//! nothing moves between those; when one goes, only what it kept moves. The same function places discovery keys and peers.

use core::cmp::Reverse;

use weft_wire::{DiscoveryKey, PeerId, SignalerId};

/// Signalers that keep one thing: one may be lost while another is being replaced, and the third still has it.
pub const REPLICAS: usize = 3;

/// Those of `among` that keep `key`, the first first: at most [`REPLICAS`], all if there are no more. In whatever order they
/// are named, and however often.
pub fn placed<'a>(key: &[u8; 32], among: impl IntoIterator<Item = &'a SignalerId>) -> Vec<SignalerId> {
    let mut best: Vec<(Reverse<[u8; 32]>, SignalerId)> = Vec::with_capacity(REPLICAS + 1);
    for id in among {
        // The highest score first; of equal ones the lower id.
        let place = (Reverse(score(key, id)), *id);
        if let Err(at) = best.binary_search(&place)
            && at < REPLICAS
        {
            best.insert(at, place);
            best.truncate(REPLICAS);
        }
    }
    best.into_iter().map(|(_, id)| id).collect()
}

/// A short name for what an entry is about, whichever its number.
pub fn entry_name(discovery: &DiscoveryKey, peer: &PeerId, home: &SignalerId) -> u64 {
    let mut hash = blake3::Hasher::new_keyed(&discovery.0);
    hash.update(b"weft/v1/entry-name").update(&peer.0).update(&home.0);
    first(&hash)
}

/// Stands for an entry of a name with a number: two that have the same XOR of such marks have, but for an accident of 1 in
/// 2^64, the same entries. Whoever makes many peers can choose them so that they cancel out, and hides its own only. The
/// mixing is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub const fn entry_mark(name: u64, seq: u64) -> u64 {
    let mixed = name ^ seq;
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A short name for a set of signalers, in order of their ids.
pub fn ring_name(signalers: &[SignalerId]) -> u64 {
    let mut hash = blake3::Hasher::new();
    hash.update(b"weft/v1/ring-name");
    for id in signalers {
        hash.update(&id.0);
    }
    first(&hash)
}

/// The first eight bytes, the first the highest.
fn first(hash: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hash.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// How much a signaler is wanted for a key; compared as a number, the first byte the highest.
fn score(key: &[u8; 32], id: &SignalerId) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_keyed(key);
    hash.update(b"weft/v1/placement").update(&id.0);
    *hash.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const KEYS: u32 = 10_000;

    fn key(n: u32) -> [u8; 32] {
        blake3::derive_key("weft/test/key", &n.to_be_bytes())
    }

    fn signalers(count: u32) -> Vec<SignalerId> {
        (0..count).map(|n| SignalerId(blake3::derive_key("weft/test/signaler", &n.to_be_bytes()))).collect()
    }

    #[test]
    fn c2_shares_are_even() {
        let among = signalers(11);
        let mut shares: BTreeMap<SignalerId, u32> = BTreeMap::new();
        let mut firsts: BTreeMap<SignalerId, u32> = BTreeMap::new();
        for n in 0..KEYS {
            let kept = placed(&key(n), &among);
            *firsts.entry(kept[0]).or_default() += 1;
            for id in kept {
                *shares.entry(id).or_default() += 1;
            }
        }
        // Binomial: 10,000 draws at 3/11 (standard deviation 44.5) and at 1/11 (28.7). Five deviations are one in 1.7 million.
        let within = |counts: &BTreeMap<SignalerId, u32>, mean: u32, most: u32| {
            counts.len() == 11 && counts.values().all(|count| count.abs_diff(mean) <= most)
        };
        assert!(within(&shares, 2_727, 223), "{shares:?}");
        assert!(within(&firsts, 909, 144), "{firsts:?}");
    }

    #[test]
    fn c2_adding_one_of_eleven_moves_its_share_and_nothing_else() {
        let all = signalers(11);
        let (new, before) = all.split_last().unwrap();
        let mut moved = 0_u32;
        for n in 0..KEYS {
            let (was, is) = (placed(&key(n), before), placed(&key(n), &all));
            if was == is {
                continue;
            }
            moved += 1;
            // What changed is that the new one came in and the last one went: the others keep their order.
            let rest: Vec<SignalerId> = is.iter().copied().filter(|id| id != new).collect();
            assert_eq!(rest, was[..REPLICAS - 1], "key {n}");
        }
        // R/11 of 10,000, five standard deviations either way.
        assert!(moved.abs_diff(2_727) <= 223, "{moved}");
    }

    #[test]
    fn marks_tell_entries_and_their_numbers_apart() {
        let (one, other) = (SignalerId([1; 32]), SignalerId([2; 32]));
        let name = |home| entry_name(&DiscoveryKey([3; 32]), &PeerId([4; 32]), home);
        let marks =
            [(&one, 1), (&one, 2), (&other, 1), (&other, 2)].map(|(home, seq)| entry_mark(name(home), seq));
        for (at, mark) in marks.iter().enumerate() {
            assert!(!marks[..at].contains(mark));
        }
        assert_ne!(marks[0] ^ marks[1], marks[2] ^ marks[3], "numbers that change places are seen");
        assert_ne!(ring_name(&[one, other]), ring_name(&[one]));
    }

    #[test]
    fn c2_up_to_three_signalers_keep_everything() {
        for count in 0..=3 {
            let among = signalers(count);
            let mut kept = placed(&key(7), &among);
            kept.sort_unstable();
            let mut all = among;
            all.sort_unstable();
            assert_eq!(kept, all);
        }
    }

    proptest! {
        #[test]
        fn c2_the_order_of_the_list_and_repetitions_do_not_matter(
            n in any::<u32>(),
            count in 1..40_u32,
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let among = signalers(count);
            let mut shuffled = among.clone();
            for (at, with) in order.iter().enumerate() {
                shuffled.swap(at % among.len(), with.index(among.len()));
            }
            shuffled.extend(order.iter().map(|at| among[at.index(among.len())]));
            prop_assert_eq!(placed(&key(n), &among), placed(&key(n), &shuffled));
        }

        #[test]
        fn c2_they_are_the_three_of_the_highest_scores(n in any::<u32>(), count in 1..40_u32) {
            let mut among = signalers(count);
            let kept = placed(&key(n), &among);
            among.sort_by_key(|id| (Reverse(score(&key(n), id)), *id));
            among.truncate(REPLICAS);
            prop_assert_eq!(kept, among);
        }
    }
}
