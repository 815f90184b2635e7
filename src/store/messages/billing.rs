//! What the fees of a period are worked out from.

use sqlx::PgConnection;
use time::Date;

use crate::domain::money::Centimes;
use crate::domain::step::Step;
use crate::store::StoreError;
use crate::store::batches::membership;

/// Orders of a period, and the fees on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgreedFees {
    /// Orders.
    pub orders: i64,
    /// Fees.
    pub fees: Centimes,
}

/// What a provider's settlement files of these business days say.
pub async fn settled_fees_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    (from, to): (Date, Date),
) -> Result<AgreedFees, StoreError> {
    let (orders, fees): (i64, i64) = sqlx::query_as(
        "select coalesce(sum(orders), 0)::bigint, coalesce(sum(fees), 0)::bigint from settlement
          where provider_id = $1 and business_date between $2 and $3",
    )
    .bind(provider)
    .bind(from)
    .bind(to)
    .fetch_one(connection)
    .await?;
    Ok(AgreedFees { orders, fees: Centimes::new(fees) })
}

/// Amounts that a provider's files of these value dates paid, and how many orders each: what was not rejected.
pub async fn paid_by_files_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    (from, to): (Date, Date),
) -> Result<Vec<(i64, i64)>, StoreError> {
    let sql = format!(
        "select o.amount, count(*) from batch b
           join payment_order o on {spans} and not {missed}
             or b.listed and exists (select from batch_member m where m.batch_id = b.id and m.order_id = o.order_id)
          where b.provider_id = $1 and b.lane = 'file' and b.value_date between $2 and $3
            and b.state in ('sent', 'accepted', 'settled')
            and not exists (select from outcome x where x.order_id = o.order_id and x.step = {rejected})
          group by o.amount order by o.amount",
        spans = membership::spans("b", "o.order_id", "o.provider_id"),
        missed = membership::missed("o.order_id"),
        rejected = Step::Rejected.number(),
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(provider)
        .bind(from)
        .bind(to)
        .fetch_all(connection)
        .await?)
}
