//! Checks before approval: the comparison with the previous regular run against the thresholds in the configuration.
//! A breach blocks submission until somebody acknowledges it with a reason.

use rust_decimal::Decimal;

use super::order::Inputs;
use crate::config::Checks;
use crate::store::runs::{Check, ComparisonLine};

/// Evaluates all checks of a run. Shares are rounded to four decimals for show, not for the comparison.
pub(super) fn evaluate(
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
    for line in comparison {
        checks.extend(check_line(limits, line));
    }
    checks
}

fn check_line(limits: &Checks, line: &ComparisonLine) -> Vec<Check> {
    let both = line.after_households - line.joined;
    let change = (line.after_amount - line.before_amount).abs();
    if line.dimension == "all" {
        return vec![
            share("joined", "all", line.joined, line.before_households, limits.joined_share_max),
            share("left", "all", line.left, line.before_households, limits.left_share_max),
            share("amount_changed", "all", line.amount_changed, both, limits.amount_changed_share_max),
            share("account_changed", "all", line.account_changed, both, limits.account_changed_share_max),
            share("total_change", "all", change, line.before_amount, limits.total_change_share_max),
        ];
    }
    let large = u64::try_from(line.before_households.max(line.after_households)).unwrap_or(0)
        >= limits.scope_households_min;
    let scope = format!("{} {}", line.dimension, line.label);
    if large {
        vec![share("total_change", &scope, change, line.before_amount, limits.scope_change_share_max)]
    } else {
        Vec::new()
    }
}

/// A share of nothing is a breach as soon as there is something.
pub(super) fn share(code: &str, scope: &str, part: i64, whole: i64, max: Decimal) -> Check {
    let (value, breached) = if whole == 0 {
        (if part == 0 { "0".to_owned() } else { format!("{part} of none before") }, part != 0)
    } else {
        let share = Decimal::from(part) / Decimal::from(whole);
        (share.round_dp(4).normalize().to_string(), share > max)
    };
    Check {
        code: code.into(),
        scope: scope.into(),
        value,
        threshold: max.normalize().to_string(),
        breached,
        acknowledged_by: None,
        acknowledged_why: None,
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
}
