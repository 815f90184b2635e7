//! The name that a case goes by outside: on letters to the household, and on the transfer by which it repays.
//!
//! `RC`, the case's number in eight digits, two check digits (ISO 7064 MOD 97-10 over the ten digits): one wrong digit, or
//! two that changed places, is found. Limit: eight digits name a hundred million cases.

use std::fmt;
use std::str::FromStr;

use crate::domain::ids::{CaseId, IdError};

/// Digits of the case's number.
const NUMBER_DIGITS: usize = 8;
/// Digits of the whole.
const DIGITS: usize = NUMBER_DIGITS + 2;

/// The reference of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseReference(CaseId);

impl CaseReference {
    /// The reference of a case.
    pub const fn of(case: CaseId) -> Self {
        Self(case)
    }

    /// The case it names.
    pub const fn case(self) -> CaseId {
        self.0
    }

    /// The one reference that a text of a transfer carries. People write it with blanks, points, dashes or slashes between
    /// the digits, and in small letters; a wrong check makes it no reference. Two different ones name nothing.
    pub fn find(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let starts = (0..bytes.len().saturating_sub(DIGITS + 1)).filter(|at| {
            let word = *at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
            word && bytes[*at..*at + 2].eq_ignore_ascii_case(b"RC")
        });
        let mut found = starts.filter_map(|at| Self::read(&bytes[at + 2..]));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// Reads ten digits, with at most one separator before each, that no further digit follows.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (mut digits, mut separated) = (String::with_capacity(DIGITS), false);
        for byte in bytes {
            match byte {
                b'0'..=b'9' if digits.len() == DIGITS => return None,
                b'0'..=b'9' => {
                    digits.push(char::from(*byte));
                    separated = false;
                }
                _ if digits.len() == DIGITS => break,
                b' ' | b'.' | b'-' | b'/' if !separated => separated = true,
                _ => return None,
            }
        }
        Self::checked(&digits).ok()
    }

    fn checked(digits: &str) -> Result<Self, IdError> {
        if digits.len() != DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IdError::Malformed);
        }
        let number: i64 = digits.parse().map_err(|_| IdError::Malformed)?;
        match number % 97 {
            1 if number >= 100 => Ok(Self(CaseId::new(number / 100))),
            1 => Err(IdError::Malformed),
            _ => Err(IdError::CheckDigit),
        }
    }
}

impl fmt::Display for CaseReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.get();
        let check = 98 - (i128::from(number) * 100).rem_euclid(97);
        f.pad(&format!("RC{number:0NUMBER_DIGITS$}{check:02}"))
    }
}

impl FromStr for CaseReference {
    type Err = IdError;

    /// Reads the form that is printed.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        Self::checked(text.strip_prefix("RC").or_else(|| text.strip_prefix("rc")).ok_or(IdError::Malformed)?)
    }
}

impl serde::Serialize for CaseReference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: i64) -> CaseReference {
        CaseReference::of(CaseId::new(number))
    }

    #[test]
    fn a_reference_is_read_as_it_is_printed() {
        // 100 mod 97 = 3, so the check of case 1 is 95: 195 mod 97 = 1.
        assert_eq!(of(1).to_string(), "RC0000000195");
        for number in [1, 2, 96, 97, 4_711, 99_999_999] {
            let text = of(number).to_string();
            assert_eq!(text.len(), 12);
            assert_eq!(text.parse(), Ok(of(number)));
        }
    }

    #[test]
    fn one_wrong_digit_or_two_that_changed_places_are_found() {
        let right = of(12_345_678).to_string();
        for at in 2..12 {
            for digit in b'0'..=b'9' {
                let mut bytes = right.clone().into_bytes();
                if bytes[at] == digit {
                    continue;
                }
                bytes[at] = digit;
                let wrong = String::from_utf8(bytes).unwrap();
                assert_eq!(wrong.parse::<CaseReference>(), Err(IdError::CheckDigit), "{wrong}");
            }
        }
        for at in 2..11 {
            let mut bytes = right.clone().into_bytes();
            bytes.swap(at, at + 1);
            let swapped = String::from_utf8(bytes).unwrap();
            assert!(swapped == right || swapped.parse::<CaseReference>().is_err(), "{swapped}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for (text, why) in [
            ("", IdError::Missing),
            ("RC", IdError::Malformed),
            ("0000000195", IdError::Malformed),
            ("RC000000195", IdError::Malformed),
            ("RC00000001955", IdError::Malformed),
            ("RC000000019X", IdError::Malformed),
            ("RC0000000001", IdError::Malformed),
            ("RC0000000196", IdError::CheckDigit),
        ] {
            assert_eq!(text.parse::<CaseReference>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_reference_is_found_in_what_people_write() {
        for (text, found) in [
            ("RC0000000195", true),
            ("remboursement rc 00000001 95, merci", true),
            ("Dossier RC-0000-0001-95", true),
            ("RC 0000 0001 95 / RC0000000195", true),
            ("RC0000000195 RC0000000292", false),
            ("RC  0000000195", false),
            ("XRC0000000195", false),
            ("RC00000001950", false),
            ("RC0000000196", false),
            ("أداء RC0000000195", true),
            ("RC", false),
            ("", false),
        ] {
            assert_eq!(CaseReference::find(text), found.then_some(of(1)), "{text}");
        }
    }
}
