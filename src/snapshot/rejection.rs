//! A row that cannot be taken, and how its value is shown without showing it.

use std::borrow::Cow;

use super::manifest::Kind;
use crate::domain::attribute::AttributeProblem;
use crate::domain::ids::{HouseholdId, IdError};
use crate::domain::listed::listed;

listed! {
    /// Why a row was rejected: a closed list, so that reports stay bounded.
    RejectReason {
        /// A required field is empty.
        Missing = "missing",
        /// The field does not have the form it must have.
        Malformed = "malformed",
        /// The check digit of an IDCS does not follow from the others.
        CheckDigit = "check_digit",
        /// A date or number outside what can be.
        OutOfRange = "out_of_range",
        /// Not one of the values of a closed list.
        UnknownValue = "unknown_value",
        /// The field is longer than allowed.
        TooLong = "too_long",
        /// The household was there before.
        DuplicateHousehold = "duplicate_household",
        /// The person was there before in the same household.
        DuplicateMember = "duplicate_member",
        /// No household row of that id.
        OrphanMember = "orphan_member",
        /// More members than a household may have.
        TooMany = "too_many",
        /// No household row of that id was taken.
        OrphanClaim = "orphan_claim",
        /// The list names the child twice in the same part.
        DuplicateChild = "duplicate_child",
        /// The deposit was there before.
        DuplicateDeposit = "duplicate_deposit",
        /// The id of the deposit is that of a household.
        TakenByHousehold = "taken_by_household",
    }
}

impl From<AttributeProblem> for RejectReason {
    fn from(problem: AttributeProblem) -> Self {
        match problem {
            AttributeProblem::Missing => Self::Missing,
            AttributeProblem::Malformed => Self::Malformed,
            AttributeProblem::OutOfRange => Self::OutOfRange,
            AttributeProblem::UnknownValue => Self::UnknownValue,
        }
    }
}

impl From<IdError> for RejectReason {
    fn from(error: IdError) -> Self {
        match error {
            IdError::Missing => Self::Missing,
            IdError::Malformed => Self::Malformed,
            IdError::CheckDigit => Self::CheckDigit,
        }
    }
}

/// A rejected row: its first faulty field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Kind of the part.
    pub kind: Kind,
    /// Data row from 1, over the parts of the kind.
    pub row: u32,
    /// The household, where its id is well-formed.
    pub household: Option<HouseholdId>,
    /// The column.
    pub field: Cow<'static, str>,
    /// The picture of the value, see [`mask`].
    pub value_masked: String,
    /// Why.
    pub reason: RejectReason,
}

/// Most characters of a masked value.
const PICTURE_CHARS_MAX: usize = 32;

/// The picture of a value: `9` for a digit, `A` and `a` for Latin letters, `L` for other letters, `?` for the rest but
/// common separators, which stay. `2019-13-45` gives `9999-99-99`. Beyond 32 characters it ends in `…` and the length.
pub fn mask(value: &str) -> String {
    let picture = |c: char| match c {
        '0'..='9' => '9',
        'A'..='Z' => 'A',
        'a'..='z' => 'a',
        ' ' | '-' | '.' | '/' | '+' | '_' | ':' | ',' => c,
        _ if c.is_numeric() => '9',
        _ if c.is_alphabetic() => 'L',
        _ => '?',
    };
    let mut masked: String = value.chars().take(PICTURE_CHARS_MAX).map(picture).collect();
    if value.chars().nth(PICTURE_CHARS_MAX).is_some() {
        masked.push_str(&format!("…({})", value.chars().count()));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_show_only_their_form() {
        for (value, masked) in [
            ("", ""),
            ("2019-13-45", "9999-99-99"),
            ("Ab 12é", "Aa 99L"),
            ("محمد", "LLLL"),
            ("a\nb\"", "a?a?"),
            ("٣", "9"),
            ("123456789012345678901234567890123", "99999999999999999999999999999999…(33)"),
        ] {
            assert_eq!(mask(value), masked);
        }
    }
}
