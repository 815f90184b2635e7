//! Holds that are let go by two people: proposed, then confirmed by another, or withdrawn.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::OrderId;
use crate::store::{Store, StoreError};

/// A proposal to let an order go that nobody has decided yet.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Proposal {
    /// Number.
    #[serde(skip)]
    pub id: i64,
    /// Order number.
    pub order: i64,
    /// The reasons that were open, with commas between.
    pub reasons: String,
    /// Why it is let go.
    pub why: String,
    /// Who proposes it.
    pub proposed_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub proposed_at: OffsetDateTime,
}

type Row = (i64, i64, String, String, String, OffsetDateTime);

fn read((id, order, reasons, why, proposed_by, proposed_at): Row) -> Proposal {
    Proposal { id, order, reasons, why, proposed_by, proposed_at }
}

const OPEN: &str = "select id, order_id, reasons, why, proposed_by, proposed_at from hold_release
    where confirmed_at is null and withdrawn_at is null";

/// Proposals that wait, oldest first.
pub async fn open(store: &Store) -> Result<Vec<Proposal>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{OPEN} order by id"));
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(read).collect())
}

/// The proposal that waits for an order.
pub async fn open_of_order_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<Proposal>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{OPEN} and order_id = $1 for update"));
    let row: Option<Row> = sqlx::query_as(sql).bind(order.get()).fetch_optional(connection).await?;
    Ok(row.map(read))
}

/// Writes a proposal.
pub async fn propose_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    reasons: &str,
    why: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into hold_release (order_id, reasons, why, proposed_by, proposed_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(order.get())
    .bind(reasons)
    .bind(why)
    .bind(by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Confirms a proposal.
///
/// # Errors
/// With the constraint `hold_release_by_another` when who proposed it does.
pub async fn confirm_in_tx(
    connection: &mut PgConnection,
    id: i64,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update hold_release set confirmed_by = $2, confirmed_at = $3 where id = $1")
        .bind(id)
        .bind(by)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a proposal that nobody has confirmed.
pub async fn withdraw_in_tx(
    connection: &mut PgConnection,
    id: i64,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update hold_release set withdrawn_by = $2, withdrawn_at = $3 where id = $1")
        .bind(id)
        .bind(by)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}
