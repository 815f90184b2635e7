//! Which order follows which: links between an order that ended unpaid and the one that pays its claim again, and what
//! operators put forward.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use crate::domain::ids::{MessageId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::policy::Decision;
use crate::domain::step::Step;
use crate::store::audit::row_sums;
use crate::store::batches::membership;
use crate::store::copy::CopyBuffer;
use crate::store::orders::{self, order_state};
use crate::store::{Store, StoreError};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "order_id, of_order, run_id, of_provider, attempt, decision, was, amount";

/// A new link.
#[derive(Clone, Copy, Debug)]
pub struct NewLink {
    /// The new order.
    pub order: OrderId,
    /// The order that ended unpaid.
    pub of: OrderId,
    /// Its provider number.
    pub of_provider: i16,
    /// The new order's attempt.
    pub attempt: u16,
    /// Why it is paid again.
    pub decision: Decision,
    /// Where the earlier order stood.
    pub was: OrderState,
    /// Amount of both.
    pub amount: Centimes,
}

/// Appends a link to a buffer.
pub fn push(buffer: &mut CopyBuffer, link: &NewLink) {
    buffer
        .row(8)
        .i64(link.order.get())
        .i64(link.of.get())
        .i64(link.order.run().get())
        .i16(link.of_provider)
        .i16(link.attempt as i16)
        .text(link.decision.as_str())
        .text(link.was.as_str())
        .i64(link.amount.get());
}

/// The latest list of a programme.
pub async fn latest_snapshot_in_tx(
    connection: &mut PgConnection,
    programme: &str,
) -> Result<Option<SnapshotId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "select id from snapshot where programme = $1 order by period desc, id desc limit 1",
    )
    .bind(programme)
    .fetch_optional(connection)
    .await?;
    Ok(id.map(SnapshotId::new))
}

/// Adds places to the end of a snapshot's table: those of households that its list no longer names.
pub async fn add_places_in_tx(
    connection: &mut PgConnection,
    snapshot: SnapshotId,
    first: u16,
    places: &[crate::domain::household::Place],
) -> Result<(), StoreError> {
    for (number, place) in (i32::from(first)..).zip(places) {
        sqlx::query(
            "insert into place (snapshot_id, id, region, province, commune) values ($1, $2, $3, $4, $5)",
        )
        .bind(snapshot.get())
        .bind(number)
        .bind(&place.region)
        .bind(&place.province)
        .bind(&place.commune)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The last reissue run of a programme and budget month that is not cancelled.
pub async fn last_run_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: i32,
) -> Result<Option<RunId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "select max(id) from run where programme_id = $1 and period = $2 and kind = 'reissue' and state <> 'cancelled'",
    )
    .bind(programme)
    .bind(period)
    .fetch_one(connection)
    .await?;
    Ok(id.map(RunId::new))
}

/// Takes the step *reissued* for every earlier order of a run's links. The step is known from a message of the engine's
/// own.
///
/// # Errors
/// With the primary key of the outcomes when an order was reissued before.
pub async fn mark_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let message: i64 = sqlx::query_scalar(
        "insert into message (kind, message_ref, file_name, bytes, received_at, entries, applied, already, noted, breaks)
         values ('run.reissue', $1, '', 0, $2, 0, 0, 0, 0, 0) returning id",
    )
    .bind(format!("run {run}"))
    .bind(at)
    .fetch_one(&mut *connection)
    .await?;
    let message = MessageId::new(message);
    sqlx::query(
        "insert into outcome (order_id, step, message_id)
         select of_order, $3, $2 from order_reissue where run_id = $1 and live order by of_order",
    )
    .bind(run.get())
    .bind(message.get())
    .bind(Step::Reissued.number())
    .execute(&mut *connection)
    .await?;
    row_sums::note_steps_in_tx(connection, message.get(), Step::Reissued).await?;
    count_own_in_tx(connection, run, 1).await
}

/// Takes the step back and ends the links.
pub async fn unmark_in_tx(connection: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
    count_own_in_tx(connection, run, -1).await?;
    let step_back = format!(
        "delete from outcome x using order_reissue l where l.run_id = $1 and l.live and x.order_id = l.of_order and x.step = {}",
        Step::Reissued.number()
    );
    for sql in [step_back, "update order_reissue set live = false where run_id = $1 and live".to_owned()] {
        sqlx::query(AssertSqlSafe(sql)).bind(run.get()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Batches keep how many of their orders have steps of their own: those of wholly rejected files had none before.
async fn count_own_in_tx(connection: &mut PgConnection, run: RunId, sign: i64) -> Result<(), StoreError> {
    let sql = format!(
        "update batch b set outcomes = b.outcomes + $2 * s.orders, outcomes_amount = b.outcomes_amount + $2 * s.amount
           from (select coalesce(m.batch_id, r.id) as batch_id, count(*) as orders, sum(l.amount)::bigint as amount
                   from order_reissue l left join batch_member m on m.order_id = l.of_order
                   left join batch r on m.order_id is null and r.run_id = l.of_order >> 32 and {spans}
                  where l.run_id = $1 and l.live and l.was = 'rejected'
                    and not exists (select from outcome x where x.order_id = l.of_order and x.step <> {reissued})
                  group by 1) s
          where b.id = s.batch_id",
        spans = membership::spans("r", "l.of_order", "l.of_provider"),
        reissued = Step::Reissued.number(),
    );
    sqlx::query(AssertSqlSafe(sql)).bind(run.get()).bind(sign).execute(connection).await?;
    Ok(())
}

/// Earlier orders of a run's links, summed up.
#[derive(Clone, Copy, Debug)]
pub struct Earlier {
    /// Their run.
    pub run: RunId,
    /// Their provider number.
    pub provider: i16,
    /// Where they stand, but for being reissued.
    pub state: OrderState,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// The earlier orders of a run's live links by run, provider and where they stand, but for being reissued: a return may
/// have been booked since.
pub async fn earlier_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Earlier>, StoreError> {
    let sql = format!(
        "select l.of_order >> 32, l.of_provider, coalesce({state}, l.was), count(*), sum(l.amount)::bigint
           from order_reissue l left join lateral (select max(step) as step from outcome o
                where o.order_id = l.of_order and {unpaid_end}) x on true
          where l.run_id = $1 and l.live group by 1, 2, 3 order by 1, 2, 3",
        state = order_state::state_of_step("x.step"),
        unpaid_end = order_state::is_unpaid_end("o.step"),
    );
    let rows: Vec<(i64, i16, String, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(run.get()).fetch_all(connection).await?;
    rows.into_iter()
        .map(|(run, provider, state, orders, amount)| {
            let state = OrderState::parse(&state).ok_or(StoreError::Corrupt("order state"))?;
            Ok(Earlier { run: RunId::new(run), provider, state, orders, amount: Centimes::new(amount) })
        })
        .collect()
}

/// What a run pays again.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Part {
    /// Why.
    pub decision: String,
    /// Run of the earlier orders.
    pub of_run: i64,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// What a run pays again, by decision and earlier run.
pub async fn parts_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Part>, StoreError> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select decision, of_order >> 32, count(*), sum(amount)::bigint from order_reissue
          where run_id = $1 group by 1, 2 order by 1, 2",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    let part =
        |(decision, of_run, orders, amount)| Part { decision, of_run, orders, amount: Centimes::new(amount) };
    Ok(rows.into_iter().map(part).collect())
}

/// A link as it is shown.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Link {
    /// The new order.
    pub order: i64,
    /// Its run.
    pub run: i64,
    /// The earlier order.
    pub of_order: i64,
    /// Its run.
    pub of_run: i64,
    /// The new order's attempt.
    pub attempt: i16,
    /// Why.
    pub decision: String,
    /// False once the new order's run was cancelled.
    pub live: bool,
}

/// Links of an order, both ways, the earliest first.
pub async fn links(store: &Store, order: OrderId) -> Result<Vec<Link>, StoreError> {
    let rows: Vec<(i64, i64, i64, i16, String, bool)> = sqlx::query_as(
        "select order_id, run_id, of_order, attempt, decision, live from order_reissue where order_id = $1
         union all
         select order_id, run_id, of_order, attempt, decision, live from order_reissue where of_order = $1 and live
         order by 1",
    )
    .bind(order.get())
    .fetch_all(store.pool())
    .await?;
    let link = |(order, run, of_order, attempt, decision, live)| Link {
        order,
        run,
        of_order,
        of_run: OrderId::new(of_order).run().get(),
        attempt,
        decision,
        live,
    };
    Ok(rows.into_iter().map(link).collect())
}

/// The order that pays a claim now: the last along live links.
pub async fn last_in_tx(connection: &mut PgConnection, order: OrderId) -> Result<OrderId, StoreError> {
    let last: i64 = sqlx::query_scalar(
        "with recursive chain as (
             select $1::bigint as order_id
             union all select l.order_id from chain c join order_reissue l on l.of_order = c.order_id and l.live)
         select max(order_id) from chain",
    )
    .bind(order.get())
    .fetch_one(connection)
    .await?;
    Ok(OrderId::new(last))
}

/// Keeps an order back because an earlier one of its claim is said to be paid; `false` when that hold was placed before,
/// or a person let it go.
pub async fn hold_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    reason: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into order_hold (order_id, reason, placed_by, placed_at) values ($1, $2, 'sarf', $3) on conflict do nothing",
    )
    .bind(order.get())
    .bind(reason)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts an order forward; `false` when it was before.
pub async fn put_forward_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    why: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into reissue_request (order_id, why, put_by, put_at) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(order.get())
    .bind(why)
    .bind(by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Who put an order forward, and why.
pub async fn request(store: &Store, order: OrderId) -> Result<Option<(String, String)>, StoreError> {
    Ok(sqlx::query_as("select put_by, why from reissue_request where order_id = $1")
        .bind(order.get())
        .fetch_optional(store.pool())
        .await?)
}

/// What `sarf verify` asks of the links.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proven {
    /// Orders that stand reissued.
    pub reissued: i64,
    /// Live links.
    pub links: i64,
    /// Orders of reissue runs that are not cancelled.
    pub ordered: i64,
    /// Links whose two orders differ in claim or amount, or are not one attempt apart, or of which one is not there.
    pub differ: i64,
    /// Links whose earlier order is paid, or did not end unpaid.
    pub paid: i64,
}

/// Counts the links from the rows, pair of runs by pair of runs.
pub async fn prove(store: &Store) -> Result<Proven, StoreError> {
    let sql = format!(
        "select (select count(*) from outcome where step = {}), (select count(*) from order_reissue where live),
                (select coalesce(sum(orders), 0)::bigint from run where kind = 'reissue' and state not in ('draft', 'cancelled'))",
        Step::Reissued.number()
    );
    let (reissued, links, ordered): (i64, i64, i64) =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(store.pool()).await?;
    let mut proven = Proven { reissued, links, ordered, ..Proven::default() };
    let pairs: Vec<(i64, i64)> =
        sqlx::query_as("select distinct run_id, of_order >> 32 from order_reissue where live order by 1, 2")
            .fetch_all(store.pool())
            .await?;
    for (run, of_run) in pairs {
        let sql = format!(
            "select count(*) filter (where n.order_id is null or o.order_id is null or x.reissued is not true
                        or (n.household_id, n.period, n.purpose_id, n.entitled, n.attempt, l.attempt)
                           is distinct from (o.household_id, o.period, o.purpose_id, o.amount, o.attempt + 1, n.attempt)),
                    count(*) filter (where coalesce(x.paid and not x.returned, false)
                        or (l.was <> 'rejected' and x.ended is not true))
               from order_reissue l left join {new} n on n.order_id = l.order_id left join {old} o on o.order_id = l.of_order
               left join lateral (select bool_or({is_paid}) as paid, bool_or({is_returned}) as returned,
                                         bool_or({is_unpaid_end}) as ended, bool_or({is_reissued}) as reissued
                                    from outcome_{of_run} s where s.order_id = l.of_order) x on true
              where l.live and l.run_id = {run} and l.of_order >> 32 = {of_run}",
            new = orders::leaf(RunId::new(run)),
            old = orders::leaf(RunId::new(of_run)),
            is_paid = order_state::is_paid("step"),
            is_returned = order_state::is_step("step", &[Step::Returned, Step::ReturnedBooked]),
            is_unpaid_end = order_state::is_unpaid_end("step"),
            is_reissued = order_state::is_step("step", &[Step::Reissued]),
        );
        let (differ, paid): (i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(store.pool()).await?;
        proven.differ += differ;
        proven.paid += paid;
    }
    Ok(proven)
}
