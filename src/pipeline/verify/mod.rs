//! Proves the guarantees from the rows, with figures. Nothing here trusts what is kept: totals, balances and file hashes
//! are worked out again and compared.

mod breaks;
mod children;
mod correction;
mod recovery;
mod reissue;
mod repaid;
mod stream;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Context, hex};
use crate::domain::batch::BatchState;
use crate::domain::ids::RunId;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::run::{RunKind, RunState};
use crate::store::batches::{self, Batch};
use crate::store::proofs::{self, Counted};
use crate::store::runs::{self, Run};
use crate::store::{StoreError, audit, households, ledger, orders, reference};
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
///
/// # Errors
/// When the database is gone.
pub async fn verify(context: &Context, only: Option<RunId>) -> Result<Vec<Proof>, StoreError> {
    let all: Vec<Run> = runs::list(&context.store).await?;
    let chosen: Vec<&Run> =
        all.iter().filter(|r| only.is_none_or(|id| id == r.id) && r.state != RunState::Draft).collect();
    let stage =
        context.telemetry.stage("verify", "orders", Some(chosen.iter().map(|r| r.orders as u64).sum()));
    let mut proofs = Vec::new();
    for run in chosen {
        verify_run(context, run, &stage, &mut proofs).await?;
    }
    rivals(context, only, &mut proofs).await?;
    books(context, &mut proofs).await?;
    breaks::of_all(&context.store, &mut proofs).await?;
    stream::of_all(&context.store, &mut proofs).await?;
    reissue::of_all(&context.store, &mut proofs).await?;
    children::of_all(&context.store, &mut proofs).await?;
    correction::of_all(&context.store, &mut proofs).await?;
    recovery::of_all(&context.store, &mut proofs).await?;
    repaid::of_all(&context.store, &mut proofs).await?;
    let (records, fault) = audit::verify(&context.store).await?;
    let figures = fault
        .as_ref()
        .map_or_else(|| format!("{records} records"), |f| format!("{records} records, then: {f}"));
    proofs.push(proof(5, "all", "the audit chain is whole", figures, fault.is_none()));
    Ok(proofs)
}

fn proof(guarantee: u8, scope: &str, claim: &str, figures: String, holds: bool) -> Proof {
    Proof { guarantee, scope: scope.into(), claim: claim.into(), figures, holds }
}

async fn verify_run(
    context: &Context,
    run: &Run,
    stage: &StageGuard,
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let scope = format!("run {}", run.id);
    let mut connection = context.store.begin().await?;
    let batches = batches::of_run_in_tx(&mut connection, run.id).await?;
    let totals = runs::totals_in_tx(&mut connection, run.id).await?;
    let balances = ledger::run_balances_in_tx(&mut connection, run.id).await?;
    let providers = reference::provider_ids_in_tx(&mut connection, &[]).await?;
    connection.rollback().await?;
    let delivered = delivered_files(context, &batches);
    let hashing = tokio::task::spawn_blocking(move || (delivered.len(), hash_all(&delivered)));
    let counted = proofs::recount(&context.store, run.id, run.state, |rows| stage.add(rows)).await?;
    leaving(&scope, run, &batches, &counted, proofs);
    money(&scope, run, &counted, &totals, &balances, &providers, proofs);
    rows(context, &scope, run, &counted, proofs).await?;
    stream::of_run(&context.store, &scope, run.id, proofs).await?;
    children::of_run(&context.store, &scope, run, proofs).await?;
    let (files, hashed) = hashing.await.expect("hashing does not panic");
    proofs.push(files_proof(&scope, files, hashed));
    Ok(())
}

/// Guarantee 1: nothing leaves before approval and funding, nothing twice, and each file holds what its batch says.
fn leaving(scope: &str, run: &Run, batches: &[Batch], counted: &[Counted], proofs: &mut Vec<Proof>) {
    let left: Vec<&Batch> = batches
        .iter()
        .filter(|b| !matches!(b.state, BatchState::Planned | BatchState::Released | BatchState::Empty))
        .collect();
    let people: HashSet<&str> =
        [Some(run.created_by.as_str()), run.approved_by.as_deref(), run.funded_by.as_deref()]
            .into_iter()
            .flatten()
            .collect();
    let figures = format!("{} files, {} people", left.len(), people.len());
    proofs.push(proof(
        1,
        scope,
        "no order leaves before its run is approved and funded by three people",
        figures,
        left.is_empty() || people.len() == 3,
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
    providers: &std::collections::HashMap<String, i16>,
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
    if matches!(run.state, RunState::Reconciled) {
        let of = |wanted: AccountKind| {
            balances.iter().filter(|(_, k, _)| *k == wanted).map(|(_, _, b)| b.get()).sum::<i64>()
        };
        let (paid, settled) = (of(AccountKind::PaidOut), of(AccountKind::Settled));
        proofs.push(proof(
            2,
            scope,
            "paid out by the banks = settled orders",
            format!("{} = {}", Centimes::new(paid), Centimes::new(settled)),
            paid == settled,
        ));
    }
}

/// Guarantee 3: every household of the snapshot is an order, an exclusion or a rejection; every entry is accounted for.
async fn rows(
    context: &Context,
    scope: &str,
    run: &Run,
    counted: &[Counted],
    proofs: &mut Vec<Proof>,
) -> Result<(), StoreError> {
    let store = &context.store;
    let households =
        proofs::number(store, format!("select count(*) from {}", households::leaf(run.snapshot))).await?;
    let exclusions =
        proofs::number(store, format!("select count(*) from {}", orders::exclusion_leaf(run.id))).await?;
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
    let orders: i64 = counted.iter().map(|c| c.orders).sum();
    let holds = orders + exclusions == households && households + rejected == read && orders == run.orders;
    let figures = format!("{read} rows = {orders} orders + {exclusions} exclusions + {rejected} rejections");
    // Only a regular run is made from all households of its snapshot.
    if run.kind == RunKind::Regular {
        proofs.push(proof(
            3,
            scope,
            "every household row is an order, an exclusion or a rejection",
            figures,
            holds,
        ));
    }
    Ok(())
}

/// Paths of the files that left, and the hashes recorded of them.
fn delivered_files(context: &Context, batches: &[Batch]) -> Vec<(PathBuf, String)> {
    let outbox = context.home.join("outbox");
    let of_batch = |b: &Batch| {
        Some((outbox.join(&b.provider).join(b.file_name.as_ref()?), hex(b.file_sha256.as_ref()?)))
    };
    batches.iter().filter_map(of_batch).collect()
}

/// Guarantee 4: each file that left lies in the outbox with the bytes that were recorded.
fn files_proof(scope: &str, files: usize, (same, gone, differ): (usize, usize, usize)) -> Proof {
    let figures = format!("{files} files: {same} the same, {gone} picked up, {differ} differ");
    proof(4, scope, "files in the outbox are the bytes that were recorded", figures, differ == 0)
}

/// Same, gone (the provider picked it up), different.
fn hash_all(expected: &[(PathBuf, String)]) -> (usize, usize, usize) {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let share = expected.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let tasks: Vec<_> =
            expected.chunks(share).map(|chunk| scope.spawn(move || hash_share(chunk))).collect();
        tasks
            .into_iter()
            .map(|t| t.join().expect("hashing does not panic"))
            .fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    })
}

fn hash_share(expected: &[(PathBuf, String)]) -> (usize, usize, usize) {
    let (mut same, mut gone, mut differ) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 18];
    for (path, recorded) in expected {
        let Ok(mut file) = File::open(path) else {
            gone += 1;
            continue;
        };
        let mut hash = Sha256::new();
        while let Ok(read @ 1..) = file.read(&mut buffer) {
            hash.update(&buffer[..read]);
        }
        if hex(&hash.finalize()) == *recorded { same += 1 } else { differ += 1 }
    }
    (same, gone, differ)
}

/// Guarantee 1 across runs: within a run a unique index proves it; between runs of one period the rows are compared.
async fn rivals(context: &Context, only: Option<RunId>, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let mut twice = 0;
    let pairs = proofs::rival_runs(&context.store).await?;
    let pairs: Vec<_> =
        pairs.into_iter().filter(|(a, b)| only.is_none_or(|id| [*a, *b].contains(&id.get()))).collect();
    for (a, b) in &pairs {
        let (a, b) = (orders::leaf(RunId::new(*a)), orders::leaf(RunId::new(*b)));
        twice += proofs::number(
            &context.store,
            format!(
                "select count(*) from {a} a join {b} b using (household_id, period, purpose_id, attempt)"
            ),
        )
        .await?;
    }
    let indexes = "select count(*) from run r where r.state <> 'draft' and not exists (select from pg_class c join pg_index i on i.indexrelid = c.oid
                     where c.relname = 'payment_order_' || r.id || '_claim' and i.indisunique and i.indisvalid)";
    let unproven = proofs::number(&context.store, indexes.to_owned()).await?;
    let figures = format!(
        "{} pairs of runs compared, {twice} claims twice, {unproven} runs without their unique index",
        pairs.len()
    );
    proofs.push(proof(
        1,
        "all",
        "exactly one live order for each claim",
        figures,
        twice == 0 && unproven == 0,
    ));
    Ok(())
}

/// Guarantees 2 and 3 for the books as a whole.
async fn books(context: &Context, proofs: &mut Vec<Proof>) -> Result<(), StoreError> {
    let store = &context.store;
    let sum = proofs::number(store, "select sum(balance)::bigint from ledger_account".into()).await?;
    let transfers = proofs::number(store, "select count(*) from ledger_transfer".into()).await?;
    proofs.push(proof(
        2,
        "all",
        "the ledger sums to zero",
        format!("{transfers} transfers, sum {}", Centimes::new(sum)),
        sum == 0,
    ));
    let drifted = "select count(*) from ledger_account a
                    where balance <> coalesce((select sum(p.amount) from ledger_posting p where p.account_id = a.id), 0)";
    let drifted = proofs::number(store, drifted.into()).await?;
    proofs.push(proof(
        2,
        "all",
        "each balance is the sum of its postings",
        format!("{drifted} accounts differ"),
        drifted == 0,
    ));
    let bank = "select count(*) from (select provider_id, sum(credits - debits) as moved from statement group by 1) s
                 full join (select provider_id, balance from ledger_account where kind = 'bank') a using (provider_id)
                 where coalesce(s.moved, 0) <> coalesce(a.balance, 0)";
    let bank = proofs::number(store, bank.into()).await?;
    proofs.push(proof(
        2,
        "all",
        "each bank account moved as its statements say",
        format!("{bank} accounts differ"),
        bank == 0,
    ));
    let lost = "select count(*) from message where entries <> applied + already + noted + breaks";
    let lost = proofs::number(store, lost.into()).await?;
    let entries = proofs::number(store, "select sum(entries)::bigint from message".into()).await?;
    let broken =
        proofs::number(store, "select count(*) from break where resolved_at is null and not carried".into())
            .await?;
    let figures = format!("{entries} entries, {broken} open breaks, {lost} messages do not add up");
    proofs.push(proof(
        3,
        "all",
        "every feedback entry is matched or in a queue of breaks",
        figures,
        lost == 0,
    ));
    Ok(())
}
