//! Birth grants: paid once for a child, when the claim is in time and of a rank that is paid.
//!
//! - **Input**: a claim, its household in the list that brings it, and what was paid before.
//! - **Output**: the line that is paid, or why the claim is refused.
//! - **Guarantee**: nothing is paid for a child or, within a household, for a rank that was paid before.
//! - **Limit**: the terms are those in force in the month of the claim; benefits of other programmes do not bar a grant.

use time::Date;

use super::assess::exclusion;
use super::compile::MonthRules;
use super::{Component, ExclusionReason, NoRules, RULE_BIRTH_GRANT};
use crate::domain::child::BirthClaim;
use crate::domain::household::Household;
use crate::domain::listed::listed;
use crate::domain::period::Period;
use crate::domain::programme::{BirthGrant, ClaimUntil, Eligibility, Programme, RankCheck};

listed! {
    /// Why a claim is refused for itself.
    ClaimRefusal {
        /// The grant of this child was ordered before.
        AlreadyPaid = "grant_already_paid",
        /// The programme had no birth grant in the month of the claim.
        NotInForce = "grant_not_in_force",
        /// The child does not stand among the members of the household.
        ChildUnknown = "grant_child_unknown",
        /// The child is in the care of an institution.
        InInstitution = "grant_child_in_institution",
        /// It was claimed before the child was born.
        BeforeBirth = "grant_claimed_before_birth",
        /// It was claimed too long after the birth.
        OutOfTime = "grant_out_of_time",
        /// No grant is paid for a child of this rank.
        RankNotPaid = "grant_rank_not_paid",
        /// The list has more elder children than the rank claimed allows.
        RankContradicted = "grant_rank_contradicted",
        /// The household had the grant of this rank for another child.
        RankTaken = "grant_rank_taken",
    }
}

impl ClaimRefusal {
    /// What it means, in a sentence without a full stop.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::AlreadyPaid => "the birth grant of this child was ordered before: it is paid once",
            Self::NotInForce => "the programme had no birth grant in the month of the claim",
            Self::ChildUnknown => "the child of the claim is not listed among the household's members",
            Self::InInstitution => "the child is in the care of an institution: its aid goes elsewhere",
            Self::BeforeBirth => "the claim is dated before the birth",
            Self::OutOfTime => "it was claimed too long after the birth",
            Self::RankNotPaid => "no birth grant is paid for a child of this rank",
            Self::RankContradicted => "the household lists more elder children than the rank claimed allows",
            Self::RankTaken => "the household had the birth grant of this rank for another child",
        }
    }
}

/// Why nothing is paid for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantRefused {
    /// The household may not draw the programme.
    Household(ExclusionReason),
    /// The claim itself.
    Claim(ClaimRefusal),
}

impl GrantRefused {
    /// The code that is stored and reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Household(reason) => reason.as_str(),
            Self::Claim(refusal) => refusal.as_str(),
        }
    }
}

/// What was paid before, as far as it bears on a claim.
#[derive(Clone, Debug, Default)]
pub struct PaidBefore {
    /// A grant was ordered for the child, by whatever household.
    pub child: bool,
    /// Ranks of other children for which the household had a grant.
    pub ranks: Vec<u8>,
}

/// A programme's terms for the claims of one list.
#[derive(Clone, Debug)]
pub struct GrantAssessor<'a> {
    programme: &'a Programme,
    eligibility: &'a Eligibility,
    rules: MonthRules,
}

impl<'a> GrantAssessor<'a> {
    /// For the claims of the list of a month.
    ///
    /// # Errors
    /// When the month lies before the programme's first version.
    pub fn new(programme: &'a Programme, period: Period) -> Result<Self, NoRules> {
        let version = programme.version_at(period).ok_or(NoRules { month: period })?;
        let rules = MonthRules::new(version, period);
        Ok(Self { programme, eligibility: programme.eligibility(), rules })
    }

    /// Judges a claim of a household of the list.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(
        &self,
        claim: &BirthClaim,
        household: &Household,
        paid: &PaidBefore,
    ) -> Result<Component, GrantRefused> {
        use ClaimRefusal as R;
        let refuse = |refusal| Err(GrantRefused::Claim(refusal));
        if paid.child {
            return refuse(R::AlreadyPaid);
        }
        if let Some(reason) = exclusion(self.eligibility, household) {
            return Err(GrantRefused::Household(reason));
        }
        let claimed_in = Period::new(claim.claimed_on.year(), claim.claimed_on.month().into()).ok();
        let terms = claimed_in.and_then(|month| self.programme.version_at(month)?.birth_grant.as_ref());
        let Some(terms) = terms else { return refuse(R::NotInForce) };
        let Some(place) = household.members.iter().position(|m| m.idcs == claim.child) else {
            return refuse(R::ChildUnknown);
        };
        let child = &household.members[place];
        let amount = usize::from(claim.rank).checked_sub(1).and_then(|index| terms.amounts.get(index));
        let refused = if child.in_institution {
            Some(R::InInstitution)
        } else if claim.claimed_on < child.birth_date {
            Some(R::BeforeBirth)
        } else if claim.claimed_on > last_day_to_claim(child.birth_date, terms) {
            Some(R::OutOfTime)
        } else if amount.is_none() {
            Some(R::RankNotPaid)
        } else if terms.rank_check == RankCheck::List && self.elder(household, place) >= claim.rank.into() {
            Some(R::RankContradicted)
        } else {
            paid.ranks.contains(&claim.rank).then_some(R::RankTaken)
        };
        match (refused, amount) {
            (None, Some(amount)) => Ok(Component {
                rule: RULE_BIRTH_GRANT,
                month: 0,
                member: u16::try_from(place).ok(),
                rank: claim.rank,
                age: self.rules.child_age(child).unwrap_or(0),
                amount: *amount,
            }),
            (refused, _) => refuse(refused.unwrap_or(R::RankNotPaid)),
        }
    }

    /// Children of the household that were born on an earlier day, as far as they count as children still.
    fn elder(&self, household: &Household, place: usize) -> usize {
        let born = household.members[place].birth_date;
        let elder = household.members.iter().filter(|m| m.birth_date < born);
        elder.filter(|m| self.rules.child_age(m).is_some()).count()
    }
}

/// The last day on which the grant of a child may be claimed.
pub fn last_day_to_claim(born: Date, terms: &BirthGrant) -> Date {
    let month = Period::new(born.year(), born.month().into()).ok();
    let last = month.and_then(|m| Period::from_index(m.index() + i32::from(terms.claim_months)).ok());
    // Who was born outside the calendar of months can claim nothing.
    let Some(last) = last else { return born };
    match terms.claim_until {
        ClaimUntil::MonthEnd => last.last_day(),
        ClaimUntil::Day => {
            let day = born.day().min(last.last_day().day());
            last.first_day().replace_day(day).unwrap_or(last.last_day())
        }
    }
}
