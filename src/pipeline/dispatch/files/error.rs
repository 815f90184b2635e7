//! Why dispatch stopped, and what to do then.

use crate::domain::calendar::CalendarError;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::RunId;
use crate::pipeline::Refusal;
use crate::rails::bank_file::DeliveryError;
use crate::store::StoreError;
use crate::store::batches::exclusive::Holder;

/// Why dispatch stopped.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The run does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run is paused.
    #[error("run `{0}` is paused")]
    Paused(RunId),
    /// No value date can be given.
    #[error("the value date cannot be computed")]
    Calendar(#[from] CalendarError),
    /// A file could not be delivered.
    #[error("a file could not be delivered")]
    Delivery(#[from] DeliveryError),
    /// Another process dispatches the run.
    #[error("run `{run}` is being dispatched by {}{}", holder.who, since(holder))]
    Busy {
        /// Which run.
        run: RunId,
        /// By whom.
        holder: Holder,
    },
    /// The connection that kept others from dispatching the run is gone.
    #[error("the connection to the database was lost while run `{0}` was being dispatched")]
    Lost(RunId),
    /// Files that left are not whole, and cannot be written again.
    #[error("{} in the outbox are not whole, and their orders no longer give the bytes that were recorded", named(.0))]
    NotWhole(Vec<String>),
    /// A file that is to be written again lies in the outbox, or was answered.
    #[error("`{0}` is not a missing file of this run: it is in the outbox, or answered, or of another run")]
    NotMissing(String),
}

impl Hint for DispatchError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Paused(run) => format!("let it go on with `sarf run resume {run}`").into(),
            Self::Calendar(e) => return e.hint(),
            Self::Delivery(DeliveryError::Differs(_)) => {
                "the provider may have it: compare it with what was recorded before anything else is sent".into()
            }
            Self::Delivery(_) => {
                "start the command again: what was delivered stays, the rest is written anew".into()
            }
            Self::Busy { run, .. } => format!(
                "wait for it to end; then `sarf dispatch {run}` goes on with what is left, if anything is"
            )
            .into(),
            Self::Lost(_) => {
                "start the command again once the database answers: what was delivered stays, the rest is written anew"
                    .into()
            }
            Self::NotWhole(_) => {
                "the run's rows were changed after it left: `sarf verify` names them; ask the bank for the file that it has"
                    .into()
            }
            Self::NotMissing(_) => "`sarf dispatch RUN` names the files that are missing".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(DispatchError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Paused(_) => Self::Paused(RunId::new(7)),
    Self::Calendar(_) => Self::Calendar(CalendarError::YearNotCovered { year: 2031 }),
    Self::Delivery(_) => Self::Delivery(DeliveryError::Differs("a.xml".into())),
    Self::Busy { .. } => {
        Self::Busy { run: RunId::new(7), holder: Holder { who: "process 1".into(), since: None } }
    },
    Self::Lost(_) => Self::Lost(RunId::new(7)),
    Self::NotWhole(_) => Self::NotWhole(vec!["a.xml".into()]),
    Self::NotMissing(_) => Self::NotMissing("a.xml".into()),
});

fn since(holder: &Holder) -> String {
    holder.since.map_or_else(String::new, |at| {
        let (h, m, s) = at.to_offset(time::UtcOffset::UTC).to_hms();
        format!(" since {} {h:02}:{m:02}:{s:02} UTC", at.date())
    })
}

fn named(files: &[String]) -> String {
    files.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")
}

impl From<StoreError> for DispatchError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for DispatchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}
