//! Why a person's command on a run is refused, and what is asked before it is not.

use std::fmt;

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{BreakId, RunId};
use crate::domain::not_found::{Entity, NotFound};
use crate::domain::run::{RunEvent, RunState};
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::access::operators::{self, Operator, Role};
use crate::store::runs::{self, Run};

/// Why a person's command on a run is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What the command names is not there.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The person has another role.
    #[error("operator `{name}` is {has}, and only the {needs} may do this")]
    WrongRole {
        /// Who.
        name: String,
        /// Their role.
        has: Role,
        /// The role asked for.
        needs: Role,
    },
    /// The person already acted on the other side.
    #[error(
        "operator `{0}` has acted on this run before: preparer, approver and accountant must be three people"
    )]
    SamePerson(String),
    /// The run is not where this can be done.
    #[error("run `{run}` cannot be {step}: it is {state}")]
    WrongState {
        /// Which run.
        run: RunId,
        /// What was to be done with it, as a participle.
        step: &'static str,
        /// Where it stands.
        state: RunState,
    },
    /// Rows are not as they were written.
    #[error("rows of run `{run}` were changed by hand: {rows}")]
    Altered {
        /// Which run.
        run: RunId,
        /// The first of them, and how many more.
        rows: String,
    },
    /// Nothing new is approved on this day.
    #[error("nothing new is approved until {until}: {why}")]
    Frozen {
        /// The last such day.
        until: time::Date,
        /// Why.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// That there is none of that name or number.
    pub(crate) fn not_found(what: Entity, id: impl fmt::Display) -> Self {
        Self::NotFound(what.not_found(id))
    }
}

/// The next step where a break must be decided first: whether the claim of an order was paid.
pub(crate) const DECIDE_THE_BREAK: &str = "ask the bank or provider, then resolve the break: see `sarf breaks list`; a file that was debited above its sum gets its break by `sarf reconcile`";

/// The next step where a break must be resolved first: who is to be paid.
pub(crate) fn resolve_the_doubt(break_id: BreakId) -> NextStep {
    format!("once it is known who is to be paid: sarf breaks resolve {break_id} --why \"…\" --as ACCOUNTANT")
        .into()
}

impl Hint for Refusal {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::NotFound(e) => return e.hint(),
            Self::WrongRole { .. } | Self::SamePerson(_) => "another person must do this: --as NAME".into(),
            Self::WrongState { run, .. } => format!("see where it stands: sarf run show {run}").into(),
            Self::Altered { .. } => {
                "let nothing leave, see `sarf verify`, and bring the rows back from a backup".into()
            }
            Self::Frozen { .. } => "approve it after that; what was approved before goes on".into(),
            Self::Store(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(Refusal {
    Self::NotFound(_) => Self::not_found(Entity::Run, 7),
    Self::WrongRole { .. } => {
        Self::WrongRole { name: "amina".into(), has: Role::Preparer, needs: Role::Approver }
    },
    Self::SamePerson(_) => Self::SamePerson("amina".into()),
    Self::WrongState { .. } => {
        Self::WrongState { run: RunId::new(7), step: RunEvent::Submit.done(), state: RunState::Funded }
    },
    Self::Altered { .. } => Self::Altered { run: RunId::new(7), rows: "order 1".into() },
    Self::Frozen { .. } => Self::Frozen { until: time::Date::MIN, why: "elections".into() },
    Self::Store(_) => Self::Store(StoreError::Corrupt("state of a run")),
});

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Finds a run and keeps others from moving it.
pub(crate) async fn locked_run(connection: &mut sqlx::PgConnection, id: RunId) -> Result<Run, Refusal> {
    runs::find_in_tx(connection, id, true).await?.ok_or_else(|| Refusal::not_found(Entity::Run, id))
}

/// Finds an active person with a role.
pub(crate) async fn person(
    connection: &mut sqlx::PgConnection,
    name: &str,
    needs: Role,
) -> Result<Operator, Refusal> {
    let operator = operators::active_in_tx(connection, name)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::Operator, name))?;
    if operator.role != needs {
        return Err(Refusal::WrongRole { name: operator.name, has: operator.role, needs });
    }
    Ok(operator)
}

/// The state that follows, or the refusal that says why none does.
pub(crate) fn next_state(run: &Run, event: RunEvent) -> Result<RunState, Refusal> {
    run.state.after(event).ok_or(Refusal::WrongState { run: run.id, step: event.done(), state: run.state })
}

/// Refuses on days on which nothing new is approved.
pub(crate) fn refuse_frozen(context: &Context) -> Result<(), Refusal> {
    let settings = &context.config.settings;
    let today = context.clock.now().to_offset(settings.calendar.utc_offset).date();
    match settings.decisions.freeze_on(today) {
        None => Ok(()),
        Some(freeze) => Err(Refusal::Frozen { until: freeze.to, why: freeze.why.clone() }),
    }
}
