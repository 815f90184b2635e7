//! What scenarios stand on: one PostgreSQL for the whole process, a database and a home for each test ([`Bed`]), the
//! real program ([`Program`]), hand-made snapshots ([`Registry`]).
//!
//! Guarantee: nothing is left running and, where tests pass, nothing on the disk.
//! Without PostgreSQL on the machine scenarios fail, unless `SARF_TEST_SKIP_DATABASE=1` lets them be skipped, which is said.

mod bed;
mod cluster;
mod contract;
mod files;
mod nats;
#[path = "../../../src/testing.rs"]
mod needs;
mod program;
mod provider;
mod readme;
mod registry;
mod sshd;

pub use bed::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, period, standing_sql};
pub use contract::{Contract, held, in_front_of};
pub use files::{
    Sent, TempHome, config_folder, copy_folder, files_only_config, give_keys, give_keys_to_people,
    issue_token, sent_files, server_keys,
};
pub use nats::{NatsServer, event, eventually, publish_events};
pub use needs::{without_postgres, without_tool};
pub use program::{Program, Ran};
pub use provider::{Moods, Taken, TestProvider};
pub use readme::month_of_the_readme;
pub use registry::{Registry, rib};
pub use sshd::{Sshd, Wire, terms};
