//! Scenarios on a real PostgreSQL and with the real program. One binary; each test has a database of its own.

#![allow(missing_docs, reason = "tests are read, not called")]

mod architecture;
mod crash;
mod feedback_any_order;
mod harness;
mod month;
