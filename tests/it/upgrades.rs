//! Databases of earlier releases, schema and rows, under today's engine: they migrate, what they say is proven, and the next month
//! is paid from them.
//!
//! A dump is what a release's own program left of a closed month (`tests/it/releases/make.sh`); it never changes.

use std::fs;
use std::path::Path;

use sarf::domain::ids::Code;
use sarf::domain::run::RunState;
use sarf::pipeline::access::people;
use sarf::sandbox::registry::{GenerateOptions, generate};
use sarf::store::orders::leaves;

use crate::harness::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, period};

/// What the dump's program said of its orders: provider, state, orders, centimes.
const STOOD: &str = "select p.code || ' ' || t.state || ' ' || t.orders || ' ' || t.amount from run_total t
    join provider p on p.id = t.provider_id where t.run_id = 1 and t.orders > 0 order by 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_every_release_go_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/releases");
    let mut releases: Vec<_> = fs::read_dir(folder).expect("dumps").flatten().map(|e| e.path()).collect();
    releases.retain(|path| path.extension().is_some_and(|e| e == "zst"));
    releases.sort();
    assert!(!releases.is_empty(), "there are earlier releases");
    for release in releases {
        let packed = fs::read(&release).expect("a dump");
        let dump = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("SQL");
        let Some(bed) = Bed::of_release(&dump).await else { return };
        let before = bed.rows(STOOD).await;
        assert!(!before.is_empty(), "{}", release.display());
        bed.context.store.migrate().await.expect("it migrates");
        // People from before signatures are given keys.
        for name in [PREPARER, APPROVER, ACCOUNTANT] {
            let key = bed.home().join(format!("people/{name}.pub"));
            let key = fs::read_to_string(key).expect("a key");
            people::enrol(&bed.context, name, &key, ADMINISTRATOR).await.expect("enrolled");
        }
        // A dump's rows are laid wherever there is room.
        let laid = leaves::lay_in_order(&bed.context.store).await.expect("laid in order");
        assert!(laid.iter().any(|leaf| leaf.starts_with("payment_order_")), "{laid:?}");
        assert_eq!(leaves::lay_in_order(&bed.context.store).await.expect("again"), Vec::<String>::new());
        assert_eq!(bed.rows(STOOD).await, before, "{}", release.display());
        assert_eq!(bed.failing().await, Vec::<String>::new(), "{}", release.display());

        let next = bed.home().join("next");
        let dss = Code::parse("dss").expect("a code");
        generate(&GenerateOptions::new(200, period().next().expect("a month"), dss, 3, next.clone()), |_| ())
            .expect("a list");
        let run = bed.create(bed.import(&next).await).await;
        bed.take_to(run, RunState::Settling).await;
        assert_eq!(bed.failing().await, Vec::<String>::new(), "{}", release.display());
        bed.end().await;
    }
}
