//! Links, named pipes and devices are refused at once; what the program makes is its owner's alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sarf::domain::hint::Hint as _;
use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, Ran, TempHome};

const AT_ONCE: Duration = Duration::from_secs(10);

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

/// Runs the program, which must end with 1, soon.
fn refused(program: &Program, args: &[&str]) -> Ran {
    let began = Instant::now();
    let mut child =
        program.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while child.try_wait().expect("a child of ours").is_none() {
        if began.elapsed() > AT_ONCE {
            child.kill().expect("it is killed");
            panic!("sarf {args:?} waits");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let ran =
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert_eq!(ran.code, 1, "sarf {args:?}: {ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_plain_file_is_refused_at_once() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 3, RunState::Dispatching).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let home = bed.home();
    let snapshot = home.join("list");
    let list = snapshot.display().to_string();
    for make in [
        pipe as fn(&Path),
        |path| symlink("/etc/passwd", path).expect("a link"),
        |path| symlink("/dev/zero", path).expect("a link"),
    ] {
        fs::create_dir_all(&snapshot).expect("a folder");
        make(&snapshot.join("manifest.json"));
        let ran = refused(&program, &["snapshot", "import", &list]);
        assert!(ran.err.contains("not a plain file") && ran.err.contains("hint: "), "{ran:?}");
        fs::remove_dir_all(&snapshot).expect("a folder");

        let message = home.join("message.xml");
        make(&message);
        let ran = refused(&program, &["feedback", "import", &message.display().to_string()]);
        assert!(format!("{}{}", ran.out, ran.err).contains("not a plain file"), "{ran:?}");
        fs::remove_file(&message).expect("a file");
    }
    // An inbox that is a link.
    fs::create_dir(home.join("elsewhere")).expect("a folder");
    symlink(home.join("elsewhere"), home.join("inbox")).expect("a link");
    refused(&program, &["feedback", "import", &home.join("inbox").display().to_string()]);

    // The outbox, a provider's folder, a file: each a link or a pipe.
    let dispatch = ["dispatch", &run.to_string()];
    let outbox = home.join("outbox");
    symlink(home.join("elsewhere"), &outbox).expect("a link");
    let ran = refused(&program, &dispatch);
    assert!(ran.err.contains("it is a link, not a folder") && ran.err.contains("hint: move "), "{ran:?}");
    fs::remove_file(&outbox).expect("the link");
    fs::create_dir(&outbox).expect("a folder");
    for provider in ["awb", "bcp", "boa", "cashplus"] {
        symlink(home.join("elsewhere"), outbox.join(provider)).expect("a link");
    }
    let ran = refused(&program, &dispatch);
    assert!(ran.err.contains("it is a link, not a folder"), "{ran:?}");
    assert_eq!(
        fs::read_dir(home.join("elsewhere")).expect("a folder").count(),
        0,
        "nothing went through a link"
    );
    fs::remove_dir_all(&outbox).expect("the outbox");
    let names = bed
        .rows("select p.code || '/' || b.file_name from batch b join provider p on p.id = b.provider_id where b.file_name is not null order by 1")
        .await;
    for (at, name) in names.iter().enumerate() {
        let path = outbox.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        if at % 2 == 0 { pipe(&path) } else { symlink("/etc/passwd", &path).expect("a link") }
    }
    assert!(names.len() > 3, "{names:?}");
    let ran = refused(&program, &dispatch);
    assert!(ran.err.contains("not a plain file"), "{ran:?}");
    fs::remove_dir_all(&outbox).expect("the outbox");
    program.ends(0, &format!("dispatch {run}"));
    bed.end().await;
}

#[test]
fn secrets_that_others_can_read_are_refused_with_what_to_do() {
    let home = TempHome::new("fs");
    let path = home.path().join("secrets/cashplus");
    sarf::rails::stream::secrets::read_or_make(home.path(), "cashplus").expect("a secret");
    assert_eq!(fs::metadata(&path).expect("a secret").mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(home.path().join("secrets")).expect("a folder").mode() & 0o777, 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("rights");
    let error = sarf::rails::stream::secrets::read(home.path(), "cashplus").map(drop).expect_err("refused");
    assert_eq!(error.hint().expect("a hint"), format!("chmod 600 {}", path.display()));
}

/// Everything below a folder that others have any right to, but for what is of the database's account.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        if metadata.mode() & 0o077 != 0 && !metadata.is_symlink() {
            found.push(format!("{:o} {}", metadata.mode() & 0o7777, path.display()));
        }
        if metadata.is_dir() {
            folders.extend(fs::read_dir(&path).expect("a folder").flatten().map(|e| e.path()));
        }
    }
    found
}

/// The program under a umask that takes no right away.
fn with_open_umask(program: &Program, args: &str) -> Ran {
    let args: Vec<&str> = args.split_whitespace().collect();
    let plain = program.command(&args);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let ran =
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_is_its_owners_alone_whatever_the_umask() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 3, RunState::Dispatching).await;
    let place = TempHome::new("fu");
    let program =
        Program { url: Some(bed.url()), home: place.path().join("new/home"), ..Program::new(place.path()) };
    let out = place.path().join("out");
    let below = |name: &str| out.join(name).display().to_string();
    with_open_umask(&program, &format!("generate --households 50 --period 2026-10 --out {}", below("list")));
    with_open_umask(&program, &format!("snapshot import {}", below("list")));
    with_open_umask(&program, &format!("dispatch {run}"));
    with_open_umask(&program, "sandbox --seed 5");
    with_open_umask(&program, &format!("report {run} --out {}", below("report")));
    with_open_umask(&program, &format!("report unclaimed --out {}", below("unclaimed/list.csv")));
    with_open_umask(&program, &format!("snapshot rejects 1 --csv {}", below("rejects.csv")));
    assert!(program.home.join("outbox/awb").is_dir() && program.home.join("inbox/awb").is_dir());
    assert!(out.join("report/summary.xlsx").is_file() && out.join("unclaimed/list.csv").is_file());
    assert_eq!(open_to_others(&program.home), Vec::<String>::new());
    assert_eq!(open_to_others(&out), Vec::<String>::new());
    bed.end().await;

    // And the home of a private server, whoever runs it.
    let program = Program { url: None, home: place.path().join("p/home"), ..program };
    with_open_umask(&program, "operator administrator sara");
    with_open_umask(&program, "operator add amina --role preparer --as sara");
    assert_eq!(open_to_others(&program.home), Vec::<String>::new());
}
