//! The month a payment is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Month};

/// A calendar month, from 2000-01 to 2199-12. Ordered in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: i32,
    month: u8,
}

/// Why a text is not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a period of the form YYYY-MM between 2000-01 and 2199-12")]
pub struct PeriodError;

impl Period {
    /// The month `month` (1 to 12) of `year`.
    ///
    /// # Errors
    /// Outside 2000-01 to 2199-12.
    pub fn new(year: i32, month: u8) -> Result<Self, PeriodError> {
        if (2000..2200).contains(&year) && (1..=12).contains(&month) {
            Ok(Self { year, month })
        } else {
            Err(PeriodError)
        }
    }

    /// The calendar year, which is the budget year.
    pub const fn year(self) -> i32 {
        self.year
    }

    /// 1 to 12.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Months since 2000-01: the database form, ordered in time.
    pub const fn index(self) -> i32 {
        (self.year - 2000) * 12 + self.month as i32 - 1
    }

    /// The period of an [`index`](Self::index).
    ///
    /// # Errors
    /// Outside 2000-01 to 2199-12.
    pub fn from_index(index: i32) -> Result<Self, PeriodError> {
        let month = u8::try_from(index.rem_euclid(12) + 1).map_err(|_| PeriodError)?;
        Self::new(2000 + index.div_euclid(12), month)
    }

    /// The month before; `None` at 2000-01.
    pub fn previous(self) -> Option<Self> {
        Self::from_index(self.index() - 1).ok()
    }

    /// The month after; `None` at 2199-12.
    pub fn next(self) -> Option<Self> {
        Self::from_index(self.index() + 1).ok()
    }

    /// First day of the month.
    pub fn first_day(self) -> Date {
        Date::from_calendar_date(self.year, self.time_month(), 1).expect("a period is a valid month")
    }

    /// Last day of the month.
    pub fn last_day(self) -> Date {
        let days = self.time_month().length(self.year);
        Date::from_calendar_date(self.year, self.time_month(), days).expect("a period is a valid month")
    }

    /// Four digits `YYMM`, for message and end-to-end ids.
    pub fn yymm(self) -> String {
        format!("{:02}{:02}", self.year % 100, self.month)
    }

    fn time_month(self) -> Month {
        Month::try_from(self.month).expect("a period holds a month of 1 to 12")
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}", self.year, self.month))
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Period {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            let part = bytes.get(range)?;
            part.iter()
                .all(u8::is_ascii_digit)
                .then(|| part.iter().fold(0, |v, b| v * 10 + u32::from(b - b'0')))
        };
        match (bytes.len(), bytes.get(4), digits(0..4), digits(5..7)) {
            (7, Some(b'-'), Some(year), Some(month)) => Self::new(year as i32, month as u8),
            _ => Err(PeriodError),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_walks_and_ends() {
        let p: Period = "2026-02".parse().unwrap();
        assert_eq!((p.to_string(), p.yymm()), ("2026-02".into(), "2602".into()));
        assert_eq!(p.last_day().day(), 28);
        assert_eq!(p.previous().unwrap().previous().unwrap().to_string(), "2025-12");
        assert_eq!(Period::from_index(p.index()), Ok(p));
        for bad in ["2026-13", "2026-00", "26-01", "2026/01", "2026-1", "1999-12", "+026-01", ""] {
            assert_eq!(bad.parse::<Period>(), Err(PeriodError), "{bad}");
        }
    }
}
