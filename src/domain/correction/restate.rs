//! What a month is known as, once a later list has spoken.

use time::Date;

use super::persons::{Bearing, Verdict};
use super::{CorrectionReason, Facts};
use crate::domain::period::Period;
use crate::domain::person::Idcs;

/// What a later list is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The month.
    pub month: Period,
    /// A child born on this day or after counts as registered late, not as newly come.
    pub born_from: Date,
    /// Persons of the household who stand in another one, in the month or by now.
    pub elsewhere: &'a [(Idcs, Bearing)],
}

impl Asked<'_> {
    fn bearing(&self, idcs: Idcs) -> Bearing {
        let own = Bearing { verdict: Verdict::Own, row: None };
        self.elsewhere.iter().find(|(of, _)| *of == idcs).map_or(own, |(_, bearing)| *bearing)
    }
}

/// A month as it is known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restated {
    /// The facts.
    pub facts: Facts,
    /// Why they differ from what they were; `None` where the later list says nothing new.
    pub reason: Option<CorrectionReason>,
    /// More members came than rows had been rejected: a person is to look.
    pub doubtful: bool,
}

/// Lays what a later list says of the past over a month as it was known.
pub fn restate(known: Facts, later: &Facts, asked: &Asked<'_>) -> Restated {
    let mut reason: Option<CorrectionReason> = None;
    let mut note = |found: CorrectionReason| reason = Some(reason.map_or(found, |r| r.min(found)));
    let mut facts = known;
    facts.members.retain_mut(|member| {
        let said = match later.member(member.idcs) {
            Some(row) => Some(*row),
            None => match asked.bearing(member.idcs) {
                Bearing { verdict: Verdict::CountedTwice, .. } => {
                    note(CorrectionReason::CountedTwice);
                    return false;
                }
                Bearing { verdict: Verdict::MovedAway, .. } => {
                    note(CorrectionReason::Moved);
                    return false;
                }
                bearing => bearing.row,
            },
        };
        if let Some(row) = said {
            if row.deceased_on != member.deceased_on {
                member.deceased_on = row.deceased_on;
                note(CorrectionReason::Death);
            }
            if row.birth_date != member.birth_date {
                member.birth_date = row.birth_date;
                note(CorrectionReason::BirthDate);
            }
        }
        true
    });
    let (then, mut mended) = (facts.members.len(), 0u16);
    for new in later.members.iter().filter(|m| m.birth_date <= asked.month.last_day()) {
        if facts.members[..then].iter().any(|m| m.idcs == new.idcs) {
            continue;
        }
        match asked.bearing(new.idcs).verdict {
            Verdict::CountedElsewhere => continue,
            Verdict::MovedHere => note(CorrectionReason::Moved),
            _ if new.birth_date >= asked.born_from => note(CorrectionReason::RegisteredLate),
            _ if facts.members_rejected > 0 => {
                mended += 1;
                note(CorrectionReason::RowMended);
            }
            _ => continue,
        }
        facts.members.push(*new);
    }
    let doubtful = mended > facts.members_rejected;
    facts.members_rejected = facts.members_rejected.saturating_sub(mended);
    Restated { facts, reason, doubtful }
}

/// The month by a corrected list of itself: what that list says, and of members that it had to reject what was known.
pub fn same_month(known: Option<&Facts>, corrected: Facts) -> Facts {
    let Some(known) = known.filter(|_| corrected.members_rejected > 0) else { return corrected };
    let mut facts = corrected;
    let missing: Vec<_> = known.members.iter().filter(|m| facts.member(m.idcs).is_none()).copied().collect();
    facts.members.extend(missing);
    facts
}

/// Why a corrected list of the same month gives a household another amount.
pub fn of_same_month(first: Option<&Facts>, corrected: Option<&Facts>) -> CorrectionReason {
    let (Some(first), Some(corrected)) = (first, corrected) else {
        return if first.is_some() { CorrectionReason::LeftList } else { CorrectionReason::JoinedList };
    };
    let judged = |f: &Facts| (f.rsu_score, f.head_resident, f.excluded_by.clone(), f.attributes.clone());
    if judged(first) != judged(corrected) {
        CorrectionReason::Eligibility
    } else if first.members != corrected.members {
        CorrectionReason::Members
    } else {
        CorrectionReason::Rules
    }
}
