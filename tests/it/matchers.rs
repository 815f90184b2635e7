//! Values that expressions ask for, beside those that the program gives: an alert on a state that no longer is never fires.

use sarf::domain::batch::{BatchState, Lane};
use sarf::domain::delivery::DeliveryState;
use sarf::domain::order::OrderState;
use sarf::domain::reason::BreakKind;
use sarf::domain::run::RunState;
use sarf::telemetry::Job;

/// What stands in the braces behind a name: the name, the label, and the values that it may have.
fn matchers(expr: &str) -> Vec<(String, String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in expr.match_indices('{') {
        let name: String = expr[..at]
            .chars()
            .rev()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let within = expr[at + 1..].split('}').next().unwrap_or_default();
        for matcher in within.split("\",").filter(|matcher| !matcher.trim().is_empty()) {
            let (head, values) = matcher.split_once('"').expect("a value in quotes");
            let label = head.trim_end_matches(['=', '~', '!']).trim().to_owned();
            let values = values.trim_end_matches('"').split('|').map(str::to_owned).collect();
            found.push((name.clone(), label, values));
        }
    }
    found
}

/// The values that a label of a family may have; nothing where they are configured or counted.
fn given(family: &str, label: &str) -> Option<Vec<&'static str>> {
    macro_rules! all {
        ($list:ty) => {
            <$list>::ALL.iter().map(|value| value.as_str()).collect()
        };
    }
    Some(match (family, label) {
        ("sarf_orders" | "sarf_orders_centimes", "state") => all!(OrderState),
        ("sarf_runs" | "sarf_run_oldest_seconds", "state") => all!(RunState),
        ("sarf_batches" | "sarf_waiting_oldest_seconds", "state") => all!(BatchState),
        ("sarf_deliveries" | "sarf_deliveries_oldest_seconds", "state") => {
            let own: Vec<&str> = all!(DeliveryState);
            own.into_iter().chain(["awaits_signature"]).collect()
        }
        (_, "lane") => all!(Lane),
        ("sarf_breaks" | "sarf_breaks_centimes" | "sarf_breaks_oldest_seconds", "kind") => all!(BreakKind),
        ("sarf_stream_waiting" | "sarf_stream_oldest_seconds", "kind") => {
            vec!["shards", "unknown", "pending"]
        }
        ("sarf_stream_calls_total", "result") => vec!["answered", "busy", "unreachable", "refused", "lost"],
        ("sarf_stream_pace_allowed", "of") => vec!["requests", "orders"],
        ("sarf_job_last_success_timestamp_seconds", "task") => all!(Job),
        ("sarf_http_requests_total", "code") => vec!["5.."],
        // What Prometheus itself is configured with.
        ("up", "job") => vec!["sarf"],
        (_, "programme" | "provider" | "instance") => return None,
        _ => panic!("the values of `{label}` of {family} are not known here"),
    })
}

/// Fails where an expression asks for a value that is never given.
pub fn check(expr: &str) {
    for (family, label, values) in matchers(expr) {
        let Some(given) = given(&family, &label) else { continue };
        for value in values {
            assert!(given.contains(&value.as_str()), "`{label}` of {family} is never `{value}`: {expr}");
        }
    }
}

#[test]
fn matchers_are_read() {
    let expr = r#"sum(sarf_orders{lane="stream",state=~"available|collected"}) / up{job="sarf"} > 0"#;
    let found = matchers(expr);
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[1],
        ("sarf_orders".into(), "state".into(), vec!["available".into(), "collected".into()])
    );
    check(expr);
    let wrong = std::panic::catch_unwind(|| check(r#"sarf_orders{state="payed"} > 0"#));
    assert!(wrong.is_err(), "a state that never is");
}
