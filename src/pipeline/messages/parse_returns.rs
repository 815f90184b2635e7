//! Reads what banks send of money that comes back: payment returns (pacs.004) and answers to recalls (camt.029).

use std::io::BufRead;

use super::parse::{FOREIGN, Line, Out, Parsed, foreign, names_of, problem, warnings};
use crate::domain::money::Centimes;
use crate::domain::order::OrderEvent;
use crate::domain::policy::{Policy, StatedOf};
use crate::domain::reason::BreakKind;
use crate::domain::recall::RecallEvent;
use crate::domain::references::{NameKind, Names};
use crate::domain::stated::Why;
use crate::iso20022::camt029::read::Camt029Reader;
use crate::iso20022::camt029::{Camt029Item, CancellationStatus, CaseAnswer};
use crate::iso20022::pacs004::read::Pacs004Reader;
use crate::iso20022::pacs004::{OriginalMessage, Pacs004Item, ReturnHeader, ReturnedTransaction};
use crate::iso20022::xml::fault::XmlError;

/// What a payment return is about, before its transactions.
#[derive(Debug)]
pub(super) struct ReturnedFile {
    /// What the original message is named.
    pub original: Names,
    /// What of the original it returns.
    pub listed: Listed,
    /// Number of transactions, if stated.
    pub orders: Option<u64>,
    /// What is returned in all, if stated.
    pub total: Option<Centimes>,
    /// Why.
    pub why: Why,
}

/// What a payment return lists of its original.
#[derive(Debug)]
pub(super) enum Listed {
    /// The transactions that follow.
    Transactions,
    /// None, and says that all of it is returned.
    Whole,
    /// None, and does not say, or not so that it can be read, that all of it is returned: what it does say.
    Nothing(String),
}

/// What a bank answers to a recall.
#[derive(Debug)]
pub(super) struct RecallAnswer {
    /// Answer of the message, from 1.
    pub entry: u64,
    /// Id of the case.
    pub case_id: String,
    /// The names that it gives for the order.
    pub names: Names,
    /// What it says; `None` for a code that decides nothing.
    pub event: Option<RecallEvent>,
    /// A status that is not known, as it was sent; empty where none was stated.
    pub unknown: Option<Box<str>>,
    /// Why.
    pub why: Why,
}

#[derive(Default)]
struct Pacs004State {
    header: ReturnHeader,
    original: OriginalMessage,
    begun: bool,
    entry: u64,
    sum: Centimes,
    /// Transactions whose amount cannot be counted.
    uncounted: bool,
}

/// Reads a payment return to its end.
pub(super) fn parse_pacs004<R: BufRead>(
    mut reader: Pacs004Reader<R>,
    out: &mut Out<'_>,
) -> Result<(), XmlError> {
    let mut state = Pacs004State::default();
    while !out.gone() {
        let Some(item) = reader.next()? else { break };
        match item {
            Pacs004Item::Header(header) => {
                out.send(Parsed::Header(header.message.msg_id.clone()));
                state.header = header.clone();
            }
            Pacs004Item::Original(original) => state.original = original.clone(),
            Pacs004Item::Return(transaction) => {
                state.begin(Listed::Transactions, out);
                state.transaction(transaction, out);
            }
            Pacs004Item::Faulty { fault, .. } => {
                state.begin(Listed::Transactions, out);
                state.entry += 1;
                state.uncounted = true;
                problem(out, BreakKind::FaultyEntry, state.entry, None, fault.to_string());
            }
        }
    }
    state.end(reader.totals_unreadable(), out);
    let warnings = warnings(reader.warnings(), reader.warnings_dropped());
    out.send(Parsed::End { warnings, documents: reader.messages() });
    Ok(())
}

impl Pacs004State {
    /// Tells what the message is about. One that lists transactions returns those, whatever its header says of the group.
    fn begin(&mut self, listed: Listed, out: &mut Out<'_>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.send(Parsed::Returns(ReturnedFile {
                original: Names::default().with(NameKind::Message, &self.original.msg_id),
                listed,
                orders: self.header.orders,
                total: self.header.total.or(self.header.sum),
                why: out.policy.why(&[&self.original.reasons]),
            }));
        }
    }

    fn transaction(&mut self, t: &ReturnedTransaction, out: &mut Out<'_>) {
        self.entry += 1;
        if foreign(&t.currency) {
            self.uncounted = true;
            problem(out, BreakKind::FaultyEntry, self.entry, None, FOREIGN.into());
            return;
        }
        match t.amount.and_then(|amount| self.sum.checked_add(amount)) {
            Some(sum) => self.sum = sum,
            None => self.uncounted = true,
        }
        let line = Line {
            entry: self.entry,
            names: names_of(&t.original_end_to_end_id, &t.original_instr_id, &t.original_uetr),
            event: Some(OrderEvent::Return),
            // The account statement books the credit; this only announces it.
            why: out.policy.why(&[&t.reasons, &self.original.reasons]),
            amount: t.amount,
            ..Line::default()
        };
        out.line(line);
    }

    /// What the header says is kept for the person who asks the bank.
    fn nothing(&self, why: &str) -> Listed {
        let stated = self.header.orders.map_or_else(String::new, |n| format!(", of {n} transactions"));
        let original = match self.original.msg_id.as_str() {
            "" => "no original message".to_owned(),
            id => format!("original message `{id}`"),
        };
        Listed::Nothing(format!("a payment return that lists no transaction, and {why}: {original}{stated}"))
    }

    fn end(&mut self, totals_unreadable: bool, out: &mut Out<'_>) {
        if self.entry == 0 {
            let listed = match (self.header.group_return, totals_unreadable) {
                (true, false) => Listed::Whole,
                (true, true) => self.nothing("its number or sum of transactions cannot be read"),
                (false, _) => self.nothing("it does not say that the whole file is returned (GrpRtr)"),
            };
            self.begin(listed, out);
            return;
        }
        let stated = self.header.orders;
        if stated.is_some_and(|n| n != self.entry) {
            let detail = format!("{} transactions stated, {} listed", stated.unwrap_or(0), self.entry);
            problem(out, BreakKind::TotalsDiffer, 0, None, detail);
        }
        let total = self.header.total.or(self.header.sum).filter(|_| !self.uncounted);
        if let Some(total) = total.filter(|total| *total != self.sum) {
            let detail = format!("{total} stated, {} listed", self.sum);
            problem(out, BreakKind::TotalsDiffer, 0, None, detail);
        }
    }
}

/// Reads a resolution of investigation to its end.
pub(super) fn parse_camt029<R: BufRead>(
    mut reader: Camt029Reader<R>,
    out: &mut Out<'_>,
) -> Result<(), XmlError> {
    let mut entry = 0;
    while !out.gone() {
        let Some(item) = reader.next()? else { break };
        match item {
            Camt029Item::Header(header) => out.send(Parsed::Header(header.msg_id.clone())),
            Camt029Item::Answer(answer) => {
                entry += 1;
                let answer = recall_answer(out.policy, entry, answer);
                out.send(Parsed::Recall(answer));
            }
            Camt029Item::Faulty(fault) => {
                entry += 1;
                problem(out, BreakKind::FaultyEntry, entry, None, fault.to_string());
            }
        }
    }
    let warnings = warnings(reader.warnings(), reader.warnings_dropped());
    out.send(Parsed::End { warnings, documents: reader.messages() });
    Ok(())
}

fn recall_answer(policy: &Policy, entry: u64, answer: &CaseAnswer) -> RecallAnswer {
    let event = match answer.status {
        CancellationStatus::Accepted => Some(RecallEvent::Accept),
        CancellationStatus::Refused => Some(RecallEvent::Refuse),
        CancellationStatus::Pending => Some(RecallEvent::Pend),
        CancellationStatus::Other(_) => None,
    };
    let unknown = match answer.status {
        CancellationStatus::Other(code) if !policy.is_harmless(StatedOf::Recall, code.as_str()) => {
            Some(code.as_str().into())
        }
        _ => None,
    };
    RecallAnswer {
        entry,
        case_id: answer.case_id.clone(),
        names: Names::default()
            .with(NameKind::EndToEnd, &answer.original_end_to_end_id)
            .with(NameKind::Instruction, &answer.original_instr_id),
        event,
        unknown,
        why: policy.why(&[&answer.reasons]),
    }
}
