//! What `sarf verify` proves of months that were put right.

use super::{Proof, proof};
use crate::store::runs::corrections;
use crate::store::{Store, StoreError};

/// The proofs over all runs; none where nothing was ever put right.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let p = corrections::prove(store).await?;
    if p.rows == 0 {
        return Ok(());
    }
    found.push(proof(
        2,
        "all",
        "arrears are ordered as corrections found them and complaints granted them, household by household",
        format!(
            "{} corrections, {} are not the difference, {} households differ, {} runs take another sum off cases",
            p.rows, p.not_the_difference, p.arrears_differ, p.off_cases_differ
        ),
        p.not_the_difference == 0 && p.arrears_differ == 0 && p.off_cases_differ == 0,
    ));
    Ok(())
}
