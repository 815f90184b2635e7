//! Events: what the registry tells between two of its lists, one household at a time.
//!
//! Input: values that were parsed. Output: an event's digest, and what changes come to when laid over a household.
//! Guarantee: changes give the same result in whatever order they are added: the latest by the registry's time counts.
//! Limit: what came before the list that a household is read from is in that list; leaving it out is the caller's.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::household::{Household, Means};
use super::ids::{Code, HouseholdId, IdError};
use super::money::Centimes;
use super::period::Period;
use super::person::Phone;
use super::rib::Rib;

/// A standing approval: three people allow orders that arrive as events, up to ceilings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct StandingApprovalId(i64);

impl StandingApprovalId {
    /// Wraps the store's number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The store's number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for StandingApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for StandingApprovalId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The sender's name for an event: 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Box<str>);

impl EventId {
    /// Reads an id.
    ///
    /// # Errors
    /// Empty, too long, or with a character outside the set.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Missing);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        if text.len() > 64 || !text.bytes().all(allowed) {
            return Err(IdError::Malformed);
        }
        Ok(Self(text.into()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The sender's name for it: taken once.
    pub id: EventId,
    /// Programme.
    pub programme: Code,
    /// Household of the registry.
    pub household: HouseholdId,
    /// When the registry says that it happened.
    pub at: OffsetDateTime,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An off-cycle order is wanted.
    Order(Wanted),
    /// Something about the household changed.
    Change(Change),
}

/// An order that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Month of the claim.
    pub period: Period,
    /// Purpose of the claim.
    pub purpose: Code,
    /// Amount, above zero.
    pub amount: Centimes,
}

/// A change to a household.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The payee is paid elsewhere from now on.
    Account(NewAccount),
    /// The payee died.
    Death,
    /// Nothing is to be paid for now, with a reason.
    Hold(Code),
    /// The hold is over, with a reason.
    Release(Code),
}

/// Where the payee is paid from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewAccount {
    /// An account.
    Rib {
        /// Its number.
        rib: Rib,
        /// A bank account or a payment account.
        means: Means,
    },
    /// A phone number at a provider.
    Phone {
        /// The number.
        phone: Phone,
        /// A wallet or cash.
        means: Means,
        /// The provider.
        provider: Code,
    },
}

impl Change {
    /// The spelling of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Death => "death",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
        }
    }
}

impl Event {
    /// The spelling of its kind.
    pub const fn kind(&self) -> &'static str {
        match &self.what {
            What::Order(_) => "order",
            What::Change(change) => change.kind(),
        }
    }

    /// SHA-256 over what it says, its id left out: the same content has the same digest, however it was written.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        for text in [self.kind(), self.programme.as_str(), self.household.as_str()] {
            part(text.as_bytes());
        }
        part(&self.at.unix_timestamp_nanos().to_be_bytes());
        match &self.what {
            What::Order(wanted) => {
                part(&wanted.period.index().to_be_bytes());
                part(wanted.purpose.as_str().as_bytes());
                part(&wanted.amount.get().to_be_bytes());
            }
            What::Change(Change::Account(NewAccount::Rib { rib, means })) => {
                part(means.as_str().as_bytes());
                part(rib.reveal().as_bytes());
            }
            What::Change(Change::Account(NewAccount::Phone { phone, means, provider })) => {
                part(means.as_str().as_bytes());
                part(&phone.national().to_be_bytes());
                part(provider.as_str().as_bytes());
            }
            What::Change(Change::Death) => {}
            What::Change(Change::Hold(reason) | Change::Release(reason)) => part(reason.as_str().as_bytes()),
        }
        hash.finalize().into()
    }
}

/// What changes of one household come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    account: Option<(OffsetDateTime, NewAccount)>,
    deceased: bool,
    held: Option<(OffsetDateTime, Option<Code>)>,
}

/// Which things of a household were replaced by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// The account.
    pub account: bool,
    /// The phone.
    pub phone: bool,
}

impl Replaced {
    /// Whether what the registry's list says of a shared thing of this kind (`account`, `phone`, `person`) is of no
    /// account any more.
    pub fn outdates(self, shared: &str) -> bool {
        (self.account && shared == "account") || (self.phone && shared == "phone")
    }
}

impl Changes {
    /// Adds a change; of two that exclude each other, the later one counts, and of the same instant the one added last.
    pub fn add(&mut self, at: OffsetDateTime, change: &Change) {
        match change {
            Change::Account(account) => {
                if self.account.as_ref().is_none_or(|(before, _)| *before <= at) {
                    self.account = Some((at, account.clone()));
                }
            }
            Change::Death => self.deceased = true,
            Change::Hold(_) | Change::Release(_) => {
                if self.held.as_ref().is_none_or(|(before, _)| *before <= at) {
                    let reason = if let Change::Hold(reason) = change { Some(reason.clone()) } else { None };
                    self.held = Some((at, reason));
                }
            }
        }
    }

    /// Where the payee is paid now.
    pub fn account(&self) -> Option<&NewAccount> {
        self.account.as_ref().map(|(_, account)| account)
    }

    /// Why the registry asks to hold, where it does.
    pub fn hold(&self) -> Option<&Code> {
        self.held.as_ref().and_then(|(_, reason)| reason.as_ref())
    }

    /// Makes a household what it is after the changes; whether it is held is [`Changes::hold`]'s to say.
    pub fn lay_over(&self, household: &mut Household) -> Replaced {
        household.payee.deceased |= self.deceased;
        match self.account() {
            None => Replaced::default(),
            Some(NewAccount::Rib { rib, means }) => {
                let account = Rib::parse(&household.payee.account).ok() != Some(*rib);
                if account || household.means != *means {
                    household.account_level = None;
                }
                rib.reveal().clone_into(&mut household.payee.account);
                household.means = *means;
                household.provider = None;
                Replaced { account, phone: false }
            }
            Some(NewAccount::Phone { phone, means, provider }) => {
                let replaced = Replaced { account: true, phone: household.payee.phone != Some(*phone) };
                household.payee.phone = Some(*phone);
                household.payee.account.clear();
                household.means = *means;
                household.provider = Some(provider.clone());
                household.account_level = None;
                replaced
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    fn rib(account: u32) -> Rib {
        Rib::compose("007", "810", &format!("{account:016}")).unwrap()
    }

    #[test]
    fn the_order_in_which_changes_come_does_not_count() {
        let at = |minute| OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute);
        let account = |n| Change::Account(NewAccount::Rib { rib: rib(n), means: Means::BankAccount });
        let list = [
            (at(1), account(1)),
            (at(3), account(3)),
            (at(2), account(2)),
            (at(4), Change::Hold(code("fraud"))),
            (at(5), Change::Release(code("cleared"))),
            (at(6), Change::Death),
        ];
        let mut expected = Changes::default();
        list.iter().for_each(|(at, change)| expected.add(*at, change));
        assert_eq!(expected.account(), Some(&NewAccount::Rib { rib: rib(3), means: Means::BankAccount }));
        assert_eq!((expected.hold(), expected.deceased), (None, true));
        for turn in 0..list.len() {
            let mut turned = list.clone();
            turned.rotate_left(turn);
            for list in [turned.clone(), turned.into_iter().rev().collect::<Vec<_>>().try_into().unwrap()] {
                let mut changes = Changes::default();
                list.iter().for_each(|(at, change)| changes.add(*at, change));
                assert_eq!(changes, expected, "turned by {turn}");
            }
        }
        expected.add(at(7), &Change::Hold(code("again")));
        assert_eq!(expected.hold(), Some(&code("again")));
    }

    #[test]
    fn a_digest_is_of_the_content() {
        let event = |what| Event {
            id: EventId::parse("a:1").unwrap(),
            programme: code("dss"),
            household: HouseholdId::parse(b"H1").unwrap(),
            at: OffsetDateTime::UNIX_EPOCH,
            what,
        };
        let phone = |provider| {
            What::Change(Change::Account(NewAccount::Phone {
                phone: Phone::from_stored(612_345_678),
                means: Means::Cash,
                provider: code(provider),
            }))
        };
        let wanted = |amount| {
            What::Order(Wanted {
                period: "2026-11".parse().unwrap(),
                purpose: code("urgent"),
                amount: Centimes::new(amount),
            })
        };
        let all = [
            wanted(100),
            wanted(101),
            phone("m2t"),
            phone("wafacash"),
            What::Change(Change::Death),
            What::Change(Change::Hold(code("x"))),
            What::Change(Change::Release(code("x"))),
        ]
        .map(|what| event(what).digest());
        for (at, digest) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|d| *d == digest).count(), 1, "{at}");
        }
        let other = Event { id: EventId::parse("b").unwrap(), ..event(wanted(100)) };
        assert_eq!(other.digest(), all[0], "the id is no content");
        let later = Event { at: OffsetDateTime::UNIX_EPOCH + Duration::SECOND, ..event(wanted(100)) };
        assert_ne!(later.digest(), all[0]);
        for (id, ok) in [("a.B_9:-", true), ("", false), ("a b", false), (&"x".repeat(65), false)] {
            assert_eq!(EventId::parse(id).is_ok(), ok, "{id}");
        }
    }
}
