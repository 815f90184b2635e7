//! What `sarf verify` proves of the stream lane.

use super::{Proof, proof};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::store::audit::proofs;
use crate::store::{Store, StoreError};

/// The stream lane's proofs for one run.
pub(super) async fn of_run(
    store: &Store,
    scope: &str,
    run: RunId,
    found: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let lane = proofs::stream_lane(store, run).await?;
    if lane.orders == 0 {
        return Ok(());
    }
    found.push(proof(
        1,
        scope,
        "in the stream lane each order was intended once before anything came back of it",
        format!("{} orders with steps, {} without an intent", lane.stepped, lane.without_intent),
        lane.without_intent == 0,
    ));
    found.push(proof(
        1,
        scope,
        "each unknown order is on the list of enquiries",
        format!("{} unknown, {} not asked about", lane.unknown, lane.not_asked_about),
        lane.not_asked_about == 0,
    ));
    found.push(proof(
        2,
        scope,
        "what settlement files list is what orders were settled by them",
        format!("{} = {}", Centimes::new(lane.settled_by_files), Centimes::new(lane.settlement_shares)),
        lane.settled_by_files == lane.settlement_shares,
    ));
    Ok(())
}

/// The stream lane's proofs over all runs.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let (events, orders, lost) = proofs::events(store).await?;
    if events > 0 {
        found.push(proof(
            3,
            "all",
            "each event that asked for an order has one, or was refused with a reason",
            format!("{events} events taken, {orders} orders under standing approvals, {lost} differ"),
            lost == 0,
        ));
    }
    let over = proofs::over_day_ceiling(store).await?;
    if events > 0 {
        found.push(proof(
            1,
            "all",
            "no day's events go beyond their standing approval",
            format!("{over} days over their ceiling, or not approved by three people"),
            over == 0,
        ));
    }
    Ok(())
}
