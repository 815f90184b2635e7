//! A provider's pace over all workers: its allowance is given away along one line of time (the generic cell rate
//! algorithm), in one statement, by the database's clock.
//!
//! Guarantee: what all workers together were granted never exceeds the pace by more than the burst. Limit: a worker that
//! dies takes its last grant with it.

use time::Date;

use crate::store::{Store, StoreError};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Microseconds of the provider's time that the requests take.
    pub cost_us: i64,
    /// Microseconds of unused time that may be caught up with.
    pub burst_us: i64,
    /// Orders.
    pub orders: i64,
    /// Orders that the provider takes a day.
    pub daily_capacity: i64,
    /// The business day, local, where the clock was set; else it is the database's.
    pub day: Option<Date>,
    /// Seconds by which local time is ahead of UTC.
    pub offset_s: i32,
}

/// Grants a share of a provider's time: in how many microseconds it begins (0 or less: at once). `None` when the day's
/// capacity is used up.
pub async fn ask(store: &Store, provider: i16, ask: Ask) -> Result<Option<i64>, StoreError> {
    let mut tx = store.begin().await?;
    // A crash may forget the last grants: the pace is slightly exceeded once, no order is lost or doubled.
    sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
    let begins = sqlx::query_scalar(
        "insert into pace as p (provider_id, given_until, day, day_orders)
         values ($1, clock_timestamp() + ($2::bigint - $3::bigint) * interval '1 microsecond',
                 coalesce($4, (clock_timestamp() at time zone 'UTC' + $7 * interval '1 second')::date), $5)
         on conflict (provider_id) do update
            set given_until = greatest(p.given_until, clock_timestamp() - $3::bigint * interval '1 microsecond')
                              + $2::bigint * interval '1 microsecond',
                day = greatest(p.day, excluded.day),
                day_orders = case when p.day >= excluded.day then p.day_orders else 0 end + $5
          where case when p.day >= excluded.day then p.day_orders else 0 end + $5 <= $6
         returning (extract(epoch from given_until - clock_timestamp()) * 1000000)::bigint - $2",
    )
    .bind(provider)
    .bind(ask.cost_us)
    .bind(ask.burst_us)
    .bind(ask.day)
    .bind(ask.orders)
    .bind(ask.daily_capacity)
    .bind(ask.offset_s)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(begins)
}
