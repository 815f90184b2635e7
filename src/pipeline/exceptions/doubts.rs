//! A payee in doubt: a provider, or the person who recalls an order, says that the payee died or suspects fraud. And a claim
//! in question: an open break may mean that it is paid (`store::questions`).
//!
//! Guarantee: from then on every order of the household is held that is made, or that is released, until a person resolves the
//! break; resolving lets nothing go by itself. Limit: an order whose batch is released already leaves; recall it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::reason::{BreakKind, HoldReason};
use crate::domain::run::RunKind;
use crate::store::StoreError;
use crate::store::books::{self, OrderSum};
use crate::store::messages::breaks::{self, NewBreak};
use crate::store::orders::{holds, questions};
use crate::store::registry::changes::{self, NewHold, Reach};
use crate::store::runs::Run;

/// The break over the payee of an order.
pub(in crate::pipeline) fn new(order: OrderId, provider: i16, amount: Centimes, detail: String) -> NewBreak {
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
        source: None,
        detail,
    }
}

/// Holds the orders of a run that are about to be released and whose payees came into doubt, or whose claims came into
/// question, since they were made. What a person let go is not held again for the same reason.
pub(in crate::pipeline) async fn hold_planned_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let doubted: HashSet<HouseholdId> = breaks::doubted_households_in_tx(tx).await?;
    let questions = questions::of_programme_in_tx(tx, run.programme_id).await?;
    if doubted.is_empty() && questions.is_empty() {
        return Ok(());
    }
    let correction = run.kind == RunKind::Correction;
    let in_question = questions::of_run_in_tx(tx, run.id, correction, &questions).await?;
    let in_question: HashSet<OrderId> = in_question.into_iter().collect();
    let concerned: BTreeSet<HouseholdId> = doubted.iter().copied().chain(questions.households()).collect();
    let concerned: Vec<HouseholdId> = concerned.into_iter().collect();
    let mut known: HashSet<(OrderId, HoldReason)> = HashSet::new();
    for reason in [HoldReason::PayeeInDoubt, HoldReason::ClaimInQuestion] {
        let orders = holds::orders_with_in_tx(tx, run.id, reason).await?;
        known.extend(orders.into_iter().map(|order| (order, reason)));
    }
    let (mut new, mut sums) = (Vec::new(), BTreeMap::<i16, (i64, Centimes)>::new());
    for order in changes::orders_in_tx(tx, run.id, &concerned).await? {
        if order.reach != Reach::Planned {
            continue;
        }
        let doubt = doubted.contains(&order.household).then_some(HoldReason::PayeeInDoubt);
        let question = in_question.contains(&order.order).then_some(HoldReason::ClaimInQuestion);
        let before = new.len();
        for reason in doubt.into_iter().chain(question).filter(|r| !known.contains(&(order.order, *r))) {
            new.push(NewHold { order: order.order, reason, detail: String::new(), missed: None });
        }
        if new.len() > before && !order.held {
            let sum = sums.entry(order.provider).or_default();
            sum.0 += 1;
            sum.1 += order.amount;
        }
    }
    changes::place_in_tx(tx, &new, "sarf", at).await?;
    let held: Vec<OrderSum> = sums
        .into_iter()
        .map(|(provider, (orders, amount))| OrderSum { of: run.at(provider), orders, amount })
        .collect();
    books::orders::held_in_doubt_in_tx(tx, &held, at).await
}
