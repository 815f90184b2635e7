//! What banks do days after: returns, recalls, contradictions.

use super::*;
use crate::iso20022::camt029::read::Camt029Reader;
use crate::iso20022::camt029::{Camt029Item, CancellationStatus};
use crate::iso20022::camt055::write::Camt055Writer;
use crate::iso20022::camt055::{Cancellation, Header as RecallHeader};
use crate::iso20022::pacs004::Pacs004Item;
use crate::iso20022::pacs004::read::Pacs004Reader;
use crate::iso20022::pain001::Agent;

const PAID: Rates = Rates { recall_accepted: Share::ALL, ..Rates::NONE };

/// End-to-end ids and reasons of a payment return.
fn returned(path: &Path) -> Vec<(String, String)> {
    let mut reader = Pacs004Reader::new(BufReader::new(fs::File::open(path).unwrap()), Limits::default());
    let mut found = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let Pacs004Item::Return(back) = item {
            found.push((back.original_end_to_end_id.clone(), back.reasons.first_code().to_owned()));
        }
    }
    found
}

fn named<'a>(answers: &'a Answers, kind: &str) -> Vec<&'a PathBuf> {
    let is_kind = |path: &&PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(kind);
    answers.files.iter().filter(is_kind).collect()
}

impl Folder {
    /// Asks order `n` of a file back.
    fn recall(&self, provider: &str, case: &str, msg_id: &str, n: u64) {
        let amount = Centimes::new(50_000 + (n % 150) as i64);
        let header = RecallHeader {
            id: case,
            created: datetime!(2026-11-28 10:00:00 UTC),
            assigner_name: "Agence",
            assigner_id: "",
            assignee: Agent::Member("001"),
            orders: 1,
            control_sum: amount,
            original_msg_id: msg_id,
            original_msg_name: "pain.001.001.09",
            original_created: None,
        };
        let path = self.0.join("outbox").join(provider).join(format!("camt055_{case}.xml"));
        let mut writer = Camt055Writer::begin(fs::File::create(&path).unwrap(), &header).unwrap();
        let cancellation = Cancellation {
            id: case,
            instr_id: &format!("I{n}"),
            end_to_end_id: &format!("{msg_id}-{n}"),
            uetr: &format!("{n:08x}-1c2d-4e5f-8a9b-0c1d2e3f4a5b"),
            amount,
            execution_date: DAY,
            reason: "CUST",
        };
        writer.transaction(&cancellation).unwrap();
        writer.finish().unwrap();
        seal(&path);
    }
}

/// What is said to the cases answered: case, status, reason.
fn said(answers: &Answers) -> Vec<String> {
    let mut lines = Vec::new();
    for path in named(answers, "camt029") {
        assert_valid(path);
        let file = BufReader::new(fs::File::open(path).unwrap());
        let mut reader = Camt029Reader::new(file, Limits::default());
        while let Some(item) = reader.next().unwrap() {
            if let Camt029Item::Answer(answer) = item {
                let status = match answer.status {
                    CancellationStatus::Accepted => "yes",
                    CancellationStatus::Refused => "no",
                    CancellationStatus::Pending => "wait",
                    CancellationStatus::Other(_) => "?",
                };
                lines.push(
                    format!("{} {status} {}", answer.case_id, answer.reasons.first_code()).trim().to_owned(),
                );
            }
        }
    }
    lines
}

#[test]
fn orders_come_back_late_once_and_are_credited() {
    let folder = Folder::new("late");
    folder.order_file("BANKA", "A1", DAY, 2_000);
    let rates = Rates { late: Share::per_million(20_000), ..Rates::default() };
    let options = SandboxOptions { rates, ..folder.options("inbox") };
    let first = answer(&options);
    assert_eq!((first.late, named(&first, "pacs004").len()), (0, 0));
    let told = Told::read(&first.files);
    let (mut late, mut closing) = (BTreeMap::new(), told.statements[0].2);
    for days in 1..=70 {
        let answers = answer(&SandboxOptions { now: options.now + Duration::days(days), ..options.clone() });
        answers.files.iter().for_each(|path| assert_valid(path));
        for path in named(&answers, "pacs004") {
            for (id, reason) in returned(path) {
                assert!(!reason.is_empty() && late.insert(id, days).is_none());
            }
        }
        let statements: Vec<PathBuf> = named(&answers, "camt053").into_iter().cloned().collect();
        let day = Told::read(&statements);
        assert_eq!((day.returned.len() as u64, day.mismatches), (answers.late, 0));
        for (_, opening, closed) in day.statements {
            assert_eq!((opening, closed), (closing, closing + day.returned.values().sum::<i64>()));
            closing = closed;
        }
    }
    assert!(late.len() > 20 && late.values().any(|day| *day < 20) && late.values().any(|day| *day > 40));
    assert!(late.keys().all(|id| !told.returned.contains_key(id) && !told.rejected.contains_key(id)));
}

#[test]
fn recalls_are_granted_refused_or_pending_first() {
    let folder = Folder::new("recalls");
    folder.order_file("BANKA", "A1", DAY, 20);
    folder.recall("BANKA", "C1", "A1", 3);
    folder.recall("BANKA", "C2", "A1", 4);
    folder.recall("BANKA", "C3", "NOBODY", 4);
    // Asked in the same breath as the file was sent: the file goes first.
    let options = SandboxOptions { rates: PAID, ..folder.options("inbox") };
    assert_eq!(said(&answer(&options)), ["C1 yes", "C2 yes", "C3 no NOOR"]);
    folder.recall("BANKA", "C4", "A1", 3);
    let next = answer(&SandboxOptions { now: options.now + Duration::DAY, ..options.clone() });
    assert_eq!(said(&next)[..1], ["C4 no ARDT"], "it is on its way back");
    let later = answer(&SandboxOptions { now: options.now + Duration::days(9), ..options.clone() });
    let mut back: Vec<_> = [&next, &later]
        .into_iter()
        .flat_map(|answers| named(answers, "pacs004").into_iter().flat_map(|path| returned(path)))
        .collect();
    back.sort();
    assert_eq!(back, [("A1-3".to_owned(), "FOCR".to_owned()), ("A1-4".to_owned(), "FOCR".to_owned())]);

    folder.recall("BANKA", "C5", "A1", 5);
    folder.recall("BANKA", "C6", "A1", 6);
    let waits = Rates { recall_pending: Share::ALL, ..PAID };
    let tenth = options.now + Duration::days(10);
    let answers = answer(&SandboxOptions { rates: waits, now: tenth, ..options.clone() });
    assert_eq!(said(&answers), ["C5 wait", "C6 wait"]);
    let refusing = Rates { recall_accepted: Share::NONE, ..waits };
    let answers =
        answer(&SandboxOptions { rates: refusing, now: tenth + Duration::days(30), ..options.clone() });
    let decided = said(&answers);
    assert_eq!(decided.len(), 2);
    assert!(decided.iter().all(|line| line.contains(" no ")), "{decided:?}");
    let after = answer(&SandboxOptions { now: tenth + Duration::days(60), ..options });
    assert!(after.files.is_empty());
}

#[test]
fn banks_contradict_themselves_when_asked_to() {
    let folder = Folder::new("contradictions");
    folder.order_file("BANKA", "A1", DAY, 1_000);
    let faults =
        Faults { rejected_after: Share::per_million(5_000), restated: Share::ALL, ..Faults::default() };
    let answers = answer(&SandboxOptions { faults, ..folder.options("inbox") });
    answers.files.iter().for_each(|path| assert_valid(path));
    let names: Vec<String> =
        answers.files.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names.last().map(String::as_str), Some("pain002_A1_after.xml"));
    assert_eq!(names.iter().filter(|name| name.contains("_restated")).count(), 1);
    let told = Told::read(&answers.files[answers.files.len() - 1..]);
    assert!(!told.rejected.is_empty() && told.rejected.len() < 20);
}
