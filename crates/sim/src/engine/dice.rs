//! Numbers that look random and are the same for the same seed: `SplitMix64` (Steele, Lea, Flood 2014), and hashing with
//! its finaliser, so that what depends on a pair of nodes needs no table.

/// A stream of numbers from a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of this seed; `purpose` keeps streams of one seed apart.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed, purpose))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        finalise(self.0)
    }

    /// A number below `bound`; 0 if that is 0. The bias of the remainder is far below anything measured here.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % (bound.max(1) as u64)).unwrap_or_default()
    }

    /// 32 bytes for a key or a generator.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.roll().to_le_bytes());
        }
        bytes
    }

    /// Brings a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.below(at + 1);
            list.swap(at, other);
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of two numbers.
pub fn mix(a: u64, b: u64) -> u64 {
    finalise(finalise(a.wrapping_add(GOLDEN)) ^ b.wrapping_mul(GOLDEN))
}

fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether a hash falls into a share from 0 to 1.
pub fn is_in_share(hash: u64, share: f64) -> bool {
    // The upper 53 bits: exact as a float.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let unit = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    unit < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_hashes_is_about_that_share() {
        let hits = (0..10_000).filter(|n| is_in_share(mix(7, *n), 0.3)).count();
        assert!((2_850..3_150).contains(&hits), "{hits}");
        assert!(!is_in_share(mix(7, 1), 0.0));
        assert!(is_in_share(mix(7, 1), 1.0));
    }

    #[test]
    fn streams_of_one_seed_differ_by_purpose() {
        assert_ne!(Dice::new(1, 1).roll(), Dice::new(1, 2).roll());
        assert_eq!(Dice::new(1, 1).bytes(), Dice::new(1, 1).bytes());
    }
}
