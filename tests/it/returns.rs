//! Payment returns (pacs.004): orders come back one by one, by UETR, or with their whole file, also after their run was closed.

use std::fs;
use std::path::PathBuf;

use sarf::domain::money::Centimes;
use sarf::domain::run::RunState;
use sarf::iso20022::pacs004::{OriginalMessage, ReturnHeader};
use sarf::iso20022::values::{MessageHeader, Reasons};
use sarf::pipeline::runs::reconcile;
use sarf::sandbox::banks::{Faults, StatusStyle};
use sarf::sandbox::wire::pacs004::Pacs004Writer;
use time::macros::datetime;

use crate::harness::{ACCOUNTANT, Bed, Sent, sent_files};

/// A statement: one debit of the whole file, then credits of single orders.
pub fn statement(file: &Sent, id: &str, debit: bool, credits: &[&str]) -> String {
    let entry = |amount: Centimes, direction: &str, details: &str| {
        format!(
            "<Ntry><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-25</Dt></BookgDt>\
             <BkTxCd/><NtryDtls>{details}</NtryDtls></Ntry>"
        )
    };
    let mut entries = String::new();
    if debit {
        let details = format!("<Btch><MsgId>{}</MsgId></Btch>", file.message_id);
        entries.push_str(&entry(file.control_sum, "DBIT", &details));
    }
    for (key, _, amount) in file.orders.iter().filter(|(key, ..)| credits.contains(&key.as_str())) {
        let details = format!("<TxDtls><Refs><EndToEndId>{key}</EndToEndId></Refs></TxDtls>");
        entries.push_str(&entry(*amount, "CRDT", &details));
    }
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-11-26T06:00:00</CreDtTm></GrpHdr><Stmt><Id>{id}</Id><ElctrncSeqNb>1</ElctrncSeqNb><CreDtTm>2026-11-26T06:00:00</CreDtTm>\
         <Acct><Id><Othr><Id>{}</Id></Othr></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>",
        file.debtor_account
    )
}

/// A payment return of one version, hand-written.
pub fn returns(id: &str, original: &str, transactions: &[String]) -> String {
    let original = if original.is_empty() {
        String::new()
    } else {
        format!(
            "<OrgnlGrpInf><OrgnlMsgId>{original}</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId></OrgnlGrpInf>"
        )
    };
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.004.001.10\"><PmtRtr><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-12-10T10:00:00.5+01:00</CreDtTm><NbOfTxs>{}</NbOfTxs><SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr>\
         {original}{}</PmtRtr></Document>",
        transactions.len(),
        transactions.concat()
    )
}

pub fn returned(key: &str, amount: Centimes, reason: &str) -> String {
    format!(
        "<TxInf><OrgnlEndToEndId>{key}</OrgnlEndToEndId><RtrdIntrBkSttlmAmt Ccy=\"MAD\">{amount}</RtrdIntrBkSttlmAmt>\
         <RtrRsnInf><Rsn><Cd>{reason}</Cd></Rsn></RtrRsnInf></TxInf>"
    )
}

fn prefixed(xml: &str) -> String {
    let marked = xml.replace("</", "\u{1}").replace('<', "<b:").replace('\u{1}', "</b:");
    marked.replacen("xmlns=", "xmlns:b=", 1)
}

fn write(bed: &Bed, name: &str, xml: &str) -> PathBuf {
    let path = bed.home().join(name);
    fs::write(&path, xml).expect("a message");
    path
}

/// Entries, applied, already, breaks; or why the file was refused.
async fn take(bed: &Bed, name: &str, xml: &str) -> Result<[u64; 4], String> {
    let (_, result) = bed.feedback(vec![write(bed, name, xml)]).await.remove(0);
    let counts = result.map(|i| [i.counts.entries, i.counts.applied, i.counts.already, i.counts.breaks]);
    counts.map_err(|error| {
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    })
}

/// State and number of a provider's orders.
async fn states(bed: &Bed, provider: &str) -> Vec<String> {
    bed.rows(&format!(
        "select t.state || ' ' || t.orders from run_total t join provider p on p.id = t.provider_id
          where p.code = '{provider}' and t.orders > 0 and t.state <> 'held' order by 1"
    ))
    .await
}

/// What the books hold as returned, in centimes, over all runs.
async fn ledger_returned(bed: &Bed) -> i64 {
    bed.number("select coalesce(sum(balance), 0)::bigint from ledger_account where kind = 'returned'").await
}

fn sum(orders: &[(String, String, Centimes)]) -> i64 {
    orders.iter().map(|(_, _, amount)| amount.get()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn returned_orders_come_back_one_by_one() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(400, 22, RunState::Settling).await;
    let files: Vec<Sent> = sent_files(&bed.outbox()).into_iter().filter(|f| f.orders.len() > 6).collect();
    let (file, other) = (&files[0], &files[1]);
    let total = file.orders.len();
    assert_eq!(take(&bed, "s1.xml", &statement(file, "S1", true, &[])).await, Ok([1, 1, 0, 0]));

    // Good, wrong amount, mistyped, foreign currency, without an amount.
    let (key, _, amount) = &file.orders[0];
    let (second, _, second_amount) = &file.orders[1];
    let last = if key.ends_with('A') { 'B' } else { 'A' };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    let mixed = [
        returned(key, *amount, "AC04"),
        returned(second, *second_amount - Centimes::new(800), "AC04"),
        returned(&mistyped, *amount, "AC04"),
        returned(second, *second_amount, "AC04").replace("\"MAD\"", "\"EUR\""),
        "<TxInf><OrgnlEndToEndId>X</OrgnlEndToEndId></TxInf>".to_owned(),
    ];
    let xml = prefixed(&returns("R1", "BANK-0815", &mixed));
    assert_eq!(take(&bed, "mixed.xml", &xml).await, Ok([5, 1, 0, 4]));
    let expected = ["returned 1".to_owned(), format!("settled {}", total - 1)];
    assert_eq!(states(&bed, &file.provider).await, expected);
    assert_eq!(bed.rows("select reason from outcome where step = 11").await, ["AC04"]);
    let kinds = bed.open_breaks().await;
    assert_eq!(kinds, ["amount_differs 1", "faulty_entry 2", "unknown_reference 1"]);
    assert_eq!(ledger_returned(&bed).await, amount.get());
    bed.verify_all_holds().await;

    // Another message says it again; then the account statement confirms it, once.
    let again = returns("R2", "", &[returned(key, *amount, "MS03")]);
    assert_eq!(take(&bed, "again.xml", &again).await, Ok([1, 0, 1, 0]));
    let credit = statement(file, "S2", false, &[key]);
    assert_eq!(take(&bed, "s2.xml", &credit).await, Ok([1, 1, 0, 0]));
    assert_eq!(bed.number("select sum(credited_amount)::bigint from batch").await, amount.get());
    assert_eq!(states(&bed, &file.provider).await, expected);
    bed.verify_all_holds().await;

    // By UETR alone: understood where the message names the file; the other file's orders are not in it.
    let by_uetr = |(_, uetr, amount): &(String, String, Centimes)| {
        returned("", *amount, "AC06")
            .replace("<OrgnlEndToEndId></OrgnlEndToEndId>", &format!("<OrgnlUETR>{uetr}</OrgnlUETR>"))
    };
    let both = [by_uetr(&file.orders[2]), by_uetr(&other.orders[0])];
    assert_eq!(take(&bed, "uetr.xml", &returns("R3", &file.message_id, &both)).await, Ok([2, 1, 0, 1]));
    let xml = returns("R4", "BANK-0815", &both[..1]);
    assert_eq!(take(&bed, "lost.xml", &xml).await, Ok([1, 0, 0, 1]));
    let expected = ["returned 2".to_owned(), format!("settled {}", total - 2)];
    assert_eq!(states(&bed, &file.provider).await, expected);

    // Totals that are not those of the transactions; and a return in a file of another provider.
    let some = returns("R5", "", &[returned(&file.orders[3].0, file.orders[3].2, "AC04")])
        .replace("<NbOfTxs>1<", "<NbOfTxs>2<");
    assert_eq!(take(&bed, "totals.xml", &some).await, Ok([2, 1, 0, 1]));
    let theirs = returns("R6", &file.message_id, &[returned(&other.orders[1].0, other.orders[1].2, "AC04")]);
    if other.provider != file.provider {
        assert_eq!(take(&bed, "theirs.xml", &theirs).await, Ok([1, 0, 0, 1]));
    }

    // Truncated, or with a DOCTYPE: nothing of it is applied.
    let xml = returns("R7", "", &[returned(&file.orders[4].0, file.orders[4].2, "AC04")]);
    take(&bed, "cut.xml", &xml[..xml.len() - 25]).await.expect_err("refused");
    let refusal = take(&bed, "doctype.xml", &format!("<!DOCTYPE Document>{xml}")).await.expect_err("refused");
    assert!(refusal.contains("DOCTYPE"), "{refusal}");
    let expected = ["returned 3".to_owned(), format!("settled {}", total - 3)];
    assert_eq!(states(&bed, &file.provider).await, expected);
    bed.verify_all_holds().await;
    bed.end().await;
}

fn whole(original: &str, orders: usize, total: i64) -> String {
    let header = ReturnHeader {
        message: MessageHeader {
            msg_id: format!("W{original}{total}").chars().take(35).collect(),
            created: Some(datetime!(2026-12-10 10:00 UTC)),
        },
        orders: Some(orders as u64),
        sum: None,
        total: Some(Centimes::new(total)),
        group_return: true,
    };
    let original = OriginalMessage {
        msg_id: original.to_owned(),
        msg_name: "pain.001.001.09".into(),
        reasons: Reasons::one("AC04", ""),
    };
    let writer = Pacs004Writer::begin(Vec::new(), &header, Some(&original)).expect("a message");
    String::from_utf8(writer.finish().expect("a message").0).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_file_comes_back_less_what_was_rejected() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(400, 22, RunState::Settling).await;
    let files: Vec<Sent> = sent_files(&bed.outbox()).into_iter().filter(|f| f.orders.len() > 3).collect();
    let file = &files[0];
    let (rejected, rest) = file.orders.split_at(1);
    let status = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>M1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{}</OrgnlPmtInfId>\
         <TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
        file.message_id, file.message_id, rejected[0].0
    );
    assert_eq!(take(&bed, "status.xml", &status).await, Ok([1, 1, 0, 0]));

    // The totals must be those of what was not rejected; a stranger's file is none of ours.
    let all = sum(&file.orders);
    assert_eq!(
        take(&bed, "all.xml", &whole(&file.message_id, file.orders.len(), all)).await,
        Ok([1, 0, 0, 1])
    );
    assert_eq!(take(&bed, "stranger.xml", &whole("BANK-0815", 1, 1)).await, Ok([1, 0, 0, 1]));
    assert_eq!(ledger_returned(&bed).await, 0);
    let n = rest.len() as u64;
    let xml = whole(&file.message_id, rest.len(), sum(rest));
    assert_eq!(take(&bed, "whole.xml", &xml).await, Ok([n, n, 0, 0]));
    assert_eq!(states(&bed, &file.provider).await, ["rejected 1".to_owned(), format!("returned {n}")]);
    assert_eq!(ledger_returned(&bed).await, sum(rest));
    let again = xml.replace("10:00:00", "11:00:00");
    assert_eq!(take(&bed, "once_more.xml", &again).await, Ok([n, 0, n, 0]));
    assert_eq!(bed.open_breaks().await, ["totals_differ 1", "unknown_reference 1"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_that_lists_nothing_moves_nothing_and_is_told_whole() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(400, 22, RunState::Settling).await;
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 3).expect("a file");
    assert_eq!(take(&bed, "s1.xml", &statement(&file, "S1", true, &[])).await, Ok([1, 1, 0, 0]));
    let before = states(&bed, &file.provider).await;
    let all = whole(&file.message_id, file.orders.len(), sum(&file.orders));
    let amount = Centimes::new(sum(&file.orders)).to_string();
    let silent = all.replace("<GrpRtr>true</GrpRtr>", "");
    assert_ne!(silent, all);
    let named = format!("original message `{}`, of {} transactions", file.message_id, file.orders.len());
    for (name, xml, amount, details) in [
        (
            "silent",
            silent.clone(),
            sum(&file.orders),
            ["does not say that the whole file is returned", &named],
        ),
        ("false", all.replace(">true<", ">false<"), sum(&file.orders), ["does not say that", &named]),
        (
            "stranger",
            silent.replace(&file.message_id, "BANK-0815"),
            sum(&file.orders),
            ["does not say that", "original message `BANK-0815`"],
        ),
        (
            "unreadable",
            all.replace(&amount, "12,34"),
            0,
            ["number or sum of transactions cannot be read", &named],
        ),
        (
            "header",
            format!("{}</GrpHdr></PmtRtr></Document>", silent.split("</GrpHdr>").next().expect("a header")),
            sum(&file.orders),
            ["does not say that", "no original message"],
        ),
    ] {
        let xml = xml.replacen("<MsgId>", &format!("<MsgId>{name}"), 1);
        assert_eq!(take(&bed, &format!("{name}.xml"), &xml).await, Ok([1, 0, 0, 1]), "{name}");
        let newest = "select detail || ' ' || coalesce(amount, 0) from break where kind = 'faulty_entry' order by id desc limit 1";
        let told = bed.rows(newest).await.remove(0);
        assert!(details.iter().all(|part| told.contains(part)), "{name}: {told}");
        assert!(told.ends_with(&format!(" {amount}")), "{name}: {told}");
    }
    assert_eq!(states(&bed, &file.provider).await, before);
    assert_eq!(
        (ledger_returned(&bed).await, bed.open_breaks().await),
        (0, vec!["faulty_entry 5".to_owned()])
    );
    // The bank's better message is read.
    assert_eq!(take(&bed, "all.xml", &all).await.map(|counts| counts[1]), Ok(file.orders.len() as u64));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_after_the_close_goes_to_the_books_and_the_run_stays_closed() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(400, 23, RunState::Settling).await;
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    reconcile::close(&bed.context, run, ACCOUNTANT, None).await.expect("closed");
    let before = ledger_returned(&bed).await;

    // An order that is settled still.
    let files = sent_files(&bed.outbox());
    let mut picked = None;
    'files: for file in &files {
        for (key, _, amount) in &file.orders {
            let order = sarf::domain::order::EndToEndRef::parse(key).expect("ours").order;
            let found =
                sarf::store::orders::find(&bed.context.store, None, Some(order)).await.expect("found");
            if found[0].state == "settled" {
                picked = Some((file, key, *amount));
                break 'files;
            }
        }
    }
    let (file, key, amount) = picked.expect("something is settled");
    let xml = returns("R1", "", &[returned(key, amount, "AC04")]);
    // It is booked, and a person is told of it beside.
    assert_eq!(take(&bed, "late.xml", &xml).await, Ok([2, 1, 0, 1]));
    assert_eq!(bed.open_breaks().await, ["late_return 1"]);
    assert_eq!(bed.state(run).await, RunState::Closed);
    assert_eq!(ledger_returned(&bed).await, before + amount.get());
    bed.verify_all_holds().await;

    // Until the account statement has the credit, the reconciliation misses it.
    let found = bed.reconcile(run).await;
    assert_eq!((found.state, found.open_breaks), (RunState::Closed, 2), "{:?}", bed.open_breaks().await);
    let credit = statement(file, "LATE", false, &[key]);
    assert_eq!(take(&bed, "credit.xml", &credit).await, Ok([1, 1, 0, 0]));
    assert_eq!(bed.reconcile(run).await.state, RunState::Closed);
    assert_eq!(bed.open_breaks().await.iter().filter(|b| b.starts_with("missing_at_bank")).count(), 0);
    bed.verify_all_holds().await;
    bed.end().await;
}
