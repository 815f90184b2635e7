//! Children of a list that have rows of their own (claims of birth grants, children in institutions), what orders pay for them,
//! and deposits that are released.

use sqlx::{AssertSqlSafe, PgConnection};
use time::Date;

use super::households;
use crate::domain::child::{BirthClaim, CareGround, ChildInCare};
use crate::domain::entitlement::{PaidBefore, PaidIn, Release};
use crate::domain::household::{Household, PlaceId};
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::store::copy::{CopyBuffer, CopyRow};
use crate::store::orders::personal;
use crate::store::{Store, StoreError};

/// The table of claims, with its columns in the order that [`push_claim`] writes them.
pub const CLAIMS: &str =
    "birth_claim (snapshot_id, row_number, household_id, rank, claimed_on, child_key, child)";
/// The table of children in care, with its columns in the order that [`push_in_care`] writes them.
pub const IN_CARE: &str =
    "child_in_care (snapshot_id, row_number, deposit_id, place_id, ground, since, until, child_key, child)";
/// The table of what orders pay for children, with its columns in the order that [`push_payment`] writes them.
pub const PAYMENTS: &str = "child_payment (order_id, run_id, programme_id, purpose_id, period, rank, amount, household_id, child_key)";
/// The table of releases, with its columns in the order that [`push_release`] writes them.
pub const RELEASES: &str = "deposit_release (run_id, programme_id, deposit_id, of_age_on, amount, child_key)";

/// Appends a claim of a list.
pub fn push_claim(buffer: &mut CopyBuffer, list: SnapshotId, claim: &BirthClaim) {
    buffer
        .row(7)
        .i64(list.get())
        .i64(claim.row.into())
        .text(claim.household.as_str())
        .i16(claim.rank.into())
        .date(claim.claimed_on)
        .raw(&personal::child_key(claim.child))
        .raw(&personal::encode_idcs(claim.child));
}

/// Appends a child in care of a list.
pub fn push_in_care(buffer: &mut CopyBuffer, list: SnapshotId, child: &ChildInCare) {
    let row = buffer
        .row(9)
        .i64(list.get())
        .i64(child.row.into())
        .text(child.id.as_str())
        .i32(child.place.0.into())
        .i16(child.ground.number().into())
        .date(child.since);
    match child.until {
        Some(until) => row.date(until),
        None => row.text_or_null(None),
    };
    row.raw(&personal::child_key(child.child)).raw(&personal::encode_child(child));
}

/// Rows of a list that other rows rule out: kind, reason and how many.
pub type RuledOut = (String, String, i64);

/// Rejects what the rows of a list rule out among each other (claims of households that were not taken, a child named twice, a
/// deposit under a household's id), and counts what was taken. The list's households are in place.
pub async fn settle_in_tx(
    connection: &mut PgConnection,
    list: SnapshotId,
) -> Result<Vec<RuledOut>, StoreError> {
    let leaf = households::leaf(list);
    let mut ruled_out = Vec::new();
    // `offset 0`: each row is looked up in the leaf's index, whatever is thought of tables that nobody has counted yet.
    for (part, table, id, field, reason, faulty) in [
        (
            "claims",
            "birth_claim",
            "household_id",
            "household_id",
            "orphan_claim",
            format!("not exists (select from {leaf} h where h.household_id = c.household_id offset 0)"),
        ),
        (
            "deposits",
            "child_in_care",
            "deposit_id",
            "deposit_id",
            "taken_by_household",
            format!("exists (select from {leaf} h where h.household_id = c.deposit_id offset 0)"),
        ),
        (
            "claims",
            "birth_claim",
            "household_id",
            "child_idcs",
            "duplicate_child",
            after_the_first("birth_claim"),
        ),
        (
            "deposits",
            "child_in_care",
            "deposit_id",
            "child_idcs",
            "duplicate_child",
            after_the_first("child_in_care"),
        ),
    ] {
        let sql = format!(
            "with gone as (delete from {table} c where c.snapshot_id = $1 and {faulty} returning c.row_number, c.{id} as id)
             insert into snapshot_rejection (snapshot_id, part, row_number, household_id, field, value_masked, reason)
             select $1, $2, row_number, id, $3, case when $3 = 'child_idcs' then '9999999999' else '' end, $4 from gone"
        );
        let done = sqlx::query(AssertSqlSafe(sql))
            .persistent(false)
            .bind(list.get())
            .bind(part)
            .bind(field)
            .bind(reason)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() > 0 {
            ruled_out.push((part.to_owned(), reason.to_owned(), done.rows_affected() as i64));
        }
    }
    sqlx::query(
        "update snapshot s set claims = (select count(*) from birth_claim where snapshot_id = s.id),
                deposits = (select count(*) from child_in_care where snapshot_id = s.id),
                rejected_claims = (select count(*) from snapshot_rejection where snapshot_id = s.id and part = 'claims'),
                rejected_deposits = (select count(*) from snapshot_rejection where snapshot_id = s.id and part = 'deposits')
          where s.id = $1",
    )
    .bind(list.get())
    .execute(connection)
    .await?;
    Ok(ruled_out)
}

/// A row whose child an earlier row of the list names. By sorting, and looked up as a list: rows of a table that nobody has counted
/// yet are taken for one, and then compared each with each.
fn after_the_first(table: &str) -> String {
    format!(
        "c.row_number = any (array(select e.row_number
             from (select row_number, row_number() over (partition by child_key order by row_number) as place
                     from {table} where snapshot_id = $1) e
            where e.place > 1))"
    )
}

/// A claim with its household, and what was paid before.
#[derive(Debug)]
pub struct ClaimRow {
    /// The claim.
    pub claim: BirthClaim,
    /// Its household in the list.
    pub household: Household,
    /// What was paid before.
    pub paid: PaidBefore,
}

/// The claims of a list with their households, by household.
pub fn claims_source(list: SnapshotId, programme: i16, purpose: i16) -> String {
    let columns: Vec<String> = households::COLUMNS.split(", ").map(|column| format!("h.{column}")).collect();
    let paid = format!("p.programme_id = {programme} and p.purpose_id = {purpose} and p.live");
    format!(
        "(select {columns}, c.row_number, c.rank, c.claimed_on, c.child,
                exists (select from child_payment p where {paid} and p.period is null and p.child_key = c.child_key)::int::smallint,
                (select string_agg(p.rank::text, ',') from child_payment p
                  where p.household_id = c.household_id and {paid} and p.child_key <> c.child_key)
           from birth_claim c join {leaf} h on h.household_id = c.household_id
          where c.snapshot_id = {list} order by c.household_id, c.row_number)",
        columns = columns.join(", "),
        leaf = households::leaf(list),
    )
}

/// Reads a row of [`claims_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_claim(row: &mut CopyRow) -> Result<ClaimRow, StoreError> {
    let household = households::read(row, None)?;
    let claim = BirthClaim {
        household: household.id,
        row: u32::try_from(row.i64()?).map_err(|_| StoreError::Corrupt("row of a claim"))?,
        rank: u8::try_from(row.i16()?).map_err(|_| StoreError::Corrupt("rank of a claim"))?,
        claimed_on: row.date()?,
        child: personal::decode_idcs(row.raw()?)?,
    };
    let child = row.i16()? != 0;
    let ranks =
        numbers(row.text_or_null()?)?.into_iter().filter_map(|rank| u8::try_from(rank).ok()).collect();
    Ok(ClaimRow { claim, household, paid: PaidBefore { child, ranks } })
}

/// The children in care of a list, by deposit, with what was paid in before.
pub fn in_care_source(list: SnapshotId, programme: i16, purpose: i16) -> String {
    let paid = format!(
        "p.programme_id = {programme} and p.purpose_id = {purpose} and p.live and p.child_key = c.child_key"
    );
    format!(
        "(select c.row_number, c.deposit_id, c.place_id, c.ground, c.since, c.until, c.child,
                (select string_agg(p.period::text, ',') from child_payment p where {paid}),
                coalesce((select sum(p.amount) from child_payment p where {paid}), 0)::bigint,
                exists (select from deposit_release r where r.programme_id = {programme} and r.live and r.child_key = c.child_key)::int::smallint
           from child_in_care c where c.snapshot_id = {list} order by c.deposit_id)"
    )
}

/// Reads a row of [`in_care_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_in_care(row: &mut CopyRow) -> Result<(ChildInCare, PaidIn), StoreError> {
    let number = u32::try_from(row.i64()?).map_err(|_| StoreError::Corrupt("row of a child"))?;
    let id = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("deposit id"))?;
    let place = PlaceId(row.i32()? as u16);
    let ground = CareGround::from_number(row.i16()? as u8).ok_or(StoreError::Corrupt("ground of care"))?;
    let (since, until) = (row.date()?, row.date_or_null()?);
    let child = personal::decode_child(row.raw()?, number, id, place, ground, (since, until))?;
    let period = |index| i32::try_from(index).ok().and_then(|index| Period::from_index(index).ok());
    let months = numbers(row.text_or_null()?)?.into_iter().filter_map(period).collect();
    let amount = Centimes::new(row.i64()?);
    Ok((child, PaidIn { months, amount, released: row.i16()? != 0 }))
}

fn numbers(text: Option<&str>) -> Result<Vec<i64>, StoreError> {
    let items = text.unwrap_or_default().split(',').filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| StoreError::Corrupt("list of numbers"))).collect()
}

/// What an order pays for one child.
#[derive(Clone, Copy, Debug)]
pub struct NewPayment {
    /// The order.
    pub order: OrderId,
    /// Programme number.
    pub programme: i16,
    /// Purpose number.
    pub purpose: i16,
    /// The month it is for; `None` for what is paid once for all time.
    pub period: Option<Period>,
    /// The rank of a grant.
    pub rank: Option<u8>,
    /// How much.
    pub amount: Centimes,
    /// The household of the order, or the deposit.
    pub household: HouseholdId,
    /// The child's key.
    pub child: [u8; 16],
}

/// Appends what an order pays for one child.
pub fn push_payment(buffer: &mut CopyBuffer, new: &NewPayment) {
    let row =
        buffer.row(9).i64(new.order.get()).i64(new.order.run().get()).i16(new.programme).i16(new.purpose);
    match new.period {
        Some(period) => row.i32(period.index()),
        None => row.text_or_null(None),
    };
    match new.rank {
        Some(rank) => row.i16(rank.into()),
        None => row.text_or_null(None),
    };
    row.i64(new.amount.get()).text(new.household.as_str()).raw(&new.child);
}

/// Appends a release.
pub fn push_release(
    buffer: &mut CopyBuffer,
    run: RunId,
    programme: i16,
    child: &ChildInCare,
    release: &Release,
) {
    buffer
        .row(6)
        .i64(run.get())
        .i16(programme)
        .text(child.id.as_str())
        .date(release.of_age_on)
        .i64(release.amount.get())
        .raw(&personal::child_key(child.child));
}

/// The run of a kind that a month has, and the list that it was made from.
pub async fn run_of_month_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: Period,
    kind: &str,
) -> Result<Option<(RunId, SnapshotId)>, StoreError> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "select id, snapshot_id from run where programme_id = $1 and period = $2 and kind = $3 and state <> 'cancelled'",
    )
    .bind(programme)
    .bind(period.index())
    .bind(kind)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(run, list)| (RunId::new(run), SnapshotId::new(list))))
}

/// A live run of a kind, of whatever month, of which nothing has left.
pub async fn run_under_way_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    kind: &str,
) -> Result<Option<RunId>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "select min(id) from run where programme_id = $1 and kind = $2
            and state in ('draft', 'computed', 'submitted', 'approved', 'funded')",
    )
    .bind(programme)
    .bind(kind)
    .fetch_one(connection)
    .await?;
    Ok(found.map(RunId::new))
}

/// Frees what a run that is cancelled would have paid and released.
pub async fn undo_in_tx(connection: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
    for sql in [
        "update child_payment set live = false where run_id = $1 and live",
        "update deposit_release set live = false where run_id = $1 and live",
    ] {
        sqlx::query(sql).bind(run.get()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What a run pays for children and releases, for the content that is approved.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Content {
    /// Payments for a child.
    pub payments: i64,
    /// Deposits that are released.
    pub releases: i64,
    /// What is released.
    pub released: i64,
    /// Hex SHA-256 over all of these rows.
    pub sha256: String,
}

/// What a run pays for children and releases.
pub async fn content_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Content, StoreError> {
    Ok(sqlx::query_as(
        "select (select count(*) from child_payment where run_id = $1) as payments,
                (select count(*) from deposit_release where run_id = $1) as releases,
                (select coalesce(sum(amount), 0)::bigint from deposit_release where run_id = $1) as released,
                encode(sha256(convert_to(coalesce((select string_agg(line, E'\\n' order by line) from (
                    select concat_ws(' ', order_id, purpose_id, coalesce(period, -1), coalesce(rank, 0), amount, household_id,
                           encode(child_key, 'hex')) as line from child_payment where run_id = $1
                    union all
                    select concat_ws(' ', 'release', deposit_id, of_age_on, amount, encode(child_key, 'hex'))
                      from deposit_release where run_id = $1) l), ''), 'UTF8')), 'hex') as sha256",
    )
    .bind(run.get())
    .fetch_one(connection)
    .await?)
}

/// What `sarf verify` asks of payments for children.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct Proven {
    /// Rows of the list that the run was made from: claims, or children in care.
    pub listed: i64,
    /// Of those, paid for.
    pub paid: i64,
    /// Of those, excluded with a reason.
    pub refused: i64,
    /// Orders that do not pay what their rows say.
    pub orders_differ: i64,
    /// What deposits are released with.
    pub released: i64,
    /// Releases of another amount than was paid in by then.
    pub releases_differ: i64,
}

/// Counts a run's payments for children again.
pub async fn prove(
    store: &Store,
    run: RunId,
    list: SnapshotId,
    deposits: bool,
) -> Result<Proven, StoreError> {
    let (rows, paid) = match deposits {
        true => ("child_in_care", "count(distinct household_id)"),
        false => ("birth_claim", "count(*)"),
    };
    let sql = format!(
        "select (select count(*) from {rows} where snapshot_id = {list}) as listed,
                (select {paid} from child_payment where run_id = {run}) as paid,
                (select count(*) from {exclusions}) as refused,
                (select count(*) from (select order_id, sum(amount) as amount from child_payment where run_id = {run} group by 1) c
                   full join {leaf} o using (order_id) where c.amount is distinct from o.entitled) as orders_differ,
                (select coalesce(sum(amount), 0)::bigint from deposit_release where run_id = {run}) as released,
                (select count(*) from deposit_release r where r.run_id = {run} and r.live and r.amount <>
                   coalesce((select sum(p.amount) from child_payment p where p.live and p.child_key = r.child_key
                       and p.programme_id = r.programme_id and p.purpose_id = (select id from purpose where code = 'deposit')
                       and p.run_id <= r.run_id), 0)) as releases_differ",
        exclusions = crate::store::orders::exclusion_leaf(run),
        leaf = crate::store::orders::leaf(run),
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(store.pool()).await?)
}

/// Children that are live in more than one payment of the same thing; unique indexes forbid it.
pub async fn paid_twice(store: &Store) -> Result<(i64, i64), StoreError> {
    Ok(sqlx::query_as(
        "select coalesce(sum(n), 0)::bigint, count(*) filter (where n > 1) from (select count(*) as n from child_payment where live
           group by programme_id, purpose_id, child_key, coalesce(period, -1)) g",
    )
    .fetch_one(store.pool())
    .await?)
}

/// One line of a deposit's statement.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StatementLine {
    /// The month it is for; `None` for what makes up the minimum.
    pub period: Option<Period>,
    /// How much.
    pub amount: Centimes,
    /// The order that pays it in, or pays it in again: the last one.
    pub order: i64,
    /// Where that order stands.
    pub state: String,
}

/// A release as a statement shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReleaseLine {
    /// The run that released it.
    pub run: i64,
    /// The deposit.
    pub deposit_id: String,
    /// The day on which the child came of age.
    #[serde(serialize_with = "as_text")]
    pub of_age_on: Date,
    /// What is released.
    pub amount: Centimes,
}

fn as_text<S: serde::Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

/// What was paid in for a deposit, month by month: the month, the amount and the first order that pays it.
pub async fn paid_in(
    store: &Store,
    programme: &str,
    deposit: &str,
) -> Result<Vec<(Option<i32>, i64, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select p.period, p.amount, p.order_id from child_payment p join programme g on g.id = p.programme_id
          where lower(g.code) = lower($1) and p.household_id = $2 and p.live
            and p.purpose_id = (select id from purpose where code = 'deposit')
          order by p.period nulls last, p.order_id",
    )
    .bind(programme)
    .bind(deposit)
    .fetch_all(store.pool())
    .await?)
}

/// The last live order along the reissues of an order.
pub async fn last_order(store: &Store, order: OrderId) -> Result<OrderId, StoreError> {
    let last: i64 = sqlx::query_scalar(
        "with recursive chain as (select $1::bigint as order_id union all
             select l.order_id from chain c join order_reissue l on l.of_order = c.order_id and l.live)
         select max(order_id) from chain",
    )
    .bind(order.get())
    .fetch_one(store.pool())
    .await?;
    Ok(OrderId::new(last))
}

/// Live releases, of one deposit or of one run.
pub async fn releases(
    store: &Store,
    deposit: Option<&str>,
    run: Option<RunId>,
) -> Result<Vec<ReleaseLine>, StoreError> {
    let rows: Vec<(i64, String, Date, i64)> = sqlx::query_as(
        "select run_id, deposit_id, of_age_on, amount from deposit_release
          where live and ($1::text is null or deposit_id = $1) and ($2::bigint is null or run_id = $2) order by deposit_id, run_id",
    )
    .bind(deposit)
    .bind(run.map(RunId::get))
    .fetch_all(store.pool())
    .await?;
    let line = |(run, deposit_id, of_age_on, amount)| ReleaseLine {
        run,
        deposit_id,
        of_age_on,
        amount: Centimes::new(amount),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// The child of a deposit as the latest list of a programme that names it has it.
pub async fn latest_in_care(
    store: &Store,
    programme: &str,
    deposit: &str,
) -> Result<Option<(SnapshotId, ChildInCare)>, StoreError> {
    type Row = (i64, i64, String, i32, i16, Date, Option<Date>, Vec<u8>);
    let row: Option<Row> = sqlx::query_as(
        "select c.snapshot_id, c.row_number, c.deposit_id, c.place_id, c.ground, c.since, c.until, c.child
           from child_in_care c join snapshot s on s.id = c.snapshot_id
          where lower(s.programme) = lower($1) and c.deposit_id = $2 order by s.period desc, s.id desc limit 1",
    )
    .bind(programme)
    .bind(deposit)
    .fetch_optional(store.pool())
    .await?;
    row.map(|(list, number, id, place, ground, since, until, child)| {
        let number = u32::try_from(number).map_err(|_| StoreError::Corrupt("row of a child"))?;
        let id = HouseholdId::parse(id.as_bytes()).map_err(|_| StoreError::Corrupt("deposit id"))?;
        let ground = CareGround::from_number(ground as u8).ok_or(StoreError::Corrupt("ground of care"))?;
        let place = PlaceId(place as u16);
        let child = personal::decode_child(&child, number, id, place, ground, (since, until))?;
        Ok((SnapshotId::new(list), child))
    })
    .transpose()
}
