//! camt.029, the resolution of an investigation: what a bank answers to a recall.

pub mod read;
#[cfg(test)]
mod tests;

use crate::iso20022::values::{EntryFault, MessageHeader, Reasons, ShortCode};

/// What a bank says of a cancellation (`CancellationIndividualStatus1Code`, `GroupCancellationStatus1Code`,
/// `ExternalInvestigationExecutionConfirmation1Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancellationStatus {
    /// `ACCR`, `CNCL`: cancelled as asked for.
    Accepted,
    /// `RJCR`: not cancelled.
    Refused,
    /// `PDCR`: not decided yet.
    Pending,
    /// Any other code; empty where none was given.
    Other(ShortCode),
}

impl CancellationStatus {
    /// No status was given.
    pub const NONE: Self = Self::Other(ShortCode::EMPTY);

    /// Reads a code.
    pub fn parse(text: &str) -> Self {
        match text {
            "ACCR" | "CNCL" => Self::Accepted,
            "RJCR" => Self::Refused,
            "PDCR" => Self::Pending,
            other => Self::Other(ShortCode::new(other)),
        }
    }
}

/// One item of a resolution; it lives until the next is asked for.
#[derive(Debug)]
pub enum Camt029Item<'a> {
    /// The assignment.
    Header(&'a MessageHeader),
    /// An answer, to one transaction or, where none is listed, to the whole case.
    Answer(&'a CaseAnswer),
    /// A transaction that cannot be used.
    Faulty(EntryFault),
}

/// An answer. Texts are empty where nothing was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseAnswer {
    /// Id of the case, at most 35 characters: the one that the request bore.
    pub case_id: String,
    /// Instruction id of the original, at most 35 characters.
    pub original_instr_id: String,
    /// End-to-end id of the original, at most 35 characters.
    pub original_end_to_end_id: String,
    /// What the bank says.
    pub status: CancellationStatus,
    /// Why.
    pub reasons: Reasons,
}

impl Default for CaseAnswer {
    fn default() -> Self {
        Self {
            case_id: String::new(),
            original_instr_id: String::new(),
            original_end_to_end_id: String::new(),
            status: CancellationStatus::NONE,
            reasons: Reasons::default(),
        }
    }
}
