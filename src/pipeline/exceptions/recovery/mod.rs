//! Undue payments: found, followed to where the payment is, kept back from later orders, repaid, given up.
//!
//! Input: corrections of a released run, payments made twice, what a person finds. Output: cases, and what later orders keep back.
//! Guarantee: a case is opened once for what it was opened for; nothing is owed before the household had the money; an amount of a
//! case and its posting move in one transaction, under the programme's lock (`Lock::Cases`).
//! What a later list takes back is taken off its case before it is paid. Limit: instalments come from regular runs and, as
//! configured, from arrears and from claims that are paid again.

pub mod account;
pub mod appeals;
pub mod cases;
mod error;
mod follow;
mod keep_back;
mod open;
pub mod repaid;
pub mod write_off;

pub use error::CaseError;
pub use follow::{follow, follow_in_tx};
pub(in crate::pipeline) use keep_back::{KeptBack, KeptFrom, book_in_tx, give_back_in_tx, reverse_in_tx};
pub(in crate::pipeline) use open::open_paid_twice_in_tx;
pub use open::{NewCase, open_corrections_in_tx, open_in_tx};
