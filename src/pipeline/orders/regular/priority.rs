//! Programmes that go second give way: their orders for households that this run pays are held.
//!
//! Input: orders of other runs, each with the order of this run that it gives way to. Guarantee: of two orders of programmes that
//! may not be drawn together one at most can leave: the one that goes second is held, or, where it has left meanwhile, the one of
//! this run. Such a hold is let go only once the run of the other order is cancelled. Limit: what had left when this run was made
//! excluded the household from it.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::domain::ids::{OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::HoldReason;
use crate::domain::run::RunState;
use crate::pipeline::orders::maker::Inputs;
use crate::store::audit::chain::{self, Decision};
use crate::store::books::{self, OrderSum, RunAt};
use crate::store::orders::holds::{self, Reachable};
use crate::store::registry::changes;
use crate::store::{StoreError, runs};

/// Holds what gives way, in the transaction that makes this run.
pub(super) async fn give_way_in_tx(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    pairs: &[(OrderId, OrderId)],
) -> Result<(), StoreError> {
    let mut by_run = BTreeMap::<RunId, Vec<(OrderId, OrderId)>>::new();
    for (second, first) in pairs {
        by_run.entry(second.run()).or_default().push((*second, *first));
    }
    let runs: Vec<RunId> = by_run.keys().copied().collect();
    // From now to the commit nothing of these runs is released.
    changes::lock_runs_in_tx(tx, &runs).await?;
    for (run, pairs) in by_run {
        let Some(found) = runs::find_in_tx(tx, run, true).await? else { continue };
        if found.state == RunState::Cancelled {
            continue;
        }
        let seconds: Vec<OrderId> = pairs.iter().map(|(second, _)| *second).collect();
        let reach = holds::reachable_in_tx(tx, run, &seconds).await?;
        let there: BTreeMap<OrderId, &Reachable> = reach.iter().map(|r| (r.order, r)).collect();
        let (held, left): (Vec<_>, Vec<_>) = pairs
            .iter()
            .copied()
            .partition(|(second, _)| there.get(second).is_some_and(|r| r.held || !r.released));
        hold_in_tx(tx, inputs, (found.programme_id, run), &held, &reach).await?;
        // What left between the pass and now is paid by the other programme.
        let left: Vec<(OrderId, OrderId)> = left.into_iter().map(|(second, first)| (first, second)).collect();
        let firsts: Vec<OrderId> = left.iter().map(|(first, _)| *first).collect();
        let own = holds::reachable_in_tx(tx, inputs.run, &firsts).await?;
        hold_in_tx(tx, inputs, (inputs.programme_id, inputs.run), &left, &own).await?;
        let detail = format!("{} orders held: {} goes first", held.len(), inputs.snapshot.programme);
        let subject = format!("run {run}");
        let record = Decision {
            actor: "sarf",
            action: "run.give-way",
            subject: &subject,
            detail: &detail,
            at: inputs.now,
        };
        chain::append_in_tx(tx, record).await?;
    }
    Ok(())
}

/// Holds the first of each pair for the second, and moves those that were not held.
async fn hold_in_tx(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    (programme, run): (i16, RunId),
    pairs: &[(OrderId, OrderId)],
    reach: &[Reachable],
) -> Result<(), StoreError> {
    holds::place_for_in_tx(tx, pairs, HoldReason::OtherProgrammePays, inputs.now).await?;
    let placed: std::collections::BTreeSet<OrderId> = pairs.iter().map(|(order, _)| *order).collect();
    let mut moved = BTreeMap::<i16, (i64, Centimes)>::new();
    for order in reach.iter().filter(|r| !r.held && placed.contains(&r.order)) {
        let sum = moved.entry(order.provider).or_default();
        sum.0 += 1;
        sum.1 += order.amount;
    }
    let held: Vec<OrderSum> = moved
        .into_iter()
        .map(|(provider, (orders, amount))| OrderSum {
            of: RunAt { programme, run, provider },
            orders,
            amount,
        })
        .collect();
    books::orders::held_in_tx(tx, &held, inputs.now).await
}
