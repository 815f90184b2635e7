//! What another rule set would cost, by the program: compared with what a run under either rule set orders.

use std::fs;

use sarf::domain::money::Centimes;
use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, Registry, config_folder};

/// The programme's file with some text changed.
fn rules(bed: &Bed, name: &str, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(config_folder().join("programmes/dss.toml")).expect("the rules");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let path = bed.home().join(name);
    fs::write(&path, text).expect("other rules");
    path.display().to_string()
}

/// Eight households of two regions, each with one small child; one is too well off, one nearly.
fn list() -> Registry {
    let mut registry = Registry::default();
    for number in 0..8 {
        registry.household();
        if number % 2 == 1 {
            registry
                .set(number, &[("region", "Oriental"), ("province", "Oujda-Angad"), ("commune", "Oujda")]);
        }
    }
    registry.set(6, &[("rsu_score", "9.9")]);
    registry.set(7, &[("rsu_score", "9.5")]);
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_rules_cost_what_they_say_and_nothing_is_written() {
    let Some(bed) = Bed::new().await else { return };
    let folder = bed.home().join("list");
    list().write(&folder);
    let snapshot = bed.import(&folder).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let simulate = |rules: &str| {
        program.ends(0, &format!("--json simulate --snapshot {snapshot} --rules {rules}")).json()
    };
    let written =
        "select (select count(*) from run) + (select count(*) from audit) + (select count(*) from journal)";
    let before = bed.number(written).await;

    // The same rules: nobody gains or loses.
    let same = simulate(&rules(&bed, "same.toml", &[]));
    for (what, count) in
        [("households", 7), ("would_households", 7), ("join", 0), ("leave", 0), ("gain", 0), ("lose", 0)]
    {
        assert_eq!(same["all"][what], count, "{what}: {same}");
    }
    assert_eq!(same["all"]["amount"], same["all"]["would_amount"]);

    // A higher floor: all gain 100.00. A higher limit of the score as well: one joins. A lower one: one leaves.
    let floor = [("floor = \"500.00\"", "floor = \"600.00\"")];
    let higher = simulate(&rules(&bed, "higher.toml", &floor));
    assert_eq!(higher["all"]["gain"], 7, "{higher}");
    assert_eq!(higher["all"]["lose"], 0, "{higher}");
    let wider = [floor[0], ("score_max = \"9.743001\"", "score_max = \"9.950000\"")];
    let wider = simulate(&rules(&bed, "wider.toml", &wider));
    assert_eq!(wider["all"]["join"], 1, "{wider}");
    assert_eq!(wider["all"]["would_households"], 8, "{wider}");
    let narrow =
        simulate(&rules(&bed, "narrow.toml", &[("score_max = \"9.743001\"", "score_max = \"9.400000\"")]));
    assert_eq!(narrow["all"]["leave"], 1, "{narrow}");
    assert_eq!(narrow["all"]["would_households"], 6, "{narrow}");
    assert_eq!(bed.number(written).await, before, "nothing is written");

    // What it says of the rules in force is what their run orders, as a whole and by region.
    let run = bed.create(snapshot).await;
    assert_eq!(bed.state(run).await, RunState::Computed);
    let ordered = format!(
        "select p.region || ' ' || count(*) || ' ' || sum(o.entitled) from payment_order_{run} o
           join place p on p.snapshot_id = {snapshot} and p.id = o.place_id group by p.region order by p.region"
    );
    let said = |found: &serde_json::Value, households: &str, amount: &str| -> Vec<String> {
        let regions = found["regions"].as_object().expect("regions");
        let line = |(region, sums): (&String, &serde_json::Value)| {
            format!("{region} {} {}", sums[households], centimes(&sums[amount]))
        };
        regions.iter().map(line).collect()
    };
    assert_eq!(said(&higher, "households", "amount"), bed.rows(&ordered).await);
    assert_eq!(
        said(&wider, "would_households", "would_amount"),
        ["Oriental 4 240000", "Souss-Massa 4 240000"],
        "four households of 600.00 in each region"
    );

    for (args, told) in [
        (format!("simulate --snapshot 99 --rules {}", rules(&bed, "same.toml", &[])), "not known"),
        (
            format!("simulate --snapshot {snapshot} --rules {}/nowhere.toml", bed.home().display()),
            "cannot be read",
        ),
        (
            format!(
                "simulate --snapshot {snapshot} --rules {}",
                rules(&bed, "torn.toml", &[("floor = ", "flour = ")])
            ),
            "rules in",
        ),
    ] {
        let refused = program.ends(1, &args);
        assert!(refused.err.contains(told), "{args}: {refused:?}");
    }
    bed.end().await;
}

fn centimes(amount: &serde_json::Value) -> i64 {
    amount.as_str().and_then(|text| text.parse::<Centimes>().ok()).expect("an amount").get()
}
