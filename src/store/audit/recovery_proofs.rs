//! Queries behind what `sarf verify` proves of recovery: each counts again from the rows.

use sqlx::AssertSqlSafe;

use crate::domain::ids::RunId;
use crate::store::{Store, StoreError, orders};

/// Cases and instalments, counted from the rows. Amounts in centimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Cases {
    /// How many.
    pub cases: i64,
    /// Outstanding of those that are owed.
    pub receivable: i64,
    /// What cases took from orders.
    pub kept_back: i64,
    /// What was repaid.
    pub repaid: i64,
    /// What was given up.
    pub written_off: i64,
    /// Live instalments.
    pub instalments: i64,
    /// Undue payments of released corrections.
    pub undue: i64,
    /// Of those, without a case of the same amount.
    pub without_case: i64,
    /// Cases whose state and amounts contradict each other.
    pub contradict: i64,
    /// Cases whose refunds are not those of live orders.
    pub refunds_differ: i64,
    /// Cases of which later lists take back another sum than their runs say.
    pub reversals_differ: i64,
    /// What orders of live runs keep back.
    #[sqlx(default)]
    pub ordered_offset: i64,
    /// Orders that keep back another amount than their instalments.
    #[sqlx(default)]
    pub orders_differ: i64,
}

/// Counts cases again, and run by run what orders keep back.
pub async fn cases(store: &Store) -> Result<Cases, StoreError> {
    let mut found: Cases = sqlx::query_as(
        "select count(*) as cases, coalesce(sum(outstanding) filter (where state = 'receivable'), 0)::bigint as receivable,
                coalesce(sum(offset_amount), 0)::bigint as kept_back, coalesce(sum(repaid), 0)::bigint as repaid,
                coalesce(sum(written_off), 0)::bigint as written_off,
                (select coalesce(sum(amount), 0)::bigint from recovery_instalment where live) as instalments,
                (select count(*) from correction c join run r on r.id = c.run_id
                  where c.difference < 0 and r.state in ('dispatching', 'settling', 'reconciled', 'closed')) as undue,
                (select count(*) from correction c join run r on r.id = c.run_id
                  where c.difference < 0 and r.state in ('dispatching', 'settling', 'reconciled', 'closed')
                    and not exists (select from recovery_case k where k.amount = -c.difference
                         and k.origin = format('correction %s %s %s', c.run_id, c.household_id, c.period))) as without_case,
                count(*) filter (where (outstanding = 0) <> (state in ('recovered', 'written_off', 'withdrawn'))) as contradict,
                count(*) filter (where refunded <> coalesce((select sum(f.amount) from recovery_refund f
                    where f.case_id = recovery_case.id and f.live), 0)) as refunds_differ,
                count(*) filter (where reversed <> coalesce((select sum(v.owed + v.given_up) from recovery_reversal v
                    where v.case_id = recovery_case.id and v.live), 0)) as reversals_differ
           from recovery_case",
    )
    .fetch_one(store.pool())
    .await?;
    let runs: Vec<i64> = sqlx::query_scalar(
        "select id from run where state not in ('draft', 'cancelled') and entitled <> ordered
         union select run_id from recovery_instalment where live order by 1",
    )
    .fetch_all(store.pool())
    .await?;
    for run in runs {
        let sql = format!(
            "select coalesce(sum(o.offset_amount), 0)::bigint,
                    count(*) filter (where o.offset_amount is distinct from coalesce(i.amount, 0))
               from (select order_id, offset_amount from {leaf} where offset_amount <> 0) o
               full join (select order_id, sum(amount) as amount from recovery_instalment where run_id = {run} and live group by 1) i
                 using (order_id)",
            leaf = orders::leaf(RunId::new(run))
        );
        let (offset, differ): (i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(store.pool()).await?;
        found.ordered_offset += offset;
        found.orders_differ += differ;
    }
    Ok(found)
}

/// Balances of the accounts of recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Books {
    /// What households owe.
    pub receivable: i64,
    /// What was found undue, below zero.
    pub undue: i64,
    /// Kept back from orders.
    pub recovered: i64,
    /// Given up.
    pub given_up: i64,
    /// Kept back, by the accounts of the runs.
    pub offset: i64,
}

/// The balances of the accounts of recovery.
pub async fn books(store: &Store) -> Result<Books, StoreError> {
    Ok(sqlx::query_as(
        "select coalesce(sum(balance) filter (where kind = 'receivable'), 0)::bigint as receivable,
                coalesce(sum(balance) filter (where kind = 'undue'), 0)::bigint as undue,
                coalesce(sum(balance) filter (where kind = 'recovered'), 0)::bigint as recovered,
                coalesce(sum(balance) filter (where kind = 'given_up'), 0)::bigint as given_up,
                coalesce(sum(balance) filter (where kind = 'offset'), 0)::bigint as \"offset\"
           from ledger_account",
    )
    .fetch_one(store.pool())
    .await?)
}
