//! What is looked at afterwards: reports of a run, the proof of everything, why a household has no order, other rules on trial.

pub mod arrivals;
pub mod decisions;
pub mod run_report;
pub mod simulate;
pub mod unpaid;
pub mod verify;
