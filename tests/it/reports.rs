//! Every file of a run's report, opened and summed: it says what the database says, in every shape.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use rust_decimal::Decimal;
use sarf::domain::ids::RunId;
use sarf::domain::money::Centimes;
use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, standing_sql};

/// Lines of a table by the names of its columns.
type Lines = Vec<BTreeMap<String, String>>;

fn read_csv(path: &Path) -> Lines {
    let mut reader = csv::Reader::from_path(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = reader.headers().expect("a header").clone();
    let line = |record: csv::StringRecord| -> BTreeMap<String, String> {
        header.iter().zip(&record).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|record| line(record.expect("a record"))).collect()
}

fn centimes(text: &str) -> i64 {
    text.parse::<Centimes>().unwrap_or_else(|e| panic!("`{text}`: {e}")).get()
}

/// The orders by column; decimals as dirhams, nothing as an empty text.
fn read_parquet(path: &Path) -> Lines {
    let reader = SerializedFileReader::new(File::open(path).expect("the file")).expect("Parquet");
    let line = |row: parquet::record::Row| -> BTreeMap<String, String> {
        let cell = |field: &Field| match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Long(number) => number.to_string(),
            Field::Decimal(decimal) => {
                let bytes = decimal.data().try_into().expect("eight bytes");
                Centimes::new(i64::from_be_bytes(bytes)).to_string()
            }
            other => panic!("{other:?}"),
        };
        row.get_column_iter().map(|(name, field)| (name.clone(), cell(field))).collect()
    };
    reader.get_row_iter(None).expect("rows").map(|row| line(row.expect("a row"))).collect()
}

/// The sheets of a workbook by name: cells as they stand, by row and column.
fn read_workbook(path: &Path) -> BTreeMap<String, Vec<BTreeMap<String, String>>> {
    let mut archive = zip::ZipArchive::new(File::open(path).expect("the file")).expect("an archive");
    let mut part = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).expect(name).read_to_string(&mut text).expect("text");
        text
    };
    let texts = part("xl/sharedStrings.xml");
    let texts: Vec<&str> = texts.split("<si>").skip(1).map(|item| between(item, "<t", "</t>")).collect();
    let book = part("xl/workbook.xml");
    let names = book.split("<sheet ").skip(1).map(|sheet| attribute(sheet, "name"));
    let sheet = |(number, name): (usize, &str)| {
        let xml = part(&format!("xl/worksheets/sheet{number}.xml"));
        let rows = xml.split("<row ").skip(1).map(|row| {
            let cells = row.split("<c ").skip(1).filter(|cell| cell.contains("<v>"));
            let cell = |cell: &str| {
                let column = attribute(cell, "r").trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
                let value = between(cell, "<v", "</v>");
                let is_text = cell.split_once('>').expect("a tag").0.contains("t=\"s\"");
                let value = if is_text { texts[value.parse::<usize>().expect("a number")] } else { value };
                (column, value.to_owned())
            };
            cells.map(cell).collect()
        });
        (name.to_owned(), rows.collect())
    };
    (1..).zip(names).map(sheet).collect()
}

/// What stands between the end of a start tag and an end tag.
fn between<'a>(xml: &'a str, open: &str, close: &str) -> &'a str {
    let rest = xml.split_once(open).expect("the element").1.split_once('>').expect("a tag").1;
    rest.split_once(close).expect("its end").0
}

fn attribute<'a>(xml: &'a str, name: &str) -> &'a str {
    let rest = xml.split_once(&format!("{name}=\"")).expect("the attribute").1;
    rest.split_once('"').expect("its end").0
}

/// Label, count and centimes of the lines of a table by their columns; a total, which stands last, has its label in the first.
fn counted(
    sheet: &[BTreeMap<String, String>],
    heading: &str,
    [label, count, amount]: [&str; 3],
) -> Vec<String> {
    let head = sheet.iter().position(|row| row.get("A").is_some_and(|cell| cell.starts_with(heading)));
    let rows = &sheet[head.unwrap_or_else(|| panic!("no {heading}: {sheet:?}")) + 1..];
    let line = |row: &BTreeMap<String, String>| {
        let dirhams: Decimal = row[amount].parse().expect("an amount");
        format!(
            "{} {} {}",
            row.get(label).unwrap_or(&row["A"]),
            row[count],
            (dirhams * Decimal::from(100)).normalize()
        )
    };
    rows.iter().map(line).collect()
}

/// Label, count and sum of lines under a label, and the total.
fn summed(lines: &Lines, label: &str) -> Vec<String> {
    let mut sums = BTreeMap::<&str, (usize, i64)>::new();
    for line in lines {
        let sum = sums.entry(&line[label]).or_default();
        *sum = (sum.0 + 1, sum.1 + centimes(&line["amount"]));
    }
    sums.iter().map(|(label, (count, amount))| format!("{label} {count} {amount}")).collect()
}

/// The same from the database; `label` is a column of orders `o`, providers `p` or places `l`.
async fn in_database(bed: &Bed, run: RunId, label: &str) -> Vec<String> {
    let sql = format!(
        "select {label} || ' ' || count(*) || ' ' || sum(o.amount) from payment_order_{run} o
           join run r on r.id = {run} join provider p on p.id = o.provider_id
           join place l on l.snapshot_id = r.snapshot_id and l.id = o.place_id
          group by {label} order by {label} collate \"C\""
    );
    bed.rows(&sql).await
}

/// A month that banks have answered: settled, rejected and returned orders, holds, exclusions, rejected rows, breaks.
async fn answered(bed: &Bed) -> RunId {
    let run = bed.run_to(1_200, 33, RunState::Settling).await;
    let faults = sarf::sandbox::banks::Faults {
        wrong_amounts: sarf::sandbox::Share::per_million(500_000),
        ..Default::default()
    };
    for (_, result) in bed.feedback(bed.answer(faults, Default::default()).files).await {
        result.expect("taken");
    }
    bed.reconcile(run).await;
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_a_report_sums_to_the_database() {
    let Some(bed) = Bed::new().await else { return };
    let run = answered(&bed).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let out = bed.home().join("report");
    let said = program.ends(0, &format!("--json report {run} --out {}", out.display())).json();
    let mut told: Vec<_> =
        said.as_array().expect("paths").iter().filter_map(|p| Path::new(p.as_str()?).file_name()).collect();
    let listed: Vec<_> =
        fs::read_dir(&out).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    told.sort();
    let mut listed: Vec<_> = listed.iter().map(|name| name.as_os_str()).collect();
    listed.sort();
    assert_eq!(told, listed);
    assert_eq!(listed.len(), 12, "a file that no line below opens: {listed:?}");

    let orders = read_csv(&out.join("orders.csv"));
    orders_are_those_of_the_books(&bed, run, &orders).await;
    columns_say_the_same(&bed, run, &orders, &read_parquet(&out.join("orders.parquet"))).await;
    lists_are_whole(&bed, run, &out).await;
    workbook_sums_up(&bed, run, &orders, &read_workbook(&out.join("summary.xlsx"))).await;
    bed.end().await;
}

async fn orders_are_those_of_the_books(bed: &Bed, run: RunId, orders: &Lines) {
    let mut stand: Vec<String> =
        orders.iter().map(|o| format!("{} {}", o["household_id"], o["state"])).collect();
    stand.sort();
    let mut expected = bed.rows(&standing_sql(run)).await;
    expected.sort();
    assert_eq!(stand, expected);
    let kept = bed
        .rows(&format!(
            "select state || ' ' || sum(orders) || ' ' || sum(amount) from run_total
              where run_id = {run} group by state having sum(orders) > 0 order by state collate \"C\""
        ))
        .await;
    assert_eq!(summed(orders, "state"), kept);
    assert!(kept.len() >= 4, "many states: {kept:?}");
    assert_eq!(summed(orders, "provider"), in_database(bed, run, "p.code").await);
}

async fn columns_say_the_same(bed: &Bed, run: RunId, orders: &Lines, columns: &Lines) {
    assert_eq!(columns.len(), orders.len());
    for (column, order) in columns.iter().zip(orders) {
        for (name, cell) in order {
            assert_eq!(&column[name], cell, "{name}: {order:?}");
        }
    }
    assert_eq!(summed(columns, "region"), in_database(bed, run, "l.region").await);
    assert_eq!(summed(columns, "province"), in_database(bed, run, "l.province").await);
    let sum = |name: &str| columns.iter().map(|c| c[name].parse::<i64>().expect("centimes")).sum::<i64>();
    for (name, column) in [("entitled_centimes", "entitled"), ("offset_centimes", "offset_amount")] {
        assert_eq!(
            sum(name),
            bed.number(&format!("select sum({column})::bigint from payment_order_{run}")).await
        );
    }
}

async fn lists_are_whole(bed: &Bed, run: RunId, out: &Path) {
    let of_run = |table: &str| format!("select count(*) from {table} where run_id = {run}");
    let rejected = |part: &str| format!("select count(*) from snapshot_rejection where part = '{part}'");
    let told = format!(
        "select (select count(*) from outcome_{run} where told is not null)
              + (select count(*) from batch_event e join batch b on b.id = e.batch_id
                  where b.run_id = {run} and e.told is not null)"
    );
    for (file, sql, some) in [
        ("exclusions.csv", of_run("exclusion"), true),
        ("rejections.csv", rejected("households"), true),
        ("rejected_members.csv", rejected("members"), true),
        ("holds.csv", "select count(*) from order_hold".into(), true),
        ("breaks.csv", "select count(*) from break".into(), true),
        ("batches.csv", of_run("batch"), true),
        ("comparison.csv", of_run("run_comparison"), false),
        ("carried_forward.csv", of_run("carried_forward"), false),
        ("reasons.csv", told, true),
    ] {
        let (lines, kept) = (read_csv(&out.join(file)).len() as i64, bed.number(&sql).await);
        assert_eq!(lines, kept, "{file}");
        assert!(!some || lines > 0, "{file} shows nothing");
    }
    let batches = read_csv(&out.join("batches.csv"));
    for (column, sum) in [
        ("amount", "amount"),
        ("rejected_amount", "rejected_amount"),
        ("returned_amount", "returned_amount"),
        ("debited", "debited_amount"),
        ("credited", "credited_amount"),
    ] {
        let shown: i64 = batches.iter().map(|b| centimes(&b[column])).sum();
        assert_eq!(
            shown,
            bed.number(&format!("select sum({sum})::bigint from batch where run_id = {run}")).await,
            "{column}"
        );
    }
    let breaks = read_csv(&out.join("breaks.csv"));
    let shown: i64 = breaks.iter().filter(|b| !b["amount"].is_empty()).map(|b| centimes(&b["amount"])).sum();
    assert_eq!(shown, bed.number("select sum(amount)::bigint from break").await);
}

async fn workbook_sums_up(
    bed: &Bed,
    run: RunId,
    orders: &Lines,
    book: &BTreeMap<String, Vec<BTreeMap<String, String>>>,
) {
    let total = bed
        .rows(&format!("select 'Total ' || count(*) || ' ' || sum(amount) from payment_order_{run}"))
        .await;
    for (sheet, heading, columns, expected) in [
        ("Summary", "State\n", ["A", "C", "D"], summed(orders, "state")),
        ("By provider", "Provider", ["A", "B", "C"], in_database(bed, run, "p.code").await),
        ("By region", "Region", ["A", "B", "C"], in_database(bed, run, "l.region").await),
        ("By province", "Region", ["B", "C", "D"], in_database(bed, run, "l.province").await),
    ] {
        let mut shown = counted(&book[sheet], heading, columns);
        assert_eq!(shown.pop().as_slice(), total.as_slice(), "{sheet}");
        shown.sort();
        assert_eq!(shown, expected, "{sheet}");
    }
    let batches = counted(&book["Batches"], "Provider", ["A", "G", "H"]).pop();
    let kept =
        format!("select 'Total ' || sum(orders) || ' ' || sum(amount) from batch where run_id = {run}");
    assert_eq!(batches.as_slice(), bed.rows(&kept).await.as_slice());
    let mut holds = counted(&book["Holds by reason"], "Hold", ["A", "C", "D"]);
    holds.sort();
    let kept = format!(
        "select h.reason || ' ' || count(*) || ' ' || sum(o.amount) from order_hold h
           join payment_order_{run} o using (order_id) group by h.reason, h.released_at is null"
    );
    let mut kept = bed.rows(&kept).await;
    kept.sort();
    assert_eq!(holds, kept);
    let mut breaks = counted(&book["Breaks by kind"], "Break", ["A", "C", "D"]);
    breaks.sort();
    let kept = "select kind || ' ' || count(*) || ' ' || coalesce(sum(abs(amount)), 0) from break
                 group by kind, resolved_at is null";
    let mut kept = bed.rows(kept).await;
    kept.sort();
    assert_eq!(breaks, kept);
    let names: Vec<_> = book.keys().map(String::as_str).collect();
    let all = [
        "Batches",
        "Breaks by kind",
        "By provider",
        "By province",
        "By region",
        "Carried forward",
        "Comparison",
        "Holds by reason",
        "Reasons",
        "Summary",
    ];
    assert_eq!(names, all, "a sheet that no line above opens");
}
