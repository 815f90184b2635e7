//! Order files written, answered, and the answers read back.

mod folder;
mod later;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use time::macros::{date, datetime};
use time::{Date, Duration};

use crate::domain::money::Centimes;
use crate::iso20022::pain002::Pain002Item;
use crate::iso20022::pain002::read::Pain002Reader;
use crate::iso20022::statement::CamtItem;
use crate::iso20022::statement::read::CamtReader;
use crate::iso20022::values::StatusCode;
use crate::iso20022::xml::fault::Limits;

use super::*;
use crate::sandbox::Share;
use folder::{Folder, seal};

const DAY: Date = date!(2026 - 11 - 27);

/// What the answers say.
#[derive(Debug, Default)]
struct Told {
    /// By message id: status and reason of the group, accepted and rejected transactions.
    reports: BTreeMap<String, (&'static str, String, u64, u64)>,
    rejected: BTreeMap<String, i64>,
    notified: BTreeMap<String, i64>,
    returned: BTreeMap<String, i64>,
    debits: BTreeMap<String, (u64, i64)>,
    /// By file: sequence, opening, closing.
    statements: Vec<(u64, i64, i64)>,
    mismatches: u64,
    unreadable: u64,
    files: u64,
}

impl Told {
    fn read(files: &[PathBuf]) -> Self {
        let mut told = Self::default();
        for path in files {
            told.files += 1;
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let read = if name.contains("pain002") { told.report(path) } else { told.booked(path) };
            told.unreadable += u64::from(read.is_none());
        }
        told
    }

    fn report(&mut self, path: &Path) -> Option<()> {
        let mut reader = Pain002Reader::new(BufReader::new(fs::File::open(path).unwrap()), Limits::default());
        let mut key = String::new();
        while let Some(item) = reader.next().ok()? {
            match item {
                Pain002Item::Group(group) => {
                    let status = match group.status {
                        Some(StatusCode::Accp) => "ACCP",
                        Some(StatusCode::Part) => "PART",
                        Some(StatusCode::Rjct) => "RJCT",
                        None => "",
                        other => panic!("{other:?}"),
                    };
                    key = format!(
                        "{}{}",
                        group.original_msg_id,
                        if group.reasons.first_code() == "DUPL" { "+" } else { "" }
                    );
                    self.reports.insert(key.clone(), (status, group.reasons.first_code().to_owned(), 0, 0));
                }
                Pain002Item::Transaction { transaction: single, .. } => {
                    let report = self.reports.get_mut(&key).unwrap();
                    if single.status == StatusCode::Rjct {
                        assert!(["AC01", "RC04", "AC04"].contains(&single.reasons.first_code()));
                        report.3 += 1;
                        self.rejected
                            .insert(single.original_end_to_end_id.clone(), single.amount.unwrap().get());
                    } else {
                        report.2 += 1;
                    }
                }
                Pain002Item::Faulty { fault, .. } => panic!("{fault}"),
                Pain002Item::Header(_) | Pain002Item::PaymentInfo { .. } => {}
            }
        }
        Some(())
    }

    fn booked(&mut self, path: &Path) -> Option<()> {
        let mut reader = CamtReader::new(BufReader::new(fs::File::open(path).unwrap()), Limits::default());
        let statement = path.to_string_lossy().contains("camt053");
        let mut page = (0, 0, 0);
        while let Some(item) = reader.next().ok()? {
            match item {
                CamtItem::StatementBegin(s) => page.0 = s.electronic_sequence.unwrap_or(0),
                CamtItem::Balance(b) if b.code == "OPBD" => page.1 = b.amount.get(),
                CamtItem::Balance(b) => page.2 = b.amount.get(),
                CamtItem::Entry(entry) if !entry.credit => {
                    let batch = entry.batch.as_ref().unwrap();
                    assert_eq!(batch.sum, Some(entry.amount));
                    self.debits.insert(batch.msg_id.clone(), (batch.orders.unwrap(), entry.amount.get()));
                }
                CamtItem::Detail(detail) => {
                    assert!(!detail.return_reason.code.is_empty() && !detail.servicer_ref.is_empty());
                    let into = if statement { &mut self.returned } else { &mut self.notified };
                    into.insert(detail.end_to_end_id.clone(), detail.amount.unwrap().get());
                }
                CamtItem::Mismatch(_) => self.mismatches += 1,
                CamtItem::FaultyBalance { fault, .. }
                | CamtItem::FaultyEntry { fault, .. }
                | CamtItem::FaultyDetail { fault, .. } => panic!("{fault}"),
                _ => {}
            }
        }
        if statement {
            self.statements.push(page);
        }
        Some(())
    }
}

/// Validates with `xmllint`; prints a note and passes where the schema is missing.
fn assert_valid(path: &Path) {
    let dir = std::env::var_os("SARF_XSD_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/xsd")), PathBuf::from);
    let name = path.file_name().unwrap().to_string_lossy();
    let message = match &name[..7] {
        "pain002" => "pain.002.001.10",
        "camt053" => "camt.053.001.08",
        "pacs004" => "pacs.004.001.09",
        "camt029" => "camt.029.001.09",
        _ => "camt.054.001.08",
    };
    let schema = dir.join(format!("{message}.xsd"));
    if !schema.is_file() {
        println!("skipped: no schema {message}.xsd");
        return;
    }
    match Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(&schema).arg(path).output() {
        Err(_) => crate::testing::without_tool("xmllint", "xmllint"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// All answers of an inbox, by path below it.
fn bytes_of(inbox: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for provider in fs::read_dir(inbox).unwrap() {
        for file in fs::read_dir(provider.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                found.insert(path.strip_prefix(inbox).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn answer(options: &SandboxOptions) -> Answers {
    Sandbox::new(options.clone()).answer_all(&|_| ()).unwrap()
}

#[test]
fn answers_agree_with_the_orders_in_every_style() {
    let folder = Folder::new("agree");
    for (provider, msg_id, day) in [
        ("BANKA", "A1", DAY),
        ("BANKA", "A2", DAY),
        ("BANKA", "A3", DAY + Duration::DAY),
        ("BANKB", "B1", DAY),
    ] {
        folder.order_file(provider, msg_id, day, 4_000);
    }
    for (style, every) in [(StatusStyle::Group, false), (StatusStyle::Transactions, true)] {
        let options = SandboxOptions { statuses: style, ..folder.options(&format!("inbox-{every}")) };
        let read = AtomicUsize::new(0);
        let answers = Sandbox::new(options)
            .answer_all(&|orders| {
                read.fetch_add(orders as usize, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!((answers.orders, read.into_inner()), (16_000, 16_000));
        answers.files.iter().for_each(|path| assert_valid(path));
        let told = Told::read(&answers.files);
        assert_eq!((told.files, told.unreadable, told.mismatches), (4 + 4 + 3, 0, 0));
        let sum = |map: &BTreeMap<String, i64>| map.values().sum::<i64>();
        let total = |pick: fn(&Figures) -> Tally| {
            let mut total = Tally::default();
            answers.providers.values().for_each(|figures| total.add(pick(figures)));
            (total.orders, total.amount.get())
        };
        let (orders, rejected, returned) =
            (total(|f| f.orders), total(|f| f.rejected), total(|f| f.returned));
        assert!(rejected.0 > 10 && returned.0 > 100);
        assert_eq!((told.rejected.len() as u64, sum(&told.rejected)), rejected);
        assert_eq!((told.returned.len() as u64, sum(&told.returned)), returned);
        let debits = told.debits.values().fold((0, 0), |t, d| (t.0 + d.0, t.1 + d.1));
        assert_eq!(debits, (orders.0 - rejected.0, orders.1 - rejected.1));
        assert!(told.notified.iter().all(|(id, amount)| told.returned.get(id) == Some(amount)));
        assert!(told.notified.len() * 3 > told.returned.len() && told.notified.len() < told.returned.len());
        assert!(told.rejected.keys().all(|id| !told.returned.contains_key(id)));
        for (status, reason, accepted, rejected) in told.reports.values() {
            assert_eq!((*status, reason.as_str()), ("PART", ""));
            assert_eq!(*accepted, if every { 4_000 - rejected } else { 0 });
        }
        // BANKA's two days, then BANKB's one: numbers ascend and balances carry on.
        let [first, second, other] = told.statements[..] else { panic!("{:?}", told.statements) };
        assert_eq!((first.0, second.0, other.0), (1, 2, 1));
        assert_eq!((first.2, first.1), (second.1, other.1));
    }
}

#[test]
fn answering_again_and_after_a_kill_gives_the_same() {
    let folder = Folder::new("again");
    folder.order_file("BANKA", "A1", DAY, 2_000);
    folder.order_file("BANKB", "B1", DAY, 2_000);
    let whole = folder.options("whole");
    assert_eq!(answer(&whole).files.len(), 6);
    let expected = bytes_of(&whole.inbox);
    assert_eq!(expected.len(), 6);
    let later = SandboxOptions { now: whole.now + Duration::DAY, ..whole.clone() };
    assert!(answer(&later).files.is_empty() && bytes_of(&whole.inbox) == expected);
    // A folder where an answer is to stand stops the work there, as a kill would.
    for stopped in ["pain002_A1.xml", "camt054_A1.xml", "camt053_BANKA_2026-11-27_1.xml"] {
        let options = folder.options(&format!("stopped-at-{}", &stopped[..7]));
        let obstacle = options.inbox.join("BANKA").join(stopped);
        fs::create_dir_all(&obstacle).unwrap();
        assert!(Sandbox::new(options.clone()).answer_all(&|_| ()).is_err());
        fs::remove_dir(&obstacle).unwrap();
        answer(&SandboxOptions { now: whole.now + Duration::HOUR, ..options.clone() });
        let found = bytes_of(&options.inbox);
        let of_bank = |map: &BTreeMap<PathBuf, Vec<u8>>| {
            map.iter()
                .filter(|(path, _)| path.starts_with("BANKA"))
                .map(|(p, b)| (p.clone(), b.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(found.len(), 6, "{stopped}");
        assert!(of_bank(&found) == of_bank(&expected), "{stopped}");
    }
    // What comes later is answered then, and the balance goes on.
    folder.order_file("BANKA", "A2", DAY, 1_000);
    let files = answer(&later).files;
    let told = Told::read(&files);
    assert_eq!(told.statements[0].0, 2);
    let first = Told::read(&[whole.inbox.join("BANKA/camt053_BANKA_2026-11-27_1.xml")]);
    assert_eq!(told.statements[0].1, first.statements[0].2);
    let other = SandboxOptions { seed: 12, ..folder.options("seed") };
    answer(&other);
    assert_ne!(
        bytes_of(&other.inbox).get(Path::new("BANKB/pain002_B1.xml")),
        expected.get(Path::new("BANKB/pain002_B1.xml"))
    );
}

#[test]
fn damaged_and_repeated_files_are_refused() {
    let check = |name: &str, reason: &str, damage: &dyn Fn(&str) -> String, sealed: bool| {
        let folder = Folder::new(&format!("refuse-{name}"));
        let path = folder.order_file("BANKA", "A1", DAY, 50);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, damage(&text)).unwrap();
        if sealed {
            seal(&path);
        }
        let options = folder.options("inbox");
        let answers = answer(&options);
        answers.files.iter().for_each(|path| assert_valid(path));
        let told = Told::read(&answers.files);
        assert_eq!((told.files, answers.rejected), (1, answers.orders), "{name}");
        let report = told.reports.values().next().unwrap();
        assert_eq!((report.0, report.1.as_str()), ("RJCT", reason), "{name}");
        let figures = answers.providers.values().next().unwrap();
        assert_eq!((figures.refused_files, figures.debited), (1, Tally::default()), "{name}");
    };
    let replace = |from: &'static str, to: &'static str| move |text: &str| text.replacen(from, to, 1);
    check("hash", "AM10", &replace("500.00", "501.00"), false);
    check("count", "AM10", &replace("<NbOfTxs>50<", "<NbOfTxs>51<"), true);
    check("sum", "AM10", &replace("<CtrlSum>", "<CtrlSum>1"), true);
    check("amount", "FF01", &replace(">500.00<", ">x<"), true);
    check("payment", "FF01", &replace("<PmtInfId>P-A1</PmtInfId>", ""), true);
    check("date", "FF01", &replace("2026-11-27", "27/11/2026"), true);
    check("cut", "FF01", &|text| text[..text.len() / 2].to_owned(), true);
    check("nothing", "FF01", &|_| String::new(), true);

    let folder = Folder::new("twice");
    let path = folder.order_file("BANKA", "A1", DAY, 50);
    let again = path.with_file_name("A1-again.xml");
    fs::copy(&path, &again).unwrap();
    seal(&again);
    let answers = answer(&folder.options("inbox"));
    let told = Told::read(&answers.files);
    // By name, `A1-again` comes before `A1.xml`: the second is the repeated one.
    assert_eq!(told.reports["A1+"].0, "RJCT");
    assert_ne!(told.reports["A1"].0, "RJCT");
    assert_eq!((told.debits.len(), answers.providers.values().next().unwrap().refused_files), (1, 1));
}

#[test]
fn unfinished_files_wait_and_rejected_ones_are_not_debited() {
    let folder = Folder::new("wait");
    let path = folder.order_file("BANKA", "A1", DAY, 50);
    let seal_path = path.with_extension("xml.sha256");
    fs::remove_file(&seal_path).unwrap();
    fs::write(path.with_file_name(".A2.xml.part"), "x").unwrap();
    let options = SandboxOptions {
        rates: Rates { rejected: Share::ALL, ..Rates::default() },
        ..folder.options("inbox")
    };
    assert!(answer(&options).files.is_empty());
    seal(&path);
    let answers = answer(&options);
    let told = Told::read(&answers.files);
    assert_eq!(told.reports["A1"], ("RJCT", String::new(), 0, 50));
    assert_eq!((told.files, answers.rejected), (1, 50));
    fs::create_dir(options.outbox.join("not a code")).unwrap();
    let error = Sandbox::new(options).answer_all(&|_| ()).unwrap_err();
    assert!(matches!(error, SandboxError::NotAProvider { .. }));
}

#[test]
fn each_fault_does_what_it_says() {
    let folder = Folder::new("faults");
    folder.order_file("BANKA", "A1", DAY, 3_000);
    folder.order_file("BANKA", "A2", DAY + Duration::DAY, 3_000);
    let right = Told::read(&answer(&folder.options("inbox")).files);
    let debit = |told: &Told| told.debits.values().map(|d| d.1).sum::<i64>();
    let check = |name: &str, faults: Faults, holds: &dyn Fn(&Told, &Answers) -> bool| {
        let options = SandboxOptions { faults, ..folder.options(name) };
        let answers = answer(&options);
        let told = Told::read(&answers.files);
        assert!(holds(&told, &answers), "{name}: {:?} {:?}", told.statements, answers.files);
    };
    let none = Faults::default();
    let all = Share::ALL;
    check("no-fault", none, &|t, _| t.files == 6 && t.returned == right.returned);
    check("duplicated", Faults { duplicated: all, ..none }, &|t, a| {
        t.files == 12 && a.files.iter().filter(|p| p.to_string_lossy().ends_with("_copy.xml")).count() == 6
    });
    check("truncated", Faults { truncated: all, ..none }, &|t, _| t.unreadable == 6);
    check("dropped", Faults { dropped_reports: all, ..none }, &|t, _| t.files == 4 && t.reports.is_empty());
    check("wrong-amounts", Faults { wrong_amounts: all, ..none }, &|t, _| {
        t.returned.iter().all(|(id, amount)| *amount == right.returned[id] + 1) && t.mismatches == 0
    });
    check("unknown", Faults { unknown_orders: all, ..none }, &|t, _| {
        t.returned.len() == right.returned.len() + 2 && t.mismatches == 0
    });
    check("settled", Faults { settled_rejections: all, ..none }, &|t, _| {
        debit(t) == debit(&right) + right.rejected.values().sum::<i64>() && t.rejected == right.rejected
    });
    check("closing", Faults { wrong_closings: all, ..none }, &|t, _| {
        t.mismatches == 2 && t.statements[1].1 + 1 == t.statements[0].2
    });
    check("skipped", Faults { skipped_statements: all, ..none }, &|t, _| t.statements.is_empty());
    check("shuffled", Faults { shuffled_names: true, ..none }, &|t, a| {
        t.files == 6 && a.files.iter().all(|p| p.file_name().unwrap().to_string_lossy().as_bytes()[4] == b'_')
    });
    check("some", Faults { skipped_statements: Share::per_million(500_000), ..none }, &|t, _| t.files >= 4);
}
