//! Streaming codecs for ISO 20022 messages, in constant memory, over `std::io`.
//!
//! Input and output: pain.001 (credit transfer initiation) and camt.055 (cancellation request) are written; pain.002
//! (payment status report), camt.053 (statement), camt.054 (notification), pacs.004 (payment return) and camt.029
//! (resolution of investigation) are read. The other way round, as banks do it, is in `sandbox::wire`.
//! Guarantee: what is written is valid against the published schema and its control totals are asserted; what is
//! read passes a hardened base (no DTD, no custom entities, limits on everything, truncation refused), and one bad
//! entry never sinks a file.
//! Limit: only the elements the engine uses are read; others are passed over. Errors and warnings name elements
//! and byte offsets, never values.

pub mod camt029;
pub mod camt055;
pub mod camt086;
pub mod pacs004;
pub mod pacs008;
pub mod pacs028;
pub mod pain001;
pub mod pain002;
pub mod sniff;
pub mod statement;
#[cfg(test)]
mod testing;
pub mod values;
pub mod xml;
