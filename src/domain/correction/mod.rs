//! What lists say of months that were paid before, and what follows in money.
//!
//! **The last word about a month.** What a household is due for a month follows from *facts*: its score, its head's residence,
//! its exclusion, its attributes, and its members with what is said of each. The first word is the list that the month was paid from. Lists
//! are heard in the order in which they were imported, each once; every list that is heard speaks over what the month is known
//! as by then ([`restate`]):
//!
//! | the list says | of an earlier month it means |
//! |---|---|
//! | a member's row with another day of death or birth, or no day of death any more | so it was then |
//! | a member who was not known in the month, born by its end and at most so many months old at the list's own month | was there then: registered late |
//! | a member who was not known in the month, whose household had a row rejected then | was there then: the row was mended |
//! | a person who was counted in two households, with one of the two and not with the other | was only there then |
//! | a person in another household than the one it was counted in | by the rule in the configuration: that month stays where it was counted, or moves |
//! | no row of a member, a row that it rejects, no household | nothing: silence changes nothing |
//! | schooling, score, residence, exclusion, attributes | nothing: these hold from the list's own month on |
//!
//! A corrected list *of the month itself* is that month's own statement: all that it says counts, and who is not on it was not
//! on it; only what it had to reject says nothing. How far back a list may ask bounds what is *newly* found: what was found
//! before stays found until a list says otherwise.
//!
//! **The money.** Due for a month is what the rules in force give for the facts as last known. What differs from what had been
//! found due is arrears or undue, once ([`amount`]). So for each household and month, at any time: ordered, and arrears found,
//! less what was found undue, is what the last word grants.
//!
//! Guarantee: pure and whole: the same lists in the same order give the same facts, however many runs lay between. Limit: a
//! household that was not on the list of a month has no facts of it, until a corrected list of that month has them.

pub mod amount;
pub mod persons;
mod reach;
mod restate;

use super::attribute::Attributes;
use super::household::{Household, Member, Score};
use super::ids::Code;
use crate::domain::listed::listed;

pub use reach::Reach;
pub use restate::{Asked, Restated, of_same_month, restate, same_month};

listed! {
    /// Why a month is put right. Where several apply, the first is told.
    CorrectionReason {
        /// A member's death was entered, moved or taken back.
        Death = "death",
        /// A person had been listed in two households.
        CountedTwice = "counted_twice",
        /// A person stands in another household by now, and the configuration moves the month with it.
        Moved = "moved",
        /// A child born by then was listed later.
        RegisteredLate = "registered_late",
        /// A member row had been rejected and was mended.
        RowMended = "row_mended",
        /// A date of birth was put right.
        BirthDate = "birth_date",
        /// A corrected list of the month itself no longer has the household.
        LeftList = "left_list",
        /// A corrected list of the month itself has a household that was not on the first.
        JoinedList = "joined_list",
        /// A corrected list of the month itself excludes the household, or no longer does.
        Eligibility = "eligibility",
        /// A corrected list of the month itself has other members, or says other things of them.
        Members = "members",
        /// An earlier correction is taken back: what it was made for is no longer said.
        Reversed = "reversed",
        /// The rules in force for the month were changed.
        Rules = "rules",
    }
}

listed! {
    /// Whose months before its move are, when a person stands in another household by now.
    MovedRule {
        /// The household's that they were counted for.
        Earlier = "earlier",
        /// The household's that lists the person now: undue at the one before, arrears here.
        Later = "later",
    }
}

/// What a household is assessed by, for a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its score.
    pub rsu_score: Score,
    /// Whether its head lives in the country.
    pub head_resident: bool,
    /// Why the registry excludes it.
    pub excluded_by: Option<Code>,
    /// What the programme asks for beside the contract's columns.
    pub attributes: Attributes,
    /// Its members.
    pub members: Vec<Member>,
    /// Rows of members that were rejected and not mended since.
    pub members_rejected: u16,
}

impl Facts {
    /// The facts that a list gives of a household, for the list's own month.
    pub fn of(household: &Household) -> Self {
        Self {
            rsu_score: household.rsu_score,
            head_resident: household.head_resident,
            excluded_by: household.excluded_by.clone(),
            attributes: household.attributes.clone(),
            members: household.members.clone(),
            members_rejected: household.members_rejected,
        }
    }

    /// Makes a household what it is by these facts.
    pub fn lay_into(self, household: &mut Household) {
        household.rsu_score = self.rsu_score;
        household.head_resident = self.head_resident;
        household.excluded_by = self.excluded_by;
        household.attributes = self.attributes;
        household.members = self.members;
        household.members_rejected = self.members_rejected;
    }

    /// The member of a registry number.
    pub fn member(&self, idcs: super::person::Idcs) -> Option<&Member> {
        self.members.iter().find(|member| member.idcs == idcs)
    }
}

#[cfg(test)]
mod tests;
