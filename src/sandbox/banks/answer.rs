//! A bank's answers to one order file: the status report, and the notification of some of the returns.
//!
//! Input: a pain.001 file and the hash beside it. Output: pain.002, camt.054 if there is something to notify, the
//! [`Record`] and the returns kept for the statement. Guarantee: hash, number and control sum are verified before
//! anything is accepted; constant memory; made again, the same bytes. Limit: a file is read twice where single
//! transactions are reported, for the group's status stands before them.

use std::fs::{self, File};
use std::io::BufReader;

use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::pain001;
use crate::iso20022::pain002::{Group, PaymentInfo, TransactionStatus};
use crate::iso20022::values::{Reasons, StatusCode};
use crate::iso20022::xml::write::WriteError;
use crate::sandbox::SandboxError;
use crate::sandbox::state_file::{load, save};
use crate::sandbox::wire::pain001::{Head, Order, Pain001Reader};
use crate::sandbox::wire::pain002::Pain002Writer;

use super::bank::{Bank, in_file_name};
use super::fate::Fate;
use super::hashing::Hashing;
use super::notify::notify;
use super::spool::Spool;
use super::state::{Booking, PlannedFile, Record, Return, Tally};

/// Progress is told each time so many orders were read.
const PROGRESS_STEP: u64 = 1_000;

/// The largest control sum, exclusive: 18 digits, as the standard has it.
const SUM_LIMIT: i64 = 1_000_000_000_000_000_000;

/// Why a file is refused as a whole.
struct Refusal {
    code: &'static str,
    info: &'static str,
}

/// What a first reading of a file gives.
#[derive(Default)]
struct Scan {
    head: Head,
    orders: Tally,
    rejected: Tally,
    returned: Tally,
    notified: u64,
    debit: Tally,
    credits: Tally,
    late: Vec<Return>,
    /// What is debited, where each order is by itself.
    debited: Vec<Return>,
    rejected_after: Vec<Return>,
}

impl Scan {
    /// Counts an order among those debited, and keeps it where each is debited by itself.
    fn debit(&mut self, bank: &Bank<'_>, order: &Order) {
        self.debit.count(order.amount);
        if self.head.debited_singly {
            self.debited.push(returned(bank, order, order.amount, ""));
        }
    }
}

/// Answers a file, or finds that it is already answered.
pub(super) fn answer(
    bank: &Bank<'_>,
    file: &PlannedFile,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Record, SandboxError> {
    let record_path = bank.work_path(&file.name, "record");
    if let Some(record) = load::<Record>(&record_path)? {
        progress(record.orders.orders);
        return Ok(record);
    }
    let mut scan = Scan::default();
    let verdict = read(bank, file, &mut scan, progress)?;
    let mut record = Record {
        name: file.name.clone(),
        msg_id: file.msg_id.clone(),
        pmt_inf_id: scan.head.pmt_inf_id.clone(),
        booking: None,
        orders: scan.orders,
        rejected: scan.rejected,
        returned: scan.returned,
        answers: Vec::new(),
        late: Vec::new(),
        debited: Vec::new(),
        rejected_after: Vec::new(),
    };
    match (verdict, scan.head.account.clone(), scan.head.execution_date) {
        (None, Some(account), Some(value_date)) => {
            let booking = Booking { account, value_date, debit: scan.debit, credits: scan.credits };
            record.answers = report(bank, file, &scan)?;
            if scan.notified > 0 {
                record.answers.extend(notify(bank, &record, &booking)?);
            }
            record.booking = Some(booking);
            (record.late, record.rejected_after) = (scan.late, scan.rejected_after);
            record.debited = scan.debited;
        }
        (refusal, ..) => {
            let refusal = refusal.expect("a file without account or date was judged incomplete");
            (record.rejected, record.returned) = (scan.orders, Tally::default());
            record.answers = refuse(bank, file, &scan.head, &refusal)?;
        }
    }
    save(&record_path, &record)?;
    Ok(record)
}

/// The reports are to be missing for some files.
fn deliver_report(
    bank: &Bank<'_>,
    file: &PlannedFile,
    name: &str,
    write: impl FnOnce(File) -> Result<(), SandboxError>,
) -> Result<Vec<String>, SandboxError> {
    if bank.dice.hits(bank.options.faults.dropped_reports, "dropped", &bank.key(&file.name)) {
        return Ok(Vec::new());
    }
    bank.deliver(name, write)
}

/// Reads the whole file, keeps its returns, and says why it is refused, if it is.
fn read(
    bank: &Bank<'_>,
    file: &PlannedFile,
    scan: &mut Scan,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<Refusal>, SandboxError> {
    let path = bank.order_path(file);
    let input = File::open(&path).map_err(SandboxError::io(&path))?;
    let mut input = Hashing::new(input);
    let mut reader = Pain001Reader::new(&mut input);
    let mut spool = Spool::create(bank, file)?;
    let mut order = Order::default();
    let sound = loop {
        match reader.next(&mut order) {
            Ok(true) if order.amount.get() < SUM_LIMIT - scan.orders.amount.get() => {
                scan.head.debited_singly = reader.head().debited_singly;
                take(bank, &order, scan, &mut spool)?;
                if scan.orders.orders.is_multiple_of(PROGRESS_STEP) {
                    progress(PROGRESS_STEP);
                }
            }
            Ok(false) => break true,
            Ok(true) | Err(_) => break false,
        }
    };
    progress(scan.orders.orders % PROGRESS_STEP);
    scan.head = reader.head().clone();
    if bank.dice.hits(bank.options.faults.unknown_orders, "unknown", &bank.key(&file.name)) {
        add_stranger(bank, file, scan, &mut spool)?;
    }
    spool.finish()?;
    if !sound {
        return Ok(Some(Refusal { code: "FF01", info: "The file cannot be read" }));
    }
    let hash_path = path.with_extension("xml.sha256");
    let stated = fs::read_to_string(&hash_path).map_err(SandboxError::io(&hash_path))?;
    let whole = stated.split_ascii_whitespace().next() == Some(input.into_inner().sha256().as_str());
    Ok(judge(file, scan, whole))
}

/// Why a file that could be read is refused, if it is; `whole` says whether its hash is the one delivered.
fn judge(file: &PlannedFile, scan: &Scan, whole: bool) -> Option<Refusal> {
    let head = &scan.head;
    let complete = !head.msg_id.is_empty()
        && !head.pmt_inf_id.is_empty()
        && head.account.is_some()
        && head.execution_date.is_some()
        && scan.orders.orders > 0;
    let checks = [
        (whole, "AM10", "The SHA-256 differs from the one delivered"),
        (complete, "FF01", "A mandatory element is missing"),
        (
            head.orders == Some(scan.orders.orders),
            "AM10",
            "The number of transactions differs from the one declared",
        ),
        (head.sum == Some(scan.orders.amount), "AM10", "The control sum differs from the one declared"),
        (file.occurrence == 1, "DUPL", "The message id was used before"),
    ];
    checks.iter().find(|(passed, ..)| !passed).map(|(_, code, info)| Refusal { code, info })
}

/// Adds the return of an order that nobody sent.
fn add_stranger(
    bank: &Bank<'_>,
    file: &PlannedFile,
    scan: &mut Scan,
    spool: &mut Spool,
) -> Result<(), SandboxError> {
    let number = bank.dice.number("stranger", &bank.key(&file.name));
    let amount = Centimes::from_mad(500);
    let order = Order { end_to_end_id: format!("UNKNOWN-{number:016X}"), amount, ..Order::default() };
    scan.credits.count(amount);
    spool.push(bank, &order, amount, "AC04", false)
}

/// Counts an order, and keeps it if it comes back.
fn take(bank: &Bank<'_>, order: &Order, scan: &mut Scan, spool: &mut Spool) -> Result<(), SandboxError> {
    let (faults, id) = (&bank.options.faults, &order.end_to_end_id);
    scan.orders.count(order.amount);
    match bank.dice.fate(bank.options.rates, id) {
        Fate::Paid => {
            scan.debit(bank, order);
            if bank.comes_back_late(id) {
                let reason = bank.dice.late_reason(id);
                scan.late.push(returned(bank, order, order.amount, reason));
            } else if bank.dice.hits(faults.rejected_after, "after", id) {
                scan.rejected_after.push(returned(bank, order, order.amount, "AC04"));
            }
        }
        Fate::Rejected(_) => {
            scan.rejected.count(order.amount);
            if bank.dice.hits(faults.settled_rejections, "settled", id) {
                scan.debit(bank, order);
            }
        }
        Fate::Returned { reason, notified } => {
            scan.debit(bank, order);
            scan.returned.count(order.amount);
            scan.notified += u64::from(notified);
            let wrong = bank.dice.hits(faults.wrong_amounts, "wrong", id);
            let amount = order.amount + Centimes::new(i64::from(wrong));
            scan.credits.count(amount);
            spool.push(bank, order, amount, reason, notified)?;
        }
    }
    Ok(())
}

/// An order as it comes back.
pub(super) fn returned(bank: &Bank<'_>, order: &Order, amount: Centimes, reason: &str) -> Return {
    Return {
        end_to_end_id: order.end_to_end_id.clone(),
        instr_id: order.instr_id.clone(),
        uetr: order.uetr.clone(),
        amount,
        reason: reason.to_owned(),
        servicer_ref: bank.return_reference(&order.end_to_end_id),
    }
}

/// The name of a report; a message id seen before must not replace the first report.
fn report_name(file: &PlannedFile) -> String {
    let id = in_file_name(&file.msg_id);
    match file.occurrence {
        0 | 1 => format!("pain002_{id}.xml"),
        again => format!("pain002_{id}_{again}.xml"),
    }
}

/// The report's group, with the totals the file declared.
fn group(file: &PlannedFile, head: &Head, status: StatusCode, reasons: Reasons) -> Group {
    Group {
        original_msg_id: file.msg_id.clone(),
        original_msg_name: pain001::MESSAGE.to_owned(),
        original_orders: head.orders,
        original_sum: head.sum.filter(|sum| (1..SUM_LIMIT).contains(&sum.get())),
        status: Some(status),
        reasons,
    }
}

/// Reports that the whole file is refused.
fn refuse(
    bank: &Bank<'_>,
    file: &PlannedFile,
    head: &Head,
    refusal: &Refusal,
) -> Result<Vec<String>, SandboxError> {
    let name = report_name(file);
    let reasons = Reasons::one(refusal.code, refusal.info);
    let group = group(file, head, StatusCode::Rjct, reasons);
    let header = bank.header("PSR", &file.name);
    deliver_report(bank, file, &name, |out| {
        Pain002Writer::begin(out, &header, &group, None)
            .and_then(Pain002Writer::finish)
            .map(|_| ())
            .map_err(answer_error(bank, &name))
    })
}

/// Reports on an accepted file.
fn report(bank: &Bank<'_>, file: &PlannedFile, scan: &Scan) -> Result<Vec<String>, SandboxError> {
    let name = report_name(file);
    let status = match scan.rejected.orders {
        0 => StatusCode::Accp,
        all if all == scan.orders.orders => StatusCode::Rjct,
        _ => StatusCode::Part,
    };
    let group = group(file, &scan.head, status, Reasons::default());
    let every = bank.reports_transactions();
    let singles = every || scan.rejected.orders > 0;
    let payment = singles.then(|| PaymentInfo {
        original_pmt_inf_id: scan.head.pmt_inf_id.clone(),
        original_orders: group.original_orders,
        original_sum: group.original_sum,
        status: Some(status),
        reasons: Reasons::default(),
    });
    let header = bank.header("PSR", &file.name);
    deliver_report(bank, file, &name, |out| {
        let fail = |source| answer_error(bank, &name)(source);
        let mut writer = Pain002Writer::begin(out, &header, &group, payment.as_ref()).map_err(fail)?;
        if singles {
            report_singles(bank, file, every, &mut writer, &name)?;
        }
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// Contradicts what was debited: a second report rejects orders that arrived.
pub(super) fn contradict(bank: &Bank<'_>, record: &Record) -> Result<Vec<String>, SandboxError> {
    if record.rejected_after.is_empty() {
        return Ok(Vec::new());
    }
    let name = format!("pain002_{}_after.xml", in_file_name(&record.msg_id));
    let header = bank.header("PSA", &record.name);
    let group = Group {
        original_msg_id: record.msg_id.clone(),
        original_msg_name: pain001::MESSAGE.to_owned(),
        original_orders: Some(record.orders.orders),
        original_sum: Some(record.orders.amount),
        status: None,
        reasons: Reasons::default(),
    };
    let payment = PaymentInfo {
        original_pmt_inf_id: record.pmt_inf_id.clone(),
        original_orders: group.original_orders,
        original_sum: group.original_sum,
        status: None,
        reasons: Reasons::default(),
    };
    bank.deliver(&name, |out| {
        let fail = |source| answer_error(bank, &name)(source);
        let mut writer = Pain002Writer::begin(out, &header, &group, Some(&payment)).map_err(fail)?;
        for order in &record.rejected_after {
            let mut single = TransactionStatus {
                original_instr_id: order.instr_id.clone(),
                original_end_to_end_id: order.end_to_end_id.clone(),
                original_uetr: order.uetr.clone(),
                status: StatusCode::Rjct,
                amount: Some(order.amount),
                currency: country::currency().to_owned(),
                ..TransactionStatus::default()
            };
            single.reasons = Reasons::one(order.reason.as_str(), "");
            writer.transaction(&single).map_err(fail)?;
        }
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// Reads the file again, and reports on every order or on the rejected ones.
fn report_singles(
    bank: &Bank<'_>,
    file: &PlannedFile,
    every: bool,
    writer: &mut Pain002Writer<File>,
    name: &str,
) -> Result<(), SandboxError> {
    let path = bank.order_path(file);
    let input = File::open(&path).map_err(SandboxError::io(&path))?;
    let mut reader = Pain001Reader::new(BufReader::with_capacity(256 * 1024, input));
    let (mut order, mut single) = (Order::default(), TransactionStatus::default());
    single.currency.push_str(country::currency());
    while reader.next(&mut order).map_err(|_| SandboxError::Changed { path: path.clone() })? {
        single.reasons.clear();
        match bank.dice.fate(bank.options.rates, &order.end_to_end_id) {
            Fate::Rejected(reason) => {
                single.status = StatusCode::Rjct;
                single.reasons = Reasons::one(reason, "");
            }
            _ if !every => continue,
            _ => single.status = StatusCode::Accp,
        }
        // Swapped, not copied: the reader empties what it gets.
        std::mem::swap(&mut single.original_instr_id, &mut order.instr_id);
        std::mem::swap(&mut single.original_end_to_end_id, &mut order.end_to_end_id);
        std::mem::swap(&mut single.original_uetr, &mut order.uetr);
        single.amount = Some(order.amount);
        writer.transaction(&single).map_err(answer_error(bank, name))?;
    }
    Ok(())
}

/// For `map_err` on the writing of an answer.
pub(super) fn answer_error(bank: &Bank<'_>, name: &str) -> impl FnOnce(WriteError) -> SandboxError {
    let path = bank.answer_path(name);
    move |source| SandboxError::Answer { path, source }
}
