//! Runs that gather the orders of a day's events, one for each standing approval, day and period: begun on the way, and
//! growing with their batches and shards until the day is over.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::standing_approvals::StandingApproval;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::event::StandingApprovalId;
use crate::domain::household::Household;
use crate::domain::ids::{BatchId, HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::store::batches::Batch;
use crate::store::copy::CopyOut;
use crate::store::registry::households;
use crate::store::{StoreError, orders};

/// A run of a day's events.
#[derive(Clone, Copy, Debug)]
pub struct DayRun {
    /// Run.
    pub id: RunId,
    /// The approval that its orders are under.
    pub approval: StandingApprovalId,
    /// Month of its claims.
    pub period: Period,
    /// Where it stands.
    pub state: RunState,
    /// The list that its households are of.
    pub snapshot: SnapshotId,
    /// Orders so far: the place of the last one.
    pub orders: i64,
    /// Their sum.
    pub ordered: Centimes,
}

/// The database's clock, which all processes share.
pub async fn now_in_tx(connection: &mut PgConnection) -> Result<OffsetDateTime, StoreError> {
    Ok(sqlx::query_scalar("select clock_timestamp()").fetch_one(connection).await?)
}

/// The list that a day's events of a programme are judged by, and when the registry made it: that of the day's first run,
/// so that one day has one list; before there is a run, the latest.
pub async fn list_of_day_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    programme: &str,
    day: Date,
) -> Result<Option<(SnapshotId, OffsetDateTime)>, StoreError> {
    let row: Option<(i64, OffsetDateTime)> = sqlx::query_as(
        "select id, created_at from snapshot
          where id = coalesce((select snapshot_id from run where programme_id = $1 and business_day = $2
                                  and standing_approval is not null order by id limit 1),
                              (select id from snapshot where lower(programme) = lower($3) order by id desc limit 1))",
    )
    .bind(programme_id)
    .bind(day)
    .bind(programme)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(id, made_at)| (SnapshotId::new(id), made_at)))
}

/// A programme's runs of a day's events, by number, locked.
pub async fn of_day_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    day: Date,
) -> Result<Vec<DayRun>, StoreError> {
    let rows: Vec<(i64, i64, i32, String, i64, i64, i64)> = sqlx::query_as(
        "select id, standing_approval, period, state, snapshot_id, orders, ordered from run
          where programme_id = $1 and business_day = $2 and standing_approval is not null order by id for no key update",
    )
    .bind(programme_id)
    .bind(day)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, approval, period, state, snapshot, orders, ordered)| {
            Ok(DayRun {
                id: RunId::new(id),
                approval: StandingApprovalId::new(approval),
                period: Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?,
                state: RunState::parse(&state).ok_or(StoreError::Corrupt("run state"))?,
                snapshot: SnapshotId::new(snapshot),
                orders,
                ordered: Centimes::new(ordered),
            })
        })
        .collect()
}

/// What a run of a day's events is begun with.
#[derive(Clone, Copy, Debug)]
pub struct NewDayRun<'a> {
    /// The approval that it is under: its three people are the run's.
    pub approval: &'a StandingApproval,
    /// Day.
    pub day: Date,
    /// Month of its claims.
    pub period: Period,
    /// The list that its households are of.
    pub snapshot: SnapshotId,
    /// Rules by which eligibility is judged.
    pub rules_sha256: &'a [u8; 32],
    /// What was approved.
    pub content: &'a Value,
    /// Its hash.
    pub content_sha256: &'a [u8; 32],
    /// Now.
    pub at: OffsetDateTime,
}

/// Begins a run with its leaves: approved and funded before it is there, it is dispatching from the start.
///
/// # Errors
/// With the constraint `run_one_a_day` when the approval has its run of the day and period.
pub async fn begin_in_tx(connection: &mut PgConnection, new: &NewDayRun<'_>) -> Result<DayRun, StoreError> {
    let id: i64 = sqlx::query_scalar(
        "insert into run (programme_id, period, kind, state, snapshot_id, rules_sha256, created_by, created_at, submitted_by,
                approved_by, funded_by, content, content_sha256, standing_approval, business_day)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $9, $10, $11, $12, $13, $14) returning id",
    )
    .bind(new.approval.programme_id)
    .bind(new.period.index())
    .bind(RunKind::OffCycle.as_str())
    .bind(RunState::Dispatching.as_str())
    .bind(new.snapshot.get())
    .bind(new.rules_sha256.as_slice())
    .bind(&new.approval.proposed_by)
    .bind(new.at)
    .bind(&new.approval.approved_by)
    .bind(&new.approval.funded_by)
    .bind(new.content)
    .bind(new.content_sha256.as_slice())
    .bind(new.approval.id.get())
    .bind(new.day)
    .fetch_one(&mut *connection)
    .await?;
    let id = RunId::new(id);
    orders::create_leaves_in_tx(connection, id).await?;
    orders::attach_leaves_in_tx(connection, id).await?;
    Ok(DayRun {
        id,
        approval: new.approval.id,
        period: new.period,
        state: RunState::Dispatching,
        snapshot: new.snapshot,
        orders: 0,
        ordered: Centimes::ZERO,
    })
}

/// Adds orders to a run's figures.
pub async fn grow_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    orders: i64,
    amount: Centimes,
    state: RunState,
) -> Result<(), StoreError> {
    sqlx::query(
        "update run set orders = orders + $2, households = households + $2, entitled = entitled + $3, ordered = ordered + $3,
                state = $4 where id = $1",
    )
    .bind(run.get())
    .bind(orders)
    .bind(amount.get())
    .bind(state.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Orders of one provider that are added to a run: a range of numbers, those that leave before those that are held.
#[derive(Clone, Copy, Debug)]
pub struct Added {
    /// Provider number.
    pub provider: i16,
    /// How the provider's orders leave.
    pub lane: Lane,
    /// First order.
    pub first: OrderId,
    /// Last order, held ones among them.
    pub last: OrderId,
    /// Last order that leaves; `None` when all are held.
    pub leaves_to: Option<OrderId>,
    /// Orders that leave.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// Puts new orders into the provider's open batch, or into a new one once that has left; in the stream lane they become a
/// shard, and workers are told. Gives the batch, which those that are held have missed.
pub async fn add_to_batch_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    known: &[Batch],
    added: &Added,
    at: OffsetDateTime,
) -> Result<BatchId, StoreError> {
    let ours = || known.iter().filter(|b| b.provider_id == added.provider && !b.listed);
    // Only the last batch can grow: an earlier one would reach over those after it.
    let open = ours().max_by_key(|b| b.last).filter(|b| b.lane == added.lane && may_grow(b, added));
    let batch = match open {
        Some(batch) => {
            sqlx::query(
                "update batch set last_order = $2, orders = orders + $3, amount = amount + $4 where id = $1",
            )
            .bind(batch.id.get())
            .bind(added.last.get())
            .bind(added.orders)
            .bind(added.amount.get())
            .execute(&mut *connection)
            .await?;
            batch.id
        }
        None => {
            let sequence = ours().filter(|b| b.wave == 1).map(|b| b.sequence).max().unwrap_or(0) + 1;
            insert_batch_in_tx(connection, run, sequence, added, at).await?
        }
    };
    if let Some(last) = added.leaves_to.filter(|_| added.lane == Lane::Stream) {
        insert_shard_in_tx(connection, run, batch, added, last, at).await?;
    }
    Ok(batch)
}

fn may_grow(batch: &Batch, added: &Added) -> bool {
    match batch.lane {
        Lane::Stream => batch.state == BatchState::Dispatching,
        Lane::File => {
            batch.state == BatchState::Released || (batch.state == BatchState::Empty && added.orders == 0)
        }
    }
}

async fn insert_batch_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    sequence: i32,
    added: &Added,
    at: OffsetDateTime,
) -> Result<BatchId, StoreError> {
    let state = match added.lane {
        Lane::Stream => BatchState::Dispatching,
        Lane::File if added.orders > 0 => BatchState::Released,
        Lane::File => BatchState::Empty,
    };
    // A file's date and time of creation are fixed when it is intended.
    let begun = (added.lane == Lane::Stream).then_some(at);
    let id: i64 = sqlx::query_scalar(
        "insert into batch (run_id, provider_id, wave, sequence, first_order, last_order, state, orders, amount, lane,
                created_at, value_date) values ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id",
    )
    .bind(run.get())
    .bind(added.provider)
    .bind(sequence)
    .bind(added.first.get())
    .bind(added.last.get())
    .bind(state.as_str())
    .bind(added.orders)
    .bind(added.amount.get())
    .bind(added.lane.as_str())
    .bind(begun)
    .bind(begun.map(OffsetDateTime::date))
    .fetch_one(connection)
    .await?;
    Ok(BatchId::new(id))
}

async fn insert_shard_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    batch: BatchId,
    added: &Added,
    last: OrderId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into shard (run_id, batch_id, provider_id, first_order, last_order, next_order, not_before)
         values ($1, $2, $3, $4, $5, $4, $6)",
    )
    .bind(run.get())
    .bind(batch.get())
    .bind(added.provider)
    .bind(added.first.get())
    .bind(last.get())
    .bind(at)
    .execute(&mut *connection)
    .await?;
    sqlx::query("notify sarf_shard").execute(connection).await?;
    Ok(())
}

/// Runs that can hold claims of a programme and period, with the purpose of those that gather events.
pub async fn claimants_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    period: Period,
) -> Result<Vec<(RunId, Option<String>)>, StoreError> {
    let rows: Vec<(i64, Option<String>)> = sqlx::query_as(
        "select r.id, a.purpose from run r left join standing_approval a on a.id = r.standing_approval
          where r.programme_id = $1 and r.period = $2 and r.state <> 'cancelled' order by r.id",
    )
    .bind(programme_id)
    .bind(period.index())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, purpose)| (RunId::new(id), purpose)).collect())
}

/// Purposes of those of `runs` that gather events.
pub async fn purposes_in_tx(
    connection: &mut PgConnection,
    runs: &[RunId],
) -> Result<HashMap<RunId, String>, StoreError> {
    let ids: Vec<i64> = runs.iter().map(|r| r.get()).collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select r.id, a.purpose from run r join standing_approval a on a.id = r.standing_approval where r.id = any($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, purpose)| (RunId::new(id), purpose)).collect())
}

/// A list of household ids as an SQL array: their characters need no quoting.
pub(crate) fn array_of(households: &[HouseholdId]) -> String {
    let ids: Vec<&str> = households.iter().map(HouseholdId::as_str).collect();
    format!("'{{{}}}'::text[]", ids.join(","))
}

/// Those of `households` with an order in a run for a period, with the purpose numbers.
pub async fn claimed_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    period: Period,
    households: &[HouseholdId],
) -> Result<Vec<(HouseholdId, i16)>, StoreError> {
    let source = format!(
        "(select household_id, purpose_id from {} where household_id = any({}) and period = {})",
        orders::leaf(run),
        array_of(households),
        period.index()
    );
    let mut rows = CopyOut::begin(connection, &source).await?;
    let mut found = Vec::new();
    while let Some(mut row) = rows.next().await? {
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        found.push((household, row.i16()?));
    }
    Ok(found)
}

/// Those of `ids` that stand in a list.
pub async fn households_in_tx(
    connection: &mut PgConnection,
    snapshot: SnapshotId,
    ids: &[HouseholdId],
) -> Result<HashMap<HouseholdId, Household>, StoreError> {
    let source = format!(
        "(select {} from {} where household_id = any({}))",
        households::COLUMNS,
        households::leaf(snapshot),
        array_of(ids)
    );
    let mut rows = CopyOut::begin(connection, &source).await?;
    let mut found = HashMap::with_capacity(ids.len());
    while let Some(mut row) = rows.next().await? {
        let household = households::read(&mut row, None)?;
        found.insert(household.id, household);
    }
    Ok(found)
}

/// What households of a list share with others, by row: the kind, and in how many households the thing stands.
pub async fn shares_in_tx(
    connection: &mut PgConnection,
    snapshot: SnapshotId,
    rows: &[u32],
) -> Result<HashMap<u32, Vec<(String, u32)>>, StoreError> {
    let keys: Vec<i64> = rows.iter().map(|row| households::key(snapshot, *row)).collect();
    let rows: Vec<(i64, String, i32)> = sqlx::query_as(
        "select household_key, kind, households from snapshot_share where household_key = any($1)",
    )
    .bind(keys)
    .fetch_all(connection)
    .await?;
    let mut found: HashMap<u32, Vec<(String, u32)>> = HashMap::new();
    for (key, kind, households) in rows {
        found.entry((key & 0xFFFF_FFFF) as u32).or_default().push((kind, households as u32));
    }
    Ok(found)
}
