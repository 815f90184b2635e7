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

/// What a statement is told apart by, beside its account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementName {
    /// The bank's id of it; empty where it gives none.
    pub reference: String,
    /// Its page, where it comes in pages.
    pub page: Option<u32>,
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
    /// When it was made.
    pub created: Option<Date>,
}

impl StatementName {
    /// Whether two statements of one account are one and the same: by reference and page, and by period, or the year where no
    /// period is stated, since banks begin again with the new year. What has no reference is never taken for another.
    pub fn is(&self, other: &Self) -> bool {
        let both = |a: Option<Date>, b: Option<Date>| a.zip(b);
        let period = match (both(self.from, self.to), both(other.from, other.to)) {
            (Some(one), Some(other)) => one == other,
            _ => self.year().zip(other.year()).is_none_or(|(one, other)| one == other),
        };
        !self.reference.is_empty()
            && self.reference == other.reference
            && self.page.unwrap_or(1) == other.page.unwrap_or(1)
            && period
    }

    fn year(&self) -> Option<i32> {
        self.to.or(self.from).or(self.created).map(Date::year)
    }
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

    #[test]
    fn a_statement_is_told_apart_by_reference_page_and_period() {
        let day = |text: &str| {
            let parts: Vec<u16> = text.split('-').map(|p| p.parse().unwrap()).collect();
            let month = time::Month::try_from(parts[1] as u8).unwrap();
            Date::from_calendar_date(parts[0].into(), month, parts[2] as u8).unwrap()
        };
        type Row<'a> = (&'a str, Option<u32>, Option<(&'a str, &'a str)>, Option<&'a str>);
        let name = |(reference, page, period, created): Row<'_>| StatementName {
            reference: reference.into(),
            page,
            from: period.map(|p| day(p.0)),
            to: period.map(|p| day(p.1)),
            created: created.map(day),
        };
        let november = Some(("2026-11-01", "2026-11-30"));
        let rows: [(Row<'_>, Row<'_>, bool); 11] = [
            (("S1", None, None, None), ("S1", None, None, None), true),
            (("S1", None, None, None), ("S2", None, None, None), false),
            (("", None, None, None), ("", None, None, None), false),
            (("S1", Some(1), None, None), ("S1", Some(2), None, None), false),
            (("S1", Some(2), None, None), ("S1", Some(2), None, None), true),
            (("S1", None, None, None), ("S1", Some(1), None, None), true),
            (("S1", None, november, None), ("S1", None, november, None), true),
            (("S1", None, november, None), ("S1", None, Some(("2026-10-01", "2026-10-31")), None), false),
            (("S1", None, None, Some("2026-01-05")), ("S1", None, None, Some("2025-01-05")), false),
            (("S1", None, None, Some("2026-01-05")), ("S1", None, None, Some("2026-02-05")), true),
            (("S1", None, november, None), ("S1", None, None, Some("2025-11-30")), false),
        ];
        for (one, other, same) in rows {
            assert_eq!(name(one).is(&name(other)), same, "{one:?} {other:?}");
            assert_eq!(name(other).is(&name(one)), same, "{other:?} {one:?}");
        }
    }

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
