//! What `sarf verify` proves of money that households pay back.

use super::{Proof, proof};
use crate::store::recovery::decisions;
use crate::store::{Store, StoreError};

/// The proof over all cases; none where nothing was ever repaid.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let (cases, steps, posted) = decisions::repaid(store).await?;
    if cases.is_zero() && steps.is_zero() && posted.is_zero() {
        return Ok(());
    }
    found.push(proof(
        2,
        "all",
        "what was repaid, case by case and step by step, is what receipts on statements were posted to receivables",
        format!("{cases} = {steps} = {posted}"),
        cases == steps && steps == posted,
    ));
    Ok(())
}
