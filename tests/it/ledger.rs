//! The books cannot be changed by hand, and what is changed all the same is found and named.

use sarf::domain::run::RunState;
use sarf::sandbox::banks::{Faults, StatusStyle};

use crate::harness::{Bed, sent_files};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_changes_by_hand() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(300, 1, RunState::Settling).await;
    let account = bed.number("select id from ledger_account where balance <> 0 order by id limit 1").await;
    for (sql, refusal) in [
        ("update ledger_transfer set amount = amount + 1".to_owned(), "table ledger_transfer is append-only"),
        ("delete from ledger_transfer".to_owned(), "table ledger_transfer is append-only"),
        ("truncate ledger_transfer".to_owned(), "table ledger_transfer is append-only"),
        ("update audit set detail = ''".to_owned(), "table audit is append-only"),
        ("delete from audit where sequence = 1".to_owned(), "table audit is append-only"),
        ("truncate audit".to_owned(), "table audit is append-only"),
        (
            format!("update ledger_account set balance = balance + 1 where id = {account}"),
            "balances follow transfers",
        ),
        (format!("delete from ledger_account where id = {account}"), "balances follow transfers"),
        (
            "insert into ledger_account (programme_id, kind, balance) values (0, 'bank', 5)".to_owned(),
            "an account opens with nothing",
        ),
        (
            format!(
                "insert into ledger_transfer (debit_account, credit_account, amount, why, posted_at) values ({account}, {account}, 1, 'x', now())"
            ),
            "ledger_transfer_check",
        ),
        (
            format!(
                "insert into ledger_transfer (debit_account, credit_account, amount, why, posted_at) values ({account}, {account} + 1, -1, 'x', now())"
            ),
            "ledger_transfer_amount_check",
        ),
    ] {
        let error = bed.execute(&sql).await.expect_err(&sql).to_string();
        assert!(error.contains(refusal), "{sql}: {error}");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

/// Forgeries by someone who owns the tables: verify names each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_is_found() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 1, RunState::Settling).await;
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    bed.reconcile(run).await;
    bed.verify_all_holds().await;
    let unguarded = |table: &str, sql: &str| {
        format!("alter table {table} disable trigger user; {sql}; alter table {table} enable trigger user")
    };
    let order = bed.number("select min(order_id) from payment_order").await;
    let forgeries = [
        (
            unguarded("audit", "update audit set detail = detail || '.' where sequence = 2"),
            "audit record 2 was altered",
        ),
        (unguarded("audit", "delete from audit where sequence = 3"), "audit record 3 is missing"),
        (
            unguarded(
                "ledger_account",
                "update ledger_account set balance = balance + 1 where id = (select min(id) from ledger_account)",
            ),
            "the ledger sums to zero",
        ),
        (
            unguarded(
                "ledger_transfer",
                "update ledger_transfer set amount = amount + 1 where id = (select min(id) from ledger_transfer)",
            ),
            "each balance is the sum of its postings",
        ),
        (
            format!("delete from payment_order where order_id = {order}"),
            "every household row is an order, an exclusion or a rejection",
        ),
        (
            "update run_total set orders = orders + 1 where orders > 0".to_owned(),
            "ordered = sum of all states, as kept totals say",
        ),
        (
            "update message set entries = entries + 1".to_owned(),
            "every feedback entry is matched or in a queue of breaks",
        ),
        (
            "update batch set orders = orders - 1 where state <> 'empty'".to_owned(),
            "each order that left is in exactly one file",
        ),
        ("update run set approved_by = null".to_owned(), "approved and funded by three people"),
    ];
    let mut copies = bed.fork(forgeries.len() + 1).await;
    let bed = copies.pop().expect("a copy");
    for ((sql, claim), bed) in forgeries.iter().zip(copies) {
        bed.execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let failing = bed.failing().await;
        assert!(failing.iter().any(|f| f.contains(claim)), "{sql}: {failing:#?}");
        bed.end().await;
    }
    let file = &sent_files(&bed.outbox())[0].path;
    let text = std::fs::read_to_string(file).expect("a file");
    std::fs::write(file, text.replacen("<Nm>", "<Nm>X", 1)).expect("it is altered");
    let failing = bed.failing().await;
    assert!(
        failing.len() == 1 && failing[0].contains("what lies in the outbox is not what left"),
        "{failing:?}"
    );
    bed.end().await;
}
