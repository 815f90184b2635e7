//! What banks give as status and reason: all of it counts, at every level, and nothing of it is dropped.

use std::fs;

use sarf::domain::run::RunState;

use crate::harness::{Bed, Sent, sent_files};

/// A status report: what is said of the message, of its payment information, and of its transactions.
fn report(file: &Sent, id: &str, group: &str, payment: &str, transactions: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-11-25T06:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{original}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>\
         <OrgnlPmtInfId>{original}</OrgnlPmtInfId>{payment}{transactions}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
        original = file.message_id
    )
}

fn reason(code: &str) -> String {
    format!("<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>")
}

fn transaction(key: &str, status: &str, reasons: &str) -> String {
    format!(
        "<TxInfAndSts><OrgnlEndToEndId>{key}</OrgnlEndToEndId><TxSts>{status}</TxSts>{reasons}</TxInfAndSts>"
    )
}

/// Writes a message and imports it.
async fn take(bed: &Bed, name: &str, xml: &str) {
    let path = bed.home().join(name);
    fs::write(&path, xml).expect("a message");
    bed.feedback_taken(vec![path]).await;
}

/// Numbers of a provider's orders by state, held ones aside.
async fn states(bed: &Bed, provider: &str) -> Vec<String> {
    bed.rows(&format!(
        "select t.state || ' ' || t.orders from run_total t join provider p on p.id = t.provider_id
          where p.code = '{provider}' and t.orders > 0 and t.state <> 'held' order by 1"
    ))
    .await
}

/// A bed with files that left, of at least so many orders each, of different providers.
async fn dispatched(orders: usize) -> Option<(Bed, Vec<Sent>)> {
    let bed = Bed::new().await?;
    bed.run_to(400, 22, RunState::Settling).await;
    let mut files = sent_files(&bed.outbox());
    files.retain(|f| f.orders.len() >= orders);
    files.dedup_by(|a, b| a.provider == b.provider);
    assert!(files.len() > 3, "enough files to speak of");
    Some((bed, files))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_delivery_rejects_nothing_wherever_it_is_said() {
    let Some((bed, files)) = dispatched(3).await else { return };
    let rejected = |file: &Sent, reasons: &str| -> String {
        file.orders.iter().map(|(key, ..)| transaction(key, "RJCT", reasons)).collect()
    };
    let words = "<StsRsnInf><Rsn><Prtry>FICHIER EN DOUBLE</Prtry></Rsn></StsRsnInf>";
    for (at, (group, payment, own, breaks)) in [
        // Said of the message: one break for the file.
        (format!("<GrpSts>RJCT</GrpSts>{}", reason("DUPL")), "", "", 1),
        (
            format!("<GrpSts>RJCT</GrpSts>{}", reason("DUPL")),
            "<PmtInfSts>RJCT</PmtInfSts>",
            "<StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf>",
            2,
        ),
        // Said of no file, but above the transactions, which have nothing of their own: one break for each.
        (reason("AM05"), "", "", 3),
        // Second among several; in small letters; in words.
        (
            String::new(),
            "",
            "<StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf><StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>",
            3,
        ),
        (String::new(), "", "<StsRsnInf><Rsn><Prtry>du01</Prtry></Rsn></StsRsnInf>", 3),
        (String::new(), "", words, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let file = Sent { orders: files[0].orders[..3].to_vec(), ..files[0].clone() };
        let before = bed.number("select count(*) from break where kind = 'status_conflict'").await;
        let xml = report(&file, &format!("R{at}"), &group, payment, &rejected(&file, own));
        take(&bed, &format!("r{at}.xml"), &xml).await;
        let opened = bed.number("select count(*) from break where kind = 'status_conflict'").await - before;
        assert_eq!(opened, breaks, "{group} {payment} {own}");
        let states = states(&bed, &file.provider).await;
        assert!(!states.iter().any(|s| s.starts_with("rejected")), "{group} {payment} {own}: {states:?}");
    }
    let told = bed.rows("select detail from break where detail like '%EN DOUBLE%'").await;
    assert_eq!(told.len(), 3, "what the bank said stands on the break");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_above_hold_and_texts_are_kept() {
    let Some((bed, files)) = dispatched(4).await else { return };
    let file = &files[0];
    let keys: Vec<&str> = file.orders.iter().map(|(key, ..)| key.as_str()).collect();
    let closed = "<StsRsnInf><Rsn><Cd>NARR</Cd></Rsn><AddtlInf>le compte</AddtlInf><AddtlInf>est clos</AddtlInf></StsRsnInf>";
    let own_words = "<StsRsnInf><Rsn><Prtry>COMPTE CLOS</Prtry></Rsn></StsRsnInf>";
    let transactions = [
        transaction(keys[0], "RJCT", ""),
        transaction(keys[1], "RJCT", &reason("MS03")),
        transaction(keys[2], "RJCT", closed),
        transaction(keys[3], "RJCT", own_words),
    ];
    let group = format!("<GrpSts>PART</GrpSts>{}", reason("AM04"));
    let payment = format!("<PmtInfSts>PART</PmtInfSts>{}", reason("AC04"));
    take(&bed, "above.xml", &report(file, "A1", &group, &payment, &transactions.concat())).await;
    // A whole file, rejected for a reason that only its message states.
    let whole = &files[1];
    let group =
        "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>AM04</Cd></Rsn><AddtlInf>no cover</AddtlInf></StsRsnInf>";
    take(&bed, "whole.xml", &report(whole, "A2", group, "", "")).await;
    assert_eq!(
        bed.rows("select coalesce(reason, '-') || ' | ' || coalesce(told, '-') from outcome where step = 9 order by order_id").await,
        ["AC04 | AC04", "MS03 | MS03", "NARR | NARR: le compte est clos", "COMPTE CLOS | COMPTE CLOS"]
    );
    let history = |key: &str| {
        let order = sarf::domain::order::EndToEndRef::parse(key).expect("ours").order;
        let store = bed.context.store.clone();
        async move {
            let steps = sarf::store::messages::feedback::history(&store, order).await.expect("history");
            let line = |s: sarf::store::messages::feedback::HistoryStep| {
                format!("{} {} {}", s.state, s.told.unwrap_or_default(), s.of_file)
            };
            steps.into_iter().map(line).collect::<Vec<_>>()
        }
    };
    assert_eq!(history(keys[2]).await, ["rejected NARR: le compte est clos false"]);
    assert_eq!(history(&whole.orders[0].0).await, ["rejected AM04: no cover true"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_is_not_known_is_a_break() {
    let Some((bed, files)) = dispatched(3).await else { return };
    let file = &files[0];
    for (at, status) in ["ACIS", "rjct", "REJECTED", "PART", "Accp"].into_iter().enumerate() {
        let xml = report(file, &format!("U{at}"), "", "", &transaction(&file.orders[0].0, status, ""));
        take(&bed, &format!("u{at}.xml"), &xml).await;
        let detail = format!("%`{status}`, a status that is not known%");
        let sql = format!(
            "select count(*) from break where kind = 'unknown_status' and order_id is not null and detail like '{detail}'"
        );
        assert_eq!(bed.number(&sql).await, 1, "{status}");
    }
    for (at, (group, payment)) in [
        ("<GrpSts>REJECTED</GrpSts>", ""),
        ("<GrpSts>rjct</GrpSts>", ""),
        ("", "<PmtInfSts>ACIS</PmtInfSts>"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = bed.number("select count(*) from break where kind = 'unknown_status'").await;
        take(&bed, &format!("g{at}.xml"), &report(file, &format!("G{at}"), group, payment, "")).await;
        assert_eq!(
            bed.number("select count(*) from break where kind = 'unknown_status'").await - before,
            1,
            "{group}"
        );
    }
    // What is listed as harmless opens none.
    let before = bed.number("select count(*) from break").await;
    let pending = transaction(&file.orders[0].0, "PDNG", "");
    let xml = report(file, "H1", "<GrpSts>RCVD</GrpSts>", "<PmtInfSts>PART</PmtInfSts>", &pending);
    take(&bed, "harmless.xml", &xml).await;
    assert_eq!(bed.number("select count(*) from break").await, before);
    assert_eq!(bed.number("select noted from message where message_ref = 'H1'").await, 3);
    let states = states(&bed, &file.provider).await;
    assert!(states.iter().all(|s| s.starts_with("sent")), "{states:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_that_says_two_things_rejects_nothing() {
    let Some((bed, files)) = dispatched(3).await else { return };
    let file = &files[0];
    let keys: Vec<&str> = file.orders.iter().map(|(key, ..)| key.as_str()).collect();
    // One order, two words, in either order; the third is not touched by that.
    let both = [
        transaction(keys[0], "RJCT", &reason("AC04")),
        transaction(keys[0], "ACCP", ""),
        transaction(keys[1], "ACSC", ""),
        transaction(keys[1], "RJCT", &reason("AC04")),
        transaction(keys[2], "RJCT", &reason("AC04")),
    ];
    take(&bed, "both.xml", &report(file, "B1", "", "", &both.concat())).await;
    assert_eq!(bed.open_breaks().await, ["status_conflict 4"]);
    let rejected = format!("select rejected from batch where message_id = '{}'", file.message_id);
    assert_eq!(bed.number(&rejected).await, 1);
    // The whole rejected, but for an order that it takes; the whole taken and rejected.
    for (at, (group, payment, transactions)) in [
        ("<GrpSts>RJCT</GrpSts>", "", transaction(&files[1].orders[0].0, "ACCP", "")),
        ("", "<PmtInfSts>RJCT</PmtInfSts>", transaction(&files[1].orders[0].0, "ACSC", "")),
        ("<GrpSts>RJCT</GrpSts>", "<PmtInfSts>ACCP</PmtInfSts>", String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let xml = report(&files[1], &format!("W{at}"), group, payment, &transactions);
        take(&bed, &format!("w{at}.xml"), &xml).await;
        assert_eq!(bed.open_breaks().await, [format!("status_conflict {}", 5 + at)], "{group} {payment}");
        let states = states(&bed, &files[1].provider).await;
        assert!(!states.iter().any(|s| s.starts_with("rejected")), "{states:?}");
    }
    // A message that was taken, whose payment information was not: that is said plainly.
    let xml = report(&files[2], "P1", "<GrpSts>ACCP</GrpSts>", "<PmtInfSts>RJCT</PmtInfSts>", "");
    take(&bed, "plain.xml", &xml).await;
    let state = format!("select state from batch where message_id = '{}'", files[2].message_id);
    assert_eq!(bed.rows(&state).await, ["rejected"]);
    bed.verify_all_holds().await;
    bed.end().await;
}
