//! Dispatches of one run by several processes, and files that are not whole in the outbox any more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::domain::hex;
use sarf::domain::run::RunState;
use sarf::rails::stream::secrets;
use sha2::{Digest as _, Sha256};

use crate::harness::{ACCOUNTANT, Bed, Moods, PREPARER, Program, TempHome, TestProvider};

const TRIALS: usize = 8;

/// Path below the outbox and hash of every file there; temporary ones too.
fn lying(outbox: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for provider in fs::read_dir(outbox).into_iter().flatten().flatten() {
        for file in fs::read_dir(provider.path()).into_iter().flatten().flatten() {
            let path = file.path();
            let name = path.strip_prefix(outbox).expect("below").display().to_string();
            found.push((name, hex(&Sha256::digest(fs::read(&path).expect("a file")))));
        }
    }
    found.sort();
    found
}

/// The same as the database has it.
async fn recorded(bed: &Bed) -> Vec<(String, String)> {
    let rows = bed
        .rows(
            "select p.code || '/' || b.file_name || ' ' || encode(b.file_sha256, 'hex') from batch b join provider p on p.id = b.provider_id
              where b.state = 'sent' order by 1",
        )
        .await;
    rows.iter()
        .map(|row| row.split_once(' ').map(|(n, h)| (n.to_owned(), h.to_owned())).expect("two"))
        .collect()
}

fn in_small_files(program: &Program) {
    let path = program.config.join("sarf.toml");
    let text = fs::read_to_string(&path).expect("settings");
    let small = text.replace("orders_per_file = 100000", "orders_per_file = 60");
    assert_ne!(small, text);
    fs::write(&path, small).expect("settings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_dispatches_of_one_run_write_each_file_once_and_whole() {
    let Some(bed) = Bed::with(|config| config.settings.dispatch.orders_per_file = 60).await else { return };
    let run = bed.run_to(1_200, 3, RunState::Dispatching).await;
    let mut random = ChaCha8Rng::seed_from_u64(20_261_128);
    let (mut told, mut killed) = (0, 0);
    for (trial, bed) in bed.fork(TRIALS).await.into_iter().enumerate() {
        let home = TempHome::new("da");
        let program = Program { url: Some(bed.url()), ..Program::new(home.path()) };
        in_small_files(&program);
        let spawn = || {
            program
                .command(&["dispatch", &run.to_string()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        };
        let mut both = vec![spawn()];
        std::thread::sleep(Duration::from_millis(random.next_u64() % 120));
        both.push(spawn());
        if trial % 2 == 1 {
            std::thread::sleep(Duration::from_millis(40 + random.next_u64() % 250));
            let one = (random.next_u64() % 2) as usize;
            if both[one].try_wait().expect("a child of ours").is_none() {
                both[one].kill().expect("it is killed");
                killed += 1;
            }
        }
        for child in both {
            let output = child.wait_with_output().expect("it ends");
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) | None => {}
                Some(1) if err.contains("is being dispatched by sarf process ") => {
                    assert!(err.contains("\n\nhint: wait for it to end"), "{err}");
                    told += 1;
                }
                code => panic!("trial {trial}: {code:?}: {err}"),
            }
        }
        program.ends(0, &format!("dispatch {run}"));
        let expected = recorded(&bed).await;
        let (sums, files): (Vec<_>, Vec<_>) =
            lying(&program.home.join("outbox")).into_iter().partition(|(name, _)| name.ends_with(".sha256"));
        assert!(expected.len() > 8, "several files: {expected:?}");
        assert_eq!(files, expected, "trial {trial}: each file whole, and nothing else");
        assert_eq!(sums.len(), files.len(), "trial {trial}");
        assert_eq!(bed.state(run).await, RunState::Settling, "trial {trial}");
        assert_eq!(
            bed.number("select count(*) from ledger_transfer where why = 'batch sent'").await,
            expected.len() as i64,
            "trial {trial}: each file is booked once"
        );
        bed.end().await;
    }
    assert!(told > 0, "some came second");
    assert!(killed > 0, "some were killed");
}

fn path_of(home: &Path, file: &(String, String)) -> PathBuf {
    home.join("outbox").join(&file.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_whole_in_the_outbox_is_found_by_the_next_dispatch() {
    let Some(bed) = Bed::with(|config| config.settings.dispatch.orders_per_file = 60).await else { return };
    let run = bed.run_to(1_200, 3, RunState::Dispatching).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    in_small_files(&program);
    program.ends(0, &format!("dispatch {run}"));
    let sent = recorded(&bed).await;
    let name = |at: usize| sent[at].0.split_once('/').expect("a folder").1.to_owned();
    let path = |at: usize| path_of(bed.home(), &sent[at]);
    let sound = fs::read(path(0)).expect("a file");
    fs::write(path(0), &sound[..sound.len() / 2]).expect("half a file");
    fs::write(path(1), "").expect("nothing of a file");
    fs::write(path(2), fs::read_to_string(path(2)).expect("a file").replacen("MAD", "EUR", 1))
        .expect("others");
    fs::remove_file(path(3)).expect("missing");
    fs::remove_file(path(4)).expect("picked up");
    fs::remove_file(path(4).with_file_name(format!("{}.sha256", name(4)))).expect("picked up");

    let ran = program.ends(3, &format!("dispatch {run}"));
    assert!(ran.out.contains("3 files that had left were not whole"), "{ran:?}");
    assert!(ran.out.contains(&format!("{} is missing from the outbox", name(3))), "{ran:?}");
    assert!(ran.out.contains("1 of them picked up"), "{ran:?}");
    let lie = |at: usize| lying(&bed.home().join("outbox")).contains(&sent[at]);
    assert!([0, 1, 2].into_iter().all(lie), "written again, byte for byte");
    assert!(!lie(3) && !lie(4), "what its bank may have is not written again unasked");
    assert_eq!(bed.number("select count(*) from audit where action = 'batch.restore'").await, 3);

    // A person who may says that the bank did not take it.
    let again = format!("dispatch {run} --again {}", name(3));
    program.ends(1, &format!("{again} --as {PREPARER}"));
    assert!(!lie(3));
    program.ends(0, &format!("{again} --as {ACCOUNTANT}"));
    assert!(lie(3), "the same bytes");
    let ran = program.ends(1, &format!("dispatch {run} --again nothing.xml --as {ACCOUNTANT}"));
    assert!(ran.err.contains("`nothing.xml` is not a missing file of this run"), "{ran:?}");

    // Other settings give the same bytes: what goes into a file was fixed with its intent.
    let settings = program.config.join("sarf.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, text.replace("DU SOUTIEN SOCIAL", "DU SOUTIEN")).expect("settings");
    fs::write(path(0), &sound[..100]).expect("torn");
    program.ends(0, &format!("dispatch {run}"));
    assert!(lie(0), "byte for byte");

    // Rows that no longer give the recorded bytes: refused and named, and what lies there stays.
    bed.execute(&format!(
        "update batch set made_with = replace(made_with::text, 'DU SOUTIEN SOCIAL', 'DU SOUTIEN')::jsonb where file_name = '{}'",
        name(0)
    ))
    .await
    .expect("changed by hand");
    fs::write(path(0), &sound[..100]).expect("torn");
    let ran = program.ends(1, &format!("dispatch {run}"));
    assert!(ran.err.contains(&name(0)) && ran.err.contains("no longer give the bytes"), "{ran:?}");
    assert_eq!(fs::read(path(0)).expect("a file").len(), 100);
    bed.end().await;
}

/// The program in the stream lane, cash going to this address.
fn streaming(bed: &Bed, address: &str) -> Program {
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let path = program.config.join(file);
        let text = fs::read_to_string(&path).expect("the configuration");
        let changed = change(text.clone());
        assert_ne!(text, changed, "{file}");
        fs::write(&path, changed).expect("the configuration");
    };
    edit("sarf.toml", &|t| {
        t.replace("enabled = false", "enabled = true")
            .replace("silent_s_max = 30", "silent_s_max = 2")
            .replace("orders_per_shard = 5000", "orders_per_shard = 40")
    });
    edit("providers/payment_institutions.toml", &|t| {
        t.replace("http://127.0.0.1:8710/cashplus", &format!("http://{address}"))
            .replace("timeout_ms = 10000", "timeout_ms = 1000")
            .replace("orders_per_request = 500", "orders_per_request = 7")
            .replace("requests_per_second = 50", "requests_per_second = 40")
    });
    secrets::read_or_make(bed.home(), "cashplus").expect("a secret");
    secrets::read_or_make(bed.home(), "wafacash").expect("a secret");
    secrets::read_or_make(bed.home(), "wallet").expect("a secret");
    program
}

async fn streaming_bed() -> Option<Bed> {
    Some(Bed::with(|config| config.settings.stream.enabled = true).await?.with_running_clock())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_cannot_be_reached_is_left_and_named() {
    let Some(bed) = streaming_bed().await else { return };
    let run = bed.run_to(3_000, 5, RunState::Dispatching).await;
    // Nothing listens there.
    let program = streaming(&bed, "127.0.0.1:9");
    let began = Instant::now();
    let ran = program.ends(3, &format!("dispatch {run}"));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(ran.out.contains("cashplus did not answer for "), "{ran:?}");
    assert!(ran.out.contains("for `sarf worker`, or for this command again"), "{ran:?}");
    let json = program.ends(3, &format!("--json dispatch {run}")).json();
    assert!(json["shards_left"].as_i64() > Some(0) && json["left"]["free"].as_i64() > Some(0), "{json}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_cost_a_dispatch_seconds_and_no_order() {
    let provider = TestProvider::start(Moods::default()).await;
    let Some(bed) = streaming_bed().await else { return };
    let run = bed.run_to(6_000, 5, RunState::Dispatching).await;
    let program = streaming(&bed, &provider.address.to_string());
    let began = Instant::now();
    let child = program
        .command(&["dispatch", &run.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let taken = || provider.books.lock().expect("no panic").orders.len();
    while taken() == 0 && began.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid() and application_name like 'sarf%'";
    assert!(bed.number(killed).await > 0);
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("waits").expect("it ends");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {text}", output.status);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}: {text}", began.elapsed());
    let handed = bed
        .number("select count(*) from payment_order o join provider p on p.id = o.provider_id join batch b on b.provider_id = p.id
                  and o.order_id between b.first_order and b.last_order and b.lane = 'stream' where p.code = 'cashplus'
                  and not exists (select from order_hold h where h.order_id = o.order_id and h.released_at is null)")
        .await;
    assert_eq!(taken() as i64, handed, "{text}");
    assert!(provider.books.lock().expect("no panic").orders.values().all(|t| t.puts <= 2));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_serves_a_provider() {
    let Some((bed, _sshd, files)) = crate::exchange::with_files().await else { return };
    let code = files[0].0.clone();
    let id = bed.number(&format!("select id::bigint from provider where code = '{code}'")).await as i16;
    let alone = sarf::store::batches::exclusive::Exclusive::take(
        &bed.context.store,
        sarf::store::locks::SessionLock::Exchange(id),
    )
    .await
    .expect("asked")
    .expect("taken");
    let busy = sarf::pipeline::exchange::exchange(&bed.context, &code).await.expect_err("another is at it");
    assert!(busy.to_string().contains("by sarf process"), "{busy}");
    drop(alone);
    let mut tries = 0;
    while sarf::pipeline::exchange::exchange(&bed.context, &code).await.is_err() {
        tries += 1;
        assert!(tries < 100, "a lock ends with its connection");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
