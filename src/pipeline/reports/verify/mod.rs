//! Proves the guarantees from the rows, with figures. Nothing here trusts what is kept: totals, balances, amounts and files are
//! worked out again and compared, and every row is compared with what the audit chain vouches for.
//!
//! Guarantee: what fails is named, up to a limit, and the next proof is tried: no row, whatever stands in it, ends the pass. Only a
//! database that is gone does.

mod books;
mod breaks;
mod children;
mod correction;
mod decisions;
mod derive;
mod files;
mod origins;
mod pass;
mod recovery;
mod reissue;
mod repaid;
mod run;
mod seals;
mod stream_lane;

use crate::domain::hint::chain;
use crate::domain::ids::RunId;
use crate::domain::programme::Programme;
use crate::domain::run::RunState;
use crate::pipeline::Context;
use crate::pipeline::runs::as_written::named;
use crate::store::audit::proofs;
use crate::store::audit::row_sums::StepsFound;
use crate::store::runs::{Run, rule_sets};
use crate::store::{Store, StoreError};
use crate::telemetry::StageGuard;

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
pub async fn verify(context: &Context, only: Option<RunId>) -> Result<Vec<Proof>, StoreError> {
    verify_with_head(context, only, None).await
}

/// The same; `asked` is the hash of a record of the audit chain that must be there.
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
    let names: Vec<String> = unreadable.iter().map(|id| format!("run {id}")).collect();
    let mut figures = format!("{} runs, {} cannot be read", all.len(), unreadable.len());
    if !names.is_empty() {
        figures.push_str(&format!(": {}", named(names.len() as i64, &names)));
    }
    let mut found = vec![proof(6, "all", "every run can be read", figures, names.is_empty())];
    let mut steps = StepsFound::default();
    let parts = async {
        let mut proofs = Vec::new();
        for part in chosen.into_iter().map(Part::Run).chain(ACROSS_RUNS) {
            proofs.extend(part.prove(context, only, &mut steps, &stage).await?);
        }
        Ok::<_, StoreError>(proofs)
    };
    // Records are read by the database alone: beside the passes over runs, where it waits for us.
    let (parts, records) = tokio::join!(parts, records(context, asked));
    found.extend(parts?);
    found.extend(records?);
    attempt(store, &mut found, "sums over rows", async |found| seals::sums(store, &steps, found).await)
        .await?;
    Ok(found)
}

/// What is proven of rows and their records, whatever the runs are.
async fn records(context: &Context, asked: Option<[u8; 32]>) -> Result<Vec<Proof>, StoreError> {
    let mut proofs = Vec::new();
    let prove = async |found: &mut Vec<Proof>| seals::records(context, asked, found).await;
    attempt(&context.store, &mut proofs, "rows and their records", prove).await?;
    let prove = async |found: &mut Vec<Proof>| decisions::prove(context, found).await;
    attempt(&context.store, &mut proofs, "decisions", prove).await?;
    Ok(proofs)
}

/// What is proven by itself.
#[derive(Clone, Copy, Debug)]
enum Part<'r> {
    Run(&'r Run),
    Rivals,
    Ledger,
    Envelopes,
    Messages,
    Breaks,
    StreamLane,
    Reissues,
    Children,
    Corrections,
    Recovery,
    Repayments,
}

/// The parts that are not of one run, in the order in which they are proven.
const ACROSS_RUNS: [Part<'static>; 11] = [
    Part::Rivals,
    Part::Ledger,
    Part::Envelopes,
    Part::Messages,
    Part::Breaks,
    Part::StreamLane,
    Part::Reissues,
    Part::Children,
    Part::Corrections,
    Part::Recovery,
    Part::Repayments,
];

impl Part<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Run(_) => "a run",
            Self::Rivals => "claims of all runs",
            Self::Ledger => "the books",
            Self::Envelopes => "envelopes",
            Self::Messages => "messages",
            Self::Breaks => "breaks",
            Self::StreamLane => "the stream lane",
            Self::Reissues => "reissues",
            Self::Children => "what children are paid",
            Self::Corrections => "corrections",
            Self::Recovery => "recovery",
            Self::Repayments => "repayments",
        }
    }

    async fn prove(
        self,
        context: &Context,
        only: Option<RunId>,
        steps: &mut StepsFound,
        stage: &StageGuard,
    ) -> Result<Vec<Proof>, StoreError> {
        let (store, mut proofs) = (&context.store, Vec::new());
        attempt(store, &mut proofs, self.name(), async |found| match self {
            Self::Run(run) => run::verify(context, run, steps, stage, found).await,
            Self::Rivals => books::rivals(context, only, found).await,
            Self::Ledger => books::ledger(context, found).await,
            Self::Envelopes => books::envelopes(context, found).await,
            Self::Messages => books::messages(context, found).await,
            Self::Breaks => breaks::of_all(store, found).await,
            Self::StreamLane => stream_lane::of_all(store, found).await,
            Self::Reissues => reissue::of_all(store, found).await,
            Self::Children => children::of_all(store, found).await,
            Self::Corrections => correction::of_all(store, found).await,
            Self::Recovery => recovery::of_all(store, found).await,
            Self::Repayments => repaid::of_all(store, found).await,
        })
        .await?;
        Ok(proofs)
    }
}

/// The rules that a run was made with: as they were kept, else as they are configured; why there are none.
async fn rules(context: &Context, run: &Run) -> Result<Result<Programme, String>, StoreError> {
    let text = rule_sets::find(&context.store, &run.rules_sha256).await?;
    let kept = text.map(|text| Programme::from_toml(&text).map_err(|e| e.to_string()));
    Ok(match (kept, context.config.programme(&run.programme)) {
        (Some(Ok(rules)), _) => Ok(rules),
        (Some(Err(why)), _) => Err(format!("its rules cannot be read: {why}")),
        (None, Some(now)) if now.sha256.as_slice() == run.rules_sha256 => Ok(now.rules.clone()),
        (None, _) => Err("its rules were not kept and are no longer configured".into()),
    })
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
    proofs.push(proof(6, "all", "every row can be read", format!("{what}: {}", chain(&error)), false));
    Ok(())
}

fn proof(guarantee: u8, scope: &str, claim: &str, figures: String, holds: bool) -> Proof {
    Proof { guarantee, scope: scope.into(), claim: claim.into(), figures, holds }
}
