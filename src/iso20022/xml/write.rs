//! What all writers share: a byte buffer with escaping, and the checks of texts against the schemas' limits.
//!
//! Input: values. Output: XML without indentation, in blocks of 64 KiB. Guarantee: no allocation per element; a
//! value is checked before it is written, and an error names its field, never the value.

use std::io::{self, Write};

use time::{Date, OffsetDateTime, UtcOffset};

use crate::domain::money::Centimes;

/// The buffer is handed on once it holds this many bytes.
const BLOCK: usize = 64 * 1024;

/// Why a message was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes could not be handed on.
    #[error("cannot write the message")]
    Io(#[from] io::Error),
    /// A value does not fit the schema.
    #[error("field `{field}` does not fit the schema")]
    Field {
        /// The element's name.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        problem: TextProblem,
    },
    /// The number of transactions is not the declared one.
    #[error("{written} transactions written, {declared} declared")]
    CountDiffers {
        /// What the header says.
        declared: u64,
        /// What was written.
        written: u64,
    },
    /// The sum of the transactions is not the declared one.
    #[error("control sum {written} written, {declared} declared")]
    SumDiffers {
        /// What the header says.
        declared: Centimes,
        /// What was written.
        written: Centimes,
    },
    /// A part was written where the message has no place for it.
    #[error("`{part}` cannot be written here")]
    OutOfOrder {
        /// The element's name.
        part: &'static str,
    },
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// Nothing there, and the schema asks for something.
    #[error("it is empty")]
    Empty,
    /// Longer than the schema allows.
    #[error("it is longer than {max} characters")]
    TooLong {
        /// The schema's limit.
        max: usize,
    },
    /// A control character, or one that XML does not allow.
    #[error("it holds a character that cannot be written")]
    ForbiddenCharacter,
    /// Not of the schema's pattern.
    #[error("it does not match the schema's pattern")]
    Malformed,
    /// An amount of zero or less, or beyond 18 digits.
    #[error("the amount is out of range")]
    AmountOutOfRange,
}

/// Checks a mandatory text: 1 to `max` characters, none of them a control character.
pub(crate) fn check_text(field: &'static str, value: &str, max: usize) -> Result<(), WriteError> {
    let problem = if value.is_empty() {
        TextProblem::Empty
    } else if value.len() > max && value.chars().count() > max {
        TextProblem::TooLong { max }
    } else if any(value, |b| b < 0x20 || b == 0x7F)
        || (!value.is_ascii() && value.contains(['\u{FFFE}', '\u{FFFF}']))
    {
        TextProblem::ForbiddenCharacter
    } else {
        return Ok(());
    };
    Err(WriteError::Field { field, problem })
}

/// Whether any byte is of a kind: all are looked at, without a branch, as texts that are in order are the rule.
fn any(text: &str, kind: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |any, byte| any | kind(byte))
}

/// Checks an optional text: as [`check_text`] where it is not empty.
pub(crate) fn check_optional(field: &'static str, value: &str, max: usize) -> Result<(), WriteError> {
    if value.is_empty() { Ok(()) } else { check_text(field, value, max) }
}

/// Fails with [`TextProblem::Malformed`] unless `valid`.
pub(crate) fn check_pattern(field: &'static str, valid: bool) -> Result<(), WriteError> {
    if valid { Ok(()) } else { Err(WriteError::Field { field, problem: TextProblem::Malformed }) }
}

/// Checks that an amount is above zero and within 18 digits.
pub(crate) fn check_amount(field: &'static str, amount: Centimes) -> Result<(), WriteError> {
    if (1..1_000_000_000_000_000_000).contains(&amount.get()) {
        Ok(())
    } else {
        Err(WriteError::Field { field, problem: TextProblem::AmountOutOfRange })
    }
}

/// Checks a currency code: three capitals.
pub(crate) fn check_currency(value: &str) -> Result<(), WriteError> {
    check_pattern("Ccy", value.len() == 3 && value.bytes().all(|b| b.is_ascii_uppercase()))
}

/// Checks a BIC (ISO 9362): bank 4, country 2, place 2, branch 3 or none.
pub(crate) fn check_bic(value: &str) -> Result<(), WriteError> {
    let b = value.as_bytes();
    let valid = matches!(b.len(), 8 | 11)
        && b.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && b[4..6].iter().all(u8::is_ascii_uppercase);
    check_pattern("BICFI", valid)
}

/// Checks the form of an IBAN (ISO 13616); its check digits are the concern of who parsed it.
pub(crate) fn check_iban(value: &str) -> Result<(), WriteError> {
    let b = value.as_bytes();
    let valid = (5..=34).contains(&b.len())
        && b[..2].iter().all(u8::is_ascii_uppercase)
        && b[2..4].iter().all(u8::is_ascii_digit)
        && b[4..].iter().all(u8::is_ascii_alphanumeric);
    check_pattern("IBAN", valid)
}

/// Checks a UETR: a version 4 UUID in small letters.
pub(crate) fn check_uetr(value: &str) -> Result<(), WriteError> {
    let b = value.as_bytes();
    // Each is looked at without a branch, as valid ones are the rule.
    let in_place =
        b.iter().zip(UETR_PLACES).fold(true, |all, (b, place)| all & (UETR_KINDS[*b as usize] & place != 0));
    check_pattern("UETR", b.len() == UETR_PLACES.len() && in_place)
}

/// What a byte may be in a UETR: a digit, a dash, the version, a digit of the variant.
const UETR_KINDS: [u8; 256] = {
    let (mut kinds, mut b) = ([0; 256], 0);
    while b < kinds.len() {
        kinds[b] = match b as u8 {
            b'4' => 1 | 4,
            b'8' | b'9' | b'a' | b'b' => 1 | 8,
            b'0'..=b'9' | b'a'..=b'f' => 1,
            b'-' => 2,
            _ => 0,
        };
        b += 1;
    }
    kinds
};

/// What stands where in a UETR.
const UETR_PLACES: [u8; 36] = {
    let mut places = [1; 36];
    (places[8], places[13], places[18], places[23]) = (2, 2, 2, 2);
    (places[14], places[19]) = (4, 8);
    places
};

/// A buffered writer of XML elements.
pub(crate) struct XmlOut<W> {
    inner: W,
    buffer: Vec<u8>,
}

impl<W: Write> XmlOut<W> {
    /// Starts a document: the declaration and the root element with its namespace.
    pub(crate) fn begin(inner: W, message: &str) -> Self {
        let mut out = Self { inner, buffer: Vec::with_capacity(BLOCK + BLOCK / 4) };
        out.raw(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:",
        );
        out.raw(message);
        out.raw("\">");
        out
    }

    /// Appends markup as it is.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.buffer.extend_from_slice(markup.as_bytes());
    }

    /// Appends `<name>text</name>`, the text escaped.
    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.tag(b"<", name);
        escape(text, &mut self.buffer);
        self.tag(b"</", name);
    }

    /// As [`XmlOut::leaf`], or nothing for an empty text.
    pub(crate) fn leaf_if(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.leaf(name, text);
        }
    }

    /// Appends `<name>number</name>`.
    pub(crate) fn count(&mut self, name: &str, number: u64) {
        self.tag(b"<", name);
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.buffer.extend_from_slice(&digits[at..]);
        self.tag(b"</", name);
    }

    /// Appends `<name>decimal</name>`. The amount must not be negative.
    pub(crate) fn sum(&mut self, name: &str, amount: Centimes) {
        self.tag(b"<", name);
        amount.write_iso(&mut self.buffer);
        self.tag(b"</", name);
    }

    /// Appends `<name Ccy="currency">decimal</name>`. The amount must not be negative.
    pub(crate) fn amount(&mut self, name: &str, currency: &str, amount: Centimes) {
        self.buffer.push(b'<');
        self.raw(name);
        self.raw(" Ccy=\"");
        self.raw(currency);
        self.raw("\">");
        amount.write_iso(&mut self.buffer);
        self.tag(b"</", name);
    }

    /// Appends an ISO date element.
    pub(crate) fn date(&mut self, name: &str, date: Date) {
        self.tag(b"<", name);
        self.iso_date(date);
        self.tag(b"</", name);
    }

    /// Appends an instant in UTC, to the second: `2026-11-22T10:00:00Z`.
    pub(crate) fn instant(&mut self, name: &str, instant: OffsetDateTime) {
        let utc = instant.to_offset(UtcOffset::UTC);
        self.tag(b"<", name);
        self.iso_date(utc.date());
        self.buffer.push(b'T');
        self.two_digits(utc.hour());
        self.buffer.push(b':');
        self.two_digits(utc.minute());
        self.buffer.push(b':');
        self.two_digits(utc.second());
        self.buffer.push(b'Z');
        self.tag(b"</", name);
    }

    /// Hands the buffer on if it is full. Called between transactions.
    pub(crate) fn flush_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Closes the document and gives the writer back, flushed.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.raw("</Document>\n");
        self.flush()?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn tag(&mut self, open: &[u8], name: &str) {
        self.buffer.extend_from_slice(open);
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.push(b'>');
    }

    fn iso_date(&mut self, date: Date) {
        let year = date.year().unsigned_abs();
        self.two_digits((year / 100 % 100) as u8);
        self.two_digits((year % 100) as u8);
        self.buffer.push(b'-');
        self.two_digits(u8::from(date.month()));
        self.buffer.push(b'-');
        self.two_digits(date.day());
    }

    fn two_digits(&mut self, value: u8) {
        self.buffer.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
    }
}

/// Appends a text with `& < >` replaced by their entities.
fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    if !any(text, |b| matches!(b, b'&' | b'<' | b'>')) {
        return out.extend_from_slice(bytes);
    }
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let entity: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(entity);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        for (text, expected) in
            [("plain", "plain"), ("a&b<c>d", "a&amp;b&lt;c&gt;d"), ("&", "&amp;"), ("é\"'", "é\"'")]
        {
            let mut out = Vec::new();
            escape(text, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn texts_are_checked() {
        let check = |value: &str, expected: Option<TextProblem>| match (check_text("Nm", value, 4), expected)
        {
            (Ok(()), None) => {}
            (Err(WriteError::Field { field: "Nm", problem }), Some(wanted)) => assert_eq!(problem, wanted),
            (other, wanted) => panic!("{value:?}: {other:?}, not {wanted:?}"),
        };
        check("abcd", None);
        check("éèàç", None);
        check("", Some(TextProblem::Empty));
        check("abcde", Some(TextProblem::TooLong { max: 4 }));
        check("a\u{1}", Some(TextProblem::ForbiddenCharacter));
        check("a\u{FFFE}", Some(TextProblem::ForbiddenCharacter));
        for (bic, ok) in [("BKAMMAMR", true), ("BKAMMAMRXXX", true), ("bkammamr", false), ("BKAM11MR", false)]
        {
            assert_eq!(check_bic(bic).is_ok(), ok, "{bic}");
        }
        for (uetr, ok) in [
            ("0b6f2a3e-1c2d-4e5f-8a9b-0c1d2e3f4a5b", true),
            ("0b6f2a3e-1c2d-3e5f-8a9b-0c1d2e3f4a5b", false),
            ("0B6f2a3e-1c2d-4e5f-8a9b-0c1d2e3f4a5b", false),
            ("", false),
        ] {
            assert_eq!(check_uetr(uetr).is_ok(), ok, "{uetr}");
        }
    }
}
