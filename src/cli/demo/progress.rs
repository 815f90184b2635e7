//! A simulation's lines on the terminal.

use crate::cli::ui::format::{amount, count};
use crate::sandbox::year::{Progress, Received, Undue};

/// The line of something that happened; none for nothing.
pub fn line(told: &Progress) -> Option<String> {
    Some(match *told {
        Progress::Month(period) => format!("\n── {period} ─────────────────────────────────────────"),
        Progress::Quiet(period) => format!("\n── {period} · nothing new is ordered ──"),
        Progress::List { households } => format!("  list        {} households", count(households)),
        Progress::Run { kind, run, orders, ordered, given_up, waiting } => {
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
        Progress::LetGo(orders) => format!("  holds       {orders} let go after a look, and sent"),
        Progress::Messages(received) => format!("  messages    {}", post(&received)),
        Progress::Points { at_hand, drawn, received } => format!(
            "  points      {} at hand, {} drawn, {} not collected; {}",
            count(at_hand),
            count(drawn),
            count(at_hand.saturating_sub(drawn)),
            post(&received)
        ),
        Progress::Recalls(asked) => format!("  recalls     {asked} payments asked back"),
        Progress::Undue(undue) => return cases(&undue),
        Progress::Desk { resolved, open, closed, carried, runs_open } => format!(
            "  desk        {resolved} breaks resolved, {open} open; {closed} runs closed, {carried} of them with something \
             carried forward, {runs_open} open"
        ),
    })
}

/// What the post received.
fn post(received: &Received) -> String {
    let mut line = format!("{} files with {} entries", received.files, count(received.entries));
    for (n, what) in [
        (received.late, "late from an earlier month"),
        (received.kept_back, "not here yet"),
        (received.twice, "came twice"),
        (received.torn, "torn and refused, then whole"),
    ] {
        if n > 0 {
            line.push_str(&format!(", {n} {what}"));
        }
    }
    for (n, what) in [
        (received.returned_late, "orders came back after they had arrived"),
        (received.recalls, "recalls answered"),
        (received.breaks, "breaks opened"),
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
