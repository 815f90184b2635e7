//! What a simulation tells while it goes on, for whoever shows it.

use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::run::RunKind;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// A month begins.
    Month(Period),
    /// A month begins in which nothing new is ordered.
    Quiet(Period),
    /// A list was imported.
    List {
        /// Households that were taken.
        households: u64,
    },
    /// A run was made, approved and released.
    Run {
        /// Its kind.
        kind: RunKind,
        /// Its number.
        run: RunId,
        /// Its orders.
        orders: u64,
        /// Their sum.
        ordered: Centimes,
        /// The run that was given up for it after its approval.
        given_up: Option<RunId>,
        /// Unpaid orders that wait for another account, where reissues are concerned.
        waiting: Option<u64>,
    },
    /// So many held orders were let go after a look, and sent.
    LetGo(usize),
    /// Banks' messages came.
    Messages(Received),
    /// The payment points' day.
    Points {
        /// Orders that were at hand.
        at_hand: u64,
        /// Of these, drawn.
        drawn: u64,
        /// The settlement files and statements.
        received: Received,
    },
    /// So many payments were asked back.
    Recalls(usize),
    /// What became of undue payments.
    Undue(Undue),
    /// The desk's month.
    Desk {
        /// Breaks that were resolved.
        resolved: usize,
        /// Breaks that stay open.
        open: usize,
        /// Runs that were closed.
        closed: usize,
        /// Of these, closed with something carried forward.
        carried: usize,
        /// Runs that stay open.
        runs_open: usize,
    },
}

/// What the post received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Messages imported, copies included.
    pub files: usize,
    /// Of these, kept back in an earlier month.
    pub late: usize,
    /// Messages that are kept back now.
    pub kept_back: usize,
    /// Messages that came twice.
    pub twice: usize,
    /// Messages of which a torn half came first, and was refused.
    pub torn: usize,
    /// Entries read.
    pub entries: u64,
    /// Breaks opened that no later message explained.
    pub breaks: u64,
    /// Orders that came back after they had arrived.
    pub returned_late: u64,
    /// Recalls answered.
    pub recalls: u64,
}

impl Received {
    /// Both together.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            late: self.late + other.late,
            kept_back: self.kept_back + other.kept_back,
            twice: self.twice + other.twice,
            torn: self.torn + other.torn,
            entries: self.entries + other.entries,
            breaks: self.breaks + other.breaks,
            returned_late: self.returned_late + other.returned_late,
            recalls: self.recalls + other.recalls,
        }
    }
}

/// Cases of undue payments that a month brought on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undue {
    /// Opened by people.
    pub opened: usize,
    /// Complained against.
    pub complaints: usize,
    /// Complaints replied to.
    pub replies: usize,
    /// Appealed.
    pub appeals: usize,
    /// Appeals answered for good.
    pub answers: usize,
    /// With instalments agreed.
    pub plans: usize,
    /// Repaid by transfer.
    pub repaid: usize,
    /// Given up.
    pub given_up: usize,
}
