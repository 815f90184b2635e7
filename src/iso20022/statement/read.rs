//! Reader of camt.053 (statement), camt.054 (notification) and camt.052 (report of the day so far), versions .02 to .08.
//!
//! Input: XML through the hardened base. Output: statements, balances, entries and their transactions, one at a
//! time, in one loop. Guarantee: constant memory, an entry of a million transactions included; an entry that cannot
//! be used comes as faulty, and the rest goes on; stated totals and balances that do not follow from the entries come
//! as mismatches before the statement ends. Limit: what follows an entry's details, parties and charges are passed
//! over.

use std::collections::VecDeque;
use std::io::BufRead;

use super::check::{BalanceCheck, Mismatch};
use super::schema::{Field as F, TOP};
use super::{
    AccountId, Balance, Batch, CamtItem, CamtKind, Detail, Entry, EntryEnd, EntryStatus, Statement,
    StatementEnd, Summary,
};
use crate::domain::money::Centimes;
use crate::iso20022::values::{
    EntryFault, MessageHeader, MessageKind, Problem, ShortCode, parse_date, parse_instant,
};
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};
use crate::iso20022::xml::reader::{XmlReader, parse_amount};
use crate::iso20022::xml::table::Step;

/// What their namespaces hold before the version.
const NAMESPACES: &[&str] = &["camt.053.001.", "camt.054.001.", "camt.052.001."];

/// Longest remittance text that is kept, in bytes: five lines of a transfer.
const REMITTANCE_LEN_MAX: usize = 700;

/// An item that is ready, in the order of the file.
enum Found {
    Header,
    Begin,
    Balance,
    FaultyBalance(EntryFault),
    Summary,
    Entry,
    FaultyEntry(EntryFault, u64),
    Batch,
    EntryInfo,
    Detail,
    FaultyDetail(EntryFault),
    EntryEnd(EntryEnd),
    Mismatch(Mismatch),
    End(StatementEnd),
}

/// What is known of a mandatory amount and side while an element is read.
#[derive(Clone, Copy)]
struct Seen {
    amount: Option<Problem>,
    side: Option<Problem>,
}

impl Seen {
    const NOTHING: Self = Self { amount: Some(Problem::Missing), side: Some(Problem::Missing) };

    /// The first problem left.
    fn problem(self) -> Option<(&'static str, Problem)> {
        self.amount.map(|p| ("Amt", p)).or(self.side.map(|p| ("CdtDbtInd", p)))
    }
}

/// How good the detail's amount is: a better one replaces it. One in another currency than the entry's is never better than
/// one in its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AmountRank {
    None,
    Foreign,
    Instructed,
    Counter,
    Transaction,
    Own,
}

/// Reads a statement or notification, item by item.
pub struct CamtReader<R> {
    xml: XmlReader<R, F>,
    ready: VecDeque<Found>,
    kind: CamtKind,
    header: MessageHeader,
    statement: Statement,
    statement_due: bool,
    /// Page of the message and whether more follow, by its header.
    page: (Option<u32>, bool),
    balance: Balance,
    balance_seen: Seen,
    balances: u64,
    summary: Summary,
    entry: Entry,
    entry_seen: Seen,
    entry_due: bool,
    entry_fault: Option<EntryFault>,
    entries: u64,
    entry_end: EntryEnd,
    entry_info: String,
    /// A batch beside the entry's first.
    batch: Batch,
    /// It is the one being read.
    batch_beside: bool,
    detail: Detail,
    detail_rank: AmountRank,
    detail_problem: Option<(&'static str, Problem)>,
    details: u64,
    check: BalanceCheck,
}

impl<R: BufRead> CamtReader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            ready: VecDeque::with_capacity(16),
            kind: CamtKind::Statement,
            header: MessageHeader::default(),
            statement: Statement::default(),
            statement_due: false,
            page: (None, false),
            balance: Balance::default(),
            balance_seen: Seen::NOTHING,
            balances: 0,
            summary: Summary::default(),
            entry: Entry::default(),
            entry_seen: Seen::NOTHING,
            entry_due: false,
            entry_fault: None,
            entries: 0,
            entry_end: EntryEnd::default(),
            entry_info: String::new(),
            batch: Batch::default(),
            batch_beside: false,
            detail: Detail::default(),
            detail_rank: AmountRank::None,
            detail_problem: None,
            details: 0,
            check: BalanceCheck::default(),
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped or marked incomplete.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<CamtItem<'_>>, XmlError> {
        while self.ready.is_empty() {
            match self.xml.step()? {
                Step::Leaf(field) => self.leaf(field),
                Step::Open(field) => self.open(field),
                Step::Close(field) => self.close(field),
                Step::End => return Ok(None),
            }
        }
        Ok(self.ready.pop_front().map(|found| match found {
            Found::Header => CamtItem::Header(&self.header),
            Found::Begin => CamtItem::StatementBegin(&self.statement),
            Found::Balance => CamtItem::Balance(&self.balance),
            Found::FaultyBalance(fault) => CamtItem::FaultyBalance { fault, partial: &self.balance },
            Found::Summary => CamtItem::Summary(&self.summary),
            Found::Entry => CamtItem::Entry(&self.entry),
            Found::FaultyEntry(fault, details) => {
                CamtItem::FaultyEntry { fault, partial: &self.entry, details }
            }
            Found::Batch => CamtItem::Batch(&self.batch),
            Found::EntryInfo => CamtItem::EntryInfo(&self.entry_info),
            Found::Detail => CamtItem::Detail(&self.detail),
            Found::FaultyDetail(fault) => CamtItem::FaultyDetail { fault, partial: &self.detail },
            Found::EntryEnd(end) => CamtItem::EntryEnd(end),
            Found::Mismatch(mismatch) => CamtItem::Mismatch(mismatch),
            Found::End(end) => CamtItem::StatementEnd(end),
        }))
    }

    /// The version of the namespace (`8` of `…camt.053.001.08`), if it is that of a statement or notification.
    pub fn version(&self) -> Option<u8> {
        self.xml.version(NAMESPACES)
    }

    /// How many messages the file holds, of whatever kind, once it was read to its end.
    pub fn messages(&self) -> u32 {
        self.xml.messages()
    }

    /// Oddities met so far, each once, in a bounded list.
    pub fn warnings(&self) -> &[Warning] {
        self.xml.warnings()
    }

    /// How many oddities found no room in the list.
    pub fn warnings_dropped(&self) -> u64 {
        self.xml.warnings_dropped()
    }

    fn open(&mut self, field: F) {
        match field {
            F::Message(kind) => {
                self.kind = match kind {
                    MessageKind::Camt054 => CamtKind::Notification,
                    MessageKind::Camt052 => CamtKind::Report,
                    _ => CamtKind::Statement,
                };
                self.xml.check_namespace(NAMESPACES);
            }
            F::Statement => {
                self.statement = Statement {
                    kind: self.kind,
                    created: self.header.created,
                    page: self.page.0,
                    more_pages: self.page.1,
                    ..Statement::default()
                };
                self.statement_due = true;
                self.check = BalanceCheck::default();
            }
            F::Balance => {
                self.begin_statement();
                self.balances += 1;
                self.balance = Balance::default();
                self.balance_seen = Seen::NOTHING;
            }
            F::Summary => {
                self.begin_statement();
                self.summary = Summary::default();
            }
            F::Entry => {
                self.begin_statement();
                self.entries += 1;
                self.entry.clear();
                self.entry_seen = Seen::NOTHING;
                self.entry_due = true;
                self.entry_fault = None;
                self.entry_end = EntryEnd::default();
            }
            F::Batch if self.entry_due && self.entry.batch.is_none() => {
                self.entry.batch = Some(Batch::default());
                self.batch_beside = false;
            }
            F::Batch => {
                self.begin_entry();
                self.batch = Batch::default();
                self.batch_beside = true;
            }
            F::Detail => {
                self.begin_entry();
                self.details += 1;
                self.detail.clear();
                self.detail_rank = AmountRank::None;
                self.detail_problem = None;
            }
            _ => {}
        }
    }

    fn close(&mut self, field: F) {
        match field {
            F::Header => self.ready.push_back(Found::Header),
            F::Balance => self.end_balance(),
            F::Summary => {
                self.check.summary(&self.summary);
                self.ready.push_back(Found::Summary);
            }
            F::Entry => self.end_entry(),
            F::Batch if self.batch_beside && self.entry_fault.is_none() => self.ready.push_back(Found::Batch),
            F::Detail => self.end_detail(),
            F::Statement => {
                self.begin_statement();
                self.ready.extend(self.check.mismatches().map(Found::Mismatch));
                self.ready.push_back(Found::End(self.check.end()));
            }
            _ => {}
        }
    }

    /// Gives the statement's head, once, before its first part.
    fn begin_statement(&mut self) {
        if std::mem::take(&mut self.statement_due) {
            self.ready.push_back(Found::Begin);
        }
    }

    /// Gives the entry, once, before its first transaction: it is complete by then.
    fn begin_entry(&mut self) {
        if !std::mem::take(&mut self.entry_due) {
            return;
        }
        let no_status = self.entry.status == EntryStatus::Other(ShortCode::default());
        let problem = self.entry_seen.problem().or_else(|| no_status.then_some(("Sts", Problem::Missing)));
        if let Some((field, problem)) = problem {
            self.entry_fault = Some(EntryFault { index: self.entries, field, problem });
            self.check.faulty_entry();
        } else {
            let booked = self.entry.status == EntryStatus::Book;
            self.check.entry(self.entry.amount, self.entry.credit, booked);
            self.ready.push_back(Found::Entry);
        }
    }

    fn end_entry(&mut self) {
        self.begin_entry();
        self.ready.push_back(match self.entry_fault {
            Some(fault) => Found::FaultyEntry(fault, self.entry_end.details),
            None => Found::EntryEnd(self.entry_end),
        });
    }

    fn end_balance(&mut self) {
        let no_code = self.balance.code.is_empty();
        let problem = self.balance_seen.problem().or(no_code.then_some(("Tp", Problem::Missing)));
        self.ready.push_back(match problem {
            Some((field, problem)) => {
                Found::FaultyBalance(EntryFault { index: self.balances, field, problem })
            }
            None => {
                self.check.balance(&self.balance);
                Found::Balance
            }
        });
    }

    fn end_detail(&mut self) {
        self.entry_end.details += 1;
        let amount = self.detail.amount.unwrap_or(Centimes::ZERO);
        self.entry_end.details_sum =
            self.entry_end.details_sum.checked_add(amount).unwrap_or(Centimes::new(i64::MAX));
        if self.entry_fault.is_some() {
            return;
        }
        self.ready.push_back(match self.detail_problem {
            Some((field, problem)) => Found::FaultyDetail(EntryFault { index: self.details, field, problem }),
            None => Found::Detail,
        });
    }

    fn leaf(&mut self, field: F) {
        match field {
            F::MsgId => self.xml.copy_text("MsgId", 35, &mut self.header.msg_id),
            F::Created => self.header.created = self.xml.parse_text("CreDtTm", parse_instant),
            F::BalanceCode | F::BalanceAmount | F::BalanceSide | F::BalanceDate => self.balance_leaf(field),
            F::AllCount | F::AllSum | F::CreditCount | F::CreditSum | F::DebitCount | F::DebitSum => {
                self.summary_leaf(field);
            }
            F::HeaderPage => self.page.0 = self.xml.parse_text("PgNb", |t| t.parse().ok()),
            F::HeaderLastPage => self.page.1 = matches!(self.xml.text(), "false" | "0"),
            F::StatementId
            | F::StatementPage
            | F::StatementLastPage
            | F::StatementCreated
            | F::ElectronicSequence
            | F::LegalSequence
            | F::From
            | F::To
            | F::AccountIban
            | F::AccountOther => self.statement_leaf(field),
            F::BatchMsgId | F::BatchPaymentId | F::BatchCount | F::BatchAmount | F::BatchSide => {
                self.batch_leaf(field);
            }
            F::EntryRef
            | F::EntryAmount
            | F::EntrySide
            | F::Reversal
            | F::EntryStatus
            | F::BookingDate
            | F::ValueDate
            | F::EntryServicerRef
            | F::Domain
            | F::Family
            | F::SubFamily
            | F::Proprietary => self.entry_leaf(field),
            F::EntryInfo => {
                self.begin_entry();
                if self.entry_fault.is_none() {
                    self.xml.copy_text("AddtlNtryInf", 500, &mut self.entry_info);
                    self.ready.push_back(Found::EntryInfo);
                }
            }
            _ => self.detail_leaf(field),
        }
    }

    fn statement_leaf(&mut self, field: F) {
        let (xml, statement) = (&mut self.xml, &mut self.statement);
        match field {
            F::StatementId => xml.copy_text("Id", 35, &mut statement.id),
            F::StatementPage => statement.page = xml.parse_text("PgNb", |t| t.parse().ok()),
            F::StatementLastPage => statement.more_pages = matches!(xml.text(), "false" | "0"),
            F::StatementCreated => {
                statement.created = xml.parse_text("CreDtTm", parse_instant).or(statement.created);
            }
            F::ElectronicSequence => {
                statement.electronic_sequence = xml.parse_text("ElctrncSeqNb", |t| t.parse().ok());
            }
            F::LegalSequence => statement.legal_sequence = xml.parse_text("LglSeqNb", |t| t.parse().ok()),
            F::From => statement.from = xml.parse_text("FrDtTm", parse_instant),
            F::To => statement.to = xml.parse_text("ToDtTm", parse_instant),
            F::AccountIban => {
                let mut text = String::new();
                xml.copy_text("IBAN", 34, &mut text);
                statement.account = AccountId::Iban(text);
            }
            _ => {
                let mut text = String::new();
                xml.copy_text("Othr/Id", 34, &mut text);
                statement.account = AccountId::Other(text);
            }
        }
    }

    fn balance_leaf(&mut self, field: F) {
        let (xml, balance) = (&mut self.xml, &mut self.balance);
        match field {
            F::BalanceCode => xml.copy_text("CdOrPrtry", 35, &mut balance.code),
            F::BalanceAmount => {
                self.balance_seen.amount = read_amount(xml, &mut balance.amount, &mut balance.currency);
            }
            F::BalanceSide => self.balance_seen.side = read_side(xml.text(), &mut balance.credit),
            _ => balance.date = xml.parse_text("Dt", parse_date),
        }
    }

    fn summary_leaf(&mut self, field: F) {
        let (xml, summary) = (&mut self.xml, &mut self.summary);
        match field {
            F::AllCount => summary.all.entries = xml.parse_text("NbOfNtries", |t| t.parse().ok()),
            F::CreditCount => summary.credits.entries = xml.parse_text("NbOfNtries", |t| t.parse().ok()),
            F::DebitCount => summary.debits.entries = xml.parse_text("NbOfNtries", |t| t.parse().ok()),
            F::AllSum => summary.all.sum = xml.parse_text("Sum", |t| t.parse().ok()),
            F::CreditSum => summary.credits.sum = xml.parse_text("Sum", |t| t.parse().ok()),
            _ => summary.debits.sum = xml.parse_text("Sum", |t| t.parse().ok()),
        }
    }

    fn entry_leaf(&mut self, field: F) {
        if !self.entry_due {
            // The entry is already given, and what follows its details comes too late.
            return;
        }
        let (xml, entry) = (&mut self.xml, &mut self.entry);
        match field {
            F::EntryRef => xml.copy_text("NtryRef", 35, &mut entry.reference),
            F::EntryAmount => {
                self.entry_seen.amount = read_amount(xml, &mut entry.amount, &mut entry.currency);
            }
            F::EntrySide => self.entry_seen.side = read_side(xml.text(), &mut entry.credit),
            F::Reversal => entry.reversal = matches!(xml.text(), "true" | "1"),
            F::EntryStatus if xml.text().is_empty() => {}
            F::EntryStatus => entry.status = EntryStatus::parse(xml.text()),
            F::BookingDate => entry.booking_date = xml.parse_text("BookgDt", parse_date),
            F::ValueDate => entry.value_date = xml.parse_text("ValDt", parse_date),
            F::EntryServicerRef => xml.copy_text("AcctSvcrRef", 35, &mut entry.servicer_ref),
            F::Domain => xml.copy_text("BkTxCd/Cd", 4, &mut entry.code.domain),
            F::Family => xml.copy_text("BkTxCd/Cd", 4, &mut entry.code.family),
            F::SubFamily => xml.copy_text("BkTxCd/Cd", 4, &mut entry.code.sub_family),
            _ => xml.copy_text("BkTxCd/Cd", 35, &mut entry.code.proprietary),
        }
    }

    fn batch_leaf(&mut self, field: F) {
        let currency = &self.entry.currency;
        let xml = &mut self.xml;
        let batch = match self.entry.batch.as_mut() {
            Some(first) if !self.batch_beside => first,
            _ => &mut self.batch,
        };
        match field {
            F::BatchMsgId => xml.copy_text("MsgId", 35, &mut batch.msg_id),
            F::BatchPaymentId => xml.copy_text("PmtInfId", 35, &mut batch.pmt_inf_id),
            F::BatchCount => batch.orders = xml.parse_text("NbOfTxs", |t| t.parse().ok()),
            F::BatchAmount => {
                let foreign = !xml.currency().is_empty() && xml.currency() != currency;
                batch.sum = xml.parse_text("TtlAmt", |t| parse_amount(t).ok()).filter(|_| !foreign);
            }
            _ => batch.credit = xml.parse_text("CdtDbtInd", parse_side),
        }
    }

    fn detail_leaf(&mut self, field: F) {
        let (xml, detail) = (&mut self.xml, &mut self.detail);
        match field {
            F::RefMsgId => xml.copy_text("MsgId", 35, &mut detail.msg_id),
            F::RefServicer => xml.copy_text("AcctSvcrRef", 35, &mut detail.servicer_ref),
            F::RefPaymentId => xml.copy_text("PmtInfId", 35, &mut detail.pmt_inf_id),
            F::RefInstrId => xml.copy_text("InstrId", 35, &mut detail.instr_id),
            F::RefEndToEndId => xml.copy_text("EndToEndId", 35, &mut detail.end_to_end_id),
            F::RefUetr => xml.copy_text("UETR", 36, &mut detail.uetr),
            F::RefTxId => xml.copy_text("TxId", 35, &mut detail.tx_id),
            F::DetailAmount => self.detail_amount(AmountRank::Own),
            F::TransactionAmount => self.detail_amount(AmountRank::Transaction),
            F::CounterAmount => self.detail_amount(AmountRank::Counter),
            F::InstructedAmount => self.detail_amount(AmountRank::Instructed),
            F::DetailSide => {
                detail.credit = parse_side(xml.text());
                if detail.credit.is_none() {
                    self.detail_problem = Some(("CdtDbtInd", Problem::UnknownCode));
                }
            }
            F::ReturnDomain => xml.copy_text("OrgnlBkTxCd/Cd", 4, &mut detail.return_code.domain),
            F::ReturnFamily => xml.copy_text("OrgnlBkTxCd/Cd", 4, &mut detail.return_code.family),
            F::ReturnSubFamily => xml.copy_text("OrgnlBkTxCd/Cd", 4, &mut detail.return_code.sub_family),
            F::ReturnProprietary => xml.copy_text("OrgnlBkTxCd/Cd", 35, &mut detail.return_code.proprietary),
            F::ReturnReason if detail.return_reason.code.is_empty() => {
                xml.copy_text("Rsn", 35, &mut detail.return_reason.code);
            }
            F::ReturnInfo if detail.return_reason.info.is_empty() => {
                xml.copy_text("AddtlInf", 105, &mut detail.return_reason.info);
            }
            F::Remittance => {
                let gap = if detail.remittance.is_empty() { "" } else { " " };
                let line = xml.text().trim_ascii();
                if detail.remittance.len() + line.len() < REMITTANCE_LEN_MAX {
                    detail.remittance.push_str(gap);
                    detail.remittance.push_str(line);
                }
            }
            F::CreditorReference => xml.copy_text("CdtrRefInf/Ref", 35, &mut detail.creditor_ref),
            F::DetailInfo => xml.copy_text("AddtlTxInf", 500, &mut detail.info),
            _ => {}
        }
    }

    fn detail_amount(&mut self, rank: AmountRank) {
        let currency = self.xml.currency();
        let foreign =
            !currency.is_empty() && !self.entry.currency.is_empty() && currency != self.entry.currency;
        let rank = if foreign { AmountRank::Foreign } else { rank };
        if rank <= self.detail_rank {
            return;
        }
        self.detail_rank = rank;
        let mut amount = Centimes::ZERO;
        match read_amount(&self.xml, &mut amount, &mut self.detail.currency) {
            None => {
                self.detail.amount = Some(amount);
                // A lesser amount that could not be read no longer matters.
                self.detail_problem = self.detail_problem.filter(|(field, _)| *field != "Amt");
            }
            Some(problem) => self.detail_problem = Some(("Amt", problem)),
        }
    }
}

/// Reads amount and currency; gives what is wrong, if anything is.
fn read_amount<R: BufRead>(
    xml: &XmlReader<R, F>,
    amount: &mut Centimes,
    currency: &mut String,
) -> Option<Problem> {
    match xml.read_amount(currency) {
        Ok(read) => {
            *amount = read;
            None
        }
        Err(problem) => Some(problem),
    }
}

/// Reads the credit/debit indicator; gives what is wrong, if anything is.
fn read_side(text: &str, credit: &mut bool) -> Option<Problem> {
    match parse_side(text) {
        Some(side) => {
            *credit = side;
            None
        }
        None if text.is_empty() => Some(Problem::Missing),
        None => Some(Problem::UnknownCode),
    }
}

/// True for a credit, false for a debit.
fn parse_side(text: &str) -> Option<bool> {
    match text {
        "CRDT" => Some(true),
        "DBIT" => Some(false),
        _ => None,
    }
}
