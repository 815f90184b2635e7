//! What funding, cancelling and late words mean for the orders before: reservations move, orders go back, the new order is
//! kept back.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::{OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::HoldReason;
use crate::domain::run::RunState;
use crate::pipeline::exceptions::recovery;
use crate::pipeline::orders::holds::{Placed, move_one, placed_in_tx};
use crate::store::audit::chain::{self, Decision};
use crate::store::locks::{self, Lock};
use crate::store::orders::holds;
use crate::store::runs::{self, Run, reissues};
use crate::store::{StoreError, books};

/// Gives what the earlier runs reserved for the claims of a reissue run back to their envelopes: the run that is funded
/// reserves it anew, and the envelope is charged once.
pub(in crate::pipeline) async fn release_reservations_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let reserved = reserved_before(tx, run).await?;
    books::reissue::reservations_moved_in_tx(tx, &reserved, at).await
}

/// The earlier runs of a reissue run, with what they reserved for its claims.
async fn reserved_before(tx: &mut PgConnection, run: &Run) -> Result<Vec<(Run, Centimes)>, StoreError> {
    let mut sums = BTreeMap::<RunId, Centimes>::new();
    for earlier in reissues::earlier_in_tx(tx, run.id).await? {
        *sums.entry(earlier.run).or_default() += earlier.amount;
    }
    let mut reserved = Vec::new();
    for (id, amount) in sums {
        let earlier = runs::find_in_tx(tx, id, false).await?.ok_or(StoreError::Corrupt("run"))?;
        reserved.push((earlier, amount));
    }
    Ok(reserved)
}

/// Keeps messages of the providers of a run's earlier orders waiting, before the run itself is locked. Of a run that is no
/// reissue there are none.
pub(in crate::pipeline) async fn lock_earlier_in_tx(
    tx: &mut PgConnection,
    run: RunId,
) -> Result<(), StoreError> {
    let mut providers: Vec<i16> =
        reissues::earlier_in_tx(tx, run).await?.into_iter().map(|e| e.provider).collect();
    providers.sort_unstable();
    providers.dedup();
    for provider in providers {
        locks::take_in_tx(tx, Lock::Provider(provider)).await?;
    }
    Ok(())
}

/// Gives the earlier orders of a cancelled reissue run back: they stand where they stood, and may be gathered again.
pub(in crate::pipeline) async fn give_back_in_tx(
    tx: &mut PgConnection,
    run: &Run,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    if run.state == RunState::Funded {
        let reserved = reserved_before(tx, run).await?;
        books::reissue::reservations_restored_in_tx(tx, &reserved, at).await?;
    }
    let earlier = reissues::earlier_in_tx(tx, run.id).await?;
    reissues::unmark_in_tx(tx, run.id).await?;
    books::reissue::restored_in_tx(tx, run.programme_id, &earlier, at).await
}

/// Keeps the order that pays a claim now back, because word came that an earlier one is paid; once its batch is released
/// it is an undue payment, for which a case is opened beside the break. Its run, if submitted or approved, is no longer what was approved.
pub(in crate::pipeline) async fn keep_back_in_tx(
    tx: &mut PgConnection,
    order: OrderId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let last = reissues::last_in_tx(tx, order).await?;
    let Some(run) = runs::find_in_tx(tx, last.run(), true).await? else { return Ok(()) };
    let Placed { provider, amount, in_file } = placed_in_tx(tx, last).await?;
    if run.state == RunState::Cancelled {
        return Ok(());
    }
    if in_file || run.state == RunState::Closed {
        return recovery::open_paid_twice_in_tx(tx, &run, last, at).await;
    }
    let was_held = holds::is_held_in_tx(tx, last).await?;
    let reason = HoldReason::EarlierOrderPaid.as_str();
    if !reissues::hold_in_tx(tx, last, reason, at).await? {
        return Ok(());
    }
    if !was_held {
        move_one(tx, &run, provider, true, amount, at).await?;
    }
    let subject = format!("order {}", last.get());
    chain::append_in_tx(
        tx,
        Decision { actor: "sarf", action: "order.hold", subject: &subject, detail: reason, at },
    )
    .await
}
