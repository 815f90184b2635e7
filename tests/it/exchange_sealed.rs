//! Files signed and sealed on their way, and messages believed: GnuPG reads what we wrote, and writes what we read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use sarf::domain::run::RunState;
use sarf::pipeline::exchange;

use crate::harness::{Bed, Sent, Sshd, give_keys, sent_files, server_keys, terms, without_tool};
use crate::returns::statement;

/// A home of GnuPG, whose agent ends with it.
struct Gpg(PathBuf);

impl Gpg {
    fn new(bed: &Bed) -> Option<Self> {
        if Command::new("gpg").arg("--version").stdout(Stdio::null()).status().is_err() {
            without_tool("gpg", "gpg");
            return None;
        }
        let home = bed.home().join("gpg");
        fs::create_dir(&home).expect("a folder");
        fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("rights");
        Some(Self(home))
    }

    fn run(&self, args: &[&str]) -> (bool, Vec<u8>) {
        let ran = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.0)
            .args([
                "--batch",
                "--yes",
                "--quiet",
                "--trust-model",
                "always",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("gpg starts");
        (ran.status.success(), ran.stdout)
    }

    fn ends_well(&self, args: &[&str]) -> Vec<u8> {
        // Its agent may be on its way up or down: what is asked here may be asked again.
        for _ in 0..3 {
            let (well, out) = self.run(args);
            if well {
                return out;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("gpg {args:?}")
    }

    /// A key for signing, with another for sealing beneath; `when` it was made, and for how long.
    fn make_key(&self, name: &str, when: &str, lasts: &str) {
        let at = format!("--faked-system-time={when}");
        self.ends_well(&[&at, "--quick-gen-key", name, "ed25519", "cert,sign", lasts]);
        let shown =
            String::from_utf8(self.ends_well(&["--with-colons", "--list-keys", name])).expect("UTF-8");
        let print = shown
            .lines()
            .find_map(|l| l.strip_prefix("fpr:"))
            .expect("a fingerprint")
            .trim_matches(':')
            .to_owned();
        self.ends_well(&[&at, "--quick-add-key", &print, "cv25519", "encr", lasts]);
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(&self.0).args(["--kill", "all"]).status();
    }
}

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, bytes).expect("written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A month whose largest bank signs, seals, and is believed only with its signature.
async fn sealed_month() -> Option<(Bed, Sshd, Gpg, Sent, String)> {
    let mut bed = Bed::new().await?;
    let key = server_keys(&bed);
    let sshd = Sshd::start(&bed.home().join("a"), &key, "")?;
    let gpg = Gpg::new(&bed)?;
    gpg.make_key("sarf", "20260101T000000", "2y");
    gpg.make_key("bank", "20260101T000000", "2y");
    bed.change(|config| {
        config.router.change_terms(|provider| {
            let mut own = terms(&sshd, &sshd.host(), provider.code.as_str());
            (own.signs, own.seals, own.expects_signed) = (true, true, true);
            provider.delivery = Some(own);
        });
    });
    give_keys(&bed, &key);
    bed.run_to(600, 22, RunState::Settling).await;
    let file = sent_files(&bed.outbox()).into_iter().max_by_key(|file| file.orders.len()).expect("a file");
    let code = file.path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
    put(
        &bed.home().join(format!("secrets/{code}.pgp")),
        gpg.ends_well(&["--armor", "--export-secret-keys", "sarf"]),
    );
    put(&bed.home().join(format!("keys/{code}.asc")), gpg.ends_well(&["--armor", "--export", "bank"]));
    Some((bed, sshd, gpg, file, code))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gnupg_reads_what_is_brought() {
    let Some((bed, sshd, gpg, file, code)) = sealed_month().await else { return };
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(done.brought > 0 && done.waiting.is_empty() && done.stopped.is_empty(), "{done:?}");
    let name = file.path.file_name().expect("a name").to_string_lossy().into_owned();
    let there = sshd.root.join("in").join(&code);
    let (sealed, signature) = (there.join(format!("{name}.pgp")), there.join(format!("{name}.pgp.sig")));
    assert!(!there.join(&name).exists(), "nothing lies there in clear");
    gpg.ends_well(&["--verify", &text(&signature), &text(&sealed)]);
    let opened = gpg.ends_well(&["--decrypt", &text(&sealed)]);
    assert!(opened == fs::read(&file.path).expect("bytes"), "what is sealed is what left");
    let hash = fs::read_to_string(there.join(format!("{name}.pgp.sha256"))).expect("a hash");
    assert!(hash.ends_with(&format!("  {name}.pgp\n")));

    // Brought again on a person's word it is the same bytes, sealed and signed once.
    let before = (fs::read(&sealed).expect("bytes"), fs::read(&signature).expect("bytes"));
    for path in [&sealed, &signature] {
        fs::remove_file(path).expect("lost at the bank");
    }
    let by = crate::harness::ACCOUNTANT;
    exchange::decide(&bed.context, &code, &name, exchange::Word::Again, by, "lost").await.expect("a word");
    assert_eq!(exchange::exchange(&bed.context, &code).await.expect("exchanged").brought, 1);
    assert!(before == (fs::read(&sealed).expect("bytes"), fs::read(&signature).expect("bytes")));

    // A key of theirs that is over seals nothing: the file waits, and leaves once a new key lies beside the old one.
    let other = bed
        .rows("select p.code || ' ' || d.file_name from file_delivery d join provider p on p.id = d.provider_id where d.state = 'waiting'")
        .await
        .remove(0);
    let (other, _) = other.split_once(' ').expect("two words");
    gpg.make_key("old", "20240101T000000", "1y");
    let old = gpg.ends_well(&["--armor", "--export", "old"]);
    put(
        &bed.home().join(format!("secrets/{other}.pgp")),
        gpg.ends_well(&["--armor", "--export-secret-keys", "sarf"]),
    );
    put(&bed.home().join(format!("keys/{other}.asc")), &old);
    let waits = exchange::exchange(&bed.context, other).await.expect("exchanged");
    assert!(
        waits.brought == 0 && waits.waiting.iter().all(|(_, why)| why.contains("valid for sealing")),
        "{waits:?}"
    );
    let both = [old, gpg.ends_well(&["--armor", "--export", "bank"])].concat();
    put(&bed.home().join(format!("keys/{other}.asc")), both);
    assert!(exchange::exchange(&bed.context, other).await.expect("exchanged").brought > 0);
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gnupg_wrote_is_read_and_nothing_else_believed() {
    let Some((bed, sshd, gpg, file, code)) = sealed_month().await else { return };
    let out = sshd.root.join("out").join(&code);
    let plain = bed.home().join("plain.xml");
    let write = |statement_of: String, name: &str, signer: Option<&str>, over: Option<&str>| {
        fs::write(&plain, statement_of).expect("a message");
        let sealed = out.join(format!("{name}.pgp"));
        gpg.ends_well(&["--recipient", "sarf", "--output", &text(&sealed), "--encrypt", &text(&plain)]);
        if let Some(signer) = signer {
            let of = over.map_or(sealed.clone(), |over| out.join(over));
            let signature = out.join(format!("{name}.pgp.sig"));
            gpg.ends_well(&[
                "--local-user",
                signer,
                "--output",
                &text(&signature),
                "--armor",
                "--detach-sign",
                &text(&of),
            ]);
        }
        sealed
    };
    write(statement(&file, "S1", true, &[]), "S1.xml", Some("bank"), None);
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert_eq!((done.fetched, done.imported.len()), (1, 1), "{done:?}");
    assert!(done.imported[0].1.is_ok(), "{done:?}");
    assert_eq!(bed.number("select count(*) from message").await, 1);

    // Signed by another, over other bytes, or not at all: nothing is applied, and each is in front of a person.
    write(statement(&file, "S2", false, &[&file.orders[0].0]), "S2.xml", Some("sarf"), None);
    write(statement(&file, "S3", false, &[&file.orders[0].0]), "S3.xml", Some("bank"), Some("S1.xml.pgp"));
    let bare = write(statement(&file, "S4", false, &[&file.orders[0].0]), "S4.xml", None, None);
    let young = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert_eq!((young.fetched, young.faults.len()), (2, 2), "{young:?}");
    // Without a signature it is waited for, and then refused.
    let long_ago = SystemTime::from(bed.context.clock.now()) - Duration::from_secs(3_600);
    fs::File::open(&bare).and_then(|file| file.set_modified(long_ago)).expect("an older file");
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(done.fetched == 1 && done.faults[0].contains("not signed"), "{done:?}");
    assert_eq!(bed.open_breaks().await, ["not_believed 3"]);
    assert_eq!(bed.number("select count(*) from message").await, 1);
    // Later the signature comes: what was refused stays refused, and the signature is no message.
    let late = out.join("S4.xml.pgp.sig");
    gpg.ends_well(&["--local-user", "bank", "--output", &text(&late), "--detach-sign", &text(&bare)]);
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(done.imported.is_empty() && done.faults.is_empty(), "{done:?}");
    bed.books_hold().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_message_that_was_changed_is_not_opened() {
    let Some((bed, sshd, gpg, file, code)) = sealed_month().await else { return };
    let out = sshd.root.join("out").join(&code);
    let plain = bed.home().join("plain.xml");
    fs::write(&plain, statement(&file, "S1", true, &[])).expect("a message");
    let sealed = text(&bed.home().join("sealed.pgp"));
    gpg.ends_well(&["--recipient", "sarf", "--output", &sealed, "--encrypt", &text(&plain)]);
    let mut bytes = fs::read(&sealed).expect("bytes");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(out.join("S5.xml.pgp"), &bytes).expect("changed");
    let signature = text(&out.join("S5.xml.pgp.sig"));
    gpg.ends_well(&[
        "--local-user",
        "bank",
        "--output",
        &signature,
        "--detach-sign",
        &text(&out.join("S5.xml.pgp")),
    ]);
    let done = exchange::exchange(&bed.context, &code).await.expect("exchanged");
    assert!(done.imported.is_empty() && done.faults[0].contains("cannot be opened"), "{done:?}");
    assert!(
        !bed.home().join("opened").join(&code).join("S5.xml.pgp").exists(),
        "nothing of it is left in clear"
    );
    bed.books_hold().await;
}
