//! sarf (صرف, *disbursement*): the engine that pays a country's social support, from the registry's monthly snapshot to
//! closed books. See `src/ARCHITECTURE.md`.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod files;
pub mod http;
pub mod iso20022;
pub mod keys;
pub mod pipeline;
pub mod rails;
pub mod sandbox;
pub mod snapshot;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
