//! Programme files: the shipped ones, and what is refused.

use super::*;

const SHIPPED: [&str; 6] = [
    include_str!("../../../config/programmes/dss.toml"),
    include_str!("../../../config/programmes/tayssir.toml"),
    include_str!("../../../config/programmes/widows.toml"),
    include_str!("../../../config/programmes/disability.toml"),
    include_str!("../../../config/programmes/family_fund.toml"),
    include_str!("../../../config/programmes/school_bags.toml"),
];

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

#[test]
fn shipped_programmes_read() {
    for (text, code) in
        SHIPPED.iter().zip(["dss", "tayssir", "widows", "disability", "family_fund", "school_bags"])
    {
        let programme = Programme::from_toml(text).unwrap_or_else(|e| panic!("{code}: {e:?}"));
        assert_eq!(programme.code().as_str(), code);
        assert_eq!(programme.fingerprint_input(), *text);
        assert!(programme.budget(2026).is_some() && programme.budget(1999).is_none());
        for other in programme.not_with() {
            assert!(SHIPPED.iter().any(|t| t.contains(&format!("code = \"{other}\""))), "{code}: {other}");
        }
    }
}

#[test]
fn what_no_source_gives_is_marked_so() {
    for text in SHIPPED {
        let programme = Programme::from_toml(text).unwrap();
        let unverified: Vec<String> =
            programme.versions().iter().filter(|v| !v.verified).map(|v| v.from.to_string()).collect();
        // Of direct social support only the month in which the amounts of 2026 start is not public.
        match programme.code().as_str() {
            "dss" => assert_eq!(unverified, ["2026-01"]),
            code => assert_eq!(unverified.len(), programme.versions().len(), "{code}"),
        }
    }
}

#[test]
fn grants_and_deposits_have_terms_of_their_own() {
    let dss = Programme::from_toml(SHIPPED[0]).unwrap();
    let mad = |amounts: &[i64]| amounts.iter().map(|a| Centimes::from_mad(*a)).collect::<Vec<_>>();
    for (at, deposit) in [("2023-12", None), ("2025-12", None), ("2026-01", Some(500))] {
        let version = dss.version_at(period(at)).unwrap();
        let grant = version.birth_grant.as_ref().unwrap();
        assert_eq!((grant.amounts.clone(), grant.claim_months), (mad(&[2_000, 1_000]), 6), "{at}");
        assert_eq!(version.deposit.as_ref().map(|d| d.amount), deposit.map(Centimes::from_mad), "{at}");
    }
    let terms = dss.version_at(period("2026-01")).unwrap().deposit.clone().unwrap();
    assert_eq!(
        (terms.holder.as_str(), terms.minimum, terms.majority_age),
        ("cdg", Centimes::from_mad(10_000), 18)
    );
}

#[test]
fn versions_and_months_by_period() {
    let dss = Programme::from_toml(SHIPPED[0]).unwrap();
    for (at, from) in [
        ("2023-11", None),
        ("2023-12", Some("2023-12")),
        ("2025-10", Some("2023-12")),
        ("2025-11", Some("2025-11")),
        ("2025-12", Some("2025-11")),
        ("2026-01", Some("2026-01")),
        ("2030-06", Some("2026-01")),
    ] {
        assert_eq!(dss.version_at(period(at)).map(|v| v.from), from.map(period), "{at}");
    }
    assert!(
        !dss.pays_in(period("2023-11")) && !dss.pays_in(period("2023-12")) && dss.pays_in(period("2024-01"))
    );
    assert_eq!(dss.months_due(period("2024-01")), [period("2024-01"), period("2023-12")]);
    assert_eq!(dss.months_due(period("2024-02")), [period("2024-02")]);
    let tayssir = Programme::from_toml(SHIPPED[1]).unwrap();
    assert!(tayssir.pays_in(period("2026-06")) && !tayssir.pays_in(period("2026-07")));
    assert_eq!((dss.purpose_code().as_str(), tayssir.category_purpose().as_str()), ("SSBE", "GOVT"));
}

const SOUND: &str = r#"
code = "p"
name = { fr = "p", ar = "p", en = "p" }
purpose = "monthly"
purpose_code = "SSBE"
category_purpose = "SSBE"
months = [1, 2, 3]
not_with = ["q"]
arrears = [{ paid_in = "2026-02", covers = ["2026-01"] }]
budget = { 2026 = "1000.00" }
eligibility = { score_max = "9.5", excluded_by = ["pension"] }
[[versions]]
from = "2025-01"
floor = "10.00"
cap = "90.00"
rules = [{ code = "a", kind = "base", amount = "20.00", rank_min = 1, rank_max = 3, label = { fr = "a", en = "a" } }]
[[versions]]
from = "2026-01"
rules = [
  { code = "b", kind = "base", amount = "20.00", age_min = 1, age_max = 3, label = { fr = "b", en = "b" } },
  { code = "c", kind = "supplement", amount = "5.00", max_children = 2, quota = "k", label = { fr = "c", en = "c" } },
]
"#;

/// Replaces one piece of a sound file and expects the message (with its sources) to hold every piece asked for.
fn check_refused(replace: &str, by: &str, message: &[&str]) {
    assert_eq!(SOUND.matches(replace).count(), 1, "`{replace}` must stand once in the sound file");
    let error = Programme::from_toml(&SOUND.replace(replace, by)).expect_err(by);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text.push_str(&format!("; {inner}"));
        source = inner.source();
    }
    assert!(message.iter().all(|m| text.contains(m)), "{by}: {text}");
}

#[test]
fn unsound_programmes_are_refused_by_rule_and_key() {
    Programme::from_toml(SOUND).unwrap();
    for (replace, by, message) in [
        ("rank_min = 1", "rank_min = 4", &["2025-01", "`a`", "`rank_min`"][..]),
        ("rank_min = 1", "rank_min = 0", &["`a`", "`rank_min`"]),
        ("age_min = 1", "age_min = 4", &["2026-01", "`b`", "`age_min`"]),
        ("age_max = 3", "age_max = 21", &["`b`", "`age_max`"]),
        ("code = \"c\"", "code = \"b\"", &["`b`", "`code`", "twice"]),
        ("amount = \"5.00\"", "amount = \"0\"", &["`c`", "`amount`"]),
        ("amount = \"5.00\"", "amount = \"5.001\"", &["more than two decimals"]),
        ("amount = \"5.00\"", "amount = 5.5", &["floating point", "expected a string"]),
        ("budget = { 2026 = \"1000.00\" }", "budget = { 2026 = 1000.0 }", &["expected a string"]),
        ("cap = \"90.00\"", "cap = 90", &["expected a string"]),
        ("max_children = 2, ", "", &["`c`", "`max_children`"]),
        ("max_children = 2, quota = \"k\"", "months = [7]", &["`c`", "`months`", "none"]),
        (
            "max_children = 2, quota = \"k\"",
            "in_school = false, school_sector = \"public\"",
            &["`c`", "`in_school`"],
        ),
        (
            "excluded_by = [\"pension\"]",
            "excluded_by = \"any\", unlisted_excludes = false",
            &["eligibility.unlisted_excludes", "any"],
        ),
        (
            "excluded_by = [\"pension\"]",
            "excluded_by = [\"pension\"], not_excluded_by = [\"Pension\"]",
            &["eligibility.not_excluded_by"],
        ),
        ("max_children = 2", "max_kids = 2", &["unknown field", "max_kids"]),
        ("from = \"2026-01\"", "from = \"2025-01\"", &["2025-01", "`from`", "overlaps"]),
        ("from = \"2026-01\"", "from = \"2024-01\"", &["2024-01", "`from`", "before"]),
        ("floor = \"10.00\"", "floor = \"91.00\"", &["2025-01", "`cap`"]),
        ("floor = \"10.00\"", "child = { age_max = 61 }", &["`child.age_max`"]),
        ("months = [1, 2, 3]", "months = [1, 2, 2]", &["`months`"]),
        ("months = [1, 2, 3]", "months = [2, 3]", &["`arrears`"]),
        ("not_with = [\"q\"]", "not_with = [\"p\"]", &["`not_with`"]),
        ("covers = [\"2026-01\"]", "covers = [\"2026-02\"]", &["`arrears`"]),
        ("covers = [\"2026-01\"]", "covers = [\"2024-01\"]", &["`arrears`"]),
        ("budget = { 2026", "budget = { next", &["not a year"]),
        ("purpose_code = \"SSBE\"", "purpose_code = \"ssbe\"", &["4 capitals"]),
        ("score_max = \"9.5\"", "score_max = \"high\"", &["not a score"]),
        ("[\"pension\"]", "\"all\"", &["neither \"any\" nor a list"]),
        ("cap = \"90.00\"", "floor_counts = \"most\"", &["unknown variant", "floor_counts"]),
        ("cap = \"90.00\"", "quota_order = \"eldest\"", &["unknown variant", "quota_order"]),
        ("cap = \"90.00\"", "child = { birthday = \"never\" }", &["unknown variant", "`never`"]),
        ("cap = \"90.00\"", "child = { leap_birthday = \"march_2\" }", &["unknown variant", "march_1"]),
        ("cap = \"90.00\"", "child = { death = \"on_the_day\" }", &["unknown variant", "through_first_day"]),
        (
            "cap = \"90.00\"",
            "birth_grant = { amounts = [], claim_months = 6 }",
            &["2025-01", "`birth_grant.amounts`"],
        ),
        (
            "cap = \"90.00\"",
            "birth_grant = { amounts = [\"1\", \"0\"], claim_months = 6 }",
            &["`birth_grant.amounts`", "above zero"],
        ),
        (
            "cap = \"90.00\"",
            "birth_grant = { amounts = [\"1\"], claim_months = 0 }",
            &["`birth_grant.claim_months`"],
        ),
        (
            "cap = \"90.00\"",
            "deposit = { amount = \"0\", holder = \"h\", minimum = \"1\", majority_age = 18, months_back = 1 }",
            &["2025-01", "`deposit.amount`"],
        ),
        (
            "cap = \"90.00\"",
            "deposit = { amount = \"5\", holder = \"h\", minimum = \"-1\", majority_age = 18, months_back = 1 }",
            &["`deposit.minimum`"],
        ),
        (
            "cap = \"90.00\"",
            "deposit = { amount = \"5\", holder = \"h\", minimum = \"1\", majority_age = 0, months_back = 1 }",
            &["`deposit.majority_age`"],
        ),
        (
            "cap = \"90.00\"",
            "deposit = { amount = \"5\", holder = \"h\", minimum = \"1\", majority_age = 18, months_back = 25 }",
            &["`deposit.months_back`"],
        ),
    ] {
        check_refused(replace, by, message);
    }
}

#[test]
fn the_number_of_rules_is_bounded() {
    let rule = |i: usize| {
        format!(r#"{{ code = "r{i}", kind = "base", amount = "1", label = {{ fr = "", en = "" }} }},"#)
    };
    let head = SOUND.split("[[versions]]").next().unwrap();
    let file = |count| {
        let rules: String = (0..count).map(rule).collect();
        format!("{head}[[versions]]\nfrom = \"2025-01\"\nrules = [{rules}]")
    };
    Programme::from_toml(&file(RULES_MAX)).unwrap();
    assert!(matches!(
        Programme::from_toml(&file(RULES_MAX + 1)),
        Err(ProgrammeError::Version { key: "rules", .. })
    ));
}

#[test]
fn codes_of_exclusion_are_judged_by_their_folded_spelling() {
    let rule = |settings: &str, code: &str| {
        let text = SOUND.replace("excluded_by = [\"pension\"]", settings);
        Programme::from_toml(&text).unwrap().eligibility().code_rule(&Code::parse(code).unwrap())
    };
    use CodeRule::{Excludes, Passes, Unlisted};
    let listed = "excluded_by = [\"Pension\"], not_excluded_by = [\"public_job\"]";
    let strict = "excluded_by = [\"pension\"], unlisted_excludes = true";
    for (settings, code, expected) in [
        (listed, "PENSION", Excludes),
        (listed, "Public-Job", Passes),
        (listed, "vehicle", Unlisted { excludes: false }),
        (strict, "vehicle", Unlisted { excludes: true }),
        (strict, "pension_", Excludes),
        ("excluded_by = \"any\"", "Family-Allowance", Excludes),
        ("excluded_by = \"any\"", "vehicle", Unlisted { excludes: true }),
        ("excluded_by = \"any\", not_excluded_by = [\"vehicle\"]", "Vehicle", Passes),
        ("resident_required = true", "vehicle", Unlisted { excludes: true }),
    ] {
        assert_eq!(rule(settings, code), expected, "{settings} {code}");
        assert_eq!(expected.excludes(), !matches!(expected, Passes | Unlisted { excludes: false }));
    }
}
