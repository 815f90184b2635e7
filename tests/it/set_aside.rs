//! Files that cannot be taken as they came: kept whole with why, told to whoever asks, tried again or dismissed.

use std::fs;
use std::path::PathBuf;

use sarf::domain::run::RunState;
use sarf::pipeline::messages::set_aside::SetAsideError;
use sarf::pipeline::messages::{FeedbackError, set_aside};

use crate::harness::{ACCOUNTANT, Bed, PREPARER, Program, sent_files};

/// A statement of the account that a file was paid from, with so many credits that nobody knows.
fn statement(bed: &Bed, credits: usize) -> PathBuf {
    let file = sent_files(&bed.outbox()).remove(0);
    let entry = |n: usize| {
        format!(
            "<Ntry><NtryRef>N{n}</NtryRef><Amt Ccy=\"MAD\">5.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>\
             <BookgDt><Dt>2026-11-25</Dt></BookgDt><BkTxCd/><NtryDtls><TxDtls><RmtInf><Ustrd>unknown {n}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        )
    };
    let entries: String = (0..credits).map(entry).collect();
    let text = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr><MsgId>S{credits}</MsgId>\
         <CreDtTm>2026-11-25T20:00:00</CreDtTm></GrpHdr><Stmt><Id>S{credits}</Id><CreDtTm>2026-11-25T20:00:00</CreDtTm>\
         <Acct><Id><Othr><Id>{}</Id></Othr></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>",
        file.debtor_account
    );
    let path = bed.home().join(format!("statement-{credits}.xml"));
    fs::write(&path, text).expect("written");
    path
}

/// What waits: number, tries, breaks.
async fn waiting(bed: &Bed) -> Vec<String> {
    bed.rows(
        "select id || ' tries ' || tries || ' breaks ' || coalesce(breaks::text, '-') from message_set_aside
          where settled_at is null order by id",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_would_open_too_many_breaks_is_a_persons_to_decide() {
    let Some(mut bed) = Bed::new().await else { return };
    bed.run_to(60, 3, RunState::Settling).await;
    bed.change(|config| config.settings.feedback.breaks_max = 4);
    let (few, many) = (statement(&bed, 4), statement(&bed, 5));
    assert!(bed.feedback(vec![few]).await[0].1.is_ok());
    let before = bed.rows("select kind || ' ' || amount from break order by id").await;
    for tries in 1..3 {
        let result = bed.feedback(vec![many.clone()]).await.remove(0).1;
        assert!(matches!(result, Err(FeedbackError::BreakStorm { breaks: 5, limit: 4 })), "{result:?}");
        assert_eq!(bed.rows("select kind || ' ' || amount from break order by id").await, before);
        assert_eq!(waiting(&bed).await, [format!("1 tries {tries} breaks 5")]);
    }
    bed.verify_all_holds().await;
    fs::remove_file(&many).expect("the bank's copy may go");

    // Tried again it is the same; to have it all the same takes the accountant.
    let again = set_aside::again(&bed.context, 1, None).await.expect("tried");
    assert!(again[0].1.is_err());
    let refused = set_aside::again(&bed.context, 1, Some(PREPARER)).await;
    assert!(matches!(refused, Err(SetAsideError::Refused(_))), "{refused:?}");
    let taken = set_aside::again(&bed.context, 1, Some(ACCOUNTANT)).await.expect("tried");
    assert_eq!(taken[0].1.as_ref().expect("applied").counts.breaks, 5);
    assert_eq!(waiting(&bed).await, Vec::<String>::new());
    let copies = fs::read_dir(bed.home().join("set-aside")).expect("its folder").count();
    assert_eq!(copies, 0, "the copy is gone once something came of it");
    let settled = set_aside::again(&bed.context, 1, None).await;
    assert!(matches!(settled, Err(SetAsideError::Settled { .. })), "{settled:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_file_is_kept_told_and_tried_again() {
    let Some(bed) = Bed::new().await else { return };
    bed.run_to(60, 3, RunState::Settling).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let good = statement(&bed, 1);
    let broken = bed.home().join("broken.xml");
    let text = fs::read_to_string(&good).expect("a statement");
    fs::write(&broken, text.replace("</Stmt>", "</Stmr>")).expect("written");
    program.ends(1, &format!("feedback import {}", broken.display()));
    let listed = program.ends(3, "feedback list --json").json();
    assert_eq!((listed[0]["id"].as_i64(), listed[0]["tries"].as_i64()), (Some(1), Some(1)));
    let shown = program.ends(0, "feedback show 1");
    assert!(shown.out.contains("for the bank: Your file broken.xml (SHA-256 "), "{shown:?}");
    assert!(shown.out.contains("in `BkToCstmrStmt/Stmt`"), "the place is told: {shown:?}");

    // The watcher's and a person's are one: a second try counts, whoever makes it.
    program.ends(1, "feedback again 1");
    assert_eq!(waiting(&bed).await, ["1 tries 2 breaks -"]);
    program.ends(1, "feedback dismiss 1 --why sent-anew --as amina");
    program.ends(0, "feedback dismiss 1 --why sent-anew --as chafik");
    program.ends(1, "feedback again 1");
    program.ends(0, "feedback list");
    // One that came too early, before its cause was mended here.
    let settings = program.config.join("sarf.toml");
    let delivered = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, delivered.replace("depth_max = 32", "depth_max = 16")).expect("written");
    let deep = bed.home().join("deep.xml");
    let nested = format!("{}{}", "<Strd>".repeat(12), "</Strd>".repeat(12));
    fs::write(&deep, text.replace("<Ustrd>unknown 0</Ustrd>", &nested)).expect("written");
    program.ends(1, &format!("feedback import {}", deep.display()));
    assert_eq!(waiting(&bed).await, ["3 tries 1 breaks -"]);
    fs::write(&settings, delivered).expect("written");
    let applied = program.run("feedback again 3");
    assert!(matches!(applied.code, 0 | 3), "{applied:?}");
    assert_eq!(waiting(&bed).await, Vec::<String>::new());
    bed.verify_all_holds().await;
    bed.end().await;
}
