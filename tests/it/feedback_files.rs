//! Files as they come: several messages in one, pages, names used again, corrections, and what is no message.

use std::fs;
use std::path::PathBuf;

use sarf::domain::run::RunState;
use sarf::pipeline::messages::{Imported, left_alone};

use crate::harness::{Bed, Sent, sent_files};

/// What of a statement differs from one to the next.
#[derive(Clone, Copy, Default)]
struct Head<'a> {
    id: &'a str,
    page: &'a str,
    period: &'a str,
    created: &'a str,
}

fn statement(file: &Sent, message: &str, head: Head<'_>, entries: &str) -> String {
    let created = if head.created.is_empty() { "2026-11-26T06:00:00" } else { head.created };
    let id = if head.id.is_empty() { String::new() } else { format!("<Id>{}</Id>", head.id) };
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><GrpHdr><MsgId>{message}</MsgId>\
         <CreDtTm>{created}</CreDtTm></GrpHdr><Stmt>{id}{}<CreDtTm>{created}</CreDtTm>{}\
         <Acct><Id><Othr><Id>{}</Id></Othr></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>",
        head.page, head.period, file.debtor_account
    )
}

fn entry(amount: &str, side: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
         <BkTxCd/><NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

fn debit(file: &Sent) -> String {
    let details = format!("<Btch><MsgId>{}</MsgId></Btch>", file.message_id);
    entry(&file.control_sum.to_string(), "DBIT", &details)
}

fn back(file: &Sent, at: usize) -> String {
    let (key, _, amount) = &file.orders[at];
    let details = format!(
        "<TxDtls><Refs><EndToEndId>{key}</EndToEndId></Refs><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>"
    );
    entry(&amount.to_string(), "CRDT", &details)
}

fn write(bed: &Bed, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = bed.home().join(name);
    fs::write(&path, bytes).expect("a message");
    path
}

/// What each message of a file came to, or why it was refused.
async fn take(bed: &Bed, name: &str, bytes: impl AsRef<[u8]>) -> Vec<Result<Imported, String>> {
    let results = bed.feedback(vec![write(bed, name, bytes)]).await;
    let text = |error: &dyn std::error::Error| {
        let chain = std::iter::successors(Some(error), |e| e.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    results.into_iter().map(|(_, result)| result.map_err(|e| text(&e))).collect()
}

async fn batch_state(bed: &Bed, file: &Sent) -> String {
    bed.rows(&format!("select state from batch where message_id = '{}'", file.message_id)).await.remove(0)
}

async fn returned(bed: &Bed) -> i64 {
    bed.number("select count(*) from outcome where step = 12").await
}

async fn dispatched() -> Option<(Bed, Vec<Sent>)> {
    let bed = Bed::new().await?;
    bed.run_to(400, 22, RunState::Settling).await;
    let mut files = sent_files(&bed.outbox());
    files.retain(|f| f.orders.len() >= 3);
    files.dedup_by(|a, b| a.provider == b.provider);
    assert!(files.len() > 3, "enough files to speak of");
    Some((bed, files))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_of_an_envelope_is_read() {
    let Some((bed, files)) = dispatched().await else { return };
    let named = |id| Head { id, ..Head::default() };
    let (one, two) = (
        statement(&files[0], "E1", named("A1"), &debit(&files[0])),
        statement(&files[1], "E2", named("B1"), &debit(&files[1])),
    );
    let status = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>E3</MsgId>\
         <CreDtTm>2026-11-26T06:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>ACCP</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
        files[2].message_id
    );
    let foreign = "<Document xmlns=\"urn:x\"><admi.002.001.01><Rsn/></admi.002.001.01></Document>";
    let head = "<AppHdr><Fr/><MsgDefIdr>x</MsgDefIdr></AppHdr>";
    let envelope = format!("<Xchg>{head}{one}{head}{two}<Part>{head}{status}</Part>{foreign}</Xchg>");
    let results = take(&bed, "envelope.xml", &envelope).await;
    assert_eq!(results.len(), 4);
    let kinds: Vec<_> = results.iter().take(3).map(|r| r.as_ref().expect("read")).collect();
    assert_eq!(
        kinds.iter().map(|i| (i.kind, i.document, i.documents, i.counts.applied)).collect::<Vec<_>>(),
        [("camt.053", 1, 4, 1), ("camt.053", 2, 4, 1), ("pain.002", 3, 4, 1)]
    );
    let error = results[3].as_ref().expect_err("not read here");
    assert!(error.contains("neither a message that sarf knows"), "{error}");
    for (file, state) in files.iter().zip(["settled", "settled", "accepted"]) {
        assert_eq!(batch_state(&bed, file).await, state);
    }
    // The same again: nothing is done, and it is said as which message each was taken.
    let again = take(&bed, "again.xml", &envelope).await;
    for (first, second) in results.iter().zip(&again).take(3) {
        let (first, second) = (first.as_ref().expect("read"), second.as_ref().expect("known"));
        assert!(second.already);
        assert_eq!((second.message, second.first_file.as_deref()), (first.message, Some("envelope.xml")));
    }
    // Cut in its second document, nothing of it is taken; two documents in a row are told, with the place.
    let other = envelope.replace("E1", "F1").replace("A1", "C1");
    let cut = take(&bed, "cut.xml", &other[..other.len() / 2]).await;
    assert!(cut.len() == 1 && cut[0].as_ref().is_err_and(|e| e.contains("truncated")), "{cut:?}");
    for between in ["", "\n", "<?xml version=\"1.0\"?>"] {
        let row = take(&bed, "row.xml", format!("{one}{between}{two}")).await;
        let place = format!("refused at byte {}", one.len());
        let error = row[0].as_ref().expect_err("refused").clone();
        assert!(error.contains("a second XML document begins here"), "{error}");
        let at: u64 = error
            .split("at byte ")
            .nth(1)
            .and_then(|t| t.split(',').next())
            .and_then(|t| t.parse().ok())
            .expect("a place");
        assert!(at >= one.len() as u64 && at < one.len() as u64 + 120, "{place}: {error}");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_known_by_account_reference_page_and_period() {
    let Some((bed, files)) = dispatched().await else { return };
    let file = &files[0];
    let page =
        |n: u8, last: bool| format!("<StmtPgntn><PgNb>{n}</PgNb><LastPgInd>{last}</LastPgInd></StmtPgntn>");
    let (first, last) = (page(1, false), page(2, true));
    let head = Head { id: "S1", page: &first, ..Head::default() };
    take(&bed, "p1.xml", statement(file, "P1", head, &debit(file))).await;
    take(&bed, "p2.xml", statement(file, "P2", Head { page: &last, ..head }, &back(file, 0))).await;
    assert_eq!((batch_state(&bed, file).await.as_str(), returned(&bed).await), ("settled", 1));
    assert_eq!(bed.open_breaks().await, Vec::<String>::new());
    // Page 2 once more, from another message: passed over, and told as what it came before.
    take(&bed, "p2-again.xml", statement(file, "P3", Head { page: &last, ..head }, &back(file, 1))).await;
    assert_eq!(returned(&bed).await, 1);
    let told = bed.rows("select detail from break where kind = 'statement_repeated'").await;
    assert!(told.len() == 1 && told[0].contains("in message 2 (`p2.xml`)"), "{told:?}");
    // The same reference next year, and for another period, is another statement.
    let next_year = Head { id: "S1", created: "2027-11-26T06:00:00", ..Head::default() };
    take(&bed, "y.xml", statement(file, "Y1", next_year, &back(file, 1))).await;
    assert_eq!(returned(&bed).await, 2);
    let period = "<FrToDt><FrDtTm>2026-12-01T00:00:00</FrDtTm><ToDtTm>2026-12-02T00:00:00</ToDtTm></FrToDt>";
    let other = Head { id: "Q1", period, ..Head::default() };
    take(&bed, "q1.xml", statement(file, "Q1", other, &back(file, 2))).await;
    let later = period.replace("12-0", "12-1");
    take(&bed, "q2.xml", statement(file, "Q2", Head { period: &later, ..other }, &entry("1.00", "CRDT", "")))
        .await;
    assert_eq!(returned(&bed).await, 3);
    assert_eq!(bed.open_breaks().await, ["statement_repeated 1", "unknown_reference 1"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_a_period_is_another_one_in_another_year() {
    let Some((bed, files)) = dispatched().await else { return };
    let file = &files[0];
    let made = |created| Head { id: "12", created, ..Head::default() };
    let december = statement(file, "D1", made("2026-12-30T06:00:00"), &debit(file));
    take(&bed, "d1.xml", &december).await;
    assert_eq!(batch_state(&bed, file).await, "settled");
    // The same bytes are the same message, whatever the file is called.
    let again = take(&bed, "d1-again.xml", &december).await.remove(0).expect("known");
    assert!(again.already);
    assert_eq!((again.message.map(|m| m.get()), again.first_file.as_deref()), (Some(1), Some("d1.xml")));
    // The same number of the same year in other bytes, later or not: passed over, and told.
    for (name, created) in [("d2", "2026-12-30T06:00:00"), ("d3", "2026-12-31T18:00:00")] {
        let other = statement(file, name, made(created), &back(file, 0));
        take(&bed, &format!("{name}.xml"), other).await;
    }
    assert_eq!((returned(&bed).await, bed.open_breaks().await), (0, vec!["statement_repeated 2".to_owned()]));
    let told = bed.rows("select detail from break where kind = 'statement_repeated'").await;
    assert!(told.iter().all(|t| t.contains("in message 1 (`d1.xml`)")), "{told:?}");
    // Of the next year it is another statement, since banks begin again: what is new of it is taken.
    let january = statement(file, "J1", made("2027-01-04T06:00:00"), &back(file, 1));
    take(&bed, "j1.xml", january).await;
    assert_eq!((returned(&bed).await, bed.open_breaks().await.len()), (1, 1));
    bed.verify_all_holds().await;

    // December's sent once more in January, in other bytes: what it books again is in suspense and in front of a person.
    let file = &files[1];
    let december = format!("{}{}", debit(file), back(file, 0));
    take(&bed, "e1.xml", statement(file, "E1", made("2026-12-30T06:00:00"), &december)).await;
    assert_eq!((batch_state(&bed, file).await.as_str(), returned(&bed).await), ("settled", 2));
    take(&bed, "e2.xml", statement(file, "E2", made("2027-01-04T06:00:00"), &december)).await;
    assert_eq!((batch_state(&bed, file).await.as_str(), returned(&bed).await), ("settled", 2));
    assert_eq!(bed.open_breaks().await, ["booked_twice 2", "statement_repeated 2"]);
    let suspense =
        bed.number("select sum(balance)::bigint from ledger_account where kind = 'suspense'").await;
    assert_eq!(suspense, file.control_sum.get() - file.orders[0].2.get());
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_was_taken_of_shuts_out_nothing() {
    let Some((bed, files)) = dispatched().await else { return };
    let file = &files[0];
    let head = Head { id: "S1", ..Head::default() };
    let burned = statement(file, "B1", head, &debit(file).replace(&file.control_sum.to_string(), "12,34"));
    let counts = take(&bed, "b1.xml", burned).await.remove(0).expect("read").counts;
    assert_eq!((counts.entries, counts.applied, counts.breaks), (1, 0, 1));
    take(&bed, "b2.xml", statement(file, "B2", head, &debit(file))).await;
    assert_eq!(batch_state(&bed, file).await, "settled");
    assert_eq!(bed.open_breaks().await, ["faulty_entry 1"]);
    // Of the corrected one something was taken: it is known now.
    take(&bed, "b3.xml", statement(file, "B3", head, &back(file, 0))).await;
    assert_eq!(returned(&bed).await, 0);
    // Without an id: told, and both are read.
    let file = &files[1];
    take(&bed, "n1.xml", statement(file, "N1", Head::default(), &debit(file))).await;
    take(&bed, "n2.xml", statement(file, "N2", Head::default(), &back(file, 0))).await;
    assert_eq!((batch_state(&bed, file).await.as_str(), returned(&bed).await), ("settled", 1));
    let told = bed.number("select count(*) from break where detail like 'the statement has no id%'");
    assert_eq!(told.await, 2);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_nothing_or_is_no_message_is_told() {
    let Some((bed, files)) = dispatched().await else { return };
    let file = &files[0];
    let empty = statement(file, "E1", Head { id: "S1", ..Head::default() }, "");
    let begin = empty.find("<Stmt>").expect("a statement");
    let end = empty.find("</Stmt>").expect("its end") + 7;
    let none = format!("{}{}", &empty[..begin], &empty[end..]).replace("E1", "E2");
    for (name, xml, missing) in [
        ("empty.xml", &empty, Some("its statements hold no entry")),
        ("none.xml", &none, Some("the message holds no statement")),
        ("full.xml", &statement(file, "E3", Head { id: "S2", ..Head::default() }, &debit(file)), None),
    ] {
        assert_eq!(take(&bed, name, xml).await.remove(0).expect("read").empty, missing, "{name}");
    }
    for (name, bytes, told) in [
        ("a.zip", &b"PK\x03\x04rest"[..], "is a ZIP archive"),
        ("a.xml.gz", b"\x1f\x8b\x08rest", "is a gzip file"),
    ] {
        let error = take(&bed, name, bytes).await.remove(0).expect_err("refused");
        assert!(error.contains(told), "{error}");
    }
    // By content, whatever the name.
    for (name, bytes, alone) in [
        ("STATEMENT.XML", empty.as_bytes(), None),
        ("B.C53", empty.as_bytes(), None),
        ("noending", empty.as_bytes(), None),
        ("settlement.txt", b"\xEF\xBB\xBF\"H\";cashplus;STL1", None),
        ("wide.csv", b"\xff\xfeH\0,\0", None),
        ("packed.bin", b"PK\x03\x04", None),
        ("readme.txt", b"please import", Some("neither XML nor a settlement file")),
        ("nothing", b"", Some("empty")),
    ] {
        assert_eq!(left_alone(&write(&bed, name, bytes)), alone, "{name}");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}
