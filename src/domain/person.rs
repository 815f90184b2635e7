//! What names a person: registry number, identity card, phone. Each prints masked.

use std::fmt;

use arrayvec::ArrayString;

use super::ids::IdError;

/// A person's number in the national population registry: 10 digits, the first not 0 or 1, the last a Verhoeff
/// check digit (as in MOSIP; whether the digit is checked is a setting). Prints masked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Idcs(u64);

impl Idcs {
    /// Reads a number; `check_digit` says whether the last digit must be right.
    ///
    /// # Errors
    /// See [`IdError`].
    pub fn parse(text: &[u8], check_digit: bool) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        if text.len() != 10 || !text.iter().all(u8::is_ascii_digit) || text[0] < b'2' {
            return Err(IdError::Malformed);
        }
        if check_digit && verhoeff(text) != 0 {
            return Err(IdError::CheckDigit);
        }
        Ok(Self(text.iter().fold(0, |v, b| v * 10 + u64::from(b - b'0'))))
    }

    /// The number whose first nine digits are `stem` (200,000,000 to 999,999,999), its check digit worked out.
    ///
    /// # Panics
    /// On a stem out of range.
    pub fn from_stem(stem: u32) -> Self {
        assert!((200_000_000..1_000_000_000).contains(&stem), "stem out of range");
        let text = format!("{stem}0");
        let check = VERHOEFF_INVERSE[usize::from(verhoeff(text.as_bytes()))];
        Self(u64::from(stem) * 10 + u64::from(check))
    }

    /// Wraps a number read back from the store.
    pub const fn from_stored(number: u64) -> Self {
        Self(number)
    }

    /// The number, in clear.
    pub const fn reveal(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Idcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{:02}", self.0 % 100)
    }
}

/// Whether a character only sets parts of a number apart, as people write it: white space, a hyphen, a dot.
pub fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '\u{2010}'..='\u{2012}') || (c.is_whitespace() && !c.is_control())
}

/// The text without separators.
fn compact(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(is_separator) { text.replace(is_separator, "").into() } else { text.into() }
}

/// A national identity card number, checked loosely: one or two capitals, then 1 to 7 digits. Prints masked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cin(ArrayString<9>);

impl Cin {
    /// Reads a card number; small letters are raised, separators passed over.
    ///
    /// # Errors
    /// See [`IdError`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        let text = compact(text);
        let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let digits = &text.as_bytes()[letters..];
        if !(1..=2).contains(&letters)
            || !(1..=7).contains(&digits.len())
            || !digits.iter().all(u8::is_ascii_digit)
        {
            return Err(IdError::Malformed);
        }
        let mut card = ArrayString::from(&text).map_err(|_| IdError::Malformed)?;
        card.make_ascii_uppercase();
        Ok(Self(card))
    }

    /// The card number, in clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A number below 2^34, for exact comparison: leading zeros of the digits do not count.
    pub fn as_number(&self) -> u64 {
        let split = self.0.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (letters, digits) = self.0.as_bytes().split_at(split);
        let letters = letters.iter().fold(0, |v, b| v * 27 + u64::from(b - b'A' + 1));
        letters * 10_000_000 + digits.iter().fold(0, |v, b| v * 10 + u64::from(b - b'0'))
    }
}

impl fmt::Debug for Cin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CIN…")
    }
}

/// A Moroccan mobile number: `+212`, then 6 or 7, then 8 digits. Prints masked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(u32);

impl Phone {
    /// Reads `+212612345678`, `00212612345678`, `212612345678`, `+212 (0)6 12 34 56 78` or `0612345678`; separators and
    /// brackets are passed over.
    ///
    /// # Errors
    /// See [`IdError`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        let digits: String =
            text.chars().filter(|c| !is_separator(*c) && !matches!(c, '(' | ')' | '/')).collect();
        let abroad = ["+212", "00212", "212"].iter().find_map(|country| digits.strip_prefix(country));
        let national = match abroad {
            Some(national) => national.strip_prefix('0').unwrap_or(national),
            None => digits.strip_prefix('0').ok_or(IdError::Malformed)?,
        };
        let valid = national.len() == 9
            && national.bytes().all(|b| b.is_ascii_digit())
            && matches!(national.as_bytes()[0], b'6' | b'7');
        if !valid {
            return Err(IdError::Malformed);
        }
        national.parse().map(Self).map_err(|_| IdError::Malformed)
    }

    /// Wraps the nine national digits read back from the store.
    pub const fn from_stored(national: u32) -> Self {
        Self(national)
    }

    /// The nine national digits as a number, for the store and for exact comparison.
    pub const fn national(self) -> u32 {
        self.0
    }

    /// The number in international form, in clear.
    pub fn reveal(self) -> String {
        format!("+212{:09}", self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+212…{:02}", self.0 % 100)
    }
}

/// The Verhoeff checksum of ASCII digits, the check digit included: 0 when it is right (J. Verhoeff, 1969).
fn verhoeff(digits: &[u8]) -> u8 {
    digits.iter().rev().enumerate().fold(0u8, |sum, (i, b)| {
        VERHOEFF_PRODUCT[usize::from(sum)][usize::from(VERHOEFF_PERMUTED[i % 8][usize::from(b - b'0')])]
    })
}

const VERHOEFF_PRODUCT: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];
const VERHOEFF_PERMUTED: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];
const VERHOEFF_INVERSE: [u8; 10] = [0, 4, 3, 2, 1, 5, 6, 7, 8, 9];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verhoeff_known_value() {
        // The textbook example: 236 takes check digit 3.
        assert_eq!(verhoeff(b"2363"), 0);
        assert_ne!(verhoeff(b"2364"), 0);
    }

    #[test]
    fn persons_and_phones() {
        let idcs = Idcs::from_stem(234_567_890);
        let text = idcs.reveal().to_string();
        assert_eq!(Idcs::parse(text.as_bytes(), true), Ok(idcs));
        let wrong = format!("{}{}", &text[..9], (text.as_bytes()[9] - b'0' + 1) % 10);
        assert_eq!(Idcs::parse(wrong.as_bytes(), true), Err(IdError::CheckDigit));
        assert!(Idcs::parse(wrong.as_bytes(), false).is_ok());
        assert_eq!(Idcs::parse(b"0234567890", false), Err(IdError::Malformed));
        for (text, ok) in [
            ("+212612345678", true),
            ("0712345678", true),
            ("00212 612 345 678", true),
            ("0512345678", false),
            ("06-12-34-56-78", true),
            ("06.12.34.56.78", true),
            ("+212 (0) 6 12 34 56 78", true),
            ("212612345678", true),
            ("+212\u{a0}612\u{202f}345678", true),
            ("06\t12345678", false),
            ("+33612345678", false),
            ("+2126123456789", false),
            ("061234567", false),
        ] {
            assert_eq!(Phone::parse(text).is_ok(), ok, "{text}");
        }
        assert_eq!(Phone::parse("0612345678").unwrap().reveal(), "+212612345678");
        assert_eq!(format!("{:?}", Phone::parse("0612345678").unwrap()), "+212…78");
        assert!(
            Cin::parse("ab123456").is_ok() && Cin::parse("ABC1").is_err() && Cin::parse("A12345678").is_err()
        );
    }

    #[test]
    fn one_number_has_many_spellings() {
        let phone = Phone::parse("0612345678").unwrap();
        for text in ["+212612345678", "00212 6 12 34 56 78", "212-612-345-678", "(06)12.34.56.78"] {
            assert_eq!(Phone::parse(text), Ok(phone), "{text}");
        }
        let card = Cin::parse("AB123456").unwrap();
        for text in ["ab123456", "AB 123456", "Ab-123.456", " AB123456 ", "AB\u{a0}123456"] {
            assert_eq!(Cin::parse(text).as_ref(), Ok(&card), "{text}");
        }
        assert_eq!(Cin::parse("AB0123456").unwrap().as_number(), card.as_number());
        for other in ["AC123456", "A123456", "AB123457", "BA123456", "B123456"] {
            assert_ne!(Cin::parse(other).unwrap().as_number(), card.as_number(), "{other}");
        }
        assert!(Cin::parse("ZZ9999999").unwrap().as_number() < 1 << 34);
    }
}
