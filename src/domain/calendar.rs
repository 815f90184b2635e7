//! Bank business days: weekends, civil holidays, and religious holidays that move.
//!
//! - **Input**: the text of one `config/calendars/*.toml` file; reading the file is the caller's.
//! - **Output**: whether a day is a business day, the next one, and the value date of an instruction.
//! - **Guarantee**: a year whose moving holidays are not listed is an error that names it, never a guess.
//! - **Limit**: moving holidays marked `expected` are calculated; they may move by a day with the sighting of the moon.

use crate::domain::hint::{Hint, NextStep};
use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use time::macros::format_description;
use time::{Date, Month, PrimitiveDateTime, Time, Weekday};

/// Why a calendar cannot be read, or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    /// Not TOML, a key that is unknown or missing, or a value of the wrong form.
    #[error("calendar file is not well formed")]
    Form(#[from] Box<toml::de::Error>),
    /// A setting that cannot be.
    #[error("calendar key `{key}`: {problem}")]
    Setting {
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The moving holidays of this year are not listed.
    #[error("calendar does not list the moving holidays of `{year}`")]
    YearNotCovered {
        /// The year to add.
        year: i32,
    },
}

impl Hint for CalendarError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Form(_) | Self::Setting { .. } => {
                "correct the calendar file; `sarf config check` reads it all again".into()
            }
            Self::YearNotCovered { .. } => "add the year's holidays to the calendar file".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(CalendarError {
    Self::Form(_) => Self::Form(Box::new(toml::from_str::<toml::Table>("=").expect_err("no table"))),
    Self::Setting { .. } => Self::Setting { key: "zone", problem: "is missing" },
    Self::YearNotCovered { .. } => Self::YearNotCovered { year: 2031 },
});

/// A holiday of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// What it is called.
    pub name: Box<str>,
    /// Calculated, and not announced yet: it may move by a day.
    pub expected: bool,
}

/// The business days of the years that it covers. Made only by [`Calendar::from_toml`].
#[derive(Clone, Debug)]
pub struct Calendar {
    weekend: Vec<Weekday>,
    years: BTreeSet<i32>,
    holidays: BTreeMap<Date, Holiday>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    weekend: Vec<WeekdayName>,
    fixed: Vec<Fixed>,
    moving: Vec<MovingYear>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WeekdayName {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    month: u8,
    day: u8,
    name: Box<str>,
    from_year: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovingYear {
    year: i32,
    holidays: Vec<Moving>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moving {
    #[serde(deserialize_with = "date")]
    date: Date,
    days: u8,
    name: Box<str>,
    #[serde(default)]
    expected: bool,
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    Date::parse(&text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| D::Error::custom(format!("`{text}` is not a date of the form YYYY-MM-DD")))
}

impl From<WeekdayName> for Weekday {
    fn from(name: WeekdayName) -> Self {
        Self::Monday.nth_next(name as u8)
    }
}

impl Calendar {
    /// Reads and checks a calendar.
    ///
    /// # Errors
    /// See [`CalendarError`].
    pub fn from_toml(text: &str) -> Result<Self, CalendarError> {
        let file: CalendarFile = toml::from_str(text).map_err(Box::new)?;
        let refuse = |key, problem| Err(CalendarError::Setting { key, problem });
        let weekend: Vec<Weekday> = file.weekend.iter().map(|w| (*w).into()).collect();
        if weekend.iter().map(|w| w.number_from_monday()).collect::<BTreeSet<_>>().len() > 6 {
            return refuse("weekend", "leaves no business day");
        }
        let (mut years, mut holidays) = (BTreeSet::new(), BTreeMap::new());
        for entry in &file.moving {
            if !(2000..2200).contains(&entry.year) || !years.insert(entry.year) {
                return refuse("moving.year", "is out of range or listed twice");
            }
            for fixed in file.fixed.iter().filter(|f| f.from_year.is_none_or(|y| y <= entry.year)) {
                let month = Month::try_from(fixed.month).ok();
                let day = month.and_then(|m| Date::from_calendar_date(entry.year, m, fixed.day).ok());
                let Some(day) = day else { return refuse("fixed", "is not a day of the year") };
                holidays.insert(day, Holiday { name: fixed.name.clone(), expected: false });
            }
        }
        for pair in file.moving.windows(2) {
            if pair[0].year >= pair[1].year {
                return refuse("moving.year", "is not after the one before it: list the years in order");
            }
        }
        for entry in &file.moving {
            let mut free_from = Date::MIN;
            for moving in &entry.holidays {
                if moving.date < free_from {
                    return refuse(
                        "moving.holidays.date",
                        "is not after the one before it: list the days in order",
                    );
                }
                free_from = moving.date.saturating_add(time::Duration::days(i64::from(moving.days)));
                if moving.date.year() != entry.year {
                    return refuse("moving.holidays.date", "is not in the year it is listed under");
                }
                if !(1..=7).contains(&moving.days) {
                    return refuse("moving.holidays.days", "must be 1 to 7");
                }
                let days = std::iter::successors(Some(moving.date), |d| d.next_day());
                for day in days.take(usize::from(moving.days)) {
                    // A civil holiday is certain, whatever the moon does on the same day.
                    let holiday = Holiday { name: moving.name.clone(), expected: moving.expected };
                    holidays.entry(day).or_insert(holiday);
                }
            }
        }
        Ok(Self { weekend, years, holidays })
    }

    /// Whether the moving holidays of a year are listed.
    pub fn covers(&self, year: i32) -> bool {
        self.years.contains(&year)
    }

    /// The holiday on a day, where there is one.
    pub fn holiday(&self, day: Date) -> Option<&Holiday> {
        self.holidays.get(&day)
    }

    /// Whether banks settle on a day.
    ///
    /// # Errors
    /// When the year is not covered.
    pub fn is_business_day(&self, day: Date) -> Result<bool, CalendarError> {
        if !self.covers(day.year()) {
            return Err(CalendarError::YearNotCovered { year: day.year() });
        }
        Ok(!self.weekend.contains(&day.weekday()) && !self.holidays.contains_key(&day))
    }

    /// The day itself if it is a business day, otherwise the next one.
    ///
    /// # Errors
    /// When the search reaches a year that is not covered.
    pub fn next_business_day_on_or_after(&self, day: Date) -> Result<Date, CalendarError> {
        let mut day = day;
        while !self.is_business_day(day)? {
            day = day.next_day().ok_or(CalendarError::YearNotCovered { year: day.year() + 1 })?;
        }
        Ok(day)
    }

    /// The `count`-th business day after a day; with 0, the day itself or the next business day.
    ///
    /// # Errors
    /// When the search reaches a year that is not covered.
    pub fn add_business_days(&self, day: Date, count: u8) -> Result<Date, CalendarError> {
        if count == 0 {
            return self.next_business_day_on_or_after(day);
        }
        (0..count).try_fold(day, |day, _| {
            let next = day.next_day().ok_or(CalendarError::YearNotCovered { year: day.year() + 1 })?;
            self.next_business_day_on_or_after(next)
        })
    }

    /// The value date of an instruction given at `now` (local time): the day it counts as given, and `lead_days`
    /// business days on. Given after the cutoff (not at it), or not on a business day, it counts as given on the next.
    ///
    /// # Errors
    /// When the search reaches a year that is not covered.
    pub fn value_date(
        &self,
        now: PrimitiveDateTime,
        cutoff: Time,
        lead_days: u8,
    ) -> Result<Date, CalendarError> {
        let today = now.date();
        let late = now.time() > cutoff && self.is_business_day(today)?;
        let given = self.add_business_days(today, u8::from(late))?;
        self.add_business_days(given, lead_days)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime, time};

    use super::*;

    fn morocco() -> Calendar {
        Calendar::from_toml(include_str!("../../config/calendars/morocco.toml")).unwrap()
    }

    #[test]
    fn business_days_of_morocco() {
        for (day, expected) in [
            (date!(2025 - 11 - 17), true),
            (date!(2025 - 11 - 18), false),
            (date!(2025 - 11 - 22), false),
            (date!(2024 - 01 - 11), false),
            (date!(2024 - 04 - 11), false),
            (date!(2024 - 04 - 12), true),
            // Amazigh new year since 2024 and Unity day since 2025.
            (date!(2027 - 01 - 14), false),
            (date!(2024 - 10 - 31), true),
            (date!(2025 - 10 - 31), false),
        ] {
            assert_eq!(morocco().is_business_day(day).unwrap(), expected, "{day}");
        }
        assert!(morocco().holiday(date!(2026 - 05 - 28)).is_some_and(|h| h.expected));
        assert!(morocco().holiday(date!(2025 - 06 - 27)).is_some_and(|h| !h.expected));
    }

    #[test]
    fn value_dates_respect_cutoff_weekend_and_holidays() {
        let cutoff = time!(15:00);
        for (now, lead, expected) in [
            (datetime!(2025-11-13 15:00), 0, date!(2025 - 11 - 13)),
            (datetime!(2025-11-13 15:00:01), 0, date!(2025 - 11 - 14)),
            (datetime!(2025-11-14 16:00), 0, date!(2025 - 11 - 17)),
            (datetime!(2025-11-15 09:00), 0, date!(2025 - 11 - 17)),
            // On a day without business the cutoff plays no part.
            (datetime!(2025-11-15 23:00), 0, date!(2025 - 11 - 17)),
            (datetime!(2025-11-14 09:00), 1, date!(2025 - 11 - 17)),
            (datetime!(2025-11-17 09:00), 1, date!(2025 - 11 - 19)),
            (datetime!(2025-11-17 16:00), 2, date!(2025 - 11 - 21)),
            (datetime!(2025-12-31 16:00), 0, date!(2026 - 01 - 02)),
        ] {
            assert_eq!(morocco().value_date(now, cutoff, lead).unwrap(), expected, "{now} + {lead}");
        }
    }

    #[test]
    fn a_year_not_listed_is_an_error_that_names_it() {
        assert!(morocco().covers(2028) && !morocco().covers(2029));
        let error = morocco().value_date(datetime!(2028-12-29 16:00), time!(15:00), 0).unwrap_err();
        assert!(matches!(error, CalendarError::YearNotCovered { year: 2029 }), "{error}");
        assert!(morocco().is_business_day(date!(2022 - 06 - 01)).is_err());
    }

    #[test]
    fn bad_calendars_are_refused() {
        let with = |weekend: &str, fixed: &str, moving: &str| {
            Calendar::from_toml(&format!("weekend = [{weekend}]\nfixed = [{fixed}]\nmoving = [{moving}]"))
        };
        let year = "{ year = 2026, holidays = [] }";
        assert!(with("\"sunday\"", "", year).is_ok());
        for (weekend, fixed, moving, why) in [
            ("\"someday\"", "", year, "unknown day"),
            ("", "{ month = 2, day = 30, name = \"x\" }", year, "no such day"),
            ("", "{ month = 2, day = 3, name = \"x\", colour = 1 }", year, "unknown key"),
            ("", "", "{ year = 2026, holidays = [] }, { year = 2026, holidays = [] }", "year twice"),
            (
                "",
                "",
                "{ year = 2026, holidays = [{ date = \"2025-01-01\", days = 1, name = \"x\" }] }",
                "other year",
            ),
            (
                "",
                "",
                "{ year = 2026, holidays = [{ date = \"2026-01-01\", days = 0, name = \"x\" }] }",
                "no days",
            ),
        ] {
            assert!(with(weekend, fixed, moving).is_err(), "{why}");
        }
    }
}
