//! What a run came to, and what people decided of it: the row of the run, a step at a time. The caller has asked whether the step may
//! follow, holds the row's lock, and records the decision in the audit chain in the same transaction.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::run::RunState;
use crate::store::StoreError;

/// What the making of a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// Households that were looked at.
    pub households: i64,
    /// Orders.
    pub orders: i64,
    /// Households without one.
    pub exclusions: i64,
    /// What all orders together are entitled to.
    pub entitled: Centimes,
    /// What of it is ordered, after what is kept back.
    pub ordered: Centimes,
    /// The hash over all orders.
    pub orders_sha256: &'a [u8],
    /// The run that it was compared with.
    pub compared_with: Option<RunId>,
}

/// Keeps what a run came to: it is computed.
pub async fn computed_in_tx(tx: &mut PgConnection, run: RunId, made: Computed<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "update run set state = $2, orders_sha256 = $3, households = $4, orders = $5, exclusions = $6, entitled = $7,
                ordered = $8, compared_with = $9 where id = $1",
    )
    .bind(run.get())
    .bind(RunState::Computed.as_str())
    .bind(made.orders_sha256)
    .bind(made.households)
    .bind(made.orders)
    .bind(made.exclusions)
    .bind(made.entitled.get())
    .bind(made.ordered.get())
    .bind(made.compared_with.map(RunId::get))
    .execute(tx)
    .await?;
    Ok(())
}

/// The hash over all orders of a run, as they were made; none before.
pub async fn orders_sha256_in_tx(tx: &mut PgConnection, run: RunId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select orders_sha256 from run where id = $1";
    Ok(sqlx::query_scalar(sql).bind(run.get()).fetch_one(tx).await?)
}

/// The content that was submitted; none where nothing is.
pub async fn content_in_tx(tx: &mut PgConnection, run: RunId) -> Result<Option<Value>, StoreError> {
    let sql = "select content from run where id = $1";
    Ok(sqlx::query_scalar(sql).bind(run.get()).fetch_one(tx).await?)
}

/// A preparer submits a content, under its hash.
pub async fn submitted_in_tx(
    tx: &mut PgConnection,
    run: RunId,
    state: RunState,
    by: &str,
    (content, sha256): (Value, &[u8; 32]),
) -> Result<(), StoreError> {
    sqlx::query(
        "update run set state = $2, submitted_by = $3, content = $4, content_sha256 = $5 where id = $1",
    )
    .bind(run.get())
    .bind(state.as_str())
    .bind(by)
    .bind(content)
    .bind(sha256.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

/// The first of two approvers approves what was submitted.
pub async fn first_approved_in_tx(tx: &mut PgConnection, run: RunId, by: &str) -> Result<(), StoreError> {
    sqlx::query("update run set first_approver = $2 where id = $1")
        .bind(run.get())
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}

/// An approver approves what was submitted.
pub async fn approved_in_tx(
    tx: &mut PgConnection,
    run: RunId,
    state: RunState,
    by: &str,
) -> Result<(), StoreError> {
    sqlx::query("update run set state = $2, approved_by = $3 where id = $1")
        .bind(run.get())
        .bind(state.as_str())
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}

/// What was submitted has changed: submission and approval no longer stand.
pub async fn gone_stale_in_tx(tx: &mut PgConnection, run: RunId, state: RunState) -> Result<(), StoreError> {
    sqlx::query(
        "update run set state = $2, submitted_by = null, first_approver = null, approved_by = null, content = null, content_sha256 = null where id = $1",
    )
    .bind(run.get())
    .bind(state.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// An accountant funds the run.
pub async fn funded_in_tx(
    tx: &mut PgConnection,
    run: RunId,
    state: RunState,
    by: &str,
) -> Result<(), StoreError> {
    sqlx::query("update run set state = $2, funded_by = $3 where id = $1")
        .bind(run.get())
        .bind(state.as_str())
        .bind(by)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether files of the run may leave for now.
pub async fn set_paused_in_tx(tx: &mut PgConnection, run: RunId, paused: bool) -> Result<(), StoreError> {
    sqlx::query("update run set paused = $2 where id = $1").bind(run.get()).bind(paused).execute(tx).await?;
    Ok(())
}

/// What is left of a run when it is closed.
#[derive(Clone, Debug)]
pub struct Left {
    /// What it is.
    pub subject: String,
    /// How many orders, or breaks.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
    /// Why it is carried forward.
    pub reason: String,
}

/// Closes a run, and keeps what is carried forward.
pub async fn closed_in_tx(
    tx: &mut PgConnection,
    run: RunId,
    state: RunState,
    left: &[Left],
    (by, at): (&str, OffsetDateTime),
) -> Result<(), StoreError> {
    for item in left {
        sqlx::query(
            "insert into carried_forward (run_id, subject, orders, amount, reason, carried_by, carried_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(run.get())
        .bind(&item.subject)
        .bind(item.orders)
        .bind(item.amount.get())
        .bind(&item.reason)
        .bind(by)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("update run set state = $2, closed_at = $3 where id = $1")
        .bind(run.get())
        .bind(state.as_str())
        .bind(at)
        .execute(tx)
        .await?;
    Ok(())
}
