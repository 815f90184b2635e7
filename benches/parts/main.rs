//! The parts that read and write messages, each alone and in memory, beside a bare scan of the same bytes.
//!
//! Input: `TRANSACTIONS` (100,000 unless set). Output: a Markdown table. Guarantee: every reader must give as many items as
//! were written. Limit: no assertion on time; what a stage takes with the database is measured by the other benches.

use std::time::{Duration, Instant};

use sarf::domain::money::Centimes;
use sarf::domain::statement_of_decision::NAMESPACE;
use sarf::iso20022::pacs004::read::Pacs004Reader;
use sarf::iso20022::pacs004::{ReturnHeader, ReturnedTransaction};
use sarf::iso20022::pain001::write::Pain001Writer;
use sarf::iso20022::pain001::{
    Account, Agent, ChargeBearer, CreditorAccount, Header, PaymentInfo, Remittance, Transaction,
};
use sarf::iso20022::pain002::read::Pain002Reader;
use sarf::iso20022::pain002::{Group, TransactionStatus};
use sarf::iso20022::statement::read::CamtReader;
use sarf::iso20022::statement::{
    AccountId, Balance, BankCode, CamtKind, Detail, Entry, EntryStatus, Statement,
};
use sarf::iso20022::values::{MessageHeader, Reasons, StatusCode};
use sarf::iso20022::xml::fault::Limits;
use sarf::keys::{self, KeyRing};
use sarf::sandbox::wire::pacs004::Pacs004Writer;
use sarf::sandbox::wire::pain002::Pain002Writer;
use sarf::sandbox::wire::statement::CamtWriter;
use time::macros::{date, datetime};
use time::{Date, OffsetDateTime};

const CREATED: OffsetDateTime = datetime!(2026-11-27 10:00 UTC);
const DAY: Date = date!(2026 - 11 - 27);
const AMOUNT: i64 = 50_000;
const UETR: &str = "00000000-0000-4000-8000-000000000007";
/// The best of so many times is told.
const TIMES: usize = 5;
const SIGNATURES: usize = 10_000;

fn main() -> anyhow::Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not run: ask for it by `cargo bench --bench parts`");
        return Ok(());
    }
    let transactions: u64 = match std::env::var("TRANSACTIONS") {
        Ok(text) => text.replace('_', "").parse()?,
        Err(_) => 100_000,
    };
    println!("{transactions} transactions, the best of {TIMES} times\n");
    println!("| message | bytes | written | bare scan | read |\n|---|--:|--:|--:|--:|");
    let (took, xml) = best(|| pain001(transactions))?;
    let (scan, _) = best(|| scan(&xml))?;
    line("pain.001", xml.len(), took, scan, None);
    let (took, xml) = best(|| pain002(transactions))?;
    read("pain.002", took, &xml, || {
        let mut reader = Pain002Reader::new(&*xml, Limits::default());
        let mut items = 0;
        while reader.next()?.is_some() {
            items += 1;
        }
        Ok(items)
    })?;
    let (took, xml) = best(|| camt053(transactions))?;
    read("camt.053, one entry of them all", took, &xml, || {
        let mut reader = CamtReader::new(&*xml, Limits::default());
        let mut items = 0;
        while reader.next()?.is_some() {
            items += 1;
        }
        Ok(items)
    })?;
    let (took, xml) = best(|| pacs004(transactions))?;
    read("pacs.004", took, &xml, || {
        let mut reader = Pacs004Reader::new(&*xml, Limits::default());
        let mut items = 0;
        while reader.next()?.is_some() {
            items += 1;
        }
        Ok(items)
    })?;
    signatures()
}

/// Signatures under decisions, as `verify` checks them, one after the other on one core.
fn signatures() -> anyhow::Result<()> {
    let home = std::env::temp_dir().join(format!("sarf-bench-{}", std::process::id()));
    let ring = KeyRing::new(&home);
    let (public, _) = ring.public_or_new("amina")?;
    let statements: Vec<String> =
        (0..SIGNATURES).map(|n| format!("sarf decision, version 1\nsubject: run {n}\n")).collect();
    let (signing, signed) =
        best(|| Ok(statements.iter().map(|s| ring.sign("amina", s)).collect::<Result<Vec<_>, _>>()?))?;
    let (verifying, good) = best(|| {
        let each = statements.iter().zip(&signed);
        Ok(each.filter(|(text, signed)| keys::verifies(&public, NAMESPACE, text, &signed.signature)).count())
    })?;
    std::fs::remove_dir_all(home)?;
    anyhow::ensure!(good == SIGNATURES, "{good} of {SIGNATURES} are good");
    println!("\n{SIGNATURES} signatures: made in {signing:.1?}, verified in {verifying:.1?}");
    Ok(())
}

/// The shortest time that some work takes, and what it gives.
fn best<T>(mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let mut best = None;
    for _ in 0..TIMES {
        let began = Instant::now();
        let given = work()?;
        let took = began.elapsed();
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, given));
        }
    }
    Ok(best.expect("done at least once"))
}

/// Times a reader and a bare scan of what was written.
fn read(
    message: &str,
    written: Duration,
    xml: &[u8],
    mut read: impl FnMut() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let (scan, events) = best(|| scan(xml))?;
    let (took, items) = best(&mut read)?;
    anyhow::ensure!(items > 0 && events > items, "{message}: {items} items of {events} events");
    line(message, xml.len(), written, scan, Some(took));
    Ok(())
}

fn line(message: &str, bytes: usize, written: Duration, scan: Duration, read: Option<Duration>) {
    let read = read.map_or_else(|| "–".to_owned(), |took| format!("{took:.1?}"));
    println!("| {message} | {bytes} | {written:.1?} | {scan:.1?} | {read} |");
}

/// Events that the XML parser gives.
fn scan(xml: &[u8]) -> anyhow::Result<u64> {
    let mut reader = quick_xml::Reader::from_reader(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut events) = (Vec::new(), 0);
    while !matches!(reader.read_event_into(&mut buffer)?, quick_xml::events::Event::Eof) {
        buffer.clear();
        events += 1;
    }
    Ok(events)
}

fn pain001(transactions: u64) -> anyhow::Result<Vec<u8>> {
    let header = Header {
        msg_id: "MSG-1",
        created: CREATED,
        initiating_party_name: "Agence",
        initiating_party_id: "AGENCY",
        orders: transactions,
        control_sum: Centimes::new(AMOUNT * i64::try_from(transactions)?),
        payment: PaymentInfo {
            id: "PMT-1",
            batch_booking: true,
            execution_date: DAY,
            service_level: "",
            category_purpose: "SSBE",
            debtor_name: "Agence",
            debtor_address: None,
            debtor_account: Account::Rib("001810007800020110620318"),
            debtor_agent: Agent::Member("001"),
            charge_bearer: ChargeBearer::ServiceLevel,
        },
    };
    let one = Transaction {
        instr_id: "I-1",
        end_to_end_id: "E-1",
        uetr: Some(UETR),
        amount: Centimes::new(AMOUNT),
        creditor_agent: Some(Agent::Member("011")),
        creditor_name: "FATIMA EXEMPLE",
        creditor_address: None,
        creditor_account: CreditorAccount::Account(Account::Rib("011780000019210016805555")),
        purpose: "SSBE",
        remittance: Remittance::Text("AIDE SOCIALE DIRECTE 2026-11"),
    };
    let mut writer = Pain001Writer::begin(Vec::new(), &header)?;
    for _ in 0..transactions {
        writer.transaction(&one)?;
    }
    Ok(writer.finish()?.0)
}

fn message() -> MessageHeader {
    MessageHeader { msg_id: "M1".into(), created: Some(CREATED) }
}

fn pain002(transactions: u64) -> anyhow::Result<Vec<u8>> {
    let group = Group {
        original_msg_id: "O1".into(),
        original_msg_name: "pain.001.001.09".into(),
        status: Some(StatusCode::Part),
        ..Group::default()
    };
    let payment = sarf::iso20022::pain002::PaymentInfo {
        original_pmt_inf_id: "P1".into(),
        ..sarf::iso20022::pain002::PaymentInfo::default()
    };
    let mut writer = Pain002Writer::begin(Vec::new(), &message(), &group, Some(&payment))?;
    for number in 0..transactions {
        writer.transaction(&TransactionStatus {
            original_end_to_end_id: format!("E{number}"),
            original_uetr: UETR.into(),
            status: StatusCode::Rjct,
            reasons: Reasons::one("AC04", "closed"),
            amount: Some(Centimes::new(AMOUNT)),
            currency: "MAD".into(),
            ..TransactionStatus::default()
        })?;
    }
    Ok(writer.finish()?.0)
}

fn camt053(transactions: u64) -> anyhow::Result<Vec<u8>> {
    let statement = Statement {
        kind: CamtKind::Statement,
        id: "S1".into(),
        account: AccountId::Other("001".into()),
        ..Statement::default()
    };
    let entry = Entry {
        reference: "R1".into(),
        amount: Centimes::new(AMOUNT * i64::try_from(transactions)?),
        currency: "MAD".into(),
        credit: true,
        reversal: false,
        status: EntryStatus::Book,
        booking_date: Some(DAY),
        value_date: Some(DAY),
        servicer_ref: "SR".into(),
        code: BankCode::default(),
        batch: None,
    };
    let balance = |code: &str, amount| Balance {
        code: code.into(),
        amount,
        credit: true,
        currency: "MAD".into(),
        date: Some(DAY),
    };
    let mut writer = CamtWriter::begin(Vec::new(), CamtKind::Statement, &message())?;
    let balances = [balance("OPBD", Centimes::ZERO), balance("CLBD", entry.amount)];
    writer.statement(&statement, &balances, None)?;
    writer.entry(&entry)?;
    for number in 0..transactions {
        writer.detail(&Detail {
            end_to_end_id: format!("E{number}"),
            uetr: UETR.into(),
            amount: Some(Centimes::new(AMOUNT)),
            currency: "MAD".into(),
            credit: Some(true),
            ..Detail::default()
        })?;
    }
    Ok(writer.finish()?)
}

fn pacs004(transactions: u64) -> anyhow::Result<Vec<u8>> {
    let header = ReturnHeader { message: message(), orders: Some(transactions), ..ReturnHeader::default() };
    let mut writer = Pacs004Writer::begin(Vec::new(), &header, None)?;
    for number in 0..transactions {
        writer.transaction(&ReturnedTransaction {
            original_end_to_end_id: format!("E{number}"),
            original_uetr: UETR.into(),
            amount: Some(Centimes::new(AMOUNT)),
            currency: "MAD".into(),
            reasons: Reasons::one("AC04", ""),
            ..ReturnedTransaction::default()
        })?;
    }
    Ok(writer.finish()?.0)
}
