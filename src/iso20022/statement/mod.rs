//! camt.053, camt.054 and camt.052: what statements, notifications and reports of the day say. Texts are empty where nothing
//! was given.

pub mod check;
pub mod read;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use time::{Date, OffsetDateTime};

use self::check::Mismatch;
use crate::domain::money::Centimes;
use crate::iso20022::values::{EntryFault, MessageHeader, Reason, ShortCode};

/// Statement, notification or report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CamtKind {
    /// camt.053: what was booked, with balances.
    #[default]
    Statement,
    /// camt.052: what the day has brought so far; the statement says it again.
    Report,
    /// camt.054: debits and credits, without balances.
    Notification,
}

/// One item of a statement or notification; it lives until the next is asked for.
#[derive(Debug)]
pub enum CamtItem<'a> {
    /// The group header.
    Header(&'a MessageHeader),
    /// A statement begins.
    StatementBegin(&'a Statement),
    /// A balance.
    Balance(&'a Balance),
    /// A balance that cannot be used.
    FaultyBalance {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a Balance,
    },
    /// The totals the bank states.
    Summary(&'a Summary),
    /// An entry; its details follow, then [`CamtItem::EntryEnd`].
    Entry(&'a Entry),
    /// An entry that cannot be used. Its details are not given, only counted.
    FaultyEntry {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a Entry,
        /// How many details it had.
        details: u64,
    },
    /// A batch that the entry stands for beside the one that it already gave.
    Batch(&'a Batch),
    /// What the bank says of the entry in words.
    EntryInfo(&'a str),
    /// A transaction of the entry.
    Detail(&'a Detail),
    /// A transaction that cannot be used.
    FaultyDetail {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a Detail,
    },
    /// The entry is complete.
    EntryEnd(EntryEnd),
    /// A total or balance that does not follow from the entries.
    Mismatch(Mismatch),
    /// The statement is complete.
    StatementEnd(StatementEnd),
}

/// How an account is named.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum AccountId {
    /// Not at all.
    #[default]
    None,
    /// By IBAN, at most 34 characters.
    Iban(String),
    /// By another identification, such as a RIB, at most 34 characters.
    Other(String),
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Iban(_) => "Iban(…)",
            Self::Other(_) => "Other(…)",
        })
    }
}

/// The head of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Statement or notification.
    pub kind: CamtKind,
    /// The bank's id of it, at most 35 characters.
    pub id: String,
    /// The account it is about.
    pub account: AccountId,
    /// Number among the electronic statements, if stated.
    pub electronic_sequence: Option<u64>,
    /// Legal number, if stated.
    pub legal_sequence: Option<u64>,
    /// Start of the time it covers, if stated.
    pub from: Option<OffsetDateTime>,
    /// End of the time it covers, if stated.
    pub to: Option<OffsetDateTime>,
    /// When it was made, if stated.
    pub created: Option<OffsetDateTime>,
    /// Number of the page, where it comes in pages.
    pub page: Option<u32>,
    /// Whether pages follow.
    pub more_pages: bool,
}

/// A balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// `OPBD` opening, `CLBD` closing, `PRCD` previous closing, `ITBD` interim booked, or another.
    pub code: String,
    /// The amount, without sign.
    pub amount: Centimes,
    /// True if the account is in credit.
    pub credit: bool,
    /// The currency.
    pub currency: String,
    /// Its day, if stated.
    pub date: Option<Date>,
}

/// The totals the bank states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of all entries.
    pub all: StatedTotal,
    /// Of the credit entries.
    pub credits: StatedTotal,
    /// Of the debit entries.
    pub debits: StatedTotal,
}

/// A number of entries and their sum, as far as stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatedTotal {
    /// How many.
    pub entries: Option<u64>,
    /// Their sum.
    pub sum: Option<Centimes>,
}

/// Whether an entry is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    /// Booked: part of the balances.
    Book,
    /// Pending.
    Pending,
    /// For information.
    Info,
    /// Another code.
    Other(ShortCode),
}

/// A bank transaction code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BankCode {
    /// Domain, e.g. `PMNT`.
    pub domain: String,
    /// Family, e.g. `ICDT`.
    pub family: String,
    /// Sub-family, e.g. `DMCT`.
    pub sub_family: String,
    /// The bank's own code, at most 35 characters.
    pub proprietary: String,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's reference, at most 35 characters.
    pub reference: String,
    /// The amount, without sign.
    pub amount: Centimes,
    /// The currency.
    pub currency: String,
    /// True for a credit to the account.
    pub credit: bool,
    /// True if it takes back an earlier entry. `credit` already tells the direction.
    pub reversal: bool,
    /// Whether it is booked.
    pub status: EntryStatus,
    /// The day it was booked, if stated.
    pub booking_date: Option<Date>,
    /// The value date, if stated.
    pub value_date: Option<Date>,
    /// The bank's reference, at most 35 characters.
    pub servicer_ref: String,
    /// What kind of transaction it is.
    pub code: BankCode,
    /// The batch it stands for, if it is one; the first of several.
    pub batch: Option<Batch>,
}

/// The batch an entry stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Id of the message, at most 35 characters.
    pub msg_id: String,
    /// Id of the payment information block, at most 35 characters.
    pub pmt_inf_id: String,
    /// Number of transactions, if stated.
    pub orders: Option<u64>,
    /// Their sum, if stated.
    pub sum: Option<Centimes>,
    /// True for a credit, if stated.
    pub credit: Option<bool>,
}

/// A transaction of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Id of the original message, at most 35 characters.
    pub msg_id: String,
    /// The bank's reference, at most 35 characters.
    pub servicer_ref: String,
    /// Payment information id, at most 35 characters.
    pub pmt_inf_id: String,
    /// Instruction id, at most 35 characters.
    pub instr_id: String,
    /// End-to-end id, at most 35 characters.
    pub end_to_end_id: String,
    /// Unique end-to-end transaction reference.
    pub uetr: String,
    /// Transaction id of the clearing, at most 35 characters.
    pub tx_id: String,
    /// The amount, without sign: `Amt`, else `AmtDtls/TxAmt`, else `AmtDtls/InstdAmt`. `None` where an entry of one
    /// transaction states its amount only once, on the entry.
    pub amount: Option<Centimes>,
    /// Its currency.
    pub currency: String,
    /// True for a credit, if stated; else the entry's.
    pub credit: Option<bool>,
    /// Why it came back; empty if it did not.
    pub return_reason: Reason,
    /// The code of the transaction that came back.
    pub return_code: BankCode,
    /// Remittance text, its lines joined by blanks as far as they fit into some hundred characters.
    pub remittance: String,
    /// The creditor's reference of structured remittance information, at most 35 characters.
    pub creditor_ref: String,
    /// Additional information, at most 500 characters.
    pub info: String,
}

/// What followed an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryEnd {
    /// Transactions given, faulty ones included.
    pub details: u64,
    /// Sum of their amounts, as far as given.
    pub details_sum: Centimes,
}

/// What the reader counted in a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementEnd {
    /// Entries, faulty ones included.
    pub entries: u64,
    /// Sum of the credit entries, whatever their status.
    pub credit_sum: Centimes,
    /// Sum of the debit entries, whatever their status.
    pub debit_sum: Centimes,
}

impl EntryStatus {
    /// Reads a code.
    pub fn parse(text: &str) -> Self {
        match text {
            "BOOK" => Self::Book,
            "PDNG" => Self::Pending,
            "INFO" => Self::Info,
            other => Self::Other(ShortCode::new(other)),
        }
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Book => "BOOK",
            Self::Pending => "PDNG",
            Self::Info => "INFO",
            Self::Other(code) => code.as_str(),
        }
    }
}

impl BankCode {
    /// Empties the texts and keeps their buffers.
    pub fn clear(&mut self) {
        self.domain.clear();
        self.family.clear();
        self.sub_family.clear();
        self.proprietary.clear();
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            reference: String::new(),
            amount: Centimes::ZERO,
            currency: String::new(),
            credit: false,
            reversal: false,
            status: EntryStatus::Other(ShortCode::default()),
            booking_date: None,
            value_date: None,
            servicer_ref: String::new(),
            code: BankCode::default(),
            batch: None,
        }
    }
}

impl Entry {
    /// Empties the entry and keeps its texts' buffers.
    pub fn clear(&mut self) {
        self.reference.clear();
        self.amount = Centimes::ZERO;
        self.currency.clear();
        self.credit = false;
        self.reversal = false;
        self.status = EntryStatus::Other(ShortCode::default());
        self.booking_date = None;
        self.value_date = None;
        self.servicer_ref.clear();
        self.code.clear();
        self.batch = None;
    }
}

impl Detail {
    /// Empties the detail and keeps its texts' buffers.
    pub fn clear(&mut self) {
        self.msg_id.clear();
        self.servicer_ref.clear();
        self.pmt_inf_id.clear();
        self.instr_id.clear();
        self.end_to_end_id.clear();
        self.uetr.clear();
        self.tx_id.clear();
        self.amount = None;
        self.currency.clear();
        self.credit = None;
        self.return_reason.clear();
        self.return_code.clear();
        self.remittance.clear();
        self.creditor_ref.clear();
        self.info.clear();
    }
}
