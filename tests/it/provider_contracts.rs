//! What is published to institutions and wallets (docs/provider-api.yaml, docs/wallet-api.yaml) is what is said to them, and what
//! the sandbox answers.

use std::sync::Arc;
use std::time::Duration;

use sarf::clock::Clock;
use sarf::domain::run::RunState;
use sarf::engine::stop::Stop;
use sarf::engine::worker::{self, WorkerOptions};
use sarf::pipeline::dispatch::files as dispatch;
use sarf::rails::stream::secrets;
use sarf::sandbox::Share;
use sarf::sandbox::points::{PointFaults, PointProvider, PointRates, Points, PointsOptions};

use crate::harness::{Bed, Contract, in_front_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_providers_is_what_is_published() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let bed = Bed::with(|config| {
        config.settings.stream.enabled = true;
        config.router.change_terms(|provider| {
            if let Some(terms) = &mut provider.stream {
                (terms.changes_every_s, terms.enquire_after_s) = (1, 1);
            }
        });
    });
    let Some(bed) = bed.await else { return };
    let mut bed = bed.with_running_clock();
    let codes = ["cashplus", "wafacash", "wallet"];
    let of = |code: &str| {
        let secret = secrets::read_or_make(bed.home(), code).expect("a secret");
        let (_, provider) = bed.context.config.router.by_code(code).expect("configured");
        PointProvider { provider: provider.clone(), secret }
    };
    let points = Points::start(PointsOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        providers: codes.map(of).to_vec(),
        callback_url: None,
        later: None,
        seed: 5,
        faults: PointFaults::default(),
        rates: PointRates { uncollected: Share::per_million(0), ..PointRates::default() },
        clock: Clock::system(),
        inbox: bed.home().join("inbox"),
    });
    let points = points.await.expect("payment points");
    let (institutions, wallets) = (Contract::read("provider-api.yaml"), Contract::read("wallet-api.yaml"));
    let mut fronts = Vec::new();
    for code in codes {
        let contract = if code == "wallet" { &wallets } else { &institutions };
        let front = in_front_of(format!("http://{}/{code}", points.address()), contract).await;
        fronts.push((code, format!("http://{front}")));
    }
    let fronts = Arc::new(fronts);
    bed.change(|config| {
        config.router.change_terms(|provider| {
            let front = fronts.iter().find(|(code, _)| *code == provider.code.as_str());
            if let (Some(terms), Some((_, url))) = (&mut provider.stream, front) {
                terms.url.clone_from(url);
            }
        });
    });
    let run = bed.run_to(2_500, 5, RunState::Dispatching).await;
    dispatch::dispatch(&bed.context, run).await.expect("dispatched");
    let options = WorkerOptions { providers: codes.map(str::to_owned).to_vec(), run: Some(run) };
    let stop = Stop::new();
    let worked = worker::work(&bed.context, &options, &stop);
    tokio::time::timeout(Duration::from_secs(60), worked).await.expect("in time").expect("worked off");
    let (of_institutions, of_wallets) = (institutions.holds(), wallets.holds());
    for seen in ["POST /v1/orders 200", "GET /v1/changes 200"] {
        assert!(of_institutions.contains(seen), "{of_institutions:?}");
    }
    assert!(of_wallets.contains("POST /transfers 201"), "{of_wallets:?}");
    bed.end().await;
}
