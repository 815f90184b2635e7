//! pacs.008, the credit transfer between banks: one instant transfer, as an instant lane takes it.

pub mod write;

use time::{Date, OffsetDateTime};

use crate::domain::money::Centimes;
use crate::iso20022::pain001::{Account, Agent, CreditorAccount};

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "pacs.008.001.08";

/// One instant transfer, alone in its message.
#[derive(Clone, Copy)]
pub struct InstantTransfer<'a> {
    /// End-to-end id, 1 to 35 characters: also the message's id and the transaction's.
    pub end_to_end_id: &'a str,
    /// Unique end-to-end transaction reference: a version 4 UUID in small letters.
    pub uetr: &'a str,
    /// When the message was made; printed in UTC.
    pub created: OffsetDateTime,
    /// The day of settlement between the banks.
    pub settlement_date: Date,
    /// The amount, above zero.
    pub amount: Centimes,
    /// Name of the debtor, 1 to 140 characters.
    pub debtor_name: &'a str,
    /// Its organisation id, at most 35 characters; empty for none.
    pub debtor_id: &'a str,
    /// The account to debit.
    pub debtor_account: Account<'a>,
    /// The bank that holds it.
    pub debtor_agent: Agent<'a>,
    /// The creditor's bank.
    pub creditor_agent: Agent<'a>,
    /// The creditor's name, 1 to 140 characters.
    pub creditor_name: &'a str,
    /// The creditor's account, or the alias that stands for it.
    pub creditor_account: CreditorAccount<'a>,
}
