//! The comparison with the month before: what is unusual in one region, province or provider is found there, ranked, and told
//! first; what happens everywhere, or in a handful of households, is not.

use sarf::domain::ids::RunId;
use sarf::pipeline::runs::approve::{self, ApproveError};
use sarf::store::runs::checks as run_checks;

use crate::harness::{Bed, PREPARER, Registry, rib};

/// Households of a province, by number.
type Province = (&'static str, &'static str, std::ops::Range<usize>);

const PROVINCES: [Province; 6] = [
    ("Souss-Massa", "Tiznit", 0..120),
    ("Souss-Massa", "Tata", 120..240),
    ("Souss-Massa", "Taroudannt", 240..360),
    ("Oriental", "Nador", 360..600),
    ("Oriental", "Figuig", 600..650),
    ("Fès-Meknès", "Taza", 650..900),
];

fn country() -> Registry {
    let mut registry = Registry::default();
    for (region, province, households) in PROVINCES {
        for _ in households {
            let n = registry.household();
            registry.set(n, &[("region", region), ("province", province), ("commune", province)]);
        }
    }
    registry
}

/// Moves the accounts of households to others at the same bank.
fn move_accounts(registry: &mut Registry, households: impl Iterator<Item = usize>) {
    for n in households {
        registry.set(n, &[("account", &rib("007", 5_000_000 + u32::try_from(n).expect("few households")))]);
    }
}

/// The runs of two months.
async fn months(bed: &Bed, first: &Registry, second: &Registry) -> RunId {
    let (before, after) = (bed.home().join("before"), bed.home().join("after"));
    first.write(&before);
    second.write_for(&after, "2026-12".parse().expect("a period"));
    let run = bed.create(bed.import(&before).await).await;
    assert_eq!(
        bed.number(&format!("select count(*) from run_check where run_id = {run} and scope <> 'all'")).await,
        0
    );
    bed.create(bed.import(&after).await).await
}

/// Breached checks, most unusual first.
async fn unusual(bed: &Bed, run: RunId) -> Vec<String> {
    let mut tx = bed.context.store.begin().await.expect("the database answers");
    let checks = run_checks::checks_in_tx(&mut tx, run).await.expect("checks are read");
    tx.rollback().await.expect("nothing was written");
    let told = |c: &run_checks::Check| {
        format!("{} {}: {} of {}", c.scope, c.code, c.part.unwrap_or(0), c.whole.unwrap_or(0))
    };
    checks.iter().filter(|c| c.breached).map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_wave_in_one_province_is_found_there_and_ranked_first() {
    let Some(bed) = Bed::new().await else { return };
    let first = country();
    let mut second = first.clone();
    // A third of the province's region, and a few households everywhere; all of the smallest province, which is too small.
    move_accounts(&mut second, (0..120).chain((360..900).step_by(60)).chain(600..650));
    // A mere spelling is no other province.
    for n in 240..360 {
        second.set(n, &[("province", "TAROUDANNT"), ("region", "souss massa")]);
    }
    let run = months(&bed, &first, &second).await;
    assert_eq!(
        unusual(&bed, run).await,
        [
            "province Tiznit (Souss-Massa) account_changed: 120 of 120",
            "all account_changed: 178 of 900",
            "region Souss-Massa account_changed: 120 of 360",
        ]
    );
    let refused = approve::submit(&bed.context, run, PREPARER).await.expect_err("nobody has taken note");
    let ApproveError::Breached(told) = &refused else { panic!("{refused}") };
    assert!(told[0].starts_with("account_changed (province Tiznit (Souss-Massa)): 1 over"), "{told:?}");
    let sql = format!(
        "select label || ' ' || account_changed || ' ' || joined || ' ' || \"left\" from run_comparison
          where run_id = {run} and dimension = 'province' order by label"
    );
    assert_eq!(
        bed.rows(&sql).await,
        [
            "Figuig (Oriental) 50 0 0",
            "Nador (Oriental) 4 0 0",
            "TAROUDANNT (souss massa) 0 0 0",
            "Tata (Souss-Massa) 0 0 0",
            "Taza (Fès-Meknès) 4 0 0",
            "Tiznit (Souss-Massa) 120 0 0"
        ]
    );
    approve::acknowledge(&bed.context, run, PREPARER, "the bank renamed its branch").await.expect("noted");
    approve::submit(&bed.context, run, PREPARER).await.expect("submitted");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_leaving_and_moving_are_seen_where_they_happen() {
    let Some(bed) = Bed::new().await else { return };
    let (mut first, mut second) = (country(), country());
    // Forty leave one province; forty that were not there before join another, one more everywhere.
    (0..40).for_each(|n| second.leave_out(n));
    (360..400).chain([120, 240, 650]).for_each(|n| first.leave_out(n));
    // Thirty move from one province of a region to another: the region sees nothing.
    for n in 240..270 {
        second.set(n, &[("province", "Tata"), ("commune", "Tata")]);
    }
    let run = months(&bed, &first, &second).await;
    let found = unusual(&bed, run).await;
    for expected in [
        "province Tiznit (Souss-Massa) left: 40 of 120",
        "province Nador (Oriental) joined: 40 of 200",
        "province Tata (Souss-Massa) joined: 31 of 119",
        "province Taroudannt (Souss-Massa) left: 29 of 119",
        "region Souss-Massa left: 40 of 358",
        "region Oriental joined: 40 of 250",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    assert!(!found.iter().any(|line| line.contains("Taza") || line.contains("Figuig")), "{found:#?}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_everywhere_is_unusual_nowhere() {
    let Some(bed) = Bed::new().await else { return };
    let (first, mut second) = (country(), country());
    // Every household has a child that is too old by now for the younger rate: all amounts change, in every province.
    for n in 0..900 {
        second.set_member(n, 1, &[("birth_date", "2010-05-06")]);
    }
    let run = months(&bed, &first, &second).await;
    let found = unusual(&bed, run).await;
    assert!(found.iter().all(|line| line.starts_with("all ")), "{found:#?}");
    bed.end().await;
}
