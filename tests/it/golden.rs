//! What leaves, byte by byte, as the files below `golden` have it: a byte that changes, changes for every bank.
//!
//! Where it is meant, `SARF_TEST_RENEW_GOLDEN=1 cargo test --test it golden` writes them anew; look at the difference before
//! it is committed, and tell the banks (docs/bank-guide.md).

use std::fs;
use std::path::{Path, PathBuf};

use sarf::domain::file_profile::{FileProfile, Seat};
use sarf::domain::name::ArabicNames;
use sarf::domain::order::EndToEndRef;
use sarf::domain::recall::CancellationReason;
use sarf::domain::run::RunState;
use sarf::pipeline::dispatch::recall;
use sarf::sandbox::banks::{Faults, StatusStyle};

use crate::harness::{ACCOUNTANT, Bed, Registry, Sent, rib, sent_files};
use crate::month::assert_valid_as_next_version;

fn compare(name: &str, path: &Path) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    let written = fs::read(path).expect("the file that left");
    if std::env::var_os("SARF_TEST_RENEW_GOLDEN").is_some_and(|set| set == "1") {
        fs::write(&golden, &written).expect("renewed");
        println!("renewed: {}", golden.display());
    }
    let golden = fs::read(&golden).expect("a golden file");
    assert!(
        written == golden,
        "{name} has changed: where that is meant, renew it with SARF_TEST_RENEW_GOLDEN=1\n{}",
        first_difference(&golden, &written)
    );
}

/// The first lines that differ.
fn first_difference(golden: &[u8], written: &[u8]) -> String {
    let (golden, written) = (String::from_utf8_lossy(golden), String::from_utf8_lossy(written));
    let differs = golden.lines().zip(written.lines()).find(|(is, was)| is != was);
    differs.map_or_else(|| "one is longer".to_owned(), |(was, is)| format!("was: {was}\nis:  {is}"))
}

/// Three payees of a bank by IBAN, and three of a payment institution by RIB and by phone; names in Latin letters and in
/// Arabic script, which all providers take.
fn payees() -> Registry {
    let mut registry = Registry::default();
    for (latin, arabic) in [
        ("Aïcha Benaïssa", "عائشة بنعيسى"),
        ("", "مُحَمَّد العَلَوِي"),
        ("O'Hara <Exemple> & Fils", ""),
        ("Aïcha Benaïssa", "عائشة بنعيسى"),
        ("", "فاطمة الزهراء"),
        ("Youssef Exemple", ""),
    ] {
        let household = registry.household();
        registry.set(household, &[("payee_name", latin), ("payee_name_ar", arabic)]);
    }
    registry.set(3, &[("means", "payment_account"), ("account", &rib("801", 4))]);
    registry.set(4, &[("means", "cash"), ("account", ""), ("provider", "wafacash")]);
    registry.set(5, &[("means", "payment_account"), ("account", &rib("801", 6))]);
    registry
}

/// The file of a provider, which has all its orders.
fn file_of<'a>(files: &'a [Sent], provider: &str) -> &'a Sent {
    let found: Vec<_> = files.iter().filter(|file| file.provider == provider).collect();
    let [file] = found[..] else { panic!("{provider}: {files:?}") };
    assert_eq!(file.orders.len(), 3, "{file:?}");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_files_leave_byte_by_byte() {
    let accepted = |config: &mut sarf::config::Config| {
        config.router.change_terms(|provider| provider.arabic_names = ArabicNames::Accepted);
    };
    let Some(bed) = Bed::with(accepted).await else { return };
    let folder = bed.home().join("list");
    payees().write(&folder);
    let run = bed.create(bed.import(&folder).await).await;
    bed.take_to(run, RunState::Settling).await;
    let files = sent_files(&bed.outbox());
    compare("pain001_bank.xml", &file_of(&files, "awb").path);
    compare("pain001_payment_institution.xml", &file_of(&files, "wafacash").path);

    let order = EndToEndRef::parse(&file_of(&files, "awb").orders[0].0).expect("one of ours").order;
    let asked =
        recall::ask(&bed.context, order, CancellationReason::Cust, "paid by mistake", ACCOUNTANT).await;
    let asked = recall::deliver(&bed.context, &asked.expect("asked").into_inner()).await.expect("delivered");
    let recalled: PathBuf = bed.outbox().join("awb").join(asked.file_name.expect("a file"));
    compare("camt055_bank.xml", &recalled);
    bed.verify_all_holds().await;
    bed.end().await;
}

/// The profiles that banks have taken files of, each beside a file that it took.
fn profiles() -> Vec<(String, FileProfile)> {
    #[derive(serde::Deserialize)]
    struct Block {
        provider: Part,
    }
    #[derive(serde::Deserialize)]
    struct Part {
        file: FileProfile,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/profiles");
    let paths = fs::read_dir(folder).expect("profiles").flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| {
            let block: Block =
                toml::from_str(&fs::read_to_string(&path).expect("a profile")).expect("a block");
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), block.provider.file)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() >= 5, "{found:?}");
    found
}

/// Each profile's file is, byte by byte, the one that was taken; the month is paid and reconciled from what the bank says of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn banks_get_the_files_that_they_take() {
    for (name, profile) in profiles() {
        let wanted = |config: &mut sarf::config::Config| {
            let seat =
                Seat { street: "12 rue d'Exemple".into(), postal_code: "10000".into(), town: "Rabat".into() };
            config.settings.debtor.seat = Some(seat);
            config.router.change_terms(|provider| provider.file = profile.clone());
        };
        let Some(bed) = Bed::with(wanted).await else { return };
        let mut registry = Registry::default();
        for latin in ["Aïcha Benaïssa", "Abderrahim Exemple Ben Mohammed El Alaoui El Idrissi"] {
            let household = registry.household();
            registry.set(household, &[("payee_name", latin)]);
        }
        let folder = bed.home().join("list");
        registry.write(&folder);
        let run = bed.create(bed.import(&folder).await).await;
        bed.take_to(run, RunState::Settling).await;
        let files = sent_files(&bed.outbox());
        let [file] = &files[..] else { panic!("{files:?}") };
        compare(&format!("profiles/{name}.xml"), &file.path);
        assert_valid_as_next_version(&file.path);

        // It is written again to the same bytes from its intent alone, whatever the profile is by then.
        let verified = bed.failing().await;
        assert!(verified.is_empty(), "{name}: {verified:?}");
        let mut bed = bed;
        bed.change(|config| config.router.change_terms(|provider| provider.file = FileProfile::default()));
        bed.verify_all_holds().await;
        let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
        bed.feedback_taken(answers.files).await;
        let reconciled = bed.reconcile(run).await;
        assert!(bed.open_breaks().await.is_empty(), "{name}: {:?} {reconciled:?}", bed.open_breaks().await);
        assert_eq!(bed.state(run).await, RunState::Reconciled, "{name}: {reconciled:?}");
        bed.verify_all_holds().await;
        bed.end().await;
    }
}
