//! What a sandbox is told: folders, seed, clock, rates, style of answers, and what is to go wrong.
//!
//! Limit: the default rates are those observed in comparable programmes, not a bank's own.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::sandbox::Share;

/// How many orders fail, and how that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of all orders: rejected at once (AC01, RC04, AC04), never debited.
    pub rejected: Share,
    /// Of the orders that were not rejected: debited, then returned.
    pub returned: Share,
    /// Of the returns: notified by camt.054 before they stand in the statement.
    pub notified: Share,
    /// Of the orders that arrived: returned by pacs.004 days after, some in a later month.
    pub late: Share,
    /// Of the recalls (camt.055) of orders that can come back: granted, with the money coming back days after.
    pub recall_accepted: Share,
    /// Of these recalls: answered as pending first, and decided days after.
    pub recall_pending: Share,
}

impl Default for Rates {
    /// 0.3 % rejected, 1.5 % returned, half of the returns notified; 0.05 % returned late; six recalls of ten granted, three
    /// pending first.
    fn default() -> Self {
        Self {
            rejected: Share::per_million(3_000),
            returned: Share::per_million(15_000),
            notified: Share::per_million(500_000),
            late: Share::per_million(500),
            recall_accepted: Share::per_million(600_000),
            recall_pending: Share::per_million(300_000),
        }
    }
}

impl Rates {
    /// Nothing fails.
    pub const NONE: Self = Self {
        rejected: Share::NONE,
        returned: Share::NONE,
        notified: Share::NONE,
        late: Share::NONE,
        recall_accepted: Share::NONE,
        recall_pending: Share::NONE,
    };
}

/// How a bank reports on a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusStyle {
    /// The group as a whole; single transactions only where they are rejected.
    Group,
    /// Every transaction.
    Transactions,
    /// Each provider one of the two, by the hash of its code.
    #[default]
    Mixed,
}

/// What goes wrong beyond rejections and returns; all off by default. Drawn from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of the answers: delivered a second time, as `NAME_copy.xml`.
    pub duplicated: Share,
    /// Of the answers: cut in half.
    pub truncated: Share,
    /// Of the order files: no pain.002 comes.
    pub dropped_reports: Share,
    /// Of the returns: one centime too much comes back, in notification and statement.
    pub wrong_amounts: Share,
    /// Of the order files: a return of 500 MAD of an order that nobody sent.
    pub unknown_orders: Share,
    /// Of the rejected orders: debited all the same.
    pub settled_rejections: Share,
    /// Of the statements: the closing balance is a centime off; the next opens with the right one.
    pub wrong_closings: Share,
    /// Of the statements: not delivered, which leaves a gap in numbers and balances.
    pub skipped_statements: Share,
    /// Of the orders that arrived: rejected by a second pain.002, after their debit.
    pub rejected_after: Share,
    /// Of the statements: another one of the same day comes that differs by its closing balance, under the same reference or
    /// under one of its own.
    pub restated: Share,
    /// Whether file names begin with four random digits, so that their order says nothing.
    pub shuffled_names: bool,
}

/// What a sandbox is told.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Folder of the order files, `<provider>/NAME.xml` with `NAME.xml.sha256` beside each that is complete.
    pub outbox: PathBuf,
    /// Folder for the answers, `<provider>/…xml`; the banks' memory is kept in `<provider>/.sandbox`.
    pub inbox: PathBuf,
    /// From which all chance derives.
    pub seed: u64,
    /// The banks' own clock.
    pub now: OffsetDateTime,
    /// How many orders fail.
    pub rates: Rates,
    /// How files are reported on.
    pub statuses: StatusStyle,
    /// What else goes wrong.
    pub faults: Faults,
}
