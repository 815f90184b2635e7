//! Runs: the head row, and kept totals to read: `store/books` alone moves them.

pub mod checks;
pub mod corrections;
pub mod day_runs;
pub mod decisions;
pub mod reissues;
pub mod restated;
pub mod rule_sets;
pub mod standing_approvals;

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::store::books::RunAt;
use crate::store::{Store, StoreError};

/// A run's head row.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    /// Number.
    pub id: RunId,
    /// Programme number.
    #[serde(skip)]
    pub programme_id: i16,
    /// Programme code.
    pub programme: String,
    /// Month it pays for.
    pub period: Period,
    /// Why it was made.
    pub kind: RunKind,
    /// Where it stands.
    pub state: RunState,
    /// Snapshot it was made from.
    pub snapshot: SnapshotId,
    /// The regular run it was compared with.
    pub compared_with: Option<RunId>,
    /// SHA-256 of the rules it was computed with.
    #[serde(skip)]
    pub rules_sha256: Vec<u8>,
    /// Households of the snapshot.
    pub households: i64,
    /// Orders made.
    pub orders: i64,
    /// Households excluded.
    pub exclusions: i64,
    /// Sum of what households are due.
    pub entitled: Centimes,
    /// Sum of the orders.
    pub ordered: Centimes,
    /// Who made it.
    pub created_by: String,
    /// Who put it before the approver.
    pub submitted_by: Option<String>,
    /// Who approved it first, where it takes two.
    pub first_approver: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Who funded it.
    pub funded_by: Option<String>,
    /// Hex SHA-256 of what was submitted.
    pub content_sha256: Option<String>,
    /// No file leaves while paused.
    pub paused: bool,
}

impl Run {
    /// The run at a provider.
    pub const fn at(&self, provider: i16) -> RunAt {
        RunAt { programme: self.programme_id, run: self.id, provider }
    }
}

type Row = (
    (i64, i16, String, i32, String, String, i64, Option<i64>),
    (Vec<u8>, i64, i64, i64, i64, i64),
    (String, Option<String>, Option<String>, Option<String>, Option<String>, bool, Option<String>),
);

const COLUMNS: &str =
    "r.id, r.programme_id, p.code, r.period, r.kind, r.state, r.snapshot_id, r.compared_with,
    r.rules_sha256, r.households, r.orders, r.exclusions, r.entitled, r.ordered,
    r.created_by, r.submitted_by, r.approved_by, r.funded_by, encode(r.content_sha256, 'hex'), r.paused, r.first_approver";

fn decode(row: &sqlx::postgres::PgRow) -> Result<Row, sqlx::Error> {
    use sqlx::Row as _;
    Ok((
        (
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
            row.try_get(4)?,
            row.try_get(5)?,
            row.try_get(6)?,
            row.try_get(7)?,
        ),
        (
            row.try_get(8)?,
            row.try_get(9)?,
            row.try_get(10)?,
            row.try_get(11)?,
            row.try_get(12)?,
            row.try_get(13)?,
        ),
        (
            row.try_get(14)?,
            row.try_get(15)?,
            row.try_get(16)?,
            row.try_get(17)?,
            row.try_get(18)?,
            row.try_get(19)?,
            row.try_get(20)?,
        ),
    ))
}

fn read(row: &sqlx::postgres::PgRow) -> Result<Run, StoreError> {
    let (head, figures, people) = decode(row)?;
    Ok(Run {
        id: RunId::new(head.0),
        programme_id: head.1,
        programme: head.2,
        period: Period::from_index(head.3).map_err(|_| StoreError::Corrupt("period"))?,
        kind: RunKind::parse(&head.4).ok_or(StoreError::Corrupt("run kind"))?,
        state: RunState::parse(&head.5).ok_or(StoreError::Corrupt("run state"))?,
        snapshot: SnapshotId::new(head.6),
        compared_with: head.7.map(RunId::new),
        rules_sha256: figures.0,
        households: figures.1,
        orders: figures.2,
        exclusions: figures.3,
        entitled: Centimes::new(figures.4),
        ordered: Centimes::new(figures.5),
        created_by: people.0,
        submitted_by: people.1,
        approved_by: people.2,
        funded_by: people.3,
        content_sha256: people.4,
        paused: people.5,
        first_approver: people.6,
    })
}

/// One run; with `lock`, nobody else moves it until the transaction ends.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    id: RunId,
    lock: bool,
) -> Result<Option<Run>, StoreError> {
    // Not a full update lock: that would wait for whoever refers to the run, and they for whoever moves its batches.
    let lock = if lock { " for no key update of r" } else { "" };
    let sql = format!(
        "select {COLUMNS} from run r join programme p on p.id = r.programme_id where r.id = $1{lock}"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(id.get())
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// All runs, newest first.
pub async fn list(store: &Store) -> Result<Vec<Run>, StoreError> {
    let sql =
        format!("select {COLUMNS} from run r join programme p on p.id = r.programme_id order by r.id desc");
    sqlx::query(AssertSqlSafe(sql)).fetch_all(store.pool()).await?.iter().map(read).collect()
}

/// Runs of programmes and a period that are not cancelled, reissues apart: what they pay again are claims of runs that
/// are among these in their own period. `but` is left out.
pub async fn live_of_period_in_tx(
    connection: &mut PgConnection,
    programmes: &[String],
    period: Period,
    but: Option<RunId>,
) -> Result<Vec<Run>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from run r join programme p on p.id = r.programme_id
          where p.code = any($1) and r.period = $2 and r.state <> 'cancelled' and r.kind <> 'reissue' and r.id is distinct from $3::bigint
          order by r.id"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(programmes)
        .bind(period.index())
        .bind(but.map(RunId::get))
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The regular run of the latest earlier period.
pub async fn previous_regular_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    period: Period,
) -> Result<Option<Run>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from run r join programme p on p.id = r.programme_id
          where r.programme_id = $1 and r.period < $2 and r.kind = 'regular' and r.state <> 'cancelled'
          order by r.period desc limit 1"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(programme_id)
        .bind(period.index())
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// What a run is begun with.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// Programme number.
    pub programme_id: i16,
    /// Month.
    pub period: Period,
    /// Why.
    pub kind: RunKind,
    /// From what.
    pub snapshot: SnapshotId,
    /// By which rules.
    pub rules_sha256: &'a [u8; 32],
    /// By whom.
    pub created_by: &'a str,
    /// When.
    pub created_at: OffsetDateTime,
}

/// Begins a run in draft.
///
/// # Errors
/// With the constraint `run_one_regular` when the period has its regular run.
pub async fn insert_in_tx(connection: &mut PgConnection, new: NewRun<'_>) -> Result<RunId, StoreError> {
    let id = sqlx::query_scalar(
        "insert into run (programme_id, period, kind, state, snapshot_id, rules_sha256, created_by, created_at)
         values ($1, $2, $3, 'draft', $4, $5, $6, $7) returning id",
    )
    .bind(new.programme_id)
    .bind(new.period.index())
    .bind(new.kind.as_str())
    .bind(new.snapshot.get())
    .bind(new.rules_sha256.as_slice())
    .bind(new.created_by)
    .bind(new.created_at)
    .fetch_one(connection)
    .await?;
    Ok(RunId::new(id))
}

/// Moves a run to a state. The caller has asked [`RunState::after`].
pub async fn set_state_in_tx(
    connection: &mut PgConnection,
    id: RunId,
    state: RunState,
) -> Result<(), StoreError> {
    sqlx::query("update run set state = $2 where id = $1")
        .bind(id.get())
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// A kept total.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RunTotal {
    /// Provider code.
    pub provider: String,
    /// State.
    pub state: OrderState,
    /// Orders in it.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// The kept totals of a run that are not empty.
pub async fn totals_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<RunTotal>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select p.code, t.state, t.orders, t.amount from run_total t join provider p on p.id = t.provider_id
          where t.run_id = $1 and t.orders > 0 order by p.code, t.state",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(provider, state, orders, amount)| {
            let state = OrderState::parse(&state).ok_or(StoreError::Corrupt("order state"))?;
            Ok(RunTotal { provider, state, orders, amount: Centimes::new(amount) })
        })
        .collect()
}
/// Numbers of all runs.
pub async fn ids_in_tx(
    connection: &mut PgConnection,
) -> Result<std::collections::HashSet<RunId>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar("select id from run").fetch_all(connection).await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}
