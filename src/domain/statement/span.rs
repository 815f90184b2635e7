//! What an account statement covers, and when two of one account cover the same.

use time::Date;

use crate::domain::money::Centimes;

/// What a statement says it covers; each part only where it is stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementSpan {
    /// Its number.
    pub sequence: Option<i64>,
    /// First day.
    pub from: Option<Date>,
    /// Last day; many banks state the first day that it no longer covers.
    pub to: Option<Date>,
    /// Opening balance; below zero when overdrawn.
    pub opening: Option<Centimes>,
    /// Closing balance.
    pub closing: Option<Centimes>,
}

/// How two periods lie to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Days {
    Apart,
    /// They share one day, on which one may end and the other begin.
    Meet,
    Overlap,
}

impl StatementSpan {
    /// Whether both statements cover the same: days within both periods; or, where the periods only meet, or are not
    /// stated and the numbers are one, movements from the same opening balance.
    ///
    /// Balances alone prove nothing: an account that is emptied each day opens with the same one for ever.
    pub fn overlaps(&self, other: &Self) -> bool {
        match self.days(other) {
            Some(Days::Overlap) => true,
            Some(Days::Meet) => self.starts_with(other),
            Some(Days::Apart) => false,
            None => self.sequence.is_some() && self.sequence == other.sequence && self.starts_with(other),
        }
    }

    fn days(&self, other: &Self) -> Option<Days> {
        let ((a, b), (c, d)) = ((self.from?, self.to?), (other.from?, other.to?));
        let (start, end) = (a.max(c), b.min(d));
        let within = |from, to| from < start && end < to;
        Some(match start.cmp(&end) {
            std::cmp::Ordering::Greater => Days::Apart,
            std::cmp::Ordering::Less => Days::Overlap,
            std::cmp::Ordering::Equal if within(a, b) || within(c, d) => Days::Overlap,
            std::cmp::Ordering::Equal => Days::Meet,
        })
    }

    fn starts_with(&self, other: &Self) -> bool {
        let moved = |s: &Self| s.opening.is_some() && s.closing.is_some() && s.opening != s.closing;
        self.opening == other.opening && moved(self) && moved(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of November, opening and closing balance, number.
    fn span(days: Option<(u8, u8)>, balances: Option<(u8, u8)>, sequence: i64) -> StatementSpan {
        let day = |d| Date::from_calendar_date(2026, time::Month::November, d).unwrap();
        StatementSpan {
            sequence: Some(sequence).filter(|s| *s > 0),
            from: days.map(|d| day(d.0)),
            to: days.map(|d| day(d.1)),
            opening: balances.map(|b| Centimes::new(b.0.into())),
            closing: balances.map(|b| Centimes::new(b.1.into())),
        }
    }

    #[test]
    fn only_what_is_covered_twice_overlaps() {
        let at = |from, to| Some((from, to));
        for (a, b, expected, why) in [
            (span(at(1, 2), None, 1), span(at(3, 4), None, 2), false, "one after the other"),
            (span(at(1, 3), None, 1), span(at(2, 4), None, 2), true, "two days twice"),
            (span(at(1, 9), None, 1), span(at(4, 4), None, 2), true, "a day within a week"),
            (span(at(1, 9), None, 1), span(at(1, 9), None, 2), true, "the same week"),
            (
                span(at(1, 2), at(5, 6), 1),
                span(at(2, 3), at(6, 7), 2),
                false,
                "one ends where the other begins",
            ),
            (span(at(1, 2), at(5, 6), 1), span(at(2, 2), at(5, 6), 2), true, "from the same balance"),
            (span(at(2, 2), at(5, 6), 1), span(at(2, 2), at(6, 9), 2), false, "two of one day"),
            (span(at(2, 2), at(5, 6), 1), span(at(2, 2), at(5, 7), 2), true, "one day over again"),
            (span(at(2, 2), at(5, 5), 1), span(at(2, 2), at(5, 7), 2), false, "the first moved nothing"),
            (span(at(1, 1), at(0, 6), 1), span(at(2, 2), at(0, 7), 2), false, "emptied each day"),
            (span(None, at(5, 6), 1), span(None, at(5, 7), 1), true, "number and balance"),
            (span(None, at(5, 6), 1), span(None, at(5, 7), 2), false, "balance alone"),
            (span(None, at(5, 6), 0), span(None, at(5, 7), 0), false, "without a number"),
            (span(None, None, 1), span(None, None, 1), false, "number alone"),
        ] {
            assert_eq!(a.overlaps(&b), expected, "{why}");
            assert_eq!(b.overlaps(&a), expected, "{why}, the other way round");
        }
    }
}
