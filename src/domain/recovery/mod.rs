//! Undue payments: the life of a case.
//!
//! opened → recalled (asked back while it is in flight or not collected) | receivable → recovered | written off; withdrawn when
//! it is found not to be owed. An opened case waits for what becomes of its payment: nothing is owed before it was paid.

pub mod appeal;
pub mod instalments;
pub mod reference;

use crate::domain::listed::listed;

listed! {
    /// Where a case stands.
    CaseState {
        /// The payment's fate is open, or it ended unpaid: nothing is owed yet.
        Opened = "opened",
        /// The payment was asked back.
        Recalled = "recalled",
        /// The household was paid and owes it.
        Receivable = "receivable",
        /// Nothing is outstanding.
        Recovered = "recovered",
        /// What was outstanding is given up.
        WrittenOff = "written_off",
        /// It was found not to be owed.
        Withdrawn = "withdrawn",
    }
}

listed! {
    /// Why a payment is undue.
    CaseCause {
        /// A later list changed what was due.
        Correction = "correction",
        /// The claim was paid again before word came that the first payment had reached the household.
        PaidTwice = "paid_twice",
        /// A person found it.
        Person = "person",
    }
}

listed! {
    /// How far a household's complaint against a case has gone (law and programme: reply in 30 days, appeal within 15,
    /// answer in 30).
    AppealStage {
        /// A complaint was lodged; the programme's reply is awaited.
        Complaint = "complaint",
        /// The reply upheld the case; the household may appeal.
        Replied = "replied",
        /// The household appealed; the answer is awaited.
        Appeal = "appeal",
        /// Answered for good: nothing is suspended any more.
        Decided = "decided",
    }
}
