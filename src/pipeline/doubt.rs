//! A payee in doubt: a provider, or the person who recalls an order, says that the payee died or suspects fraud.
//!
//! Guarantee: from then on every order of the household is held that is made, or that is released, until a person resolves the
//! break; resolving lets nothing go by itself. Limit: an order whose batch is released already leaves; recall it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::hold::move_in_tx;
use crate::domain::ids::OrderId;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::reason::{BreakKind, HoldReason};
use crate::store::breaks::NewBreak;
use crate::store::changes::{NewHold, Reach};
use crate::store::runs::{Run, TotalMove};
use crate::store::{StoreError, breaks, changes, holds};

/// The break over the payee of an order.
pub(super) fn new(order: OrderId, provider: i16, amount: Centimes, detail: String) -> NewBreak {
    NewBreak {
        kind: BreakKind::PayeeInDoubt,
        key: format!("order {} payee in doubt", order.get()),
        run: Some(order.run()),
        provider: Some(provider),
        batch: None,
        order: Some(order),
        message: None,
        entry: None,
        amount: Some(amount),
        suspense: Centimes::ZERO,
        detail,
    }
}

/// Holds the orders of a run that are about to be released and whose payees came into doubt since they were made. What a
/// person let go is not held again.
pub(super) async fn hold_planned_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    const REASON: HoldReason = HoldReason::PayeeInDoubt;
    let doubted: Vec<_> = breaks::doubted_households_in_tx(tx).await?.into_iter().collect();
    if doubted.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<OrderId> = holds::orders_with_in_tx(tx, run.id, REASON).await?.into_iter().collect();
    let (mut new, mut sums) = (Vec::new(), BTreeMap::<i16, (i64, Centimes)>::new());
    for order in changes::orders_in_tx(tx, run.id, &doubted).await? {
        if order.reach != Reach::Planned || known.contains(&order.order) {
            continue;
        }
        new.push(NewHold { order: order.order, reason: REASON, detail: String::new(), missed: None });
        if !order.held {
            let sum = sums.entry(order.provider).or_default();
            sum.0 += 1;
            sum.1 += order.amount;
        }
    }
    changes::place_in_tx(tx, &new, "sarf", at).await?;
    let (from, to) = (Some(OrderState::Planned), OrderState::Held);
    let moves: Vec<TotalMove> = sums
        .into_iter()
        .map(|(provider, (orders, amount))| TotalMove { provider, from, to, orders, amount })
        .collect();
    move_in_tx(tx, run.programme_id, run.id, &moves, "payee in doubt", at).await
}
