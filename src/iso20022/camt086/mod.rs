//! camt.086, the bank services billing statement: what a bank takes for its services in a period.

pub mod read;

use time::Date;

use crate::domain::money::Centimes;

/// One billing statement. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillingStatement {
    /// Its id, at most 35 characters.
    pub id: String,
    /// Its status: `ORGN`, `RPLC`, `TEST`.
    pub status: String,
    /// The account that is billed: an IBAN or another identification.
    pub account: String,
    /// First day of the period.
    pub from: Option<Date>,
    /// Its last.
    pub to: Option<Date>,
    /// How many services it lists.
    pub services: u64,
    /// Their charges less what is given back, as far as they could be read.
    pub charged: Centimes,
    /// A charge that is in another currency, or cannot be read.
    pub unreadable: bool,
}
