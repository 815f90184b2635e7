//! What `sarf verify` proves of orders that are paid again.

use super::{Proof, proof};
use crate::store::runs::reissues;
use crate::store::{Store, StoreError};

/// The proofs over all runs; none where nothing was ever reissued.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let p = reissues::prove(store).await?;
    if p.reissued == 0 && p.links == 0 && p.ordered == 0 {
        return Ok(());
    }
    found.push(proof(
        1,
        "all",
        "each reissued order has exactly one live successor, with the same claim and amount",
        format!(
            "{} orders reissued, {} links, {} orders in reissue runs, {} differ",
            p.reissued, p.links, p.ordered, p.differ
        ),
        p.reissued == p.links && p.links == p.ordered && p.differ == 0,
    ));
    found.push(proof(
        1,
        "all",
        "no order of a claim that was settled or collected has a live one beside it",
        format!("{} links, {} of an order that is paid", p.links, p.paid),
        p.paid == 0,
    ));
    Ok(())
}
