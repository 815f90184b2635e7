//! What a bank does days after it debited a file: single returns by pacs.004, and answers to recalls.
//!
//! Input: orders that were drawn to come back late, and camt.055 files in the outbox. Output: `pacs004_…xml` with the returns
//! that are due, each credited on a statement of the same day; `camt029_…xml` with what is said to a recall: yes, with the
//! money coming back days later; no, with a reason; or first *pending*.
//! Guarantee: an order comes back at most once, whoever asked for it; nothing comes back that was not debited.
//! Limit: what is to come is kept in the bank's memory, which is made for trials; rates must stay the same between calls.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use serde::{Deserialize, Serialize};
use time::{Date, Duration};

use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::camt029::{CancellationStatus, CaseAnswer};
use crate::iso20022::pacs004::{ReturnHeader, ReturnedTransaction};
use crate::iso20022::values::{MessageHeader, Reasons};
use crate::iso20022::xml::fault::Limits;
use crate::sandbox::SandboxError;
use crate::sandbox::wire::camt029::{self, Camt029Writer};
use crate::sandbox::wire::camt055::{Camt055Item, Camt055Reader, RequestedCancellation, RequestedCase};
use crate::sandbox::wire::pacs004::Pacs004Writer;
use crate::sandbox::wire::pain001::Account;

use super::answer::answer_error;
use super::bank::{Bank, in_file_name};
use super::fate::Fate;
use super::state::{Debited, Memory, Record, Return};

/// Days after settlement on which an order may come back late: the first, and how many.
const LATE_DAYS: (u64, u64) = (3, 60);
/// Days until a promised payment comes back.
const BACK_DAYS: (u64, u64) = (1, 5);
/// Days until a recall is decided that was pending first.
const DECIDE_DAYS: (u64, u64) = (4, 12);

/// Something that is to come.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Later {
    /// The day.
    pub due: Date,
    /// What.
    pub what: What,
}

/// What is to come.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum What {
    /// An order comes back.
    Return(LateReturn),
    /// A recall that was pending is decided.
    Decision(Case),
}

/// An order that comes back late.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LateReturn {
    /// The account that it is credited to.
    pub account: Account,
    /// Message id of its file.
    pub msg_id: String,
    /// Payment information id of its file.
    pub pmt_inf_id: String,
    /// The order.
    pub item: Return,
}

/// A recall of one order.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Case {
    id: String,
    creator: String,
    msg_id: String,
    order: Return,
}

impl Bank<'_> {
    /// A day so many days later, drawn for a key.
    fn days_after(&self, from: Date, label: &str, key: &str, (first, count): (u64, u64)) -> Date {
        from.saturating_add(Duration::days((first + self.dice.number(label, key) % count) as i64))
    }

    /// Whether an order that arrived is to come back late.
    pub(super) fn comes_back_late(&self, end_to_end_id: &str) -> bool {
        self.dice.hits(self.options.rates.late, "late", end_to_end_id)
    }
}

/// Remembers what was debited, and which of it will come back.
pub(super) fn remember(bank: &Bank<'_>, records: &[Record], memory: &mut Memory) {
    for record in records {
        let Some(booking) = &record.booking else { continue };
        let debited = Debited { account: booking.account.clone(), pmt_inf_id: record.pmt_inf_id.clone() };
        memory.debited.insert(record.msg_id.clone(), debited);
        for item in &record.late {
            let due = bank.days_after(booking.value_date, "late day", &item.end_to_end_id, LATE_DAYS);
            let back = LateReturn {
                account: booking.account.clone(),
                msg_id: record.msg_id.clone(),
                pmt_inf_id: record.pmt_inf_id.clone(),
                item: item.clone(),
            };
            memory.later.push(Later { due, what: What::Return(back) });
        }
    }
}

/// The returns that are due in a plan, by account.
pub(super) fn due_returns<'a>(bank: &'a Bank<'_>) -> BTreeMap<&'a Account, Vec<&'a LateReturn>> {
    let mut due: BTreeMap<&Account, Vec<&LateReturn>> = BTreeMap::new();
    for later in &bank.plan.due {
        if let What::Return(back) = &later.what {
            due.entry(&back.account).or_default().push(back);
        }
    }
    due
}

/// Sends the payment returns that are due; gives the names of the files delivered.
pub(super) fn send_returns(bank: &Bank<'_>) -> Result<Vec<String>, SandboxError> {
    let due: Vec<&LateReturn> = due_returns(bank).into_values().flatten().collect();
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let name = format!("pacs004_{}_{}_{}.xml", bank.provider, bank.now().date(), bank.plan.number);
    let total: Centimes = due.iter().map(|back| back.item.amount).sum();
    let header = ReturnHeader {
        message: bank.header("RTR", &name),
        orders: Some(due.len() as u64),
        sum: Some(total),
        total: Some(total),
        group_return: false,
    };
    bank.deliver(&name, |out| {
        let fail = |source| answer_error(bank, &name)(source);
        let mut writer = Pacs004Writer::begin(out, &header, None).map_err(fail)?;
        for back in &due {
            let item = &back.item;
            let transaction = ReturnedTransaction {
                return_id: item.servicer_ref.clone(),
                original_instr_id: item.instr_id.clone(),
                original_end_to_end_id: item.end_to_end_id.clone(),
                original_uetr: item.uetr.clone(),
                amount: Some(item.amount),
                currency: country::currency().to_owned(),
                reasons: Reasons::one(item.reason.as_str(), ""),
            };
            writer.transaction(&transaction).map_err(fail)?;
        }
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// Answers the plan's recalls and decides those whose day has come; gives the names of the files delivered.
pub(super) fn answer_recalls(bank: &Bank<'_>, memory: &mut Memory) -> Result<Vec<String>, SandboxError> {
    let mut names = Vec::new();
    for later in &bank.plan.due {
        if let What::Decision(case) = &later.what {
            let (status, reason) = decide(bank, case, memory);
            names.extend(tell(bank, &case.id, "decided", &[(case, status, reason)])?);
        }
    }
    for name in &bank.plan.recalls {
        let Some((head, cases)) = read(bank, name)? else { continue };
        let mut answers = Vec::with_capacity(cases.len());
        for case in &cases {
            let asked_at = bank.now().date();
            let waits = refusal(bank, case, memory).is_none()
                && bank.dice.hits(bank.options.rates.recall_pending, "pending", &case.id);
            let (status, reason) = if waits {
                let due = bank.days_after(asked_at, "decide day", &case.id, DECIDE_DAYS);
                memory.later.push(Later { due, what: What::Decision(case.clone()) });
                (CancellationStatus::Pending, "")
            } else {
                decide(bank, case, memory)
            };
            answers.push((case, status, reason));
        }
        names.extend(tell(bank, &head.case_id, "answered", &answers)?);
        memory.recalls.insert(name.clone());
    }
    Ok(names)
}

/// Why a recall cannot be granted, whoever asks: never debited, or back already.
fn refusal(bank: &Bank<'_>, case: &Case, memory: &Memory) -> Option<&'static str> {
    let id = &case.order.end_to_end_id;
    if !memory.debited.contains_key(&case.msg_id) {
        return Some("NOOR");
    }
    match bank.dice.fate(bank.options.rates, id) {
        Fate::Rejected(_) => Some("NOOR"),
        Fate::Returned { .. } => Some("ARDT"),
        Fate::Paid => {
            let waits = memory.later.iter().any(|later| later.returns(id));
            // Drawn to come back late and no longer waiting for it: it came.
            let came = memory.recalled.contains(id) || (bank.comes_back_late(id) && !waits);
            came.then_some("ARDT")
        }
    }
}

/// Decides a recall; a yes sends the money on its way.
fn decide(bank: &Bank<'_>, case: &Case, memory: &mut Memory) -> (CancellationStatus, &'static str) {
    if let Some(reason) = refusal(bank, case, memory) {
        return (CancellationStatus::Refused, reason);
    }
    if !bank.dice.hits(bank.options.rates.recall_accepted, "accepted", &case.id) {
        // The payee does not agree, or has the money no longer.
        let reason = ["CUST", "AM04", "NOAS"][(bank.dice.number("refused", &case.id) % 3) as usize];
        return (CancellationStatus::Refused, reason);
    }
    let id = &case.order.end_to_end_id;
    let debited = memory.debited[&case.msg_id].clone();
    let due = bank.days_after(bank.now().date(), "back day", &case.id, BACK_DAYS);
    let back = LateReturn {
        account: debited.account,
        msg_id: case.msg_id.clone(),
        pmt_inf_id: debited.pmt_inf_id,
        item: Return { reason: "FOCR".to_owned(), ..case.order.clone() },
    };
    memory.later.retain(|later| !later.returns(id));
    memory.later.push(Later { due, what: What::Return(back) });
    memory.recalled.insert(id.clone());
    (CancellationStatus::Accepted, "")
}

impl Later {
    /// Whether it is the return of this order.
    fn returns(&self, end_to_end_id: &str) -> bool {
        matches!(&self.what, What::Return(back) if back.item.end_to_end_id == end_to_end_id)
    }
}

/// Sends the answer to a case.
fn tell(
    bank: &Bank<'_>,
    case_id: &str,
    kind: &str,
    answers: &[(&Case, CancellationStatus, &'static str)],
) -> Result<Vec<String>, SandboxError> {
    let Some((first, ..)) = answers.first() else { return Ok(Vec::new()) };
    let name = format!("camt029_{}_{kind}.xml", in_file_name(case_id));
    let all = |status| answers.iter().all(|(_, said, _)| *said == status);
    let status = [CancellationStatus::Accepted, CancellationStatus::Refused]
        .into_iter()
        .find(|status| all(*status))
        .unwrap_or(CancellationStatus::Pending);
    let message: MessageHeader = bank.header("ROI", &name);
    let header = camt029::Header {
        message: &message,
        case_id,
        assigner_name: bank.provider.as_str(),
        assignee_name: &first.creator,
        status,
        original_pmt_inf_id: &first.msg_id,
    };
    bank.deliver(&name, |out| {
        let fail = |source| answer_error(bank, &name)(source);
        let mut writer = Camt029Writer::begin(out, &header).map_err(fail)?;
        for (case, status, reason) in answers {
            let answer = CaseAnswer {
                case_id: String::new(),
                original_instr_id: case.order.instr_id.clone(),
                original_end_to_end_id: case.order.end_to_end_id.clone(),
                status: *status,
                reasons: Reasons::one(*reason, ""),
            };
            writer.answer(&answer).map_err(fail)?;
        }
        writer.finish().map(|_| ()).map_err(fail)
    })
}

/// Reads a recall; `None` for one that cannot be read, which is left to people.
fn read(bank: &Bank<'_>, name: &str) -> Result<Option<(RequestedCase, Vec<Case>)>, SandboxError> {
    let path = bank.outbox_path(name);
    let file = File::open(&path).map_err(SandboxError::io(&path))?;
    let mut reader = Camt055Reader::new(BufReader::with_capacity(64 * 1024, file), Limits::default());
    let (mut head, mut cases) = (RequestedCase::default(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(Camt055Item::Case(case))) => head = case.clone(),
            Ok(Some(Camt055Item::Transaction(transaction))) => cases.push(case(bank, &head, transaction)),
            Ok(Some(Camt055Item::Faulty(_))) => {}
            Ok(None) => break,
            Err(_) => return Ok(None),
        }
    }
    let usable =
        !head.case_id.is_empty() && !head.original_msg_id.is_empty() && !head.creator_name.is_empty();
    Ok(usable.then_some((head, cases)))
}

fn case(bank: &Bank<'_>, head: &RequestedCase, transaction: &RequestedCancellation) -> Case {
    let order = Return {
        end_to_end_id: transaction.end_to_end_id.clone(),
        instr_id: transaction.instr_id.clone(),
        uetr: transaction.uetr.clone(),
        amount: transaction.amount.unwrap_or_default(),
        reason: String::new(),
        servicer_ref: bank.return_reference(&transaction.end_to_end_id),
    };
    let (id, creator) = (head.case_id.clone(), head.creator_name.clone());
    Case { id, creator, msg_id: head.original_msg_id.clone(), order }
}
