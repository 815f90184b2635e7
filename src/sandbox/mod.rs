//! The other side of the engine, for demonstrations, tests and measurements: banks and payment points that answer, a registry
//! that lists, and a year in which all of them go wrong.
//!
//! | part | what it plays |
//! |---|---|
//! | `banks` | banks over files: what lies in the outbox is answered in the inbox |
//! | `points` | payment points and wallets over HTTP |
//! | `registry` | the registry's monthly list, of people who do not exist |
//! | `year` | months in a row, with people at their desks and all that goes wrong |
//! | `wire` | the codecs the other way round: what the engine writes is read, what banks write is written |
//!
//! Guarantee: everything is drawn from a seed. Deliberately absent: anything that the engine needs; only the command line, tests
//! and benches know this module.

pub mod banks;
mod chance;
mod error;
pub mod points;
pub mod registry;
mod state_file;
pub mod wire;
pub mod year;

pub use chance::Share;
pub use error::SandboxError;
