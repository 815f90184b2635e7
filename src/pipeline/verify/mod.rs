//! Proves the guarantees from the rows, with figures. Nothing here trusts what is kept: totals, balances, amounts and files are
//! worked out again and compared, and every row is compared with what the audit chain vouches for.
//!
//! Guarantee: what fails is named, up to a limit, and the next proof is tried: no row, whatever stands in it, ends the pass. Only a
//! database that is gone does.

mod books;
mod breaks;
mod children;
mod correction;
mod derive;
mod files;
mod pass;
mod recovery;
mod reissue;
mod repaid;
mod run;
mod seals;
mod stream;

use super::Context;
use crate::domain::ids::RunId;
use crate::domain::run::RunState;
use crate::store::runs::Run;
use crate::store::{Store, StoreError, proofs};

/// One thing that was proven, or not.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Proof {
    /// Number of the guarantee, as in the architecture.
    pub guarantee: u8,
    /// What was looked at: a run, or `all`.
    pub scope: String,
    /// What must hold.
    pub claim: String,
    /// The figures.
    pub figures: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Proves the guarantees for one run, or for all and the books as a whole.
///
/// # Errors
/// When the database is gone.
pub async fn verify(context: &Context, only: Option<RunId>) -> Result<Vec<Proof>, StoreError> {
    verify_with_head(context, only, None).await
}

/// The same; `asked` is the hash of a record of the audit chain that must be there.
///
/// # Errors
/// When the database is gone.
pub async fn verify_with_head(
    context: &Context,
    only: Option<RunId>,
    asked: Option<[u8; 32]>,
) -> Result<Vec<Proof>, StoreError> {
    let store = &context.store;
    let (all, unreadable) = proofs::list_readable(store).await?;
    let chosen: Vec<&Run> =
        all.iter().filter(|r| only.is_none_or(|id| id == r.id) && r.state != RunState::Draft).collect();
    let orders = chosen.iter().map(|r| r.orders.unsigned_abs()).sum();
    let stage = context.telemetry.stage("verify", "orders", Some(orders));
    let mut proofs = Vec::new();
    let names: Vec<String> = unreadable.iter().map(|id| format!("run {id}")).collect();
    let mut figures = format!("{} runs, {} cannot be read", all.len(), unreadable.len());
    if !names.is_empty() {
        figures.push_str(&format!(": {}", named(names.len() as i64, &names)));
    }
    proofs.push(proof(6, "all", "every run can be read", figures, names.is_empty()));
    for of in chosen {
        run::verify(context, of, &stage, &mut proofs).await?;
    }
    attempt(store, &mut proofs, "claims of all runs", async |found| {
        books::rivals(context, only, found).await
    })
    .await?;
    attempt(store, &mut proofs, "the books", async |found| books::ledger(context, found).await).await?;
    attempt(store, &mut proofs, "envelopes", async |found| books::envelopes(context, found).await).await?;
    attempt(store, &mut proofs, "messages", async |found| books::messages(context, found).await).await?;
    attempt(store, &mut proofs, "breaks", async |found| breaks::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "the stream lane", async |found| stream::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "reissues", async |found| reissue::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "what children are paid", async |found| children::of_all(store, found).await)
        .await?;
    attempt(store, &mut proofs, "corrections", async |found| correction::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "recovery", async |found| recovery::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "repayments", async |found| repaid::of_all(store, found).await).await?;
    attempt(store, &mut proofs, "rows and their records", async |found| {
        seals::of_all(context, asked, found).await
    })
    .await?;
    Ok(proofs)
}

/// Tries some proofs; a row that cannot be read makes them fail and ends nothing else.
async fn attempt(
    store: &Store,
    proofs: &mut Vec<Proof>,
    what: &str,
    prove: impl AsyncFnOnce(&mut Vec<Proof>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Err(error) = prove(proofs).await else { return Ok(()) };
    if store.ping().await.is_err() {
        return Err(error);
    }
    proofs.push(proof(6, "all", "every row can be read", format!("{what}: {}", told(&error)), false));
    Ok(())
}

fn proof(guarantee: u8, scope: &str, claim: &str, figures: String, holds: bool) -> Proof {
    Proof { guarantee, scope: scope.into(), claim: claim.into(), figures, holds }
}

/// The first of what is wrong, and that there is more.
pub(super) fn named(wrong: i64, names: &[String]) -> String {
    const SHOWN_MAX: usize = 10;
    let mut text = names.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = wrong - names.len().min(SHOWN_MAX) as i64;
    if more > 0 {
        text.push_str(&format!("; {more} more"));
    }
    text
}

/// An error with its causes, in one line.
fn told(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
