//! Shards: the pieces of a stream batch that workers claim by lease, one row for some thousands of orders.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::membership;
use crate::domain::ids::{BatchId, HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::step::Step;
use crate::store::copy::CopyAhead;
use crate::store::{Store, StoreError, orders};

/// A shard that this worker holds.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Number.
    pub id: i64,
    /// Run.
    pub run: RunId,
    /// Batch.
    pub batch: BatchId,
    /// Provider number.
    pub provider: i16,
    /// First order.
    pub first: OrderId,
    /// Last order.
    pub last: OrderId,
    /// Orders below have left, or were being handed over by the worker before.
    pub next: OrderId,
    /// Rises with each lease.
    pub fence: i64,
}

/// Cuts the released stream batches of a run into shards of `orders_per_shard` and tells the workers; batches move to
/// dispatching. Providers in `fetching` come for their orders themselves: theirs are not cut. Returns how many batches.
pub async fn cut_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    orders_per_shard: u32,
    fetching: &[i16],
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let batches: Vec<(i64, i16, bool, i64, i64)> = sqlx::query_as(
        "select id, provider_id, listed, first_order, last_order from batch
          where run_id = $1 and state = 'released' and lane = 'stream' order by id for update",
    )
    .bind(run.get())
    .fetch_all(&mut *connection)
    .await?;
    for (batch, provider, listed, first, last) in &batches {
        if !fetching.contains(provider) {
            let range = (*batch, *provider, *listed, *first, *last);
            cut_one_in_tx(connection, run, range, orders_per_shard, at).await?;
        }
        sqlx::query("update batch set state = 'dispatching', created_at = $2, value_date = $3 where id = $1")
            .bind(batch)
            .bind(at)
            .bind(at.date())
            .execute(&mut *connection)
            .await?;
    }
    if !batches.is_empty() {
        sqlx::query("notify sarf_shard").execute(connection).await?;
    }
    Ok(batches.len() as u64)
}

async fn cut_one_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    (batch, provider, listed, first, last): (i64, i16, bool, i64, i64),
    orders_per_shard: u32,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let source = if listed {
        format!("select order_id from batch_member where batch_id = {batch}")
    } else {
        format!(
            "select order_id from {} where order_id between {first} and {last} and provider_id = {provider}",
            orders::leaf(run)
        )
    };
    let sql = format!(
        "insert into shard (run_id, batch_id, provider_id, first_order, last_order, next_order, not_before)
         select $1, $2, $3, min(order_id), max(order_id), min(order_id), $4
           from (select order_id, (row_number() over (order by order_id) - 1) / $5 as piece from ({source}) o) p
          group by piece order by piece on conflict do nothing"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(run.get())
        .bind(batch)
        .bind(provider)
        .bind(at)
        .bind(i64::from(orders_per_shard.max(1)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Claims the next shard of a provider that is due, orders that came as events before the month's: one that nobody holds, or whose holder went silent.
pub async fn claim(
    store: &Store,
    provider: i16,
    run: Option<RunId>,
    worker: &str,
    lease_s: u32,
    now: OffsetDateTime,
) -> Result<Option<Shard>, StoreError> {
    type Row = (i64, i64, i64, i16, i64, i64, i64, i64);
    // Leases run on the database's clock: it is the one that all workers share.
    let row: Option<Row> = sqlx::query_as(
        "update shard s set worker = $2, fence = fence + 1, leased_until = clock_timestamp() + $3::bigint * interval '1 second'
          where s.id = (select c.id from shard c join run r on r.id = c.run_id
                         where c.provider_id = $1 and not c.done and c.not_before <= $4 and not r.paused
                           and ($5::bigint is null or c.run_id = $5)
                           and (c.leased_until is null or c.leased_until < clock_timestamp())
                         order by r.standing_approval is null, c.id limit 1 for update of c skip locked)
         returning s.id, s.run_id, s.batch_id, s.provider_id, s.first_order, s.last_order, s.next_order, s.fence",
    )
    .bind(provider)
    .bind(worker)
    .bind(i64::from(lease_s))
    .bind(now)
    .bind(run.map(RunId::get))
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|(id, run, batch, provider, first, last, next, fence)| Shard {
        id,
        run: RunId::new(run),
        batch: BatchId::new(batch),
        provider,
        first: OrderId::new(first),
        last: OrderId::new(last),
        next: OrderId::new(next),
        fence,
    }))
}

/// Renews a lease and moves its shard on; `false` when another worker holds it by now.
pub async fn advance_in_tx(
    connection: &mut PgConnection,
    shard: &Shard,
    next: OrderId,
    lease_s: u32,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update shard set next_order = $3, leased_until = clock_timestamp() + $4::bigint * interval '1 second'
          where id = $1 and fence = $2 and not done",
    )
    .bind(shard.id)
    .bind(shard.fence)
    .bind(next.get())
    .bind(i64::from(lease_s))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews a lease; `false` when another worker holds the shard by now.
pub async fn renew(store: &Store, shard: &Shard, lease_s: u32) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update shard set leased_until = clock_timestamp() + $3::bigint * interval '1 second' where id = $1 and fence = $2 and not done",
    )
    .bind(shard.id)
    .bind(shard.fence)
    .bind(i64::from(lease_s))
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a shard back: worked off (`done`), or to be gone on with at `not_before`. Without effect when another worker
/// holds it by now.
pub async fn give_back(
    store: &Store,
    shard: &Shard,
    done: bool,
    not_before: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update shard set done = $3, worker = null, leased_until = null, not_before = coalesce($4, not_before)
          where id = $1 and fence = $2",
    )
    .bind(shard.id)
    .bind(shard.fence)
    .bind(done)
    .bind(not_before)
    .execute(store.pool())
    .await?;
    Ok(())
}

/// An order that waits to be handed over.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Number.
    pub order: OrderId,
    /// Household of the claim.
    pub household: HouseholdId,
    /// Month of the claim.
    pub period: Period,
    /// Purpose of the claim.
    pub purpose: String,
    /// Attempt of the claim.
    pub attempt: u16,
    /// Amount.
    pub amount: Centimes,
    /// Encoded payee.
    pub payee: Vec<u8>,
}

/// The next orders of a shard that have not been handed over, at most `limit`, ascending.
pub async fn waiting(store: &Store, shard: &Shard, limit: u32) -> Result<Vec<Waiting>, StoreError> {
    let (leaf, run) = (orders::leaf(shard.run), shard.run);
    let (next, last) = (shard.next.get(), shard.last.get());
    let (provider, batch) = (shard.provider, shard.batch);
    let of_batch = format!(
        "(not {missed} and exists (select from batch b where b.id = {batch} and not b.listed)) or {listed}",
        missed = membership::missed("o.order_id"),
        listed = membership::listed_in("o.order_id", batch),
    );
    select_waiting(
        store,
        &format!(
            "(select o.order_id, o.household_id, o.period, u.code, o.attempt, o.amount, o.payee
                from {leaf} o join purpose u on u.id = o.purpose_id
               where o.order_id between {next} and {last} and o.provider_id = {provider} and ({of_batch})
                 and not exists (select from outcome_{run} x where x.order_id = o.order_id)
               order by o.order_id limit {limit})"
        ),
    )
    .await
}

/// Orders by their numbers, whatever was said of them: to be handed over once more after the provider denied them.
pub async fn by_number(store: &Store, run: RunId, ids: &[i64]) -> Result<Vec<Waiting>, StoreError> {
    let list: Vec<String> = ids.iter().map(i64::to_string).collect();
    select_waiting(
        store,
        &format!(
            "(select o.order_id, o.household_id, o.period, u.code, o.attempt, o.amount, o.payee
                from {} o join purpose u on u.id = o.purpose_id where o.order_id in ({}) order by o.order_id)",
            orders::leaf(run),
            list.join(",")
        ),
    )
    .await
}

async fn select_waiting(store: &Store, source: &str) -> Result<Vec<Waiting>, StoreError> {
    let mut rows = CopyAhead::open(store.pool(), source.to_owned());
    let mut found = Vec::new();
    while let Some(mut row) = rows.next().await? {
        found.push(Waiting {
            order: OrderId::new(row.i64()?),
            household: HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?,
            period: Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?,
            purpose: row.text()?.to_owned(),
            attempt: row.i16()? as u16,
            amount: Centimes::new(row.i64()?),
            payee: row.raw()?.to_vec(),
        });
    }
    Ok(found)
}

/// Orders of a shard that the worker before meant to hand over and heard nothing of.
pub async fn unanswered(store: &Store, shard: &Shard) -> Result<Vec<i64>, StoreError> {
    let sql = format!(
        "select o.order_id from {} o join lateral (select max(step) as step from outcome_{} x where x.order_id = o.order_id) x on true
          where o.order_id between $1 and $2 and o.provider_id = $3 and x.step = {} order by 1",
        orders::leaf(shard.run),
        shard.run,
        Step::Sent.number()
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(shard.first.get())
        .bind(shard.last.get())
        .bind(shard.provider)
        .fetch_all(store.pool())
        .await?)
}

/// Marks the stream batches of a run whose shards are all worked off as sent: how many.
pub async fn finish_batches_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    // A run that gathers the day's events may still get orders until the day is over.
    let done = sqlx::query(
        "update batch b set state = 'sent', sent_at = $2
          where run_id = $1 and lane = 'stream' and state = 'dispatching'
            and not exists (select from shard s where s.batch_id = b.id and not s.done) and outcomes >= orders
            and exists (select from run r where r.id = b.run_id
                           and (r.standing_approval is null or r.business_day < $2::date))",
    )
    .bind(run.get())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Shards of a run that are not worked off, by what they wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Due, and held by nobody.
    pub free: i64,
    /// Under the lease of a worker.
    pub leased: i64,
    /// Seconds until the last of these leases ends, unless it is renewed.
    pub leased_s: i64,
    /// Who holds them.
    pub workers: Vec<String>,
    /// To be gone on with later: their provider is closed, or took what it takes a day.
    pub later: i64,
    /// When the first of them is due.
    #[serde(with = "time::serde::rfc3339::option")]
    pub later_at: Option<OffsetDateTime>,
}

impl Left {
    /// All of them.
    pub const fn all(&self) -> i64 {
        self.free + self.leased + self.later
    }
}

/// What is left of a run's shards.
pub async fn left_of_run(store: &Store, run: RunId, now: OffsetDateTime) -> Result<Left, StoreError> {
    type Row = (i64, i64, i64, Vec<String>, i64, Option<OffsetDateTime>);
    let (free, leased, leased_s, workers, later, later_at): Row = sqlx::query_as(
        "with left_over as (
             select s.worker, s.not_before, s.leased_until, coalesce(s.leased_until > clock_timestamp(), false) as held
               from shard s where s.run_id = $1 and not s.done)
         select count(*) filter (where not held and not_before <= $2), count(*) filter (where held),
                coalesce(ceil(extract(epoch from max(leased_until) filter (where held) - clock_timestamp())), 0)::bigint,
                coalesce(array_agg(distinct worker) filter (where held and worker is not null), '{}'),
                count(*) filter (where not held and not_before > $2), min(not_before) filter (where not held and not_before > $2)
           from left_over",
    )
    .bind(run.get())
    .bind(now)
    .fetch_one(store.pool())
    .await?;
    Ok(Left { free, leased, leased_s, workers, later, later_at })
}

/// Orders at a payment point since before `until` that were not drawn: of one provider, ascending, at most `limit`.
pub async fn uncollected(
    store: &Store,
    run: RunId,
    provider: i16,
    until: OffsetDateTime,
    after: i64,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let available = Step::Available.number();
    let sql = format!(
        "select x.order_id from outcome_{run} x join message m on m.id = x.message_id
           join {} o on o.order_id = x.order_id
          where x.step = {available} and m.received_at < $1 and o.provider_id = $2 and x.order_id > $3
            and not exists (select from outcome_{run} y where y.order_id = x.order_id and y.step > {available})
          order by 1 limit {limit}",
        orders::leaf(run)
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(until)
        .bind(provider)
        .bind(after)
        .fetch_all(store.pool())
        .await?)
}

/// Runs with orders of a state, by their kept totals: run and provider number.
pub async fn runs_with(store: &Store, state: OrderState) -> Result<Vec<(RunId, i16)>, StoreError> {
    let rows: Vec<(i64, i16)> = sqlx::query_as(
        "select run_id, provider_id from run_total where state = $1 and orders > 0 order by 1, 2",
    )
    .bind(state.as_str())
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|(run, provider)| (RunId::new(run), provider)).collect())
}
