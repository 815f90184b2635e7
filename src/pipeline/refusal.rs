//! Why a person's command on a run is refused, and what is asked before it is not.

use crate::domain::ids::RunId;
use crate::domain::run::{RunEvent, RunState};
use crate::store::StoreError;
use crate::store::access::operators::{self, Operator, Role};
use crate::store::runs::{self, Run};

/// Why a person's command on a run is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such run.
    #[error("run `{0}` is not known")]
    NoRun(RunId),
    /// No such person, or no longer active.
    #[error("operator `{0}` is not known")]
    NoOperator(String),
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
        "operator `{0}` has acted on this run before: preparer, approver and accountant are three people"
    )]
    SamePerson(String),
    /// The run is not where this can be done.
    #[error("run `{run}` is {state}: this cannot follow")]
    WrongState {
        /// Which run.
        run: RunId,
        /// Where it stands.
        state: RunState,
    },
    /// Rows are not as they were written.
    #[error("rows of run `{run}` are not as they were written: {rows}")]
    Altered {
        /// Which run.
        run: RunId,
        /// The first of them, and how many more.
        rows: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Finds a run and keeps others from moving it.
pub(crate) async fn locked_run(connection: &mut sqlx::PgConnection, id: RunId) -> Result<Run, Refusal> {
    runs::find_in_tx(connection, id, true).await?.ok_or(Refusal::NoRun(id))
}

/// Finds an active person with a role.
pub(crate) async fn person(
    connection: &mut sqlx::PgConnection,
    name: &str,
    needs: Role,
) -> Result<Operator, Refusal> {
    let operator = operators::active_in_tx(connection, name)
        .await?
        .ok_or_else(|| Refusal::NoOperator(name.to_owned()))?;
    if operator.role != needs {
        return Err(Refusal::WrongRole { name: operator.name, has: operator.role, needs });
    }
    Ok(operator)
}

/// The state that follows, or the refusal that says why none does.
pub(crate) fn next_state(run: &Run, event: RunEvent) -> Result<RunState, Refusal> {
    run.state.after(event).ok_or(Refusal::WrongState { run: run.id, state: run.state })
}
