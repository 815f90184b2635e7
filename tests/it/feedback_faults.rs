//! What banks get wrong becomes a break of its kind, or the file is refused; everything else goes on.

use std::fs;
use std::path::PathBuf;

use sarf::domain::ids::RunId;
use sarf::domain::run::RunState;
use sarf::pipeline::runs::reconcile;
use sarf::sandbox::Share;
use sarf::sandbox::banks::{Faults, StatusStyle};

use crate::harness::{ACCOUNTANT, Bed, Sent, sent_files};

/// A fault of the sandbox: the kinds of breaks that must be open after reconciliation, and whether files are refused.
struct Case {
    name: &'static str,
    faults: Faults,
    kinds: &'static [&'static str],
    refused: bool,
    /// Whether the run ends explained nevertheless.
    explained: bool,
}

fn cases() -> Vec<Case> {
    let none = Faults::default();
    let all = Share::ALL;
    let half = Share::per_million(500_000);
    let case = |name, faults, kinds, refused, explained| Case { name, faults, kinds, refused, explained };
    vec![
        case("wrong amounts", Faults { wrong_amounts: all, ..none }, &["amount_differs"], false, false),
        case("unknown orders", Faults { unknown_orders: all, ..none }, &["unknown_reference"], false, false),
        case(
            "settled rejections",
            Faults { settled_rejections: all, ..none },
            &["batch_differs"],
            false,
            false,
        ),
        case("wrong closings", Faults { wrong_closings: all, ..none }, &["balance_differs"], false, false),
        case(
            "skipped statements",
            Faults { skipped_statements: half, ..none },
            &["missing_at_bank"],
            false,
            false,
        ),
        case("truncated", Faults { truncated: half, ..none }, &["missing_at_bank"], true, false),
        case("duplicated", Faults { duplicated: all, ..none }, &[], false, true),
        // The statement tells of the money; of orders that it does not, only the report would have.
        case("dropped reports", Faults { dropped_reports: all, ..none }, &["batch_differs"], false, false),
    ]
}

async fn check(bed: &Bed, run: RunId, case: &Case) {
    let answers = bed.answer(case.faults, StatusStyle::Mixed);
    let name = case.name;
    assert!(answers.rejected > 0 && answers.returned > 0, "{name}: nothing could go wrong");
    let results = bed.feedback(answers.files).await;
    let refused = results.iter().filter(|(_, r)| r.is_err()).count();
    assert_eq!(refused > 0, case.refused, "{name}: {refused} refused");
    let messages = bed.number("select count(*) from message").await;
    let known = results.iter().filter(|(_, r)| r.as_ref().is_ok_and(|i| i.already)).count();
    assert_eq!(
        messages as usize,
        results.len() - refused - known,
        "{name}: a refused file leaves no message"
    );
    let found = bed.reconcile(run).await;
    let open = bed.open_breaks().await;
    for kind in case.kinds {
        assert!(open.iter().any(|line| line.starts_with(&format!("{kind} "))), "{name}: {open:?}");
    }
    assert_eq!(found.is_explained(), case.explained, "{name}: {found:?} {open:?}");
    bed.verify_all_holds().await;
    if !case.explained {
        let error = reconcile::close(&bed.context, run, ACCOUNTANT, None).await.expect_err(name);
        assert!(error.to_string().starts_with(&format!("run `{run}` has ")), "{name}: {error}");
        assert_eq!(bed.state(run).await, RunState::Settling, "{name}");
        reconcile::close(&bed.context, run, ACCOUNTANT, Some("with the banks")).await.expect(name);
        let carried = bed.rows("select subject || ': ' || reason from carried_forward where reason = 'with the banks' order by 1").await;
        assert_eq!(
            found.open_breaks > 0,
            carried.iter().any(|c| c.starts_with("open breaks: ")),
            "{name}: {carried:?}"
        );
        assert!(!carried.is_empty(), "{name}");
    } else {
        reconcile::close(&bed.context, run, ACCOUNTANT, None).await.expect(name);
    }
    assert_eq!(bed.state(run).await, RunState::Closed);
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_bank_becomes_a_break() {
    for case in cases() {
        let Some(bed) = Bed::new().await else { return };
        let run = bed.run_to(500, 21, RunState::Settling).await;
        check(&bed, run, &case).await;
        bed.end().await;
    }
}

fn status(version: &str, original: &str, group: &str, transactions: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}\"><CstmrPmtStsRpt><GrpHdr><MsgId>M{version}{original}{}</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{original}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>{transactions}</CstmrPmtStsRpt></Document>",
        transactions.len()
    )
}

fn rejected(end_to_end: &str) -> String {
    format!(
        "<TxInfAndSts><OrgnlEndToEndId>{end_to_end}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts>"
    )
}

/// A statement in version 02, whose entries state their status as plain text.
fn statement(file: &Sent, id: &str, entries: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-11-26T06:00:00</CreDtTm></GrpHdr><Stmt><Id>{id}</Id><ElctrncSeqNb>1</ElctrncSeqNb><CreDtTm>2026-11-26T06:00:00</CreDtTm>\
         <Acct><Id><Othr><Id>{}</Id></Othr></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>",
        file.debtor_account
    )
}

fn entry(amount: &str, direction: &str, status: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts>{status}</Sts><BookgDt><Dt>2026-11-25</Dt></BookgDt>\
         <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

fn prefixed(xml: &str) -> String {
    let marked = xml.replace("</", "\u{1}").replace('<', "<b:").replace('\u{1}', "</b:");
    marked.replacen("xmlns=", "xmlns:b=", 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_shape_are_read() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(400, 22, RunState::Settling).await;
    let mut files = sent_files(&bed.outbox());
    files.retain(|f| f.orders.len() > 3);
    assert!(files.len() > 4, "enough files to speak of");
    let write = |name: &str, xml: &str| -> PathBuf {
        let path = bed.home().join(name);
        fs::write(&path, xml).expect("a message");
        path
    };
    let states = |provider: String| {
        let bed = &bed;
        async move {
            bed.rows(&format!(
                "select t.state || ' ' || t.orders from run_total t join provider p on p.id = t.provider_id
            where p.code = '{provider}' and t.orders > 0 and t.state <> 'held' order by 1"
            ))
            .await
        }
    };
    let take = |path: PathBuf| {
        let bed = &bed;
        async move {
            let mut results = bed.feedback(vec![path]).await;
            results
                .remove(0)
                .1
                .map(|i| (i.counts.entries, i.counts.applied, i.counts.noted, i.counts.breaks))
                .map_err(|e| {
                    let (mut text, mut source) = (e.to_string(), std::error::Error::source(&e));
                    while let Some(inner) = source {
                        text = format!("{text}: {inner}");
                        source = inner.source();
                    }
                    text
                })
        }
    };

    // A whole file is refused.
    let whole = &files[0];
    let xml = status(
        "12",
        &whole.message_id,
        "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>AM10</Cd></Rsn></StsRsnInf>",
        "",
    );
    assert_eq!(take(write("group.xml", &xml)).await, Ok((1, 1, 0, 0)));
    assert_eq!(states(whole.provider.clone()).await, [format!("rejected {}", whole.orders.len())]);

    // Its orders' own reasons may follow: they are kept, and nothing is counted twice.
    let singles: String = whole.orders[0..2].iter().map(|(id, ..)| rejected(id)).collect();
    let block = format!(
        "<OrgnlPmtInfAndSts><OrgnlPmtInfId>{}</OrgnlPmtInfId>{singles}</OrgnlPmtInfAndSts>",
        whole.message_id
    );
    assert_eq!(
        take(write("reasons.xml", &status("10", &whole.message_id, "", &block))).await,
        Ok((2, 2, 0, 0))
    );
    assert_eq!(states(whole.provider.clone()).await, [format!("rejected {}", whole.orders.len())]);

    // A second delivery refused says nothing of the first: the file stands, and a person is asked.
    let again = &files[4];
    let xml = status(
        "10",
        &again.message_id,
        "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>",
        "",
    );
    assert_eq!(take(write("second.xml", &xml)).await, Ok((1, 0, 0, 1)));
    assert_eq!(states(again.provider.clone()).await, [format!("sent {}", again.orders.len())]);

    // Version 03, rejected transactions only.
    let some = &files[1];
    let single = |range: std::ops::Range<usize>| {
        some.orders[range].iter().map(|(id, ..)| rejected(id)).collect::<String>()
    };
    let in_payment = |singles: String| {
        format!(
            "<OrgnlPmtInfAndSts><OrgnlPmtInfId>{}</OrgnlPmtInfId>{singles}</OrgnlPmtInfAndSts>",
            some.message_id
        )
    };
    let xml = status("03", &some.message_id, "", &in_payment(single(0..2)));
    assert_eq!(take(write("singles.xml", &xml)).await, Ok((2, 2, 0, 0)));
    let rest = some.orders.len() - 2;
    assert_eq!(states(some.provider.clone()).await, ["rejected 2".to_owned(), format!("sent {rest}")]);

    // The same in a namespace prefix.
    let xml = prefixed(&status("03", &some.message_id, "", &in_payment(single(2..3))));
    assert_eq!(take(write("prefixed.xml", &xml)).await, Ok((1, 1, 0, 0)));
    assert_eq!(states(some.provider.clone()).await, ["rejected 3".to_owned(), format!("sent {}", rest - 1)]);

    // A DOCTYPE is refused, and nothing of the file is applied.
    let xml = format!(
        "<!DOCTYPE Document [<!ENTITY x \"y\">]>{}",
        status("03", &some.message_id, "", &in_payment(single(3..4)))
    );
    let refusal = take(write("doctype.xml", &xml)).await.expect_err("refused");
    assert!(refusal.contains("DOCTYPE"), "{refusal}");
    assert_eq!(states(some.provider.clone()).await, ["rejected 3".to_owned(), format!("sent {}", rest - 1)]);

    // A statement in version 02: a debit of a whole file, booked or only pending.
    let debit = |file: &Sent, state: &str| {
        let details = format!("<Btch><MsgId>{}</MsgId></Btch>", file.message_id);
        entry(&file.control_sum.to_string(), "DBIT", state, &details)
    };
    let (booked, pending) = (&files[2], &files[3]);
    assert_eq!(
        take(write("booked.xml", &statement(booked, "S1", &debit(booked, "BOOK")))).await,
        Ok((1, 1, 0, 0))
    );
    assert_eq!(states(booked.provider.clone()).await, [format!("settled {}", booked.orders.len())]);
    let (entries, applied, _, breaks) =
        take(write("pending.xml", &statement(pending, "S1", &debit(pending, "PDNG")))).await.expect("read");
    assert_eq!((entries, applied, breaks), (1, 0, 0));
    assert_eq!(states(pending.provider.clone()).await, [format!("sent {}", pending.orders.len())]);
    assert_eq!(
        bed.number("select credits + debits from statement order by message_id desc limit 1").await,
        0
    );

    // A return in version 02, of an order of the debited file; and one of a stranger.
    let (id, _, amount) = &booked.orders[0];
    let back = |id: &str| {
        let details = format!(
            "<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>"
        );
        entry(&amount.to_string(), "CRDT", "BOOK", &details)
    };
    assert_eq!(take(write("return.xml", &statement(booked, "S2", &back(id)))).await, Ok((1, 1, 0, 0)));
    assert_eq!(
        states(booked.provider.clone()).await,
        ["returned 1".to_owned(), format!("settled {}", booked.orders.len() - 1)]
    );
    // A check character that does not fit makes it a stranger.
    let last = if id.ends_with('A') { 'B' } else { 'A' };
    let stranger = format!("{}{last}", &id[..id.len() - 1]);
    assert_eq!(
        take(write("stranger.xml", &statement(booked, "S3", &back(&stranger)))).await,
        Ok((1, 0, 0, 1))
    );
    assert_eq!(
        take(write("again.xml", &statement(booked, "S2", &back(id)).replace("06:00", "07:00"))).await,
        Ok((1, 0, 0, 1))
    );
    assert_eq!(bed.open_breaks().await, ["statement_repeated 1", "status_conflict 1", "unknown_reference 1"]);
    bed.verify_all_holds().await;
    bed.end().await;
}
