//! Programmes as they are configured: what does not fit together is refused with its place and a next step.

use std::fs;
use std::path::Path;

use sarf::config::Config;
use sarf::domain::ids::{OrderId, RunId};
use sarf::domain::run::RunState;
use sarf::pipeline::Applied;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::holds::{self, HoldError};
use sarf::pipeline::runs::fund;

use crate::harness::{
    ACCOUNTANT, Bed, PREPARER, Program, Registry, TempHome, config_folder, copy_folder, period,
};

/// Changes a file below the configuration folder; the text must be there.
fn change(folder: &Path, file: &str, replace: &str, by: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).expect("a file of the configuration");
    assert!(text.contains(replace), "`{replace}` stands in {file}");
    fs::write(path, text.replace(replace, by)).expect("written");
}

#[test]
fn settings_of_programmes_are_checked_with_place_and_hint() {
    let widows = "\"widows\", ";
    let legacy = "programmes/tayssir.toml";
    // The file, what is replaced by what, the file that is named, and what is said of it.
    for (file, replace, by, names, says) in [
        (legacy, "not_with = [\"dss\"]", "not_with = [\"dsss\"]", "tayssir.toml", "`dsss`"),
        (legacy, "not_with = [\"dss\"]", "# alone", "dss.toml", "`tayssir` does not name `dss`"),
        ("programmes/dss.toml", "holder = \"cdg\"", "holder = \"cgd\"", "dss.toml", "deposit.holder"),
        ("programmes/dss.toml", "holder = \"cdg\"", "holder = \"cashplus\"", "dss.toml", "deposit.holder"),
        ("programmes/dss.toml", "claim_months = 6", "claim_months = 0", "dss.toml", "claim_months"),
        ("sarf.toml", widows, "\"widow\", ", "sarf.toml", "`widow`"),
        ("sarf.toml", widows, "\"dss\", ", "sarf.toml", "programmes.priority"),
        ("sarf.toml", "case_order = \"opening\"", "case_order = \"age\"", "sarf.toml", "case_order"),
        ("sarf.toml", "reach = \"whole_months\"", "reach = \"weeks\"", "sarf.toml", "reach"),
        (
            "providers/payment_institutions.toml",
            "fee_above = \"last\"",
            "fee_above = \"free\"",
            "payment_institutions.toml",
            "fee_above",
        ),
    ] {
        let home = TempHome::new("p");
        let program = Program::new(home.path());
        change(&program.config, file, replace, by);
        let ran = program.run("config check");
        assert_eq!(ran.code, 1, "{by}: {ran:?}");
        for text in [names, says, "hint:"] {
            assert!(ran.err.contains(text), "{by} tells `{text}`: {}", ran.err);
        }
    }
}

#[test]
fn the_order_of_programmes_is_that_of_the_list() {
    let home = TempHome::new("p");
    let folder = home.path().join("config");
    copy_folder(&config_folder(), &folder);
    let config = Config::read(&folder).expect("the configuration in the tree");
    for (first, second, expected) in [
        ("dss", "tayssir", true),
        ("DSS", "widows", true),
        ("tayssir", "dss", false),
        ("dss", "dss", false),
        ("dss", "unknown", false),
    ] {
        assert_eq!(config.outranks(first, second), expected, "{first} before {second}");
    }
    change(&folder, "sarf.toml", "priority = [\"dss\", ", "priority = [");
    let config = Config::read(&folder).expect("still sound");
    assert!(!config.outranks("dss", "tayssir") && !config.outranks("tayssir", "dss"));
}

/// A regular run of a programme from a list of three households.
async fn run_of(bed: &Bed, programme: &str) -> RunId {
    let mut registry = Registry::default();
    for _ in 0..3 {
        registry.household();
    }
    let folder = bed.home().join(format!("list-{programme}"));
    registry.write_as(&folder, period(), programme);
    let list = bed.import(&folder).await;
    bed.create(list).await
}

/// Households of a run's orders with the reasons that they are held for, then those excluded.
async fn stands(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select o.household_id || ' ' || coalesce((select string_agg(h.reason, ',') from order_hold h
                where h.order_id = o.order_id and h.released_at is null), 'paid') from payment_order_{run} o
         union all select household_id || ' excluded ' || reason from exclusion_{run} order by 1"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programme_that_goes_first_is_paid_whichever_run_is_made_first() {
    let Some(bed) = Bed::new().await else { return };
    let fund_run = run_of(&bed, "family_fund").await;
    bed.take_to(fund_run, RunState::Funded).await;
    let first = run_of(&bed, "dss").await;
    assert_eq!(stands(&bed, first).await, ["H000001 paid", "H000002 paid", "H000003 paid"]);
    let held =
        ["H000001 other_programme_pays", "H000002 other_programme_pays", "H000003 other_programme_pays"];
    assert_eq!(stands(&bed, fund_run).await, held);
    bed.verify_all_holds().await;

    // Nobody lets them go as long as the other run stands; then a person may.
    let order = OrderId::compose(fund_run, 1);
    let refused = holds::set(&bed.context, order, false, PREPARER, "pay it").await;
    assert!(matches!(refused, Err(HoldError::GivesWay { .. })), "{refused:?}");
    fund::cancel(&bed.context, first, PREPARER).await.expect("cancelled");
    let let_go = holds::set(&bed.context, order, false, PREPARER, "the other run was cancelled").await;
    assert!(let_go.is_ok_and(|done| done.is_now()));
    bed.verify_all_holds().await;

    // Made again, it takes the household back; nothing is put right by a later list for either.
    let again = run_of(&bed, "dss").await;
    assert_eq!(stands(&bed, fund_run).await, held);
    bed.take_to(again, RunState::Settling).await;
    let folder = bed.home().join("december");
    let mut registry = Registry::default();
    for _ in 0..3 {
        registry.household();
    }
    registry.write_for(&folder, "2026-12".parse().expect("a month"));
    let december = bed.import(&folder).await;
    let found = correction::create(&bed.context, december, None, PREPARER).await.expect("looked at");
    assert!(matches!(found, Applied::Now(Found::Nothing(1..))), "{found:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_is_not_paid_again_by_the_programme_that_goes_first() {
    let Some(bed) = Bed::new().await else { return };
    let fund_run = run_of(&bed, "family_fund").await;
    let waits = OrderId::compose(fund_run, 2);
    holds::set(&bed.context, waits, true, PREPARER, "looked at").await.expect("held");
    bed.take_to(fund_run, RunState::Settling).await;
    let first = run_of(&bed, "dss").await;
    // What was held gives way for good; what left excludes.
    assert_eq!(
        stands(&bed, first).await,
        ["H000001 excluded other_programme", "H000002 paid", "H000003 excluded other_programme"]
    );
    assert_eq!(stands(&bed, fund_run).await[1], "H000002 manual,other_programme_pays");
    let refused = holds::set(&bed.context, waits, false, PREPARER, "pay it").await;
    assert!(matches!(refused, Err(HoldError::GivesWay { .. })), "{refused:?}");
    bed.take_to(first, RunState::Settling).await;
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_order_the_run_that_was_made_first_goes_first() {
    let Some(bed) = Bed::with(|config| config.settings.programmes.priority.clear()).await else { return };
    let fund_run = run_of(&bed, "family_fund").await;
    let second = run_of(&bed, "dss").await;
    assert_eq!(stands(&bed, fund_run).await, ["H000001 paid", "H000002 paid", "H000003 paid"]);
    assert!(stands(&bed, second).await.iter().all(|s| s.ends_with("excluded other_programme")));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_programme_that_goes_second_is_excluded_when_it_is_made_second() {
    let Some(bed) = Bed::new().await else { return };
    let first = run_of(&bed, "dss").await;
    let fund_run = run_of(&bed, "family_fund").await;
    assert_eq!(stands(&bed, first).await, ["H000001 paid", "H000002 paid", "H000003 paid"]);
    assert!(stands(&bed, fund_run).await.iter().all(|s| s.ends_with("excluded other_programme")));
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, fund_run, ACCOUNTANT).await.expect("cancelled");
    bed.end().await;
}
