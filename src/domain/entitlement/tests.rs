//! Households worked out by hand for each column of the table, and properties that hold for any household.

use proptest::prelude::*;
use time::Date;

use super::*;
use crate::domain::household::{Household, Member, SchoolCycle, SchoolSector, Score, Sex};
use crate::domain::ids::Code;
use crate::domain::person::Idcs;

pub(super) const DSS: &str = include_str!("../../../config/programmes/dss.toml");
const TAYSSIR: &str = include_str!("../../../config/programmes/tayssir.toml");
const WIDOWS: &str = include_str!("../../../config/programmes/widows.toml");

pub(super) fn date(text: &str) -> Date {
    Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).unwrap()
}

/// A member from words: date of birth, then any of `primary college lycee private orphan disabled institution`,
/// `†date` for a death, `#n` for the registry number. A cycle means "in school", public unless `private`.
fn member(place: usize, words: &str) -> Member {
    let mut words = words.split(' ');
    let mut m = Member {
        idcs: Idcs::from_stem(300_000_000 + place as u32),
        birth_date: date(words.next().unwrap()),
        sex: Sex::Female,
        in_school: false,
        school_cycle: None,
        school_sector: None,
        father_orphan: false,
        severe_disability: false,
        in_institution: false,
        deceased_on: None,
    };
    for word in words {
        match word {
            "private" => m.school_sector = Some(SchoolSector::Private),
            "orphan" => m.father_orphan = true,
            "disabled" => m.severe_disability = true,
            "institution" => m.in_institution = true,
            _ if word.starts_with('†') => m.deceased_on = Some(date(word.trim_start_matches('†'))),
            _ if word.starts_with('#') => {
                m.idcs = Idcs::from_stem(200_000_000 + word[1..].parse::<u32>().unwrap())
            }
            cycle => {
                m.in_school = true;
                m.school_cycle = Some(SchoolCycle::parse(cycle).unwrap());
                m.school_sector = Some(SchoolSector::Public);
            }
        }
    }
    m
}

pub(super) fn household(members: Vec<Member>) -> Household {
    Household { members, ..Household::sample() }
}

pub(super) fn family(members: &[&str]) -> Household {
    let parents = ["1985-04-02", "1988-09-30"];
    household(parents.iter().chain(members).enumerate().map(|(i, words)| member(i, words)).collect())
}

/// Assesses and puts the result in one line: `600.00 = child_0_5 300.00 + …`, or the reason.
fn assessed(rules: &str, period: &str, household: &Household) -> String {
    let programme = Programme::from_toml(rules).unwrap();
    let period: Period = period.parse().unwrap();
    let mut buffers = Assessment::default();
    match Assessor::new(&programme, period).unwrap().assess(household, &mut buffers) {
        Outcome::Excluded(reason) => {
            assert!(buffers.components().is_empty());
            reason.to_string()
        }
        Outcome::Due(amount) => {
            let lines = explain(&programme, period, buffers.components()).unwrap();
            let text: Vec<_> = lines.iter().map(|l| format!("{} {}", l.code, l.amount.get() / 100)).collect();
            format!("{} = {}", amount.get() / 100, text.join(" + "))
        }
    }
}

#[track_caller]
fn check(rules: &str, period: &str, members: &[&str], expected: &str) {
    assert_eq!(assessed(rules, period, &family(members)), expected, "{period} {members:?}");
}

#[test]
fn the_table_column_by_column() {
    let two = ["2022-06-01", "2017-03-10 primary"];
    check(DSS, "2026-01", &two, "600 = child_in_school 300 + child_0_5 300");
    check(DSS, "2025-12", &two, "500 = child_in_school 250 + child_0_5 250");
    check(DSS, "2025-10", &two, "500 = child_in_school 200 + child_0_5 200 + floor_top_up 100");
    let out_of_school = ["2015-05-05"];
    check(DSS, "2026-01", &out_of_school, "500 = child_not_in_school 200 + floor_top_up 300");
    check(DSS, "2025-11", &out_of_school, "500 = child_not_in_school 175 + floor_top_up 325");
    check(DSS, "2024-03", &out_of_school, "500 = child_not_in_school 150 + floor_top_up 350");
    let orphans = ["2014-01-01 college orphan", "2021-01-01 orphan"];
    check(DSS, "2026-03", &orphans, "800 = orphan_in_school 400 + orphan_0_5 400");
    check(DSS, "2025-12", &orphans, "750 = orphan_in_school 375 + orphan_0_5 375");
    check(DSS, "2025-03", &orphans, "700 = orphan_in_school 350 + orphan_0_5 350");
    // An orphan who has left school is paid as any other child out of school.
    check(DSS, "2026-03", &["2010-01-01 orphan"], "500 = child_not_in_school 200 + floor_top_up 300");
    for period in ["2024-02", "2025-11", "2026-01"] {
        check(DSS, period, &[], "500 = flat_rate 500");
        check(DSS, period, &["2000-01-01"], "500 = flat_rate 500");
    }
}

#[test]
fn ranks_and_the_disability_supplement() {
    let seven: Vec<String> = (2013..2020).map(|y| format!("{y}-02-01 primary")).collect();
    let mut seven: Vec<&str> = seven.iter().map(String::as_str).collect();
    let rank_1_to_6 = "child_in_school 300 + child_in_school 300 + child_in_school 300 + \
                       child_in_school_rank_4_6 36 + child_in_school_rank_4_6 36 + child_in_school_rank_4_6 36";
    check(DSS, "2026-03", &seven, &format!("1008 = {rank_1_to_6}"));
    seven[6] = "2019-02-01 primary disabled";
    check(DSS, "2026-03", &seven, &format!("1108 = {rank_1_to_6} + disability 100"));
    // Ranks 4 to 6 of orphans are paid as those of other children; a fourth child out of school gets 24.
    let four = ["2008-01-01", "2009-01-01", "2010-01-01", "2011-01-01 orphan"];
    check(
        DSS,
        "2026-03",
        &four,
        "624 = child_not_in_school 200 + child_not_in_school 200 + child_not_in_school 200 + \
         child_not_in_school_rank_4_6 24",
    );
    check(
        DSS,
        "2026-03",
        &["2010-01-01 disabled"],
        "500 = child_not_in_school 200 + disability 100 + floor_top_up 200",
    );
}

#[test]
fn back_to_school_in_september_only() {
    let pupils = ["2009-01-01 lycee", "2015-01-01 primary", "2016-01-01 primary private"];
    check(DSS, "2026-08", &pupils, "900 = child_in_school 300 + child_in_school 300 + child_in_school 300");
    check(
        DSS,
        "2026-09",
        &pupils,
        "1400 = child_in_school 300 + back_to_school_lycee 300 + child_in_school 300 + back_to_school 200 + \
         child_in_school 300",
    );
    // At most six children, both rules together: the seventh pupil, of whatever cycle, is not paid.
    let mut eight = vec!["2008-01-01 lycee"; 1];
    eight.extend(["2013-01-01 college", "2014-01-01 primary", "2014-06-01 primary", "2015-01-01 primary"]);
    eight.extend(["2015-12-01 primary", "2016-12-01 primary", "2018-01-01 primary"]);
    let programme = Programme::from_toml(DSS).unwrap();
    let period = "2026-09".parse().unwrap();
    let mut buffers = Assessment::default();
    let outcome = Assessor::new(&programme, period).unwrap().assess(&family(&eight), &mut buffers);
    assert_eq!(outcome, Outcome::Due(Centimes::from_mad(3 * 300 + 3 * 36 + 300 + 5 * 200)));
}

#[test]
fn ages_are_completed_years_on_the_last_day() {
    let young = "500 = child_0_5 300 + floor_top_up 200";
    let older = "500 = child_not_in_school 200 + floor_top_up 300";
    for (born, period, expected) in [
        ("2020-03-31", "2026-03", older),
        ("2020-04-01", "2026-03", young),
        // Born on 29 February: the birthday of a common year is 1 March.
        ("2020-02-29", "2026-02", young),
        ("2020-02-29", "2026-03", older),
        ("2026-03-31", "2026-03", young),
        ("2026-04-01", "2026-03", "500 = flat_rate 500"),
        ("2005-04-01", "2026-03", older),
        ("2005-03-31", "2026-03", "500 = flat_rate 500"),
    ] {
        check(DSS, period, &[born], expected);
    }
    let at_start = DSS.replace("end_of_period", "start_of_period");
    check(&at_start, "2026-03", &["2020-03-31"], young);
    check(&at_start, "2026-03", &["2020-03-01"], older);
    check(&at_start, "2026-03", &["2026-03-02"], "500 = flat_rate 500");
}

#[test]
fn twins_rank_by_registry_number() {
    let twins = ["2008-01-01 #9", "2015-01-01 primary #5", "2015-01-01 #4", "2012-01-01 primary #8"];
    let three = "child_not_in_school 200 + child_in_school 300";
    check(
        DSS,
        "2026-03",
        &twins,
        &format!("736 = {three} + child_not_in_school 200 + child_in_school_rank_4_6 36"),
    );
    let other = ["2008-01-01 #9", "2015-01-01 primary #4", "2015-01-01 #5", "2012-01-01 primary #8"];
    check(
        DSS,
        "2026-03",
        &other,
        &format!("824 = {three} + child_in_school 300 + child_not_in_school_rank_4_6 24"),
    );
    let youngest = DSS.replace("eldest_first", "youngest_first");
    check(
        &youngest,
        "2026-03",
        &other,
        "824 = child_in_school 300 + child_not_in_school 200 + child_in_school 300 + child_not_in_school_rank_4_6 24",
    );
}

#[test]
fn deaths_and_institutions() {
    let one = "500 = child_in_school 300 + floor_top_up 200";
    let both = "600 = child_in_school 300 + child_in_school 300";
    for (second, expected) in [
        ("2016-01-01 primary †2026-02-28", one),
        ("2016-01-01 primary †2026-03-01", both),
        ("2016-01-01 primary †2026-03-31", both),
        ("2016-01-01 primary †2026-05-01", both),
        ("2016-01-01 primary institution", one),
    ] {
        check(DSS, "2026-03", &["2015-01-01 primary", second], expected);
    }
    let through = DSS.replace("before_period", "through_period");
    check(&through, "2026-03", &["2015-01-01 primary", "2016-01-01 primary †2026-03-31"], one);
    check(&through, "2026-03", &["2015-01-01 primary", "2016-01-01 primary †2026-04-01"], both);
    let counted = DSS.replace("institution = \"excluded\"", "institution = \"counted\"");
    check(&counted, "2026-03", &["2015-01-01 primary", "2016-01-01 primary institution"], both);
}

#[test]
fn arrears_are_assessed_month_by_month() {
    // Six in January 2024, five in December 2023: two lines, each under its own month.
    check(
        DSS,
        "2024-01",
        &["2018-01-15"],
        "1000 = child_not_in_school 150 + floor_top_up 350 + child_0_5 200 + floor_top_up 300",
    );
    check(DSS, "2024-02", &["2018-01-15"], "500 = child_not_in_school 150 + floor_top_up 350");
}

#[test]
fn legacy_programmes() {
    let pupils = [
        "2009-01-01 lycee",
        "2012-01-01 college",
        "2014-01-01 primary",
        "2015-01-01 primary",
        "2016-01-01 primary",
    ];
    check(TAYSSIR, "2026-03", &pupils, "300 = college 140 + primary 80 + primary 80");
    check(TAYSSIR, "2026-03", &["2012-01-01"], "nothing_due");
    let orphans =
        ["2009-01-01 lycee orphan", "2012-01-01 orphan disabled", "2014-01-01 orphan", "2022-01-01 orphan"];
    check(WIDOWS, "2026-03", &orphans, "1050 = orphan_in_school 350 + orphan_disabled 350 + orphan_0_5 350");
    let four = [&orphans[..], &["2023-01-01 orphan"]].concat();
    check(
        WIDOWS,
        "2026-03",
        &four,
        "1050 = orphan_in_school 350 + orphan_disabled 350 + orphan_0_5 350 + orphan_0_5 350 + cap -350",
    );
    check(WIDOWS, "2026-03", &[], "nothing_due");
}

#[test]
fn what_is_kept_out_of_the_floor_comes_on_top_of_it() {
    let on_top = DSS.replace(
        "amount = \"200.00\", label = { fr = \"rentrée",
        "in_floor = false, amount = \"200.00\", label = { fr = \"rentrée",
    );
    assert_ne!(on_top, DSS);
    let pupil = ["2015-01-01 primary"];
    check(DSS, "2026-09", &pupil, "500 = child_in_school 300 + back_to_school 200");
    check(&on_top, "2026-09", &pupil, "700 = child_in_school 300 + back_to_school 200 + floor_top_up 200");
}

/// The shipped rules with one setting changed.
fn with_setting(rules: &str, replace: &str, by: &str) -> String {
    assert!(rules.contains(replace), "`{replace}` stands in the file");
    rules.replace(replace, by)
}

#[test]
fn what_the_sources_leave_open_is_a_setting() {
    let child = "child = { age_basis = \"end_of_period\",";
    let set = |key: &str| with_setting(DSS, child, &format!("{child} {key},"));
    let death = |rule: &str| with_setting(DSS, "death = \"before_period\"", &format!("death = \"{rule}\""));
    let floor = with_setting(DSS, "floor = \"500.00\"", "floor_counts = \"base\"\nfloor = \"500.00\"");
    let twenty = "500 = child_in_school 300 + floor_top_up 200";
    let gone = "500 = flat_rate 500";
    // Each row: rules, month, members, what is due. The first of each group is the default.
    let rows: [(&str, &str, &[&str], &str); 24] = [
        // Turning 21 on the last day of the month.
        (DSS, "2026-03", &["2005-03-31 higher"], gone),
        (DSS, "2026-03", &["2005-04-01 higher"], twenty),
        (&set("birthday = \"younger\""), "2026-03", &["2005-03-31 higher"], twenty),
        (&set("birthday = \"younger\""), "2026-03", &["2005-03-30 higher"], gone),
        (
            &set("birthday = \"younger\""),
            "2026-03",
            &["2026-03-31"],
            "500 = child_0_5 300 + floor_top_up 200",
        ),
        (&set("birthday = \"younger\""), "2026-03", &["2026-04-01"], gone),
        // Turning 6 on the last day.
        (DSS, "2026-03", &["2020-03-31"], "500 = child_not_in_school 200 + floor_top_up 300"),
        (
            &set("birthday = \"younger\""),
            "2026-03",
            &["2020-03-31"],
            "500 = child_0_5 300 + floor_top_up 200",
        ),
        // Born on 29 February: 6 on 1 March or on 28 February; 2028 has a day of its own.
        (DSS, "2026-02", &["2020-02-29"], "500 = child_0_5 300 + floor_top_up 200"),
        (
            &set("leap_birthday = \"february_28\""),
            "2026-02",
            &["2020-02-29"],
            "500 = child_not_in_school 200 + floor_top_up 300",
        ),
        (
            &set("leap_birthday = \"february_28\""),
            "2026-02",
            &["2020-03-01"],
            "500 = child_0_5 300 + floor_top_up 200",
        ),
        (DSS, "2026-03", &["2020-02-29"], "500 = child_not_in_school 200 + floor_top_up 300"),
        (&set("leap_birthday = \"february_28\""), "2028-02", &["2008-02-29 higher"], twenty),
        (DSS, "2025-02", &["2004-02-29 higher"], "500 = child_in_school 200 + floor_top_up 300"),
        (&set("leap_birthday = \"february_28\""), "2025-02", &["2004-02-29 higher"], gone),
        // Death on the first of the month.
        (DSS, "2026-03", &["2022-01-01 †2026-02-28"], gone),
        (DSS, "2026-03", &["2022-01-01 †2026-03-01"], "500 = child_0_5 300 + floor_top_up 200"),
        (&death("through_first_day"), "2026-03", &["2022-01-01 †2026-03-01"], gone),
        (
            &death("through_first_day"),
            "2026-03",
            &["2022-01-01 †2026-03-02"],
            "500 = child_0_5 300 + floor_top_up 200",
        ),
        (&death("through_period"), "2026-03", &["2022-01-01 †2026-03-31"], gone),
        // Supplements inside the floor or above it.
        (DSS, "2026-03", &["2022-01-01 disabled"], "500 = child_0_5 300 + disability 100 + floor_top_up 100"),
        (
            &floor,
            "2026-03",
            &["2022-01-01 disabled"],
            "600 = child_0_5 300 + disability 100 + floor_top_up 200",
        ),
        (
            &floor,
            "2026-09",
            &["2015-01-01 primary"],
            "700 = child_in_school 300 + back_to_school 200 + floor_top_up 200",
        ),
        (&floor, "2026-03", &[], gone),
    ];
    for (rules, month, members, expected) in rows {
        check(rules, month, members, expected);
    }
}

#[test]
fn disability_is_bounded_by_rank_where_a_setting_says_so() {
    let rule = "{ code = \"disability\", kind = \"supplement\",";
    let seven: Vec<String> = (0..7).map(|i| format!("{}-01-01 primary disabled", 2012 + i)).collect();
    let seven: Vec<&str> = seven.iter().map(String::as_str).collect();
    for (bound, children) in [("", 7), (" rank_max = 6,", 6), (" rank_max = 3,", 3)] {
        let rules = with_setting(DSS, rule, &format!("{rule}{bound}"));
        let due = assessed(&rules, "2026-03", &family(&seven));
        assert_eq!(due.matches("disability 100").count(), children, "{bound}");
        assert!(due.starts_with(&format!("{} = ", 900 + 108 + 100 * children)), "{bound}: {due}");
    }
}

#[test]
fn a_quota_takes_the_eldest_or_the_dearest() {
    let dearest = DSS.replace("floor = \"500.00\"", "quota_order = \"amount\"\nfloor = \"500.00\"");
    // The youngest is the only one at a lycée.
    let mut pupils: Vec<String> = (0..6).map(|i| format!("{}-01-01 primary", 2014 + i)).collect();
    pupils.push("2020-06-01 lycee".to_owned());
    let pupils: Vec<&str> = pupils.iter().map(String::as_str).collect();
    let premium = |rules: &str| {
        let due = assessed(rules, "2026-09", &family(&pupils));
        (due.matches("back_to_school 200").count(), due.matches("back_to_school_lycee 300").count(), due)
    };
    let (primary, lycee, by_rank) = premium(DSS);
    assert_eq!((primary, lycee), (6, 0), "{by_rank}");
    let (primary, lycee, by_amount) = premium(&dearest);
    assert_eq!((primary, lycee), (5, 1), "{by_amount}");
    // Of equal amounts the lower ranks; nothing else moves.
    check(&dearest, "2026-03", &["2022-01-01"], "500 = child_0_5 300 + floor_top_up 200");
    // Base rules with a quota too: the dearest three of four pupils.
    let tayssir = TAYSSIR.replace("rules = [", "quota_order = \"amount\"\nrules = [");
    let four = ["2014-01-01 primary", "2015-01-01 primary", "2016-01-01 primary", "2016-06-01 college"];
    check(TAYSSIR, "2026-03", &four, "240 = primary 80 + primary 80 + primary 80");
    check(&tayssir, "2026-03", &four, "300 = primary 80 + primary 80 + college 140");
}

#[test]
fn legacy_programmes_that_are_folded_in() {
    let disability = include_str!("../../../config/programmes/disability.toml");
    let bags = include_str!("../../../config/programmes/school_bags.toml");
    let fund = include_str!("../../../config/programmes/family_fund.toml");
    check(disability, "2026-03", &["2015-01-01 disabled", "2016-01-01"], "500 = disabled_child 500");
    check(disability, "2026-03", &["2016-01-01"], "nothing_due");
    let pupils = ["2012-01-01 college", "2014-01-01 primary", "2015-01-01 primary private", "2019-01-01"];
    check(bags, "2026-09", &pupils, "350 = bag_college 200 + bag_primary 150");
    let bags = Programme::from_toml(bags).unwrap();
    assert!(bags.pays_in("2026-09".parse().unwrap()) && !bags.pays_in("2026-10".parse().unwrap()));
    check(fund, "2026-03", &["2015-01-01", "2016-01-01"], "700 = maintenance 350 + maintenance 350");
    let four = ["2012-01-01", "2014-01-01", "2015-01-01", "2019-01-01"];
    check(
        fund,
        "2026-03",
        &four,
        "1050 = maintenance 350 + maintenance 350 + maintenance 350 + maintenance 350 + cap -350",
    );
}

#[test]
fn eligibility() {
    let base = || family(&["2022-01-01"]);
    let code = |text: &str| Some(Code::parse(text).unwrap());
    for (h, dss, tayssir) in [
        (base(), "500 = child_0_5 300 + floor_top_up 200", "nothing_due"),
        (
            Household { rsu_score: Score(9_743_002), ..base() },
            "score_above_threshold",
            "score_above_threshold",
        ),
        (Household { head_resident: false, ..base() }, "head_not_resident", "head_not_resident"),
        (Household { excluded_by: code("public_job"), ..base() }, "public_job", "public_job"),
        // Tayssir heeds only the codes it lists.
        (Household { excluded_by: code("pension"), ..base() }, "pension", "nothing_due"),
        (Household { excluded_by: code("family_allowance"), ..base() }, "family_allowance", "nothing_due"),
        (Household { excluded_by: code("vehicle"), ..base() }, "excluded_by_registry", "nothing_due"),
    ] {
        assert_eq!(assessed(DSS, "2026-03", &h), dss);
        assert_eq!(assessed(TAYSSIR, "2026-03", &h), tayssir);
    }
    let before = Assessor::new(&Programme::from_toml(DSS).unwrap(), "2023-11".parse().unwrap());
    assert_eq!(before.unwrap_err(), NoRules { month: "2023-11".parse().unwrap() });
}

#[test]
fn explanations_name_the_month_and_refuse_another_rule_set() {
    let dss = Programme::from_toml(DSS).unwrap();
    let period: Period = "2024-01".parse().unwrap();
    let mut buffers = Assessment::default();
    Assessor::new(&dss, period).unwrap().assess(&family(&["2020-01-01"]), &mut buffers);
    let lines = explain(&dss, period, buffers.components()).unwrap();
    let got: Vec<_> = lines.iter().map(|l| (l.code, l.month.to_string(), l.member, l.rank, l.age)).collect();
    let month = |m: &str| m.to_owned();
    assert_eq!(got[0], ("child_0_5", month("2024-01"), Some(2), 1, 4));
    assert_eq!(got[2], ("child_0_5", month("2023-12"), Some(2), 1, 3));
    assert_eq!(got[3], ("floor_top_up", month("2023-12"), None, 0, 0));
    let widows = Programme::from_toml(WIDOWS).unwrap();
    assert_eq!(explain(&widows, period, buffers.components()).unwrap_err(), ExplainError::Month(1));
    let far = Component { rule: 200, month: 0, ..buffers.components()[0] };
    assert_eq!(
        explain(&widows, period, &[far]).unwrap_err(),
        ExplainError::Rule { rule: 200, month: period }
    );
}

/// The table of 2026 written down a second time, straight from the domain page, as a check on rules and engine.
fn by_hand(members: &[Member], september: bool) -> i64 {
    let (first, last) = if september {
        (date("2026-09-01"), date("2026-09-30"))
    } else {
        (date("2026-03-01"), date("2026-03-31"))
    };
    let age = |m: &Member| {
        let before_birthday =
            (last.month() as u8, last.day()) < (m.birth_date.month() as u8, m.birth_date.day());
        last.year() - m.birth_date.year() - i32::from(before_birthday)
    };
    let counts = |m: &&Member| {
        (0..=20).contains(&age(m)) && m.deceased_on.is_none_or(|d| d >= first) && !m.in_institution
    };
    let mut children: Vec<&Member> = members.iter().filter(counts).collect();
    children.sort_by_key(|m| (m.birth_date, m.idcs));
    if children.is_empty() {
        return 500;
    }
    let (mut sum, mut pupils) = (0, 0);
    for (i, m) in children.iter().enumerate() {
        let schooled = age(m) <= 5 || m.in_school;
        sum += match (i, schooled) {
            (0..3, true) if m.father_orphan => 400,
            (0..3, true) => 300,
            (0..3, false) => 200,
            (3..6, true) => 36,
            (3..6, false) => 24,
            _ => 0,
        };
        sum += if m.severe_disability { 100 } else { 0 };
        let premium = match (m.in_school && m.school_sector == Some(SchoolSector::Public), m.school_cycle) {
            (true, Some(SchoolCycle::Primary | SchoolCycle::College)) => 200,
            (true, Some(SchoolCycle::Lycee)) => 300,
            _ => 0,
        };
        if september && premium > 0 && pupils < 6 {
            pupils += 1;
            sum += premium;
        }
    }
    sum.max(500)
}

fn any_member() -> impl Strategy<Value = Member> {
    let born = (-9_500i64..100).prop_map(|days| date("2026-09-01") + time::Duration::days(days));
    let school = (any::<bool>(), 0u8..6, 0u8..3);
    (
        born,
        school,
        prop::array::uniform3(prop::bool::weighted(0.2)),
        prop::option::weighted(0.1, -400i64..400),
    )
        .prop_map(|(birth_date, (in_school, cycle, sector), [orphan, disabled, institution], died)| {
            Member {
                birth_date,
                in_school,
                school_cycle: SchoolCycle::from_number(cycle),
                school_sector: SchoolSector::from_number(sector),
                father_orphan: orphan,
                severe_disability: disabled,
                in_institution: institution,
                deceased_on: died.map(|d| date("2026-06-01") + time::Duration::days(d)),
                ..member(0, "2000-01-01")
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn any_household_is_due_what_the_table_says(
        (members, shuffled) in prop::collection::vec(any_member(), 0..12)
            .prop_map(|mut members| {
                members.iter_mut().enumerate().for_each(|(i, m)| m.idcs = Idcs::from_stem(400_000_000 - i as u32));
                members
            })
            .prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle())),
        september: bool,
    ) {
        let programme = Programme::from_toml(DSS).unwrap();
        let period = if september { "2026-09" } else { "2026-03" }.parse().unwrap();
        let assessor = Assessor::new(&programme, period).unwrap();
        let mut buffers = Assessment::default();
        let expected = by_hand(&members, september);
        let outcome = assessor.assess(&household(shuffled), &mut buffers);
        let again = assessor.assess(&household(members), &mut buffers);
        prop_assert_eq!(outcome, again);
        // A household whose only children have a rank beyond 6 cannot be: something is always due.
        prop_assert_eq!(outcome, Outcome::Due(Centimes::from_mad(expected)));
        let listed: Centimes = buffers.components().iter().map(|c| c.amount).sum();
        prop_assert_eq!(listed, Centimes::from_mad(expected));
        let mut bytes = Vec::new();
        encode_components(buffers.components(), &mut bytes);
        prop_assert_eq!(decode_components(&bytes).unwrap(), buffers.components());
        explain(&programme, period, buffers.components()).unwrap();
    }
}
