//! The day's end at a payment point: the settlement file (`docs/settlement-file.md`) and the statement that debits its sum.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};

use super::super::error::SandboxError;
use super::{Point, strikes};
use crate::domain::money::Centimes;
use crate::iso20022::camt_items::{
    AccountId, Balance, BankCode, Batch, CamtKind, Entry, EntryStatus, StatedTotal, Statement, Summary,
};
use crate::iso20022::camt_writer::CamtWriter;
use crate::iso20022::values::MessageHeader;
use crate::rails::stream::wire::Status;

/// What every account holds at first.
const FUNDING: Centimes = Centimes::from_mad(100_000_000_000);

/// Settles what was paid since the last time; nothing where nothing was.
pub(super) fn settle(point: &Point) -> Result<Option<(PathBuf, PathBuf)>, SandboxError> {
    let now = point.options.clock.now();
    let (code, provider) = (point.told.provider.code.as_str(), &point.told.provider);
    let mut book = point.book();
    let mut paid: Vec<(Box<str>, i64, Status)> = book
        .orders
        .iter()
        .filter(|(_, held)| !held.settled && matches!(held.status, Status::Collected | Status::Credited))
        .map(|(key, held)| (key.clone(), held.amount, held.status))
        .collect();
    if paid.is_empty() {
        return Ok(None);
    }
    paid.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, ..) in &paid {
        book.orders.get_mut(key).expect("just seen").settled = true;
    }
    book.settlements += 1;
    let upper: String =
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let day = now.date();
    let number = book.settlements;
    let reference =
        format!("STL{:.12}{:04}{:02}{:02}{number:03}", upper, day.year(), u8::from(day.month()), day.day());
    let sum: i64 = paid.iter().map(|(_, amount, _)| amount).sum();
    let (opening, sequence) = (FUNDING - Centimes::new(book.balance_moved), book.statements + 1);
    book.balance_moved += sum;
    book.statements = sequence;
    drop(book);

    let folder = point.options.inbox.join(code);
    fs::create_dir_all(&folder).map_err(SandboxError::io(&folder))?;
    let file = folder.join(format!("settlement_{code}_{reference}.csv"));
    let text = csv(point, &reference, now, &paid, |amount| provider.fee(amount));
    write_whole(&file, text.as_bytes())?;
    let page = Page {
        reference: &reference,
        day,
        sum: Centimes::new(sum),
        orders: paid.len() as u64,
        opening,
        sequence,
    };
    let statement = folder.join(format!("camt053_{code}_{day}_{reference}.xml"));
    let bytes =
        page.write(point, now).map_err(|source| SandboxError::Answer { path: statement.clone(), source })?;
    write_whole(&statement, &bytes)?;
    Ok(Some((file, statement)))
}

fn csv(
    point: &Point,
    reference: &str,
    now: OffsetDateTime,
    paid: &[(Box<str>, i64, Status)],
    fee_of: impl Fn(Centimes) -> Centimes,
) -> String {
    use std::fmt::Write as _;
    let (faults, dice, code) = (point.faults(), point.dice(), point.told.provider.code.as_str());
    let at =
        now.replace_nanosecond(0).expect("zero is valid").format(&Rfc3339).expect("years of four digits");
    let mut text = format!("H,{code},{reference},{},MAD,1\n", now.date());
    let (mut sum, mut fees, mut lines) = (Centimes::ZERO, Centimes::ZERO, 0);
    let short = strikes(dice, faults.settlement_short, "short", reference, 0);
    for (number, (key, amount, status)) in paid.iter().enumerate() {
        if short && number == 0 {
            continue;
        }
        let amount = Centimes::new(*amount);
        let mut fee = fee_of(amount);
        if dice.hits(faults.settlement_fees, "fee", key) {
            fee += Centimes::from_mad(1);
        }
        let what = if *status == Status::Credited { "credited" } else { "collected" };
        writeln!(text, "D,{key},{what},{amount},{fee},{at}").expect("a String takes all");
        (sum, fees, lines) = (sum + amount, fees + fee, lines + 1);
    }
    writeln!(text, "T,{lines},{sum},{fees}").expect("a String takes all");
    text
}

/// A statement with one debit.
struct Page<'a> {
    reference: &'a str,
    day: Date,
    sum: Centimes,
    orders: u64,
    opening: Centimes,
    sequence: u64,
}

impl Page<'_> {
    fn write(
        &self,
        point: &Point,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, crate::iso20022::write::WriteError> {
        let header = MessageHeader {
            msg_id: format!("STM{}", self.reference),
            created: Some(now.replace_nanosecond(0).expect("zero is valid")),
            ..MessageHeader::default()
        };
        let start = self.day.with_time(Time::MIDNIGHT).assume_utc();
        let head = Statement {
            kind: CamtKind::Statement,
            id: header.msg_id.clone(),
            account: AccountId::Other(point.told.provider.debtor_account.reveal().to_owned()),
            electronic_sequence: Some(self.sequence),
            legal_sequence: None,
            from: Some(start),
            to: Some(start + time::Duration::seconds(86_399)),
        };
        let balance = |code: &str, amount: Centimes| Balance {
            code: code.to_owned(),
            amount,
            credit: true,
            currency: "MAD".to_owned(),
            date: Some(self.day),
        };
        let balances = [balance("OPBD", self.opening), balance("CLBD", self.opening - self.sum)];
        let one = StatedTotal { entries: Some(1), sum: Some(self.sum) };
        let none = StatedTotal { entries: Some(0), sum: Some(Centimes::ZERO) };
        let summary = Summary { all: one.clone(), credits: none, debits: one };
        let mut writer = CamtWriter::begin(Vec::new(), CamtKind::Statement, &header)?;
        writer.statement(&head, &balances, Some(&summary))?;
        writer.entry(&self.entry())?;
        writer.finish()
    }

    fn entry(&self) -> Entry {
        Entry {
            amount: self.sum,
            currency: "MAD".to_owned(),
            credit: false,
            status: EntryStatus::Book,
            booking_date: Some(self.day),
            value_date: Some(self.day),
            servicer_ref: format!("S{}", self.reference),
            code: BankCode {
                domain: "PMNT".to_owned(),
                family: "ICDT".to_owned(),
                sub_family: "DMCT".to_owned(),
                proprietary: String::new(),
            },
            batch: Some(Batch {
                msg_id: self.reference.to_owned(),
                pmt_inf_id: self.reference.to_owned(),
                orders: Some(self.orders),
                sum: Some(self.sum),
                credit: Some(false),
            }),
            ..Entry::default()
        }
    }
}

/// A file appears whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    let part = path.with_extension("part");
    let mut file = fs::File::create(&part).map_err(SandboxError::io(&part))?;
    file.write_all(bytes).map_err(SandboxError::io(&part))?;
    fs::rename(&part, path).map_err(SandboxError::io(path))
}
