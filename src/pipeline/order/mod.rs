//! Entitle and order: each household of a snapshot becomes one order, held or not, or an exclusion with its reason.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | run in draft; cursors over households, earlier run, other programmes, what is shared | rules, places, providers |
//! | stream | households are assessed, routed, compared; rows go into the run's leaves by COPY FREEZE | a few parcels |
//! | index | primary key and one order for each claim, as unique indexes; leaves attached | – |
//! | book | batches planned, totals kept, control accounts posted, checks written, audit record; one commit | – |
//!
//! Changes to households that came as events since the list was made are laid over it; orders of those that change while the
//! orders are made are held at the end.
//!
//! Guarantee: one transaction: a run is there whole or not at all. Repeating the command finds the run.
//! Limit: one order for each household and run.

pub(super) mod changed;
mod compare;
mod compute;
mod judge;
pub(super) mod merge;
mod priority;
pub(super) mod slices;

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::events::{Touched, hold_in_tx};
use super::{Applied, Context, Refusal, check, hex, person, recovery};
use crate::config::{Config, ConfiguredProgramme};
use crate::domain::entitlement::NoRules;
use crate::domain::ids::{HouseholdId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::Programme;
use crate::domain::run::{RunKind, RunState};
use crate::store::audit::{self, Decision};
use crate::store::books::orders::NewOrders;
use crate::store::books::{self, OrderSum, RunAt};
use crate::store::locks::{self, Lock};
use crate::store::operators::Role;
use crate::store::pgcopy::CopyBuffer;
use crate::store::runs::{NewRun, Run};
use crate::store::{
    StoreError, Tx, batches, breaks, changes, day_runs, holds, orders, questions, recovery_money, reference,
    rule_sets, run_checks, runs, snapshots,
};
use compute::Computation;
pub(super) use compute::{Computed, Inputs, Maker, new_comparison};
pub(super) use judge::{fill_payee, judge, payee_as_written, shared_reason};

/// Why a run was not made.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The person may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such snapshot.
    #[error("snapshot `{0}` is not known")]
    NoSnapshot(SnapshotId),
    /// Its programme is not configured.
    #[error("programme `{0}` is not configured")]
    UnknownProgramme(String),
    /// The programme does not pay in that month.
    #[error("programme `{programme}` does not pay in `{period}`")]
    NotPaying {
        /// Which.
        programme: String,
        /// When.
        period: Period,
    },
    /// No rules are in force.
    #[error(transparent)]
    NoRules(#[from] NoRules),
    /// The period has its regular run, made from another snapshot.
    #[error("`{period}` has its regular run already: run `{run}`, made from snapshot `{snapshot}`")]
    RunExists {
        /// When.
        period: Period,
        /// Which.
        run: RunId,
        /// From what.
        snapshot: SnapshotId,
    },
    /// A correction run of the programme is neither released nor cancelled: what it found would be found again, or lost.
    #[error("correction run `{run}` is not released yet")]
    CorrectionWaits {
        /// Which.
        run: RunId,
    },
    /// A later list was heard on earlier months.
    #[error("list `{list}` is older than list `{newer}`, by which earlier months were put right")]
    OlderList {
        /// Which.
        list: SnapshotId,
        /// The later one.
        newer: SnapshotId,
    },
    /// The period has its run of a kind already, made from another snapshot.
    #[error("`{period}` has its {kind} run already: run `{run}`, made from snapshot `{snapshot}`")]
    KindExists {
        /// Which kind.
        kind: RunKind,
        /// When.
        period: Period,
        /// Which.
        run: RunId,
        /// From what.
        snapshot: SnapshotId,
    },
    /// An earlier run of a kind has not left, and what it pays counts as paid.
    #[error("{kind} run `{run}` has not left yet: what it pays would count as paid here")]
    KindUnderWay {
        /// Which kind.
        kind: RunKind,
        /// Which.
        run: RunId,
    },
    /// The list has no rows that a run of a kind is made from.
    #[error("snapshot `{snapshot}` has no rows for a {kind} run")]
    NothingListed {
        /// Which kind.
        kind: RunKind,
        /// Which list.
        snapshot: SnapshotId,
    },
    /// Arrears would pay a month that has its own run.
    #[error("arrears for `{0}` would pay a month that has its own run")]
    ArrearsPaid(Period),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows on their way to the database.
#[derive(Default)]
pub(super) struct Parcel {
    orders: CopyBuffer,
    exclusions: CopyBuffer,
    holds: CopyBuffer,
    instalments: CopyBuffer,
}

/// Makes a run from a snapshot: its orders, holds, comparison and checks.
///
/// # Errors
/// See [`OrderError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    snapshot: SnapshotId,
    kind: RunKind,
    by: &str,
) -> Result<Applied<RunId>, OrderError> {
    let snapshot =
        snapshots::find(&context.store, snapshot).await?.ok_or(OrderError::NoSnapshot(snapshot))?;
    let programme = context
        .config
        .programme(&snapshot.programme)
        .ok_or_else(|| OrderError::UnknownProgramme(snapshot.programme.clone()))?;
    let period = snapshot.period;
    if !programme.rules.pays_in(period) {
        return Err(OrderError::NotPaying { programme: snapshot.programme, period });
    }
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let programme_id = reference::programme_id_in_tx(&mut tx, programme.rules.code().as_str()).await?;
    locks::take_in_tx(&mut tx, Lock::Making(programme_id)).await?;
    // Nobody else makes a run of this programme and period until this one is there whole.
    locks::take_in_tx(&mut tx, Lock::Month(programme_id, period)).await?;
    if let Some(run) = existing_regular(&mut tx, &snapshot, kind).await? {
        return Ok(Applied::Already(run));
    }
    refuse_paid_arrears(context, &mut tx, programme, period).await?;
    let last_change = last_change(context, programme_id).await?;
    recovery::follow(context).await?;
    locks::take_in_tx(&mut tx, Lock::CasesOfRunBeingMade(programme_id)).await?;
    let now = context.clock.now();
    let new = NewRun {
        programme_id,
        period,
        kind,
        snapshot: snapshot.id,
        rules_sha256: &programme.sha256,
        created_by: by,
        created_at: now,
    };
    let run = runs::insert_in_tx(&mut tx, new).await?;
    rule_sets::keep_in_tx(
        &mut tx,
        &programme.sha256,
        programme.rules.code().as_str(),
        programme.rules.fingerprint_input(),
    )
    .await?;
    orders::create_leaves_in_tx(&mut tx, run).await?;
    let purpose = reference::purpose_id_in_tx(&mut tx, programme.rules.purpose().as_str()).await?;
    let codes: Vec<String> = context.config.router.providers().iter().map(|p| p.code.to_string()).collect();
    let providers = reference::provider_ids_in_tx(&mut tx, &codes).await?;
    let previous = runs::previous_regular_in_tx(&mut tx, programme_id, period).await?;
    let barring = barring_runs(&context.config, &mut tx, programme, period, run).await?;
    let doubted = breaks::doubted_households_in_tx(&mut tx).await?;
    let questions = questions::of_programme_in_tx(&mut tx, programme_id).await?;
    let flagged = changed::flagged(context, &mut tx, programme_id, snapshot.id).await?;

    let inputs = Inputs {
        context,
        run,
        programme_id,
        period,
        purpose,
        snapshot: &snapshot,
        programme,
        providers: &providers,
        previous: previous.as_ref(),
        barring: &barring,
        doubted: &doubted,
        correction: false,
        questions: &questions,
        flagged: &flagged,
        now,
    };
    let stage = context.telemetry.stage("order", "households", Some(snapshot.households as u64));
    let (sender, mut parcels) = mpsc::channel::<Parcel>(3);
    let computation = Computation::open(&inputs).await?;
    // The rows travel on a task of their own: the database takes them while the next are worked out.
    let writer = tokio::spawn(async move {
        let received = receive(&mut tx, run, &mut parcels).await;
        (tx, received)
    });
    let computed = computation.run(sender, &stage).await;
    let (mut tx, received) = writer.await.expect("the writing task does not panic");
    received?;
    let mut computed = computed?;
    if computed.households != snapshot.households as u64 {
        return Err(StoreError::Corrupt("households of the snapshot").into());
    }
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    let giving_way = std::mem::take(&mut computed.giving_way);
    book(context, &mut tx, &inputs, programme_id, computed).await?;
    hold_changed(&mut tx, &inputs, last_change).await?;
    priority::give_way_in_tx(&mut tx, &inputs, &giving_way).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Applied::Now(run))
}

async fn receive(tx: &mut Tx, run: RunId, parcels: &mut mpsc::Receiver<Parcel>) -> Result<(), StoreError> {
    while let Some(mut parcel) = parcels.recv().await {
        parcel.send_in_tx(tx, run).await?;
    }
    Ok(())
}

impl Parcel {
    /// Sends the rows into a run's leaves.
    pub(super) async fn send_in_tx(&mut self, tx: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
        let order_target = format!("{} ({})", orders::leaf(run), orders::COLUMNS);
        self.orders.send_in_tx(tx, &order_target, ", FREEZE").await?;
        self.exclusions.send_in_tx(tx, &orders::exclusion_leaf(run), ", FREEZE").await?;
        self.holds.send_in_tx(tx, &format!("order_hold ({})", holds::COLUMNS), "").await?;
        let instalments = format!("recovery_instalment ({})", recovery_money::INSTALMENT_COLUMNS);
        self.instalments.send_in_tx(tx, &instalments, "").await?;
        Ok(())
    }
}

/// The regular run of the period, when this very command made it before.
async fn existing_regular(
    tx: &mut PgConnection,
    snapshot: &snapshots::Snapshot,
    kind: RunKind,
) -> Result<Option<RunId>, OrderError> {
    if kind != RunKind::Regular {
        return Ok(None);
    }
    let programmes = [snapshot.programme.clone()];
    let live = runs::live_of_period_in_tx(tx, &programmes, snapshot.period, RunId::new(0)).await?;
    match live.into_iter().find(|r| r.kind == RunKind::Regular) {
        None => Ok(None),
        Some(run) if run.snapshot == snapshot.id => Ok(Some(run.id)),
        Some(run) => {
            Err(OrderError::RunExists { period: snapshot.period, run: run.id, snapshot: run.snapshot })
        }
    }
}

async fn refuse_paid_arrears(
    context: &Context,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    period: Period,
) -> Result<(), OrderError> {
    for month in programme.rules.months_due(period).into_iter().filter(|m| *m != period) {
        let code = [programme.rules.code().to_string()];
        let live = runs::live_of_period_in_tx(tx, &code, month, RunId::new(0)).await?;
        if !of_own_purpose(&context.config, tx, live).await?.is_empty() {
            return Err(OrderError::ArrearsPaid(month));
        }
    }
    Ok(())
}

/// A run whose orders bar a household from another.
pub(super) struct Barring {
    pub run: Run,
    /// Its orders stand in the order of their arrival.
    pub by_arrival: bool,
}

/// Runs whose orders bar a household from this one: the same claim, or a benefit that may not be drawn together.
pub(super) async fn barring_runs(
    config: &Config,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    period: Period,
    run: RunId,
) -> Result<Vec<Barring>, StoreError> {
    let rules = &programme.rules;
    let codes: Vec<String> =
        std::iter::once(rules.code()).chain(rules.not_with()).map(ToString::to_string).collect();
    let live = runs::live_of_period_in_tx(tx, &codes, period, run).await?;
    of_own_purpose(config, tx, live).await
}

/// Runs of benefits that may not be drawn together with a programme's.
pub(super) async fn barring_by_others(
    config: &Config,
    tx: &mut PgConnection,
    rules: &Programme,
    period: Period,
) -> Result<Vec<RunId>, StoreError> {
    let codes: Vec<String> = rules.not_with().iter().map(ToString::to_string).collect();
    let live = runs::live_of_period_in_tx(tx, &codes, period, RunId::new(0)).await?;
    Ok(of_own_purpose(config, tx, live).await?.into_iter().map(|barring| barring.run.id).collect())
}

/// Leaves out runs of another purpose than their programme's own: urgent aid, arrears, grants and deposits are no claim on
/// the month's.
async fn of_own_purpose(
    config: &Config,
    tx: &mut PgConnection,
    runs: Vec<Run>,
) -> Result<Vec<Barring>, StoreError> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let gathering = day_runs::purposes_in_tx(tx, &ids).await?;
    let own = |run: &Run, purpose: &str| {
        config.programme(&run.programme).is_none_or(|p| p.rules.purpose().as_str() == purpose)
    };
    Ok(runs
        .into_iter()
        .filter(|run| matches!(run.kind, RunKind::Regular | RunKind::OffCycle))
        .filter(|run| gathering.get(&run.id).is_none_or(|purpose| own(run, purpose)))
        .map(|run| Barring { by_arrival: gathering.contains_key(&run.id), run })
        .collect())
}

/// Number of the last change before the pass; none with a lower number is still to be committed.
pub(super) async fn last_change(context: &Context, programme_id: i16) -> Result<i64, StoreError> {
    let mut tx = context.store.begin().await?;
    locks::take_in_tx(&mut tx, Lock::Changes(programme_id)).await?;
    let last = changes::last_in_tx(&mut tx).await?;
    tx.rollback().await?;
    Ok(last)
}

/// Holds orders of households that changed while the orders were made; from now to the commit none changes.
pub(super) async fn hold_changed(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    last_change: i64,
) -> Result<(), StoreError> {
    let programme = inputs.programme_id;
    locks::take_in_tx(tx, Lock::Changes(programme)).await?;
    let mut touched: BTreeMap<HouseholdId, Touched> = BTreeMap::new();
    for (household, _, change) in changes::after_in_tx(tx, programme, inputs.snapshot.id, last_change).await?
    {
        touched.entry(household).or_default().note(&change);
    }
    if !touched.is_empty() {
        // What came while the orders were made may be shared with any of them.
        let flagged = changed::flagged(inputs.context, tx, programme, inputs.snapshot.id).await?;
        changed::touch(&mut touched, &flagged);
    }
    hold_in_tx(tx, programme, &touched, &[inputs.run], inputs.now).await?;
    Ok(())
}

/// Writes what follows from the orders: planned batches, kept totals, postings, comparison, checks, audit.
pub(super) async fn book(
    context: &Context,
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    programme_id: i16,
    computed: Computed,
) -> Result<(), StoreError> {
    let run = inputs.run;
    let names: HashMap<i16, &str> = inputs.providers.iter().map(|(code, id)| (*id, code.as_str())).collect();
    batches::insert_planned_in_tx(tx, run, &computed.slices).await?;
    let mut new = Vec::new();
    for (&(provider, held), &(count, amount)) in &computed.totals {
        let of = RunAt { programme: programme_id, run, provider };
        new.push(NewOrders { sum: OrderSum { of, orders: count, amount }, held });
        tracing::debug!(
            run = run.get(),
            provider = names.get(&provider),
            held,
            orders = count,
            "orders made"
        );
    }
    books::orders::computed_in_tx(tx, &new, inputs.now).await?;
    if computed.offset > Centimes::ZERO {
        recovery::book_in_tx(tx, programme_id, run, inputs.now).await?;
    }
    sqlx::query(
        "update run set state = $2, orders_sha256 = $3, households = $4, orders = $5, exclusions = $6, entitled = $7,
                ordered = $8, compared_with = $9 where id = $1",
    )
    .bind(run.get())
    .bind(RunState::Computed.as_str())
    .bind(computed.orders_sha256.as_slice())
    .bind(computed.households as i64)
    .bind(computed.orders as i64)
    .bind(computed.exclusions as i64)
    .bind(computed.entitled.get())
    .bind((computed.entitled - computed.offset).get())
    .bind(inputs.previous.map(|r| r.id.get()))
    .execute(&mut *tx)
    .await?;
    if inputs.previous.is_some() {
        run_checks::insert_comparison_in_tx(tx, run, &computed.comparison).await?;
    }
    let held: i64 = computed.totals.iter().filter(|((_, held), _)| *held).map(|(_, (count, _))| count).sum();
    let checks = check::evaluate(
        &context.config.settings.checks,
        &computed.comparison,
        inputs,
        computed.orders as i64,
        held,
    );
    run_checks::insert_checks_in_tx(tx, run, &checks).await?;
    let detail = format!(
        "orders {} amount {} kept back {} sha256 {}",
        computed.orders,
        computed.entitled - computed.offset,
        computed.offset,
        hex(&computed.orders_sha256)
    );
    audit::append_in_tx(
        tx,
        Decision {
            actor: "sarf",
            action: "run.compute",
            subject: &format!("run {run}"),
            detail: &detail,
            at: inputs.now,
        },
    )
    .await
}

/// Totals by provider number and whether held: orders and their sum.
type Totals = BTreeMap<(i16, bool), (i64, Centimes)>;
