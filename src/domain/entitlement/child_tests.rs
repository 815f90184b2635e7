//! Claims and deposits worked out by hand, a row for each case.

use time::Date;

use super::tests::{date, family};
use super::*;
use crate::domain::child::{BirthClaim, CareGround, ChildInCare};
use crate::domain::household::{Household, PlaceId, Score};
use crate::domain::ids::HouseholdId;
use crate::domain::person::Idcs;

const DSS: &str = include_str!("../../../config/programmes/dss.toml");

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

/// Judges a claim for the child at a place among the members after the two parents: `1000 rank 2` or the refusal's code.
fn judged(rules: &str, h: &Household, child: usize, rank: u8, claimed: &str, paid: &PaidBefore) -> String {
    let programme = Programme::from_toml(rules).unwrap();
    let assessor = GrantAssessor::new(&programme, period("2026-11")).unwrap();
    let claim = BirthClaim {
        row: 1,
        household: h.id,
        child: h.members.get(2 + child).map_or(Idcs::from_stem(999_999_999), |m| m.idcs),
        rank,
        claimed_on: date(claimed),
    };
    match assessor.judge(&claim, h, paid) {
        Ok(line) => {
            assert_eq!(line.member, Some(2 + child as u16));
            let explained = explain(&programme, period("2026-11"), &[line]).unwrap();
            assert_eq!(explained[0].code, "birth_grant");
            format!("{} rank {}", line.amount.get() / 100, line.rank)
        }
        Err(refused) => {
            assert!(explain_exclusion(refused.as_str()).is_some(), "{}", refused.as_str());
            refused.as_str().to_owned()
        }
    }
}

#[test]
fn claims_are_paid_in_time_and_by_rank() {
    let none = PaidBefore::default();
    let one = family(&["2026-08-15"]);
    let two = family(&["2022-01-01", "2026-08-15"]);
    let three = family(&["2020-01-01", "2022-01-01", "2026-08-15"]);
    let twins = family(&["2026-08-15", "2026-08-15"]);
    let paid = |child, ranks: &[u8]| PaidBefore { child, ranks: ranks.to_vec() };
    let end = DSS.replace("claim_until = \"day\"", "claim_until = \"month_end\"");
    let word = DSS.replace("rank_check = \"list\"", "rank_check = \"claim\"");
    let abroad = Household { head_resident: false, ..one.clone() };
    let rich = Household { rsu_score: Score(9_743_002), ..one.clone() };
    let rows: [(&str, &Household, usize, u8, &str, &PaidBefore, &str); 25] = [
        (DSS, &one, 0, 1, "2026-08-15", &none, "2000 rank 1"),
        (DSS, &one, 0, 1, "2027-02-15", &none, "2000 rank 1"),
        (DSS, &one, 0, 1, "2027-02-16", &none, "grant_out_of_time"),
        (&end, &one, 0, 1, "2027-02-28", &none, "2000 rank 1"),
        (&end, &one, 0, 1, "2027-03-01", &none, "grant_out_of_time"),
        (DSS, &one, 0, 1, "2026-08-14", &none, "grant_claimed_before_birth"),
        (DSS, &two, 1, 2, "2026-09-01", &none, "1000 rank 2"),
        (DSS, &two, 1, 1, "2026-09-01", &none, "grant_rank_contradicted"),
        (&word, &two, 1, 1, "2026-09-01", &none, "2000 rank 1"),
        // A sister or brother of age, or one whom the list has no more, is no contradiction.
        (DSS, &one, 0, 2, "2026-09-01", &none, "1000 rank 2"),
        (DSS, &family(&["2004-01-01", "2026-08-15"]), 1, 1, "2026-09-01", &none, "2000 rank 1"),
        (DSS, &three, 2, 3, "2026-09-01", &none, "grant_rank_not_paid"),
        (DSS, &one, 0, 255, "2026-09-01", &none, "grant_rank_not_paid"),
        (DSS, &twins, 0, 1, "2026-09-01", &none, "2000 rank 1"),
        (DSS, &twins, 1, 2, "2026-09-01", &paid(false, &[1]), "1000 rank 2"),
        (DSS, &twins, 1, 1, "2026-09-01", &paid(false, &[1]), "grant_rank_taken"),
        (DSS, &one, 0, 1, "2026-09-01", &paid(true, &[]), "grant_already_paid"),
        (DSS, &one, 5, 1, "2026-09-01", &none, "grant_child_unknown"),
        (DSS, &family(&["2026-08-15 institution"]), 0, 1, "2026-09-01", &none, "grant_child_in_institution"),
        (DSS, &abroad, 0, 1, "2026-09-01", &none, "head_not_resident"),
        (DSS, &rich, 0, 1, "2026-09-01", &none, "score_above_threshold"),
        // 31 August and six months: the last day of February.
        (DSS, &family(&["2026-08-31"]), 0, 1, "2027-02-28", &none, "2000 rank 1"),
        (DSS, &family(&["2026-08-31"]), 0, 1, "2027-03-01", &none, "grant_out_of_time"),
        (DSS, &family(&["2023-10-01"]), 0, 1, "2023-11-30", &none, "grant_not_in_force"),
        (DSS, &family(&["2023-10-01"]), 0, 1, "2023-12-01", &none, "2000 rank 1"),
    ];
    for (rules, household, child, rank, claimed, paid, expected) in rows {
        let found = judged(rules, household, child, rank, claimed, paid);
        assert_eq!(found, expected, "rank {rank} claimed on {claimed} {paid:?}");
    }
}

/// A child from words: date of birth, first day in care, then any of `left DATE`, `†DATE`.
fn in_care(words: &str) -> ChildInCare {
    let days: Vec<&str> = words.split(' ').collect();
    let after = |word: &str| -> Option<Date> {
        let at = days.iter().position(|d| *d == word)?;
        Some(date(days[at + 1]))
    };
    ChildInCare {
        row: 1,
        id: HouseholdId::parse(b"D1").unwrap(),
        place: PlaceId(0),
        institution: "Foyer".into(),
        child: Idcs::from_stem(300_000_000),
        name: "A".into(),
        name_ar: String::new(),
        birth_date: date(days[0]),
        ground: CareGround::Orphan,
        since: date(days[1]),
        until: after("left"),
        deceased_on: after("died"),
        account: String::new(),
    }
}

/// What is done, in one line: `1000 = 2026-10 500 + 2026-11 500; released 10000`, or the refusal's code.
fn paid_in(rules: &str, at: &str, words: &str, paid: &PaidIn) -> String {
    let programme = Programme::from_toml(rules).unwrap();
    let found = judge_deposit(&programme, period(at), &in_care(words), paid);
    let lines = explain(&programme, period(at), &found.lines).unwrap();
    let sum: Centimes = found.lines.iter().map(|l| l.amount).sum();
    let text: Vec<String> = lines
        .iter()
        .map(|l| match l.code {
            "deposit" => format!("{} {}", l.month, l.amount.get() / 100),
            code => format!("{code} {}", l.amount.get() / 100),
        })
        .collect();
    assert_eq!(found.lines.is_empty(), found.refusal.is_some());
    let mut out = match found.refusal {
        Some(refusal) => {
            assert!(explain_exclusion(refusal.as_str()).is_some());
            refusal.to_string()
        }
        None => format!("{} = {}", sum.get() / 100, text.join(" + ")),
    };
    if let Some(release) = found.release {
        out.push_str(&format!("; {} on {}", release.amount.get() / 100, release.of_age_on));
    }
    out
}

#[test]
fn deposits_accrue_by_month_and_are_released_at_majority() {
    let none = PaidIn::default();
    let months = |months: &[&str], mad: i64| PaidIn {
        months: months.iter().map(|m| period(m)).collect(),
        amount: Centimes::from_mad(mad),
        released: false,
    };
    let until_oct = months(
        &[
            "2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07", "2026-08",
            "2026-09", "2026-10",
        ],
        5_000,
    );
    let until_nov =
        PaidIn { months: [until_oct.months.clone(), vec![period("2026-11")]].concat(), ..until_oct.clone() };
    let rich = PaidIn { amount: Centimes::from_mad(30_000), ..until_oct.clone() };
    let rich_nov = PaidIn { amount: Centimes::from_mad(30_500), ..until_nov.clone() };
    let released = PaidIn { released: true, ..until_oct.clone() };
    let all = DSS.replace("minimum_for = \"in_care\"", "minimum_for = \"all\"");
    let reach = DSS.replace("months_back = 12", "months_back = 1");
    let leap = DSS.replace("ties = \"id\"", "leap_birthday = \"february_28\", ties = \"id\"");
    let rows: [(&str, &str, &str, &PaidIn, &str); 23] = [
        (DSS, "2026-11", "2015-05-05 2020-01-01", &until_oct, "500 = 2026-11 500"),
        (DSS, "2026-11", "2015-05-05 2020-01-01", &until_nov, "deposit_nothing_due"),
        (DSS, "2026-11", "2015-05-05 2026-10-31", &none, "1000 = 2026-10 500 + 2026-11 500"),
        (DSS, "2026-11", "2015-05-05 2026-11-30", &none, "500 = 2026-11 500"),
        (DSS, "2026-11", "2015-05-05 2026-12-01", &none, "deposit_nothing_due"),
        // Nothing before the amounts are in force; a month that was missed is paid in later, within reach.
        (DSS, "2026-02", "2015-05-05 2020-01-01", &none, "1000 = 2026-01 500 + 2026-02 500"),
        (
            DSS,
            "2026-11",
            "2015-05-05 2020-01-01",
            &months(
                &[
                    "2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07", "2026-09",
                    "2026-10",
                ],
                4_500,
            ),
            "1000 = 2026-08 500 + 2026-11 500",
        ),
        (&reach, "2026-11", "2015-05-05 2020-01-01", &months(&["2026-10"], 500), "500 = 2026-11 500"),
        (&reach, "2026-11", "2015-05-05 2020-01-01", &none, "1000 = 2026-10 500 + 2026-11 500"),
        (DSS, "2025-12", "2015-05-05 2020-01-01", &none, "deposit_not_in_force"),
        // Left in October, died in November.
        (DSS, "2026-11", "2015-05-05 2020-01-01 left 2026-10-31", &until_oct, "deposit_nothing_due"),
        (DSS, "2026-11", "2015-05-05 2020-01-01 left 2026-11-01", &until_oct, "500 = 2026-11 500"),
        (DSS, "2026-11", "2015-05-05 2020-01-01 died 2026-11-02", &until_oct, "500 = 2026-11 500"),
        (DSS, "2026-11", "2015-05-05 2020-01-01 died 2026-10-31", &until_oct, "deposit_child_deceased"),
        // Of age in the month: the month itself, what makes up the minimum, and the release.
        (
            DSS,
            "2026-11",
            "2008-11-15 2020-01-01",
            &until_oct,
            "5000 = 2026-11 500 + deposit_top_up 4500; 10000 on 2026-11-15",
        ),
        (DSS, "2026-11", "2008-11-15 2020-01-01", &rich, "500 = 2026-11 500; 30500 on 2026-11-15"),
        (DSS, "2026-12", "2008-11-30 2020-01-01", &rich_nov, "deposit_released; 30500 on 2026-11-30"),
        (DSS, "2026-11", "2008-11-01 2020-01-01", &rich, "deposit_released; 30000 on 2026-11-01"),
        (DSS, "2026-11", "2008-11-15 2020-01-01", &released, "deposit_released_before"),
        // Who had left before coming of age has no right to the minimum, unless the terms say so.
        (
            DSS,
            "2026-11",
            "2008-11-15 2020-01-01 left 2026-06-30",
            &months(&["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"], 3_000),
            "deposit_released; 3000 on 2026-11-15",
        ),
        (
            &all,
            "2026-11",
            "2008-11-15 2020-01-01 left 2026-06-30",
            &months(&["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"], 3_000),
            "7000 = deposit_top_up 7000; 10000 on 2026-11-15",
        ),
        // Who came of age before anything was paid in is not released.
        (DSS, "2026-11", "2007-11-15 2020-01-01", &none, "deposit_nothing_due"),
        // Born on 29 February: of age on 1 March, or by the setting a day earlier.
        (
            &leap,
            "2026-02",
            "2008-02-29 2020-01-01",
            &months(&["2026-01"], 500),
            "9500 = 2026-02 500 + deposit_top_up 9000; 10000 on 2026-02-28",
        ),
    ];
    for (rules, at, child, paid, expected) in rows {
        assert_eq!(paid_in(rules, at, child, paid), expected, "{at} {child}");
    }
    let in_march = paid_in(DSS, "2026-02", "2008-02-29 2020-01-01", &months(&["2026-01"], 500));
    assert_eq!(in_march, "500 = 2026-02 500");
}
