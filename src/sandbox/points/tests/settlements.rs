//! The day's end: settlement files and statements.

use std::fs;
use std::path::Path;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::*;
use crate::domain::money::Centimes;
use crate::iso20022::statement::CamtItem;
use crate::iso20022::statement::read::CamtReader;
use crate::iso20022::xml::fault::Limits;

const REFERENCE: &str = "STLCOUNTER20261124";

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n') && !text.contains('\r'));
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Opening, closing, sequence and the debits by batch of a statement that agrees with itself.
fn statement(path: &Path) -> (Centimes, Centimes, u64, Vec<(String, Centimes)>) {
    let mut reader =
        CamtReader::new(std::io::BufReader::new(fs::File::open(path).unwrap()), Limits::default());
    let (mut balances, mut sequence, mut debits) = (Vec::new(), 0, Vec::new());
    while let Some(item) = reader.next().unwrap() {
        match item {
            CamtItem::StatementBegin(begun) => sequence = begun.electronic_sequence.unwrap(),
            CamtItem::Balance(balance) => balances.push(balance.amount),
            CamtItem::Entry(entry) => {
                assert!(!entry.credit);
                debits.push((entry.batch.as_ref().unwrap().msg_id.clone(), entry.amount));
            }
            CamtItem::Mismatch(mismatch) => panic!("{mismatch:?}"),
            CamtItem::FaultyEntry { fault, .. } => panic!("{fault}"),
            _ => {}
        }
    }
    (balances[0], balances[1], sequence, debits)
}

/// Two orders for 500.00 and one for 737.00 that are drawn, one for 1.00 that is not.
async fn drawn(options: PointsOptions) -> Bed {
    let bed = Bed::start(options).await;
    let amounts = [50_000, 73_700, 50_000];
    bed.put(amounts.iter().enumerate().map(|(n, amount)| order(n, *amount)).collect()).await.answers();
    assert_eq!(bed.points.collect(), 3);
    bed.put(vec![order(3, 100)]).await.answers();
    bed
}

#[tokio::test]
async fn what_was_paid_is_settled_once_and_debited() {
    let bed = drawn(options("settled")).await;
    bed.transfer(&key(8), "12.34").await;
    let files = bed.points.end_day().unwrap();
    let names: Vec<_> = files.iter().map(|f| name(f)).collect();
    assert_eq!(
        names,
        [
            format!("settlement_counter_{REFERENCE}001.csv"),
            "settlement_wallet_STLWALLET20261124001.csv".to_owned(),
            format!("camt053_counter_2026-11-24_{REFERENCE}001.xml"),
            "camt053_wallet_2026-11-24_STLWALLET20261124001.xml".to_owned(),
        ]
    );
    let at = "2026-11-24T10:12:07Z";
    let expected = format!(
        "H,counter,{REFERENCE}001,2026-11-24,MAD,1\nD,{},collected,500.00,8.00,{at}\nD,{},collected,737.00,16.00,{at}\n\
         D,{},collected,500.00,8.00,{at}\nT,3,1737.00,32.00\n",
        key(0),
        key(1),
        key(2)
    );
    assert_eq!(fs::read_to_string(&files[0]).unwrap(), expected);
    assert_eq!(lines(&files[1])[1][2..5], ["credited", "12.34", "8.00"]);
    let (opening, closing, sequence, debits) = statement(&files[2]);
    assert_eq!(opening - closing, Centimes::new(173_700));
    assert_eq!((sequence, debits), (1, vec![(format!("{REFERENCE}001"), Centimes::new(173_700))]));

    assert!(bed.points.end_day().unwrap().is_empty(), "nothing is settled twice");
    assert_eq!(bed.points.collect(), 1);
    let files = bed.points.end_day().unwrap();
    assert_eq!(lines(&files[0])[2], ["T", "1", "1.00", "8.00"]);
    assert_eq!(lines(&files[0])[0][2], format!("{REFERENCE}002"));
    let (next, _, sequence, _) = statement(&files[1]);
    assert_eq!((next, sequence), (closing, 2));
}

#[tokio::test]
async fn numbers_and_balances_go_on_after_a_restart() {
    let told = options("restart");
    let bed = drawn(told.clone()).await;
    let first = bed.points.end_day().unwrap();
    let Bed { points, _inbox: kept, .. } = bed;
    points.stop();
    let bed = drawn(told).await;
    let second = bed.points.end_day().unwrap();
    assert_eq!(lines(&second[0])[0][2], format!("{REFERENCE}002"));
    assert!(first.iter().all(|file| file.exists() && !second.contains(file)));
    assert_eq!(statement(&second[1]).0, statement(&first[1]).1);
    assert_eq!(statement(&second[1]).2, 2);
    drop(kept);
}

#[tokio::test]
async fn what_cannot_be_written_is_settled_the_next_time() {
    let told = options("unwritten");
    let bed = drawn(told.clone()).await;
    fs::remove_dir_all(&told.inbox).unwrap();
    fs::write(&told.inbox, "in the way").unwrap();
    assert!(bed.points.end_day().is_err());
    fs::remove_file(&told.inbox).unwrap();
    let files = bed.points.end_day().unwrap();
    assert_eq!(lines(&files[0])[0][2], format!("{REFERENCE}001"));
    assert_eq!(lines(&files[0])[4], ["T", "3", "1737.00", "32.00"]);
}

#[tokio::test]
async fn settlement_files_lack_a_line_have_a_wrong_fee_or_come_twice() {
    let none = PointFaults::default();
    for (name, faults, last, files) in [
        ("none", none, ["T", "3", "1737.00", "32.00"], 1),
        ("short", PointFaults { settlement_short: Share::ALL, ..none }, ["T", "2", "1237.00", "24.00"], 1),
        ("fees", PointFaults { settlement_fees: Share::ALL, ..none }, ["T", "3", "1737.00", "35.00"], 1),
        ("twice", PointFaults { settlement_twice: Share::ALL, ..none }, ["T", "3", "1737.00", "32.00"], 2),
    ] {
        let bed = drawn(PointsOptions { faults, ..options(&format!("settled-{name}")) }).await;
        let found = bed.points.end_day().unwrap();
        assert_eq!(found.len(), files + 1, "{name}");
        for file in &found[..files] {
            assert_eq!(lines(file).last().unwrap(), &last, "{name}");
        }
        let (opening, closing, ..) = statement(&found[files]);
        assert_eq!(opening - closing, Centimes::new(173_700), "{name}: the account tells the truth");
    }
}

#[tokio::test]
async fn the_time_of_a_line_is_when_it_was_drawn() {
    let bed = drawn(PointsOptions { clock: Clock::system(), ..options("times") }).await;
    let drawn_by = Clock::system().now();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let files = bed.points.end_day().unwrap();
    let at = OffsetDateTime::parse(&lines(&files[0])[1][5], &Rfc3339).unwrap();
    assert!(at <= drawn_by, "{at}, drawn by {drawn_by}");
}
