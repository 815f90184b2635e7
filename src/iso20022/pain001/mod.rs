//! pain.001, the credit transfer initiation: what an order file says.

#[cfg(test)]
mod tests;
pub mod write;

use time::{Date, OffsetDateTime};

pub use crate::domain::file_profile::ChargeBearer;
use crate::domain::money::Centimes;

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "pain.001.001.09";

/// The group header, and its only payment information block.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Message id, 1 to 35 characters, unique for the initiating party.
    pub msg_id: &'a str,
    /// When the message was made; printed in UTC.
    pub created: OffsetDateTime,
    /// Name of the initiating party, 1 to 140 characters.
    pub initiating_party_name: &'a str,
    /// Its identification as an organisation, at most 35 characters; empty for none.
    pub initiating_party_id: &'a str,
    /// Declared number of transactions, at least 1.
    pub orders: u64,
    /// Declared sum of the transactions.
    pub control_sum: Centimes,
    /// The payment information block.
    pub payment: PaymentInfo<'a>,
}

/// What all transactions of the file share.
#[derive(Clone, Copy, Debug)]
pub struct PaymentInfo<'a> {
    /// Payment information id, 1 to 35 characters.
    pub id: &'a str,
    /// Whether the bank debits one sum (`true`) or each transaction.
    pub batch_booking: bool,
    /// The day on which the debtor's bank is to execute.
    pub execution_date: Date,
    /// Service level code, 1 to 4 characters; empty for none.
    pub service_level: &'a str,
    /// Category purpose code (e.g. `GOVT`, `SSBE`), 1 to 4 characters; empty for none.
    pub category_purpose: &'a str,
    /// Name of the debtor, 1 to 140 characters.
    pub debtor_name: &'a str,
    /// Where the debtor has its seat.
    pub debtor_address: Option<PostalAddress<'a>>,
    /// The account to debit.
    pub debtor_account: Account<'a>,
    /// The bank that holds it.
    pub debtor_agent: Agent<'a>,
    /// Who bears the charges.
    pub charge_bearer: ChargeBearer,
}

/// An account.
#[derive(Clone, Copy)]
pub enum Account<'a> {
    /// By IBAN.
    Iban(&'a str),
    /// By its domestic number, written as another identification (at most 34 characters).
    Rib(&'a str),
}

/// A financial institution.
#[derive(Clone, Copy, Debug)]
pub enum Agent<'a> {
    /// By BIC, 8 or 11 characters.
    Bic(&'a str),
    /// By its member id in the clearing system, 1 to 35 characters.
    Member(&'a str),
}

/// A postal address.
#[derive(Clone, Copy, Debug)]
pub enum PostalAddress<'a> {
    /// The country alone: ISO 3166, two capitals.
    Country(&'a str),
    /// In elements of their own.
    Structured {
        /// Street and number, at most 70 characters.
        street: &'a str,
        /// Postal code, at most 16 characters.
        postal_code: &'a str,
        /// Town, at most 35 characters.
        town: &'a str,
        /// The country.
        country: &'a str,
    },
    /// In two lines: street, and postal code with town.
    Lines {
        /// Street and number, at most 70 characters.
        street: &'a str,
        /// Postal code.
        postal_code: &'a str,
        /// Town.
        town: &'a str,
        /// The country.
        country: &'a str,
    },
}

/// What the payee reads of a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Remittance<'a> {
    /// Nothing.
    None,
    /// A text of 1 to 140 characters.
    Text(&'a str),
    /// A structured creditor's reference of 1 to 35 characters.
    Reference(&'a str),
}

/// Where a transaction's money goes.
#[derive(Clone, Copy)]
pub enum CreditorAccount<'a> {
    /// To an account.
    Account(Account<'a>),
    /// To whoever is registered under an alias, such as a phone number for a wallet.
    Proxy {
        /// External proxy account type code, e.g. `TELE`.
        kind: &'a str,
        /// The alias.
        id: &'a str,
    },
    /// Nowhere by account: cash to be collected.
    None,
}

/// One credit transfer.
#[derive(Clone, Copy)]
pub struct Transaction<'a> {
    /// Instruction id, 1 to 35 characters; empty for none.
    pub instr_id: &'a str,
    /// End-to-end id, 1 to 35 characters.
    pub end_to_end_id: &'a str,
    /// Unique end-to-end transaction reference: a version 4 UUID in small letters.
    pub uetr: Option<&'a str>,
    /// The amount, above zero.
    pub amount: Centimes,
    /// The creditor's bank.
    pub creditor_agent: Option<Agent<'a>>,
    /// The creditor's name, at most 140 characters; empty for none.
    pub creditor_name: &'a str,
    /// Where the creditor lives.
    pub creditor_address: Option<PostalAddress<'a>>,
    /// The creditor's account.
    pub creditor_account: CreditorAccount<'a>,
    /// Purpose code, 1 to 4 characters; empty for none.
    pub purpose: &'a str,
    /// What the payee reads.
    pub remittance: Remittance<'a>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of transactions.
    pub orders: u64,
    /// Their sum.
    pub sum: Centimes,
}

impl std::fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Iban(_) => "Iban(…)",
            Self::Rib(_) => "Rib(…)",
        })
    }
}
