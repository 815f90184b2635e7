use time::Date;
use time::macros::date;

use super::amount::{Open, Reversal, Standing, reverse};
use super::persons::{Bearing, Place, Verdict, weigh};
use super::*;
use crate::domain::household::Sex;
use crate::domain::ids::CaseId;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::person::Idcs;

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

fn facts(members: &[Member], members_rejected: u16) -> Facts {
    Facts {
        rsu_score: Score(1),
        head_resident: true,
        excluded_by: None,
        attributes: Attributes::default(),
        members: members.to_vec(),
        members_rejected,
    }
}

const OLD: Date = date!(2015 - 01 - 01);
const DIED: Option<Date> = Some(date!(2026 - 08 - 20));

/// September as it was known, what a list of October says, and what other households' rows say of the first two persons.
fn check(
    known: Facts,
    later: &[Member],
    elsewhere: &[(u32, Verdict, Option<Member>)],
    expected: (Option<CorrectionReason>, &[Member], u16, bool),
) {
    let elsewhere: Vec<_> = elsewhere
        .iter()
        .map(|(n, verdict, row)| (Idcs::from_stem(200_000_000 + n), Bearing { verdict: *verdict, row: *row }))
        .collect();
    let month = Period::new(2026, 9).expect("a month");
    let asked = Asked { month, born_from: date!(2026 - 04 - 01), elsewhere: &elsewhere };
    let found = restate(known, &facts(later, 0), &asked);
    let seen = (found.reason, found.facts.members.as_slice(), found.facts.members_rejected, found.doubtful);
    assert_eq!(seen, expected);
}

#[test]
fn a_later_list_changes_what_it_says_and_nothing_else() {
    use CorrectionReason as R;
    let (old, dead) = (member(1, OLD, None), member(1, OLD, DIED));
    let moved = member(1, date!(2016 - 01 - 01), None);
    let newborn = member(2, date!(2026 - 09 - 30), None);
    let unborn = member(2, date!(2026 - 10 - 01), None);
    let older = member(2, date!(2026 - 03 - 31), None);
    let another = member(3, OLD, None);
    let f = facts;
    check(f(&[old], 0), &[old], &[], (None, &[old], 0, false));
    check(f(&[old], 0), &[dead], &[], (Some(R::Death), &[dead], 0, false));
    check(f(&[dead], 0), &[old], &[], (Some(R::Death), &[old], 0, false));
    check(f(&[old], 0), &[moved], &[], (Some(R::BirthDate), &[moved], 0, false));
    check(f(&[old], 0), &[old, newborn], &[], (Some(R::RegisteredLate), &[old, newborn], 0, false));
    check(f(&[old], 0), &[old, unborn], &[], (None, &[old], 0, false));
    check(f(&[old], 0), &[old, older], &[], (None, &[old], 0, false));
    // Beyond the reach by now, but found before: silence and repetition change nothing.
    check(f(&[old, older], 0), &[old, older], &[], (None, &[old, older], 0, false));
    check(f(&[old, older], 0), &[old], &[], (None, &[old, older], 0, false));
    check(f(&[dead], 0), &[], &[], (None, &[dead], 0, false));
    // A row that was rejected is mended once; of more than were rejected it cannot be told which it was.
    check(f(&[old], 1), &[old, older], &[], (Some(R::RowMended), &[old, older], 0, false));
    check(f(&[], 1), &[old, older], &[], (Some(R::RowMended), &[old, older], 0, true));
    check(f(&[], 2), &[old, another], &[], (Some(R::RowMended), &[old, another], 0, false));
}

#[test]
fn what_other_households_list_bears_on_a_person() {
    use CorrectionReason as R;
    use Verdict as V;
    let (old, dead) = (member(1, OLD, None), member(1, OLD, DIED));
    let newborn = member(2, date!(2026 - 09 - 30), None);
    let f = facts;
    check(f(&[old], 0), &[], &[(1, V::CountedTwice, Some(old))], (Some(R::CountedTwice), &[], 0, false));
    check(f(&[old], 0), &[], &[(1, V::MovedAway, Some(old))], (Some(R::Moved), &[], 0, false));
    check(f(&[old], 0), &[], &[(1, V::Own, Some(old))], (None, &[old], 0, false));
    check(f(&[old], 0), &[], &[(1, V::Own, Some(dead))], (Some(R::Death), &[dead], 0, false));
    // A row of the household's own comes before.
    check(f(&[old], 0), &[old], &[(1, V::Own, Some(dead))], (None, &[old], 0, false));
    check(f(&[], 1), &[newborn], &[(2, V::CountedElsewhere, None)], (None, &[], 1, false));
    check(f(&[], 0), &[newborn], &[(2, V::MovedHere, None)], (Some(R::Moved), &[newborn], 0, false));
}

/// A letter for each place: A and B are counted in the month; lower case: not counted, but on the month's list; x: not on it.
/// A sign after it: `+` listed by the later list, `-` not, `?` not, and a row of the household was rejected.
fn places(text: &str) -> Vec<Place<char>> {
    let row = member(1, OLD, None);
    text.split(' ')
        .map(|place| {
            let (name, sign) = place.split_at(1);
            let name = name.chars().next().expect("a letter");
            Place {
                household: name,
                counted: name.is_ascii_uppercase(),
                in_month: name != 'x',
                row: (sign == "+").then_some(row),
                speaks: sign != "?",
            }
        })
        .collect()
}

#[test]
fn a_month_is_counted_for_one_household() {
    use MovedRule::{Earlier, Later};
    let seen = |text: &str, rule| {
        let letter = |verdict| match verdict {
            Verdict::Own => '.',
            Verdict::CountedElsewhere => 'e',
            Verdict::CountedTwice => 't',
            Verdict::MovedAway => 'a',
            Verdict::MovedHere => 'h',
        };
        weigh(&places(text), rule).into_iter().map(|(_, b)| letter(b.verdict)).collect::<String>()
    };
    for (text, earlier, later) in [
        // Moves from A to b.
        ("A- b+", ".e", "ah"),
        // Its row there may have been rejected, or b was not on the month's list.
        ("A? b+", ".e", ".e"),
        ("A- x+", ".e", ".e"),
        // Listed in both by now, or in two new ones: nobody can tell.
        ("A+ b+", ".e", ".e"),
        ("A- b+ c+", ".ee", ".ee"),
        // Newly in two: the search for shared persons holds both.
        ("a+ b+", "..", ".."),
        // Had been in two, and is in one of them.
        ("A- B+", "t.", "t."),
        ("A? B+", "..", ".."),
        ("A- B+ c+", "t.e", "t.e"),
        // Had been in two, and is in neither.
        ("A- B-", "..", ".."),
        ("A- B- c+", "..e", "aah"),
        ("A+ B+", "..", ".."),
    ] {
        assert_eq!((seen(text, Earlier).as_str(), seen(text, Later).as_str()), (earlier, later), "{text}");
    }
}

#[test]
fn a_person_is_what_the_row_elsewhere_says_where_all_say_the_same() {
    let mut of = places("A- b+ c+");
    let rows = |of: &[Place<char>]| {
        weigh(of, MovedRule::Earlier).into_iter().map(|(_, b)| b.row.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&of), [true, false, false]);
    of[2].row = Some(member(1, OLD, DIED));
    assert_eq!(rows(&of), [false; 3]);
}

#[test]
fn a_corrected_list_of_the_month_says_all_but_what_it_rejects() {
    use CorrectionReason as R;
    let (a, b) = (member(1, OLD, None), member(2, OLD, None));
    let first = facts(&[a, b], 0);
    assert_eq!(same_month(Some(&first), facts(&[b], 0)), facts(&[b], 0));
    assert_eq!(same_month(Some(&first), facts(&[b], 1)), facts(&[b, a], 1));
    assert_eq!(same_month(None, facts(&[b], 1)), facts(&[b], 1));
    let abroad = Facts { head_resident: false, ..first.clone() };
    let fewer = facts(&[], 0);
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

#[test]
fn what_complaints_gave_back_stays_given() {
    // Found due and assessed before, assessed now, due now.
    for (found, before, now, due) in [
        (900, 900, 900, 900),
        (900, 900, 600, 600),
        (600, 600, 900, 900),
        // 300 was undue, and a complaint gave it back: the same is nothing new, nor is the fact taken back.
        (900, 600, 600, 900),
        (900, 600, 900, 900),
        (900, 600, 800, 900),
        (900, 600, 1_000, 1_000),
        (900, 600, 400, 700),
        (700, 400, 400, 700),
    ] {
        let mad = Centimes::from_mad;
        let standing = Standing { found: mad(found), assessed: mad(before) };
        assert_eq!(standing.due(mad(now)), mad(due), "{found} {before} {now}");
    }
}

#[test]
fn what_is_due_again_comes_off_cases_first() {
    let mad = Centimes::from_mad;
    let case = |id: i64, outstanding: i64, written_off: i64| Open {
        case: CaseId::new(id),
        outstanding: mad(outstanding),
        written_off: mad(written_off),
    };
    let check = |more: i64, cases: &[Open], reversed: bool, expected: &[(i64, i64, i64)], left: i64| {
        let mut cases = cases.to_vec();
        let before: Centimes = cases.iter().map(|c| c.outstanding + c.written_off).sum();
        let (found, rest) = reverse(mad(more), &mut cases, reversed);
        let taken: Centimes = found.iter().map(Reversal::sum).sum();
        let after: Centimes = cases.iter().map(|c| c.outstanding + c.written_off).sum();
        assert_eq!((taken + rest, after + taken), (mad(more), before));
        let seen: Vec<_> = found.iter().map(|r| (r.case.get(), r.owed, r.given_up)).collect();
        let expected: Vec<_> = expected.iter().map(|(id, a, b)| (*id, mad(*a), mad(*b))).collect();
        assert_eq!((seen, rest), (expected, mad(left)));
    };
    check(300, &[], true, &[], 300);
    check(300, &[case(1, 300, 0)], false, &[(1, 300, 0)], 0);
    check(200, &[case(1, 300, 0)], false, &[(1, 200, 0)], 0);
    check(300, &[case(2, 100, 0), case(1, 500, 0)], false, &[(2, 100, 0), (1, 200, 0)], 0);
    check(300, &[case(1, 0, 0)], true, &[], 300);
    check(300, &[case(1, 0, 300)], true, &[(1, 0, 300)], 0);
    check(300, &[case(1, 0, 300)], false, &[], 300);
    check(300, &[case(1, 100, 50)], true, &[(1, 100, 50)], 150);
}
