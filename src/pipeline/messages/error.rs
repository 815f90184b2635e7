//! Why a message is refused, and what to do then.

use super::{DOCUMENTS_MAX, SettlementError};
use crate::domain::hint::{Hint, NextStep};
use crate::iso20022::values::MessageKind;
use crate::iso20022::xml::fault::XmlError;
use crate::store::StoreError;

/// Why a message was refused. The database is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// The file cannot be opened.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// Not XML that can be trusted.
    #[error("is refused")]
    Xml(#[source] XmlError),
    /// Not a whole settlement file.
    #[error("is refused")]
    Settlement(#[source] SettlementError),
    /// Another kind of message.
    #[error("{}", kind_text(*.0))]
    Kind(MessageKind),
    /// An archive, or another file that is no text.
    #[error("is a {0}: unpack it, and import what is in it")]
    Packed(&'static str),
    /// More messages than may be in one file.
    #[error(
        "holds {0} messages, of which the first was read: split it into files of at most {DOCUMENTS_MAX}"
    )]
    TooManyMessages(u32),
    /// It would open more breaks than a message may by itself.
    #[error("would open {breaks} breaks or more, and a message opens at most {limit} by itself")]
    BreakStorm {
        /// How many by the time that it was given up.
        breaks: u64,
        /// The most.
        limit: u64,
    },
    /// The database was gone before it was this message's turn.
    #[error("was not tried: the connection to the database was lost before")]
    NotTried,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FeedbackError {
    /// Whether the message may be taken as it is, tried again later: the fault is not in it.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Read(_) | Self::NotTried | Self::Store(_))
    }
}

impl Hint for FeedbackError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Store(e) => e.hint(),
            Self::Kind(_) => Some("pain.002, pacs.002, camt.053, camt.054, pacs.004, camt.029 and camt.086 are read".into()),
            Self::Packed(_) => Some("unpack it, and import what is in it".into()),
            Self::TooManyMessages(_) => Some("split the file: its first message was imported".into()),
            Self::BreakStorm { .. } => {
                Some("ask the bank whether it is the file it meant; `sarf feedback list` says how to apply it all the same".into())
            }
            Self::NotTried => Some("give the command again once the database answers".into()),
            Self::Read(_) | Self::Xml(_) | Self::Settlement(_) => {
                Some("nothing of the file was applied; ask the bank for it again".into())
            }
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(FeedbackError {
    Self::Read(_) => Self::Read(std::io::ErrorKind::Other.into()),
    Self::Xml(_) => Self::Xml(XmlError {
        offset: 0,
        path: String::new(),
        fault: crate::iso20022::xml::fault::XmlFault::Doctype,
    }),
    Self::Settlement(_) => Self::Settlement(SettlementError::Line { line: 2, what: "no amount" }),
    Self::Kind(_) => Self::Kind(MessageKind::Camt055),
    Self::Packed(_) => Self::Packed("zip archive"),
    Self::TooManyMessages(_) => Self::TooManyMessages(20),
    Self::BreakStorm { .. } => Self::BreakStorm { breaks: 1_001, limit: 1_000 },
    Self::NotTried => Self::NotTried,
    Self::Store(_) => Self::Store(StoreError::Corrupt("message")),
});

fn kind_text(kind: MessageKind) -> String {
    match kind {
        MessageKind::Unknown => "is neither a message that sarf knows nor a settlement file".to_owned(),
        other => format!("is a {other} message, which sarf does not read"),
    }
}

impl From<sqlx::Error> for FeedbackError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
