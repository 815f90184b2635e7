//! What the commands themselves refuse, before the engine is asked.

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::RunId;
use crate::domain::run::RunState;

/// Why a command is refused.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Not the name of an order.
    #[error("`{0}` is neither an order number nor an end-to-end id")]
    NotAnOrder(String),
    /// Nothing was ever ordered for it.
    #[error("no order of `{0}`")]
    NoOrderOf(String),
    /// Neither orders nor cases.
    #[error("no order and no case of `{0}`")]
    NothingOf(String),
    /// Arguments of `sarf report` that do not belong together.
    #[error("name a run and a folder, or a list")]
    Report,
    /// Arguments of `sarf run create` that do not belong together.
    #[error(
        "a reissue is made of a programme, any other run of a snapshot; only a correction looks back over months"
    )]
    Create,
    /// Arguments of `sarf recovery open` that do not belong together.
    #[error("name an order, or a household with its month and programme")]
    Payment,
    /// The demo's month did not end as it should.
    #[error("run `{run}` is {state}, not closed")]
    NotClosed {
        /// Which.
        run: RunId,
        /// Where it stands.
        state: RunState,
    },
    /// A signal came.
    #[error("interrupted; what was committed stays, and the command can be started again")]
    Interrupted,
}

impl Hint for CliError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::NotAnOrder(_) => "find orders with `sarf order show HOUSEHOLD`".into(),
            Self::NoOrderOf(_) | Self::NothingOf(_) => {
                "compare the household's id with the registry's, or name an order by its end-to-end id".into()
            }
            Self::Report => {
                "for a run: sarf report RUN --out DIR; for the list: sarf report unclaimed --out FILE.csv".into()
            }
            Self::Create => {
                "sarf run create --snapshot ID --as NAME, or: sarf run create --kind reissue --programme CODE --as NAME"
                    .into()
            }
            Self::Payment => {
                "sarf recovery open --order ORDER, or: sarf recovery open --household ID --period YYYY-MM --programme CODE"
                    .into()
            }
            Self::NotClosed { run, .. } => format!("see what is left: sarf breaks list --run {run}").into(),
            Self::Interrupted => "start the command again: it goes on with what is left".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(CliError {
    Self::NotAnOrder(_) => Self::NotAnOrder("x".into()),
    Self::NoOrderOf(_) => Self::NoOrderOf("H-1".into()),
    Self::NothingOf(_) => Self::NothingOf("H-1".into()),
    Self::Report => Self::Report,
    Self::Create => Self::Create,
    Self::Payment => Self::Payment,
    Self::NotClosed { .. } => Self::NotClosed { run: RunId::new(7), state: RunState::Settling },
    Self::Interrupted => Self::Interrupted,
});
