//! Whoever owns the database changes rows by hand, one or several that agree with each other, with triggers on or off: each change
//! is found and named, or refused by the next step, and nothing that stands in a row ends the pass.

use sarf::domain::ids::{Code, OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::run::RunState;
use sarf::pipeline::access::tokens::{self, Scope, Wish};
use sarf::pipeline::dispatch::files;
use sarf::pipeline::orders::holds;
use sarf::pipeline::reports::verify;
use sarf::pipeline::runs::standing_approvals::{self, Proposal};
use sarf::pipeline::runs::{approve, fund};
use sarf::sandbox::banks::{Faults, StatusStyle};
use sarf::store::audit::journal;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;
use time::macros::date;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry};

/// Statements of somebody whom no trigger sees.
pub async fn unseen(bed: &Bed, sql: &str) -> Result<(), sqlx::Error> {
    let mut tx = bed.context.store.pool().begin().await?;
    for sql in ["set local session_replication_role = replica", sql] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// A run and what surrounds it, with something in most tables.
async fn paid_month() -> Option<(Bed, RunId)> {
    let bed = Bed::new().await?;
    let run = bed.create(bed.import(&bed.generate(300, 3)).await).await;
    let order = OrderId::new(bed.number("select min(order_id) from payment_order").await);
    holds::set(&bed.context, order, true, PREPARER, "to be looked at").await.expect("held");
    holds::set(&bed.context, order, false, PREPARER, "looked at").await.expect("let go");
    bed.take_to(run, RunState::Settling).await;
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    bed.reconcile(run).await;
    let proposal = Proposal {
        programme: Code::parse("dss").expect("a code"),
        purpose: Code::parse("urgent").expect("a code"),
        order_max: Centimes::from_mad(500),
        day_max: Centimes::from_mad(5_000),
        valid_from: date!(2026 - 11 - 01),
        valid_to: date!(2026 - 12 - 31),
    };
    let id =
        standing_approvals::propose(&bed.context, &proposal, PREPARER).await.expect("proposed").into_inner();
    standing_approvals::approve(&bed.context, id, APPROVER).await.expect("approved");
    standing_approvals::fund(&bed.context, id, ACCOUNTANT).await.expect("funded");
    let wish = Wish {
        name: "points".into(),
        scopes: vec![Scope::Uploads],
        institution: Some("cashplus".into()),
        days: 9,
    };
    drop(tokens::issue(&bed.context, &wish, APPROVER).await.expect("a token"));
    bed.verify_all_holds().await;
    Some((bed, run))
}

/// Another value for a column, whatever stands there.
fn other_value(kind: &str, column: &str) -> Option<String> {
    let c = format!("\"{column}\"");
    Some(match kind {
        "bigint" | "integer" | "smallint" | "numeric" => format!("coalesce({c}, 0) + 1"),
        "text" => format!("coalesce({c}, '') || 'x'"),
        "boolean" => format!("not coalesce({c}, false)"),
        "timestamp with time zone" => format!("coalesce({c}, now()) + interval '1 day'"),
        "date" => format!("coalesce({c}, current_date) + 1"),
        "bytea" => format!("coalesce({c}, '') || '\\x01'::bytea"),
        "jsonb" => "'{\"x\": 1}'::jsonb".to_owned(),
        "ARRAY" => format!("coalesce({c}, '{{}}') || '{{x}}'"),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_of_every_row_is_covered() {
    let Some((bed, _)) = paid_month().await else { return };
    let store = &bed.context.store;
    let (mut tried, mut rows) = (0, 0);
    for table in journal::relations(store).await.expect("tables") {
        if bed.number(&format!("select count(*) from {table}")).await == 0 {
            continue;
        }
        rows += 1;
        // The owner's hand is free: checks of the table are no obstacle.
        for drop in bed
            .rows(&format!(
                "select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname) from pg_constraint
                  where contype in ('c', 'f') and conrelid = '{table}'::regclass"
            ))
            .await
        {
            bed.execute(&drop).await.unwrap_or_else(|e| panic!("{drop}: {e}"));
        }
        bed.execute(&format!("create table kept as select * from {table}")).await.expect("kept");
        for column in bed
            .rows(&format!(
                "select column_name || '|' || data_type from information_schema.columns
                  where table_name = '{table}' and table_schema = current_schema() and is_generated = 'NEVER'
                    and (table_name::text, column_name::text) <> ('ledger_account', 'balance')"
            ))
            .await
        {
            let (column, kind) = column.split_once('|').expect("two words");
            let Some(value) = other_value(kind, column) else { panic!("{table}.{column} is {kind}") };
            let change = format!(
                "update {table} set \"{column}\" = {value} where ctid = (select max(ctid) from {table})"
            );
            if unseen(&bed, &change).await.is_err() {
                continue; // A unique index refuses it.
            }
            tried += 1;
            let found = journal::differing(store, &table).await.expect("compared");
            assert!(found.wrong > 0 && found.named[0].starts_with(&table), "{change}: {found:?}");
            let columns = bed
                .rows(&format!(
                    "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
                      where table_name = '{table}' and table_schema = current_schema() and is_generated = 'NEVER'"
                ))
                .await
                .remove(0);
            let back = format!(
                "delete from {table}; insert into {table} ({columns}) overriding system value select {columns} from kept"
            );
            unseen(&bed, &back).await.unwrap_or_else(|e| panic!("{back}: {e}"));
            assert_eq!(
                journal::differing(store, &table).await.expect("compared").wrong,
                0,
                "{table} is back"
            );
        }
        bed.execute("drop table kept").await.expect("dropped");
    }
    assert!(rows > 20 && tried > 150, "{rows} tables and {tried} columns were tried");
    bed.end().await;
}

/// What somebody does, what must be named of it, and whether triggers are switched off.
struct Hand {
    sql: String,
    named: String,
    unseen: bool,
}

/// Changes that are tried together on one copy, each in rows of its own, with what must be named.
fn hands(run: RunId, order: i64) -> Vec<Vec<Hand>> {
    let one = |sql: &str, named: &str| Hand { sql: sql.to_owned(), named: named.to_owned(), unseen: true };
    let seen = |sql: &str, named: &str| Hand { sql: sql.to_owned(), named: named.to_owned(), unseen: false };
    let leaf = format!("payment_order_{run}");
    let households = "household_1";
    vec![
        vec![
            one(
                &format!(
                    "update {leaf} a set payee = b.payee from {leaf} b where a.order_id in ({order}, {order} + 1) and b.order_id = {order} * 2 + 1 - a.order_id"
                ),
                &format!("order {order}"),
            ),
            one("update operator set role = 'accountant' where name = 'brahim'", "operator brahim was altered"),
            one(
                "update break set resolved_at = now(), resolved_by = 'chafik', resolution = 'seen' where id = (select min(id) from break)",
                "was altered",
            ),
        ],
        vec![
            one(
                &format!(
                    "update {leaf} set entitled = entitled + 100, amount = amount + 100 where order_id = {order} + 4;
                     update {leaf} set entitled = entitled - 100, amount = amount - 100 where order_id = {order} + 5"
                ),
                &format!("order {} was written again", order + 4),
            ),
            one("update standing_approval set order_max = order_max * 10", "standing_approval 1 was altered"),
            one("alter table rule_set drop constraint rule_set_check; update rule_set set body = body || ' '", "rule_set"),
        ],
        vec![
            one(
                &format!("update {households} set payee = (select payee from {households} order by household_key offset 9 limit 1) where household_key = (select min(household_key) from {households})"),
                "household row",
            ),
            one("delete from batch_event where ctid = (select min(ctid) from batch_event)", "batch_event"),
            one("update snapshot set period = period + 1", "snapshot 1 was altered"),
        ],
        vec![
            one(&format!("delete from exclusion where household_row = (select min(household_row) from exclusion where run_id = {run})"), "exclusion"),
            one("update order_hold set released_why = 'somebody else looked' where reason = 'manual'", "order_hold"),
            one(
                "update order_hold set released_by = 'amina', released_at = now(), released_why = 'fine' where ctid = (select min(ctid) from order_hold where released_at is null)",
                "order_hold",
            ),
        ],
        vec![
            one("delete from order_hold where reason = 'manual'", "was taken away"),
            one(
                "update outcome set step = 6, reason = null where (order_id, step) = (select order_id, step from outcome where step = 9 order by 1 limit 1)",
                "message",
            ),
            one("update run_check set breached = not breached where (run_id, code, scope) = (select run_id, code, scope from run_check limit 1)", "run_check"),
        ],
        vec![
            one("delete from outcome where (order_id, step) = (select order_id, step from outcome order by 1 desc, 2 desc limit 1)", "steps, there were"),
        ],
        vec![
            seen("update operator set active = false where name = 'amina'", "operator amina was changed by hand"),
            seen("insert into operator (name, role, added_at) values ('eve', 'approver', now())", "operator eve was added by hand"),
            seen("update message set file_name = 'another.xml' where id = (select min(id) from message)", "message"),
            seen("update statement set closing = closing + 1", "statement"),
        ],
        vec![
            one("insert into operator (name, role, added_at) values ('eve', 'approver', now())", "operator eve was added by hand"),
            one("alter table operator drop constraint operator_pkey cascade; delete from operator where name = 'amina'", "operator amina was taken away"),
        ],
        // Two accounts and the transfer between them agree.
        vec![one(
            "with t as (select * from ledger_transfer order by id limit 1),
                  u as (update ledger_transfer l set amount = l.amount + 500 from t where l.id = t.id),
                  d as (update ledger_account a set balance = balance + 500 from t where a.id = t.debit_account)
             update ledger_account a set balance = balance - 500 from t where a.id = t.credit_account",
            "ledger_transfer",
        )],
        // A transfer of the owner's own, with the balances that follow it.
        vec![seen(
            "insert into ledger_transfer (debit_account, credit_account, amount, why, posted_at) select debit_account, credit_account, 700, why, now() from ledger_transfer limit 1",
            "was added by hand",
        )],
        // The list and the order agree with each other.
        vec![one(
            &format!(
                "update {households} h set payee = o.payee from (select payee, household_id from {households} order by household_key offset 20 limit 1) o
                  where h.household_id = (select household_id from {leaf} where order_id = {order});
                 update {leaf} o set payee = (select payee from {leaf} where order_id = {order} + 7) where order_id = {order}"
            ),
            "household row",
        )],
        // The hash of a block is made to fit its rows.
        vec![one(
            &format!(
                "update {leaf} set payee = payee || '\\x00' where order_id = {order};
                 update row_block set sha256 = sha256('x') where relation = 'payment_order' and first_key <= {order} and last_key >= {order}"
            ),
            "row_block payment_order/",
        )],
        // A journal entry that makes the row look as left, and no record of the chain.
        vec![one(
            "update standing_approval set day_max = day_max + 1;
             insert into journal (change, relation, key, action, before, after)
             select 999999, 'standing_approval', r.id::text, 'update',
                    (select after from journal where relation = 'standing_approval' order by id desc limit 1),
                    sha256(convert_to(to_jsonb(r)::text, 'UTF8')) from standing_approval r",
            "standing_approval 1 was changed by hand",
        )],
        // The last entry itself is made to fit.
        vec![one(
            "update standing_approval set day_max = day_max + 1;
             update journal j set after = (select sha256(convert_to(to_jsonb(r)::text, 'UTF8')) from standing_approval r)
              where id = (select max(id) from journal where relation = 'standing_approval')",
            "were altered",
        )],
        vec![one("drop trigger journal_update on operator; update operator set active = false", "operator is not")],
        vec![one("delete from journal where relation = 'api_token' or relation = 'standing_approval'", "are gone")],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hand_or_several_are_found_and_named() {
    let Some((bed, run)) = paid_month().await else { return };
    let order = bed.number("select min(order_id) from payment_order where amount > 200000 - 200000").await;
    let hands = hands(run, order);
    let copies = bed.fork(hands.len()).await;
    for (group, bed) in hands.iter().zip(copies) {
        for Hand { sql, unseen: off, .. } in group {
            let done = if *off { unseen(&bed, sql).await } else { bed.execute(sql).await };
            done.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let failing = bed.failing().await;
        for Hand { sql, named, .. } in group {
            assert!(failing.iter().any(|f| f.contains(named.as_str())), "{sql}\n{named}: {failing:#?}");
        }
        assert!(!failing.is_empty());
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_import_found_cannot_be_taken_away() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = Registry::default();
    for _ in 0..6 {
        registry.household();
    }
    let shared = registry.get(0, "account");
    registry.set(1, &[("account", &shared)]);
    registry.set(2, &[("rsu_score", "high")]);
    let folder = bed.home().join("list");
    registry.write(&folder);
    bed.create(bed.import(&folder).await).await;
    assert_eq!(bed.number("select count(*) from snapshot_share where kind = 'account'").await, 2);
    assert_eq!(bed.number("select count(*) from snapshot_rejection").await, 1);
    bed.verify_all_holds().await;
    for (hand, named) in [
        (
            "delete from snapshot_share where ctid = (select min(ctid) from snapshot_share)",
            "list 1: 1 rows, there were 2",
        ),
        ("delete from snapshot_share", "list 1: 0 rows, there were 2"),
        ("update snapshot_share set households = 9", "what households share"),
        ("update snapshot_share set kind = 'phone'", "what households share"),
        (
            "insert into snapshot_share select household_key + 2, kind, households from snapshot_share",
            "list 1: 4 rows",
        ),
        ("delete from snapshot_rejection", "snapshot_rejection 1/households/3 was taken away"),
        ("update snapshot_rejection set reason = 'missing'", "snapshot_rejection 1/households/3 was altered"),
    ] {
        let copy = bed.copies(1).await.pop().expect("a copy");
        unseen(&copy, hand).await.unwrap_or_else(|e| panic!("{hand}: {e}"));
        let failing = copy.failing().await;
        assert!(failing.iter().any(|f| f.contains(named)), "{hand}: {failing:#?}");
        copy.end().await;
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_follows_on_rows_that_were_changed() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(200, 4, RunState::Computed).await;
    let leaf = format!("payment_order_{run}");
    let order = bed.number(&format!("select min(order_id) from {leaf}")).await;
    let swap = format!(
        "update {leaf} a set payee = b.payee from {leaf} b where a.order_id in ({order}, {order} + 1) and b.order_id = {order} * 2 + 1 - a.order_id"
    );
    let release = "update order_hold set released_by = 'amina', released_at = now(), released_why = 'x' where ctid = (select min(ctid) from order_hold)";
    let household = "update household_1 set rsu_score = rsu_score + 1 where household_key = (select max(household_key) from household_1)";
    let exclusion = format!(
        "update exclusion_{run} set reason = 'pension' where household_row = (select min(household_row) from exclusion_{run})"
    );
    // State that the run is taken to, what is changed then, what the refusal names.
    for (state, hand, named) in [
        (RunState::Computed, &swap, format!("orders {order}")),
        (RunState::Submitted, &swap, format!("orders {order}")),
        (RunState::Approved, &swap, format!("orders {order}")),
        (RunState::Dispatching, &swap, format!("orders {order}")),
        (RunState::Submitted, &release.to_owned(), "order_hold".to_owned()),
        (RunState::Dispatching, &release.to_owned(), "order_hold".to_owned()),
        (RunState::Submitted, &household.to_owned(), "household row".to_owned()),
        (RunState::Approved, &exclusion, "exclusion".to_owned()),
    ] {
        let mut copies = bed.copies(1).await;
        let copy = copies.pop().expect("a copy");
        copy.take_to(run, state).await;
        unseen(&copy, hand).await.unwrap_or_else(|e| panic!("{hand}: {e}"));
        let refused = match state {
            RunState::Computed => {
                approve::acknowledge(&copy.context, run, PREPARER, "seen").await.expect("acknowledged");
                approve::submit(&copy.context, run, PREPARER).await.map(drop).map_err(|e| e.to_string())
            }
            RunState::Submitted => {
                approve::approve(&copy.context, run, APPROVER).await.map(drop).map_err(|e| e.to_string())
            }
            RunState::Approved => {
                fund::fund(&copy.context, run, ACCOUNTANT).await.map(drop).map_err(|e| e.to_string())
            }
            _ => files::dispatch(&copy.context, run).await.map(drop).map_err(|e| e.to_string()),
        };
        let refused = refused.expect_err("a step on changed rows");
        assert!(refused.contains("were changed by hand") && refused.contains(&named), "{state}: {refused}");
        assert!(!copy.outbox().exists(), "nothing left");
        copy.end().await;
    }
    bed.end().await;
}

/// The whole chain, written anew over records that were changed, with every hash right.
pub async fn rewrite_chain(bed: &Bed, change: &str) {
    unseen(bed, change).await.unwrap_or_else(|e| panic!("{change}: {e}"));
    type Row = (i64, i64, String, String, String, String, String, String);
    let rows: Vec<Row> = sqlx::query_as(
        "select sequence, (extract(epoch from at) * 1000000)::bigint, actor, action, subject, detail, coalesce(key_fingerprint, ''), coalesce(signature, '') from audit order by sequence",
    )
    .fetch_all(bed.context.store.pool())
    .await
    .expect("records");
    let mut previous = vec![0u8; 32];
    for (sequence, micros, actor, action, subject, detail, key, signature) in rows {
        let mut hash = Sha256::new();
        hash.update(&previous);
        hash.update(sequence.to_be_bytes());
        hash.update((i128::from(micros) * 1_000).to_be_bytes());
        let texts = [&actor, &action, &subject, &detail, &key, &signature];
        for text in &texts[..if key.is_empty() { 4 } else { 6 }] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let (hash, hex) = (hash.finalize(), sarf::domain::hex);
        unseen(
            bed,
            &format!(
                "update audit set previous = '\\x{}', hash = '\\x{}' where sequence = {sequence}",
                hex(&previous),
                hex(&hash)
            ),
        )
        .await
        .expect("rewritten");
        previous = hash.to_vec();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_was_cut_emptied_extended_or_rewritten_is_found() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(100, 6, RunState::Funded).await;
    let last = bed.number("select max(sequence) from audit").await;
    let head =
        bed.rows(&format!("select encode(hash, 'hex') from audit where sequence = {last}")).await.remove(0);
    let head = sarf::store::audit::anchor::unhex(&head).expect("a hash");
    let cases = [
        (format!("delete from audit where sequence > {last} - 2"), format!("audit records {} to {last} were taken away", last - 1)),
        (format!("delete from audit where sequence = {last}"), format!("audit records {last} to {last} were taken away")),
        ("delete from audit".to_owned(), format!("audit records 1 to {last} were taken away")),
        ("delete from audit where sequence = 7".to_owned(), "audit record 7 is missing".to_owned()),
        ("update audit set actor = 'brahim' where sequence = 8".to_owned(), "audit record 8 was altered".to_owned()),
        (
            "insert into audit select sequence + 1, at, actor, 'run.approve', subject, detail, hash, sha256('x') from audit order by sequence desc limit 1".to_owned(),
            "was altered".to_owned(),
        ),
    ];
    for (sql, named) in &cases {
        let copy = bed.copies(1).await.pop().expect("a copy");
        unseen(&copy, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let failing = copy.failing().await;
        assert!(failing.iter().any(|f| f.contains(named.as_str())), "{sql}: {failing:#?}");
        copy.end().await;
    }
    for change in [
        "update audit set detail = detail || '.' where sequence = 9",
        // One more record than the engine wrote, with the right hash.
        "insert into audit select sequence + 1, at, 'brahim', 'run.approve', 'run 1', '', hash, sha256('x') from audit order by sequence desc limit 1",
    ] {
        let copy = bed.copies(1).await.pop().expect("a copy");
        rewrite_chain(&copy, change).await;
        let failing = copy.failing().await;
        let foreign = "was not written by the engine";
        assert!(failing.iter().any(|f| f.contains(foreign)), "{change}: {failing:#?}");
        let asked = verify::verify_with_head(&copy.context, None, Some(head)).await.expect("verify runs");
        let lost = asked.iter().any(|p| !p.holds && p.figures.contains("no audit record has the hash"));
        assert_eq!(lost, change.starts_with("update"), "the head that was written down");
        copy.end().await;
    }
    let asked = verify::verify_with_head(&bed.context, None, Some(head)).await.expect("verify runs");
    assert!(asked.iter().all(|p| p.holds), "{asked:#?}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_ends_no_pass() {
    let Some((bed, run)) = paid_month().await else { return };
    let leaf = format!("payment_order_{run}");
    let bad = [
        ("update run set state = 'lost'", "run 1"),
        ("update run set period = -1", "run 1"),
        ("update batch set state = 'lost' where id = (select min(id) from batch)", "batch"),
        ("update batch set lane = 'pigeon' where id = (select min(id) from batch)", "batch"),
        ("update break set kind = 'lost' where id = (select min(id) from break)", "break"),
        ("update operator set role = 'king' where name = 'amina'", "operator amina"),
        (
            "update ledger_account set kind = 'lost' where id = (select min(id) from ledger_account)",
            "ledger_account",
        ),
        ("update audit set at = 'infinity' where sequence = 5", "audit record 5"),
        (
            "update household_1 set members = '\\xff' where household_key = (select min(household_key) from household_1)",
            "household row",
        ),
        (
            "update household_1 set means = 99 where household_key = (select min(household_key) from household_1)",
            "household row",
        ),
        (
            "update outcome set step = 99 where (order_id, step) = (select order_id, step from outcome order by 1 limit 1)",
            "message",
        ),
        ("update statement set reference = E'a\\u0001b'", "statement"),
        ("update snapshot set period = 2000000000", "snapshot"),
        ("alter table message alter kind drop not null; update message set kind = null", "message"),
    ];
    for (sql, named) in bad {
        let copy = bed.copies(1).await.pop().expect("a copy");
        let free = copy
            .rows(
                "select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname) from pg_constraint
                  where contype in ('c', 'f') and coninhcount = 0 and connamespace = current_schema()::regnamespace",
            )
            .await;
        for drop in free {
            copy.execute(&drop).await.unwrap_or_else(|e| panic!("{drop}: {e}"));
        }
        unseen(&copy, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let failing = copy.failing().await;
        assert!(failing.iter().any(|f| f.contains(named)), "{sql}: {failing:#?}");
        copy.end().await;
    }
    for (sql, named) in [
        (
            format!("update {leaf} set payee = '\\x' where order_id = (select min(order_id) from {leaf})"),
            "order",
        ),
        (
            format!(
                "update {leaf} set household_id = '' where order_id = (select max(order_id) from {leaf})"
            ),
            "order",
        ),
        (
            format!("update {leaf} set period = -5 where order_id = (select max(order_id) from {leaf})"),
            "order",
        ),
        (format!("drop table {leaf} cascade"), "run 1"),
    ] {
        let copy = bed.copies(1).await.pop().expect("a copy");
        unseen(&copy, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let failing = copy.failing().await;
        assert!(failing.iter().any(|f| f.contains(named)), "{sql}: {failing:#?}");
        copy.end().await;
    }
    bed.end().await;
}
