//! What comes back after the month is closed: returns, what is paid again, and what a later list puts right.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sarf::domain::ids::RunId;
use sarf::domain::money::Centimes;
use sarf::iso20022::pacs004::{ReturnHeader, ReturnedTransaction};
use sarf::iso20022::statement::{
    AccountId, Balance, BankCode, CamtKind, Detail, Entry, EntryStatus, Statement,
};
use sarf::iso20022::values::{MessageHeader, Reasons};
use sarf::pipeline::Context;
use sarf::sandbox::wire::pacs004::Pacs004Writer;
use sarf::sandbox::wire::statement::CamtWriter;

use crate::month::xml_below;

/// Most orders that come back.
pub const RETURNS: usize = 100_000;

/// Messages that send orders back.
pub struct Back {
    /// Returns by pacs.004, a message for each file of orders.
    pub returns: Vec<PathBuf>,
    /// The account statements that book them.
    pub statements: Vec<PathBuf>,
    /// How many orders.
    pub orders: usize,
}

/// Writes a return for the first orders of the outbox, for a reason for which each may be paid again.
pub fn returns(context: &Context, run: RunId) -> anyhow::Result<Back> {
    let mut back = Back { returns: Vec::new(), statements: Vec::new(), orders: 0 };
    for file in xml_below(&context.home.join("outbox"))? {
        if back.orders == RETURNS {
            break;
        }
        let named = || file.display().to_string();
        let orders = orders(&file, RETURNS - back.orders).with_context(named)?;
        back.orders += orders.len();
        let (number, now) = (back.returns.len(), context.clock.now());
        let path = context.home.join(format!("returns-{run}-{number}.xml"));
        write(&path, number, &orders, now).with_context(named)?;
        back.returns.push(path);
        let path = context.home.join(format!("statement-{run}-{number}.xml"));
        book(&path, number, &account(&file)?, &orders, now).with_context(named)?;
        back.statements.push(path);
    }
    Ok(back)
}

/// The account that a file's orders were debited to.
fn account(file: &Path) -> anyhow::Result<AccountId> {
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        if let Some(iban) = between(&line, "<DbtrAcct><Id><IBAN>") {
            return Ok(AccountId::Iban(iban.to_owned()));
        }
        if let Some(other) = between(&line, "<DbtrAcct><Id><Othr><Id>") {
            return Ok(AccountId::Other(other.to_owned()));
        }
    }
    anyhow::bail!("no account is named")
}

/// Writes a statement with a credit for each order. Its balances do not follow those before: that is a break, not a fault.
fn book(
    path: &Path,
    number: usize,
    account: &AccountId,
    orders: &[(String, Centimes)],
    now: time::OffsetDateTime,
) -> anyhow::Result<()> {
    let header = MessageHeader { msg_id: format!("BOOKED{number}"), created: Some(now) };
    let mut writer = CamtWriter::begin(BufWriter::new(File::create(path)?), CamtKind::Statement, &header)?;
    let statement = Statement {
        kind: CamtKind::Statement,
        id: header.msg_id.clone(),
        account: account.clone(),
        electronic_sequence: None,
        legal_sequence: None,
        from: None,
        to: None,
        ..Statement::default()
    };
    let sum: Centimes = orders.iter().map(|(_, amount)| *amount).sum();
    let balance = |code: &str, amount| Balance {
        code: code.into(),
        amount,
        credit: true,
        currency: "MAD".into(),
        date: Some(now.date()),
    };
    writer.statement(&statement, &[balance("OPBD", Centimes::ZERO), balance("CLBD", sum)], None)?;
    for (at, (id, amount)) in orders.iter().enumerate() {
        writer.entry(&Entry {
            amount: *amount,
            currency: "MAD".into(),
            credit: true,
            status: EntryStatus::Book,
            booking_date: Some(now.date()),
            servicer_ref: format!("BACK{number}-{at}"),
            code: BankCode {
                domain: "PMNT".into(),
                family: "ICDT".into(),
                sub_family: "RRTN".into(),
                proprietary: String::new(),
            },
            ..Entry::default()
        })?;
        let mut detail = Detail {
            end_to_end_id: id.clone(),
            amount: Some(*amount),
            currency: "MAD".into(),
            credit: Some(true),
            ..Detail::default()
        };
        detail.return_reason.code = "MS03".into();
        writer.detail(&detail)?;
    }
    writer.finish()?;
    Ok(())
}

/// End-to-end ids, references and amounts of a file's first orders.
fn orders(file: &Path, most: usize) -> anyhow::Result<Vec<(String, Centimes)>> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        if let (Some(id), Some(amount)) =
            (between(&line, "<EndToEndId>"), between(&line, "<InstdAmt Ccy=\"MAD\">"))
        {
            found.push((id.to_owned(), amount.parse().context("an amount")?));
            if found.len() == most {
                break;
            }
        }
    }
    Ok(found)
}

fn between<'a>(line: &'a str, tag: &str) -> Option<&'a str> {
    let from = line.find(tag)? + tag.len();
    line[from..].split('<').next()
}

fn write(
    path: &Path,
    number: usize,
    orders: &[(String, Centimes)],
    now: time::OffsetDateTime,
) -> anyhow::Result<()> {
    let header = ReturnHeader {
        message: MessageHeader { msg_id: format!("RETURN{number}"), created: Some(now) },
        orders: Some(orders.len() as u64),
        ..ReturnHeader::default()
    };
    let mut writer = Pacs004Writer::begin(BufWriter::new(File::create(path)?), &header, None)?;
    for (id, amount) in orders {
        writer.transaction(&ReturnedTransaction {
            original_end_to_end_id: id.clone(),
            amount: Some(*amount),
            currency: "MAD".into(),
            reasons: Reasons::one("MS03", ""),
            ..ReturnedTransaction::default()
        })?;
    }
    writer.finish()?;
    Ok(())
}
