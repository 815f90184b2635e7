//! What scenarios stand on: one PostgreSQL for the whole process, a database and a home for each test ([`Bed`]), the
//! real program ([`Program`]), hand-made snapshots ([`Registry`]).
//!
//! Guarantee: nothing is left running and, where tests pass, nothing on the disk.
//! Limit: without PostgreSQL on the machine scenarios say so and pass.

mod bed;
mod cluster;
mod files;
mod nats;
mod program;
mod provider;
mod registry;

pub use bed::{ACCOUNTANT, APPROVER, Bed, PREPARER, issue_token, period, standing_sql};
pub use files::{Sent, TempHome, config_folder, copy_folder, files_only_config, sent_files};
pub use nats::{NatsServer, event, eventually, publish_events};
pub use program::{Program, Ran};
pub use provider::{Moods, Taken, TestProvider};
pub use registry::{Registry, rib};
