//! The rules of the house, pure: no tokio, no SQL, no clock, no randomness, no environment.

pub mod arrivals;
pub mod attribute;
pub mod batch;
pub mod breaks;
pub mod calendar;
pub mod child;
pub mod correction;
pub mod country;
pub mod delivery;
pub mod entitlement;
pub mod event;
pub mod file_profile;
pub mod gate;
pub mod hint;
pub mod household;
pub mod ids;
pub mod judging;
pub mod ledger;
pub(crate) mod listed;
pub mod money;
pub mod name;
pub mod not_found;
pub mod order;
pub mod period;
pub mod person;
pub mod policy;
pub mod powers;
pub mod programme;
pub mod provider;
pub mod reason;
pub mod recall;
pub mod recovery;
pub mod references;
pub mod rib;
pub mod router;
pub mod run;
pub mod shown;
pub mod stated;
pub mod statement;
pub mod statement_of_decision;
pub mod step;
pub mod telling;

/// Hex form of a hash.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}
