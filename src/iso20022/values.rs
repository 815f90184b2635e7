//! Values that several messages share: kinds, statuses, reasons, dates.
//!
//! Input: texts as banks send them. Output: typed values. Guarantee: an unknown code is kept, never refused.

use std::fmt;

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use crate::domain::money::MoneyError;
pub use crate::domain::stated::{Reason, Reasons};

/// The kinds of message that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Credit transfer initiation.
    Pain001,
    /// Payment status report.
    Pain002,
    /// Account report (intraday).
    Camt052,
    /// Account statement.
    Camt053,
    /// Debit and credit notification.
    Camt054,
    /// Resolution of investigation.
    Camt029,
    /// Customer's cancellation request.
    Camt055,
    /// Bank's cancellation request.
    Camt056,
    /// Bank services billing statement.
    Camt086,
    /// Payment status report between banks.
    Pacs002,
    /// Credit transfer between banks.
    Pacs008,
    /// Question where a transfer stands.
    Pacs028,
    /// Payment return.
    Pacs004,
    /// None of these.
    Unknown,
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family())
    }
}

impl MessageKind {
    /// The message as the standard writes it, without version.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Pain001 => "pain.001",
            Self::Pain002 => "pain.002",
            Self::Camt052 => "camt.052",
            Self::Camt053 => "camt.053",
            Self::Camt054 => "camt.054",
            Self::Camt029 => "camt.029",
            Self::Camt055 => "camt.055",
            Self::Camt056 => "camt.056",
            Self::Camt086 => "camt.086",
            Self::Pacs002 => "pacs.002",
            Self::Pacs008 => "pacs.008",
            Self::Pacs028 => "pacs.028",
            Self::Pacs004 => "pacs.004",
            Self::Unknown => "unknown",
        }
    }
}

/// A group's or transaction's status (external code sets `ExternalPayment…Status1Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// Received.
    Rcvd,
    /// Technical validation passed.
    Actc,
    /// Customer profile accepted.
    Accp,
    /// Settlement in process.
    Acsp,
    /// Settled on the debtor's account.
    Acsc,
    /// Settled on the creditor's account.
    Accc,
    /// Accepted with a change.
    Acwc,
    /// Pending.
    Pdng,
    /// Partly accepted (groups only).
    Part,
    /// Rejected.
    Rjct,
    /// Cancelled.
    Canc,
    /// Accepted without posting.
    Acwp,
    /// Funds checked.
    Acfc,
    /// Partly authorised.
    Patc,
    /// Any other code.
    Other(ShortCode),
}

/// Longest code that is kept whole: what is not of the standard's four letters is shown to a person as it was sent.
const SHORT_CODE_MAX: usize = 20;

/// A code of a few ASCII characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ShortCode([u8; SHORT_CODE_MAX]);

impl ShortCode {
    /// No code.
    pub const EMPTY: Self = Self([0; SHORT_CODE_MAX]);

    /// The first characters of a text; what is not ASCII becomes `?`.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; SHORT_CODE_MAX];
        for (slot, c) in bytes.iter_mut().zip(text.chars()) {
            *slot = if c.is_ascii_graphic() { c as u8 } else { b'?' };
        }
        Self(bytes)
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(SHORT_CODE_MAX);
        std::str::from_utf8(&self.0[..len]).expect("a short code holds ASCII")
    }
}

impl fmt::Debug for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl StatusCode {
    /// No status: what a transaction that states none carries.
    pub const NONE: Self = Self::Other(ShortCode::EMPTY);

    const NAMED: [(Self, &'static str); 14] = [
        (Self::Acsc, "ACSC"),
        (Self::Rjct, "RJCT"),
        (Self::Acsp, "ACSP"),
        (Self::Accp, "ACCP"),
        (Self::Actc, "ACTC"),
        (Self::Accc, "ACCC"),
        (Self::Rcvd, "RCVD"),
        (Self::Acwc, "ACWC"),
        (Self::Pdng, "PDNG"),
        (Self::Part, "PART"),
        (Self::Canc, "CANC"),
        (Self::Acwp, "ACWP"),
        (Self::Acfc, "ACFC"),
        (Self::Patc, "PATC"),
    ];

    /// Reads a code; one that is not named here is kept as its first characters.
    pub fn parse(text: &str) -> Self {
        Self::NAMED
            .iter()
            .find(|(_, name)| *name == text)
            .map_or_else(|| Self::Other(ShortCode::new(text)), |(code, _)| *code)
    }

    /// The code's text, empty for [`StatusCode::NONE`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(code) => code.as_str(),
            named => Self::NAMED
                .iter()
                .find(|(code, _)| code == named)
                .map(|(_, name)| *name)
                .expect("every named status is in the table"),
        }
    }
}

/// The group header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageHeader {
    /// Message id, at most 35 characters.
    pub msg_id: String,
    /// When the message was made; a time without offset is taken as UTC.
    pub created: Option<OffsetDateTime>,
}

/// What makes one entry unusable, while the file goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: field `{field}` is unusable")]
pub struct EntryFault {
    /// The entry's place among its like in the file, from 1.
    pub index: u64,
    /// The element.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not there, or empty.
    #[error("it is missing")]
    Missing,
    /// Not an amount in whole centimes.
    #[error("it is not an amount")]
    Amount(#[source] MoneyError),
    /// An amount below zero: the sign belongs in the credit/debit indicator.
    #[error("the amount is negative")]
    Negative,
    /// Not one of the codes the standard has.
    #[error("the code is unknown")]
    UnknownCode,
}

/// Reads an ISO date, or the date of an ISO date and time.
pub fn parse_date(text: &str) -> Option<Date> {
    let b = text.as_bytes();
    if b.len() < 10 || b[4] != b'-' || b[7] != b'-' || b.get(10).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let month = Month::try_from(digits(&b[5..7])? as u8).ok()?;
    Date::from_calendar_date(i32::from(digits(&b[..4])?), month, digits(&b[8..10])? as u8).ok()
}

/// Reads an ISO date and time; fractions of a second are dropped, a missing offset is UTC.
pub fn parse_instant(text: &str) -> Option<OffsetDateTime> {
    let date = parse_date(text)?;
    let b = text.as_bytes();
    if b.len() < 19 || b[10] != b'T' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let part = |at: usize| digits(&b[at..at + 2]).map(|v| v as u8);
    let time = Time::from_hms(part(11)?, part(14)?, part(17)?).ok()?;
    let mut rest = &b[19..];
    if let Some((b'.', fraction)) = rest.split_first() {
        rest = &fraction[fraction.iter().take_while(|b| b.is_ascii_digit()).count()..];
    }
    let offset = match rest {
        [] | b"Z" => UtcOffset::UTC,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])? as i8, digits(&[*m1, *m2])? as i8);
            let sign = if *sign == b'-' { -1 } else { 1 };
            UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?
        }
        _ => return None,
    };
    Some(date.with_time(time).assume_offset(offset))
}

/// At most four digits as a number.
fn digits(bytes: &[u8]) -> Option<u16> {
    bytes.iter().try_fold(0u16, |v, b| b.is_ascii_digit().then(|| v * 10 + u16::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn dates_and_instants_are_read() {
        assert_eq!(parse_date("2026-11-22"), Some(date!(2026 - 11 - 22)));
        assert_eq!(parse_date("2026-11-22+01:00"), Some(date!(2026 - 11 - 22)));
        for text in ["", "2026-13-01", "2026-02-30", "22/11/2026", "2026-11-221", "é026-11-22"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for (text, expected) in [
            ("2026-11-22T10:00:00Z", Some(datetime!(2026-11-22 10:00:00 UTC))),
            ("2026-11-22T10:00:00", Some(datetime!(2026-11-22 10:00:00 UTC))),
            ("2026-11-22T10:00:00.123+01:00", Some(datetime!(2026-11-22 10:00:00 +1))),
            ("2026-11-22T10:00:00-00:30", Some(datetime!(2026-11-22 10:00:00 -00:30))),
            ("2026-11-22", None),
            ("2026-11-22T25:00:00", None),
            ("2026-11-22T10:00:00+1", None),
        ] {
            assert_eq!(parse_instant(text), expected, "{text}");
        }
    }

    #[test]
    fn status_codes_go_both_ways() {
        for (code, name) in StatusCode::NAMED {
            assert_eq!((StatusCode::parse(name), code.as_str()), (code, name));
        }
        assert_eq!(StatusCode::parse("XYZ").as_str(), "XYZ");
        assert_eq!(StatusCode::parse("REJETÉ").as_str(), "REJET?");
        assert_eq!(StatusCode::parse(""), StatusCode::NONE);
    }
}
