//! Identifiers: each its own type, none holding a wrong value. Those that name a person print masked.

use std::fmt;
use std::str::FromStr;

/// Defines a database identifier: a positive number, given by the store.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Wraps the store's number.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// The store's number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

row_id!(
    /// An imported snapshot.
    SnapshotId
);
row_id!(
    /// A payment run.
    RunId
);
row_id!(
    /// A batch: in the file lane, one pain.001 file.
    BatchId
);
row_id!(
    /// A feedback message (pain.002, camt.053, camt.054) that was imported.
    MessageId
);
row_id!(
    /// A recall: a payment asked back.
    RecallId
);
row_id!(
    /// A recovery case.
    CaseId
);
row_id!(
    /// A break: what feedback or reconciliation could not explain.
    BreakId
);
row_id!(
    /// A ledger account.
    AccountId
);

/// A payment order: its run in the upper 31 bits, its place in the run (from 1) in the lower 32.
/// Ascends with the household id within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(i64);

impl OrderId {
    /// The order at place `sequence` of a run.
    ///
    /// # Panics
    /// When the run number needs more than 31 bits.
    pub fn compose(run: RunId, sequence: u32) -> Self {
        assert!((0..1 << 31).contains(&run.get()), "run number out of range");
        Self((run.get() << 32) | i64::from(sequence))
    }

    /// The numbers that orders of a run may have: the first, and the first of the next run.
    pub fn bounds(run: RunId) -> (i64, i64) {
        (Self::compose(run, 0).get(), Self::compose(RunId::new(run.get() + 1), 0).get())
    }

    /// Wraps the store's number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The store's number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The run the order belongs to.
    pub const fn run(self) -> RunId {
        RunId(self.0 >> 32)
    }

    /// The order's place in its run, from 1.
    pub const fn sequence(self) -> u32 {
        (self.0 & 0xFFFF_FFFF) as u32
    }
}

/// Why a text is not an identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("missing")]
    Missing,
    /// Wrong length or characters.
    #[error("malformed")]
    Malformed,
    /// The check digit does not follow from the others.
    #[error("check digit does not match")]
    CheckDigit,
}

/// The registry's household identifier: 1 to 23 characters of `A-Z a-z 0-9 . _ -`, compared byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HouseholdId {
    // Zero-padded, so that the derived order is the order of the bytes: zero is below every allowed character.
    bytes: [u8; 23],
    len: u8,
}

impl HouseholdId {
    /// The longest identifier, in bytes.
    pub const MAX_LEN: usize = 23;

    /// Reads an identifier.
    ///
    /// # Errors
    /// Empty, too long, or with a character outside the set.
    pub fn parse(text: &[u8]) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.len() > Self::MAX_LEN || !text.iter().all(allowed) {
            return Err(IdError::Malformed);
        }
        let mut bytes = [0; 23];
        bytes[..text.len()].copy_from_slice(text);
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("a household id holds ASCII")
    }
}

impl fmt::Debug for HouseholdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HouseholdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A short code from configuration: programme, provider, purpose, exclusion. 1 to 32 characters of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Code(Box<str>);

impl Code {
    /// Reads a code.
    ///
    /// # Errors
    /// Empty, too long, or with a character outside the set.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if text.len() > 32 || !text.bytes().all(allowed) {
            return Err(IdError::Malformed);
        }
        Ok(Self(text.into()))
    }

    /// Reads a code as registries write it, in the one spelling that codes are compared in: small letters without accents,
    /// `_` for spaces and hyphens, none at the ends.
    ///
    /// # Errors
    /// As [`Code::parse`], of what is left.
    pub fn folded(text: &str) -> Result<Self, IdError> {
        // Most are written so: a list of millions need not be folded.
        let plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if plain && !(text.starts_with('_') || text.ends_with('_') || text.contains("__")) {
            return Self::parse(text);
        }
        let mut folded = String::with_capacity(text.len());
        super::name::fold_into(text.trim(), text.len().saturating_mul(4), &mut folded);
        let kept = |c: char| match c {
            ' ' | '-' | '.' => '_',
            c => c.to_ascii_lowercase(),
        };
        let folded: String = folded.chars().map(kept).collect();
        let words: Vec<&str> = folded.split('_').filter(|word| !word.is_empty()).collect();
        if words.is_empty() && !text.trim().is_empty() {
            return Err(IdError::Malformed);
        }
        Self::parse(&words.join("_"))
    }

    /// Whether two codes differ in their spelling only.
    pub fn is_like(&self, other: &Self) -> bool {
        self == other || matches!((Self::folded(&self.0), Self::folded(&other.0)), (Ok(a), Ok(b)) if a == b)
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Code {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(format!("code `{text}`: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_has_many_spellings() {
        let code = Code::folded("public_job").unwrap();
        for text in ["Public_Job", "public-job", " PUBLIC JOB ", "publïc_job", "public__job", "Public Job_"]
        {
            assert_eq!(Code::folded(text).as_ref(), Ok(&code), "{text}");
            assert!(Code::parse(text).is_err() || Code::parse(text).unwrap().is_like(&code), "{text}");
        }
        assert_eq!(Code::folded("Allocation familiale").unwrap().as_str(), "allocation_familiale");
        assert_eq!(Code::folded("a/b"), Err(IdError::Malformed));
        assert_eq!(Code::folded("--"), Err(IdError::Malformed));
        assert_eq!(Code::folded("  "), Err(IdError::Missing));
        assert_ne!(Code::folded("public_jobs").as_ref(), Ok(&code));
    }

    #[test]
    fn household_ids_order_as_their_bytes() {
        let mut ids: Vec<_> = ["H10", "H1", "H2", "H-1", "h1"]
            .iter()
            .map(|t| HouseholdId::parse(t.as_bytes()).unwrap())
            .collect();
        ids.sort();
        assert_eq!(
            ids.iter().map(|i| i.as_str().to_owned()).collect::<Vec<_>>(),
            ["H-1", "H1", "H10", "H2", "h1"]
        );
        assert!(HouseholdId::parse(b"a b").is_err() && HouseholdId::parse(&[b'x'; 24]).is_err());
    }

    #[test]
    fn order_ids_carry_run_and_sequence() {
        let id = OrderId::compose(RunId::new(7), 4_000_000_000);
        assert_eq!((id.run(), id.sequence()), (RunId::new(7), 4_000_000_000));
        assert!(id < OrderId::compose(RunId::new(8), 1));
    }
}
