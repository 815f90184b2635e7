//! The result as Markdown, ready for `docs/performance.md`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::NATIONAL;
use crate::month::{COMPARED, Month};

/// Seconds with one decimal; below ten, two.
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

/// A count with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The stages beside budgets and floors.
pub fn single(month: &Month) -> String {
    let mut text = format!("### {} households\n\n", count(month.households));
    let line = |text: &mut String, cells: [&str; 7]| {
        writeln!(text, "| {} |", cells.join(" | ")).expect("a String takes all")
    };
    line(
        &mut text,
        ["stage", "went through", "budget", "took", "floor", "× floor (≤ 1.5)", "peak memory (≤ 384 MiB)"],
    );
    line(&mut text, ["---", "---", "--:", "--:", "--:", "--:", "--:"]);
    let none = || "–".to_owned();
    for stage in &month.stages {
        let ratio = stage.floor.map(|floor| format!("{:.2}", stage.took.div_duration_f64(floor)));
        let cells = [
            stage.name.to_owned(),
            stage.figures.clone(),
            stage.budget.map_or_else(none, |b| format!("{} s", b.as_secs())),
            seconds(stage.took),
            stage.floor.map_or_else(none, seconds),
            ratio.unwrap_or_else(none),
            stage.peak_mib.map_or_else(none, |mib| format!("{mib} MiB")),
        ];
        line(&mut text, cells.each_ref().map(String::as_str));
    }
    let total = seconds(month.stages.iter().map(|s| s.took).sum());
    line(&mut text, ["all of it", "", "", &total, "", "", ""]);
    if month.households != NATIONAL {
        writeln!(text, "\nBudgets are those of {} households.", count(NATIONAL)).expect("a String takes all");
    }
    if !month.own_peaks {
        text.push_str(
            "\nThe kernel did not let the peak be forgotten: each stands for all stages so far and for what was \
             prepared before.\n",
        );
    }
    text.push('\n');
    text
}

/// The stages of twice the households beside those of the single run.
pub fn double(single: &Month, double: &Month) -> String {
    let mut text =
        format!("### {} households beside {}\n\n", count(double.households), count(single.households));
    text.push_str(
        "| stage | took | twice the households | ratio (≤ 2.2) | peak memory |\n|---|--:|--:|--:|--:|\n",
    );
    for at in COMPARED {
        let (one, two) = (&single.stages[at], &double.stages[at]);
        let peak = two.peak_mib.map_or_else(|| "–".to_owned(), |mib| format!("{mib} MiB"));
        let (before, after) = (seconds(one.took), seconds(two.took));
        let ratio = two.took.div_duration_f64(one.took);
        writeln!(text, "| {} | {before} | {after} | {ratio:.2} | {peak} |", one.name)
            .expect("a String takes all");
    }
    let sum = |month: &Month| COMPARED.iter().map(|at| month.stages[*at].took).sum::<Duration>();
    let ratio = sum(double).div_duration_f64(sum(single));
    writeln!(text, "| together | {} | {} | {ratio:.2} | |\n", seconds(sum(single)), seconds(sum(double)))
        .expect("a String takes all");
    text
}
