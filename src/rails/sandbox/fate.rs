//! Chance from a seed: what happens to an order, and whether a fault strikes.
//!
//! Input: the seed and a key (an end-to-end id, a file name). Output: a number, a yes or no, a fate. Guarantee: the
//! same for the same seed and key, whatever came before. Limit: made for even spread, not against an adversary.

use super::options::{Rates, Share};

/// Draws numbers for keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice {
    seed: u64,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives.
    Paid,
    /// Refused at once, for this reason.
    Rejected(&'static str),
    /// Debited, then returned.
    Returned {
        /// Why.
        reason: &'static str,
        /// Whether a camt.054 tells of it.
        notified: bool,
    },
}

/// Reasons of rejections, with their weight in percent.
const REJECTIONS: &[(&str, u64)] = &[("AC01", 34), ("RC04", 33), ("AC04", 33)];

/// Reasons of returns, with their weight in percent (shares observed in comparable programmes).
const RETURNS: &[(&str, u64)] = &[
    ("AC04", 20),
    ("AC07", 20),
    ("AC06", 20),
    ("AC01", 10),
    ("RC04", 10),
    ("BE01", 10),
    ("MD07", 5),
    ("MS03", 5),
];

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

    /// Why an order comes back late.
    pub(super) fn late_reason(self, end_to_end_id: &str) -> &'static str {
        pick(RETURNS, self.number("late reason", end_to_end_id))
    }

    /// What happens to an order.
    pub(super) fn fate(self, rates: Rates, end_to_end_id: &str) -> Fate {
        let draw = self.number("order", end_to_end_id);
        if within(draw, rates.rejected) {
            return Fate::Rejected(pick(REJECTIONS, mix(draw)));
        }
        let draw = mix(draw ^ 1);
        if !within(draw, rates.returned) {
            return Fate::Paid;
        }
        let notified = within(mix(draw ^ 2), rates.notified);
        Fate::Returned { reason: pick(RETURNS, mix(draw ^ 3)), notified }
    }
}

fn within(draw: u64, share: Share) -> bool {
    draw % 1_000_000 < u64::from(share.parts())
}

/// The entry of a table, by weight; the weights add up to 100.
fn pick(table: &'static [(&'static str, u64)], draw: u64) -> &'static str {
    let mut left = draw % 100;
    for (code, weight) in table {
        if left < *weight {
            return code;
        }
        left -= weight;
    }
    "MS03"
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
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn shares_and_reasons_come_out_as_asked() {
        let dice = Dice::new(7);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for number in 0..200_000 {
            let name = match dice.fate(Rates::default(), &format!("E2E-{number:012}")) {
                Fate::Paid => "paid",
                Fate::Rejected(_) => "rejected",
                Fate::Returned { reason, notified } => {
                    *counts.entry(if notified { "notified" } else { "silent" }).or_default() += 1;
                    *counts.entry(reason).or_default() += 1;
                    "returned"
                }
            };
            *counts.entry(name).or_default() += 1;
        }
        let check = |name: &str, expected: u32| {
            let found = counts.get(name).copied().unwrap_or(0);
            assert!(found.abs_diff(expected) * 5 < expected, "{name}: {found}, not about {expected}");
        };
        for (name, expected) in
            [("rejected", 600), ("returned", 2_991), ("notified", 1_495), ("silent", 1_495)]
        {
            check(name, expected);
        }
        for (reason, percent) in RETURNS {
            check(reason, 2_991 * u32::try_from(*percent).unwrap() / 100);
        }
        for table in [REJECTIONS, RETURNS] {
            assert_eq!(table.iter().map(|(_, weight)| weight).sum::<u64>(), 100);
        }
    }

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
