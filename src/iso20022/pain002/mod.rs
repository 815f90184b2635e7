//! pain.002, the payment status report: what it says of a message of ours, of its payment information and transactions.

pub mod read;
#[cfg(test)]
mod tests;

use crate::domain::money::Centimes;
use crate::iso20022::values::{EntryFault, MessageHeader, Reasons, StatusCode};

/// One item of a status report; it lives until the next is asked for.
#[derive(Debug)]
pub enum Pain002Item<'a> {
    /// The group header.
    Header(&'a MessageHeader),
    /// The original message and its status.
    Group(&'a Group),
    /// An original payment information block and its status, and the message that it was part of.
    PaymentInfo {
        /// The block.
        payment: &'a PaymentInfo,
        /// The message reported on.
        group: &'a Group,
    },
    /// A transaction's status.
    Transaction {
        /// What is said of it.
        transaction: &'a TransactionStatus,
        /// The payment information that it stands in, where it stands in one.
        payment: Option<&'a PaymentInfo>,
        /// The message reported on.
        group: &'a Group,
    },
    /// A transaction that cannot be used.
    Faulty {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a TransactionStatus,
    },
}

/// The original message and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Id of the message reported on, at most 35 characters.
    pub original_msg_id: String,
    /// Its name, e.g. `pain.001.001.09`.
    pub original_msg_name: String,
    /// Its number of transactions, if stated.
    pub original_orders: Option<u64>,
    /// Its control sum, if stated.
    pub original_sum: Option<Centimes>,
    /// The group's status, if stated.
    pub status: Option<StatusCode>,
    /// Why.
    pub reasons: Reasons,
}

/// An original payment information block and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentInfo {
    /// Its id, at most 35 characters.
    pub original_pmt_inf_id: String,
    /// Its number of transactions, if stated.
    pub original_orders: Option<u64>,
    /// Its control sum, if stated.
    pub original_sum: Option<Centimes>,
    /// The block's status, if stated.
    pub status: Option<StatusCode>,
    /// Why.
    pub reasons: Reasons,
}

/// A transaction's status. Texts are empty where nothing was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionStatus {
    /// The reporting bank's id of this status, at most 35 characters.
    pub status_id: String,
    /// Instruction id of the original, at most 35 characters.
    pub original_instr_id: String,
    /// End-to-end id of the original, at most 35 characters.
    pub original_end_to_end_id: String,
    /// UETR of the original.
    pub original_uetr: String,
    /// Id of the original message, where it is given with the transaction.
    pub original_msg_id: String,
    /// The status; [`StatusCode::NONE`] only in a faulty transaction.
    pub status: StatusCode,
    /// Why.
    pub reasons: Reasons,
    /// The original amount, if stated.
    pub amount: Option<Centimes>,
    /// Its currency.
    pub currency: String,
}

impl Default for TransactionStatus {
    fn default() -> Self {
        Self {
            status_id: String::new(),
            original_instr_id: String::new(),
            original_end_to_end_id: String::new(),
            original_uetr: String::new(),
            original_msg_id: String::new(),
            status: StatusCode::NONE,
            reasons: Reasons::default(),
            amount: None,
            currency: String::new(),
        }
    }
}

impl TransactionStatus {
    /// Empties the texts and keeps their buffers.
    pub fn clear(&mut self) {
        self.status_id.clear();
        self.original_instr_id.clear();
        self.original_end_to_end_id.clear();
        self.original_uetr.clear();
        self.original_msg_id.clear();
        self.status = StatusCode::NONE;
        self.reasons.clear();
        self.amount = None;
        self.currency.clear();
    }
}
