//! Account statements: what one covers, and what its entries are for.
//!
//! An entry moves the bank account once, by its own amount and its own side. Everything beneath it only says what the entry is
//! for: [`allocation`] shares it out, and what the parts leave over is said to be left over; [`booking`] judges each part
//! against what is known of the order or file that it names.

pub mod allocation;
pub mod booking;
mod span;

pub use span::{StatementName, StatementSpan};
