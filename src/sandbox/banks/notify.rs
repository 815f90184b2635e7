//! What a bank books: notifications of returns (camt.054) and statements of accounts (camt.053).
//!
//! Input: the records and returns of the files of a plan, and the late returns that are due. Output: one camt.054 for a
//! file (or one debit an order, where the file asks for it), one camt.053 for each account and value date with something booked. Guarantee: closing balance = opening balance + credits − debits,
//! and the next statement opens with it; returns are streamed from the disk. Limit: returns other than late ones are booked
//! on the value date of their file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write};

use time::{Date, Duration, Time};

use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::statement::{
    AccountId, Balance, BankCode, Batch, CamtKind, Detail, Entry, EntryStatus, StatedTotal, Statement,
    Summary,
};
use crate::iso20022::xml::write::WriteError;
use crate::sandbox::SandboxError;
use crate::sandbox::wire::pain001::Account;
use crate::sandbox::wire::statement::CamtWriter;

use super::answer::answer_error;
use super::bank::{Bank, in_file_name};
use super::later::{LateReturn, due_returns};
use super::state::{AccountState, Booking, Memory, Record, Return, Tally};

/// What every account holds at first: far more than any run pays.
const FUNDING: Centimes = Centimes::from_mad(100_000_000_000);

/// Notifies of the returns of a file that were drawn for it.
pub(super) fn notify(
    bank: &Bank<'_>,
    record: &Record,
    booking: &Booking,
) -> Result<Vec<String>, SandboxError> {
    let name = format!("camt054_{}.xml", in_file_name(&record.msg_id));
    let header = bank.header("NTF", &record.name);
    let notification = Statement {
        kind: CamtKind::Notification,
        id: header.msg_id.clone(),
        account: account_id(&booking.account),
        ..Statement::default()
    };
    bank.deliver(&name, |out| {
        let fail = |source| answer_error(bank, &name)(source);
        let mut writer = CamtWriter::begin(out, CamtKind::Notification, &header).map_err(fail)?;
        writer.statement(&notification, &[], None).map_err(fail)?;
        write_returns(bank, record, booking, "notified", &mut writer, &name)?;
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// What is booked on an account on one day.
#[derive(Default)]
struct Booked<'a> {
    files: Vec<(&'a Record, &'a Booking)>,
    late: Vec<&'a LateReturn>,
}

/// A statement about to be made.
struct Page<'a> {
    account: &'a Account,
    date: Date,
    files: Vec<(&'a Record, &'a Booking)>,
    late: Vec<&'a LateReturn>,
    opening: Centimes,
    closing: Centimes,
    sequence: u64,
    number: u64,
}

/// Writes the statements of a plan, and brings the memory up to date; gives the names of the files delivered.
pub(super) fn statements(
    bank: &Bank<'_>,
    records: &[Record],
    memory: &mut Memory,
) -> Result<Vec<String>, SandboxError> {
    let mut groups: BTreeMap<(Date, &Account), Booked<'_>> = BTreeMap::new();
    for record in records {
        if let Some(booking) = record.booking.as_ref().filter(|b| b.debit.orders + b.credits.orders > 0) {
            groups.entry((booking.value_date, &booking.account)).or_default().files.push((record, booking));
        }
    }
    for (account, late) in due_returns(bank) {
        groups.entry((bank.now().date(), account)).or_default().late.extend(late);
    }
    let mut names = Vec::new();
    for ((date, account), Booked { files, late }) in groups {
        let at = memory.accounts.iter().position(|a| a.account == *account).unwrap_or_else(|| {
            memory.accounts.push(AccountState { account: account.clone(), balance: FUNDING, sequence: 0 });
            memory.accounts.len() - 1
        });
        let state = &mut memory.accounts[at];
        let opening = state.balance;
        let closing =
            files.iter().fold(opening, |b, (_, booking)| b + booking.credits.amount - booking.debit.amount);
        let closing = late.iter().fold(closing, |balance, back| balance + back.item.amount);
        state.balance = closing;
        state.sequence += 1;
        memory.statements += 1;
        let (sequence, number) = (state.sequence, memory.statements);
        let page = Page { account, date, files, late, opening, closing, sequence, number };
        names.extend(statement(bank, &page)?);
    }
    Ok(names)
}

/// Writes one statement.
fn statement(bank: &Bank<'_>, page: &Page<'_>) -> Result<Vec<String>, SandboxError> {
    let name = format!("camt053_{}_{}_{}.xml", bank.provider, page.date, page.number);
    let (faults, key) = (&bank.options.faults, bank.key(&name));
    if bank.dice.hits(faults.skipped_statements, "skipped", &key) {
        return Ok(Vec::new());
    }
    let off = i64::from(bank.dice.hits(faults.wrong_closings, "closing", &key));
    let id = bank.header("STM", &name).msg_id;
    let mut names = write_statement(bank, page, &name, &id, off)?;
    if bank.dice.hits(faults.restated, "restated", &key) {
        let again = name.replace(".xml", "_restated.xml");
        let own = bank.dice.number("restated as", &key).is_multiple_of(2);
        let id = if own { bank.header("STM", &again).msg_id } else { id };
        names.extend(write_statement(bank, page, &again, &id, off + 1)?);
    }
    Ok(names)
}

/// Writes one file of a statement: under a reference, its closing balance so many centimes off.
fn write_statement(
    bank: &Bank<'_>,
    page: &Page<'_>,
    name: &str,
    id: &str,
    off: i64,
) -> Result<Vec<String>, SandboxError> {
    let balances = [
        balance("OPBD", page.opening, page.date),
        balance("CLBD", page.closing + Centimes::new(off), page.date),
    ];
    let header = bank.header("STM", name);
    let start = page.date.with_time(Time::MIDNIGHT).assume_utc();
    let head = Statement {
        kind: CamtKind::Statement,
        id: id.to_owned(),
        account: account_id(page.account),
        electronic_sequence: Some(page.sequence),
        legal_sequence: None,
        from: Some(start),
        to: Some(start + Duration::seconds(86_399)),
        ..Statement::default()
    };
    let summary = summary(page);
    bank.deliver(name, |out| {
        let fail = |source| answer_error(bank, name)(source);
        let mut writer = CamtWriter::begin(out, CamtKind::Statement, &header).map_err(fail)?;
        writer.statement(&head, &balances, Some(&summary)).map_err(fail)?;
        for (record, booking) in &page.files {
            if record.debited.is_empty() && booking.debit.orders > 0 {
                writer.entry(&debit(bank, record, booking)).map_err(fail)?;
            }
            for order in &record.debited {
                write_debit(bank, record, booking, order, &mut writer).map_err(fail)?;
            }
            write_returns(bank, record, booking, "returns", &mut writer, name)?;
        }
        for back in &page.late {
            write_return(page.date, &back.msg_id, &back.pmt_inf_id, back.item.clone(), &mut writer)
                .map_err(fail)?;
        }
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// The stated totals: one debit a file, or one an order, one credit a return.
fn summary(page: &Page<'_>) -> Summary {
    let (mut credits, mut debits) = (Tally::default(), Tally::default());
    page.late.iter().for_each(|back| credits.count(back.item.amount));
    for (record, booking) in &page.files {
        credits.add(booking.credits);
        if !record.debited.is_empty() {
            debits.add(booking.debit);
        } else if booking.debit.orders > 0 {
            debits.count(booking.debit.amount);
        }
    }
    let mut all = credits;
    all.add(debits);
    let stated = |tally: Tally| StatedTotal { entries: Some(tally.orders), sum: Some(tally.amount) };
    Summary { all: stated(all), credits: stated(credits), debits: stated(debits) }
}

fn balance(code: &str, amount: Centimes, date: Date) -> Balance {
    Balance {
        code: code.to_owned(),
        amount: Centimes::new(amount.get().abs()),
        credit: amount >= Centimes::ZERO,
        currency: country::currency().to_owned(),
        date: Some(date),
    }
}

/// The one debit for a file's accepted orders.
fn debit(bank: &Bank<'_>, record: &Record, booking: &Booking) -> Entry {
    let batch = Batch {
        msg_id: record.msg_id.clone(),
        pmt_inf_id: record.pmt_inf_id.clone(),
        orders: Some(booking.debit.orders),
        sum: Some(booking.debit.amount),
        credit: Some(false),
    };
    let reference = format!("D{:016X}", bank.dice.number("debit", &bank.key(&record.name)));
    entry(booking.value_date, false, booking.debit.amount, reference, "DMCT", Some(batch))
}

/// Writes the debit of one order.
fn write_debit<W: Write>(
    bank: &Bank<'_>,
    record: &Record,
    booking: &Booking,
    order: &Return,
    writer: &mut CamtWriter<W>,
) -> Result<(), WriteError> {
    let reference = format!("D{:016X}", bank.dice.number("debit", &order.end_to_end_id));
    let detail = Detail {
        msg_id: record.msg_id.clone(),
        servicer_ref: reference.clone(),
        pmt_inf_id: record.pmt_inf_id.clone(),
        instr_id: order.instr_id.clone(),
        end_to_end_id: order.end_to_end_id.clone(),
        uetr: order.uetr.clone(),
        amount: Some(order.amount),
        currency: country::currency().to_owned(),
        credit: Some(false),
        ..Detail::default()
    };
    writer.entry(&entry(booking.value_date, false, order.amount, reference, "DMCT", None))?;
    writer.detail(&detail)
}

fn entry(
    date: Date,
    credit: bool,
    amount: Centimes,
    servicer_ref: String,
    sub_family: &str,
    batch: Option<Batch>,
) -> Entry {
    Entry {
        amount,
        currency: country::currency().to_owned(),
        credit,
        status: EntryStatus::Book,
        booking_date: Some(date),
        value_date: Some(date),
        servicer_ref,
        code: BankCode {
            domain: "PMNT".to_owned(),
            family: "ICDT".to_owned(),
            sub_family: sub_family.to_owned(),
            proprietary: String::new(),
        },
        batch,
        ..Entry::default()
    }
}

/// Writes a file's returns from the disk, an entry each.
fn write_returns<W: Write>(
    bank: &Bank<'_>,
    record: &Record,
    booking: &Booking,
    kind: &str,
    writer: &mut CamtWriter<W>,
    name: &str,
) -> Result<(), SandboxError> {
    let path = bank.work_path(&record.name, kind);
    let spool = File::open(&path).map_err(SandboxError::io(&path))?;
    for line in BufReader::new(spool).lines() {
        let line = line.map_err(SandboxError::io(&path))?;
        let item: Return = serde_json::from_str(&line)
            .map_err(|source| SandboxError::State { path: path.clone(), source })?;
        write_return(booking.value_date, &record.msg_id, &record.pmt_inf_id, item, writer)
            .map_err(|source| answer_error(bank, name)(source))?;
    }
    Ok(())
}

/// Writes the credit of one return.
fn write_return<W: Write>(
    date: Date,
    msg_id: &str,
    pmt_inf_id: &str,
    item: Return,
    writer: &mut CamtWriter<W>,
) -> Result<(), WriteError> {
    let mut detail = Detail {
        msg_id: msg_id.to_owned(),
        servicer_ref: item.servicer_ref.clone(),
        pmt_inf_id: pmt_inf_id.to_owned(),
        instr_id: item.instr_id,
        end_to_end_id: item.end_to_end_id,
        uetr: item.uetr,
        amount: Some(item.amount),
        currency: country::currency().to_owned(),
        credit: Some(true),
        ..Detail::default()
    };
    detail.return_reason.code = item.reason;
    writer.entry(&entry(date, true, item.amount, item.servicer_ref, "RRTN", None))?;
    writer.detail(&detail)
}

fn account_id(account: &Account) -> AccountId {
    match account {
        Account::Iban(iban) => AccountId::Iban(iban.clone()),
        Account::Other(other) => AccountId::Other(other.clone()),
    }
}
