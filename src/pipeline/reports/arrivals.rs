//! What has not come yet: each acknowledgement, statement, settlement file and list that is awaited, with when it is due.

use serde::Serialize;
use time::OffsetDateTime;

use crate::domain::arrivals::{Awaited, Deadlines, Now};
use crate::domain::calendar::CalendarError;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::period::Period;
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::messages::arrivals::{self, Covered};

/// One thing that is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// What.
    pub awaited: Awaited,
    /// Code of the provider that owes it, or of the programme whose list it is.
    pub from: String,
    /// The file that it answers, the day or the month that it is of.
    pub of: String,
    /// When it is due.
    #[serde(with = "time::serde::rfc3339")]
    pub due: OffsetDateTime,
    /// Whether that is over.
    pub late: bool,
}

/// Why it cannot be said what is awaited.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalsError {
    /// The calendar ends before.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for ArrivalsError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Calendar(e) => e.hint(),
            Self::Store(e) => e.hint(),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ArrivalsError {
    Self::Calendar(_) => Self::Calendar(CalendarError::YearNotCovered { year: 2031 }),
    Self::Store(_) => Self::Store(StoreError::Corrupt("statement")),
});

/// Everything that is awaited, what is due first before the rest.
///
/// # Errors
/// See [`ArrivalsError`].
pub async fn awaited(context: &Context) -> Result<Vec<Arrival>, ArrivalsError> {
    let (store, settings) = (&context.store, &context.config.settings);
    let offset = settings.calendar.utc_offset;
    let now = Now { calendar: &context.config.calendar, offset, now: context.clock.now() };
    let mut all = Vec::new();
    let mut add = |awaited, from: String, of: String, due| {
        all.push(Arrival { awaited, from, of, due, late: due < now.now });
    };
    for file in arrivals::unanswered_files(store).await? {
        if let Some(deadline) = deadlines(context, &file.provider).acknowledgement {
            let due = now.due(deadline, file.sent_at)?;
            add(Awaited::Acknowledgement, file.provider, file.file_name, due);
        }
    }
    let of_days = [
        (Awaited::Statement, arrivals::statements(store).await?),
        (Awaited::Settlement, arrivals::settlements(store, offset.whole_seconds()).await?),
    ];
    for (awaited, covered) in of_days {
        for Covered { provider, first, last } in covered {
            let agreed = deadlines(context, &provider);
            let deadline = if awaited == Awaited::Statement { agreed.statement } else { agreed.settlement };
            for (day, due) in deadline.map_or(Ok(Vec::new()), |d| now.days_missing(d, first, last))? {
                add(awaited, provider.clone(), day.to_string(), due);
            }
        }
    }
    if let Some(deadline) = settings.arrivals.snapshot {
        let today = now.now.to_offset(offset).date();
        let month = Period::new(today.year(), today.month().into());
        let month = month.map_err(|_| StoreError::Corrupt("month of the clock"))?;
        for code in arrivals::programmes_without_list(store, month).await? {
            let pays = context.config.programme(&code).is_some_and(|p| p.rules.pays_in(month));
            if pays {
                add(Awaited::Snapshot, code, month.to_string(), now.list_due(deadline));
            }
        }
    }
    all.sort_by(|a, b| (a.due, &a.from, &a.of).cmp(&(b.due, &b.from, &b.of)));
    Ok(all)
}

fn deadlines(context: &Context, provider: &str) -> Deadlines {
    let own = context.config.router.by_code(provider).map(|(_, provider)| provider.arrivals);
    own.unwrap_or_default().or(context.config.settings.arrivals)
}
