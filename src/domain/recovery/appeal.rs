//! A household's complaint against a case, and its appeal: a state machine over dates.
//!
//! | stage | who is to act | in how many days | while it waits |
//! |---|---|---|---|
//! | complaint | the programme replies | 30 | suspended |
//! | replied: the case was upheld | the household may appeal | 15 | suspended, until the time is over |
//! | appeal | the programme answers | 30 | suspended |
//! | decided | nobody | – | goes on |
//!
//! Guarantee: a day of the household's that is over ends its right; one of the programme's that is over ends nothing: the case
//! stays suspended, and is shown as overdue. A reply or an answer that grants the complaint wholly ends the case (withdrawn);
//! one that grants it in part reduces what is owed.
//! Limit: one complaint for each case; the answer to the appeal is the programme's last word. Days are calendar days, counted
//! from the day after (a complaint of 1 March is to be replied to by 31 March).

use crate::domain::hint::{Hint, NextStep};
use time::{Date, Duration};

use super::AppealStage;

/// Days for each of the three deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the programme to reply to a complaint.
    pub complaint_reply_days: u16,
    /// For the household to appeal.
    pub appeal_days: u16,
    /// For the programme to answer an appeal.
    pub appeal_answer_days: u16,
}

impl Deadlines {
    /// How long a stage lasts; `None` for the last.
    const fn of(self, stage: AppealStage) -> Option<u16> {
        match stage {
            AppealStage::Complaint => Some(self.complaint_reply_days),
            AppealStage::Replied => Some(self.appeal_days),
            AppealStage::Appeal => Some(self.appeal_answer_days),
            AppealStage::Decided => None,
        }
    }
}

/// Where a complaint stands, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Appeal {
    /// Stage.
    pub stage: AppealStage,
    /// Its first day.
    pub since: Date,
    /// The last day on which whoever is to act is in time.
    pub due: Option<Date>,
}

/// What happens to a complaint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppealEvent {
    /// The household complains.
    Complain,
    /// The programme's reply: the case stands, or is reduced in part.
    Reply,
    /// The household appeals.
    Appeal,
    /// The programme's answer, in whatever way.
    Answer,
    /// A reply that grants the complaint wholly.
    Grant,
}

/// Why an event cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppealFault {
    /// There is a complaint, or was.
    #[error("the household has complained before: its complaint stands at `{0}`")]
    Before(AppealStage),
    /// Nothing waits for it.
    #[error("{}", nothing_waits(*.0))]
    NothingWaits(AppealStage),
    /// The household's time is over.
    #[error("the time to appeal ended on {0}")]
    TooLate(Date),
    /// The event would lie before the stage it follows, or in the future.
    #[error("`{0}` is before the last step of the case, or in the future")]
    NotThen(Date),
}

/// By the stage that is asked for.
const fn nothing_waits(stage: AppealStage) -> &'static str {
    match stage {
        AppealStage::Complaint => "no complaint waits for a reply",
        AppealStage::Replied => "there is no reply that could be appealed against",
        AppealStage::Appeal | AppealStage::Decided => "no appeal waits for an answer",
    }
}

impl Hint for AppealFault {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Before(_) | Self::NothingWaits(_) | Self::TooLate(_) => {
                "see its complaint and the days with `sarf recovery show CASE`".into()
            }
            Self::NotThen(_) => "give the day it was lodged: --on YYYY-MM-DD".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(AppealFault {
    Self::Before(_) => Self::Before(AppealStage::Complaint),
    Self::NothingWaits(_) => Self::NothingWaits(AppealStage::Appeal),
    Self::TooLate(_) => Self::TooLate(Date::MIN),
    Self::NotThen(_) => Self::NotThen(Date::MIN),
});

impl Appeal {
    /// What follows an event on a day; `none` when there is no complaint yet.
    ///
    /// # Errors
    /// See [`AppealFault`].
    pub fn after(
        standing: Option<Self>,
        event: AppealEvent,
        on: Date,
        deadlines: Deadlines,
    ) -> Result<Self, AppealFault> {
        use AppealEvent as E;
        use AppealStage as S;
        if let Some(a) = standing
            && on < a.since
        {
            return Err(AppealFault::NotThen(on));
        }
        let to = |stage| {
            let days = deadlines.of(stage).map(|days| Duration::days(i64::from(days)));
            Self { stage, since: on, due: days.map(|days| on.checked_add(days).unwrap_or(Date::MAX)) }
        };
        match (standing.map(|a| (a.stage, a.due)), event) {
            (None, E::Complain) => Ok(to(S::Complaint)),
            (Some((stage, _)), E::Complain) => Err(AppealFault::Before(stage)),
            (Some((S::Complaint, _)), E::Reply) => Ok(to(S::Replied)),
            (Some((S::Complaint, _)), E::Grant) => Ok(to(S::Decided)),
            (_, E::Reply | E::Grant) => Err(AppealFault::NothingWaits(S::Complaint)),
            (Some((S::Replied, due)), E::Appeal) => match due {
                Some(due) if on > due => Err(AppealFault::TooLate(due)),
                _ => Ok(to(S::Appeal)),
            },
            (_, E::Appeal) => Err(AppealFault::NothingWaits(S::Replied)),
            (Some((S::Appeal, _)), E::Answer) => Ok(to(S::Decided)),
            (_, E::Answer) => Err(AppealFault::NothingWaits(S::Appeal)),
        }
    }

    /// Whether nothing is kept back on that day.
    pub fn suspended_on(&self, today: Date) -> bool {
        match self.stage {
            AppealStage::Complaint | AppealStage::Appeal => true,
            AppealStage::Replied => self.due.is_none_or(|due| today <= due),
            AppealStage::Decided => false,
        }
    }

    /// Whether the programme has let its own deadline pass.
    pub fn overdue_on(&self, today: Date) -> bool {
        matches!(self.stage, AppealStage::Complaint | AppealStage::Appeal)
            && self.due.is_some_and(|due| today > due)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    const DEADLINES: Deadlines =
        Deadlines { complaint_reply_days: 30, appeal_days: 15, appeal_answer_days: 30 };

    fn at(stage: AppealStage, since: Date) -> Appeal {
        let due = DEADLINES.of(stage).map(|days| since + Duration::days(i64::from(days)));
        Appeal { stage, since, due }
    }

    #[test]
    fn every_step_is_as_written() {
        use AppealEvent as E;
        use AppealStage as S;
        let events = [E::Complain, E::Reply, E::Grant, E::Appeal, E::Answer];
        let rows: [(Option<S>, &str); 5] = [
            // complain reply grant appeal answer; `-` cannot follow
            (None, "complaint - - - -"),
            (Some(S::Complaint), "- replied decided - -"),
            (Some(S::Replied), "- - - appeal -"),
            (Some(S::Appeal), "- - - - decided"),
            (Some(S::Decided), "- - - - -"),
        ];
        let day = date!(2026 - 03 - 01);
        for (from, row) in rows {
            let seen: Vec<&str> = events
                .into_iter()
                .map(|event| {
                    let next = Appeal::after(from.map(|stage| at(stage, day)), event, day, DEADLINES);
                    next.map_or("-", |a| a.stage.as_str())
                })
                .collect();
            assert_eq!(seen.join(" "), row, "{from:?}");
        }
    }

    #[test]
    fn deadlines_are_counted_from_the_day_after() {
        let day = date!(2026 - 03 - 01);
        let complaint = Appeal::after(None, AppealEvent::Complain, day, DEADLINES).unwrap();
        assert_eq!(complaint.due, Some(date!(2026 - 03 - 31)));
        let replied = Appeal::after(Some(complaint), AppealEvent::Reply, date!(2026 - 04 - 20), DEADLINES);
        assert_eq!(replied.unwrap().due, Some(date!(2026 - 05 - 05)), "a late reply counts from its own day");
        let last = Appeal::after(replied.ok(), AppealEvent::Appeal, date!(2026 - 05 - 05), DEADLINES);
        assert_eq!(last.unwrap().due, Some(date!(2026 - 06 - 04)));
        let late = Appeal::after(replied.ok(), AppealEvent::Appeal, date!(2026 - 05 - 06), DEADLINES);
        assert_eq!(late, Err(AppealFault::TooLate(date!(2026 - 05 - 05))));
        let before = Appeal::after(Some(complaint), AppealEvent::Reply, date!(2026 - 02 - 28), DEADLINES);
        assert_eq!(before, Err(AppealFault::NotThen(date!(2026 - 02 - 28))));
    }

    #[test]
    fn only_the_households_own_deadline_ends_the_suspension() {
        let day = date!(2026 - 03 - 01);
        for (stage, after_days, suspended, overdue) in [
            (AppealStage::Complaint, 0, true, false),
            (AppealStage::Complaint, 30, true, false),
            (AppealStage::Complaint, 31, true, true),
            (AppealStage::Complaint, 400, true, true),
            (AppealStage::Replied, 15, true, false),
            (AppealStage::Replied, 16, false, false),
            (AppealStage::Appeal, 30, true, false),
            (AppealStage::Appeal, 31, true, true),
            (AppealStage::Decided, 0, false, false),
            (AppealStage::Decided, 99, false, false),
        ] {
            let (appeal, today) = (at(stage, day), day + Duration::days(after_days));
            assert_eq!(appeal.suspended_on(today), suspended, "{stage} on day {after_days}");
            assert_eq!(appeal.overdue_on(today), overdue, "{stage} on day {after_days}");
        }
    }
}
