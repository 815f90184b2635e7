//! What a batch keeps of its orders.

/// Figures kept on a batch; as a change, what is added to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BatchFigures {
    /// Orders with an outcome of their own; the others stand where the batch stands.
    pub outcomes: i64,
    /// Their sum.
    pub outcomes_amount: i64,
    /// Orders whose own outcome is no more than accepted.
    pub accepted: i64,
    /// Their sum.
    pub accepted_amount: i64,
    /// Orders rejected.
    pub rejected: i64,
    /// Their sum.
    pub rejected_amount: i64,
    /// Orders returned.
    pub returned: i64,
    /// Their sum.
    pub returned_amount: i64,
    /// Debits booked for it.
    pub debited_amount: i64,
    /// Returns booked for its orders.
    pub credited_amount: i64,
    /// Orders settled or collected one by one.
    pub paid: i64,
    /// Their sum.
    pub paid_amount: i64,
    /// Orders expired or cancelled.
    pub expired: i64,
    /// Their sum.
    pub expired_amount: i64,
}
