//! Which orders left in a batch.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Batch, membership};
use crate::domain::ids::RunId;
use crate::store::{StoreError, orders};

/// Numbers of the orders that left in a batch, ascending, after `after`, at most `limit`.
pub async fn numbers_in_tx(
    connection: &mut PgConnection,
    batch: &Batch,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    if batch.listed {
        let sql = "select order_id from batch_member where batch_id = $1 and order_id > $2 order by order_id limit $3";
        let of_batch = sqlx::query_scalar(sql).bind(batch.id.get());
        return Ok(of_batch.bind(after).bind(limit).fetch_all(connection).await?);
    }
    let sql = format!(
        "select o.order_id from {} o where o.order_id > $1 and o.order_id between $2 and $3 and o.provider_id = $4
            and not {}
          order by o.order_id limit $5",
        orders::leaf(batch.run),
        membership::missed("o.order_id")
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(after)
        .bind(batch.first.get())
        .bind(batch.last.get())
        .bind(batch.provider_id)
        .bind(limit)
        .fetch_all(connection)
        .await?)
}

/// Numbers of a run's orders at a provider that are over one of these amounts, ascending, after `after`, at most `limit`.
pub async fn of_amounts_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    provider: i16,
    amounts: &[i64],
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let sql = format!(
        "select order_id from {} where order_id > $1 and provider_id = $2 and amount = any($3) order by order_id limit $4",
        orders::leaf(run)
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(after)
        .bind(provider)
        .bind(amounts)
        .bind(limit)
        .fetch_all(connection)
        .await?)
}
