//! Work lists: which orders wait for a payment point, and the lists that were made of them.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};

use crate::domain::household::{Means, Relation};
use crate::domain::ids::{Code, HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::person::Cin;
use crate::domain::step::Step;
use crate::store::batches::membership;
use crate::store::locks::{self, Lock};
use crate::store::orders::personal::{self, OrderPayee};
use crate::store::orders::{self, order_state};
use crate::store::registry::households;
use crate::store::{Store, StoreError};

/// The number of a provider; `None` before its first order.
pub async fn provider_number(store: &Store, code: &str) -> Result<Option<i16>, StoreError> {
    let sql = "select id from provider where code = $1";
    Ok(sqlx::query_scalar(sql).bind(code).fetch_optional(store.pool()).await?)
}

/// A run with orders of a provider that have left or may leave.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Run.
    pub id: RunId,
    /// Its snapshot, whose table of places its orders name.
    pub snapshot: SnapshotId,
    /// Whether orders are still added to it.
    pub grows: bool,
    /// Programme code.
    pub programme: String,
}

/// Runs with orders of a provider's stream lane that are under way.
pub async fn open_runs(store: &Store, provider: i16) -> Result<Vec<OpenRun>, StoreError> {
    let rows: Vec<(i64, i64, bool, String)> = sqlx::query_as(
        "select r.id, r.snapshot_id, r.standing_approval is not null, p.code from run r join programme p on p.id = r.programme_id
          where r.state in ('dispatching', 'settling', 'reconciled') and not r.paused
            and exists (select from batch b where b.run_id = r.id and b.provider_id = $1 and b.lane = 'stream'
                           and b.state not in ('planned', 'released', 'empty'))
          order by r.id",
    )
    .bind(provider)
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, snapshot, grows, programme)| OpenRun {
            id: RunId::new(id),
            snapshot: SnapshotId::new(snapshot),
            grows,
            programme,
        })
        .collect())
}

/// The places of a snapshot: number, province, commune.
pub async fn places(store: &Store, snapshot: SnapshotId) -> Result<Vec<(i32, String, String)>, StoreError> {
    let sql = "select id, province, commune from place where snapshot_id = $1";
    Ok(sqlx::query_as(sql).bind(snapshot.get()).fetch_all(store.pool()).await?)
}

/// A provider's orders in a run as (place, order), ascending; of some places only, where given.
pub async fn orders_by_place(
    store: &Store,
    run: RunId,
    provider: i16,
    places: Option<&[i32]>,
) -> Result<Vec<(i32, i64)>, StoreError> {
    let sql = format!(
        "select place_id, order_id from {} where provider_id = $1 and ($2::integer[] is null or place_id = any($2))
          order by 1, 2",
        orders::leaf(run)
    );
    let rows =
        sqlx::query_as::<_, (i32, i64)>(AssertSqlSafe(sql)).bind(provider).bind(places).fetch(store.pool());
    Ok(rows.try_collect().await?)
}

/// Which orders are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Released and cut, or intended to leave, and told to nobody.
    ToHandOver,
    /// Taken by the provider, not paid yet.
    AtHand,
}

/// Of `among`, the orders that wait and are on no list yet, ascending: each with its furthest step.
pub async fn waiting(
    store: &Store,
    run: RunId,
    among: &[i64],
    what: Waiting,
    orders_max: i64,
) -> Result<Vec<(i64, Option<Step>)>, StoreError> {
    let steps = match what {
        Waiting::ToHandOver => {
            format!("(x.step is null or {})", order_state::is_step("x.step", &[Step::Sent]))
        }
        Waiting::AtHand => order_state::is_step("x.step", &[Step::Accepted, Step::Available]),
    };
    let sql = format!(
        "select o.order_id, x.step
           from unnest($1::bigint[]) as c (order_id) join {leaf} o on o.order_id = c.order_id
           left join lateral (select max(step) as step from outcome_{run} x where x.order_id = o.order_id) x on true
           {joined}
          where {steps} and b.lane = 'stream' and b.state in ('dispatching', 'sent', 'accepted')
            and not exists (select from order_hold h where h.order_id = o.order_id and h.released_at is null)
            and not exists (select from worklist_member w where w.order_id = o.order_id)
          order by 1 limit $2",
        leaf = orders::leaf(run),
        joined = membership::join_each(&run.to_string()),
    );
    let rows: Vec<(i64, Option<i16>)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(among).bind(orders_max).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|(order, step)| (order, step.and_then(Step::from_number))).collect())
}

/// An order as a list needs it.
#[derive(Clone, Debug)]
pub struct ListedOrder {
    /// Number.
    pub id: OrderId,
    /// Household of the claim.
    pub household: HouseholdId,
    /// Month of the claim.
    pub period: Period,
    /// Purpose of the claim.
    pub purpose: Code,
    /// Attempt.
    pub attempt: u16,
    /// How much.
    pub amount: Centimes,
    /// How it is paid.
    pub means: Means,
    /// Who is paid.
    pub payee: OrderPayee,
    /// Identity card, which a counter asks for.
    pub cin: Option<Cin>,
}

/// Reads orders of a run for a list, ascending.
///
/// # Errors
/// When the database is gone, or a row cannot be read back.
pub async fn listed_orders(
    store: &Store,
    run: &OpenRun,
    ids: &[i64],
) -> Result<Vec<ListedOrder>, StoreError> {
    use sqlx::Row as _;
    let sql = format!(
        "select o.order_id, o.household_id, o.period, u.code, o.attempt, o.amount, o.payee, h.means, h.payee
           from {} o join purpose u on u.id = o.purpose_id left join {} h on h.household_id = o.household_id
          where o.order_id = any($1) order by o.order_id",
        orders::leaf(run.id),
        households::leaf(run.snapshot)
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(store.pool()).await?;
    rows.iter()
        .map(|row| {
            let household: String = row.try_get(1)?;
            let purpose: String = row.try_get(3)?;
            let means: Option<i16> = row.try_get(7)?;
            let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
            personal::decode_order_payee(row.try_get(6)?, &mut payee)?;
            // The relation lies in another column, and no list tells it.
            let registered: Option<Vec<u8>> = row.try_get(8)?;
            let registered = registered
                .map(|bytes| personal::decode_payee(&bytes, Relation::ALL[0], false))
                .transpose()?;
            Ok(ListedOrder {
                id: OrderId::new(row.try_get(0)?),
                household: HouseholdId::parse(household.as_bytes())
                    .map_err(|_| StoreError::Corrupt("household id"))?,
                period: Period::from_index(row.try_get(2)?).map_err(|_| StoreError::Corrupt("period"))?,
                purpose: Code::parse(&purpose).map_err(|_| StoreError::Corrupt("purpose"))?,
                attempt: row.try_get::<i16, _>(4)? as u16,
                amount: Centimes::new(row.try_get(5)?),
                means: means_of(means, &payee)?,
                payee,
                cin: registered.and_then(|payee| payee.cin),
            })
        })
        .collect()
}

/// How an order is paid: as the household chose, unless the order itself pays a phone where that names an account, as when
/// it is paid again by another lane.
fn means_of(chosen: Option<i16>, payee: &OrderPayee) -> Result<Means, StoreError> {
    let chosen = match chosen {
        Some(number) => {
            let known = u8::try_from(number).ok().and_then(Means::from_number);
            Some(known.ok_or(StoreError::Corrupt("means"))?)
        }
        None => None,
    };
    Ok(match (chosen, payee.phone) {
        (Some(means @ (Means::Wallet | Means::Cash)), Some(_)) => means,
        (_, Some(_)) => Means::Cash,
        (Some(means @ (Means::BankAccount | Means::PaymentAccount)), None) => means,
        (Some(means), None) if payee.account.is_empty() => means,
        (_, None) => Means::PaymentAccount,
    })
}

/// A list without its orders.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Number within the day, from 1.
    pub number: i32,
    /// Orders on it.
    pub orders: i64,
    /// Their sum, centimes.
    pub amount: i64,
    /// SHA-256 of the compressed list.
    pub sha256: String,
    /// Length of the compressed list.
    pub bytes: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
}

/// A list.
#[derive(Clone, Debug)]
pub struct Worklist {
    /// What it is.
    pub summary: Summary,
    /// Compressed; personal.
    pub body: Vec<u8>,
}

/// Which point, on which day.
#[derive(Clone, Copy, Debug)]
pub struct PointDay<'a> {
    /// Provider number.
    pub provider: i16,
    /// Point.
    pub point: &'a str,
    /// Day, local.
    pub day: Date,
}

/// A list by its number, or the last one of the day.
pub async fn find(
    store: &Store,
    at: PointDay<'_>,
    number: Option<i32>,
) -> Result<Option<Worklist>, StoreError> {
    use sqlx::Row as _;
    let row = sqlx::query(
        "select number, orders, amount, encode(sha256, 'hex'), octet_length(body)::bigint, made_at, body from worklist
          where provider_id = $1 and point = $2 and day = $3 and ($4::integer is null or number = $4)
          order by number desc limit 1",
    )
    .bind(at.provider)
    .bind(at.point)
    .bind(at.day)
    .bind(number)
    .fetch_optional(store.pool())
    .await?;
    row.map(|row| Ok(Worklist { summary: read_summary(&row)?, body: row.try_get(6)? })).transpose()
}

/// The lists of a point's day, by number.
pub async fn of_day(store: &Store, at: PointDay<'_>) -> Result<Vec<Summary>, StoreError> {
    let rows = sqlx::query(
        "select number, orders, amount, encode(sha256, 'hex'), octet_length(body)::bigint, made_at from worklist
          where provider_id = $1 and point = $2 and day = $3 order by number",
    )
    .bind(at.provider)
    .bind(at.point)
    .bind(at.day)
    .fetch_all(store.pool())
    .await?;
    rows.iter().map(read_summary).collect()
}

fn read_summary(row: &sqlx::postgres::PgRow) -> Result<Summary, StoreError> {
    use sqlx::Row as _;
    Ok(Summary {
        number: row.try_get(0)?,
        orders: row.try_get(1)?,
        amount: row.try_get(2)?,
        sha256: row.try_get(3)?,
        bytes: row.try_get(4)?,
        made_at: row.try_get(5)?,
    })
}

/// Keeps others from making a list for this point until the transaction ends, and says which number comes next;
/// `None` when one of the orders was put on a list meanwhile.
pub async fn next_number_in_tx(
    connection: &mut PgConnection,
    at: PointDay<'_>,
    members: &[i64],
) -> Result<Option<i32>, StoreError> {
    locks::take_in_tx(connection, Lock::WorkLists(at.provider, at.point)).await?;
    let taken: bool =
        sqlx::query_scalar("select exists (select from worklist_member where order_id = any($1))")
            .bind(members)
            .fetch_one(&mut *connection)
            .await?;
    if taken {
        return Ok(None);
    }
    let number = sqlx::query_scalar(
        "select coalesce(max(number), 0) + 1 from worklist where provider_id = $1 and point = $2 and day = $3",
    )
    .bind(at.provider)
    .bind(at.point)
    .bind(at.day)
    .fetch_one(connection)
    .await?;
    Ok(Some(number))
}

/// Keeps a list, and which orders are on it.
///
/// # Errors
/// With the constraint `worklist_member_pkey` when an order is on a list already.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    at: PointDay<'_>,
    list: &Worklist,
    sha256: &[u8; 32],
    members: &[i64],
) -> Result<(), StoreError> {
    let id: i64 = sqlx::query_scalar(
        "insert into worklist (provider_id, point, day, number, orders, amount, sha256, body, made_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id",
    )
    .bind(at.provider)
    .bind(at.point)
    .bind(at.day)
    .bind(list.summary.number)
    .bind(list.summary.orders)
    .bind(list.summary.amount)
    .bind(sha256.as_slice())
    .bind(&list.body)
    .bind(list.summary.made_at)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("insert into worklist_member (order_id, worklist_id) select unnest($1::bigint[]), $2")
        .bind(members)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that a list was asked for, the first time.
pub async fn fetched(
    store: &Store,
    at: PointDay<'_>,
    number: i32,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "update worklist set fetched_at = $5
          where provider_id = $1 and point = $2 and day = $3 and number = $4 and fetched_at is null",
    )
    .bind(at.provider)
    .bind(at.point)
    .bind(at.day)
    .bind(number)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
