//! Checks before approval: the comparison with the previous regular run against the thresholds in the configuration, over all
//! households, and for each region, province and provider against all the others.
//! A breach blocks submission until somebody acknowledges it with a reason.

use rust_decimal::Decimal;

use super::maker::Inputs;
use crate::config::Checks;
use crate::domain::gate::{Judged, Limits, Share, judge, judge_change, ratio, score};
use crate::store::runs::checks::{Check, ComparisonLine};

/// Evaluates all checks of a run. Shares are rounded to four decimals for show, not for the comparison.
pub(in crate::pipeline) fn evaluate(
    limits: &Checks,
    comparison: &[ComparisonLine],
    inputs: &Inputs<'_>,
    orders: i64,
    held: i64,
) -> Vec<Check> {
    let rows = inputs.snapshot.households + inputs.snapshot.rejected_households;
    let mut checks = vec![
        share("held", "all", held, orders, limits.held_share_max),
        share("rejected_rows", "all", inputs.snapshot.rejected_households, rows, limits.rejected_share_max),
    ];
    if inputs.previous.is_none() {
        return checks;
    }
    let Some(all) = comparison.iter().find(|line| line.dimension == "all") else { return checks };
    checks.extend(whole(limits, all));
    let places = comparison.iter().filter(|line| line.dimension != "all");
    checks.extend(places.flat_map(|line| place(limits, line, all)));
    checks
}

/// The checks over all households.
fn whole(limits: &Checks, line: &ComparisonLine) -> Vec<Check> {
    let both = line.after_households - line.joined;
    let change = (line.after_amount - line.before_amount).abs();
    vec![
        share("joined", "all", line.joined, line.before_households, limits.joined_share_max),
        share("left", "all", line.left, line.before_households, limits.left_share_max),
        share("amount_changed", "all", line.amount_changed, both, limits.amount_changed_share_max),
        share("account_changed", "all", line.account_changed, both, limits.account_changed_share_max),
        share("total_change", "all", change, line.before_amount, limits.total_change_share_max),
    ]
}

/// The checks of a region, a province or a provider.
fn place(limits: &Checks, line: &ComparisonLine, all: &ComparisonLine) -> Vec<Check> {
    let bounds = Limits {
        households_min: i64::try_from(limits.scope_households_min).unwrap_or(i64::MAX),
        count_min: i64::try_from(limits.scope_count_min).unwrap_or(i64::MAX),
        share_min: limits.scope_share_min,
        times_max: limits.scope_times_elsewhere_max.into(),
        above_max: limits.scope_change_share_max,
    };
    let households = line.before_households.max(line.after_households);
    if households < bounds.households_min {
        return Vec::new();
    }
    type Figure = fn(&ComparisonLine) -> i64;
    let measures: [(&str, Figure, Figure); 4] = [
        ("joined", |l| l.joined, |l| l.before_households),
        ("left", |l| l.left, |l| l.before_households),
        ("amount_changed", |l| l.amount_changed, |l| l.after_households),
        ("account_changed", |l| l.account_changed, |l| l.after_households),
    ];
    let scope = format!("{} {}", line.dimension, line.label);
    let mut checks: Vec<Check> = Vec::with_capacity(measures.len() + 1);
    for (code, part, of) in measures {
        let here = Share { part: part(line), whole: of(line) };
        // A household that moved between places joined and left nothing over all: no share of others is below zero.
        let rest = |figure: Figure| (figure(all) - figure(line)).max(0);
        let judged = judge(here, Share { part: rest(part), whole: rest(of) }, &bounds);
        checks.push(held_against_others(code, &scope, here, &judged));
    }
    let (before, after) = (line.before_amount, line.after_amount);
    let others = (all.before_amount - before, all.after_amount - after);
    let judged = judge_change((before, after), others, households, limits.total_change_share_max, &bounds);
    checks.push(held_against_others(
        "total_change",
        &scope,
        Share { part: after - before, whole: before },
        &judged,
    ));
    checks
}

fn held_against_others(code: &str, scope: &str, here: Share, judged: &Judged) -> Check {
    let value = judged.here.map(shown).unwrap_or_else(|| none_before(here.part));
    Check {
        value,
        threshold: shown(judged.allowed),
        breached: judged.unusual,
        elsewhere: judged.elsewhere.map(shown),
        score: Some(judged.score),
        ..Check::of(code, scope, here.part, here.whole)
    }
}

fn shown(share: Decimal) -> String {
    share.round_dp(4).normalize().to_string()
}

fn none_before(part: i64) -> String {
    if part == 0 { "0".to_owned() } else { format!("{part} of none before") }
}

/// A share of nothing is a breach as soon as there is something.
pub(in crate::pipeline) fn share(code: &str, scope: &str, part: i64, whole: i64, max: Decimal) -> Check {
    let (value, breached, measured) = match ratio(part, whole) {
        None => (none_before(part), part != 0, if part == 0 { Decimal::ZERO } else { Decimal::ONE }),
        Some(share) => (shown(share), share > max, share),
    };
    Check {
        value,
        threshold: max.normalize().to_string(),
        breached,
        score: Some(score(measured, max)),
        ..Check::of(code, scope, part, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_breaches_above_its_threshold_only() {
        let max = Decimal::new(5, 2);
        for (part, whole, value, breached) in [
            (5, 100, "0.05", false),
            (6, 100, "0.06", true),
            (0, 0, "0", false),
            (3, 0, "3 of none before", true),
            (0, 9, "0", false),
        ] {
            let check = share("x", "all", part, whole, max);
            assert_eq!((check.value.as_str(), check.breached), (value, breached), "{part} of {whole}");
        }
    }

    /// The unusual ones of some lines, most unusual first.
    fn unusual(lines: &[ComparisonLine]) -> Vec<String> {
        let limits = Checks {
            joined_share_max: Decimal::new(4, 2),
            left_share_max: Decimal::new(4, 2),
            amount_changed_share_max: Decimal::new(30, 2),
            account_changed_share_max: Decimal::new(5, 2),
            total_change_share_max: Decimal::new(10, 2),
            scope_households_min: 100,
            scope_count_min: 20,
            scope_share_min: Decimal::new(2, 2),
            scope_times_elsewhere_max: 3,
            scope_change_share_max: Decimal::new(25, 2),
            corrected_share_max: Decimal::new(3, 2),
            held_share_max: Decimal::new(5, 2),
            rejected_share_max: Decimal::new(1, 2),
        };
        let all = lines.iter().fold(ComparisonLine::default(), |mut sum, line| {
            sum.before_households += line.before_households;
            sum.after_households += line.after_households;
            sum.before_amount += line.before_amount;
            sum.after_amount += line.after_amount;
            sum.joined += line.joined;
            sum.left += line.left;
            sum.account_changed += line.account_changed;
            sum
        });
        let mut found: Vec<Check> =
            lines.iter().flat_map(|line| place(&limits, line, &all)).filter(|c| c.breached).collect();
        found.sort_by_key(|check| std::cmp::Reverse(check.score));
        found
            .iter()
            .map(|c| format!("{} {} {} of {}", c.scope, c.code, c.part.unwrap(), c.whole.unwrap()))
            .collect()
    }

    fn province(
        label: &str,
        households: i64,
        account_changed: i64,
        (joined, left): (i64, i64),
    ) -> ComparisonLine {
        ComparisonLine {
            dimension: "province".into(),
            label: label.into(),
            before_households: households,
            after_households: households + joined - left,
            before_amount: households * 50_000,
            after_amount: (households + joined - left) * 50_000,
            joined,
            left,
            account_changed,
            ..ComparisonLine::default()
        }
    }

    #[test]
    fn a_wave_in_one_province_is_found_and_ranked_and_small_provinces_do_not_cry() {
        let mut lines: Vec<_> =
            (0..60).map(|n| province(&n.to_string(), 50_000 + n, 400, (1_200, 1_100))).collect();
        assert_eq!(unusual(&lines), Vec::<String>::new());
        lines.push(province("tiny", 60, 50, (40, 50)));
        lines.push(province("small", 400, 9, (19, 18)));
        assert_eq!(unusual(&lines), Vec::<String>::new());
        lines.push(province("wave", 50_000, 16_500, (1_200, 1_100)));
        lines.push(province("commune", 50_000, 2_600, (1_200, 1_100)));
        lines.push(province("exodus", 50_000, 400, (1_200, 12_000)));
        lines.push(province("influx", 50_000, 400, (9_000, 1_100)));
        assert_eq!(
            unusual(&lines),
            [
                "province wave account_changed 16500 of 50100",
                "province exodus left 12000 of 50000",
                "province influx joined 9000 of 50000",
                "province exodus total_change -540000000 of 2500000000",
                "province influx total_change 395000000 of 2500000000",
                "province commune account_changed 2600 of 50100",
            ]
        );
    }
}
