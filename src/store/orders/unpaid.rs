//! Orders that ended unpaid (rejected, returned, expired) and were not ordered again: for reissue runs and for the list
//! of unclaimed money.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::order_state;
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::step::Step;
use crate::store::batches::membership;
use crate::store::copy::{CopyAhead, CopyRow};
use crate::store::registry::households;
use crate::store::{Store, StoreError, orders};

/// Runs in which orders stand unpaid, as kept totals say; of one programme, or of all.
pub async fn runs_in_tx(
    connection: &mut PgConnection,
    programme: Option<i16>,
) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select r.id from run r where ($1::smallint is null or r.programme_id = $1) and exists (select from run_total t
            where t.run_id = r.id and t.orders > 0 and t.state in ('rejected', 'returned', 'expired')) order by 1",
    )
    .bind(programme)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}

/// Providers at which orders of these runs stand unpaid.
pub async fn providers_in_tx(connection: &mut PgConnection, runs: &[RunId]) -> Result<Vec<i16>, StoreError> {
    Ok(sqlx::query_scalar(
        "select distinct provider_id from run_total
          where run_id = any($1) and orders > 0 and state in ('rejected', 'returned', 'expired') order by 1",
    )
    .bind(runs.iter().map(|r| r.get()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?)
}

/// Orders of a run that stand unpaid: number, furthest step, reason, message. An order's own steps come first; an order
/// without stands where its wholly rejected file stands. Where we asked an order back and were not refused, our reason
/// counts, not the word with which the provider gave in.
fn ended_sql(run: RunId) -> String {
    let (rejected, reissued) = (Step::Rejected.number(), Step::Reissued.number());
    let of_batch = format!(
        "select b.id, b.provider_id, b.first_order, b.last_order, b.listed, e.reason, e.message_id
           from batch b cross join lateral (select reason, message_id from batch_event
                where batch_id = b.id and step = {rejected} order by message_id desc limit 1) e"
    );
    format!(
        "select u.order_id, u.step, u.message_id,
                coalesce((select r.reason from recall r where r.order_id = u.order_id and r.state <> 'refused' order by r.id desc limit 1),
                         u.reason) as reason
           from (
         select order_id, max(step) as step, substr(max(lpad(step::text, 2, '0') || reason), 3) as reason,
                (array_agg(message_id order by step desc))[1] as message_id
           from outcome_{run} where {ended} group by order_id having max(step) < {reissued}
         union all
         select o.order_id, {rejected}::smallint, k.reason, k.message_id
           from ({of_batch} where b.run_id = {run} and b.state = 'rejected' and not b.listed) k
           join {leaf} o on {spans}
          where not {missed}
            and not exists (select from outcome_{run} x where x.order_id = o.order_id and {x_ended})
         union all
         select m.order_id, {rejected}::smallint, k.reason, k.message_id
           from ({of_batch} where b.run_id = {run} and b.state = 'rejected' and b.listed) k
           join batch_member m on m.batch_id = k.id
          where not exists (select from outcome_{run} x where x.order_id = m.order_id and {x_ended})) u",
        leaf = orders::leaf(run),
        ended = order_state::is_end("step"),
        x_ended = order_state::is_end("x.step"),
        spans = membership::spans("k", "o.order_id", "o.provider_id"),
        missed = membership::missed("o.order_id"),
    )
}

/// The state of a step of [`ended_sql`], and whether the account statement booked it, where it must.
fn read_step(number: i16) -> Option<(OrderState, bool)> {
    match Step::from_number(number)? {
        step @ (Step::Rejected | Step::Expired | Step::ReturnedBooked) => Some((step.state(), true)),
        step @ Step::Returned => Some((step.state(), false)),
        _ => None,
    }
}

/// An order that stands unpaid, with what must be known to pay it again.
#[derive(Clone, Debug)]
pub struct Unpaid {
    /// Number.
    pub order: OrderId,
    /// Household of the claim.
    pub household: HouseholdId,
    /// Place, in the table of its run's snapshot.
    pub place: u16,
    /// Month of the claim.
    pub period: Period,
    /// Purpose number of the claim.
    pub purpose: i16,
    /// Attempt.
    pub attempt: u16,
    /// Provider number.
    pub provider: i16,
    /// Amount.
    pub amount: Centimes,
    /// Encoded components.
    pub components: Vec<u8>,
    /// Encoded payee.
    pub payee: Vec<u8>,
    /// Rejected, returned or expired.
    pub state: OrderState,
    /// False for a return that is announced and not booked.
    pub booked: bool,
    /// The provider's reason.
    pub reason: Option<String>,
    /// An operator put it forward.
    pub put_forward: bool,
    /// Reasons of its holds that a person let go.
    pub let_go: Vec<String>,
    /// What its household shares in the latest list: the kind, and with how many households it stands.
    pub shares: Vec<(String, u32)>,
    /// Its household in the latest list, without members.
    pub listed: Option<Household>,
}

/// Unpaid orders of runs, by household, beside the households of the latest list.
pub struct UnpaidOrders(CopyAhead);

impl UnpaidOrders {
    /// Opens the pass, on a connection of its own.
    pub fn open(store: &Store, runs: &[RunId], snapshot: SnapshotId) -> Self {
        let of_run = |run: &RunId| {
            format!(
                "select o.order_id, o.household_id, o.place_id, o.period, o.purpose_id, o.attempt, o.provider_id, o.amount,
                        o.components, o.payee, e.step, e.reason
                   from ({}) e join {} o on o.order_id = e.order_id",
                ended_sql(*run),
                orders::leaf(*run)
            )
        };
        let all: Vec<String> = runs.iter().map(of_run).collect();
        // No member is needed: the codec's empty form stands for them.
        let column = |name| if name == "members" { "'\\x01'::bytea".to_owned() } else { format!("h.{name}") };
        let columns: Vec<String> = households::COLUMNS.split(", ").map(column).collect();
        let source = format!(
            "(select u.*, exists (select from reissue_request f where f.order_id = u.order_id)::int::smallint,
                     (select string_agg(h.reason, ',') from order_hold h where h.order_id = u.order_id and h.released_at is not null),
                     (select string_agg(s.kind || ' ' || s.households, ',') from snapshot_share s where s.household_key = h.household_key),
                     (h.household_id is not null)::int::smallint, {}
                from ({}) u left join {} h on h.household_id = u.household_id
               order by u.household_id, u.period, u.purpose_id, u.attempt, u.order_id)",
            columns.join(", "),
            all.join(" union all "),
            households::leaf(snapshot)
        );
        Self(CopyAhead::open(store.pool(), source))
    }

    /// The next order, or `None` after the last.
    ///
    /// # Errors
    /// When the database is gone, or a row cannot be read back.
    pub async fn next(&mut self) -> Result<Option<Unpaid>, StoreError> {
        match self.0.next().await? {
            Some(row) => read(row).map(Some),
            None => Ok(None),
        }
    }
}

fn read(mut row: CopyRow) -> Result<Unpaid, StoreError> {
    let order = OrderId::new(row.i64()?);
    let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
    let place = row.i32()? as u16;
    let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
    let (purpose, attempt, provider) = (row.i16()?, row.i16()? as u16, row.i16()?);
    let amount = Centimes::new(row.i64()?);
    let (components, payee) = (row.raw()?.to_vec(), row.raw()?.to_vec());
    let (state, booked) = read_step(row.i16()?).ok_or(StoreError::Corrupt("step"))?;
    let reason = row.text_or_null()?.map(str::to_owned);
    let put_forward = row.i16()? != 0;
    let listed = |text: Option<&str>| {
        let items = text.unwrap_or_default().split(',').filter(|item| !item.is_empty());
        items.map(str::to_owned).collect::<Vec<_>>()
    };
    let (let_go, shares) = (listed(row.text_or_null()?), listed(row.text_or_null()?));
    let share = |text: String| {
        let (kind, households) = text.split_once(' ')?;
        Some((kind.to_owned(), households.parse().ok()?))
    };
    let shares = shares.into_iter().map(share).collect::<Option<_>>();
    let listed = (row.i16()? != 0).then(|| households::read(&mut row, None)).transpose()?;
    Ok(Unpaid {
        order,
        household,
        place,
        period,
        purpose,
        attempt,
        provider,
        amount,
        components,
        payee,
        state,
        booked,
        reason,
        put_forward,
        let_go,
        shares: shares.ok_or(StoreError::Corrupt("share"))?,
        listed,
    })
}

/// Where an order stands unpaid: its state and its reason; `None` while it does not.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<(OrderState, Option<String>)>, StoreError> {
    let sql = format!("select e.step, e.reason from ({}) e where e.order_id = $1", ended_sql(order.run()));
    let found: Option<(i16, Option<String>)> = sqlx::query_as(AssertSqlSafe(sql))
        .persistent(false)
        .bind(order.get())
        .fetch_optional(connection)
        .await?;
    found
        .map(|(step, reason)| Ok((read_step(step).ok_or(StoreError::Corrupt("step"))?.0, reason)))
        .transpose()
}

/// An unpaid order as the list of unclaimed money shows it.
#[derive(Clone, Debug)]
pub struct Unclaimed {
    /// Number.
    pub order: OrderId,
    /// Household.
    pub household: String,
    /// Month of the claim.
    pub period: Period,
    /// Region.
    pub region: String,
    /// Province.
    pub province: String,
    /// Provider code.
    pub provider: String,
    /// Attempt.
    pub attempt: u16,
    /// Amount.
    pub amount: Centimes,
    /// Rejected, returned or expired.
    pub state: OrderState,
    /// The provider's reason.
    pub reason: Option<String>,
    /// Since when it stands so.
    pub since: OffsetDateTime,
    /// An operator put it forward.
    pub put_forward: bool,
}

/// Unpaid orders of one run, ascending.
pub struct UnclaimedOrders(CopyAhead);

impl UnclaimedOrders {
    /// Opens the pass, on a connection of its own.
    pub fn open(store: &Store, run: RunId, snapshot: SnapshotId) -> Self {
        let source = format!(
            "(select o.order_id, o.household_id, o.period, p.region, p.province, v.code, o.attempt, o.amount, e.step, e.reason,
                     extract(epoch from m.received_at)::bigint,
                     exists (select from reissue_request f where f.order_id = o.order_id)::int::smallint
                from ({}) e join {} o on o.order_id = e.order_id
                join place p on p.snapshot_id = {snapshot} and p.id = o.place_id
                join provider v on v.id = o.provider_id join message m on m.id = e.message_id
               order by o.order_id)",
            ended_sql(run),
            orders::leaf(run)
        );
        Self(CopyAhead::open(store.pool(), source))
    }

    /// The next order, or `None` after the last.
    ///
    /// # Errors
    /// When the database is gone, or a row cannot be read back.
    pub async fn next(&mut self) -> Result<Option<Unclaimed>, StoreError> {
        let Some(mut row) = self.0.next().await? else { return Ok(None) };
        let order = OrderId::new(row.i64()?);
        let household = row.text()?.to_owned();
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let (region, province, provider) =
            (row.text()?.to_owned(), row.text()?.to_owned(), row.text()?.to_owned());
        let (attempt, amount) = (row.i16()? as u16, Centimes::new(row.i64()?));
        let (state, _) = read_step(row.i16()?).ok_or(StoreError::Corrupt("step"))?;
        let reason = row.text_or_null()?.map(str::to_owned);
        let since = OffsetDateTime::from_unix_timestamp(row.i64()?)
            .map_err(|_| StoreError::Corrupt("time of a message"))?;
        let put_forward = row.i16()? != 0;
        Ok(Some(Unclaimed {
            order,
            household,
            period,
            region,
            province,
            provider,
            attempt,
            amount,
            state,
            reason,
            since,
            put_forward,
        }))
    }
}
