//! The codecs of `iso20022` the other way round: pain.001 and camt.055 are read as a bank reads them; pain.002, camt.052/053/054,
//! pacs.004 and camt.029 are written as a bank writes them.
//!
//! Guarantee: readers stand on the same hardened base, writers on the same checks as those of the engine; what is written is
//! valid against the published schema, its balances and totals as wrong as they are given.

pub mod camt029;
pub mod camt055;
pub mod instant;
pub mod pacs004;
pub mod pain001;
pub mod pain002;
pub mod statement;
