//! Whose accounts and whose money: fixed when the configuration is first read, one for a process.
//!
//! Guarantee: before that it is what the configuration in the tree says, and it never changes once it was fixed. Limit: currencies
//! of two decimals; account numbers are RIBs, whatever the country.

use std::borrow::Cow;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A country and its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Country {
    /// ISO 3166-1 alpha-2: what its IBANs begin with.
    pub code: Capitals<2>,
    /// ISO 4217: the currency of every amount.
    pub currency: Capitals<3>,
}

impl Default for Country {
    fn default() -> Self {
        *SHIPPED
    }
}

/// A code of so many capitals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capitals<const N: usize>([u8; N]);

impl<const N: usize> Capitals<N> {
    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("capitals only")
    }

    /// Reads it; `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; N] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }
}

impl<const N: usize> fmt::Debug for Capitals<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Display for Capitals<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Capitals<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a code of {N} capitals")))
    }
}

static FIXED: OnceLock<Country> = OnceLock::new();

/// What the configuration in the tree says.
static SHIPPED: LazyLock<Country> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Part {
        country: Country,
    }
    let part: Part = toml::from_str(include_str!("../../config/sarf.toml")).expect("the shipped settings");
    part.country
});

/// Fixes the country of this process; `false` where another was fixed before.
pub fn fix(country: Country) -> bool {
    *FIXED.get_or_init(|| country) == country
}

fn here() -> &'static Country {
    FIXED.get().unwrap_or_else(|| &SHIPPED)
}

/// The country's code (ISO 3166).
pub fn code() -> &'static str {
    here().code.as_str()
}

/// The currency of every amount.
pub fn currency() -> &'static str {
    here().currency.as_str()
}

/// A text with the currency where `¤` stands in it (the sign of the Unicode locale data for whichever currency it is).
pub fn with_currency(text: &str) -> Cow<'_, str> {
    if text.contains('¤') { Cow::Owned(text.replace('¤', currency())) } else { Cow::Borrowed(text) }
}

/// What stands before a RIB in its IBAN: the country, and check digits that are the same for every valid RIB (ISO 13616, ISO 7064).
pub fn iban_prefix() -> [u8; 4] {
    let code = here().code.0;
    // A valid RIB is 0 modulo 97, so that only the country's letters and the zeros in place of the check digits are left.
    let letters = code.iter().fold(0u32, |value, letter| value * 100 + u32::from(letter - b'A') + 10);
    let check = 98 - (letters * 100 % 97) as u8;
    [code[0], code[1], b'0' + check / 10, b'0' + check % 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_follow_from_the_country() {
        assert_eq!(&iban_prefix(), b"MA64");
        assert_eq!(
            (currency(), &*with_currency("¤ sent"), &*with_currency("sent")),
            ("MAD", "MAD sent", "sent")
        );
    }

    #[test]
    fn codes_are_capitals() {
        assert!(Capitals::<3>::parse("MAD").is_some());
        for text in ["", "MA", "mad", "MADA", "M D"] {
            assert!(Capitals::<3>::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_country_once_fixed_stays() {
        assert!(fix(*SHIPPED));
        let other = Country { currency: Capitals(*b"XOF"), ..*SHIPPED };
        assert!(!fix(other));
        assert_eq!(here(), &*SHIPPED);
    }
}
