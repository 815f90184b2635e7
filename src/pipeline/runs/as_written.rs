//! Before a run goes a step on: are its rows still those that were written?
//!
//! Input: a run, and whether the list that it was made from is looked at too. Guarantee: orders, exclusions and households are
//! hashed anew, row by row; holds, checks, comparison, batches, people, rules and everything else that decides who gets what is
//! compared with its last recorded change; a difference refuses the step and names the rows.
//! Limit: money that moved and messages are proven by `verify`, not here.

use crate::domain::ids::{OrderId, RunId};
use crate::domain::run::RunKind;
use crate::pipeline::{Context, Refusal};
use crate::store::StoreError;
use crate::store::audit::row_blocks::{self, Checked};
use crate::store::audit::{journal, proofs};
use crate::store::copy::hashes::Leaf;
use crate::store::runs::Run;

/// Tables whose rows decide who gets what, and who may say so.
const DECIDING: [&str; 30] = [
    "batch",
    "batch_member",
    "birth_claim",
    "break",
    "child_in_care",
    "child_payment",
    "correction",
    "deposit_release",
    "hold_release",
    "journal_shape",
    "operator",
    "order_hold",
    "order_reissue",
    "place",
    "programme",
    "provider",
    "purpose",
    "recovery_instalment",
    "recovery_refund",
    "recovery_reversal",
    "reissue_request",
    "review",
    "row_block",
    "rule_set",
    "run",
    "run_check",
    "run_comparison",
    "snapshot",
    "snapshot_code",
    "standing_approval",
];

/// Whether the list is hashed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum WithList {
    Yes,
    No,
}

/// Refuses when a row of the run is not as it was written.
pub(in crate::pipeline) async fn require(
    context: &Context,
    run: &Run,
    list: WithList,
) -> Result<(), Refusal> {
    let store = &context.store;
    let (mut wrong, mut rows) = (0, Vec::new());
    let mut take = |count: i64, names: Vec<String>| {
        if count > 0 {
            wrong += count;
            rows.extend(names);
        }
    };
    let events = gathers_events(context, run.id).await?;
    let orders = if events {
        row_blocks::check_orders(store, run.id, i64::MIN, i64::MAX).await?
    } else {
        row_blocks::check(store, Leaf::Orders(run.id)).await?
    };
    if events {
        let added = row_blocks::without_block(store, run.id).await?;
        take(added, vec![format!("{added} orders of run {} were added", run.id)]);
    // That of a correction run is over its findings too: they are rows of a table below.
    } else if run.kind != RunKind::Correction
        && orders.wrong == 0
        && !hash_agrees(context, run.id, &orders).await?
    {
        take(1, vec![format!("orders_sha256 of run {}", run.id)]);
    }
    take(orders.wrong, orders.named);
    let exclusions = row_blocks::check(store, Leaf::Exclusions(run.id)).await?;
    take(exclusions.wrong, exclusions.named);
    if list == WithList::Yes && run.kind == RunKind::Regular {
        let households = row_blocks::check(store, Leaf::Households(run.snapshot)).await?;
        take(households.wrong, households.named);
    }
    let by_hand = journal::unvouched_in(store, &DECIDING).await?;
    take(by_hand.wrong, by_hand.named);
    for table in DECIDING {
        let found = journal::differing(store, table).await?;
        take(found.wrong, found.named);
    }
    if wrong == 0 {
        return Ok(());
    }
    tracing::error!(run = run.id.get(), wrong, "rows of a run are not as they were written");
    Err(Refusal::Altered { run: run.id, rows: named(wrong, &rows) })
}

/// Whether a run's orders come as events, so that its leaf grows.
async fn gathers_events(context: &Context, run: RunId) -> Result<bool, StoreError> {
    proofs::gathers_events(&context.store, run).await
}

/// The hash over all orders that was kept when they were made.
async fn hash_agrees(context: &Context, run: RunId, orders: &Checked) -> Result<bool, StoreError> {
    let kept = proofs::orders_sha256(&context.store, run).await?;
    Ok(kept.is_none_or(|kept| orders.hashes_to(&kept)))
}

/// What is wrong with a range of orders, before they leave one by one.
pub async fn altered_orders(
    context: &Context,
    run: RunId,
    first: OrderId,
    last: OrderId,
) -> Result<Option<String>, StoreError> {
    let checked = row_blocks::check_orders(&context.store, run, first.get(), last.get()).await?;
    Ok((checked.wrong > 0).then(|| named(checked.wrong, &checked.named)))
}

/// The first of what is wrong, and that there is more.
pub(in crate::pipeline) fn named(wrong: i64, names: &[String]) -> String {
    const SHOWN_MAX: usize = 10;
    let mut text = names.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = wrong - names.len().min(SHOWN_MAX) as i64;
    if more > 0 {
        text.push_str(&format!("; {more} more"));
    }
    text
}
