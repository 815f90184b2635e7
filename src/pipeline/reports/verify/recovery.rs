//! What `sarf verify` proves of undue payments and their recovery.

use super::{Proof, proof};
use crate::domain::money::Centimes;
use crate::store::audit::recovery_proofs::{self, Books, Cases};
use crate::store::{Store, StoreError};

/// The proofs over all cases; none where there never was one.
pub(super) async fn of_all(store: &Store, found: &mut Vec<Proof>) -> Result<(), StoreError> {
    let (cases, books) = (recovery_proofs::cases(store).await?, recovery_proofs::books(store).await?);
    if cases.cases == 0 && books == Books::default() {
        return Ok(());
    }
    let mad = Centimes::new;
    let Cases { receivable, kept_back, repaid, written_off, .. } = cases;
    found.push(proof(
        2,
        "all",
        "what households owe is the sum of their cases",
        format!("{} = {}, {} cases", mad(books.receivable), mad(receivable), cases.cases),
        books.receivable == receivable,
    ));
    found.push(proof(
        2,
        "all",
        "what orders keep back = instalments = what cases took = recovered in the books",
        format!(
            "{} = {} = {} = {} = {}",
            mad(cases.ordered_offset),
            mad(cases.instalments),
            mad(kept_back),
            mad(books.recovered),
            mad(books.offset)
        ),
        [cases.instalments, kept_back, books.recovered, books.offset]
            .iter()
            .all(|sum| *sum == cases.ordered_offset)
            && cases.orders_differ == 0,
    ));
    found.push(proof(
        2,
        "all",
        "undue found = owed + kept back + repaid + given up",
        format!(
            "{} = {} + {} + {} + {}",
            mad(-books.undue),
            mad(books.receivable),
            mad(books.recovered),
            mad(repaid),
            mad(books.given_up)
        ),
        -books.undue == books.receivable + books.recovered + repaid + books.given_up
            && books.given_up == written_off,
    ));
    found.push(proof(
        3,
        "all",
        "each undue payment of a released correction has one case, and no state contradicts its amounts",
        format!(
            "{} undue, {} without their case, {} cases contradict themselves, {} are not refunded as ordered, {} not taken back as found",
            cases.undue, cases.without_case, cases.contradict, cases.refunds_differ, cases.reversals_differ
        ),
        [cases.without_case, cases.contradict, cases.refunds_differ, cases.reversals_differ] == [0; 4],
    ));
    Ok(())
}
