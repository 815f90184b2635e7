//! A batch's life: in the file lane a batch is exactly one pain.001 file; in the stream lane it is what its shards work off.

use super::ids::OrderId;
use super::money::Centimes;
use crate::domain::listed::listed;

listed! {
    /// How orders leave the house.
    Lane {
        /// In bank files (ISO 20022).
        File = "file",
        /// One by one over HTTP, paced.
        Stream = "stream",
    }
}

listed! {
    /// Where a batch stands.
    BatchState {
        /// A slice of the run, waiting for release.
        Planned = "planned",
        /// Released: its orders and control totals are fixed.
        Released = "released",
        /// Intent committed: name, message id, value date and time of creation are fixed; the file may or may not be there.
        Dispatching = "dispatching",
        /// The file lies in the outbox, its hash is recorded.
        Sent = "sent",
        /// The provider took the whole of it.
        Accepted = "accepted",
        /// Debited: the account statement and the orders agree.
        Settled = "settled",
        /// The provider refused the whole of it.
        Rejected = "rejected",
        /// Empty: every order of the slice was held.
        Empty = "empty",
    }
}

/// A planned batch: a range of order ids of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Wave, from 1.
    pub wave: i16,
    /// Place within the wave, from 1.
    pub sequence: i32,
    /// First order.
    pub first: OrderId,
    /// Last order.
    pub last: OrderId,
    /// Orders, held ones among them.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}
