//! Queries behind `sarf verify`: each recounts from the rows what is kept elsewhere.

use foldhash::{HashMap, HashSet};
use sqlx::AssertSqlSafe;

use crate::domain::ids::{BatchId, Code, RunId};
use crate::domain::order::OrderState;
use crate::domain::step::Step;
use crate::store::batches::membership;
use crate::store::orders::{self, order_state};
use crate::store::runs::{self, Run};
use crate::store::{Store, StoreError};

/// Orders of one provider, batch and state, counted from the rows.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Provider number.
    pub provider: i16,
    /// Batch they left or will leave in.
    pub batch: Option<BatchId>,
    /// State.
    pub state: OrderState,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: i64,
    /// Sum of what was due.
    pub entitled: i64,
    /// Sum of what was kept back.
    pub offset: i64,
}

/// Whether a run's orders come as events, so that its leaf grows.
pub async fn gathers_events(store: &Store, id: RunId) -> Result<bool, StoreError> {
    let sql = "select exists (select from run where id = $1 and standing_approval is not null)";
    Ok(sqlx::query_scalar(sql).bind(id.get()).fetch_one(store.pool()).await?)
}

/// The hash over all orders of a run, as they were made.
pub async fn orders_sha256(store: &Store, id: RunId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select orders_sha256 from run where id = $1";
    Ok(sqlx::query_scalar(sql).bind(id.get()).fetch_optional(store.pool()).await?.flatten())
}

/// Runs that can be read, newest first, and the numbers of those that cannot.
pub async fn list_readable(store: &Store) -> Result<(Vec<Run>, Vec<i64>), StoreError> {
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from run order by id desc").fetch_all(store.pool()).await?;
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    let mut tx = store.begin().await?;
    for id in ids {
        match runs::find_in_tx(&mut tx, RunId::new(id), false).await {
            Ok(Some(run)) => read.push(run),
            Err(error) if error.is_gone() => return Err(error),
            Ok(None) | Err(_) => unreadable.push(id),
        }
    }
    tx.rollback().await?;
    Ok((read, unreadable))
}

/// What orders of a run keep back, by their instalments.
pub async fn kept_back(store: &Store, run: RunId) -> Result<HashMap<i64, i64>, StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select order_id, sum(amount)::bigint from recovery_instalment where run_id = $1 group by order_id",
    )
    .bind(run.get())
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().collect())
}

/// Households of a programme that changed by events.
pub async fn changed_households(store: &Store, programme: i16) -> Result<HashSet<String>, StoreError> {
    let sql = "select distinct household_id from household_change where programme_id = $1";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(programme).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().collect())
}

/// Codes of purposes by their number; one that is no code is left out.
pub async fn purposes(store: &Store) -> Result<HashMap<i16, Code>, StoreError> {
    let rows: Vec<(i16, String)> =
        sqlx::query_as("select id, code from purpose").fetch_all(store.pool()).await?;
    Ok(rows.into_iter().filter_map(|(id, code)| Some((id, Code::parse(&code).ok()?))).collect())
}

/// One number that a query gives.
pub async fn number(store: &Store, sql: String) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(sql)).fetch_one(store.pool()).await?.unwrap_or(0))
}

/// By how much what one provider paid out of a closed run may differ from what settled there.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct PaidBeyond {
    /// Provider.
    pub provider: i16,
    /// Carried forward at the close.
    pub carried: i64,
    /// Came back, by advice, since the close or out of a file that was not on a statement by then, and is on none yet.
    pub came_back: i64,
    /// Came back onto the account since the close, of orders that no statement has paid out yet.
    pub back_first: i64,
}

/// Counts what a run's close left open between each bank and its orders, and what came back since.
pub async fn paid_beyond(store: &Store, run: RunId) -> Result<Vec<PaidBeyond>, StoreError> {
    let sql = format!(
        "with carried as materialized (
            select p.id as provider_id,
                   coalesce(sum(c.amount) filter (where c.subject = 'paid out beyond settled at ' || p.code), 0)::bigint as amount,
                   bool_or(c.subject in ('sent at ' || p.code, 'accepted at ' || p.code)) as unpaid
              from carried_forward c join provider p on c.subject like '% at ' || p.code where c.run_id = {run} group by p.id),
         back as materialized (
            select o.provider_id, o.amount, x.step, g.received_at >= r.closed_at as since, coalesce(c.unpaid, false) as unpaid,
                   exists (select from outcome_{run} y where y.order_id = x.order_id and y.step = {booked}) as booked,
                   coalesce(b.state = 'settled', false)
                     or exists (select from outcome_{run} y where y.order_id = x.order_id and y.step in ({paid}, {collected})) as paid
              from outcome_{run} x join {leaf} o using (order_id) join message g on g.id = x.message_id join run r on r.id = {run}
              {batch} left join carried c on c.provider_id = o.provider_id
             where x.step in ({returned}, {booked}))
         select provider_id as provider, coalesce(sum(carried), 0)::bigint as carried,
                coalesce(sum(came_back), 0)::bigint as came_back, coalesce(sum(back_first), 0)::bigint as back_first
           from (select provider_id, amount as carried, 0 as came_back, 0 as back_first from carried
                 union all
                 select provider_id, 0, case when step = {returned} and not booked and paid and (since or unpaid) then amount else 0 end,
                        case when step = {booked} and since and not paid then amount else 0 end
                   from back) of_all
          group by 1",
        leaf = orders::leaf(run),
        batch = membership::join_each(&run.to_string()),
        returned = Step::Returned.number(),
        booked = Step::ReturnedBooked.number(),
        paid = Step::SettledBooked.number(),
        collected = Step::CollectedBooked.number(),
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_all(store.pool()).await?)
}

/// What is reserved for a run, and what should be.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Reservation {
    /// Run.
    pub run: i64,
    /// Balance of its account.
    pub reserved: i64,
    /// What it ordered, less what a reissue took over, once it was funded.
    pub due: i64,
}

/// Reservations of all runs, counted from their rows.
pub async fn reservations(store: &Store) -> Result<Vec<Reservation>, StoreError> {
    Ok(sqlx::query_as(
        "select r.id as run, coalesce((select sum(a.balance) from ledger_account a where a.run_id = r.id and a.kind = 'reserved'), 0)::bigint as reserved,
                (case when r.state in ('draft', 'computed', 'submitted', 'approved', 'cancelled') then 0 else r.ordered end
                 - coalesce((select sum(l.amount) from order_reissue l join run n on n.id = l.run_id
                              where l.live and l.of_order >> 32 = r.id
                                and n.state not in ('draft', 'computed', 'submitted', 'approved', 'cancelled')), 0))::bigint as due
           from run r order by r.id",
    )
    .fetch_all(store.pool())
    .await?)
}

/// What left an envelope, and what stands reserved out of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Envelope {
    /// Programme.
    pub programme: String,
    /// Budget year.
    pub year: i32,
    /// What it gave.
    pub given: i64,
    /// What runs of the year have reserved.
    pub reserved: i64,
}

/// All envelopes.
pub async fn envelopes(store: &Store) -> Result<Vec<Envelope>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code as programme, a.budget_year as year, coalesce(-sum(a.balance) filter (where a.kind = 'envelope'), 0)::bigint as given,
                coalesce(sum(a.balance) filter (where a.kind = 'reserved'), 0)::bigint as reserved
           from ledger_account a join programme p on p.id = a.programme_id
          where a.kind in ('envelope', 'reserved') and a.budget_year is not null group by 1, 2 order by 1, 2",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Pairs of live runs that could order one claim twice.
pub async fn rival_runs(store: &Store) -> Result<Vec<(i64, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select a.id, b.id from run a join run b on a.programme_id = b.programme_id and a.id < b.id
          where a.state not in ('draft', 'cancelled') and b.state not in ('draft', 'cancelled')
            and (a.period = b.period or 'reissue' in (a.kind, b.kind) or 'correction' in (a.kind, b.kind))",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Figures of a run's stream lane, counted from the rows.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct StreamLane {
    /// Orders in its batches.
    pub orders: i64,
    /// Orders with steps of their own.
    pub stepped: i64,
    /// Of those, without the step that intends them.
    pub without_intent: i64,
    /// Unknown orders.
    pub unknown: i64,
    /// Of those, on no list of enquiries.
    pub not_asked_about: i64,
    /// Sum of orders that settlement files settled.
    pub settled_by_files: i64,
    /// Sum of what settlement files list, matched with orders.
    pub settlement_shares: i64,
}

/// Counts a run's stream lane.
pub async fn stream_lane(store: &Store, run: RunId) -> Result<StreamLane, StoreError> {
    let sql = format!(
        "with lanes as (select provider_id, min(first_order) as low, max(last_order) as high, sum(orders)::bigint as orders
                          from batch where run_id = {run} and lane = 'stream' and state not in ('planned', 'empty') group by 1),
              steps as (select x.order_id, bool_or(step = {sent}) as intended, max(step) as furthest,
                               bool_or({booked}) as by_file
                          from outcome_{run} x group by 1),
              known as (select s.*, o.amount from steps s join {leaf} o using (order_id)
                          join lanes l on l.provider_id = o.provider_id and o.order_id between l.low and l.high)
         select (select coalesce(sum(orders), 0)::bigint from lanes) as orders, count(*) as stepped,
                count(*) filter (where not intended) as without_intent,
                count(*) filter (where furthest = {unknown}) as unknown,
                count(*) filter (where furthest = {unknown} and not exists (select from enquiry e where e.order_id = known.order_id and e.unknown)) as not_asked_about,
                coalesce(sum(amount) filter (where by_file), 0)::bigint as settled_by_files,
                (select coalesce(sum(amount), 0)::bigint from settlement_share where run_id = {run}) as settlement_shares
           from known",
        leaf = orders::leaf(run),
        sent = Step::Sent.number(),
        unknown = Step::Unknown.number(),
        booked = order_state::is_step("step", &[Step::SettledBooked, Step::CollectedBooked]),
    );
    let lanes: bool =
        sqlx::query_scalar("select exists (select from batch where run_id = $1 and lane = 'stream' and state not in ('planned', 'empty'))")
            .bind(run.get())
            .fetch_one(store.pool())
            .await?;
    if !lanes {
        return Ok(StreamLane::default());
    }
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_one(store.pool()).await?)
}

/// Events that asked for an order and were taken, orders under standing approvals, and on how many they differ.
pub async fn events(store: &Store) -> Result<(i64, i64, i64), StoreError> {
    Ok(sqlx::query_as(
        "select e.n, r.n, abs(e.n - r.n) + e.without from
            (select count(*) as n, count(*) filter (where order_id is null) as without
               from event where kind = 'order' and outcome in ('applied', 'held')) e,
            (select coalesce(sum(orders), 0)::bigint as n from run where standing_approval is not null) r",
    )
    .fetch_one(store.pool())
    .await?)
}

/// Days on which more was ordered than the standing approval allows, or whose approval lacks a person.
pub async fn over_day_ceiling(store: &Store) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "select count(*) from (select r.standing_approval, r.business_day, sum(r.ordered) as ordered from run r
                                 where r.standing_approval is not null group by 1, 2) d
            join standing_approval a on a.id = d.standing_approval
          where d.ordered > a.day_max or a.approved_by is null or a.funded_by is null",
    )
    .fetch_one(store.pool())
    .await?)
}
