//! camt.055, the customer's request to cancel payments: what a recall says.

#[cfg(test)]
mod tests;
pub mod write;

use time::{Date, OffsetDateTime};

use crate::domain::money::Centimes;
use crate::iso20022::pain001::Agent;

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "camt.055.001.08";

/// Assignment and case, and the file that the transactions were in.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Id of the assignment and of the case, 1 to 35 characters, unique for the assigner.
    pub id: &'a str,
    /// When the message was made; printed in UTC.
    pub created: OffsetDateTime,
    /// Name of who asks, 1 to 140 characters.
    pub assigner_name: &'a str,
    /// Its identification as an organisation, at most 35 characters; empty for none.
    pub assigner_id: &'a str,
    /// The bank that is asked.
    pub assignee: Agent<'a>,
    /// Declared number of transactions, at least 1.
    pub orders: u64,
    /// Declared sum of the transactions.
    pub control_sum: Centimes,
    /// Message id of the original file, 1 to 35 characters; its payment information bears it too.
    pub original_msg_id: &'a str,
    /// The original file's message name, e.g. `pain.001.001.09`.
    pub original_msg_name: &'a str,
    /// When the original file was made.
    pub original_created: Option<OffsetDateTime>,
}

/// One transaction to cancel.
#[derive(Clone, Copy, Debug)]
pub struct Cancellation<'a> {
    /// Id of this cancellation, at most 35 characters; empty for none.
    pub id: &'a str,
    /// Instruction id of the original, at most 35 characters; empty for none.
    pub instr_id: &'a str,
    /// End-to-end id of the original, 1 to 35 characters.
    pub end_to_end_id: &'a str,
    /// UETR of the original.
    pub uetr: &'a str,
    /// Its amount, above zero.
    pub amount: Centimes,
    /// The execution date that was asked for.
    pub execution_date: Date,
    /// Reason code (`ExternalCancellationReason1Code`).
    pub reason: &'a str,
}
