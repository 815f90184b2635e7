//! A disk that is full is told as such, with what to do, and the command can be given again.

use std::fs;
use std::os::unix::fs::symlink;

use sarf::domain::run::RunState;
use sarf::store::StoreError;

use crate::harness::{Bed, Program, TempHome, sent_files};
use crate::returns::statement;

/// The database refuses rows of a table as PostgreSQL does when its disk is full (SQLSTATE 53100).
async fn fill(bed: &Bed, table: &str) {
    bed.execute(&format!(
        "create function full_disk() returns trigger language plpgsql as
           $$ begin raise exception 'could not extend file \"base/1/2\": No space left on device' using errcode = 'disk_full'; end $$;
         create trigger full_disk before insert on {table} for each statement execute function full_disk()"
    ))
    .await
    .expect("a full disk");
}

async fn free(bed: &Bed) {
    bed.execute("drop function full_disk() cascade").await.expect("room again");
}

const HINT: &str = "hint: the disk of the database is full: free space there, then give the command again";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_databases_full_disk_is_told_and_the_command_goes_on_later() {
    let Some(bed) = Bed::new().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let list = bed.generate(300, 22);
    let import = format!("snapshot import {}", list.display());
    fill(&bed, "snapshot").await;
    let refused = bed.execute("insert into snapshot default values").await.expect_err("full");
    assert!(sarf::store::hint_of(&refused).contains("disk of the database is full"), "{refused}");
    assert!(!StoreError::from(refused).is_gone(), "another connection meets the same disk");
    let ran = program.ends(1, &import);
    assert!(ran.err.contains("No space left on device") && ran.err.contains(HINT), "{ran:?}");
    free(&bed).await;
    program.ends(0, &import);

    // A message that the database has no room for is no fault of the bank's.
    let run = bed
        .create(sarf::domain::ids::SnapshotId::new(bed.number("select max(id) from snapshot").await))
        .await;
    bed.take_to(run, RunState::Settling).await;
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 3).expect("a file");
    let path = bed.home().join("statement.xml");
    fs::write(&path, statement(&file, "S1", true, &[])).expect("a message");
    fill(&bed, "statement").await;
    let import = format!("feedback import {}", path.display());
    let ran = program.ends(1, &import);
    assert!(ran.out.contains("No space left on device") && ran.err.contains(HINT), "{ran:?}");
    assert!(!ran.err.contains("ask the bank"), "{ran:?}");
    assert_eq!(bed.number("select count(*) from message").await, 0);
    free(&bed).await;
    program.ends(0, &import);
    let state = format!("select state from batch where message_id = '{}'", file.message_id);
    assert_eq!(bed.rows(&state).await, ["settled"]);
    bed.end().await;
}

#[test]
fn a_list_that_finds_no_room_is_said_to_be_unwritten() {
    let home = TempHome::new("full");
    let program = Program::new(home.path());
    for (compression, ending) in
        [("plain", "csv"), ("gzip", "csv.gz"), ("zstd", "csv.zst"), ("parquet", "parquet")]
    {
        for part in ["households", "members"] {
            let folder = home.path().join(format!("{compression}-{part}"));
            fs::create_dir(&folder).expect("a folder");
            symlink("/dev/full", folder.join(format!("{part}.{ending}"))).expect("a link");
            let ran = program.ends(
                1,
                &format!(
                    "generate --households 3000 --period 2026-11 --compression {compression} --out {}",
                    folder.display()
                ),
            );
            let what =
                format!("error: part `{part}.{ending}`: the file cannot be written: No space left on device");
            assert!(ran.err.contains(&what), "{compression}: {ran:?}");
            assert!(ran.err.contains("hint: the disk is full: free space"), "{compression}: {ran:?}");
            assert!(!folder.join("manifest.json").exists(), "nothing that looks whole is left");
        }
    }
}
