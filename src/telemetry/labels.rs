//! Values of labels that are closed lists.

use crate::domain::listed::listed;

listed! {
    /// What is done again and again, and missed where it is not.
    Job {
        /// The gauges are counted.
        Gauges = "gauges",
        /// The inbox is looked through.
        FeedbackWatch = "feedback_watch",
        /// Files are exchanged with providers' servers.
        Exchange = "exchange",
        /// Old uploads are taken away.
        Uploads = "uploads",
    }
}

/// Which way a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a bank.
    Out,
    /// From a bank or the registry.
    In,
}

impl Direction {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}
