//! Twelve months with all that goes wrong, in small: every proof holds, every centime is in one place, and the same seed ends
//! the same.

use std::collections::HashSet;

use sarf::cli::demo::progress;
use sarf::sandbox::year::{self, Options, Outcome, Progress, Simulation};

use crate::harness::Bed;

/// How it ended, what was said, and the facts behind the digest.
struct Ended {
    outcome: Outcome,
    said: String,
    facts: String,
}

async fn simulate(households: u64, months: u8, seed: u64, without: &[&str]) -> Option<Ended> {
    let mut bed = Bed::new().await?.planning_without(without).await;
    let options = Options { households, seed, months, last: "2026-11".parse().expect("a period") };
    let (clock, hands) = year::clock(&options).expect("months of the calendar");
    bed.context.clock = clock;
    let said = std::sync::Mutex::new(Vec::new());
    let tell = |told: &Progress| said.lock().expect("no panic").extend(progress::line(told));
    let outcome = Simulation::new(&bed.context, None, hands, options, &tell).run().await;
    let said = said.lock().expect("no panic").join("\n");
    let outcome = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error:#}\n{said}"));
    assert_eq!(outcome.failures(), Vec::<String>::new(), "seed {seed}\n{said}");
    let facts = std::fs::read_to_string(bed.home().join("closing.txt")).expect("the facts");
    bed.posted_by_the_chart().await;
    bed.end().await;
    Some(Ended { outcome, said, facts })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_months_of_two_seeds_are_proven_and_the_same_seed_ends_the_same() {
    let (first, again, other) = tokio::join!(
        simulate(300, 12, 11, &["hashjoin", "hashagg"]),
        simulate(300, 12, 11, &["nestloop", "sort"]),
        simulate(250, 12, 12, &[])
    );
    let (Some(first), Some(again), Some(other)) = (first, again, other) else { return };
    let only = |these: &Ended, those: &Ended| -> Vec<String> {
        let known: HashSet<&str> = those.facts.lines().collect();
        these.facts.lines().filter(|fact| !known.contains(fact)).map(str::to_owned).collect()
    };
    assert_eq!(only(&first, &again), only(&again, &first), "the same seed ends the same, by whatever plans");
    assert_eq!(first.outcome.closing.digest, again.outcome.closing.digest);
    assert_eq!(without_entries(&first.said), without_entries(&again.said));
    assert_ne!(first.outcome.closing.digest, other.outcome.closing.digest);
    let said = first.said + &other.said;
    for what in [
        "correction",
        "reissue",
        "was given up",
        "let go",
        "not here yet",
        "late from",
        "came twice",
        "torn",
        "came back after",
        "recalls answered",
        "breaks opened",
        "opened by people",
        "complained against",
        "repaid by transfer",
        "carried forward",
    ] {
        assert!(said.contains(what), "no {what}\n{said}");
    }
}

/// What was said, but for the number of entries: which of two messages is read first is chance, and so is whether one explains
/// what the other left, which counts as an entry.
fn without_entries(said: &str) -> String {
    let line = |line: &str| match (line.find(" with "), line.find(" entries")) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{}\n", &line[..from], &line[to + " entries".len()..])
        }
        _ => format!("{line}\n"),
    };
    said.lines().map(line).collect()
}

/// `SEED_FROM=1 SEED_TO=200 HOUSEHOLDS=300 cargo test --test it many_seeds -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a search: as many seeds as are asked for"]
async fn many_seeds() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (from, to) = (number("SEED_FROM", 100), number("SEED_TO", 110));
    for seed in from..to {
        let began = std::time::Instant::now();
        let Some(Ended { outcome, .. }) =
            simulate(number("HOUSEHOLDS", 300), number("MONTHS", 12) as u8, seed, &[]).await
        else {
            return;
        };
        println!("seed {seed}: {} in {:?}", outcome.closing.digest, began.elapsed());
    }
}
