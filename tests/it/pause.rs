//! A run is paused and let go on, by the program: meanwhile no file leaves, afterwards each leaves once.

use std::fs;

use sarf::domain::run::RunState;
use sarf::pipeline::exchange::{self, Word};

use crate::exchange::with_files;
use crate::harness::{ACCOUNTANT, Bed, Program, sent_files};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_a_paused_run_leaves_until_it_is_resumed() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 31, RunState::Dispatching).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let paused =
        || async { bed.rows(&format!("select paused::text from run where id = {run}")).await.remove(0) };
    let totals = format!(
        "select state || ' ' || orders || ' ' || amount from run_total where run_id = {run} order by 1"
    );
    let before = bed.rows(&totals).await;

    for (by, code) in [("amina", 1), ("brahim", 1), ("chafik", 0), ("chafik", 0)] {
        let ran = program.run(&format!("run pause {run} --as {by}"));
        assert_eq!(ran.code, code, "{by}: {ran:?}");
    }
    assert_eq!(paused().await, "true");
    let shown = program.ends(0, &format!("--json run show {run}")).json();
    assert_eq!(shown["run"]["paused"], true, "{shown}");
    for _ in 0..2 {
        let refused = program.ends(1, &format!("dispatch {run}"));
        assert!(refused.err.contains("is paused") && refused.err.contains("sarf run resume"), "{refused:?}");
    }
    assert!(!bed.outbox().exists() || sent_files(&bed.outbox()).is_empty(), "nothing has left");
    assert_eq!(bed.rows(&totals).await, before, "nothing has moved");
    assert_eq!(
        bed.number(&format!("select count(*) from batch where run_id = {run} and message_id is not null"))
            .await,
        0
    );
    assert_eq!(bed.state(run).await, RunState::Dispatching);
    bed.verify_all_holds().await;

    for (by, code) in [("amina", 1), ("chafik", 0), ("chafik", 0)] {
        let ran = program.run(&format!("run resume {run} --as {by}"));
        assert_eq!(ran.code, code, "{by}: {ran:?}");
    }
    assert_eq!(paused().await, "false");
    program.ends(0, &format!("dispatch {run}"));
    assert_eq!(bed.state(run).await, RunState::Settling);
    let left: usize = sent_files(&bed.outbox()).iter().map(|file| file.orders.len()).sum();
    let sent = format!("select sum(orders)::bigint from run_total where run_id = {run} and state = 'sent'");
    assert!(left > 200, "{left}");
    assert_eq!(left as i64, bed.number(&sent).await);
    // Each decision stands in the audit once, with who took it.
    let decided = "select actor || ' ' || action from audit where action in ('run.pause', 'run.resume') order by sequence";
    assert_eq!(bed.rows(decided).await, ["chafik run.pause", "chafik run.resume"]);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_a_paused_run_goes_to_a_server_and_none_that_was_answered() {
    let Some((bed, sshd, files)) = with_files().await else { return };
    let run = bed.number("select max(id) from run").await;
    bed.write(&format!("update run set paused = true where id = {run}")).await.expect("paused");
    for (code, _) in &files {
        let done = exchange::exchange(&bed.context, code).await.expect("exchanged");
        assert_eq!(done.brought, 0, "{done:?}");
        assert_eq!(fs::read_dir(sshd.folder(&format!("in/{code}"))).expect("a folder").count(), 0, "{code}");
    }
    bed.write(&format!("update run set paused = false where id = {run}")).await.expect("resumed");
    // A bank that has the file by another way answers for a single order: it is not brought a second time.
    let (code, name) = files[0].clone();
    let of = format!("(select batch_id from file_delivery where file_name = '{name}')");
    bed.write(&format!("update batch set outcomes = 1 where id = {of}")).await.expect("answered");
    exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(!sshd.folder(&format!("in/{code}")).join(&name).exists());
    let again = exchange::decide(&bed.context, &code, &name, Word::Again, ACCOUNTANT, "asked").await;
    assert!(again.is_err_and(|e| e.to_string().contains("answered")), "what was answered is not sent again");
    // The others leave.
    let other = files.iter().find(|(other, _)| *other != code).expect("another bank").0.clone();
    assert!(exchange::exchange(&bed.context, &other).await.expect("exchanged").brought > 0);
}
