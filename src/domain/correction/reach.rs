//! How far back a list's late registrations reach.

use time::Date;

use crate::domain::period::Period;

/// Whether the months within which a child counts as registered late are whole ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// From the first day of the month that many before the list's.
    #[default]
    WholeMonths,
    /// From the day that many months before the last day of the list's month.
    Days,
}

impl Reach {
    /// The first date of birth that a list of a month, looking back so many months, takes for a late registration; `None`
    /// before the calendar of months begins.
    pub fn born_from(self, list: Period, months: u8) -> Option<Date> {
        let earliest = Period::from_index(list.index() - i32::from(months)).ok()?;
        match self {
            Self::WholeMonths => Some(earliest.first_day()),
            Self::Days => {
                let day = list.last_day().day().min(earliest.last_day().day());
                earliest.first_day().replace_day(day).ok()?.next_day()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn the_reach_is_of_whole_months_or_of_days() {
        for (list, months, whole, days) in [
            ("2026-11", 6, date!(2026 - 05 - 01), date!(2026 - 05 - 31)),
            ("2026-10", 6, date!(2026 - 04 - 01), date!(2026 - 05 - 01)),
            ("2026-08", 6, date!(2026 - 02 - 01), date!(2026 - 03 - 01)),
            ("2026-02", 6, date!(2025 - 08 - 01), date!(2025 - 08 - 29)),
            ("2026-01", 0, date!(2026 - 01 - 01), date!(2026 - 02 - 01)),
        ] {
            let list: Period = list.parse().expect("a month");
            assert_eq!(Reach::WholeMonths.born_from(list, months), Some(whole), "{list}");
            assert_eq!(Reach::Days.born_from(list, months), Some(days), "{list}");
        }
        assert_eq!(Reach::WholeMonths.born_from("2000-01".parse().expect("a month"), 6), None);
    }
}
