//! What did not go as ordered: breaks and who decides them, payees in doubt, undue payments and their recovery.

pub mod breaks;
pub mod doubts;
pub mod recovery;
