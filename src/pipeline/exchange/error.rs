//! Why an exchange of files with a provider ended early, or a person's word on a file is not taken.

use crate::domain::hint::{Hint, NextStep};
use crate::pipeline::Refusal;
use crate::rails::delivery::PeerError;
use crate::rails::delivery::openpgp::SealError;
use crate::store::StoreError;
use crate::store::batches::exclusive::Holder;

/// Why an exchange ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// There is no such provider, the person may not do this, or the database.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its files lie in a folder of the outbox, for it to pick up.
    #[error("no server is configured for provider `{0}`")]
    NoServer(String),
    /// No provider has a server.
    #[error("no provider has a server that files are brought to")]
    NoServers,
    /// Another process serves the provider.
    #[error("files are exchanged with provider `{provider}` by {}", holder.who)]
    Busy {
        /// Which.
        provider: String,
        /// By whom.
        holder: Holder,
    },
    /// The connection that kept others away is gone.
    #[error("the connection to the database was lost while files were exchanged with provider `{0}`")]
    Lost(String),
    /// The server, or the way there.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Keys, or what is sealed with them.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No file of that name is on its way.
    #[error("no file `{0}` was given to a server of the provider")]
    NoFile(String),
    /// The bank answered: it has the file.
    #[error("the provider answered to `{0}`: it has it")]
    Answered(String),
    /// A decision needs a reason.
    #[error("a reason is needed")]
    NoReason,
}

impl Hint for ExchangeError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Peer(e) => return e.hint(),
            Self::Seal(e) => return e.hint(),
            Self::NoServer(_) | Self::NoServers => {
                "give it `[provider.delivery]` in config/providers: docs/bank-guide.md says how".into()
            }
            Self::Busy { .. } => "wait for it to end, or leave it to it".into(),
            Self::Lost(_) => {
                "start the command again once the database answers: what was brought and fetched stays".into()
            }
            Self::NoFile(_) => "see the names: sarf exchange list --all".into(),
            Self::Answered(_) => {
                "leave it: what it says of single orders follows `sarf feedback import`".into()
            }
            Self::NoReason => "say in a sentence why: --why \"…\"".into(),
        })
    }

    fn system_hint(&self) -> Option<NextStep> {
        match self {
            Self::Peer(e) => e.system_hint(),
            _ => None,
        }
    }
}

impl From<StoreError> for ExchangeError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for ExchangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ExchangeError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NoServer(_) => Self::NoServer("awb".into()),
    Self::NoServers => Self::NoServers,
    Self::Busy { .. } => {
        Self::Busy { provider: "awb".into(), holder: Holder { who: "process 1".into(), since: None } }
    },
    Self::Lost(_) => Self::Lost("awb".into()),
    Self::Peer(_) => Self::Peer(PeerError::ReadBack),
    Self::Seal(_) => Self::Seal(SealError::Unsigned),
    Self::NoFile(_) => Self::NoFile("a.xml".into()),
    Self::Answered(_) => Self::Answered("a.xml".into()),
    Self::NoReason => Self::NoReason,
});
