//! What `sarf verify` proves of one run.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::pass::{self, Passed};
use super::{Proof, attempt, children, named, origins, proof, stream_lane};
use crate::domain::batch::BatchState;
use crate::domain::ids::BatchId;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::audit::proofs::{self, Counted, PaidBeyond};
use crate::store::audit::row_blocks::{self, Checked};
use crate::store::audit::row_sums::StepsFound;
use crate::store::batches::{self, Batch, BatchFigures};
use crate::store::books::ledger;
use crate::store::copy::hashes::Leaf;
use crate::store::registry::{households, reference};
use crate::store::runs::{self, Run};
use crate::telemetry::StageGuard;

/// The proofs over a run.
pub(super) async fn verify(
    context: &Context,
    run: &Run,
    steps: &mut StepsFound,
    stage: &StageGuard,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let scope = format!("run {}", run.id);
    let before = proofs.len();
    attempt(&context.store, proofs, &scope, async |found| {
        whole(context, &scope, run, steps, stage, found).await
    })
    .await?;
    // What the pass was to prove is proven by itself where it could not end.
    if proofs[before..].iter().all(|p| p.claim != ORDERS_CLAIM) {
        attempt(&context.store, proofs, &scope, async |found| hashes(context, &scope, run, found).await)
            .await?;
    }
    attempt(&context.store, proofs, &scope, async |found| origins::of_run(context, &scope, run, found).await)
        .await?;
    attempt(&context.store, proofs, &scope, async |found| {
        children::of_run(&context.store, &scope, run, found).await
    })
    .await?;
    attempt(&context.store, proofs, &scope, async |found| {
        stream_lane::of_run(&context.store, &scope, run.id, found).await
    })
    .await
}

const ORDERS_CLAIM: &str = "orders are as they were written";

async fn whole(
    context: &Context,
    scope: &str,
    run: &Run,
    steps: &mut StepsFound,
    stage: &StageGuard,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let mut connection = context.store.begin().await?;
    let batches = batches::of_run_in_tx(&mut connection, run.id).await?;
    let totals = runs::totals_in_tx(&mut connection, run.id).await?;
    let balances = ledger::run_balances_in_tx(&mut connection, run.id).await?;
    let providers = reference::provider_ids_in_tx(&mut connection, &[]).await?;
    connection.rollback().await?;
    let (beyond, passed) =
        tokio::join!(proofs::paid_beyond(&context.store, run.id), pass::over(context, run, &batches, stage));
    let (beyond, mut passed) = (beyond?, passed?);
    steps.of_run(run.id, std::mem::take(&mut passed.steps));
    leaving(scope, run, &batches, &passed.counted, proofs);
    money(scope, run, &passed.counted, &totals, &balances, &providers, proofs);
    paid_out(scope, run, &balances, &beyond, proofs);
    rows(context, scope, run, &passed, proofs).await?;
    written(scope, &passed, proofs);
    derived(scope, &passed, proofs);
    figures(scope, &batches, &passed.figures, proofs);
    sent(scope, &passed, proofs);
    Ok(())
}

/// The hashes alone.
async fn hashes(
    context: &Context,
    scope: &str,
    run: &Run,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    for (leaf, claim) in [
        (Leaf::Orders(run.id), ORDERS_CLAIM),
        (Leaf::Exclusions(run.id), "exclusions are as they were written"),
        (Leaf::Households(run.snapshot), "the list is as it was imported"),
    ] {
        push_checked(scope, claim, &row_blocks::check(&context.store, leaf).await?, true, proofs);
    }
    Ok(())
}

fn push_checked(scope: &str, claim: &str, checked: &Checked, hash_agrees: bool, proofs: &mut Vec<Proof>) {
    let sealed = if checked.sealed || checked.rows == 0 { "" } else { ", from before hashes were kept" };
    let mut figures = format!("{} rows{sealed}, {} differ", checked.rows, checked.wrong);
    if checked.wrong > 0 {
        figures.push_str(&format!(": {}", named(checked.wrong, &checked.named)));
    }
    if !hash_agrees {
        figures.push_str(", the hash over all is another");
    }
    proofs.push(proof(6, scope, claim, figures, checked.wrong == 0 && hash_agrees));
}

/// Guarantee 6: orders, exclusions and the list hash to what was written.
fn written(scope: &str, passed: &Passed, proofs: &mut Vec<Proof>) {
    push_checked(scope, ORDERS_CLAIM, &passed.orders, passed.hash_agrees, proofs);
    push_checked(scope, "exclusions are as they were written", &passed.exclusions, true, proofs);
    if let Some(households) = &passed.households {
        push_checked(scope, "the list is as it was imported", households, true, proofs);
    }
}

/// Guarantee 2: each amount follows from the list's row and the rules.
fn derived(scope: &str, passed: &Passed, proofs: &mut Vec<Proof>) {
    const CLAIM: &str = "the list and the rules give each order: amount, reasons, payee";
    match &passed.derived {
        // Only a month's own run is made from its list alone.
        Err(why) if why.ends_with("alone") => {}
        Err(why) => proofs.push(proof(2, scope, CLAIM, why.clone(), why.ends_with("configured"))),
        Ok(derived) => {
            let mut figures = format!("{} households, {} differ", derived.households, derived.wrong);
            if derived.changed > 0 {
                figures.push_str(&format!(", {} changed by events", derived.changed));
            }
            if derived.wrong > 0 {
                figures.push_str(&format!(": {}", named(derived.wrong, &derived.named)));
            }
            proofs.push(proof(2, scope, CLAIM, figures, derived.wrong == 0));
        }
    }
}

/// Guarantee 2: what batches keep of their orders' steps is what the steps come to.
fn figures(
    scope: &str,
    batches: &[Batch],
    counted: &foldhash::HashMap<BatchId, BatchFigures>,
    proofs: &mut Vec<Proof>,
) {
    let differs = |batch: &&Batch| {
        let (kept, found) = (batch.figures, counted.get(&batch.id).copied().unwrap_or_default());
        let same = |pick: fn(&BatchFigures) -> [i64; 2]| pick(&kept) == pick(&found);
        let always = same(|f| [f.outcomes, f.outcomes_amount])
            && same(|f| [f.returned, f.returned_amount])
            && same(|f| [f.paid, f.paid_amount])
            && same(|f| [f.expired, f.expired_amount]);
        // A file that was rejected as a whole counts all that were silent or accepted as rejected.
        let alone = batch.state == BatchState::Rejected
            || same(|f| [f.accepted, f.accepted_amount]) && same(|f| [f.rejected, f.rejected_amount]);
        !(always && alone)
    };
    let wrong: Vec<String> = batches.iter().filter(differs).map(|b| format!("batch {}", b.id)).collect();
    let mut text = format!("{} batches, {} differ", batches.len(), wrong.len());
    if !wrong.is_empty() {
        text.push_str(&format!(": {}", named(wrong.len() as i64, &wrong)));
    }
    proofs.push(proof(
        2,
        scope,
        "figures of batches are what their orders' steps come to",
        text,
        wrong.is_empty(),
    ));
}

/// Guarantee 4: each file that left is what the rows give, and lies in the outbox as it left.
fn sent(scope: &str, passed: &Passed, proofs: &mut Vec<Proof>) {
    let files = &passed.files;
    let mut figures =
        format!("{} files, {} lie in the outbox, {} differ", files.files, files.lie, files.wrong);
    if files.wrong > 0 {
        figures.push_str(&format!(": {}", named(files.wrong as i64, &files.named)));
    }
    proofs.push(proof(
        4,
        scope,
        "files written again from the rows are what was recorded and what lies in the outbox",
        figures,
        files.wrong == 0,
    ));
}

/// Guarantee 1: nothing leaves before approval and funding, nothing twice, and each file holds what its batch says.
fn leaving(scope: &str, run: &Run, batches: &[Batch], counted: &[Counted], proofs: &mut Vec<Proof>) {
    let left: Vec<&Batch> = batches
        .iter()
        .filter(|b| !matches!(b.state, BatchState::Planned | BatchState::Released | BatchState::Empty))
        .collect();
    let people: HashSet<&str> = [
        Some(run.created_by.as_str()),
        run.first_approver.as_deref(),
        run.approved_by.as_deref(),
        run.funded_by.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let figures = format!("{} files, {} people", left.len(), people.len());
    proofs.push(proof(
        1,
        scope,
        "no order leaves before its run is approved and funded by three people",
        figures,
        left.is_empty() || people.len() == 3 + usize::from(run.first_approver.is_some()),
    ));
    let mut sums: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for group in counted.iter().filter(|c| c.state != OrderState::Held) {
        if let Some(batch) = group.batch {
            let sum = sums.entry(batch.get()).or_default();
            sum.0 += group.orders;
            sum.1 += group.amount;
        }
    }
    let wrong = left
        .iter()
        .filter(|b| sums.get(&b.id.get()).copied().unwrap_or((0, 0)) != (b.orders, b.amount.get()))
        .count();
    let orders: i64 = left.iter().map(|b| b.orders).sum();
    proofs.push(proof(
        1,
        scope,
        "each order that left is in exactly one file",
        format!("{orders} orders in {} files, {wrong} files differ", left.len()),
        wrong == 0,
    ));
    let mut ranges: Vec<(i16, i64, i64)> =
        batches.iter().filter(|b| !b.listed).map(|b| (b.provider_id, b.first.get(), b.last.get())).collect();
    ranges.sort_unstable();
    let overlaps = ranges.windows(2).filter(|w| w[0].0 == w[1].0 && w[1].1 <= w[0].2).count();
    proofs.push(proof(
        1,
        scope,
        "no two batches share an order",
        format!("{} ranges, {overlaps} overlaps", ranges.len()),
        overlaps == 0,
    ));
}

/// Guarantee 2: entitled = offset + ordered; ordered = the sum of all states; each equals its control account.
fn money(
    scope: &str,
    run: &Run,
    counted: &[Counted],
    totals: &[runs::RunTotal],
    balances: &[(i16, AccountKind, Centimes)],
    providers: &HashMap<String, i16>,
    proofs: &mut Vec<Proof>,
) {
    let sum = |pick: fn(&Counted) -> i64| counted.iter().map(pick).sum::<i64>();
    let (entitled, offset, ordered) = (sum(|c| c.entitled), sum(|c| c.offset), sum(|c| c.amount));
    let figures =
        format!("{} = {} + {}", Centimes::new(entitled), Centimes::new(offset), Centimes::new(ordered));
    proofs.push(proof(
        2,
        scope,
        "entitled = offset + ordered",
        figures,
        entitled == offset + ordered && ordered == run.ordered.get() && entitled == run.entitled.get(),
    ));
    let mut states: BTreeMap<(i16, OrderState), (i64, i64)> = BTreeMap::new();
    let mut accounts: BTreeMap<(i16, AccountKind), i64> = BTreeMap::new();
    for group in counted {
        let state = states.entry((group.provider, group.state)).or_default();
        state.0 += group.orders;
        state.1 += group.amount;
        *accounts.entry((group.provider, AccountKind::of_state(group.state))).or_default() += group.amount;
    }
    let kept: BTreeMap<(i16, OrderState), (i64, i64)> =
        totals.iter().map(|t| ((providers[&t.provider], t.state), (t.orders, t.amount.get()))).collect();
    let by_state: BTreeMap<OrderState, i64> =
        states.iter().fold(BTreeMap::new(), |mut all, ((_, state), (_, amount))| {
            *all.entry(*state).or_default() += amount;
            all
        });
    let shown: Vec<String> =
        by_state.iter().map(|(state, amount)| format!("{state} {}", Centimes::new(*amount))).collect();
    proofs.push(proof(
        2,
        scope,
        "ordered = sum of all states, as kept totals say",
        format!("{} = {}", Centimes::new(ordered), shown.join(" + ")),
        states == kept,
    ));
    let is_state = |kind: AccountKind| OrderState::ALL.iter().any(|s| AccountKind::of_state(*s) == kind);
    let booked: BTreeMap<(i16, AccountKind), i64> = balances
        .iter()
        .filter(|(_, kind, b)| is_state(*kind) && !b.is_zero())
        .map(|(p, k, b)| ((*p, *k), b.get()))
        .collect();
    let differing =
        accounts.iter().filter(|(key, amount)| booked.get(key).copied().unwrap_or(0) != **amount).count()
            + booked.keys().filter(|key| !accounts.contains_key(key)).count();
    proofs.push(proof(
        2,
        scope,
        "each state equals its control account",
        format!("{} accounts, {differing} differ", booked.len()),
        differing == 0,
    ));
}

/// Guarantee 2: what the banks paid out is what settled, in books that are reconciled; in closed ones, but for what was carried
/// forward by name, and what came back since and is not on a statement yet.
fn paid_out(
    scope: &str,
    run: &Run,
    balances: &[(i16, AccountKind, Centimes)],
    beyond: &[PaidBeyond],
    proofs: &mut Vec<Proof>,
) {
    if !matches!(run.state, RunState::Reconciled | RunState::Closed) {
        return;
    }
    let closed = run.state == RunState::Closed;
    let mut providers: BTreeMap<i16, i64> = BTreeMap::new();
    let (mut paid, mut settled) = (0, 0);
    for (provider, kind, balance) in balances {
        let (sum, sign) = match kind {
            AccountKind::PaidOut => (&mut paid, 1),
            AccountKind::Settled => (&mut settled, -1),
            _ => continue,
        };
        *sum += balance.get();
        *providers.entry(*provider).or_default() += sign * balance.get();
    }
    let allowed = |provider: i16| match beyond.iter().find(|b| b.provider == provider) {
        Some(b) if closed => {
            b.carried.min(0).saturating_sub(b.back_first)..=b.carried.max(0).saturating_add(b.came_back)
        }
        _ => 0..=0,
    };
    let wrong = providers.iter().filter(|(provider, by)| !allowed(**provider).contains(by)).count();
    let mut figures = format!("{} = {}", Centimes::new(paid), Centimes::new(settled));
    let sum = |pick: fn(&PaidBeyond) -> i64| beyond.iter().map(pick).sum::<i64>();
    for (amount, what) in [
        (sum(|b| b.carried), "carried forward"),
        (sum(|b| b.came_back), "came back and is on no statement yet"),
        (sum(|b| b.back_first), "came back before it was paid out"),
    ] {
        if closed && amount != 0 {
            figures.push_str(&format!(", {} {what}", Centimes::new(amount)));
        }
    }
    if wrong > 0 {
        figures.push_str(&format!(", {wrong} providers differ"));
    }
    proofs.push(proof(2, scope, "paid out by the banks = settled orders", figures, wrong == 0));
}

/// Guarantee 3: every household of the snapshot is an order, an exclusion or a rejection; every entry is accounted for.
async fn rows(
    context: &Context,
    scope: &str,
    run: &Run,
    passed: &Passed,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    // Only a regular run is made from all households of its snapshot.
    if run.kind != RunKind::Regular {
        return Ok(());
    }
    let store = &context.store;
    let households = match &passed.households {
        Some(read) => read.rows,
        None => {
            proofs::number(store, format!("select count(*) from {}", households::leaf(run.snapshot))).await?
        }
    };
    let exclusions = passed.exclusions.rows;
    let snapshot = run.snapshot;
    let rejected = proofs::number(
        store,
        format!(
            "select count(*) from snapshot_rejection where snapshot_id = {snapshot} and part = 'households'"
        ),
    )
    .await?;
    let read =
        proofs::number(store, format!("select household_rows from snapshot where id = {snapshot}")).await?;
    let orders: i64 = passed.counted.iter().map(|c| c.orders).sum();
    let holds = orders + exclusions == households && households + rejected == read && orders == run.orders;
    let figures = format!("{read} rows = {orders} orders + {exclusions} exclusions + {rejected} rejections");
    const CLAIM: &str = "every household row is an order, an exclusion or a rejection";
    proofs.push(proof(3, scope, CLAIM, figures, holds));
    Ok(())
}
