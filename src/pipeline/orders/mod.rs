//! Making orders: the month's run, corrections, payments for children, what is paid again; and holds.

pub(super) mod barring;
mod book;
pub(super) mod change_effects;
pub(super) mod changed;
mod checks;
pub mod children;
mod compare;
pub mod correction;
mod error;
pub mod holds;
pub(super) mod judge;
mod maker;
mod merge;
pub mod regular;
pub mod reissue;
mod run_builder;
mod slices;

pub use error::OrderError;
