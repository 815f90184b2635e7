//! Cases of undue payments: what is owed, instalments, refunds, what later lists take back, and what people decide.

pub mod cases;
pub mod decisions;
pub mod instalments;
pub mod refunds;
pub mod reversals;
