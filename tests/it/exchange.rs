//! Files brought to real SFTP servers and messages fetched from there, on wires that break and servers that refuse.

use std::fs;
use std::path::{Path, PathBuf};

use sarf::domain::delivery::{AfterFetch, DeliveryTerms};
use sarf::domain::run::RunState;
use sarf::pipeline::exchange::{self, Exchanged, Word};
use sarf::sandbox::Share;
use sarf::sandbox::banks::{Faults, Sandbox, SandboxOptions, StatusStyle};

use crate::harness::{ACCOUNTANT, Bed, Program, Sshd, Wire, give_keys, sent_files, server_keys, terms};

/// Every bank of the file lane has a server of these, in turn.
fn with_servers(bed: &mut Bed, servers: &[(&Sshd, String)], change: impl Fn(&mut DeliveryTerms)) {
    let mut at = 0;
    bed.change(|config| {
        config.router.change_terms(|provider| {
            let (sshd, host) = &servers[at % servers.len()];
            at += 1;
            let mut own = terms(sshd, host, provider.code.as_str());
            change(&mut own);
            provider.delivery = Some(own);
        });
    });
}

async fn all(bed: &Bed) -> Exchanged {
    let mut sum = Exchanged::default();
    for code in bed
        .rows(
            "select distinct p.code from batch b join provider p on p.id = b.provider_id where b.orders > 0",
        )
        .await
    {
        let done = exchange::exchange(&bed.context, &code).await.unwrap_or_else(|e| panic!("{code}: {e:?}"));
        sum.brought += done.brought;
        sum.fetched += done.fetched;
        sum.waiting.extend(done.waiting);
        sum.stopped.extend(done.stopped);
        sum.faults.extend(done.faults);
        sum.imported.extend(done.imported);
    }
    sum
}

/// The banks behind a server answer what was brought to it.
fn answer(bed: &Bed, sshd: &Sshd) {
    let options = SandboxOptions {
        outbox: sshd.folder("in"),
        inbox: sshd.folder("out"),
        seed: 7,
        now: bed.context.clock.now(),
        rates: sarf::sandbox::banks::Rates {
            rejected: Share::per_million(40_000),
            ..sarf::sandbox::banks::Rates::NONE
        },
        statuses: StatusStyle::default(),
        faults: Faults::default(),
    };
    Sandbox::new(options).answer_all(&|_| ()).expect("the banks answer");
}

fn same_as_outbox(bed: &Bed, servers: &[&Sshd]) -> usize {
    let mut seen = 0;
    for file in sent_files(&bed.outbox()) {
        let (name, provider) = (
            file.path.file_name().expect("a name"),
            file.path.parent().and_then(Path::file_name).expect("a folder"),
        );
        let there =
            servers.iter().map(|s| s.root.join("in").join(provider).join(name)).find(|path| path.exists());
        let there = there.unwrap_or_else(|| panic!("{name:?} is at no server"));
        assert_eq!(fs::read(&there).expect("bytes"), fs::read(&file.path).expect("bytes"), "{name:?}");
        seen += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_goes_to_three_servers_and_is_closed_from_what_they_send_back() {
    let Some(mut bed) = Bed::new().await else { return };
    let key = server_keys(&bed);
    let start = |name: &str| Sshd::start(&bed.home().join(name), &key, "");
    let (Some(a), Some(b), Some(c)) = (start("a"), start("b"), start("c")) else { return };
    with_servers(&mut bed, &[(&a, a.host()), (&b, b.host()), (&c, c.host())], |terms| {
        terms.after_fetch = AfterFetch::Archive;
        terms.archive = terms.download.as_ref().map(|folder| format!("{folder}/done"));
    });
    for sshd in [&a, &b, &c] {
        for provider in exchange::partners(&bed.context) {
            sshd.folder(&format!("out/{}/done", provider.code));
        }
    }
    give_keys(&bed, &key);
    let run = bed.run_to(1_500, 11, RunState::Settling).await;
    let files = bed.number("select count(*) from file_delivery where state = 'waiting'").await;
    assert!(files > 3, "{files}");
    let brought = all(&bed).await;
    assert_eq!((brought.brought as i64, brought.waiting.len(), brought.stopped.len()), (files, 0, 0));
    assert_eq!(same_as_outbox(&bed, &[&a, &b, &c]) as i64, files);
    // Once more: nothing is left to do.
    assert_eq!(all(&bed).await.brought, 0);
    [&a, &b, &c].into_iter().for_each(|sshd| answer(&bed, sshd));
    let fetched = all(&bed).await;
    assert!(fetched.fetched as i64 > files && fetched.faults.is_empty(), "{fetched:?}");
    assert!(fetched.imported.iter().all(|(_, result)| result.is_ok()), "{fetched:?}");
    // What was fetched lies in the archive, and is fetched no more.
    let again = all(&bed).await;
    assert_eq!((again.fetched, again.imported.len()), (0, 0));
    let left: Vec<PathBuf> = [&a, &b, &c]
        .iter()
        .flat_map(|sshd| fs::read_dir(sshd.root.join("out")).expect("a folder"))
        .flat_map(|bank| fs::read_dir(bank.expect("an entry").path()).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "xml"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        bed.number("select count(*) from file_fetch where imported_at is null or not settled").await,
        0
    );
    let answered = "select count(*) from file_delivery d join batch b on b.id = d.batch_id where b.state in ('sent', 'dispatching')";
    assert_eq!(bed.number(answered).await, 0, "all were answered");
    bed.reconcile(run).await;
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_file_is_gone_on_with_and_named_once() {
    let Some(mut bed) = Bed::new().await else { return };
    let key = server_keys(&bed);
    let Some(mut sshd) = Sshd::start(&bed.home().join("a"), &key, "") else { return };
    let wire = Wire::to(sshd.address).await;
    with_servers(&mut bed, &[(&sshd, wire.host.clone())], |terms| terms.files_at_once = 1);
    give_keys(&bed, &key);
    bed.run_to(1_500, 11, RunState::Settling).await;
    let largest = "select d.file_name from file_delivery d order by d.bytes desc limit 1";
    let name = bed.rows(largest).await.remove(0);
    let code = bed
        .rows(&format!("select p.code from file_delivery d join provider p on p.id = d.provider_id where d.file_name = '{name}'"))
        .await
        .remove(0);
    let bytes = bed.number(&format!("select bytes from file_delivery where file_name = '{name}'")).await;
    assert!(bytes > 100_000, "{bytes}");
    wire.breaks_after(90_000);
    let cut = exchange::exchange(&bed.context, &code).await;
    let waits = |done: &Result<Exchanged, _>| done.as_ref().is_ok_and(|d: &Exchanged| d.waiting.len() == 1);
    assert!(waits(&cut) || cut.is_err(), "{cut:?}");
    let folder = sshd.root.join("in").join(&code);
    assert!(!folder.join(&name).exists(), "no name before it is whole");
    let part = folder.join(format!(".{name}.part"));
    let come = fs::metadata(&part).expect("a part lies there").len();
    assert!(come > 0 && (come as i64) < bytes, "{come}");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&part).expect("a part"));
    let done = exchange::exchange(&bed.context, &code).await.expect("it goes on");
    assert_eq!(done.brought, 1, "{done:?}");
    let whole = fs::metadata(folder.join(&name)).expect("it lies there");
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&whole), inode, "gone on with, not begun again");
    assert_eq!(
        fs::read(folder.join(&name)).expect("bytes"),
        fs::read(bed.outbox().join(&code).join(&name)).expect("bytes")
    );

    // A server that is gone in the middle: the others wait, and go on once it is back.
    sshd.stop();
    let other = bed
        .rows("select distinct p.code from file_delivery d join provider p on p.id = d.provider_id where d.state = 'waiting'")
        .await
        .remove(0);
    let gone = exchange::exchange(&bed.context, &other).await.expect_err("nobody answers");
    assert!(gone.to_string().contains("does not answer"), "{gone}");
    let why = format!(
        "select fault from file_delivery d join provider p on p.id = d.provider_id where p.code = '{other}' limit 1"
    );
    assert!(bed.rows(&why).await[0].contains("does not answer"));
    sshd.again();
    assert!(exchange::exchange(&bed.context, &other).await.expect("it is back").brought > 0);
    bed.verify_all_holds().await;
}

/// A month whose files wait for one server: their banks and names.
pub async fn with_files() -> Option<(Bed, Sshd, Vec<(String, String)>)> {
    let mut bed = Bed::new().await?;
    let key = server_keys(&bed);
    let sshd = Sshd::start(&bed.home().join("a"), &key, "")?;
    with_servers(&mut bed, &[(&sshd, sshd.host())], |_| ());
    give_keys(&bed, &key);
    bed.run_to(1_500, 11, RunState::Settling).await;
    let names = "select p.code || ' ' || d.file_name from file_delivery d join provider p on p.id = d.provider_id order by d.id";
    let two =
        |line: &String| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two words");
    let files = bed.rows(names).await.iter().map(two).collect();
    Some((bed, sshd, files))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_is_put_in_front_of_a_person() {
    let Some((bed, plain, files)) = with_files().await else { return };
    // A name that other bytes have: never written over.
    let (code, name) = files[0].clone();
    let taken = plain.root.join("in").join(&code).join(&name);
    fs::write(&taken, "another file").expect("a file");
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert_eq!(
        (done.stopped.len(), fs::read(&taken).expect("bytes")),
        (1, b"another file".to_vec()),
        "{done:?}"
    );
    assert_eq!(bed.open_breaks().await, ["not_delivered 1"]);
    // Asked again nothing changes, and no second break comes.
    exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert_eq!(bed.open_breaks().await, ["not_delivered 1"]);
    let refused = exchange::decide(&bed.context, &code, &name, Word::Again, ACCOUNTANT, " ").await;
    assert!(refused.is_err_and(|e| e.to_string().contains("reason")));
    fs::remove_file(&taken).expect("taken away by the bank");
    exchange::decide(
        &bed.context,
        &code,
        &name,
        Word::Again,
        ACCOUNTANT,
        "the bank took the other file away",
    )
    .await
    .expect("a person's word");
    assert_eq!(bed.open_breaks().await, Vec::<String>::new());
    assert_eq!(exchange::exchange(&bed.context, &code).await.expect("exchanged").brought, 1);

    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_have_been_picked_up_is_not_sent_again() {
    let Some((bed, plain, files)) = with_files().await else { return };
    let (code, name) = files[1].clone();
    // Killed between giving the name and keeping that: picked up meanwhile, a person is asked, not the file sent again.
    bed.write(&format!("update file_delivery set state = 'naming' where file_name = '{name}'"))
        .await
        .expect("written");
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(
        done.stopped.iter().any(|(file, why)| *file == name && why.contains("may have picked it up")),
        "{done:?}"
    );
    assert!(!plain.root.join("in").join(&code).join(&name).exists());
    exchange::decide(&bed.context, &code, &name, Word::There, ACCOUNTANT, "the bank has it")
        .await
        .expect("a word");
    assert_eq!(bed.open_breaks().await, Vec::<String>::new());

    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_renaming_is_a_matter_of_agreement() {
    let Some((mut bed, _plain, files)) = with_files().await else { return };
    let key = bed.home().join("secrets/all.ssh");
    let denied = "rename,remove,posix-rename@openssh.com";
    let Some(strict) = Sshd::start(&bed.home().join("b"), &key, denied) else { return };
    let code = files[0].0.clone();
    // Not agreed it is a person's matter; agreed, the file grows under its name.
    with_servers(&mut bed, &[(&strict, strict.host())], |_| ());
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(done.stopped.iter().all(|(_, why)| why.contains("does not allow to rename")), "{done:?}");
    let stopped: Vec<String> = done.stopped.into_iter().map(|(file, _)| file).collect();
    assert!(!stopped.is_empty());
    with_servers(&mut bed, &[(&strict, strict.host())], |terms| terms.renames = false);
    for file in &stopped {
        exchange::decide(&bed.context, &code, file, Word::Again, ACCOUNTANT, "agreed: no renaming")
            .await
            .expect("a word");
    }
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert_eq!(done.brought as usize, stopped.len(), "{done:?}");
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_not_the_one_agreed_is_told_nothing() {
    let Some(mut bed) = Bed::new().await else { return };
    let key = server_keys(&bed);
    let start = |name: &str| Sshd::start(&bed.home().join(name), &key, "");
    let (Some(true_one), Some(other)) = (start("a"), start("b")) else { return };
    // The first host shows another key, the second is the one agreed.
    with_servers(&mut bed, &[(&true_one, true_one.host())], |terms| terms.hosts.insert(0, other.host()));
    give_keys(&bed, &key);
    bed.run_to(600, 11, RunState::Settling).await;
    let brought = all(&bed).await;
    assert!(brought.brought > 0 && brought.stopped.is_empty());
    assert!(!other.root.join("in").exists(), "nothing was brought to a stranger");
    // Alone it is refused, with the key that it showed.
    let code = bed
        .rows("select p.code from file_delivery d join provider p on p.id = d.provider_id limit 1")
        .await
        .remove(0);
    with_servers(&mut bed, &[(&true_one, other.host())], |_| ());
    let refused = exchange::test(&bed.context, &code).await.expect_err("another key");
    assert!(refused.to_string().contains(&other.fingerprint), "{refused}");
    // A key that others may read is not used.
    let own = bed.home().join(format!("secrets/{code}.ssh"));
    fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("rights");
    let refused = exchange::test(&bed.context, &code).await.expect_err("an open key");
    assert!(format!("{refused:?}").contains("Key"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_fetched_once_whatever_they_are_called() {
    let Some(mut bed) = Bed::new().await else { return };
    let key = server_keys(&bed);
    let Some(sshd) = Sshd::start(&bed.home().join("a"), &key, "") else { return };
    with_servers(&mut bed, &[(&sshd, sshd.host())], |terms| terms.after_fetch = AfterFetch::Delete);
    give_keys(&bed, &key);
    let code = "awb";
    let out = sshd.folder(&format!("out/{code}"));
    fs::write(out.join("M1.xml"), "<nothing/>").expect("a message");
    fs::write(out.join(".M2.xml"), "<nothing/>").expect("a hidden one");
    fs::write(out.join("M3.xml.filepart"), "<noth").expect("one that is still written");
    let done = exchange::exchange(&bed.context, code).await.expect("exchanged");
    assert_eq!((done.fetched, done.imported.len()), (1, 1), "{done:?}");
    assert!(done.imported[0].1.is_err(), "it says nothing that can be read");
    assert_eq!(bed.number("select count(*) from message_set_aside where settled_at is null").await, 1);
    assert!(!out.join("M1.xml").exists() && out.join(".M2.xml").exists(), "deleted once it was here");
    // Another message under the same name is another, and has another name here.
    fs::write(out.join("M1.xml"), "<nothing at all/>").expect("a message");
    let done = exchange::exchange(&bed.context, code).await.expect("exchanged");
    assert_eq!(done.fetched, 1);
    let names = bed.rows("select local_name from file_fetch order by id").await;
    assert_eq!(names, ["M1.xml", "M1.xml.1"]);
    let inbox = bed.home().join("inbox").join(code);
    assert_eq!(fs::read_to_string(inbox.join("M1.xml")).expect("the first"), "<nothing/>");
    assert_eq!(fs::read_to_string(inbox.join("M1.xml.1")).expect("the second"), "<nothing at all/>");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_brings_tells_and_tests() {
    let Some(bed) = Bed::new().await else { return };
    let key = server_keys(&bed);
    let Some(sshd) = Sshd::start(&bed.home().join("a"), &key, "") else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    assert!(program.ends(0, "exchange run").out.contains("no provider has a server"));
    let none = program.ends(1, "exchange test");
    assert!(none.err.contains("no provider has a server") && none.err.contains("hint:"), "{none:?}");
    let banks = program.config.join("providers/banks.toml");
    let terms = terms(&sshd, &sshd.host(), "awb");
    let text = format!(
        "lead_days = 1\n[provider.delivery]\nhosts = [\"{}\"]\nuser = \"{}\"\nhost_keys = [\"{}\"]\nupload = \"in/awb\"\ndownload = \"out/awb\"\nawaits_signature = true\n",
        terms.hosts[0], terms.user, terms.host_keys[0]
    );
    let written = fs::read_to_string(&banks).expect("banks").replacen("lead_days = 1\n", &text, 1);
    fs::write(&banks, written).expect("banks");
    fs::copy(&key, bed.home().join("secrets/awb.ssh")).expect("a key");
    let tested = program.ends(0, "--json exchange test").json();
    assert_eq!(tested[0]["answers"]["upload"], 0);
    // Dispatched by the program, whose configuration knows the server.
    let run = bed.run_to(600, 11, RunState::Dispatching).await;
    program.ends(0, &format!("dispatch {run}"));
    let listed = program.ends(0, "--json exchange list").json();
    assert_eq!(listed[0]["stands"], "waits");
    let done = program.ends(0, "exchange run");
    assert!(done.out.contains("awb") && done.out.contains(&sshd.host()), "{done:?}");
    let listed = program.ends(0, "--json exchange list").json();
    assert_eq!(listed[0]["stands"], "awaits signature");
    let name = listed[0]["file_name"].as_str().expect("a name").to_owned();
    let again =
        program.run_args(&["exchange", "again", "awb", &name, "--why", "lost at the bank", "--as", "amina"]);
    assert!(again.code == 1 && again.err.contains("accountant"), "{again:?}");
    let again = program.run_args(&[
        "exchange",
        "again",
        "awb",
        &name,
        "--why",
        "lost at the bank",
        "--as",
        ACCOUNTANT,
    ]);
    assert_eq!(again.code, 0, "{again:?}");
    let done = program.ends(0, "--json exchange run").json();
    assert_eq!(done[0]["brought"], 1, "the same bytes lie there: nothing is written");
    assert!(program.ends(1, "exchange run --provider bmci").err.contains("no server is configured"));
}
