//! What a later list says of a month that was paid before.
//!
//! Input: a household as the list of that month had it, and as a later list has it. Output: its members as they were in
//! truth, and why they differ. Guarantee: only facts that carry a date, or that an earlier list could not know, reach back:
//! deaths, dates of birth, children born shortly before they were listed, persons listed twice, rows mended. What a list
//! says of its own month (schooling, score, residence, exclusion) holds from that month on. Limit: a household that the
//! later list no longer has says nothing of the past.

use time::Date;

use super::household::{Household, Member, listed};
use super::period::Period;

listed! {
    /// Why a month is put right. Where several apply, the first is told.
    CorrectionReason {
        /// A member's death was entered, moved or taken back.
        Death = "death",
        /// A person had been listed in two households.
        CountedTwice = "counted_twice",
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

/// What is known beside the two lists.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The month that is looked at.
    pub month: Period,
    /// A child born on this day or after counts as registered late, not as newly come.
    pub born_from: Date,
    /// The household of the earlier list shared a person with another.
    pub shared_then: bool,
    /// That of the later list does.
    pub shares_now: bool,
}

/// Lays what a later list knows of the past over the members of an earlier one; why they differ, if they do.
pub fn lay_over(past: &mut Household, later: &Household, known: Circumstances) -> Option<CorrectionReason> {
    let mut reason: Option<CorrectionReason> = None;
    let mut note = |found: CorrectionReason| reason = Some(reason.map_or(found, |r| r.min(found)));
    let same = |id| later.members.iter().find(|m: &&Member| m.idcs == id);
    past.members.retain_mut(|member| match same(member.idcs) {
        Some(now) => {
            if now.deceased_on != member.deceased_on {
                member.deceased_on = now.deceased_on;
                note(CorrectionReason::Death);
            }
            if now.birth_date != member.birth_date {
                member.birth_date = now.birth_date;
                note(CorrectionReason::BirthDate);
            }
            true
        }
        None if known.shared_then && !known.shares_now => {
            note(CorrectionReason::CountedTwice);
            false
        }
        None => true,
    });
    let then = past.members.len();
    for new in later.members.iter().filter(|m| m.birth_date <= known.month.last_day()) {
        if past.members[..then].iter().any(|m| m.idcs == new.idcs) {
            continue;
        }
        if new.birth_date >= known.born_from {
            note(CorrectionReason::RegisteredLate);
        } else if past.members_rejected > 0 {
            note(CorrectionReason::RowMended);
        } else {
            continue;
        }
        past.members.push(*new);
    }
    reason
}

/// Why a corrected list of the same month gives a household another amount.
pub fn of_same_month(first: Option<&Household>, corrected: Option<&Household>) -> CorrectionReason {
    let (Some(first), Some(corrected)) = (first, corrected) else {
        return if first.is_some() { CorrectionReason::LeftList } else { CorrectionReason::JoinedList };
    };
    let judged =
        |h: &Household| (h.rsu_score, h.head_resident, h.excluded_by.as_ref().map(ToString::to_string));
    if judged(first) != judged(corrected) {
        CorrectionReason::Eligibility
    } else if first.members != corrected.members {
        CorrectionReason::Members
    } else {
        CorrectionReason::Rules
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::super::household::{Means, Payee, PlaceId, Relation, Score, Sex};
    use super::super::ids::{HouseholdId, Idcs};
    use super::*;

    fn member(number: u32, born: Date, died: Option<Date>) -> Member {
        Member {
            idcs: Idcs::from_stem(200_000_000 + number),
            birth_date: born,
            sex: Sex::Female,
            in_school: false,
            school_cycle: None,
            school_sector: None,
            father_orphan: false,
            severe_disability: false,
            in_institution: false,
            deceased_on: died,
        }
    }

    fn household(members: Vec<Member>, members_rejected: u16) -> Household {
        let idcs = Idcs::from_stem(200_000_000);
        Household {
            row: 1,
            id: HouseholdId::parse(b"H1").expect("an id"),
            place: PlaceId(0),
            rsu_score: Score(1),
            head_idcs: idcs,
            head_resident: true,
            excluded_by: None,
            payee: Payee {
                idcs,
                name: "A".into(),
                name_ar: String::new(),
                cin: None,
                relation: Relation::Husband,
                deceased: false,
                phone: None,
                account: String::new(),
            },
            means: Means::BankAccount,
            provider: None,
            account_level: None,
            members,
            members_rejected,
        }
    }

    fn check(
        past: (Vec<Member>, u16),
        later: Vec<Member>,
        shared: (bool, bool),
        expected: (Option<CorrectionReason>, usize),
    ) {
        let month = Period::new(2026, 9).expect("a month");
        let known = Circumstances {
            month,
            born_from: date!(2026 - 04 - 01),
            shared_then: shared.0,
            shares_now: shared.1,
        };
        let mut truth = household(past.0, past.1);
        let reason = lay_over(&mut truth, &household(later, 0), known);
        assert_eq!((reason, truth.members.len()), expected);
    }

    #[test]
    fn only_what_carries_a_date_reaches_back() {
        use CorrectionReason as R;
        let old = member(1, date!(2015 - 01 - 01), None);
        let dead = member(1, date!(2015 - 01 - 01), Some(date!(2026 - 08 - 20)));
        let moved = member(1, date!(2016 - 01 - 01), None);
        let newborn = member(2, date!(2026 - 09 - 30), None);
        let unborn = member(2, date!(2026 - 10 - 01), None);
        let older = member(2, date!(2026 - 03 - 31), None);
        check((vec![old], 0), vec![old], (false, false), (None, 1));
        check((vec![old], 0), vec![dead], (false, false), (Some(R::Death), 1));
        check((vec![dead], 0), vec![old], (false, false), (Some(R::Death), 1));
        check((vec![old], 0), vec![moved], (false, false), (Some(R::BirthDate), 1));
        check((vec![old], 0), vec![old, newborn], (false, false), (Some(R::RegisteredLate), 2));
        check((vec![old], 0), vec![old, unborn], (false, false), (None, 1));
        check((vec![old], 0), vec![old, older], (false, false), (None, 1));
        check((vec![old], 1), vec![old, older], (false, false), (Some(R::RowMended), 2));
        check((vec![old, older], 0), vec![old], (false, false), (None, 2));
        check((vec![old, older], 0), vec![old], (true, false), (Some(R::CountedTwice), 1));
        check((vec![old, older], 0), vec![old], (true, true), (None, 2));
        check((vec![old, older], 0), vec![dead], (true, false), (Some(R::Death), 1));
    }

    #[test]
    fn a_corrected_list_of_the_month_says_what_changed() {
        use CorrectionReason as R;
        let first = household(vec![member(1, date!(2015 - 01 - 01), None)], 0);
        let mut abroad = first.clone();
        abroad.head_resident = false;
        let fewer = household(vec![], 0);
        for (before, now, reason) in [
            (Some(&first), None, R::LeftList),
            (None, Some(&first), R::JoinedList),
            (Some(&first), Some(&abroad), R::Eligibility),
            (Some(&first), Some(&fewer), R::Members),
            (Some(&first), Some(&first), R::Rules),
        ] {
            assert_eq!(of_same_month(before, now), reason);
        }
    }
}
