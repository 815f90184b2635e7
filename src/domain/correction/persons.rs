//! Persons who stand in more than one household: counted in one for a month, listed in another by now.
//!
//! Input: all households in which one person was counted in a month, or is listed by the later list. Output: what follows for
//! the person in each of them. Guarantee: of a month that was counted for one household, none is counted for another beside it;
//! a person is taken out of a household only where that household's own row speaks, and stands in another.
//! Limit: where two households list a person for the first time at once, both do, and the search for shared persons holds both.

use super::MovedRule;
use crate::domain::household::Member;

/// A household in which a person is counted in a month, or listed later.
#[derive(Clone, Copy, Debug)]
pub struct Place<H> {
    /// Household.
    pub household: H,
    /// The person was counted there in the month, as it was known before the later list.
    pub counted: bool,
    /// The household was counted in the month at all.
    pub in_month: bool,
    /// The person as the later list has it there.
    pub row: Option<Member>,
    /// The later list has the household, and none of its rows was rejected.
    pub speaks: bool,
}

/// What follows for a person in a household.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What the household's own rows say.
    Own,
    /// The month was counted for another household: not here.
    CountedElsewhere,
    /// It was counted here and in another household, which lists the person by now: not here.
    CountedTwice,
    /// The person stands in another household by now, and the month goes with it.
    MovedAway,
    /// The month comes here with the person.
    MovedHere,
}

/// What is known of a person of a household from other households' rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearing {
    /// What follows.
    pub verdict: Verdict,
    /// The person's row in another household, where this one has none: what it says of the person holds here too.
    pub row: Option<Member>,
}

/// Weighs the places of one person in one month.
pub fn weigh<H: Copy>(places: &[Place<H>], rule: MovedRule) -> Vec<(H, Bearing)> {
    let mover = mover(places, rule);
    let kept_by = places.iter().any(|p| p.counted && p.row.is_some());
    let elsewhere = row_elsewhere(places);
    let verdict = |at: usize, place: &Place<H>| match (place.counted, place.row.is_some()) {
        (true, false) if kept_by && place.speaks => Verdict::CountedTwice,
        (true, false) if mover.is_some() => Verdict::MovedAway,
        (false, true) if mover == Some(at) => Verdict::MovedHere,
        (false, true) if places.iter().any(|p| p.counted) => Verdict::CountedElsewhere,
        _ => Verdict::Own,
    };
    let bearing = |(at, place): (usize, &Place<H>)| {
        let row = elsewhere.filter(|_| place.counted && place.row.is_none());
        (place.household, Bearing { verdict: verdict(at, place), row })
    };
    places.iter().enumerate().map(bearing).collect()
}

/// The one household that the person's month goes to, by the rule.
fn mover<H>(places: &[Place<H>], rule: MovedRule) -> Option<usize> {
    if rule == MovedRule::Earlier {
        return None;
    }
    let mut holders = places.iter().filter(|p| p.counted).peekable();
    holders.peek()?;
    if !holders.all(|p| p.row.is_none() && p.speaks) {
        return None;
    }
    let mut listers = places.iter().enumerate().filter(|(_, p)| p.row.is_some());
    let (at, place) = listers.next()?;
    (listers.next().is_none() && place.in_month).then_some(at)
}

/// The person's row, where all households that list the person say the same of its birth and death.
fn row_elsewhere<H>(places: &[Place<H>]) -> Option<Member> {
    let mut rows = places.iter().filter_map(|p| p.row);
    let first = rows.next()?;
    let dates = |m: &Member| (m.birth_date, m.deceased_on);
    rows.all(|row| dates(&row) == dates(&first)).then_some(first)
}
