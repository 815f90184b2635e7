//! Chance from a seed: whether something strikes, and numbers to draw from.
//!
//! Input: the seed and a key (an end-to-end id, a file name). Output: a number, a yes or no. Guarantee: the same for the same
//! seed and key, whatever came before. Limit: made for even spread, not against an adversary.

/// A share in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Never.
    pub const NONE: Self = Self(0);
    /// Always.
    pub const ALL: Self = Self(1_000_000);

    /// A share of so many parts per million; what exceeds a million is a million.
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts > 1_000_000 { 1_000_000 } else { parts })
    }

    /// The parts per million.
    pub const fn parts(self) -> u32 {
        self.0
    }
}

/// Draws numbers for keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice {
    seed: u64,
}

impl Dice {
    /// Dice of a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The number for a key; `label` separates draws about the same key.
    pub(super) fn number(self, label: &str, key: &str) -> u64 {
        let state = absorb(self.seed ^ 0x9E37_79B9_7F4A_7C15, label.as_bytes());
        absorb(state, key.as_bytes())
    }

    /// Whether the draw for a key falls within a share.
    pub(super) fn hits(self, share: Share, label: &str, key: &str) -> bool {
        share != Share::NONE && within(self.number(label, key), share)
    }
}

/// Whether a draw falls within a share.
pub(super) fn within(draw: u64, share: Share) -> bool {
    draw % 1_000_000 < u64::from(share.parts())
}

/// Takes bytes into a state, eight at a time, the length last.
fn absorb(state: u64, bytes: &[u8]) -> u64 {
    let state = bytes.chunks(8).fold(state, |state, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(state ^ u64::from_le_bytes(word))
    });
    mix(state ^ bytes.len() as u64)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_hang_on_seed_label_and_key() {
        let number = Dice::new(1).number("a", "k");
        assert_eq!(number, Dice::new(1).number("a", "k"));
        for other in
            [Dice::new(2).number("a", "k"), Dice::new(1).number("b", "k"), Dice::new(1).number("a", "k\0")]
        {
            assert_ne!(number, other);
        }
        assert!(Dice::new(1).hits(Share::ALL, "a", "k") && !Dice::new(1).hits(Share::NONE, "a", "k"));
    }
}
