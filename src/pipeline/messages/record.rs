//! One way in for whatever a provider says of single orders: answers, callbacks, changes, enquiries, uploads.

use super::answers::{Judged, judge};
use super::reports;
use crate::domain::listed::listed;
use crate::pipeline::Context;
use crate::rails::stream::Answer;
use crate::store::StoreError;
use crate::store::messages::feedback::MessageCounts;

listed! {
    /// By which way a report came.
    Source {
        /// The answer to a request that handed orders over.
        Answer = "stream.answer",
        /// A signed callback.
        Callback = "stream.callback",
        /// The provider's list of changes.
        Changes = "stream.changes",
        /// The answer to an enquiry or a cancellation.
        Enquiry = "stream.enquiry",
        /// Confirmations that a payment institution uploaded.
        Upload = "stream.upload",
    }
}

/// Records what one answer of a provider says of its orders, in one transaction: states, kept totals and postings move
/// together. Safe to repeat and to reorder. Reports of keys that are no orders of this provider open breaks, and so do keys
/// of which the answer says two things. What a first answer leaves open is asked about.
pub async fn record(
    context: &Context,
    provider: &str,
    source: Source,
    reports: Vec<Answer>,
) -> Result<MessageCounts, StoreError> {
    record_judged(context, provider, source, judge(source, reports)).await
}

/// As [`record`], for answers that were judged one by one.
pub async fn record_judged(
    context: &Context,
    provider: &str,
    source: Source,
    reports: Judged,
) -> Result<MessageCounts, StoreError> {
    if reports.is_empty() {
        return Ok(MessageCounts::default());
    }
    let counts = reports::record(context, provider, source, reports).await?;
    super::count(context, source.as_str(), counts);
    Ok(counts)
}
