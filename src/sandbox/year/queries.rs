//! Where every centime is, and how everything stands: what a simulation looks at when it ends, and whom it picks.
//!
//! Guarantee: what is listed does not depend on clocks or on who came first, so that two runs of one seed list the same.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};

use crate::domain::ids::{OrderId, RunId};
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::store::batches::membership;
use crate::store::orders::{leaf, order_state};
use crate::store::{Store, StoreError, runs};

/// Balances of all accounts of a kind, added up; debits less credits.
pub async fn balances(store: &Store) -> Result<Vec<(AccountKind, Centimes)>, StoreError> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select kind, sum(balance)::bigint from ledger_account group by kind order by kind")
            .fetch_all(store.pool())
            .await?;
    let read = |(kind, balance): (String, i64)| {
        let kind = AccountKind::parse(&kind).ok_or(StoreError::Corrupt("kind of an account"))?;
        Ok((kind, Centimes::new(balance)))
    };
    rows.into_iter().map(read).collect()
}

/// Orders of a run that are held for nothing but one of these reasons and could be paid, so many of them, picked by `seed`.
pub async fn held(
    store: &Store,
    run: RunId,
    reasons: &[&str],
    seed: u64,
    most: i64,
) -> Result<Vec<OrderId>, StoreError> {
    let ((low, high), leaf) = (OrderId::bounds(run), leaf(run));
    let sql = format!(
        "select o.order_id from {leaf} o join order_hold h on h.order_id = o.order_id and h.released_at is null
          where h.order_id >= {low} and h.order_id < {high} and o.provider_id <> 0
          group by o.order_id, o.household_id having bool_and(h.reason = any($1))
          order by md5(o.household_id || $2::text) limit $3"
    );
    let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(reasons)
        .bind(seed.to_string())
        .bind(most)
        .fetch_all(store.pool())
        .await?;
    Ok(ids.into_iter().map(OrderId::new).collect())
}

/// Orders of a run that left in a bank file and of which nothing is known but that the file was debited, so many of them,
/// picked by `seed`.
pub async fn paid_by_file(
    store: &Store,
    run: RunId,
    seed: u64,
    most: i64,
) -> Result<Vec<OrderId>, StoreError> {
    let ((low, high), leaf) = (OrderId::bounds(run), leaf(run));
    let sql = format!(
        "select o.order_id from {leaf} o join batch b on b.run_id = {run} and b.lane = 'file' and {spans}
          where b.state = 'settled' and not exists (select from outcome x where x.order_id = o.order_id)
            and not exists (select from order_hold h where h.order_id = o.order_id and h.order_id >= {low} and h.order_id < {high})
          order by md5(o.household_id || $1::text) limit $2",
        spans = membership::spans("b", "o.order_id", "o.provider_id"),
    );
    let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(seed.to_string())
        .bind(most)
        .fetch_all(store.pool())
        .await?;
    Ok(ids.into_iter().map(OrderId::new).collect())
}

/// Breaks after the one with the number `after` (0: all) that later messages did not explain by rule, and the last number.
pub async fn breaks_after(store: &Store, after: i64) -> Result<(u64, i64), StoreError> {
    let (left, last): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where resolved_by is distinct from 'sarf'), coalesce(max(id), $1) from break where id > $1",
    )
    .bind(after)
    .fetch_one(store.pool())
    .await?;
    Ok((left.unsigned_abs(), last))
}

/// A line for each fact of how everything stands, in an order that is always the same: runs, their orders with amounts and
/// states, accounts with balances, recalls, corrections, recovery cases, breaks. No times, no message numbers; no breaks that
/// later messages explained by rule, since which of two messages is read first is chance.
pub async fn lines(store: &Store, mut each: impl FnMut(&str)) -> Result<(), StoreError> {
    let mut all = runs::list(store).await?;
    all.sort_by_key(|run| run.id);
    for run in &all {
        each(&format!("run {} {} {} {} {}", run.id, run.kind, run.period, run.state, run.ordered));
        select(store, orders_sql(run.id), &mut each).await?;
    }
    for facts in [ACCOUNTS, RECALLS, CORRECTIONS, CASES, BREAKS] {
        let sql = format!("select line from ({facts}) facts order by line collate \"C\"");
        select(store, sql, &mut each).await?;
    }
    Ok(())
}

async fn select(store: &Store, sql: String, each: &mut impl FnMut(&str)) -> Result<(), StoreError> {
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(store.pool());
    while let Some(row) = rows.try_next().await? {
        each(row.try_get::<&str, _>(0)?);
    }
    Ok(())
}

/// A run's orders with their states, worked out in sets.
fn orders_sql(run: RunId) -> String {
    format!(
        "select concat_ws(' ', o.household_id, o.period, u.code, o.attempt, coalesce(v.code, '-'), o.entitled, o.offset_amount, o.amount, {state})
           from {leaf} o join run r on r.id = {run} left join provider v on v.id = o.provider_id join purpose u on u.id = o.purpose_id
           {joined}
          order by o.household_id collate \"C\", o.period, u.code collate \"C\", o.attempt",
        state = order_state::state(),
        leaf = leaf(run),
        joined = order_state::join_in_sets(run),
    )
}

const ACCOUNTS: &str = "select concat_ws(' ', 'account', coalesce(g.code, '-'), coalesce(a.budget_year, 0), coalesce(a.run_id, 0),
        coalesce(p.code, '-'), a.kind, a.balance) as line
   from ledger_account a left join programme g on g.id = a.programme_id left join provider p on p.id = a.provider_id
  where a.balance <> 0";

const RECALLS: &str = "select concat_ws(' ', 'recall', order_id, reason, state, answer) as line from recall";

const CORRECTIONS: &str =
    "select concat_ws(' ', 'correction', run_id, household_id, period, reason, was, due, off_case) as line
   from correction";

const CASES: &str = "select concat_ws(' ', 'case', household_id, period, order_id, cause, amount, offset_amount, repaid, came_back,
        reduced, written_off, reversed, to_refund, refunded, state) as line from recovery_case";

const BREAKS: &str = "select concat_ws(' ', 'break', b.kind, coalesce(b.run_id, 0), coalesce(p.code, '-'), coalesce(b.order_id, 0),
        coalesce(b.amount, 0), b.suspense, coalesce(b.posted_to, '-'), b.resolved_at is not null) as line
   from break b left join provider p on p.id = b.provider_id where b.resolved_by is distinct from 'sarf'";
