//! What banks, institutions and the registry owe us, and by when: acknowledgements, statements, settlement files, lists.
//!
//! - **Input**: the deadlines that are agreed, the calendar, and how far each has come.
//! - **Output**: what is awaited, each with the moment it is due; what is late is late by `due`.
//! - **Guarantee**: pure; a day that is no business day asks for nothing. Limit: at most [`DAYS_MAX`] days of one provider are
//!   named, the latest ones.

use serde::Deserialize;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use super::calendar::{Calendar, CalendarError};
use super::listed::listed;

/// Days that are named of one provider and message.
pub const DAYS_MAX: usize = 30;

listed! {
    /// What is awaited.
    Awaited {
        /// A bank's answer to a file.
        Acknowledgement = "acknowledgement",
        /// An account statement of a day.
        Statement = "statement",
        /// A settlement file of an institution that pays out.
        Settlement = "settlement",
        /// The month's list of a programme.
        Snapshot = "snapshot",
    }
}

/// By when: so many business days after the day that it is counted from, at a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// Business days after; 0: the same day, where it is one.
    pub business_days: u8,
    /// Local time of that day.
    #[serde(deserialize_with = "read_time")]
    pub by: Time,
}

/// By which day of its month a list is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonthDeadline {
    /// Day of the month.
    pub day: u8,
    /// Local time of that day.
    #[serde(deserialize_with = "read_time")]
    pub by: Time,
}

/// What is agreed; what is left out is not awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// A bank's answer, after the day on which a file left.
    pub acknowledgement: Option<Deadline>,
    /// A statement, after each business day on which money of ours was on its way.
    pub statement: Option<Deadline>,
    /// A settlement file, after each business day on which orders were at hand.
    pub settlement: Option<Deadline>,
    /// The list of a month.
    pub snapshot: Option<MonthDeadline>,
}

impl Deadlines {
    /// These, where they say something, else `general`.
    pub fn or(self, general: Self) -> Self {
        Self {
            acknowledgement: self.acknowledgement.or(general.acknowledgement),
            statement: self.statement.or(general.statement),
            settlement: self.settlement.or(general.settlement),
            snapshot: self.snapshot.or(general.snapshot),
        }
    }
}

fn read_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    Time::parse(&text, time::macros::format_description!("[hour]:[minute]"))
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time of the form HH:MM")))
}

/// Where and when it is.
#[derive(Clone, Copy, Debug)]
pub struct Now<'c> {
    /// Business days.
    pub calendar: &'c Calendar,
    /// Local time is UTC and this.
    pub offset: UtcOffset,
    /// The moment.
    pub now: OffsetDateTime,
}

impl Now<'_> {
    fn today(&self) -> Date {
        self.now.to_offset(self.offset).date()
    }

    fn at(&self, day: Date, time: Time) -> OffsetDateTime {
        day.with_time(time).assume_offset(self.offset)
    }

    /// When something is due that is counted from a moment.
    ///
    /// # Errors
    /// When the calendar ends before.
    pub fn due(&self, deadline: Deadline, from: OffsetDateTime) -> Result<OffsetDateTime, CalendarError> {
        let day = from.to_offset(self.offset).date();
        Ok(self.at(self.calendar.add_business_days(day, deadline.business_days)?, deadline.by))
    }

    /// The business days from `first` on, up to yesterday, that nothing has come for since `covered`, each with when it was due.
    ///
    /// # Errors
    /// When the calendar ends before.
    pub fn days_missing(
        &self,
        deadline: Deadline,
        first: Date,
        covered: Option<Date>,
    ) -> Result<Vec<(Date, OffsetDateTime)>, CalendarError> {
        let after = covered.and_then(Date::next_day).unwrap_or(first);
        let (mut day, today, mut missing) = (first.max(after), self.today(), Vec::new());
        while day < today {
            if self.calendar.is_business_day(day)? {
                let due = self.calendar.add_business_days(day, deadline.business_days)?;
                missing.push((day, self.at(due, deadline.by)));
            }
            let Some(next) = day.next_day() else { break };
            day = next;
        }
        Ok(missing.split_off(missing.len().saturating_sub(DAYS_MAX)))
    }

    /// When the list of the month at hand is due.
    pub fn list_due(&self, deadline: MonthDeadline) -> OffsetDateTime {
        let today = self.today();
        let day = deadline.day.clamp(1, today.month().length(today.year()));
        self.at(today.replace_day(day).expect("a day of the month"), deadline.by)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime, offset, time};

    use super::*;

    fn calendar() -> Calendar {
        Calendar::from_toml(include_str!("../../config/calendars/morocco.toml")).unwrap()
    }

    fn at(calendar: &Calendar, now: OffsetDateTime) -> Now<'_> {
        Now { calendar, offset: offset!(+1), now }
    }

    #[test]
    fn due_days_are_business_days() {
        let calendar = calendar();
        let now = at(&calendar, datetime!(2026-11-24 09:00 +1));
        let next_noon = Deadline { business_days: 1, by: time!(12:00) };
        for (sent, due) in [
            (datetime!(2026-11-24 10:00 +1), datetime!(2026-11-25 12:00 +1)),
            // Friday: Monday.
            (datetime!(2026-11-27 10:00 +1), datetime!(2026-11-30 12:00 +1)),
            // Late in the evening of UTC it is the next day here.
            (datetime!(2026-11-24 23:30 UTC), datetime!(2026-11-26 12:00 +1)),
        ] {
            assert_eq!(now.due(next_noon, sent).unwrap(), due, "{sent}");
        }
    }

    #[test]
    fn days_without_a_statement_are_named_once_they_are_over() {
        let calendar = calendar();
        let now = at(&calendar, datetime!(2026-11-26 08:00 +1));
        let morning = Deadline { business_days: 1, by: time!(9:00) };
        let days = |first, covered| -> Vec<Date> {
            now.days_missing(morning, first, covered).unwrap().into_iter().map(|(day, _)| day).collect()
        };
        assert_eq!(days(date!(2026 - 11 - 24), None), [date!(2026 - 11 - 24), date!(2026 - 11 - 25)]);
        assert_eq!(days(date!(2026 - 11 - 24), Some(date!(2026 - 11 - 24))), [date!(2026 - 11 - 25)]);
        assert_eq!(days(date!(2026 - 11 - 24), Some(date!(2026 - 11 - 25))), []);
        assert_eq!(days(date!(2026 - 11 - 26), None), [], "today is not over");
        // Over a weekend.
        let due = now.days_missing(morning, date!(2026 - 11 - 20), Some(date!(2026 - 11 - 19))).unwrap();
        assert_eq!(due[0], (date!(2026 - 11 - 20), datetime!(2026-11-23 09:00 +1)));
        assert_eq!(due[1].0, date!(2026 - 11 - 23));
        assert_eq!(days(date!(2026 - 01 - 01), None).len(), DAYS_MAX, "the latest ones");
    }

    #[test]
    fn a_list_is_due_on_a_day_of_its_month() {
        let calendar = calendar();
        let now = at(&calendar, datetime!(2026-02-10 08:00 +1));
        let due = |day| now.list_due(MonthDeadline { day, by: time!(18:00) });
        assert_eq!(due(20), datetime!(2026-02-20 18:00 +1));
        assert_eq!(due(31), datetime!(2026-02-28 18:00 +1));
    }
}
