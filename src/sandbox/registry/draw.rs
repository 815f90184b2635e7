//! Numbers from a seed: the same key always gives the same numbers, whatever was drawn before. So household number h
//! is the same in every period, and needs no state to be kept.

/// Mixes a key and a counter into 64 even bits (the finaliser of SplitMix64; Steele, Lea and Flood, 2014).
pub(super) const fn mix(key: u64, counter: u64) -> u64 {
    let mut z =
        key.wrapping_add(counter.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Draws one after the other under a key.
pub(super) struct Draw {
    key: u64,
    counter: u64,
}

impl Draw {
    pub(super) const fn new(key: u64) -> Self {
        Self { key, counter: 0 }
    }

    /// 64 even bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.counter += 1;
        mix(self.key, self.counter)
    }

    /// A number below `n`, as good as even for the small `n` used here.
    pub(super) const fn below(&mut self, n: u64) -> u64 {
        ((self.bits() >> 32) * n) >> 32
    }

    /// True in `ppm` of a million cases.
    pub(super) const fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm as u64
    }

    /// The first of `cumulative` thousandths that a draw lies under.
    pub(super) fn choose(&mut self, cumulative: &[u16]) -> usize {
        let at = self.below(1000);
        cumulative.iter().position(|limit| at < u64::from(*limit)).unwrap_or(cumulative.len())
    }

    /// One of a list that is not empty.
    pub(super) fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

/// A one-to-one map of 0..`modulus` onto itself, so that no two keys share a number by accident. `modulus` may have
/// the prime factors 2, 5 and 13 only, which the factor does not share.
pub(super) const fn scatter(seed: u64, index: u64, modulus: u64) -> u64 {
    const FACTOR: u128 = 618_033_987;
    let shift = mix(seed, modulus) % modulus;
    ((index as u128 * FACTOR + shift as u128) % modulus as u128) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_numbers_are_all_different() {
        for modulus in [1_000, 6_760, 8_000] {
            let mut seen: Vec<_> = (0..modulus).map(|i| scatter(7, i, modulus)).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..modulus), "{modulus}");
        }
    }
}
