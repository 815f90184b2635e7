//! What a bank wants in an order file, or refuses, beyond the schema: a file that the schema allows is not yet one that a bank takes.
//!
//! - **Input**: `[provider.file]` of `config/providers`.
//! - **Output**: what is written, and how.
//! - **Guarantee**: as it is where nothing is said, files are what they were before there were profiles. It is fixed with a file's
//!   intent, so a file is written again as it was.
//! - **Limit**: end-to-end ids are never shortened: they bind the order for ever.

use serde::{Deserialize, Serialize};

use super::listed::listed;

/// The longest id that the standard has room for (`Max35Text`).
pub const ID_MAX: u8 = 35;

listed! {
    /// How a bank debits the orders of a file.
    #[derive(Default)]
    Debits {
        /// Their sum at once.
        #[default]
        PerFile = "per_file",
        /// Each by itself.
        PerOrder = "per_order",
    }
}

listed! {
    /// Who bears the charges, by the standard's codes.
    #[derive(Default)]
    ChargeBearer {
        /// As the service level says.
        #[default]
        ServiceLevel = "SLEV",
        /// Debtor and creditor, each their own bank's.
        Shared = "SHAR",
        /// The debtor.
        Debtor = "DEBT",
        /// Not said: the bank refuses the element.
        Unsaid = "unsaid",
    }
}

listed! {
    /// What the payee reads on the account's statement.
    #[derive(Default)]
    Remittance {
        /// Nothing.
        #[default]
        Nothing = "nothing",
        /// Programme and month, as text.
        Text = "text",
        /// The end-to-end id, as a structured creditor's reference.
        Reference = "reference",
    }
}

listed! {
    /// How parties are placed.
    #[derive(Default)]
    Addresses {
        /// Not at all.
        #[default]
        Nothing = "nothing",
        /// By country only.
        Country = "country",
        /// The debtor by street, postal code and town in elements of their own; payees by country.
        Structured = "structured",
        /// The debtor by two lines and country; payees by country.
        Lines = "lines",
    }
}

/// What a bank wants in a file, or refuses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileProfile {
    /// Most characters of message and payment information ids that it keeps.
    pub ids_max: u8,
    /// Whether an instruction id may stand beside the end-to-end id.
    pub instruction_ids: bool,
    /// Whether the UETR may.
    pub uetr: bool,
    /// Whether the initiating party is named by its organisation id.
    pub initiator_id: bool,
    /// Most characters of a payee's name.
    pub names_max: u8,
    /// How it debits.
    pub debits: Debits,
    /// Who bears the charges.
    pub charge_bearer: ChargeBearer,
    /// Service level code, where it asks for one.
    pub service_level: Option<String>,
    /// Whether purpose and category purpose may stand.
    pub purposes: bool,
    /// What the payee reads.
    pub remittance: Remittance,
    /// How parties are placed.
    pub addresses: Addresses,
}

impl Default for FileProfile {
    fn default() -> Self {
        Self {
            ids_max: ID_MAX,
            instruction_ids: true,
            uetr: true,
            initiator_id: true,
            names_max: 70,
            debits: Debits::PerFile,
            charge_bearer: ChargeBearer::ServiceLevel,
            service_level: None,
            purposes: true,
            remittance: Remittance::Nothing,
            addresses: Addresses::Nothing,
        }
    }
}

/// Where the debtor has its seat.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// Street and number.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// Town.
    pub town: String,
}
