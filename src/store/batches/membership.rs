//! Which batch an order is in: said here, in the forms that statements need.
//!
//! A batch is a range of one provider's order ids, less the orders that it left, or will leave, without
//! (`order_hold.missed_batch`): those were held at its release, or taken out after. Such an order is in a listed batch
//! (`batch_member`) once it was let go and released again, else in none.
//!
//! Each form is a piece of one statement, so that the statement keeps its ranges and indexes at four million orders. In joins
//! `o` is the order (`order_id`, `provider_id`) and `b` the batch.

use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::store::batches::Batch;

/// Whether a batch is a range that an order lies in, whether it left without it or not.
pub fn spans(batch: &str, order: &str, provider: &str) -> String {
    format!(
        "not {batch}.listed and {batch}.provider_id = {provider} and {order} between {batch}.first_order and {batch}.last_order"
    )
}

/// Whether an order's range batch left, or will leave, without it.
pub fn missed(order: &str) -> String {
    format!("exists (select from order_hold h where h.order_id = {order} and h.missed_batch is not null)")
}

/// Whether an order is in a listed batch.
pub fn listed(order: &str) -> String {
    format!("exists (select from batch_member m where m.order_id = {order})")
}

/// Whether an order is in this listed batch.
pub fn listed_in(order: &str, batch: BatchId) -> String {
    format!("exists (select from batch_member m where m.order_id = {order} and m.batch_id = {batch})")
}

/// Whether the order `o` of a run is in a batch that was released.
pub fn released(run: &str) -> String {
    format!(
        "(exists (select from batch b where b.run_id = {run} and b.state <> 'planned' and {spans}) and not {missed} or {listed})",
        spans = spans("b", "o.order_id", "o.provider_id"),
        missed = missed("o.order_id"),
        listed = listed("o.order_id"),
    )
}

/// Orders and the batch that left without them, of the orders that a condition on `order_id` names.
pub fn missed_orders(within: &str) -> String {
    format!("select order_id, missed_batch from order_hold where missed_batch is not null and {within}")
}

/// Orders and the listed batch that they are in, of the orders that a condition on `order_id` names.
pub fn listed_orders(within: &str) -> String {
    format!("select order_id, batch_id from batch_member where {within}")
}

/// Joins the batch of each order, which is looked up order by order; all of `b` is null where an order is in none.
pub fn join_each(run: &str) -> String {
    format!(
        "left join lateral (select max(missed_batch) as missed from order_hold m where m.order_id = o.order_id) m on true {}",
        join_by(run, "m.missed")
    )
}

/// Joins the batch of each order of a run, whose holds are read as one set.
pub fn join_in_sets(run: RunId) -> String {
    format!("{} {}", join_missed(run), join_by(&run.to_string(), "m.missed"))
}

/// Joins the batch of each order, where the statement itself has read the batch that it missed (null: none).
pub fn join_by(run: &str, missed: &str) -> String {
    format!(
        "left join batch_member bm on bm.order_id = o.order_id
         left join batch b on b.run_id = {run} and case when {missed} is null then {spans} else b.id = bm.batch_id end",
        spans = spans("b", "o.order_id", "o.provider_id"),
    )
}

/// Joins the number of each order's batch as `i.id`, for orders that are read whole and along their ids: it is found by binary
/// search among the batches of the provider. `offset 0` keeps the lookups apart, so that each is made once for a provider or batch.
pub fn join_by_search(run: RunId) -> String {
    let (low, high) = OrderId::bounds(run);
    format!(
        "{missed}
         left join batch_member bm on bm.order_id = o.order_id and bm.order_id >= {low} and bm.order_id < {high}
         left join lateral (select array_agg(first_order order by first_order) as firsts,
                           array_agg(last_order order by first_order) as lasts, array_agg(id order by first_order) as ids
                      from batch where run_id = {run} and provider_id = o.provider_id and not listed offset 0) k on true
         left join lateral (select width_bucket(o.order_id, k.firsts) as place offset 0) w on true
         left join lateral (select case when m.missed is not null then bm.batch_id
                           when o.order_id <= k.lasts[w.place] then k.ids[w.place] end as id offset 0) i on true",
        missed = join_missed(run),
    )
}

fn join_missed(run: RunId) -> String {
    let (low, high) = OrderId::bounds(run);
    format!(
        "left join (select order_id, max(missed_batch) as missed from order_hold
                     where missed_batch is not null and order_id >= {low} and order_id < {high} group by order_id) m
                on m.order_id = o.order_id"
    )
}

/// What was read of an order to tell its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Its range batch left, or will leave, without it.
    pub missed: bool,
    /// The listed batch that it is in.
    pub listed_in: Option<BatchId>,
}

impl Membership {
    /// Whether it is the batch of an order at a provider.
    pub fn is_of(self, batch: &Batch, order: OrderId, provider: i16) -> bool {
        if self.missed { self.listed_in == Some(batch.id) } else { is_within(batch, order, provider) }
    }
}

/// Whether a batch is a range that an order at a provider lies in, as [`spans`] writes it.
pub fn is_within(batch: &Batch, order: OrderId, provider: i16) -> bool {
    !batch.listed && batch.provider_id == provider && batch.first <= order && order <= batch.last
}
