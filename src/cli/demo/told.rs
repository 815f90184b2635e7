//! A simulation's lines on the terminal.

use crate::cli::ui::format::{amount, count};
use crate::sandbox::year::{Brought, Told, Undue};

/// The line of something that happened; none for nothing.
pub fn line(told: &Told) -> Option<String> {
    Some(match *told {
        Told::Month(period) => format!("\n── {period} ─────────────────────────────────────────"),
        Told::Quiet(period) => format!("\n── {period} · nothing new is ordered ──"),
        Told::List { households } => format!("  list        {} households", count(households)),
        Told::Run { kind, run, orders, ordered, given_up, waiting } => {
            let mut line =
                format!("  {kind:<11} run {run}: {} orders over {}", count(orders), amount(ordered));
            if let Some(run) = given_up {
                line.push_str(&format!("; run {run} was given up after its approval"));
            }
            if let Some(waiting) = waiting {
                line.push_str(&format!("; {waiting} orders wait for another account"));
            }
            line
        }
        Told::LetGo(orders) => format!("  holds       {orders} let go after a look, and sent"),
        Told::Messages(brought) => format!("  messages    {}", post(&brought)),
        Told::Points { at_hand, drawn, brought } => format!(
            "  points      {} at hand, {} drawn, {} not collected; {}",
            count(at_hand),
            count(drawn),
            count(at_hand.saturating_sub(drawn)),
            post(&brought)
        ),
        Told::Recalls(asked) => format!("  recalls     {asked} payments asked back"),
        Told::Undue(undue) => return cases(&undue),
        Told::Desk { resolved, open, closed, carried, runs_open } => format!(
            "  desk        {resolved} breaks resolved, {open} open; {closed} runs closed, {carried} of them with something \
             carried forward, {runs_open} open"
        ),
    })
}

/// What the post brought.
fn post(brought: &Brought) -> String {
    let mut line = format!("{} files with {} entries", brought.files, count(brought.entries));
    for (n, what) in [
        (brought.late, "late from an earlier month"),
        (brought.kept_back, "not here yet"),
        (brought.twice, "came twice"),
        (brought.torn, "torn and refused, then whole"),
    ] {
        if n > 0 {
            line.push_str(&format!(", {n} {what}"));
        }
    }
    for (n, what) in [
        (brought.returned_late, "orders came back after they had arrived"),
        (brought.recalls, "recalls answered"),
        (brought.breaks, "breaks opened"),
    ] {
        if n > 0 {
            line.push_str(&format!("; {n} {what}"));
        }
    }
    line
}

/// Cases of undue payments, if there were any.
fn cases(undue: &Undue) -> Option<String> {
    let told: Vec<String> = [
        (undue.opened, "opened by people"),
        (undue.complaints, "complained against"),
        (undue.replies, "replied to"),
        (undue.appeals, "appealed"),
        (undue.answers, "answered for good"),
        (undue.plans, "with agreed instalments"),
        (undue.repaid, "repaid by transfer"),
        (undue.given_up, "given up"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    (!told.is_empty()).then(|| format!("  undue       cases: {}", told.join(", ")))
}
