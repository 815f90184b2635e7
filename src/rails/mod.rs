//! What leaves the house: bank files and the stream lane.

pub mod bank_file;
pub mod stream;
