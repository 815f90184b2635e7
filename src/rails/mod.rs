//! What leaves the house: bank files, and the sandbox banks that answer them.

pub mod bank_file;
pub mod sandbox;
