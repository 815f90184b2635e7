//! The assessment itself: eligibility, then month by month the children in rank order, the floor and the cap.

use std::cmp::Reverse;

use time::Date;

use super::compile::{Matcher, MonthRules, Traits};
use super::{Assessment, Assessor, Component, ExclusionReason, Outcome, RULE_CAP, RULE_FLAT, RULE_FLOOR};
use crate::domain::household::{Household, Member};
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::person::Idcs;
use crate::domain::programme::{Eligibility, RankOrder};

/// A member that counts as a child in the month at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    born: Date,
    id: Idcs,
    member: u16,
    age: u8,
    traits: Traits,
}

impl Assessor {
    /// Assesses a household; the components are then in `buffers`.
    ///
    /// # Panics
    /// When the components do not add up to the amount: a fault of this module.
    pub fn assess(&self, household: &Household, buffers: &mut Assessment) -> Outcome {
        buffers.components.clear();
        if let Some(reason) = self.exclusion(household) {
            return Outcome::Excluded(reason);
        }
        let mut due = Centimes::ZERO;
        for (month, rules) in (0..).zip(&self.months) {
            due += rules.assess(month, household, buffers);
        }
        let listed: Centimes = buffers.components.iter().map(|c| c.amount).sum();
        assert!(listed == due, "components add up to {listed}, the amount is {due}");
        if due.is_zero() { Outcome::Excluded(ExclusionReason::NothingDue) } else { Outcome::Due(due) }
    }

    fn exclusion(&self, household: &Household) -> Option<ExclusionReason> {
        exclusion(&self.eligibility, household)
    }
}

/// Why a household may not draw a programme at all.
pub(super) fn exclusion(eligibility: &Eligibility, household: &Household) -> Option<ExclusionReason> {
    if eligibility.score_max.is_some_and(|max| household.rsu_score > max) {
        return Some(ExclusionReason::ScoreAboveThreshold);
    }
    if eligibility.resident_required && !household.head_resident {
        return Some(ExclusionReason::HeadNotResident);
    }
    if eligibility.attributes.unmet(&household.attributes).is_some() {
        return Some(ExclusionReason::AttributeNotMet);
    }
    household.excluded_by.as_ref().filter(|code| eligibility.code_rule(code).excludes()).map(registry_reason)
}

fn registry_reason(code: &Code) -> ExclusionReason {
    let folded = Code::folded(code.as_str());
    match folded.as_ref().unwrap_or(code).as_str() {
        "public_job" => ExclusionReason::PublicJob,
        "pension" => ExclusionReason::Pension,
        "family_allowance" => ExclusionReason::FamilyAllowance,
        _ => ExclusionReason::ExcludedByRegistry,
    }
}

impl MonthRules {
    /// Appends the components of one month, and returns what it comes to.
    fn assess(&self, month: u8, household: &Household, buffers: &mut Assessment) -> Centimes {
        self.rank_children(&household.members, &mut buffers.children);
        let Assessment { components, children, quotas_used, chosen, met } = buffers;
        met.clear();
        met.extend(self.conditions.iter().map(|asked| asked.unmet(&household.attributes).is_none()));
        let household = |rule, amount| Component { rule, month, member: None, rank: 0, age: 0, amount };
        let (mut sum, mut in_floor) = (Centimes::ZERO, Centimes::ZERO);
        if let Some(amount) = self.flat_rate.filter(|_| children.is_empty()) {
            components.push(household(RULE_FLAT, amount));
            (sum, in_floor) = (amount, amount);
        }
        quotas_used.clear();
        quotas_used.resize(self.quotas, 0);
        if self.dearest_first {
            self.choose_dearest(children, met, chosen);
        }
        for (place, child) in children.iter().enumerate() {
            let rank = u8::try_from(place + 1).unwrap_or(u8::MAX);
            let mut pay = |matcher: &Matcher| {
                let paid = matcher.meets(child.age, rank, child.traits)
                    && matcher.household_meets(met)
                    && match self.dearest_first {
                        true => matcher.quota.is_none() || chosen.contains(&(place, matcher.rule)),
                        false => take_quota(matcher, quotas_used),
                    };
                if paid {
                    let (member, age) = (Some(child.member), child.age);
                    components.push(Component {
                        rule: matcher.rule,
                        month,
                        member,
                        rank,
                        age,
                        amount: matcher.amount,
                    });
                    sum += matcher.amount;
                    in_floor += if matcher.in_floor { matcher.amount } else { Centimes::ZERO };
                }
                paid
            };
            self.base.iter().any(&mut pay);
            for matcher in &self.supplements {
                pay(matcher);
            }
        }
        if sum > Centimes::ZERO && in_floor < self.floor {
            let top_up = self.floor - in_floor;
            components.push(household(RULE_FLOOR, top_up));
            sum += top_up;
        }
        if let Some(cap) = self.cap.filter(|cap| sum > *cap) {
            components.push(household(RULE_CAP, cap - sum));
            sum = cap;
        }
        sum
    }

    /// Who is paid where places go to the highest amounts: place of the child and rule. A child stands for one place with its
    /// first base rule, and for one with each supplement.
    fn choose_dearest(&self, children: &[Child], met: &[bool], chosen: &mut Vec<(usize, u8)>) {
        chosen.clear();
        let mut asking: Vec<(u8, u8, Reverse<Centimes>, usize, u8)> = Vec::new();
        for (place, child) in children.iter().enumerate() {
            let rank = u8::try_from(place + 1).unwrap_or(u8::MAX);
            let meets = |matcher: &&Matcher| {
                matcher.meets(child.age, rank, child.traits) && matcher.household_meets(met)
            };
            let base = self.base.iter().find(meets);
            for matcher in base.into_iter().chain(self.supplements.iter().filter(meets)) {
                if let Some((slot, max)) = matcher.quota {
                    asking.push((slot, max, Reverse(matcher.amount), place, matcher.rule));
                }
            }
        }
        asking.sort_unstable();
        for of_slot in asking.chunk_by(|a, b| a.0 == b.0) {
            chosen.extend(of_slot.iter().take(of_slot[0].1.into()).map(|(.., place, rule)| (*place, *rule)));
        }
    }

    /// The members that count, in rank order. Numbers are unique among persons, so the order of the file plays no part.
    fn rank_children(&self, members: &[Member], children: &mut Vec<Child>) {
        children.clear();
        for (place, member) in members.iter().enumerate() {
            if let Some(age) = self.child_age(member) {
                let place = u16::try_from(place).unwrap_or(u16::MAX);
                let (born, id, traits) = (member.birth_date, member.idcs, Traits::of(member));
                children.push(Child { born, id, member: place, age, traits });
            }
        }
        match self.rank_order {
            RankOrder::EldestFirst => children.sort_unstable_by_key(|c| (c.born, c.id)),
            RankOrder::YoungestFirst => children.sort_unstable_by_key(|c| (Reverse(c.born), c.id)),
        }
    }
}

/// Takes one place of the rule's quota; false when none is left.
fn take_quota(matcher: &Matcher, used: &mut [u8]) -> bool {
    let Some((slot, max)) = matcher.quota else { return true };
    let used = &mut used[usize::from(slot)];
    let free = *used < max;
    *used += u8::from(free);
    free
}
