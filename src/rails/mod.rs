//! What leaves the house: bank files, their transport, and the stream lane.

pub mod bank_file;
pub mod delivery;
pub mod stream;
