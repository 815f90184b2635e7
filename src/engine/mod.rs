//! What runs for long: workers of the stream lane, with leases, pace, retry and a clean end.
//!
//! Deliberately absent: SQL (that is `store`'s) and what an answer means for an order (that is `pipeline::dispatch::stream`'s).

pub mod backoff;
mod call;
mod certificate;
pub mod dead_letter;
mod enquire;
pub mod gauges;
pub mod lease;
pub mod nats;
pub mod nats_intake;
pub mod nats_out;
pub mod outbox;
pub mod provider_stream;
mod shard;
pub mod stop;
pub mod webhook;
pub mod worker;

pub(crate) use crate::domain::hint::chain;
