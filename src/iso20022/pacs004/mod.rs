//! pacs.004, the payment return: what it says of the orders that come back.

pub mod read;
#[cfg(test)]
mod tests;

use crate::domain::money::Centimes;
use crate::iso20022::values::{EntryFault, MessageHeader, Reasons};

/// One item of a payment return; it lives until the next is asked for.
#[derive(Debug)]
pub enum Pacs004Item<'a> {
    /// The group header.
    Header(&'a ReturnHeader),
    /// The original message.
    Original(&'a OriginalMessage),
    /// A returned transaction.
    Return(&'a ReturnedTransaction),
    /// A transaction that cannot be used.
    Faulty {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a ReturnedTransaction,
    },
}

/// The group header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnHeader {
    /// Id and time of creation.
    pub message: MessageHeader,
    /// Number of transactions, if stated.
    pub orders: Option<u64>,
    /// Control sum, if stated.
    pub sum: Option<Centimes>,
    /// Total returned, if stated.
    pub total: Option<Centimes>,
    /// Whether the whole of the original message is returned.
    pub group_return: bool,
}

/// The original message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginalMessage {
    /// Its id, at most 35 characters.
    pub msg_id: String,
    /// Its name, e.g. `pacs.008.001.08`.
    pub msg_name: String,
    /// Why it is returned.
    pub reasons: Reasons,
}

/// A returned transaction. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnedTransaction {
    /// The returning bank's id, at most 35 characters.
    pub return_id: String,
    /// Instruction id of the original, at most 35 characters.
    pub original_instr_id: String,
    /// End-to-end id of the original, at most 35 characters.
    pub original_end_to_end_id: String,
    /// UETR of the original.
    pub original_uetr: String,
    /// The amount sent back, charges taken off; `None` only in a faulty transaction.
    pub amount: Option<Centimes>,
    /// Its currency.
    pub currency: String,
    /// Why.
    pub reasons: Reasons,
}

impl ReturnedTransaction {
    /// Empties the texts and keeps their buffers.
    pub fn clear(&mut self) {
        self.return_id.clear();
        self.original_instr_id.clear();
        self.original_end_to_end_id.clear();
        self.original_uetr.clear();
        self.amount = None;
        self.currency.clear();
        self.reasons.clear();
    }
}
