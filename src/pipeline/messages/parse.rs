//! Reads a message on a thread of its own and hands on what it says, a chunk of lines at a time.

use std::io::BufReader;
use std::path::Path;

use tokio::sync::mpsc;

use super::billing;
use super::entry::EntryPiece;
use super::parse_camt::parse_camt;
use super::parse_returns::{RecallAnswer, ReturnedFile, parse_camt029, parse_pacs004};
use super::settlement::{Head, SettlementError, Trailer};
use super::statements::StatementSums;
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::domain::order::OrderEvent;
use crate::domain::policy::{Policy, StatedOf};
use crate::domain::reason::BreakKind;
use crate::domain::references::{NameKind, Names};
use crate::domain::stated::{Reasons, Why};
use crate::domain::statement::StatementName;
use crate::domain::statement::booking::Meaning;
use crate::files;
use crate::iso20022::camt029::read::Camt029Reader;
use crate::iso20022::camt086::BillingStatement;
use crate::iso20022::camt086::read::Camt086Reader;
use crate::iso20022::pacs004::read::Pacs004Reader;
use crate::iso20022::pain002::read::Pain002Reader;
use crate::iso20022::pain002::{Group, Pain002Item, PaymentInfo, TransactionStatus};
use crate::iso20022::statement::read::CamtReader;
use crate::iso20022::values::{MessageKind, StatusCode};
use crate::iso20022::xml::fault::{Limits, XmlError};

pub(super) const LINES_AT_ONCE: usize = 20_000;

/// What a message says of one order.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Entry or transaction of the message, from 1.
    pub entry: u64,
    /// The names that it gives for the order.
    pub names: Names,
    /// What it says; `None` when that moves nothing (received, pending).
    pub event: Option<OrderEvent>,
    /// Whether an account statement booked it.
    pub booked: bool,
    /// A status that is not known, as it was sent.
    pub unknown: Option<Box<str>>,
    /// Whether it stands in a status report, which tells how things stood at one moment.
    pub of_report: bool,
    /// The refusal of the whole file as a second delivery stands above it: it says no more than that.
    pub second_above: bool,
    /// Why.
    pub why: Why,
    /// Amount, where stated.
    pub amount: Option<Centimes>,
    /// Money that moved on the debtor account, where the line stands for it.
    pub cash: Option<Cash>,
    /// It takes an earlier booking for the order back.
    pub undoes: Option<Meaning>,
}

/// Money that moved on the debtor account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cash {
    /// How much.
    pub amount: Centimes,
    /// Into the account, or out of it.
    pub credit: bool,
}

/// What a message says of a whole file of ours.
#[derive(Debug)]
pub(super) struct FileStatus {
    /// Whether it is said of the payment information, which says more than what is said of the message.
    pub narrow: bool,
    /// Ids of the file and of its payment information: in our files they are one.
    pub original: Names,
    pub orders: Option<u64>,
    pub sum: Option<Centimes>,
    pub status: Option<StatusCode>,
    /// A status that is not known, as it was sent.
    pub unknown: Option<Box<str>>,
    pub why: Why,
}

/// What is read, in the order of the file.
#[derive(Debug)]
pub(super) enum Parsed {
    Header(String),
    /// The status of a whole file of ours, or of its payment information.
    File(FileStatus),
    StatementBegin {
        name: StatementName,
        account: String,
        sequence: Option<u64>,
        booked: bool,
    },
    Lines(Vec<Line>),
    /// Entries of the statement, notification or report under way.
    Entries(Vec<EntryPiece>),
    /// Something that cannot be matched.
    Problem {
        kind: BreakKind,
        entry: u64,
        cash: Option<Cash>,
        detail: String,
    },
    StatementEnd(StatementSums),
    /// What a payment return is about, before its transactions.
    Returns(ReturnedFile),
    /// An answer to a recall.
    Recall(RecallAnswer),
    /// What a bank bills.
    Billing(BillingStatement),
    SettlementBegin(Head),
    /// The last line, and whether it is not what the lines come to.
    SettlementEnd(Trailer, bool),
    End {
        warnings: Vec<String>,
        /// How many messages the file holds.
        documents: u32,
    },
}

/// Reads the message at `path` to its end. Stops early, without a fault, when nobody listens.
pub(super) fn parse(
    path: &Path,
    kind: MessageKind,
    limits: Limits,
    policy: &Policy,
    sender: &mpsc::Sender<Parsed>,
) -> Result<(), ParseError> {
    let file = files::open(path).map_err(ParseError::Read)?;
    let reader = BufReader::with_capacity(1 << 18, file);
    let mut out = Out { sender, policy, lines: Vec::new(), gone: false };
    match kind {
        MessageKind::Pain002 | MessageKind::Pacs002 => {
            parse_pain002(Pain002Reader::new(reader, limits), &mut out)?
        }
        MessageKind::Pacs004 => parse_pacs004(Pacs004Reader::new(reader, limits), &mut out)?,
        MessageKind::Camt086 => billing::parse_camt086(Camt086Reader::new(reader, limits), &mut out)?,
        MessageKind::Camt029 => parse_camt029(Camt029Reader::new(reader, limits), &mut out)?,
        _ => parse_camt(CamtReader::new(reader, limits), &mut out)?,
    }
    Ok(())
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The disk.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// Not a whole, well-formed message.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Not a whole settlement file.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
}

/// Hands on what is read, lines in chunks.
pub(super) struct Out<'a> {
    sender: &'a mpsc::Sender<Parsed>,
    lines: Vec<Line>,
    gone: bool,
    pub(super) policy: &'a Policy,
}

impl Out<'_> {
    /// Whether nobody listens any more.
    pub(super) const fn gone(&self) -> bool {
        self.gone
    }

    pub(super) fn line(&mut self, line: Line) {
        self.lines.push(line);
        if self.lines.len() == LINES_AT_ONCE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            self.gone |= self.sender.blocking_send(Parsed::Lines(lines)).is_err();
        }
    }

    /// Keeps the order of the file: lines so far go first.
    pub(super) fn send(&mut self, parsed: Parsed) {
        self.flush();
        self.gone |= self.sender.blocking_send(parsed).is_err();
    }
}

fn parse_pain002<R: std::io::BufRead>(
    mut reader: Pain002Reader<R>,
    out: &mut Out<'_>,
) -> Result<(), XmlError> {
    let mut entry = 0;
    while !out.gone {
        let Some(item) = reader.next()? else { break };
        match item {
            Pain002Item::Header(header) => out.send(Parsed::Header(header.msg_id.clone())),
            // Between banks: what the bank made of our orders is its own message, which is none of ours.
            Pain002Item::Group(g) if g.status.is_none() && g.original_msg_name.starts_with("pacs.") => {}
            Pain002Item::Group(g) => {
                let status = file_status(out.policy, g.status, &[&g.reasons]);
                out.send(Parsed::File(FileStatus {
                    original: Names::default().with(NameKind::Message, &g.original_msg_id),
                    orders: g.original_orders,
                    sum: g.original_sum,
                    ..status
                }));
            }
            Pain002Item::PaymentInfo { payment: p, group } => {
                // Our files hold one payment information block, which bears the message's id.
                if p.status.is_some() {
                    let original = Names::default()
                        .with(NameKind::PaymentInformation, &p.original_pmt_inf_id)
                        .with(NameKind::Message, &group.original_msg_id);
                    let status = file_status(out.policy, p.status, &[&p.reasons, &group.reasons]);
                    out.send(Parsed::File(FileStatus {
                        narrow: true,
                        original,
                        orders: p.original_orders,
                        sum: p.original_sum,
                        ..status
                    }));
                }
            }
            Pain002Item::Transaction { transaction: t, payment, group } => {
                entry += 1;
                if foreign(&t.currency) {
                    problem(out, BreakKind::FaultyEntry, entry, None, FOREIGN.into());
                } else {
                    let line = status_line(out.policy, entry, t, payment, group);
                    out.line(line);
                }
            }
            Pain002Item::Faulty { fault, .. } => {
                entry += 1;
                problem(out, BreakKind::FaultyEntry, entry, None, fault.to_string());
            }
        }
    }
    let warnings = warnings(reader.warnings(), reader.warnings_dropped());
    out.send(Parsed::End { warnings, documents: reader.messages() });
    Ok(())
}

pub(super) const FOREIGN: &str = "the currency is not ours";

pub(super) fn foreign(currency: &str) -> bool {
    !currency.is_empty() && currency != country::currency()
}

/// What is stated of a whole file; who and how much is added by the caller.
fn file_status(policy: &Policy, status: Option<StatusCode>, levels: &[&Reasons]) -> FileStatus {
    FileStatus {
        narrow: false,
        original: Names::default(),
        orders: None,
        sum: None,
        status,
        unknown: status.and_then(|status| unknown(policy, StatedOf::File, status)),
        why: policy.why(levels),
    }
}

/// A status that moves nothing and is not listed as harmless, as it was sent.
fn unknown(policy: &Policy, of: StatedOf, status: StatusCode) -> Option<Box<str>> {
    let known = event_of(status).is_some() || policy.is_harmless(of, status.as_str());
    (!known).then(|| status.as_str().into())
}

fn status_line(
    policy: &Policy,
    entry: u64,
    t: &TransactionStatus,
    payment: Option<&PaymentInfo>,
    group: &Group,
) -> Line {
    let none = Reasons::default();
    let above = payment.map_or(&none, |p| &p.reasons);
    let refused = |status: Option<StatusCode>, reasons: &Reasons| {
        status.and_then(event_of) == Some(OrderEvent::Reject) && policy.why(&[reasons]).second
    };
    let second_above = t.status == StatusCode::Rjct
        && (refused(group.status, &group.reasons)
            || payment.is_some_and(|p| refused(p.status, &p.reasons) || refused(p.status, &group.reasons)));
    Line {
        entry,
        names: names_of(&t.original_end_to_end_id, &t.original_instr_id, &t.original_uetr),
        event: event_of(t.status),
        unknown: unknown(policy, StatedOf::Transaction, t.status),
        of_report: true,
        second_above,
        why: policy.why(&[&t.reasons, above, &group.reasons]),
        amount: t.amount,
        ..Line::default()
    }
}

/// The names that a message gives for an order.
pub(super) fn names_of(end_to_end_id: &str, instr_id: &str, uetr: &str) -> Names {
    Names::default()
        .with(NameKind::EndToEnd, end_to_end_id)
        .with(NameKind::Instruction, instr_id)
        .with(NameKind::Uetr, uetr)
}

/// What a status says of an order; nothing for those that only tell of progress.
pub(super) const fn event_of(status: StatusCode) -> Option<OrderEvent> {
    match status {
        StatusCode::Accp | StatusCode::Acsp | StatusCode::Acwc | StatusCode::Acwp => Some(OrderEvent::Accept),
        StatusCode::Acsc | StatusCode::Accc => Some(OrderEvent::Settle),
        StatusCode::Rjct | StatusCode::Canc => Some(OrderEvent::Reject),
        _ => None,
    }
}

pub(super) fn warnings(seen: &[crate::iso20022::xml::fault::Warning], dropped: u64) -> Vec<String> {
    let mut texts: Vec<String> = seen.iter().map(ToString::to_string).collect();
    if dropped > 0 {
        texts.push(format!("{dropped} more warnings"));
    }
    texts
}

pub(super) fn problem(out: &mut Out<'_>, kind: BreakKind, entry: u64, cash: Option<Cash>, detail: String) {
    out.send(Parsed::Problem { kind, entry, cash, detail });
}
