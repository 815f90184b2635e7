//! pacs.028, the question where a transfer stands: asked of an instant lane that was silent.

pub mod write;

use time::OffsetDateTime;

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "pacs.028.001.03";

/// A question about one transfer.
#[derive(Clone, Copy, Debug)]
pub struct StatusRequest<'a> {
    /// Id of the question, 1 to 35 characters: another each time that it is asked.
    pub id: &'a str,
    /// When it is asked; printed in UTC.
    pub created: OffsetDateTime,
    /// End-to-end id of the transfer, which is its message's and its transaction's as well.
    pub original_end_to_end_id: &'a str,
    /// Name of the message that it was sent in.
    pub original_message: &'a str,
}
