//! The same answers in any order, some of them twice, end in the same state.

use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::domain::ids::RunId;
use sarf::domain::run::RunState;
use sarf::sandbox::Share;
use sarf::sandbox::banks::{Faults, StatusStyle};

use crate::harness::Bed;

/// What must not hang on the order of messages. Advices that a statement has overtaken need not be kept, so of an
/// order's steps the furthest counts; `outcomes` and `accepted` of a batch only count who was spoken of singly.
async fn final_state(bed: &Bed, run: RunId) -> Vec<String> {
    let mut lines = bed.order_states(run).await;
    for sql in [
        "select 'run ' || state from run order by id",
        "select 'total ' || p.code || ' ' || t.state || ' ' || t.orders || ' ' || t.amount from run_total t
           join provider p on p.id = t.provider_id where t.orders > 0 order by 1",
        "select 'batch ' || file_name || ' ' || state || ' rejected ' || rejected || ' ' || rejected_amount || ' returned ' || returned
           || ' ' || returned_amount || ' debited ' || debited_amount || ' credited ' || credited_amount from batch order by 1",
        "select concat_ws(' ', 'account', programme_id, budget_year, run_id, provider_id, kind, balance) from ledger_account
          where balance <> 0 order by 1",
        "select concat_ws(' ', 'outcome', o.order_id, o.step, (select max(reason) from outcome r where r.order_id = o.order_id and r.step >= 4))
           from (select order_id, max(step) as step from outcome group by 1) o where o.step >= 4 order by 1",
        "select concat_ws(' ', 'statement', provider_id, reference, opening, closing, credits, debits) from statement order by 1",
    ] {
        lines.extend(bed.rows(sql).await);
    }
    lines
}

/// A seeded permutation (Fisher and Yates), with every fourth file once more somewhere.
fn shuffled(files: &[PathBuf], seed: u64) -> Vec<PathBuf> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut files: Vec<PathBuf> = files.iter().cloned().chain(files.iter().step_by(4).cloned()).collect();
    for at in (1..files.len()).rev() {
        let other = (random.next_u64() % (at as u64 + 1)) as usize;
        files.swap(at, other);
    }
    files
}

async fn check(statuses: StatusStyle, seed: u64) {
    let small_files = |config: &mut sarf::config::Config| config.settings.dispatch.orders_per_file = 60;
    let Some(bed) = Bed::with(small_files).await else { return };
    let run = bed.run_to(700, seed, RunState::Settling).await;
    let copies = Faults { duplicated: Share::per_million(200_000), ..Faults::default() };
    let answers = bed.answer(copies, statuses);
    assert!(
        answers.rejected > 5 && answers.returned > 5,
        "{} rejected, {} returned",
        answers.rejected,
        answers.returned
    );
    let mut expected: Option<Vec<String>> = None;
    let orders = [
        answers.files.clone(),
        answers.files.iter().rev().cloned().collect(),
        shuffled(&answers.files, seed),
        shuffled(&answers.files, seed + 1),
    ];
    let side_by_side = orders.len();
    for (number, bed) in bed.fork(orders.len() + 1).await.into_iter().enumerate() {
        if number == side_by_side {
            bed.feedback_taken(shuffled(&answers.files, seed + 2)).await;
        } else {
            for file in &orders[number] {
                bed.feedback_taken(vec![file.clone()]).await;
            }
        }
        let found = bed.reconcile(run).await;
        assert_eq!(
            (found.state, found.open_breaks, found.under_way),
            (RunState::Reconciled, 0, 0),
            "order {number}: {:?}",
            bed.open_breaks().await
        );
        let state = final_state(&bed, run).await;
        match &expected {
            None => expected = Some(state),
            Some(expected) => {
                let differing: Vec<_> = expected.iter().zip(&state).filter(|(a, b)| a != b).take(5).collect();
                assert!(*expected == state, "order {number} ends elsewhere: {differing:#?}");
            }
        }
        bed.verify_all_holds().await;
        bed.end().await;
    }
    let expected = expected.expect("at least one order");
    for state in ["settled", "rejected", "returned"] {
        assert!(expected.iter().any(|line| line.ends_with(&format!(" {state}"))), "no order is {state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups() {
    check(StatusStyle::Group, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_transactions() {
    check(StatusStyle::Transactions, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed() {
    check(StatusStyle::Mixed, 13).await;
}
