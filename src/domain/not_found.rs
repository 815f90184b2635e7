//! What was asked for by its name or number, and is not there.

use std::fmt;

use super::hint::{Hint, NextStep};
use super::listed::listed;

listed! {
    /// What can be asked for.
    Entity {
        /// A payment run.
        Run = "run",
        /// An imported snapshot.
        Snapshot = "snapshot",
        /// A programme of the configuration.
        Programme = "programme",
        /// A provider of the configuration.
        Provider = "provider",
        /// A payment order.
        Order = "order",
        /// A break.
        Break = "break",
        /// A case of undue payment.
        Case = "case",
        /// A person; one that was removed is not there either.
        Operator = "operator",
        /// An API token.
        Token = "token",
        /// A standing approval.
        StandingApproval = "standing approval",
        /// The deposits for a child in an institution.
        Deposit = "deposit",
        /// A household, of which nothing is known.
        Household = "household",
        /// A payment point of an institution.
        PaymentPoint = "payment point",
        /// A work list of a payment point's day, by its number.
        Worklist = "work list",
        /// A file of messages that was set aside.
        FileSetAside = "file set aside",
        /// A file that an institution uploads.
        Upload = "upload",
    }
}

impl Entity {
    /// The error that there is none of that name or number.
    pub fn not_found(self, id: impl fmt::Display) -> NotFound {
        NotFound { what: self, id: id.to_string() }
    }

    /// Whether it stands in the configuration, not in the database.
    const fn is_configured(self) -> bool {
        matches!(self, Self::Programme | Self::Provider)
    }
}

/// No such thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What was asked for.
    pub what: Entity,
    /// Its name or number, as it was given.
    pub id: String,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacks = if self.what.is_configured() { "configured" } else { "known" };
        write!(f, "{} `{}` is not {lacks}", self.what, self.id)
    }
}

impl std::error::Error for NotFound {}

impl Hint for NotFound {
    fn hint(&self) -> Option<NextStep> {
        Some(match self.what {
            Entity::Run => "see `sarf run list`".into(),
            Entity::Snapshot => "see `sarf snapshot list`".into(),
            Entity::Programme => {
                "add its rules below config/programmes, or name one that `sarf config check` lists".into()
            }
            Entity::Provider => "add its file below config/providers, or put it back there".into(),
            Entity::Order => "find orders with `sarf order show HOUSEHOLD`".into(),
            Entity::Break => "see `sarf breaks list --all`".into(),
            Entity::Case => "see `sarf recovery list`".into(),
            Entity::Operator => {
                format!("add them: sarf operator add {} --role ROLE --as ADMINISTRATOR", self.id).into()
            }
            Entity::Token => "see `sarf operator tokens`".into(),
            Entity::StandingApproval => "see `sarf approval list`".into(),
            Entity::Deposit => {
                "compare the identifier with the list's `deposits` part; name the programme with --programme"
                    .into()
            }
            Entity::Household => "compare the household's id with the registry's".into(),
            Entity::PaymentPoint => "name a commune, as docs/thin-links.md writes them".into(),
            Entity::Worklist => {
                "ask without a number for the day's last list; lists are numbered from 1".into()
            }
            Entity::FileSetAside => "`sarf feedback list --all` shows what there is".into(),
            Entity::Upload => "send its first piece".into(),
        })
    }
}

#[cfg(test)]
impl super::hint::Samples for NotFound {
    fn samples() -> Vec<Self> {
        Entity::ALL.iter().map(|thing| thing.not_found("7")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_missing() {
        assert_eq!(Entity::Run.not_found(9).to_string(), "run `9` is not known");
        assert_eq!(Entity::Programme.not_found("asd").to_string(), "programme `asd` is not configured");
    }
}
