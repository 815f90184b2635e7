//! Orders that are not made from a list alone (reissues, arrears, grants, deposits) are changed by hand, together with rows that agree
//! with them: the proof over what they were made from names each.

use std::fs;

use sarf::domain::ids::RunId;
use sarf::domain::order::EndToEndRef;
use sarf::domain::person::Idcs;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::{children, reissue};
use sqlx::AssertSqlSafe;

use crate::harness::{Bed, PREPARER, Registry, sent_files};

/// Statements of somebody whom no trigger sees.
async fn unseen(bed: &Bed, sql: &str) {
    let mut tx = bed.context.store.pool().begin().await.expect("begun");
    for sql in ["set local session_replication_role = replica", sql] {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    tx.commit().await.expect("done");
}

fn child(number: u32) -> String {
    Idcs::from_stem(300_000_000 + number).reveal().to_string()
}

/// Two orders of the month are rejected by their bank.
async fn rejected(bed: &Bed, run: RunId) {
    let file = sent_files(&bed.outbox()).remove(0);
    let mut transactions = String::new();
    for household in ["H000001", "H000002"] {
        let sql = format!("select order_id from payment_order_{run} where household_id = '{household}'");
        let order = bed.number(&sql).await;
        let of = |key: &str| EndToEndRef::parse(key).map(|known| known.order.get());
        let (key, ..) = file.orders.iter().find(|(key, ..)| of(key) == Some(order)).expect("in the file");
        transactions.push_str(&format!(
            "<TxInfAndSts><OrgnlEndToEndId>{key}</OrgnlEndToEndId><TxSts>RJCT</TxSts>\
             <StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf></TxInfAndSts>"
        ));
    }
    let message = &file.message_id;
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>R1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}</OrgnlPmtInfId>\
         {transactions}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    );
    let path = bed.home().join("rejected.xml");
    fs::write(&path, xml).expect("a message");
    bed.feedback_taken(vec![path]).await;
}

/// A month with a run of each kind: reissue, grants, deposits, correction.
async fn runs() -> Option<(Bed, [RunId; 4])> {
    let bed = Bed::new().await?;
    let mut registry = Registry::default();
    for _ in 0..4 {
        registry.household();
    }
    for number in [0, 1] {
        registry.add_member(number, &child(number as u32), "2026-09-01");
    }
    registry.claim("H000001", &child(0), "2", "2026-11-02");
    registry.claim("H000002", &child(1), "2", "2026-11-02");
    registry.deposit("D1", 400_000_001, "2015-01-01", "2026-09-01");
    registry.deposit("D2", 400_000_002, "2016-01-01", "2026-09-01");
    registry.write(&bed.home().join("november"));
    let november = bed.import(&bed.home().join("november")).await;
    let run = bed.create(november).await;
    bed.take_to(run, RunState::Settling).await;
    rejected(&bed, run).await;
    let again =
        reissue::create(&bed.context, "dss", None, PREPARER).await.expect("a reissue").into_inner().run;
    let grants =
        children::create(&bed.context, november, RunKind::BirthGrant, PREPARER).await.expect("grants");
    let deposits =
        children::create(&bed.context, november, RunKind::Deposit, PREPARER).await.expect("deposits");
    for number in [2, 3] {
        registry.add_member(number, &child(10 + number as u32), "2026-11-10");
    }
    registry.drop_children();
    registry.write_for(&bed.home().join("december"), "2026-12".parse().expect("a month"));
    let december = bed.import(&bed.home().join("december")).await;
    let found = correction::create(&bed.context, december, None, PREPARER).await.expect("a correction");
    let Found::Run(corrected) = found.into_inner() else { panic!("nothing to correct") };
    bed.verify_all_holds().await;
    Some((bed, [again, grants.into_inner(), deposits.into_inner(), corrected]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_does_not_follow_from_what_it_was_made_from_is_named() {
    let Some((bed, [again, grants, deposits, corrected])) = runs().await else { return };
    let first = |run: RunId| format!("(select min(order_id) from payment_order_{run})");
    let dearer = |run: RunId| {
        format!(
            "update payment_order_{run} set entitled = entitled + 100, amount = amount + 100 where order_id = {}",
            first(run)
        )
    };
    // What is done, of which run, and what is said of its first order.
    let hands = [
        (
            again,
            format!(
                "{}; update order_reissue set amount = amount + 100 where order_id = {}",
                dearer(again),
                first(again)
            ),
            "MAD ordered as due, not ",
        ),
        (
            again,
            format!(
                "update payment_order_{again} set household_id = 'H000004' where order_id = {}",
                first(again)
            ),
            " is of another claim",
        ),
        (
            again,
            format!(
                "update payment_order_{again} set components = components || components where order_id = {}",
                first(again)
            ),
            " has other reasons for its amount",
        ),
        (
            again,
            format!(
                "update payment_order_{again} set offset_amount = 100, amount = amount - 100 where order_id = {}",
                first(again)
            ),
            "instalments keep another amount back",
        ),
        (
            again,
            format!("delete from order_reissue where order_id = {}", first(again)),
            " was made from nothing",
        ),
        (
            grants,
            format!(
                "{}; update child_payment set amount = amount + 100 where order_id = {}",
                dearer(grants),
                first(grants)
            ),
            "1001.00 MAD is paid for a grant of 1000.00",
        ),
        (
            grants,
            format!("update child_payment set household_id = 'H000003' where order_id = {}", first(grants)),
            " is of another claim",
        ),
        (deposits, dearer(deposits), "MAD ordered as due, not "),
        (corrected, dearer(corrected), "MAD ordered as due, not "),
        (
            corrected,
            format!(
                "delete from correction where run_id = {corrected} and household_id =
                    (select household_id from payment_order_{corrected} order by order_id limit 1)"
            ),
            " was made from nothing",
        ),
    ];
    for (run, sql, said) in hands {
        let copy = bed.copies(1).await.pop().expect("a copy");
        let order = copy.number(&format!("select min(order_id) from payment_order_{run}")).await;
        unseen(&copy, &sql).await;
        let failing = copy.failing().await;
        let named = failing.iter().any(|f| {
            f.starts_with(&format!("2 run {run}: "))
                && f.contains(&format!("order {order}"))
                && f.contains(said)
        });
        assert!(named, "{sql}\n{said}: {failing:#?}");
        copy.end().await;
    }
    // An order that should be there and is not.
    let copy = bed.copies(1).await.pop().expect("a copy");
    unseen(&copy, &format!("delete from payment_order_{corrected} where order_id = {}", first(corrected)))
        .await;
    let failing = copy.failing().await;
    assert!(
        failing.iter().any(|f| f.contains("an order over ") && f.contains(" MAD is missing")),
        "{failing:#?}"
    );
    copy.end().await;
    bed.end().await;
}
