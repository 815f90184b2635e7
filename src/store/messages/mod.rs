//! What came in and what it says: messages and the outcomes of orders, statements, settlement files, uploads, work lists, recalls,
//! and the breaks that they leave.

pub mod arrivals;
pub mod billing;
pub mod break_steps;
pub mod breaks;
pub mod feedback;
pub mod fetches;
pub mod recalls;
pub mod set_aside;
pub mod settlements;
pub mod statements;
pub mod uploads;
pub mod worklists;
