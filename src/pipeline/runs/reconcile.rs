//! Reconciliation and close: orders = statuses = statement entries, for each provider and batch.
//!
//! A run is reconciled when every batch that left is debited for what its orders less the rejected ones come to, every
//! return is booked, no order is under way and no break is open. It is closed then, or earlier when a person carries
//! what is left forward by name and reason.

use std::collections::BTreeMap;

use super::approve::record;
use crate::domain::batch::{BatchState, Lane};
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::RunId;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::reason::BreakKind;
use crate::domain::run::{RunEvent, RunState};
use crate::pipeline::{Context, Refusal, locked_run, next_state, person};
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::batches::{self, Batch};
use crate::store::books::ledger;
use crate::store::messages::break_steps;
use crate::store::messages::breaks::{self, NewBreak};
use crate::store::messages::statements::{self, KnownStatement};
use crate::store::orders::holds;
use crate::store::registry::reference;
use crate::store::runs::decisions::Left;
use crate::store::runs::{self, decisions};

/// One provider's side of a reconciliation, in orders and centimes.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ProviderLine {
    /// Provider.
    pub provider: String,
    /// Files that left.
    pub files: u64,
    /// Orders in them.
    pub orders: i64,
    /// Their sum.
    pub sent: Centimes,
    /// Rejected.
    pub rejected: Centimes,
    /// Debited on the account statement.
    pub debited: Centimes,
    /// Returned, as orders say.
    pub returned: Centimes,
    /// Returned, as booked on the account statement.
    pub credited: Centimes,
    /// Expired or cancelled before it was collected.
    pub expired: Centimes,
    /// What no statement explains: what is due for what was sent, less what was debited.
    pub difference: Centimes,
}

/// What a reconciliation found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Reconciliation {
    /// Where the run stands now.
    pub state: RunState,
    /// By provider.
    pub providers: Vec<ProviderLine>,
    /// Open breaks that concern the run.
    pub open_breaks: i64,
    /// Orders that nothing final is known of.
    pub under_way: i64,
    /// Orders not yet released.
    pub unreleased: i64,
    /// Orders held.
    pub held: i64,
    /// Providers whose statements paid out other than what its settled orders come to, and by how much: above zero went out
    /// without an order.
    pub unproven: Vec<(String, Centimes)>,
}

impl Reconciliation {
    /// True when nothing but held orders is left, and what the statements paid out is what the orders say. The latter no
    /// decision on a break stands in for.
    pub const fn is_explained(&self) -> bool {
        self.open_breaks == 0 && self.under_way == 0 && self.unreleased == 0 && self.unproven.is_empty()
    }
}

const BATCH_KINDS: [BreakKind; 3] =
    [BreakKind::BatchDiffers, BreakKind::MissingAtBank, BreakKind::StatementGap];

/// Compares a run's orders, statuses and statement entries; opens a break for each difference and resolves those that
/// later feedback explained.
///
/// # Errors
/// See [`Refusal`].
pub async fn reconcile(context: &Context, id: RunId) -> Result<Reconciliation, Refusal> {
    let mut tx = context.store.begin().await?;
    let run = locked_run(&mut tx, id).await?;
    if !matches!(
        run.state,
        RunState::Dispatching | RunState::Settling | RunState::Reconciled | RunState::Closed
    ) {
        return Err(Refusal::WrongState { run: id, step: RunEvent::Reconcile.done(), state: run.state });
    }
    let _stage = context.telemetry.stage("reconcile", "orders", None);
    let now = context.clock.now();
    let all = batches::of_run_in_tx(&mut tx, id).await?;
    let left: Vec<&Batch> = all.iter().filter(|b| has_left(b.state)).collect();
    let mut found: Vec<NewBreak> = left.iter().flat_map(|b| differences(b)).collect();
    let providers = reference::provider_ids_in_tx(&mut tx, &[]).await?;
    let mut used: Vec<&str> = left.iter().map(|b| b.provider.as_str()).collect();
    used.sort_unstable();
    used.dedup();
    for provider in used {
        found.extend(statement_gaps(&mut tx, id, providers[provider]).await?);
    }
    let keys: Vec<String> = found.iter().map(|b| b.key.clone()).collect();
    break_steps::resolve_gone_in_tx(&mut tx, id, &BATCH_KINDS, &keys, now).await?;
    breaks::open_in_tx(&mut tx, &found, now).await?;
    let mut result = summary(&mut tx, &run, &left).await?;
    if run.state == RunState::Settling && result.is_explained() {
        result.state = next_state(&run, RunEvent::Reconcile)?;
        runs::set_state_in_tx(&mut tx, id, result.state).await?;
        record(&mut tx, "sarf", "run.reconcile", id, &format!("{} providers", result.providers.len()), now)
            .await?;
    }
    tx.commit().await?;
    Ok(result)
}

const fn has_left(state: BatchState) -> bool {
    matches!(state, BatchState::Sent | BatchState::Accepted | BatchState::Settled | BatchState::Rejected)
}

/// What statements must debit for a batch: a file is debited whole, less what was rejected; in the stream lane what was
/// collected or credited.
fn due(batch: &Batch) -> i64 {
    match batch.lane {
        Lane::File => batch.amount.get() - batch.figures.rejected_amount,
        Lane::Stream => batch.figures.paid_amount,
    }
}

/// What a batch's orders and its statement entries do not agree on.
fn differences(batch: &Batch) -> Vec<NewBreak> {
    let figures = batch.figures;
    let due = due(batch);
    let mut found = Vec::new();
    if figures.debited_amount != due {
        let (kind, what) = if figures.debited_amount == 0 {
            (BreakKind::MissingAtBank, "no debit of it on any statement".to_owned())
        } else {
            (
                BreakKind::BatchDiffers,
                format!("debited {}, due {}", Centimes::new(figures.debited_amount), Centimes::new(due)),
            )
        };
        found.push(about(batch, kind, "debit", due - figures.debited_amount, what));
    }
    if figures.credited_amount != figures.returned_amount {
        let what = format!(
            "returns of {} are known, {} are booked",
            Centimes::new(figures.returned_amount),
            Centimes::new(figures.credited_amount)
        );
        found.push(about(
            batch,
            BreakKind::MissingAtBank,
            "returns",
            figures.returned_amount - figures.credited_amount,
            what,
        ));
    }
    found
}

fn about(batch: &Batch, kind: BreakKind, side: &str, amount: i64, detail: String) -> NewBreak {
    NewBreak {
        kind,
        // The amount is part of the fact: another difference is another break.
        key: format!("batch {} {side} {amount}", batch.id),
        run: Some(batch.run),
        provider: Some(batch.provider_id),
        batch: Some(batch.id),
        order: None,
        message: None,
        entry: None,
        amount: Some(Centimes::new(amount)),
        suspense: Centimes::ZERO,
        source: None,
        detail: format!("{}: {detail}", batch.file_name.as_deref().unwrap_or("batch")),
    }
}

/// Statements whose opening balance is not the closing balance of the one before; those that overlap with it are breaks
/// of another kind, opened when they were read.
async fn statement_gaps(
    tx: &mut sqlx::PgConnection,
    run: RunId,
    provider: i16,
) -> Result<Vec<NewBreak>, StoreError> {
    let mut chain = statements::statements_in_tx(tx, provider).await?;
    chain.retain(|s| s.span.opening.is_some() && s.span.closing.is_some());
    let gap = |pair: &[KnownStatement]| {
        let (before, after) = (&pair[0], &pair[1]);
        let (closed, opens) = (before.span.closing?, after.span.opening?);
        let pages = !before.name.reference.is_empty() && before.name.reference == after.name.reference;
        if closed == opens || pages || before.span.overlaps(&after.span) {
            return None;
        }
        let missing = opens - closed;
        Some(NewBreak {
            kind: BreakKind::StatementGap,
            key: format!(
                "run {run} provider {provider} gap before {} {}",
                after.name.reference,
                missing.get()
            ),
            run: Some(run),
            provider: Some(provider),
            batch: None,
            order: None,
            message: Some(after.message),
            entry: None,
            amount: Some(missing),
            suspense: Centimes::ZERO,
            source: None,
            detail: format!("statement opens with {opens}, the one before closed with {closed}"),
        })
    };
    Ok(chain.windows(2).filter_map(gap).collect())
}

async fn summary(
    tx: &mut sqlx::PgConnection,
    run: &runs::Run,
    left: &[&Batch],
) -> Result<Reconciliation, StoreError> {
    let mut lines: BTreeMap<&str, ProviderLine> = BTreeMap::new();
    for batch in left {
        let line = lines
            .entry(&batch.provider)
            .or_insert_with(|| ProviderLine { provider: batch.provider.clone(), ..ProviderLine::default() });
        line.files += 1;
        line.orders += batch.orders;
        line.sent += batch.amount;
        line.rejected += Centimes::new(batch.figures.rejected_amount);
        line.debited += Centimes::new(batch.figures.debited_amount);
        line.returned += Centimes::new(batch.figures.returned_amount);
        line.credited += Centimes::new(batch.figures.credited_amount);
        line.expired += Centimes::new(batch.figures.expired_amount);
        line.difference += Centimes::new(due(batch) - batch.figures.debited_amount);
    }
    let totals = runs::totals_in_tx(tx, run.id).await?;
    let unproven = unproven(tx, run.id).await?;
    let count =
        |states: &[OrderState]| totals.iter().filter(|t| states.contains(&t.state)).map(|t| t.orders).sum();
    Ok(Reconciliation {
        state: run.state,
        providers: lines.into_values().collect(),
        open_breaks: breaks::open_count_in_tx(tx, run.id).await?,
        under_way: count(&[
            OrderState::Sent,
            OrderState::Accepted,
            OrderState::Available,
            OrderState::Unknown,
            OrderState::Released,
        ]),
        unreleased: count(&[OrderState::Planned]),
        held: count(&[OrderState::Held]),
        unproven,
    })
}

/// Paid out less settled, by provider, where they are not one.
async fn unproven(tx: &mut sqlx::PgConnection, run: RunId) -> Result<Vec<(String, Centimes)>, StoreError> {
    let mut by_provider: BTreeMap<i16, Centimes> = BTreeMap::new();
    for (provider, kind, balance) in ledger::run_balances_in_tx(tx, run).await? {
        let difference = by_provider.entry(provider).or_default();
        match kind {
            AccountKind::PaidOut => *difference += balance,
            AccountKind::Settled => *difference = *difference - balance,
            _ => {}
        }
    }
    by_provider.retain(|_, difference| !difference.is_zero());
    let codes = reference::provider_ids_in_tx(tx, &[]).await?;
    let named = by_provider.into_iter().filter_map(|(provider, difference)| {
        codes.iter().find(|(_, id)| **id == provider).map(|(code, _)| (code.clone(), difference))
    });
    Ok(named.collect())
}

/// Why a run cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// The person or the state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something is left, and nobody carries it forward.
    #[error(
        "run `{run}` has {breaks} open breaks, {under_way} orders under way and {unreleased} not released{}",
        told(unproven)
    )]
    Unexplained {
        /// Which run.
        run: RunId,
        /// Open breaks.
        breaks: i64,
        /// Orders nothing final is known of.
        under_way: i64,
        /// Orders not released.
        unreleased: i64,
        /// Paid out less settled, by provider.
        unproven: Vec<(String, Centimes)>,
    },
}

impl Hint for CloseError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Refused(e) => e.hint(),
            Self::Unexplained { run, .. } => Some(
                format!(
                    "see `sarf breaks list --run {run}`; resolve them, wait for the banks, or carry them forward: --carry \"why\""
                )
                .into(),
            ),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(CloseError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Unexplained { .. } => Self::Unexplained {
        run: RunId::new(7),
        breaks: 1,
        under_way: 0,
        unreleased: 0,
        unproven: Vec::new(),
    },
});

/// What statements paid out beside what orders say, in words.
fn told(unproven: &[(String, Centimes)]) -> String {
    let one = |(provider, difference): &(String, Centimes)| {
        format!("; {provider} paid out {difference:#} more than its settled orders come to")
    };
    unproven.iter().map(one).collect()
}

impl From<StoreError> for CloseError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for CloseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// Closes a run's books. Held orders are carried forward under the name of their hold; anything else that is left
/// needs `carry`, the reason for which a person carries it.
///
/// # Errors
/// See [`CloseError`].
pub async fn close(
    context: &Context,
    id: RunId,
    by: &str,
    carry: Option<&str>,
) -> Result<crate::pipeline::Applied<()>, CloseError> {
    let mut found = reconcile(context, id).await?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let run = locked_run(&mut tx, id).await?;
    if run.state == RunState::Closed {
        return Ok(crate::pipeline::Applied::Already(()));
    }
    let state = next_state(&run, RunEvent::Close)?;
    // One may have been opened again since.
    found.open_breaks = breaks::open_count_in_tx(&mut tx, id).await?;
    if !found.is_explained() && carry.is_none() {
        return Err(CloseError::Unexplained {
            run: id,
            breaks: found.open_breaks,
            under_way: found.under_way,
            unreleased: found.unreleased,
            unproven: found.unproven,
        });
    }
    let now = context.clock.now();
    let mut left = Vec::new();
    for (reason, orders, amount) in holds::by_reason_in_tx(&mut tx, id).await? {
        let subject = format!("held: {reason}");
        left.push(Left { subject, orders, amount, reason: format!("held for {reason}; the claim stays") });
    }
    if let Some(why) = carry {
        for total in runs::totals_in_tx(&mut tx, id).await? {
            use OrderState::{Accepted, Available, Planned, Released, Sent, Unknown};
            if matches!(total.state, Planned | Released | Sent | Accepted | Available | Unknown) {
                left.push(Left {
                    subject: format!("{} at {}", total.state, total.provider),
                    orders: total.orders,
                    amount: total.amount,
                    reason: why.to_owned(),
                });
            }
        }
        for (provider, difference) in &found.unproven {
            let subject = format!("paid out beyond settled at {provider}");
            left.push(Left { subject, orders: 0, amount: *difference, reason: why.to_owned() });
        }
        if found.open_breaks > 0 {
            let orders = breaks::carry_open_in_tx(&mut tx, id).await?;
            let (subject, reason) = ("open breaks".to_owned(), why.to_owned());
            left.push(Left { subject, orders, amount: Centimes::ZERO, reason });
        }
    }
    decisions::closed_in_tx(&mut tx, id, state, &left, (by, now)).await?;
    record(&mut tx, by, "run.close", id, &format!("{} items carried forward", left.len()), now).await?;
    tx.commit().await?;
    Ok(crate::pipeline::Applied::Now(()))
}
