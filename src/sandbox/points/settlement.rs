//! The day's end at a payment point: the settlement file (`docs/settlement-file.md`) and the statement that debits its sum.
//!
//! Input: what was paid and is in no settlement. Output, in `inbox/CODE/`: `settlement_CODE_REFERENCE.csv` and
//! `camt053_CODE_DATE_REFERENCE.xml`; what must be remembered, in `.sandbox/points.json` there.
//! Guarantee: numbers, references and balances go on where an earlier sandbox on this inbox left off; a file appears whole
//! or not at all; what could not be written is settled the next time, under the same reference.
//! Limit: accounts that banks of the same inbox keep too are not the same accounts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};

use super::book::Paid;
use super::{Point, strikes};
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::statement::{
    AccountId, Balance, BankCode, Batch, CamtKind, Entry, EntryStatus, StatedTotal, Statement, Summary,
};
use crate::iso20022::values::MessageHeader;
use crate::iso20022::xml::write::WriteError;
use crate::rails::stream::wire::Status;
use crate::sandbox::SandboxError;
use crate::sandbox::state_file::{load, save};
use crate::sandbox::wire::statement::CamtWriter;

/// What every account holds at first.
const FUNDING: Centimes = Centimes::from_mad(100_000_000_000);
/// A reference has room for so much of a provider's code.
const CODE_LEN: usize = 12;

/// What outlives the sandbox.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    /// Settlements made, each with its statement.
    settlements: u64,
    /// Sum of what they debited.
    debited: Centimes,
}

/// The files of a day's end.
pub(super) struct DayEnd {
    /// The settlement file, and its copy where faults say so.
    pub settlements: Vec<PathBuf>,
    pub statement: PathBuf,
}

/// Settles what was paid since the last time; nothing where nothing was.
pub(super) fn settle(point: &Point) -> Result<Option<DayEnd>, SandboxError> {
    // One at a time, or an order would be settled twice.
    let _settling = point.settling.lock().unwrap_or_else(PoisonError::into_inner);
    let now = whole_second(point.options.clock.now());
    let code = point.told.provider.code.as_str();
    let paid = point.book().unsettled();
    if paid.is_empty() {
        return Ok(None);
    }
    let folder = point.options.inbox.join(code);
    let state = folder.join(".sandbox");
    fs::create_dir_all(&state).map_err(SandboxError::io(&state))?;
    let memory_path = state.join("points.json");
    let mut memory: Memory = load(&memory_path)?.unwrap_or_default();
    let reference = reference(code, now.date(), memory.settlements + 1);

    let file = folder.join(format!("settlement_{code}_{reference}.csv"));
    let text = csv(point, &reference, now, &paid);
    write_whole(&file, text.as_bytes())?;
    let mut settlements = vec![file];
    if strikes(point.dice(), point.faults().settlement_twice, "settled twice", &reference, 0) {
        let copy = folder.join(format!("settlement_{code}_{reference}_copy.csv"));
        write_whole(&copy, text.as_bytes())?;
        settlements.push(copy);
    }
    let page = Page {
        reference: &reference,
        account: point.told.provider.debtor_account.reveal(),
        now,
        sum: paid.iter().map(|paid| Centimes::new(paid.amount)).sum(),
        orders: paid.len() as u64,
        opening: FUNDING - memory.debited,
        sequence: memory.settlements + 1,
    };
    let statement = folder.join(format!("camt053_{code}_{}_{reference}.xml", now.date()));
    let bytes = page.write().map_err(|source| SandboxError::Answer { path: statement.clone(), source })?;
    write_whole(&statement, &bytes)?;
    memory.settlements += 1;
    memory.debited += page.sum;
    save(&memory_path, &memory)?;
    point.book().settle(&paid);
    Ok(Some(DayEnd { settlements, statement }))
}

/// At most 35 of `A-Z0-9`.
fn reference(code: &str, day: Date, number: u64) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase());
    let code: String = letters.take(CODE_LEN).collect();
    format!("STL{code}{:04}{:02}{:02}{number:03}", day.year(), u8::from(day.month()), day.day())
}

fn whole_second(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).expect("zero is valid")
}

fn csv(point: &Point, reference: &str, now: OffsetDateTime, paid: &[Paid]) -> String {
    let (faults, dice, provider) = (point.faults(), point.dice(), &point.told.provider);
    let mut text = format!("H,{},{reference},{},{},1\n", provider.code, now.date(), country::currency());
    let (mut sum, mut fees, mut lines) = (Centimes::ZERO, Centimes::ZERO, 0_u64);
    let short = strikes(dice, faults.settlement_short, "short", reference, 0);
    for order in &paid[usize::from(short)..] {
        let amount = Centimes::new(order.amount);
        let mut fee = provider.fee(amount);
        if dice.hits(faults.settlement_fees, "fee", &order.key) {
            fee += Centimes::from_mad(1);
        }
        let what = if order.status == Status::Credited { "credited" } else { "collected" };
        let at = whole_second(order.at).format(&Rfc3339).expect("years of four digits");
        writeln!(text, "D,{},{what},{amount},{fee},{at}", order.key).expect("a String takes all");
        (sum, fees, lines) = (sum + amount, fees + fee, lines + 1);
    }
    writeln!(text, "T,{lines},{sum},{fees}").expect("a String takes all");
    text
}

/// A statement with one debit.
struct Page<'a> {
    reference: &'a str,
    account: &'a str,
    now: OffsetDateTime,
    sum: Centimes,
    orders: u64,
    opening: Centimes,
    sequence: u64,
}

impl Page<'_> {
    fn write(&self) -> Result<Vec<u8>, WriteError> {
        let header = MessageHeader { msg_id: format!("STM{}", self.reference), created: Some(self.now) };
        let start = self.now.date().with_time(Time::MIDNIGHT).assume_utc();
        let head = Statement {
            kind: CamtKind::Statement,
            id: header.msg_id.clone(),
            account: AccountId::Other(self.account.to_owned()),
            electronic_sequence: Some(self.sequence),
            legal_sequence: None,
            from: Some(start),
            to: Some(start + time::Duration::seconds(86_399)),
            ..Statement::default()
        };
        let balances = [self.balance("OPBD", self.opening), self.balance("CLBD", self.opening - self.sum)];
        let one = StatedTotal { entries: Some(1), sum: Some(self.sum) };
        let none = StatedTotal { entries: Some(0), sum: Some(Centimes::ZERO) };
        let summary = Summary { all: one, credits: none, debits: one };
        let mut writer = CamtWriter::begin(Vec::new(), CamtKind::Statement, &header)?;
        writer.statement(&head, &balances, Some(&summary))?;
        writer.entry(&self.entry())?;
        writer.finish()
    }

    fn balance(&self, code: &str, amount: Centimes) -> Balance {
        Balance {
            code: code.to_owned(),
            amount: Centimes::new(amount.get().abs()),
            credit: amount >= Centimes::ZERO,
            currency: country::currency().to_owned(),
            date: Some(self.now.date()),
        }
    }

    fn entry(&self) -> Entry {
        let day = self.now.date();
        Entry {
            amount: self.sum,
            currency: country::currency().to_owned(),
            credit: false,
            status: EntryStatus::Book,
            booking_date: Some(day),
            value_date: Some(day),
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
    fs::write(&part, bytes).map_err(SandboxError::io(&part))?;
    fs::rename(&part, path).map_err(SandboxError::io(path))
}
