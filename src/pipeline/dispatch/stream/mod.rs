//! The stream lane: shards of released batches are handed over order by order, and what providers say of them, by
//! answer, callback, list of changes, enquiry or upload, is recorded in one way ([`record`]).
//!
//! | step | what is committed | when |
//! |---|---|---|
//! | [`intend`] | planned → in flight, the shard moves on, under its lease | before the request |
//! | [`record::record`] | what the provider said | after the answer |
//! | [`lose`] | in flight → unknown, an enquiry is due | when no readable answer came |
//!
//! Guarantee: an order leaves at most once: its step `sent` is a primary key; what may have left is never handed over again
//! before its provider has denied it. Limit: no connections and no pace here: those are the workers' (`engine`).

mod instructions;
pub mod recorder;
pub mod sweep;

pub use instructions::{Named, name};

use crate::domain::ids::OrderId;
use crate::pipeline::Context;
use crate::pipeline::messages::reports;
use crate::store::StoreError;
use crate::store::batches::shards::Shard;

/// Commits to hand orders over, before any request is made: planned becomes in flight. With the shard that they belong
/// to, only under its lease, which is renewed and moved on to `next`. Gives the orders that may leave now: those held
/// meanwhile, or handed over before, are not among them. `None` when the lease is lost.
pub async fn intend(
    context: &Context,
    provider: &str,
    ids: &[i64],
    lease: Option<(&Shard, OrderId, u32)>,
) -> Result<Option<Vec<i64>>, StoreError> {
    reports::intend(context, provider, ids, lease).await
}

/// Notes that no readable answer came for orders: they are unknown, and on the list of enquiries.
pub async fn lose(context: &Context, provider: &str, ids: &[i64], why: &str) -> Result<(), StoreError> {
    if ids.is_empty() { Ok(()) } else { reports::lose(context, provider, ids, why).await }
}
