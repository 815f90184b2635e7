//! Reissue: orders that ended unpaid (rejected, returned, expired) are ordered again, as the reason policy allows.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | run in draft; changes by events and messages of the providers concerned wait | places of the earlier runs |
//! | stream | unpaid orders of all earlier runs, by household, beside the latest list and changes since: judged, routed, held; rows go into the run's leaf by COPY FREEZE | buffers |
//! | link | each new order is linked to the one before; that one becomes *reissued*, in kept totals and books too | – |
//! | book | batches planned, totals kept, control accounts posted, checks written, audit record; one commit | – |
//!
//! Guarantee: one transaction. An order is in at most one live reissue run (a unique index proves it), and it is reissued
//! exactly as long as that run is not cancelled; a claim whose order may be paid is not gathered. Repeating the command
//! with nothing left to gather finds the run made before.
//! What was found undue of the order before is kept back, and what the household owes of other payments as configured.
//! Limit: a new order pays the amount of the one before; it is not assessed again.

mod forward;
mod gather;
mod undo;
mod ways;

use sqlx::PgConnection;

pub use forward::{ForwardError, Standing, put_forward, standing};
use gather::{Gathered, Gatherer};
pub(in crate::pipeline) use undo::{
    give_back_in_tx, keep_back_in_tx, lock_earlier_in_tx, release_reservations_in_tx,
};

use super::book::{OrdersMade, made_in_tx};
use super::checks;
use crate::config::ConfiguredProgramme;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::period::Period;
use crate::domain::policy::{Decision, Waits};
use crate::domain::run::RunKind;
use crate::pipeline::exceptions::recovery;
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::books;
use crate::store::locks::{self, Lock};
use crate::store::orders::unpaid::{self, UnpaidOrders};
use crate::store::registry::reference;
use crate::store::runs::reissues::{self, Earlier};
use crate::store::runs::{self, NewRun};
use crate::store::{StoreError, Tx, orders};

/// Why a reissue run was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReissueError {
    /// The person may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No list was imported for it.
    #[error("programme `{0}` has no snapshot")]
    NoSnapshot(String),
    /// No order may be paid again now.
    #[error("no order of `{programme}` may be paid again now; {waiting} wait")]
    Nothing {
        /// Which programme.
        programme: String,
        /// Orders that stand unpaid.
        waiting: u64,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for ReissueError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NoSnapshot(_) => "import its list: sarf snapshot import DIR".into(),
            Self::Nothing { .. } => {
                "see what waits, and for what: sarf report unclaimed --out FILE.csv".into()
            }
            Self::Store(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ReissueError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NoSnapshot(_) => Self::NoSnapshot("asd".into()),
    Self::Nothing { .. } => Self::Nothing { programme: "asd".into(), waiting: 2 },
    Self::Store(_) => Self::Store(StoreError::Corrupt("state of an order")),
});

/// Unpaid orders that were not gathered, for one reason.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Left {
    /// What the policy decides.
    pub decision: Decision,
    /// Why not now.
    pub waits: Waits,
    /// The provider's reason; empty where it gave none.
    pub reason: String,
    /// How many.
    pub orders: u64,
    /// Their sum.
    pub amount: Centimes,
}

/// A reissue run that was made, and what it left.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Made {
    /// The run.
    pub run: RunId,
    /// What waits, and for what; empty where the run was made before.
    pub left: Vec<Left>,
}

/// Makes the reissue run of a programme: whatever may be paid again now, of all earlier runs, is charged to the budget of
/// `period` (the month by the clock, unless given).
///
/// # Errors
/// See [`ReissueError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    programme: &str,
    period: Option<Period>,
    by: &str,
) -> Result<Applied<Made>, ReissueError> {
    let configured = context
        .config
        .programme(programme)
        .ok_or_else(|| Refusal::not_found(Entity::Programme, programme))?;
    let code = configured.rules.code().to_string();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let programme_id = reference::programme_id_in_tx(&mut tx, &code).await?;
    let earlier = lock(&mut tx, programme_id).await?;
    // Messages of the providers wait, so that where payments are does not change any more.
    locks::take_in_tx(&mut tx, Lock::Cases(programme_id)).await?;
    recovery::follow_in_tx(&mut tx, programme_id, context.clock.now()).await?;
    let snapshot = reissues::latest_snapshot_in_tx(&mut tx, &code)
        .await?
        .ok_or_else(|| ReissueError::NoSnapshot(code.clone()))?;
    let period = period.map_or_else(|| this_month(context), Ok)?;
    let head = Head { context, configured, programme_id, period, snapshot, by };
    let gathered = match gather(&mut tx, &head, &earlier).await? {
        Ok(gathered) => gathered,
        Err(left) => {
            tx.rollback().await.map_err(StoreError::from)?;
            return made_before(&head, code, &left).await;
        }
    };
    let made = Made { run: gathered.run, left: gathered.left.clone() };
    book(&mut tx, &head, gathered).await?;
    tx.commit().await?;
    Ok(Applied::Now(made))
}

/// What a run is made under.
struct Head<'a> {
    context: &'a Context,
    configured: &'a ConfiguredProgramme,
    programme_id: i16,
    period: Period,
    snapshot: SnapshotId,
    by: &'a str,
}

fn this_month(context: &Context) -> Result<Period, StoreError> {
    let local = context.clock.now().to_offset(context.config.settings.calendar.utc_offset);
    Period::new(local.year(), local.month().into()).map_err(|_| StoreError::Corrupt("month of the clock"))
}

/// One reissue of a programme at a time. While it is made, the registry's changes wait, and so do messages of the providers
/// concerned: what is said of an order comes either before it is reissued or after. Changes come first, as wherever both
/// are taken.
async fn lock(tx: &mut PgConnection, programme: i16) -> Result<Vec<RunId>, StoreError> {
    locks::take_in_tx(tx, Lock::Making(programme)).await?;
    locks::take_in_tx(tx, Lock::Changes(programme)).await?;
    let runs = unpaid::runs_in_tx(tx, Some(programme)).await?;
    for provider in unpaid::providers_in_tx(tx, &runs).await? {
        locks::take_in_tx(tx, Lock::Provider(provider)).await?;
    }
    Ok(runs)
}

/// Makes the run's rows; where nothing may be paid again, what waits.
async fn gather(
    tx: &mut Tx,
    head: &Head<'_>,
    earlier: &[RunId],
) -> Result<Result<Gathered, Vec<Left>>, StoreError> {
    let now = head.context.clock.now();
    if earlier.is_empty() {
        return Ok(Err(Vec::new()));
    }
    let new = NewRun {
        programme_id: head.programme_id,
        period: head.period,
        kind: RunKind::Reissue,
        snapshot: head.snapshot,
        rules_sha256: &head.configured.sha256,
        created_by: head.by,
        created_at: now,
    };
    let run = runs::insert_in_tx(tx, new).await?;
    orders::create_leaves_in_tx(tx, run).await?;
    let stage = head.context.telemetry.stage("reissue", "orders", None);
    let mut gatherer = Gatherer::open(tx, head, run, earlier).await?;
    let mut unpaid = UnpaidOrders::open(&head.context.store, earlier, head.snapshot);
    while let Some(order) = unpaid.next().await? {
        stage.add(1);
        gatherer.take(order).await?;
        if gatherer.is_full() {
            gatherer.send_in_tx(tx).await?;
        }
    }
    gatherer.send_in_tx(tx).await?;
    let gathered = gatherer.finish_in_tx(tx).await?;
    if gathered.orders == 0 {
        return Ok(Err(gathered.left));
    }
    orders::attach_leaves_in_tx(tx, run).await?;
    Ok(Ok(gathered))
}

async fn made_before(
    head: &Head<'_>,
    programme: String,
    left: &[Left],
) -> Result<Applied<Made>, ReissueError> {
    let mut tx = head.context.store.begin().await?;
    let run = reissues::last_run_in_tx(&mut tx, head.programme_id, head.period.index()).await?;
    match run {
        Some(run) => Ok(Applied::Already(Made { run, left: Vec::new() })),
        None => Err(ReissueError::Nothing { programme, waiting: left.iter().map(|l| l.orders).sum() }),
    }
}

/// Writes what follows from the orders: links, planned batches, kept totals, postings, checks, audit.
async fn book(tx: &mut PgConnection, head: &Head<'_>, gathered: Gathered) -> Result<(), StoreError> {
    let (run, now) = (gathered.run, head.context.clock.now());
    let earlier = reissues::earlier_in_tx(tx, run).await?;
    reissues::mark_in_tx(tx, run, now).await?;
    books::reissue::reissued_in_tx(tx, head.programme_id, &earlier, now).await?;
    let held = OrdersMade::held(&gathered.totals);
    let limit = head.context.config.settings.checks.held_share_max;
    let made = OrdersMade {
        programme: head.programme_id,
        run,
        now,
        households: gathered.households,
        orders: gathered.orders,
        exclusions: 0,
        entitled: gathered.amount + gathered.offset,
        offset: gathered.offset,
        orders_sha256: &gathered.orders_sha256,
        totals: &gathered.totals,
        slices: &gathered.slices,
        compared_with: None,
        checks: &[checks::share("held", "all", held, gathered.orders.into(), limit)],
        detail: &format!("reissued from {}", run_list(&earlier)),
    };
    made_in_tx(tx, made).await
}

fn run_list(earlier: &[Earlier]) -> String {
    let mut runs: Vec<RunId> = earlier.iter().map(|e| e.run).collect();
    runs.dedup();
    let runs: Vec<String> = runs.iter().map(|r| format!("run {r}")).collect();
    runs.join(", ")
}
