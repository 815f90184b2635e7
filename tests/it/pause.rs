//! A run is paused and let go on, by the program: meanwhile no file leaves, afterwards each leaves once.

use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, sent_files};

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
