//! The queues of breaks: what each kind is called, what a person does about it first, and how a break is decided.

use super::ledger::AccountKind;
use super::money::Centimes;
use super::reason::BreakKind;
use crate::domain::listed::listed;

/// What is said of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Queue {
    /// What stands in it, in a few words.
    pub title: &'static str,
    /// What a person does first.
    pub action: &'static str,
    /// Whether money moved, or should have, even where the break states no amount.
    #[serde(skip)]
    pub money: bool,
}

/// What a person needs to ask the bank about an entry, as the bank calls it. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BreakSource {
    /// The account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The statement's reference.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
    /// The bank's own reference of the entry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bank_reference: String,
    /// The entry's reference on the statement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry_reference: String,
    /// The references given for what it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub references: String,
    /// What it says in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The day it was booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked_on: Option<String>,
    /// Its value date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_on: Option<String>,
}

impl BreakKind {
    /// The queue of a kind.
    pub const fn queue(self) -> Queue {
        use BreakKind as K;
        let (title, money, action) = match self {
            K::UnknownReference => {
                ("unknown to us", false, "ask the bank what it is for; say where its money goes")
            }
            K::AmountDiffers => (
                "amount differs",
                true,
                "ask the bank for the right amount, and for a correction of the booking",
            ),
            K::StatusConflict => {
                ("status conflict", false, "ask in writing which of the two is true; nothing was applied")
            }
            K::UnknownStatus => (
                "status not known",
                false,
                "ask the bank in writing what it means; nothing was applied. List it in reasons.toml if it is harmless",
            ),
            K::NeverSent => {
                ("not sent by us", false, "stop and find out who sent it: the engine did not hand it over")
            }
            K::BookedTwice => {
                ("settled twice", true, "claim the second booking back from the bank: --post bank-claim")
            }
            K::BankCharges => (
                "bank charges",
                true,
                "compare them with the contract; --post written-off where they are due, bank-claim where not",
            ),
            K::FaultyEntry => ("cannot be read", true, "ask for the entry, or the message, once more"),
            K::TotalsDiffer => {
                ("totals do not agree", true, "see whether it is whole; compare totals and entries")
            }
            K::BalanceDiffers => {
                ("balance does not follow", true, "ask for the missing entries, or a corrected statement")
            }
            K::StatementGap => ("statement gap", true, "ask the bank for the statement between the two"),
            K::StatementOverlap => {
                ("statement overlap", true, "ask which statement stands; look for what was settled twice")
            }
            K::StatementRepeated => {
                ("statement repeated", false, "compare it with the first; a new one needs an id of its own")
            }
            K::BatchDiffers => {
                ("debit of a file differs", true, "ask the bank for the missing statuses or returns")
            }
            K::UnknownTooLong => {
                ("outcome not known", true, "call the provider; its answer settles the order")
            }
            K::SettlementMissing => {
                ("settlement file missing", true, "ask the provider for it; it explains the debit")
            }
            K::FeeDiffers => ("fee differs", false, "compare the provider's fees with the contract"),
            K::MissingAtBank => (
                "missing at the bank",
                true,
                "wait for the next statement, then ask the bank for the booking",
            ),
            K::LateReturn => {
                ("late return", true, "have the household's account mended; the claim is owed again")
            }
            K::NotDelivered => {
                ("file not delivered", true, "ask the bank for it; then sarf exchange there, or again")
            }
            K::NotBelieved => {
                ("message not believed", true, "ask the bank whether it sent it; nothing was applied")
            }
            K::PayeeInDoubt => (
                "payee in doubt",
                false,
                "find out who is to be paid; then resolve it, and put the order forward or let held ones go",
            ),
        };
        Queue { title, action, money }
    }

    /// Whether, as long as nobody has decided, the order that it is about may have been paid, whatever state the order
    /// stands in: its claim is not paid again meanwhile, in whatever run.
    pub const fn may_mean_paid(self) -> bool {
        use BreakKind as K;
        match self {
            K::AmountDiffers
            | K::StatusConflict
            | K::UnknownStatus
            | K::NeverSent
            | K::BookedTwice
            | K::FaultyEntry
            | K::BatchDiffers
            | K::UnknownTooLong => true,
            // They name no order; what they turn out to be for is judged then.
            K::UnknownReference | K::SettlementMissing => false,
            // They are about messages and accounts.
            K::TotalsDiffer
            | K::BalanceDiffers
            | K::StatementGap
            | K::StatementOverlap
            | K::StatementRepeated
            | K::FeeDiffers => false,
            // What the bank took for itself.
            K::BankCharges => false,
            // Money has not gone, or has come back.
            K::MissingAtBank | K::LateReturn | K::NotDelivered | K::NotBelieved => false,
            // Who is to be paid is in doubt, not whether anybody was.
            K::PayeeInDoubt => false,
        }
    }

    /// Whether it keeps the books of its run open. What is doubted is who is to be paid later; where the money is, is known.
    pub const fn keeps_books_open(self) -> bool {
        !matches!(self, Self::PayeeInDoubt)
    }
}

listed! {
    /// Where a break stands.
    BreakState {
        /// Nobody has decided.
        Open = "open",
        /// One person has proposed a resolution; it takes effect once another confirms it.
        Proposed = "proposed",
        /// Explained.
        Resolved = "resolved",
    }
}

listed! {
    /// A step in a break's life.
    BreakStep {
        /// Resolved by one person, within the limit.
        Resolve = "resolved",
        /// A resolution above the limit, that waits for another person.
        Propose = "proposed",
        /// The proposed resolution was confirmed.
        Confirm = "confirmed",
        /// The resolution, or the proposal, was taken back.
        Reopen = "reopened",
        /// What came later explained it: feedback, by rule, or what its money was matched with.
        Explain = "explained",
        /// Opened again by rule: what had explained it no longer holds.
        Recur = "found_again",
    }
}

/// What a person's step does to a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakEffect {
    /// It goes on to a state.
    Moves(BreakState),
    /// It was done before.
    Already,
    /// It cannot follow.
    Conflict,
}

impl BreakState {
    /// What a person's step does to a break in this state. A proposal stands until it is confirmed or taken back.
    pub const fn after(self, step: BreakStep) -> BreakEffect {
        use BreakEffect::{Already, Conflict, Moves};
        use BreakStep as S;
        match (self, step) {
            (_, S::Explain | S::Recur) => Conflict,
            (Self::Open, S::Resolve) => Moves(Self::Resolved),
            (Self::Open, S::Propose) => Moves(Self::Proposed),
            (Self::Open, S::Confirm) => Conflict,
            (Self::Open, S::Reopen) => Already,
            (Self::Proposed, S::Resolve | S::Propose) => Already,
            (Self::Proposed, S::Confirm) => Moves(Self::Resolved),
            (Self::Proposed | Self::Resolved, S::Reopen) => Moves(Self::Open),
            (Self::Resolved, S::Resolve | S::Propose | S::Confirm) => Already,
        }
    }
}

listed! {
    /// Where money in suspense goes when its break is resolved.
    PostTo {
        /// Lost, or gained, for good.
        WrittenOff = "written_off",
        /// Owed by the bank, or to it, over a booking of its that was wrong; nil once the bank has corrected it.
        BankClaim = "bank_claim",
    }
}

impl PostTo {
    /// The provider's account that takes it.
    pub const fn account(self) -> AccountKind {
        match self {
            Self::WrittenOff => AccountKind::WrittenOff,
            Self::BankClaim => AccountKind::BankClaim,
        }
    }
}

/// Whether a resolution takes a second person: the larger of amount and money in suspense is above the limit. A break that
/// states neither counts as above it where its queue is about money.
pub fn takes_two(kind: BreakKind, amount: Option<Centimes>, suspense: Centimes, limit: Centimes) -> bool {
    match amount {
        None if suspense.is_zero() => kind.queue().money,
        _ => {
            let stated = amount.unwrap_or(Centimes::ZERO).get().unsigned_abs();
            let most = stated.max(suspense.get().unsigned_abs());
            // A limit below zero lets nothing through.
            u64::try_from(limit.get()).map_or(true, |limit| most > limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_says_what_it_is_and_what_to_do() {
        let mut titles = std::collections::HashSet::new();
        for kind in BreakKind::ALL {
            let Queue { title, action, .. } = kind.queue();
            assert!(titles.insert(title), "{title} twice");
            assert!(
                action.len() > 20 && !action.ends_with('.') && !action.contains('\n'),
                "{kind}: {action}"
            );
        }
    }

    #[test]
    fn a_break_is_decided_by_this_table() {
        use BreakEffect::{Already, Conflict, Moves};
        use BreakState::{Open, Proposed, Resolved};
        use BreakStep::{Confirm, Explain, Propose, Recur, Reopen, Resolve};
        let steps = [Resolve, Propose, Confirm, Reopen, Explain, Recur];
        let table = [
            (Open, [Moves(Resolved), Moves(Proposed), Conflict, Already, Conflict, Conflict]),
            (Proposed, [Already, Already, Moves(Resolved), Moves(Open), Conflict, Conflict]),
            (Resolved, [Already, Already, Already, Moves(Open), Conflict, Conflict]),
        ];
        assert_eq!(table.len(), BreakState::ALL.len());
        for (state, effects) in table {
            for (step, effect) in steps.into_iter().zip(effects) {
                assert_eq!(state.after(step), effect, "{state} {step}");
            }
        }
    }

    #[test]
    fn the_limit_is_for_what_is_at_stake() {
        let limit = Centimes::from_mad(100);
        let mad = |mad| Some(Centimes::from_mad(mad));
        for (kind, amount, suspense, expected) in [
            (BreakKind::BookedTwice, mad(100), 100, false),
            (BreakKind::BookedTwice, mad(101), 0, true),
            (BreakKind::StatusConflict, mad(101), 0, true),
            (BreakKind::BatchDiffers, mad(-101), 0, true),
            // Less than was stated may stand in suspense, and more.
            (BreakKind::AmountDiffers, mad(5), -101, true),
            (BreakKind::UnknownReference, None, 50, false),
            (BreakKind::UnknownReference, None, 101, true),
            // Nothing is stated.
            (BreakKind::BalanceDiffers, None, 0, true),
            (BreakKind::FeeDiffers, None, 0, false),
        ] {
            let suspense = Centimes::from_mad(suspense);
            assert_eq!(takes_two(kind, amount, suspense, limit), expected, "{kind} {amount:?} {suspense}");
        }
        assert!(takes_two(BreakKind::BookedTwice, mad(0), Centimes::ZERO, Centimes::new(-1)));
        assert!(!takes_two(BreakKind::BookedTwice, mad(0), Centimes::ZERO, Centimes::ZERO));
    }
}
