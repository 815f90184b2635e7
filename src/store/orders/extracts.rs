//! The reads behind a run's reports: orders with where they stand, lists as CSV, and sums by reason.
//!
//! Input: a run and its snapshot. Output: rows in COPY form. Guarantee: all of an [`Extracts`]' reads see the database
//! at one instant, and each is read in constant memory. Limit: nothing personal is read: no name, account or phone.

use futures_util::stream::{BoxStream, StreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};

use super::order_state;
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::step::Step;
use crate::store::batches::{Batch, membership};
use crate::store::copy::{CopyOut, CopyRow};
use crate::store::runs::{self, Run, RunTotal};
use crate::store::{Store, StoreError, orders};

/// One view of the database, on a connection of its own.
pub struct Extracts {
    connection: PoolConnection<Postgres>,
}

/// An order as reports show it, with codes still as numbers.
#[derive(Clone, Debug)]
pub struct ExtractedOrder {
    /// Number.
    pub id: OrderId,
    /// Household.
    pub household: HouseholdId,
    /// Month of the claim.
    pub period: Period,
    /// Purpose number.
    pub purpose: i16,
    /// Attempt.
    pub attempt: u16,
    /// Provider number; 0 for none.
    pub provider: i16,
    /// Place in the run's snapshot.
    pub place: u32,
    /// Due.
    pub entitled: Centimes,
    /// Kept back.
    pub offset: Centimes,
    /// Ordered.
    pub amount: Centimes,
    /// Where it stands.
    pub state: OrderState,
    /// Hold reasons joined by `+`, or the provider's reason code of a rejection or return; empty for none.
    pub reason: String,
}

/// A list that goes from the database to a CSV file as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Excluded households of the run.
    Exclusions,
    /// Household rows rejected at intake.
    Rejections,
    /// Member rows rejected at intake.
    RejectedMembers,
    /// Holds placed on the run's orders, released ones too.
    Holds,
    /// Breaks of the run, and open ones of its providers that belong to no run.
    Breaks,
    /// Batches of the run.
    Batches,
    /// Comparison with the regular run before.
    Comparison,
    /// What was carried forward at close.
    CarriedForward,
    /// Why orders and whole files were refused or came back, as it was sent.
    Reasons,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Exclusions,
        Self::Rejections,
        Self::RejectedMembers,
        Self::Holds,
        Self::Breaks,
        Self::Batches,
        Self::Comparison,
        Self::CarriedForward,
        Self::Reasons,
    ];

    fn sql(self, run: RunId, snapshot: SnapshotId) -> String {
        match self {
            Self::Exclusions => format!(
                "select household_id, reason, household_row as row from {} order by household_row",
                orders::exclusion_leaf(run)
            ),
            Self::Rejections => rejections(snapshot, "households"),
            Self::RejectedMembers => rejections(snapshot, "members"),
            Self::Holds => holds(run),
            Self::Breaks => breaks(run),
            Self::Batches => batches(run),
            Self::Comparison => comparison(run),
            Self::CarriedForward => format!(
                "select subject, orders, {} as amount, reason, carried_by, {} as carried_at
                   from carried_forward where run_id = {run} order by subject",
                mad("amount"),
                instant("carried_at")
            ),
            Self::Reasons => reasons(run),
        }
    }
}

/// Dirhams with two decimals.
fn mad(column: &str) -> String {
    format!("({column} * 0.01)::numeric(20, 2)")
}

/// UTC, ISO 8601.
fn instant(column: &str) -> String {
    format!(r#"to_char({column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#)
}

fn rejections(snapshot: SnapshotId, part: &str) -> String {
    format!(
        "select household_id, row_number as row, field, value_masked as value, reason from snapshot_rejection
          where snapshot_id = {snapshot} and part = '{part}' order by row_number"
    )
}

fn reasons(run: RunId) -> String {
    format!(
        "select o.household_id, x.order_id as \"order\", null as file, m.id as message, m.kind, x.reason, x.told
           from outcome_{run} x join message m on m.id = x.message_id join {leaf} o using (order_id) where x.told is not null
         union all
         select null, null, b.file_name, m.id, m.kind, x.reason, x.told
           from batch_event x join message m on m.id = x.message_id join batch b on b.id = x.batch_id
          where b.run_id = {run} and x.told is not null
          order by 2 nulls first, 3, 4",
        leaf = orders::leaf(run)
    )
}

fn holds(run: RunId) -> String {
    let (low, high) = OrderId::bounds(run);
    format!(
        "select h.order_id as \"order\", o.household_id, h.reason, h.placed_by, h.released_by
           from order_hold h join {} o using (order_id)
          where h.order_id >= {low} and h.order_id < {high} order by h.order_id, h.reason",
        orders::leaf(run)
    )
}

fn breaks(run: RunId) -> String {
    format!(
        "select k.id, k.kind, k.run_id as run, p.code as provider, b.file_name as file, k.order_id as \"order\", o.household_id,
                k.message_id as message, k.entry, {} as amount, k.detail, {} as opened_at, {} as resolved_at,
                k.resolved_by, k.resolution, k.carried
           from break k left join provider p on p.id = k.provider_id left join batch b on b.id = k.batch_id
           left join {} o on o.order_id = k.order_id
          where k.run_id = {run} or {OF_NO_RUN} order by k.id",
        mad("k.amount"),
        instant("k.opened_at"),
        instant("k.resolved_at"),
        orders::leaf(run),
        OF_NO_RUN = of_no_run(run)
    )
}

/// Open breaks `k` that belong to no run and to a provider of this one, or to none: they keep the run from its close.
fn of_no_run(run: RunId) -> String {
    format!(
        "(k.run_id is null and k.resolved_at is null and (k.provider_id is null
          or k.provider_id in (select provider_id from batch where run_id = {run})))"
    )
}

fn batches(run: RunId) -> String {
    format!(
        "select p.code as provider, b.wave, b.sequence, b.file_name as file, b.value_date, b.orders, {} as amount, b.state,
                b.rejected, {} as rejected_amount, b.returned, {} as returned_amount, {} as debited, {} as credited,
                encode(b.file_sha256, 'hex') as sha256
           from batch b join provider p on p.id = b.provider_id where b.run_id = {run} order by p.code, b.wave, b.sequence",
        mad("b.amount"),
        mad("b.rejected_amount"),
        mad("b.returned_amount"),
        mad("b.debited_amount"),
        mad("b.credited_amount")
    )
}

fn comparison(run: RunId) -> String {
    format!(
        "select dimension, label, before_households, {} as before_amount, after_households, {} as after_amount,
                joined, \"left\", amount_changed, account_changed
           from run_comparison where run_id = {run} order by dimension, label",
        mad("before_amount"),
        mad("after_amount")
    )
}

/// All orders of a run with what `order_state::state` asks for, and reasons. Everything is merged along the order ids, so
/// that rows flow at once and nothing is sorted on disk. `offset 0` keeps the lookup apart, so that it is made once for a batch.
fn orders_source(run: RunId) -> String {
    let (low, high) = OrderId::bounds(run);
    format!(
        "(select o.order_id, o.household_id, o.period, o.purpose_id, o.attempt, o.provider_id, o.place_id, o.entitled,
                 o.offset_amount, o.amount, {state} as state,
                 case when h.order_id is not null then h.reasons
                      when {x_ended} or b.state = 'rejected' then coalesce(x.reason, b.reason) end as reason
            from {leaf} o join run r on r.id = {run}
            left join (select order_id, string_agg(reason, '+' order by reason) as reasons from order_hold
                        where released_at is null and order_id >= {low} and order_id < {high} group by order_id) h
                   on h.order_id = o.order_id
            left join (select order_id, max(step) as step,
                              substr(max(lpad(step::text, 2, '0') || reason) filter (where {ended}), 3) as reason
                         from outcome_{run} group by order_id) x on x.order_id = o.order_id
            {joined}
            left join lateral (select c.state, c.lane,
                              (select max(e.reason) from batch_event e where e.batch_id = c.id and e.step = {rejected}) as reason
                         from batch c where c.run_id = {run} and c.id = i.id offset 0) b on true
           order by o.order_id)",
        state = order_state::state(),
        leaf = orders::leaf(run),
        ended = order_state::is_end("step"),
        x_ended = order_state::is_end("x.step"),
        rejected = Step::Rejected.number(),
        joined = membership::join_by_search(run),
    )
}

impl Extracts {
    /// Begins to look at the database as it is now.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let mut connection = store.pool().acquire().await?;
        // A COPY that is given up midway leaves a connection that nobody else can use.
        connection.close_on_drop();
        for sql in [
            "begin isolation level repeatable read read only",
            "set local work_mem = '64MB'",
            // Groups by order id come out in order only when they are not hashed.
            "set local enable_hashagg = off",
        ] {
            sqlx::query(sql).execute(&mut *connection).await?;
        }
        Ok(Self { connection })
    }

    /// The run.
    pub async fn run(&mut self, id: RunId) -> Result<Option<Run>, StoreError> {
        runs::find_in_tx(&mut self.connection, id, false).await
    }

    /// The run's kept totals.
    pub async fn totals(&mut self, run: RunId) -> Result<Vec<RunTotal>, StoreError> {
        runs::totals_in_tx(&mut self.connection, run).await
    }

    /// Codes by number, of `provider` or `purpose`.
    pub async fn codes(&mut self, of: Coded) -> Result<Vec<(i16, String)>, StoreError> {
        let sql = match of {
            Coded::Provider => "select id, code from provider",
            Coded::Purpose => "select id, code from purpose",
        };
        Ok(sqlx::query_as(sql).fetch_all(&mut *self.connection).await?)
    }

    /// Household rows that a snapshot held.
    pub async fn household_rows(&mut self, snapshot: SnapshotId) -> Result<u64, StoreError> {
        let rows: i64 = sqlx::query_scalar("select household_rows from snapshot where id = $1")
            .bind(snapshot.get())
            .fetch_one(&mut *self.connection)
            .await?;
        u64::try_from(rows).map_err(|_| StoreError::Corrupt("household rows"))
    }

    /// The run's orders, ascending.
    pub async fn orders(&mut self, run: RunId) -> Result<CopyOut<'_>, StoreError> {
        CopyOut::begin(&mut self.connection, &orders_source(run)).await
    }

    /// A list as CSV with a header.
    pub async fn csv(
        &mut self,
        list: List,
        run: RunId,
        snapshot: SnapshotId,
    ) -> Result<CsvOut<'_>, StoreError> {
        let statement = format!("COPY ({}) TO STDOUT (FORMAT csv, HEADER)", list.sql(run, snapshot));
        Ok(CsvOut { stream: self.connection.copy_out_raw(&statement).await? })
    }

    /// The run's batches, by provider, wave and place.
    pub async fn batches(&mut self, run: RunId) -> Result<Vec<Batch>, StoreError> {
        crate::store::batches::of_run_in_tx(&mut self.connection, run).await
    }

    /// What was carried forward when the run was closed.
    pub async fn carried_forward(&mut self, run: RunId) -> Result<Vec<Carried>, StoreError> {
        let rows: Vec<(String, i64, i64, String, String)> = sqlx::query_as(
            "select subject, orders, amount, reason, carried_by from carried_forward where run_id = $1 order by subject",
        )
        .bind(run.get())
        .fetch_all(&mut *self.connection)
        .await?;
        let carried = |(subject, orders, amount, reason, by)| Carried {
            subject,
            orders,
            amount: Centimes::new(amount),
            reason,
            by,
        };
        Ok(rows.into_iter().map(carried).collect())
    }

    /// Counts and sums by a text, in the order to be shown.
    pub async fn sums(&mut self, by: Sums, run: RunId, snapshot: SnapshotId) -> Result<Vec<Sum>, StoreError> {
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as(AssertSqlSafe(by.sql(run, snapshot))).fetch_all(&mut *self.connection).await?;
        Ok(rows
            .into_iter()
            .map(|(label, count, amount)| Sum { label, count, amount: Centimes::new(amount) })
            .collect())
    }
}

/// Which short numbers.
#[derive(Clone, Copy, Debug)]
pub enum Coded {
    /// Providers.
    Provider,
    /// Purposes.
    Purpose,
}

/// Something carried forward at close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What.
    pub subject: String,
    /// How many orders, or breaks.
    pub orders: i64,
    /// How much.
    pub amount: Centimes,
    /// Why it may be left open.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// A count and a sum under a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What they are of.
    pub label: String,
    /// How many.
    pub count: i64,
    /// How much; zero where no money is concerned.
    pub amount: Centimes,
}

/// What is counted by [`Extracts::sums`].
#[derive(Clone, Copy, Debug)]
pub enum Sums {
    /// Exclusions by reason.
    Exclusions,
    /// Rejected household rows by field and reason.
    Rejections,
    /// Rejected member rows by field and reason.
    RejectedMembers,
    /// Open holds by reason; an order with two reasons counts under each.
    OpenHolds,
    /// Released holds by reason.
    ReleasedHolds,
    /// Open breaks by kind, those of [`List::Breaks`].
    OpenBreaks,
    /// Resolved breaks by kind.
    ResolvedBreaks,
}

impl Sums {
    fn sql(self, run: RunId, snapshot: SnapshotId) -> String {
        let rejected = |part: &str| {
            format!(
                "select field || ': ' || reason, count(*), 0::bigint from snapshot_rejection
                  where snapshot_id = {snapshot} and part = '{part}' group by 1 order by 2 desc, 1"
            )
        };
        let (low, high) = OrderId::bounds(run);
        let held = |open: &str| {
            format!(
                "select h.reason, count(*), sum(o.amount)::bigint from order_hold h join {} o using (order_id)
                  where h.order_id >= {low} and h.order_id < {high} and h.released_at is {open} group by 1 order by 2 desc, 1",
                orders::leaf(run)
            )
        };
        let broken = |which: &str| {
            format!(
                "select k.kind, count(*), coalesce(sum(abs(k.amount)), 0)::bigint from break k
                  where {which} group by 1 order by 2 desc, 1"
            )
        };
        match self {
            Self::Exclusions => {
                let leaf = orders::exclusion_leaf(run);
                format!("select reason, count(*), 0::bigint from {leaf} group by 1 order by 2 desc, 1")
            }
            Self::Rejections => rejected("households"),
            Self::RejectedMembers => rejected("members"),
            Self::OpenHolds => held("null"),
            Self::ReleasedHolds => held("not null"),
            Self::OpenBreaks => {
                broken(&format!("k.run_id = {run} and k.resolved_at is null or {}", of_no_run(run)))
            }
            Self::ResolvedBreaks => broken(&format!("k.run_id = {run} and k.resolved_at is not null")),
        }
    }
}

/// Reads a row of [`Extracts::orders`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_order(row: &mut CopyRow) -> Result<ExtractedOrder, StoreError> {
    let corrupt = StoreError::Corrupt;
    Ok(ExtractedOrder {
        id: OrderId::new(row.i64()?),
        household: HouseholdId::parse(row.raw()?).map_err(|_| corrupt("household id"))?,
        period: Period::from_index(row.i32()?).map_err(|_| corrupt("period"))?,
        purpose: row.i16()?,
        attempt: row.i16()? as u16,
        provider: row.i16()?,
        place: u32::try_from(row.i32()?).map_err(|_| corrupt("place"))?,
        entitled: Centimes::new(row.i64()?),
        offset: Centimes::new(row.i64()?),
        amount: Centimes::new(row.i64()?),
        state: OrderState::parse(row.text()?).ok_or(corrupt("order state"))?,
        reason: row.text_or_null()?.unwrap_or_default().to_owned(),
    })
}

/// Lines of CSV on their way out, the header first.
pub struct CsvOut<'c> {
    stream: BoxStream<'c, Result<bytes::Bytes, sqlx::Error>>,
}

impl CsvOut<'_> {
    /// The next row with its line end (PostgreSQL sends each row as a message of its own), or `None` after the last.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, StoreError> {
        Ok(self.stream.next().await.transpose()?)
    }
}
