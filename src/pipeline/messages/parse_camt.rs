//! Reads statements, notifications and reports, and hands on their entries whole.
//!
//! Guarantee: an entry's money is handed on with the entry, whatever its transactions say. Limit: an entry of more than
//! [`DETAILS_HELD`] transactions is handed on in pieces.

use std::io::BufRead;

use super::entry::{About, BatchPart, DetailPart, EntryPiece};
use super::parse::{FOREIGN, LINES_AT_ONCE, Line, Out, Parsed, foreign, problem, warnings};
use super::statements::StatementSums;
use crate::domain::money::Centimes;
use crate::domain::policy::StatedOf;
use crate::domain::reason::BreakKind;
use crate::domain::recovery::reference::CaseReference;
use crate::domain::references::{NameKind, Names};
use crate::domain::stated::Reasons;
use crate::domain::statement::StatementName;
use crate::domain::statement::allocation::{AMOUNT_MAX, Side};
use crate::iso20022::statement::check::{Checked, Mismatch};
use crate::iso20022::statement::read::CamtReader;
use crate::iso20022::statement::{
    AccountId, Balance, Batch, CamtItem, CamtKind, Detail, Entry, EntryStatus, Statement,
};
use crate::iso20022::xml::fault::XmlError;

/// Transactions of one entry that are held at once.
const DETAILS_HELD: usize = 100_000;

/// Longest text that is kept of an entry for a person to read, in characters.
const TEXT_LEN_MAX: usize = 200;

/// The recovery case that the texts of a transaction name: one, or none.
fn case_of(detail: &Detail) -> Option<CaseReference> {
    let d = detail;
    let texts = [&d.end_to_end_id, &d.instr_id, &d.creditor_ref, &d.remittance, &d.info];
    let mut named = texts.into_iter().filter_map(|text| CaseReference::find(text));
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// Whether a character may reach a terminal: no controls, and none that turn the direction of writing.
fn printable(c: &char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// References as they were given, with the names of their elements.
fn given(references: &[(&str, &str)]) -> Box<str> {
    let mut all = String::new();
    for (element, text) in references.iter().filter(|(_, text)| !text.is_empty()) {
        let gap = if all.is_empty() { "" } else { ", " };
        all.push_str(gap);
        all.push_str(element);
        all.push(' ');
        all.extend(text.chars().filter(printable));
    }
    all.into_boxed_str()
}

/// Texts one after the other, as far as they fit.
fn words(texts: &[&str]) -> Box<str> {
    let mut all = String::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let gap = if all.is_empty() { "" } else { " " };
        all.push_str(gap);
        all.extend(text.chars().filter(printable).take(TEXT_LEN_MAX));
    }
    all.into_boxed_str()
}

/// What was checked, in words.
const fn name_of(checked: Checked) -> &'static str {
    match checked {
        Checked::ClosingBalance => "closing balance",
        Checked::AllEntries => "number of entries",
        Checked::AllSum => "sum of all entries",
        Checked::CreditEntries => "number of credit entries",
        Checked::CreditSum => "sum of the credit entries",
        Checked::DebitEntries => "number of debit entries",
        Checked::DebitSum => "sum of the debit entries",
    }
}

#[derive(Default)]
struct CamtState {
    entry: u64,
    statement_booked: bool,
    /// One page of several: balances and totals are those of all pages together.
    paged: bool,
    opening: Option<Centimes>,
    closing: Option<Centimes>,
    /// What the entries handed on come to.
    credits: Centimes,
    debits: Centimes,
    /// The entry under way; `None` where its details are passed over.
    piece: Option<EntryPiece>,
    /// Entries that are complete, and how many transactions they have.
    ready: Vec<EntryPiece>,
    held: usize,
}

/// Reads a statement, notification or report to its end.
pub(super) fn parse_camt<R: BufRead>(mut reader: CamtReader<R>, out: &mut Out<'_>) -> Result<(), XmlError> {
    let mut state = CamtState::default();
    while !out.gone() {
        let Some(item) = reader.next()? else { break };
        match item {
            CamtItem::Header(header) => out.send(Parsed::Header(header.msg_id.clone())),
            CamtItem::StatementBegin(statement) => state.begin_statement(statement, out),
            CamtItem::Balance(balance) => state.balance(balance),
            CamtItem::FaultyBalance { fault, .. } => {
                problem(out, BreakKind::FaultyEntry, state.entry, None, fault.to_string());
            }
            CamtItem::Summary(_) => {}
            CamtItem::Entry(entry) => state.begin(entry, out),
            CamtItem::FaultyEntry { fault, .. } => {
                state.hand_on(1, out);
                state.entry += 1;
                problem(out, BreakKind::FaultyEntry, state.entry, None, fault.to_string());
            }
            CamtItem::Batch(batch) => {
                if let Some(piece) = &mut state.piece {
                    piece.batches.push(batch_part(batch));
                }
            }
            CamtItem::EntryInfo(text) => {
                if let Some(piece) = &mut state.piece {
                    piece.about.text = words(&[text]);
                }
            }
            CamtItem::Detail(detail) => state.detail(detail, None, out),
            CamtItem::FaultyDetail { fault, partial } => {
                state.detail(partial, Some(fault.to_string().into_boxed_str()), out);
            }
            CamtItem::EntryEnd(_) => state.end(out),
            CamtItem::Mismatch(_) if state.paged => {}
            CamtItem::Mismatch(mismatch) => state.mismatch(&mismatch, out),
            CamtItem::StatementEnd(end) => {
                state.hand_on(1, out);
                out.send(Parsed::StatementEnd(StatementSums {
                    opening: state.opening,
                    closing: state.closing,
                    credits: state.credits,
                    debits: state.debits,
                    entries: end.entries,
                }));
            }
        }
    }
    let warnings = warnings(reader.warnings(), reader.warnings_dropped());
    out.send(Parsed::End { warnings, documents: reader.messages() });
    Ok(())
}

fn batch_part(batch: &Batch) -> BatchPart {
    BatchPart {
        names: Names::default()
            .with(NameKind::Message, &batch.msg_id)
            .with(NameKind::PaymentInformation, &batch.pmt_inf_id),
        amount: batch.sum,
        side: batch.credit.map(Side::of),
        given: given(&[("Btch/MsgId", &batch.msg_id), ("Btch/PmtInfId", &batch.pmt_inf_id)]),
    }
}

impl CamtState {
    fn begin_statement(&mut self, statement: &Statement, out: &mut Out<'_>) {
        self.hand_on(1, out);
        *self = Self {
            entry: self.entry,
            statement_booked: statement.kind == CamtKind::Statement,
            paged: statement.more_pages || statement.page.is_some_and(|page| page > 1),
            ..Self::default()
        };
        let account = match &statement.account {
            AccountId::Iban(id) | AccountId::Other(id) => id.clone(),
            AccountId::None => String::new(),
        };
        out.send(Parsed::StatementBegin {
            name: StatementName {
                reference: statement.id.clone(),
                page: statement.page,
                from: statement.from.map(time::OffsetDateTime::date),
                to: statement.to.map(time::OffsetDateTime::date),
                created: statement.created.map(time::OffsetDateTime::date),
            },
            account,
            sequence: statement.electronic_sequence.or(statement.legal_sequence),
            booked: self.statement_booked,
        });
    }

    fn balance(&mut self, balance: &Balance) {
        let signed = if balance.credit { balance.amount } else { Centimes::ZERO - balance.amount };
        match balance.code.as_str() {
            "OPBD" => self.opening = Some(signed),
            "PRCD" => self.opening = self.opening.or(Some(signed)),
            "CLBD" => self.closing = Some(signed),
            _ => {}
        }
    }

    fn mismatch(&mut self, mismatch: &Mismatch, out: &mut Out<'_>) {
        self.hand_on(1, out);
        let kind = match mismatch.what {
            Checked::ClosingBalance => BreakKind::BalanceDiffers,
            _ => BreakKind::TotalsDiffer,
        };
        let detail =
            format!("{}: stated {}, counted {}", name_of(mismatch.what), mismatch.stated, mismatch.counted);
        problem(out, kind, self.entry, None, detail);
    }

    fn begin(&mut self, entry: &Entry, out: &mut Out<'_>) {
        self.entry += 1;
        let fault = match entry.status {
            _ if foreign(&entry.currency) => Some(FOREIGN.to_owned()),
            EntryStatus::Other(code) if !out.policy.is_harmless(StatedOf::Entry, code.as_str()) => {
                Some(format!("its status `{}` is not one of the standard", code.as_str()))
            }
            _ if entry.amount > AMOUNT_MAX => Some(format!("more than {AMOUNT_MAX} is not believed")),
            _ => None,
        };
        // Only what is booked has happened.
        let booked = entry.status == EntryStatus::Book;
        let posts = booked && self.statement_booked;
        let sum = if entry.credit { &mut self.credits } else { &mut self.debits };
        let counted = sum.checked_add(entry.amount);
        let fault =
            fault.or_else(|| counted.is_none().then(|| "the statement's sum is not believed".to_owned()));
        if let Some(fault) = fault {
            self.hand_on(1, out);
            problem(out, BreakKind::FaultyEntry, self.entry, None, fault);
            self.piece = None;
            return;
        }
        if let Some(counted) = counted.filter(|_| posts) {
            *sum = counted;
        }
        self.piece = Some(EntryPiece {
            number: self.entry,
            amount: entry.amount,
            credit: entry.credit,
            reversal: entry.reversal,
            booked,
            posts,
            batches: entry.batch.iter().map(batch_part).collect(),
            case: CaseReference::find(&entry.reference),
            about: About {
                bank_reference: entry.servicer_ref.as_str().into(),
                entry_reference: entry.reference.as_str().into(),
                text: "".into(),
                booked_on: entry.booking_date,
                value_on: entry.value_date,
            },
            ..EntryPiece::default()
        });
    }

    fn detail(&mut self, d: &Detail, fault: Option<Box<str>>, out: &mut Out<'_>) {
        let Some(piece) = &mut self.piece else { return };
        let names = Names::default()
            .with(NameKind::EndToEnd, &d.end_to_end_id)
            .with(NameKind::Instruction, &d.instr_id)
            .with(NameKind::Transaction, &d.tx_id)
            .with(NameKind::Uetr, &d.uetr)
            .with(NameKind::Message, &d.msg_id)
            .with(NameKind::PaymentInformation, &d.pmt_inf_id);
        let references = [
            ("AcctSvcrRef", d.servicer_ref.as_str()),
            ("MsgId", &d.msg_id),
            ("PmtInfId", &d.pmt_inf_id),
            ("InstrId", &d.instr_id),
            ("EndToEndId", &d.end_to_end_id),
            ("TxId", &d.tx_id),
            ("UETR", &d.uetr),
        ];
        piece.details.push(DetailPart {
            line: Line {
                entry: piece.number,
                names,
                booked: self.statement_booked,
                why: out
                    .policy
                    .why(&[&Reasons::one(d.return_reason.code.as_str(), d.return_reason.info.as_str())]),
                // An amount in another currency says nothing of what moved here.
                amount: d.amount.filter(|_| !foreign(&d.currency)),
                ..Line::default()
            },
            side: d.credit.map(Side::of),
            case: case_of(d),
            fault,
            returned: !d.return_reason.is_empty(),
            given: given(&references),
            text: words(&[&d.remittance, &d.creditor_ref, &d.info, &d.return_reason.info]),
        });
        if piece.details.len() == DETAILS_HELD {
            let rest = EntryPiece {
                batches: Vec::new(),
                details: Vec::new(),
                about: piece.about.clone(),
                begun: true,
                ..*piece
            };
            let mut full = std::mem::replace(piece, rest);
            full.goes_on = true;
            self.ready.push(full);
            self.hand_on(1, out);
        }
    }

    fn end(&mut self, out: &mut Out<'_>) {
        let Some(piece) = self.piece.take() else { return };
        self.held += piece.details.len().max(1);
        self.ready.push(piece);
        self.hand_on(LINES_AT_ONCE, out);
    }

    /// Hands complete entries on, once they have so many transactions.
    fn hand_on(&mut self, from: usize, out: &mut Out<'_>) {
        if self.held >= from || (from == 1 && !self.ready.is_empty()) {
            self.held = 0;
            out.send(Parsed::Entries(std::mem::take(&mut self.ready)));
        }
    }
}
