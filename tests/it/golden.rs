//! What leaves, byte by byte, as the files below `golden` have it: a byte that changes, changes for every bank.
//!
//! Where it is meant, `SARF_TEST_RENEW_GOLDEN=1 cargo test --test it golden` writes them anew; look at the difference before
//! it is committed, and tell the banks (docs/bank-guide.md).

use std::fs;
use std::path::{Path, PathBuf};

use sarf::domain::name::ArabicNames;
use sarf::domain::order::EndToEndRef;
use sarf::domain::recall::CancellationReason;
use sarf::domain::run::RunState;
use sarf::pipeline::dispatch::recall;

use crate::harness::{ACCOUNTANT, Bed, Registry, Sent, rib, sent_files};

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
