//! Payments for children, counted again: every claim and child of a list is accounted for, and nothing is paid twice.

use super::{Proof, proof};
use crate::domain::money::Centimes;
use crate::domain::run::RunKind;
use crate::store::registry::children;
use crate::store::runs::Run;
use crate::store::{Store, StoreError};

/// Guarantees 2 and 3 for a run of grants or deposits.
pub(super) async fn of_run(
    store: &Store,
    scope: &str,
    run: &Run,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    if !run.kind.is_of_children() {
        return Ok(());
    }
    let found = children::prove(store, run.id, run.snapshot, run.kind == RunKind::Deposit).await?;
    let what = if run.kind == RunKind::Deposit { "child in care" } else { "claim of a birth grant" };
    proofs.push(proof(
        3,
        scope,
        &format!("every {what} of the list is paid for or refused with a reason"),
        format!("{} listed = {} paid for + {} refused", found.listed, found.paid, found.refused),
        found.listed == found.paid + found.refused,
    ));
    let released = Centimes::new(found.released);
    proofs.push(proof(
        2,
        scope,
        "orders pay what is due for their children, releases what was paid in",
        format!(
            "{} orders differ; {released} released, {} releases differ",
            found.orders_differ, found.releases_differ
        ),
        found.orders_differ == 0 && found.releases_differ == 0,
    ));
    Ok(())
}

/// Guarantee 1 over all runs: a child's grant, and a month of its deposit, is paid once.
pub(super) async fn of_all(store: &Store, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let (live, twice) = children::paid_twice(store).await?;
    proofs.push(proof(
        1,
        "all",
        "nothing is paid twice for a child, in whatever month or household",
        format!("{live} payments for children, {twice} paid twice"),
        twice == 0,
    ));
    Ok(())
}
