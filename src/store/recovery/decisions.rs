//! What people see and set of recovery cases: lists, histories, complaints, plans, proposals.
//!
//! Amounts are changed by `recoveries` alone; nothing here moves money.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::cases::{self, Case};
use crate::domain::ids::{BreakId, CaseId, HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::appeal::Appeal;
use crate::store::{Store, StoreError};

/// Which cases are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// In one state.
    pub state: Option<CaseState>,
    /// Of one household.
    pub household: Option<&'a str>,
    /// Where the programme has let its reply or answer to the household pass this day.
    pub overdue_on: Option<Date>,
}

/// Cases, oldest first, at most `limit`.
pub async fn list(store: &Store, wanted: Wanted<'_>, limit: i64) -> Result<Vec<Case>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from recovery_case where ($1::text is null or state = $1) and ($2::text is null or household_id = $2)
            and ($3::date is null or appeal_due < $3 and appeal_stage in ('complaint', 'appeal') and state in ('opened', 'recalled', 'receivable', 'recovered'))
          order by opened_at, id limit $4",
    )
    .bind(wanted.state.map(CaseState::as_str))
    .bind(wanted.household)
    .bind(wanted.overdue_on)
    .bind(limit)
    .fetch_all(store.pool())
    .await?;
    let mut tx = store.begin().await?;
    let found = cases::find_many_in_tx(&mut tx, &ids).await?;
    tx.rollback().await?;
    Ok(found)
}

/// The programme of a case; `None` when there is no such case.
pub async fn programme_in_tx(connection: &mut PgConnection, case: CaseId) -> Result<Option<i16>, StoreError> {
    Ok(sqlx::query_scalar("select programme_id from recovery_case where id = $1")
        .bind(case.get())
        .fetch_optional(connection)
        .await?)
}

/// The number of a programme.
pub async fn programme_id_in_tx(
    connection: &mut PgConnection,
    code: &str,
) -> Result<Option<i16>, StoreError> {
    Ok(sqlx::query_scalar("select id from programme where code = $1")
        .bind(code)
        .fetch_optional(connection)
        .await?)
}

/// What was done about a case.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StepTaken {
    /// What.
    pub step: String,
    /// Over how much, where it is about money.
    pub amount: Option<Centimes>,
    /// By whom.
    pub by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why.
    pub why: String,
}

/// The steps of a case, as they were taken.
pub async fn steps(store: &Store, case: CaseId) -> Result<Vec<StepTaken>, StoreError> {
    let rows: Vec<(String, Option<i64>, String, OffsetDateTime, String)> = sqlx::query_as(
        "select step, amount, taken_by, taken_at, why from recovery_step where case_id = $1 order by id",
    )
    .bind(case.get())
    .fetch_all(store.pool())
    .await?;
    let step = |(step, amount, by, at, why): (_, Option<i64>, _, _, _)| StepTaken {
        step,
        amount: amount.map(Centimes::new),
        by,
        at,
        why,
    };
    Ok(rows.into_iter().map(step).collect())
}

/// Who last took one of some steps of a case.
pub async fn taken_by_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    steps: &[&str],
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "select taken_by from recovery_step where case_id = $1 and step = any($2) order by id desc limit 1",
    )
    .bind(case.get())
    .bind(steps)
    .fetch_optional(connection)
    .await?)
}

/// What an order keeps back for a case.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Instalment {
    /// Run.
    pub run: RunId,
    /// Its month.
    pub period: Period,
    /// Order.
    pub order: i64,
    /// How much.
    pub amount: Centimes,
    /// False once its run was cancelled.
    pub live: bool,
}

/// What was kept back for a case, by run.
pub async fn instalments(store: &Store, case: CaseId) -> Result<Vec<Instalment>, StoreError> {
    let rows: Vec<(i64, i32, i64, i64, bool)> = sqlx::query_as(
        "select i.run_id, r.period, i.order_id, i.amount, i.live from recovery_instalment i join run r on r.id = i.run_id
          where i.case_id = $1 order by i.order_id",
    )
    .bind(case.get())
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(run, period, order, amount, live)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            Ok(Instalment { run: RunId::new(run), period, order, amount: Centimes::new(amount), live })
        })
        .collect()
}

/// What the cases of an order come to, less what was found not to be owed.
pub async fn undue_of_order_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Centimes, StoreError> {
    let undue: i64 = sqlx::query_scalar(
        "select coalesce(sum(amount - reduced - reversed - to_refund - refunded), 0)::bigint from recovery_case where order_id = $1",
    )
    .bind(order.get())
    .fetch_one(connection)
    .await?;
    Ok(Centimes::new(undue))
}

/// The case that was opened for an origin.
pub async fn of_origin_in_tx(
    connection: &mut PgConnection,
    origin: &str,
) -> Result<Option<CaseId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar("select id from recovery_case where origin = $1")
        .bind(origin)
        .fetch_optional(connection)
        .await?;
    Ok(id.map(CaseId::new))
}

/// Keeps where a household's complaint stands.
pub async fn set_appeal_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    appeal: Appeal,
) -> Result<(), StoreError> {
    sqlx::query(
        "update recovery_case set appeal_stage = $2, appeal_since = $3, appeal_due = $4 where id = $1",
    )
    .bind(case.get())
    .bind(appeal.stage.as_str())
    .bind(appeal.since)
    .bind(appeal.due)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the agreed monthly maximum of a case.
pub async fn set_monthly_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    monthly: Option<Centimes>,
) -> Result<(), StoreError> {
    sqlx::query("update recovery_case set monthly_max = $2 where id = $1")
        .bind(case.get())
        .bind(monthly.map(Centimes::get))
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps who put the write-off of a case forward; `None` takes the proposal away.
pub async fn set_proposal_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    proposal: Option<(&str, &str, OffsetDateTime)>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update recovery_case set proposed_by = $2, proposed_why = $3, proposed_at = $4 where id = $1",
    )
    .bind(case.get())
    .bind(proposal.map(|(by, ..)| by))
    .bind(proposal.map(|(_, why, _)| why))
    .bind(proposal.map(|(.., at)| at))
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a case on to a state.
pub async fn set_state_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    state: CaseState,
) -> Result<(), StoreError> {
    sqlx::query("update recovery_case set state = $2 where id = $1")
        .bind(case.get())
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether the latest list of a programme has a household.
pub async fn is_listed_in_tx(
    connection: &mut PgConnection,
    programme: &str,
    household: HouseholdId,
) -> Result<bool, StoreError> {
    let latest: Option<i64> = sqlx::query_scalar(
        "select id from snapshot where programme = $1 order by period desc, id desc limit 1",
    )
    .bind(programme)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(latest) = latest else { return Ok(false) };
    // The keys of a snapshot are a range of their own: one leaf is looked at.
    Ok(sqlx::query_scalar(
        "select exists (select from household where household_key >= $1 and household_key < $2 and household_id = $3)",
    )
    .bind(latest << 32)
    .bind((latest + 1) << 32)
    .bind(household.as_str())
    .fetch_one(connection)
    .await?)
}

/// A month of a household that a later list put right.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PutRight {
    /// The month.
    pub period: Period,
    /// Run that put it right.
    pub run: RunId,
    /// Programme.
    pub programme: String,
    /// Why.
    pub reason: String,
    /// What had been found due.
    pub was: Centimes,
    /// What is due.
    pub due: Centimes,
    /// The difference: above zero arrears, below zero undue.
    pub difference: Centimes,
}

/// The months of a household that later lists put right, oldest first.
pub async fn put_right(store: &Store, household: HouseholdId) -> Result<Vec<PutRight>, StoreError> {
    let rows: Vec<(i32, i64, String, String, i64, i64, i64)> = sqlx::query_as(
        "select c.period, c.run_id, p.code, c.reason, c.was, c.due, c.difference from correction c
           join run r on r.id = c.run_id join programme p on p.id = r.programme_id
          where c.household_id = $1 and r.state not in ('draft', 'cancelled') order by c.period, c.run_id",
    )
    .bind(household.as_str())
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(period, run, programme, reason, was, due, difference)| {
            Ok(PutRight {
                period: Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?,
                run: RunId::new(run),
                programme,
                reason,
                was: Centimes::new(was),
                due: Centimes::new(due),
                difference: Centimes::new(difference),
            })
        })
        .collect()
}

/// Takes a part of a receipt out of what its break keeps in suspense; the break stays open over the rest.
pub async fn take_from_break_in_tx(
    connection: &mut PgConnection,
    id: BreakId,
    amount: Centimes,
) -> Result<(), StoreError> {
    sqlx::query("update break set suspense = suspense + $2 where id = $1 and resolved_at is null")
        .bind(id.get())
        .bind(amount.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a receipt was assigned to a case before; `why` names its break.
pub async fn was_assigned_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    why: &str,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select from recovery_step where case_id = $1 and step = 'repaid' and why = $2)",
    )
    .bind(case.get())
    .bind(why)
    .fetch_one(connection)
    .await?)
}

/// What was repaid: by the figures of cases, by their steps, and by what left suspense for receivables.
pub async fn repaid(store: &Store) -> Result<(Centimes, Centimes, Centimes), StoreError> {
    let (cases, steps, posted): (i64, i64, i64) = sqlx::query_as(
        "select (select coalesce(sum(repaid), 0)::bigint from recovery_case),
                (select coalesce(sum(amount), 0)::bigint from recovery_step where step = 'repaid'),
                (select coalesce(sum(t.amount), 0)::bigint from ledger_transfer t
                  where t.debit_account in (select id from ledger_account where kind = 'suspense')
                    and t.credit_account in (select id from ledger_account where kind = 'receivable'))",
    )
    .fetch_one(store.pool())
    .await?;
    Ok((Centimes::new(cases), Centimes::new(steps), Centimes::new(posted)))
}
