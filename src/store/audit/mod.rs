//! What the engine vouches for, and what a proof reads: the chain of decisions and its anchor, the journal of changes, hashes over
//! rows, and the queries that count everything again.

pub mod anchor;
pub mod chain;
pub mod journal;
pub mod proofs;
pub mod recovery_proofs;
pub mod row_blocks;
pub mod row_sums;
pub mod signing;
