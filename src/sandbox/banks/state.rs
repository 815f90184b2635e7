//! What a bank remembers, in `inbox/<provider>/.sandbox`.
//!
//! `memory.json` holds what is done for good. A plan names the files that are to be answered together and the clock's
//! reading, and is committed before the first answer; its folder `plan-<number>` holds a record and the returns of
//! each file answered. Guarantee: each file is replaced by rename, so a kill leaves the old or the new; a plan that
//! was begun is ended as it was begun. Limit: one sandbox at a time on an inbox; the disk is not synced, so a loss
//! of power may lose answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::later::Later;
use crate::domain::money::Centimes;
use crate::sandbox::wire::pain001::Account;

/// A number of orders and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub orders: u64,
    /// Their sum.
    pub amount: Centimes,
}

impl Tally {
    /// Counts one order.
    pub(super) fn count(&mut self, amount: Centimes) {
        self.add(Self { orders: 1, amount });
    }

    /// Counts the orders of another tally.
    pub(super) fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.amount += other.amount;
    }
}

/// What is done for good.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// How many plans were ended.
    pub plans: u64,
    /// How many statements were made.
    pub statements: u64,
    /// The message id of each order file that was answered.
    pub answered: BTreeMap<String, String>,
    /// Where each account stands.
    pub accounts: Vec<AccountState>,
    /// The files that were accepted, by message id.
    #[serde(default)]
    pub debited: BTreeMap<String, Debited>,
    /// Names of the recalls that were answered.
    #[serde(default)]
    pub recalls: BTreeSet<String>,
    /// End-to-end ids of orders that are sent back on a recall.
    #[serde(default)]
    pub recalled: BTreeSet<String>,
    /// What is to come.
    #[serde(default)]
    pub later: Vec<Later>,
}

/// A file that was accepted.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Debited {
    /// The account.
    pub account: Account,
    /// Its payment information id.
    pub pmt_inf_id: String,
}

/// Where an account stands.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccountState {
    /// The account.
    pub account: Account,
    /// Its booked balance.
    pub balance: Centimes,
    /// Number of its last statement.
    pub sequence: u64,
}

/// Files that are answered together.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    /// Its number, from 1.
    pub number: u64,
    /// The banks' clock.
    pub now: OffsetDateTime,
    /// The files, by name.
    pub files: Vec<PlannedFile>,
    /// Recalls, by name.
    #[serde(default)]
    pub recalls: Vec<String>,
    /// What has come due.
    #[serde(default)]
    pub due: Vec<Later>,
}

/// A file to be answered.
#[derive(Serialize, Deserialize)]
pub(super) struct PlannedFile {
    /// Its name in the outbox.
    pub name: String,
    /// Its message id, or what stands for it.
    pub msg_id: String,
    /// How often the message id was seen, this file included.
    pub occurrence: u64,
}

/// How a file was answered.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its name in the outbox.
    pub name: String,
    /// Its message id.
    pub msg_id: String,
    /// Its payment information id.
    pub pmt_inf_id: String,
    /// What is to be booked, and where; `None` for a file that was refused as a whole.
    pub booking: Option<Booking>,
    /// Orders of the file, as far as they were read.
    pub orders: Tally,
    /// Rejected ones; all, if the file was refused.
    pub rejected: Tally,
    /// Returned ones.
    pub returned: Tally,
    /// Names of the answers delivered.
    pub answers: Vec<String>,
    /// Orders that arrive and will come back late.
    #[serde(default)]
    pub late: Vec<Return>,
    /// Orders that are debited by themselves; none where their sum is.
    #[serde(default)]
    pub debited: Vec<Return>,
    /// Orders that are debited, and rejected by a second report.
    #[serde(default)]
    pub rejected_after: Vec<Return>,
}

/// What is to be booked for a file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Booking {
    /// The account.
    pub account: Account,
    /// The day.
    pub value_date: Date,
    /// The debit: all orders that were not rejected.
    pub debit: Tally,
    /// The credits: the returns, with what faults make of them.
    pub credits: Tally,
}

/// A returned order, as kept until it stands in a statement.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Return {
    /// End-to-end id.
    pub end_to_end_id: String,
    /// Instruction id, empty if none.
    pub instr_id: String,
    /// UETR, empty if none.
    pub uetr: String,
    /// What comes back.
    pub amount: Centimes,
    /// Why.
    pub reason: String,
    /// The bank's reference, the same in notification and statement.
    pub servicer_ref: String,
}
