//! What leaves the house: bank files and the stream lane; and the sandbox that answers both.

pub mod bank_file;
pub mod sandbox;
pub mod stream;
