//! What an entry of a statement, notification or report says, as it is handed from the reader to the applier.

use super::parse::{Cash, Line};
use crate::domain::money::Centimes;
use crate::domain::recovery::reference::CaseReference;
use crate::domain::references::Names;
use crate::domain::statement::allocation::{Entry, Side};
use time::Date;

/// An entry, or a piece of one that has more transactions than are held at once.
#[derive(Debug, Default)]
pub(super) struct EntryPiece {
    /// Place in the message, from 1.
    pub number: u64,
    /// Its amount.
    pub amount: Centimes,
    /// Into the account, or out of it.
    pub credit: bool,
    /// It takes an earlier entry of the other side back.
    pub reversal: bool,
    /// Booked; what is pending or for information moves nothing.
    pub booked: bool,
    /// It moves the account in the books: booked, and on a statement.
    pub posts: bool,
    /// The batches that it stands for; all with the first piece.
    pub batches: Vec<BatchPart>,
    /// Its transactions.
    pub details: Vec<DetailPart>,
    /// The recovery case that the entry itself names.
    pub case: Option<CaseReference>,
    /// What a person needs to ask the bank about it.
    pub about: About,
    /// Whether pieces came before, and come after.
    pub begun: bool,
    pub goes_on: bool,
}

/// What the bank calls an entry.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// The bank's own reference.
    pub bank_reference: Box<str>,
    /// The entry's reference.
    pub entry_reference: Box<str>,
    /// What it says in words.
    pub text: Box<str>,
    pub booked_on: Option<Date>,
    pub value_on: Option<Date>,
}

/// A batch that an entry stands for.
#[derive(Debug, Default)]
pub(super) struct BatchPart {
    pub names: Names,
    pub amount: Option<Centimes>,
    pub side: Option<Side>,
    /// The references as they were given.
    pub given: Box<str>,
}

/// A transaction of an entry.
#[derive(Debug, Default)]
pub(super) struct DetailPart {
    /// Names, reason, and the amount in the account's currency, where stated.
    pub line: Line,
    pub side: Option<Side>,
    /// The recovery case that it names.
    pub case: Option<CaseReference>,
    /// What makes it unreadable.
    pub fault: Option<Box<str>>,
    /// It gives a reason why its money came back.
    pub returned: bool,
    /// The references as they were given.
    pub given: Box<str>,
    /// What it says in words.
    pub text: Box<str>,
}

impl EntryPiece {
    /// The entry as it is shared out.
    pub(super) const fn entry(&self) -> Entry {
        Entry { amount: self.amount, side: Side::of(self.credit), reversal: self.reversal }
    }

    /// Its money.
    pub(super) const fn cash(&self) -> Cash {
        Cash { amount: self.amount, credit: self.credit }
    }
}
