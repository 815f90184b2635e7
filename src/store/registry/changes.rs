//! Changes to households that came as events, and the orders that they concern.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::change_sharing::Held;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::event::{Change, NewAccount};
use crate::domain::household::Means;
use crate::domain::ids::{BatchId, Code, HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::reason::HoldReason;
use crate::domain::rib::Rib;
use crate::domain::step::Step;
use crate::store::batches::membership;
use crate::store::copy::{CopyBuffer, CopyOut, CopyRow};
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::runs::day_runs::array_of;
use crate::store::{StoreError, orders};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "household_id, programme_id, kind, payload, event_id, at, thing, commune";

/// Appends a change to a buffer.
pub fn push(
    buffer: &mut CopyBuffer,
    programme_id: i16,
    household: HouseholdId,
    change: &Change,
    event: &str,
    at: OffsetDateTime,
    commune: Option<&str>,
) {
    let thing = if let Change::Account(account) = change { Some(Held::of(account).key()) } else { None };
    buffer
        .row(8)
        .text(household.as_str())
        .i16(programme_id)
        .text(change.kind())
        .raw(&encode(change))
        .text(event)
        .timestamp(at)
        .text_or_null(thing.as_deref())
        .text_or_null(commune);
}

/// The payload of a change: for an account the means, the provider and, through the codec, what is personal; for a hold
/// its reason.
fn encode(change: &Change) -> Vec<u8> {
    let (means, provider, account, phone) = match change {
        Change::Account(NewAccount::Rib { rib, means }) => (means, "", rib.reveal(), None),
        Change::Account(NewAccount::Phone { phone, means, provider }) => {
            (means, provider.as_str(), "", Some(*phone))
        }
        Change::Death => return Vec::new(),
        Change::Hold(reason) | Change::Release(reason) => return reason.as_str().into(),
    };
    let mut personal = Vec::new();
    let payee = OrderPayee { name: String::new(), account: account.to_owned(), phone };
    personal::encode_order_payee(&payee, &mut personal);
    let len = u8::try_from(provider.len()).expect("a code has at most 32 characters");
    let mut out = vec![means.number(), len];
    out.extend_from_slice(provider.as_bytes());
    out.extend_from_slice(&personal);
    out
}

pub(crate) fn decode(kind: &str, payload: &[u8]) -> Result<Change, StoreError> {
    const FAULT: StoreError = StoreError::Corrupt("change of a household");
    let code = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|_| FAULT)?;
        Code::parse(text).map_err(|_| FAULT)
    };
    Ok(match kind {
        "account" => {
            let ([means, len], rest) = payload.split_first_chunk::<2>().ok_or(FAULT)?;
            let means = Means::from_number(*means).ok_or(FAULT)?;
            let (provider, personal) = rest.split_at_checked(usize::from(*len)).ok_or(FAULT)?;
            let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
            personal::decode_order_payee(personal, &mut payee)?;
            Change::Account(match payee.phone {
                Some(phone) => NewAccount::Phone { phone, means, provider: code(provider)? },
                None => NewAccount::Rib { rib: Rib::parse(&payee.account).map_err(|_| FAULT)?, means },
            })
        }
        "death" => Change::Death,
        "hold" => Change::Hold(code(payload)?),
        "release" => Change::Release(code(payload)?),
        _ => return Err(FAULT),
    })
}

/// A change of a household, and when the registry says that it happened.
pub type ChangeRow = (HouseholdId, OffsetDateTime, Change);

const READ: &str = "household_id, (extract(epoch from at) * 1000000)::bigint, kind, coalesce(payload, '')";

/// A programme's changes since a list was made, in household order, for merging with it.
pub fn since_source(programme_id: i16, snapshot: SnapshotId) -> String {
    format!(
        "(select {READ} from household_change where programme_id = {programme_id}
             and at > (select created_at from snapshot where id = {snapshot}) order by household_id, at, id)"
    )
}

/// Reads a row of [`since_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read(row: &mut CopyRow) -> Result<ChangeRow, StoreError> {
    let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(row.i64()?) * 1_000)
        .map_err(|_| StoreError::Corrupt("time of a change"))?;
    let kind = row.text()?.to_owned();
    Ok((household, at, decode(&kind, row.raw()?)?))
}

/// Changes of some households, by time; with `since`, only those since that list was made.
pub async fn of_households_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    households: &[HouseholdId],
    since: Option<SnapshotId>,
) -> Result<Vec<ChangeRow>, StoreError> {
    let since = since.map_or_else(String::new, |snapshot| {
        format!("and at > (select created_at from snapshot where id = {snapshot})")
    });
    let source = format!(
        "(select {READ} from household_change where programme_id = {programme_id} and household_id = any({})
            {since} order by at, id)",
        array_of(households)
    );
    read_all(connection, &source).await
}

/// Changes with a number above `after`, since a list was made.
pub async fn after_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    snapshot: SnapshotId,
    after: i64,
) -> Result<Vec<ChangeRow>, StoreError> {
    let source = format!(
        "(select {READ} from household_change where programme_id = {programme_id} and id > {after}
             and at > (select created_at from snapshot where id = {snapshot}) order by at, id)"
    );
    read_all(connection, &source).await
}

async fn read_all(connection: &mut PgConnection, source: &str) -> Result<Vec<ChangeRow>, StoreError> {
    let mut rows = CopyOut::begin(connection, source).await?;
    let mut found = Vec::new();
    while let Some(mut row) = rows.next().await? {
        found.push(read(&mut row)?);
    }
    Ok(found)
}

/// Number of the last change; every change up to it is committed when the caller keeps writers away.
pub async fn last_in_tx(connection: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select coalesce(max(id), 0) from household_change").fetch_one(connection).await?)
}

/// A programme's runs whose orders may still be on their way.
pub async fn open_runs_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from run where programme_id = $1 and state not in ('draft', 'closed', 'cancelled') order by id",
    )
    .bind(programme_id)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}

/// Keeps others from moving runs; those closed or cancelled meanwhile are missing in the answer.
pub async fn lock_runs_in_tx(
    connection: &mut PgConnection,
    runs: &[RunId],
) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<i64> = runs.iter().map(|r| r.get()).collect();
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from run where id = any($1) and state not in ('closed', 'cancelled') order by id for no key update",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}

/// Whether and how an order can still be kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is in no batch that was released.
    Planned,
    /// It is in a batch that was released, and has not left.
    Released {
        /// The batch.
        batch: BatchId,
        /// Whether the batch lists its orders.
        listed: bool,
        /// Whether workers may be about to hand it over.
        stream: bool,
    },
    /// It has left, and nothing final is known of it.
    Left,
    /// It has come to its end.
    Over,
}

/// An order of a household that changed.
#[derive(Clone, Debug)]
pub struct Concerned {
    /// Number.
    pub order: OrderId,
    /// Household.
    pub household: HouseholdId,
    /// Provider number.
    pub provider: i16,
    /// Amount.
    pub amount: Centimes,
    /// Encoded payee.
    pub payee: Vec<u8>,
    /// Whether it can be kept back.
    pub reach: Reach,
    /// Whether it is held.
    pub held: bool,
    /// Whether it is held for nothing but that the registry asked.
    pub held_by_registry_only: bool,
}

/// Orders of a run for some households.
pub async fn orders_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    households: &[HouseholdId],
) -> Result<Vec<Concerned>, StoreError> {
    let sql = format!(
        "select o.order_id, o.household_id, o.provider_id, o.amount, o.payee, b.id, b.state, b.lane, b.listed,
                (select max(x.step) from outcome_{run} x where x.order_id = o.order_id),
                coalesce(h.held, false), coalesce(h.registry_only, false)
           from {} o
           left join lateral (select max(missed_batch) as missed, bool_or(released_at is null) as held,
                                     bool_and(released_at is not null or reason = 'registry_hold') as registry_only
                                from order_hold m where m.order_id = o.order_id) h on true
           {}
          where o.household_id = any({})",
        orders::leaf(run),
        membership::join_by(&run.to_string(), "h.missed"),
        array_of(households)
    );
    // Each text is another statement: keeping them prepared would fill the connection's memory.
    let rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
    rows.iter().map(read_concerned).collect()
}

fn read_concerned(row: &sqlx::postgres::PgRow) -> Result<Concerned, StoreError> {
    use sqlx::Row as _;
    let household: &str = row.try_get(1)?;
    let (batch, state, lane): (Option<i64>, Option<&str>, Option<&str>) =
        (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
    let (listed, step): (Option<bool>, Option<i16>) = (row.try_get(8)?, row.try_get(9)?);
    let held: bool = row.try_get(10)?;
    let batch = match (batch, state, lane) {
        (Some(batch), Some(state), Some(lane)) => Some((
            BatchId::new(batch),
            BatchState::parse(state).ok_or(StoreError::Corrupt("batch state"))?,
            Lane::parse(lane).ok_or(StoreError::Corrupt("lane"))?,
        )),
        _ => None,
    };
    Ok(Concerned {
        order: OrderId::new(row.try_get(0)?),
        household: HouseholdId::parse(household.as_bytes())
            .map_err(|_| StoreError::Corrupt("household id"))?,
        provider: row.try_get(2)?,
        amount: Centimes::new(row.try_get(3)?),
        payee: row.try_get(4)?,
        reach: reach(held, batch, listed.unwrap_or(false), step),
        held,
        held_by_registry_only: held && row.try_get::<bool, _>(11)?,
    })
}

fn reach(held: bool, batch: Option<(BatchId, BatchState, Lane)>, listed: bool, step: Option<i16>) -> Reach {
    let Some((batch, state, lane)) = batch.filter(|_| !held) else { return Reach::Planned };
    let released = Reach::Released { batch, listed, stream: lane == Lane::Stream };
    let step = step.and_then(Step::from_number);
    match (state, step) {
        (BatchState::Planned | BatchState::Empty, _) => Reach::Planned,
        (BatchState::Released, _) => released,
        (BatchState::Dispatching, None) if lane == Lane::Stream => released,
        (_, Some(step)) if step.state().is_final() => Reach::Over,
        (BatchState::Settled | BatchState::Rejected, _) => Reach::Over,
        _ => Reach::Left,
    }
}

/// A hold to be placed.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Order.
    pub order: OrderId,
    /// Reason.
    pub reason: HoldReason,
    /// Code that says more; may be empty.
    pub detail: String,
    /// The batch that will leave without it.
    pub missed: Option<BatchId>,
}

/// Places holds; one that was let go before stands again.
pub async fn place_in_tx(
    connection: &mut PgConnection,
    holds: &[NewHold],
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into order_hold (order_id, reason, detail, missed_batch, placed_by, placed_at)
         select o, r, d, m, $5, $6 from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) as t(o, r, d, m)
         on conflict (order_id, reason) do update set released_by = null, released_at = null, released_why = null,
            detail = excluded.detail, placed_by = excluded.placed_by, placed_at = excluded.placed_at,
            missed_batch = coalesce(order_hold.missed_batch, excluded.missed_batch)
          where order_hold.released_at is not null",
    )
    .bind(holds.iter().map(|h| h.order.get()).collect::<Vec<_>>())
    .bind(holds.iter().map(|h| h.reason.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|h| h.detail.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|h| h.missed.map(BatchId::get)).collect::<Vec<_>>())
    .bind(by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the holds of one reason on some orders.
pub async fn lift_in_tx(
    connection: &mut PgConnection,
    ids: &[OrderId],
    reason: HoldReason,
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = ids.iter().map(|o| o.get()).collect();
    sqlx::query(
        "update order_hold set released_by = $3, released_why = $4, released_at = $5
          where order_id = any($1) and reason = $2 and released_at is null",
    )
    .bind(ids)
    .bind(reason.as_str())
    .bind(by)
    .bind(why)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes orders out of a released batch, which leaves without them; `listed` ones are taken off its list.
pub async fn take_out_in_tx(
    connection: &mut PgConnection,
    batch: BatchId,
    ids: &[OrderId],
    amount: Centimes,
    listed: bool,
) -> Result<(), StoreError> {
    let numbers: Vec<i64> = ids.iter().map(|o| o.get()).collect();
    if listed {
        sqlx::query("delete from batch_member where batch_id = $1 and order_id = any($2)")
            .bind(batch.get())
            .bind(&numbers)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "update batch set orders = orders - $2, amount = amount - $3,
                state = case when lane = 'file' and state = 'released' and orders = $2 then 'empty' else state end
          where id = $1",
    )
    .bind(batch.get())
    .bind(ids.len() as i64)
    .bind(amount.get())
    .execute(connection)
    .await?;
    Ok(())
}

/// Columns of a hold in the order that [`push_missed`] writes them.
pub const MISSED_COLUMNS: &str = "order_id, reason, placed_by, placed_at, missed_batch";

/// Appends a hold on an order that its batch leaves without.
pub fn push_missed(
    buffer: &mut CopyBuffer,
    order: OrderId,
    reason: HoldReason,
    by: &str,
    at: OffsetDateTime,
    batch: BatchId,
) {
    buffer.row(5).i64(order.get()).text(reason.as_str()).text(by).timestamp(at).i64(batch.get());
}

/// The state that an order within reach counts under in the kept totals.
pub const fn counted_as(reach: Reach) -> OrderState {
    match reach {
        Reach::Released { .. } => OrderState::Released,
        Reach::Planned | Reach::Left | Reach::Over => OrderState::Planned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::Phone;

    #[test]
    fn changes_come_back() {
        let code = |text| Code::parse(text).unwrap();
        let rib = Rib::compose("007", "810", "0000000000000042").unwrap();
        for change in [
            Change::Account(NewAccount::Rib { rib, means: Means::PaymentAccount }),
            Change::Account(NewAccount::Phone {
                phone: Phone::from_stored(612_345_678),
                means: Means::Cash,
                provider: code("cashplus"),
            }),
            Change::Death,
            Change::Hold(code("fraud")),
            Change::Release(code("cleared")),
        ] {
            let payload = encode(&change);
            assert_eq!(decode(change.kind(), &payload).unwrap(), change);
            if change != Change::Death {
                for cut in 0..payload.len().min(3) {
                    assert_ne!(
                        decode(change.kind(), &payload[..cut]).ok().as_ref(),
                        Some(&change),
                        "cut at {cut}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_has_left_is_out_of_reach() {
        use BatchState as B;
        let batch = BatchId::new(1);
        let check = |held, state, lane, step: Option<Step>, expected| {
            let seen = reach(held, Some((batch, state, lane)), false, step.map(Step::number));
            assert_eq!(seen, expected, "{held} {state} {lane} {step:?}");
        };
        let released = |stream| Reach::Released { batch, listed: false, stream };
        check(true, B::Sent, Lane::File, None, Reach::Planned);
        check(false, B::Planned, Lane::File, None, Reach::Planned);
        check(false, B::Released, Lane::File, None, released(false));
        check(false, B::Dispatching, Lane::File, None, Reach::Left);
        check(false, B::Sent, Lane::File, None, Reach::Left);
        check(false, B::Sent, Lane::File, Some(Step::Rejected), Reach::Over);
        check(false, B::Settled, Lane::File, None, Reach::Over);
        check(false, B::Dispatching, Lane::Stream, None, released(true));
        check(false, B::Dispatching, Lane::Stream, Some(Step::Sent), Reach::Left);
        check(false, B::Dispatching, Lane::Stream, Some(Step::Collected), Reach::Over);
        assert_eq!(reach(false, None, false, None), Reach::Planned);
    }
}
