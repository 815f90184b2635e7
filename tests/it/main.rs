//! Scenarios on a real PostgreSQL and with the real program. One binary; each test has a database of its own.

#![allow(missing_docs, reason = "tests are read, not called")]

mod architecture;
mod breaks;
mod children;
mod cli;
mod comparison;
mod configuration;
mod correction;
mod correction_histories;
mod crash;
mod dispatch_alone;
mod door;
mod events;
mod exports;
mod feedback_any_order;
mod feedback_faults;
mod feedback_files;
mod feedback_reasons;
mod files_and_folders;
mod four_eyes;
mod harness;
mod holds;
mod holds_elsewhere;
mod http;
mod intake;
mod ledger;
mod month;
mod nats;
mod outbox;
mod people;
mod programmes;
mod questions;
mod recall;
mod recovery_money;
mod recovery_people;
mod reissue;
mod returns;
mod settlement;
mod signals;
mod simulation;
mod statement_entries;
mod stream_record;
mod stream_worker;
mod tamper;
