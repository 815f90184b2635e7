//! A bank's instant lane: pacs.008 out, pacs.002 back; silence stays unknown until pacs.028 is answered.

use std::time::{Duration, Instant};

use sarf::clock::Clock;
use sarf::config::Config;
use sarf::domain::ids::RunId;
use sarf::domain::provider::{Provider, StreamApi, StreamTerms};
use sarf::domain::router::Router;
use sarf::domain::run::RunState;
use sarf::engine::stop::Stop;
use sarf::engine::worker::{self, WorkerOptions};
use sarf::pipeline::dispatch::files as dispatch;
use sarf::rails::stream::secrets;
use sarf::sandbox::Share;
use sarf::sandbox::points::{PointFaults, PointProvider, PointRates, Points, PointsOptions};

use crate::harness::{Bed, Contract, Registry, in_front_of};

const BANK: &str = "awb";

/// Accounts of one bank are paid by its instant lane, at this address.
fn instant_bank(config: &mut Config, url: &str) {
    config.settings.stream.enabled = true;
    let mut providers: Vec<Provider> = config.router.providers().to_vec();
    let terms = providers.iter().find_map(|p| p.stream.clone()).expect("terms of a provider");
    for provider in &mut providers {
        provider.stream = None;
        if provider.code.as_str() == BANK {
            provider.stream = Some(StreamTerms {
                api: StreamApi::Instant,
                url: url.to_owned(),
                orders_per_request: 1,
                requests_per_second: 0,
                orders_per_second: 0,
                timeout_ms: 500,
                enquire_after_s: 1,
                believe_absent_after_s: 1,
                changes_every_s: 0,
                ..terms.clone()
            });
        }
    }
    config.router = Router::new(providers).expect("providers");
}

/// The bank, behind a wire that cuts, fails and babbles.
async fn bank_on_a_bad_wire(bed: &Bed) -> Points {
    let secret = secrets::read_or_make(bed.home(), BANK).expect("a secret");
    let (_, provider) = bed.context.config.router.by_code(BANK).expect("configured");
    let share = Share::per_million(60_000);
    let points = Points::start(PointsOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        providers: vec![PointProvider { provider: provider.clone(), secret }],
        callback_url: None,
        later: None,
        seed: 11,
        faults: PointFaults {
            errors_before: share,
            errors_after: share,
            cut_before: share,
            cut_after: share,
            unreadable: share,
            busy: Share::per_million(30_000),
            ..PointFaults::default()
        },
        rates: PointRates { uncollected: Share::NONE, ..PointRates::default() },
        clock: Clock::system(),
        inbox: bed.home().join("inbox"),
    });
    points.await.expect("a bank")
}

/// A worker at work until nothing is unknown.
async fn worked_off(bed: &Bed, run: RunId) {
    let stop = Stop::new();
    let (context, asked) = (bed.context.clone(), stop.clone());
    let task = tokio::spawn(async move {
        worker::work(&context, &WorkerOptions::default(), &asked).await.expect("the worker can work");
    });
    let open = format!(
        "select (select count(*) from shard where run_id = {run} and not done) + (select count(*) from enquiry)"
    );
    let began = Instant::now();
    while bed.number(&open).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "not worked off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.request();
    task.await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instant_lane_pays_each_order_once_whatever_happens_on_the_wire() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let Some(bed) = Bed::with(|config| instant_bank(config, "http://127.0.0.1:1/awb")).await else { return };
    let mut bed = bed.with_running_clock();
    let points = bank_on_a_bad_wire(&bed).await;
    let contract = Contract::read("instant-api.yaml");
    // What is cut off on the wire is answered by nobody: only whole exchanges are held against the contract.
    let url = format!("http://{}/{BANK}", points.address());
    bed.change(|config| instant_bank(config, &url));

    let mut registry = Registry::default();
    for _ in 0..150 {
        registry.household();
    }
    let folder = bed.home().join("list");
    registry.write(&folder);
    let run = bed.create(bed.import(&folder).await).await;
    bed.take_to(run, RunState::Dispatching).await;
    dispatch::dispatch(&bed.context, run).await.expect("dispatched");
    worked_off(&bed, run).await;
    let counts = points.counts()[BANK];
    assert_eq!(counts.orders, 150, "each order is at the bank once: {counts:?}");
    let states = bed.order_states(run).await;
    let of = |state: &str| states.iter().filter(|line| line.contains(state)).count() as u64;
    assert_eq!((of("settled"), of("rejected")), (counts.paid, counts.rejected), "{states:?}");
    assert!(bed.number("select count(*) from outcome where step = 2").await > 0, "some were unknown");

    // Without faults, all that is said is what is published.
    points.switch(PointFaults::default());
    let front = in_front_of(url.clone(), &contract).await;
    bed.change(|config| instant_bank(config, &format!("http://{front}")));
    let later = bed.home().join("later");
    let mut registry = Registry::default();
    for _ in 0..20 {
        registry.household();
    }
    registry.write_for(&later, crate::harness::period().next().expect("a month"));
    let run = bed.create(bed.import(&later).await).await;
    bed.take_to(run, RunState::Dispatching).await;
    dispatch::dispatch(&bed.context, run).await.expect("dispatched");
    worked_off(&bed, run).await;
    let seen = contract.holds();
    assert!(seen.contains("POST /transfers 200"), "{seen:?}");

    // The day's statement debits what was paid, and the books hold.
    let files = points.end_day().expect("the day is settled");
    bed.feedback_taken(files).await;
    assert!(bed.open_breaks().await.is_empty(), "{:?}", bed.open_breaks().await);
    bed.verify_all_holds().await;
    bed.end().await;
}

/// A bank that answers a pain.001 file by pacs.002 is read as one that answers by pain.002.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_between_banks_is_read_as_one_to_the_customer() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = Registry::default();
    for _ in 0..4 {
        registry.household();
    }
    let folder = bed.home().join("list");
    registry.write(&folder);
    let run = bed.create(bed.import(&folder).await).await;
    bed.take_to(run, RunState::Settling).await;
    let files = crate::harness::sent_files(&bed.outbox());
    let [file] = &files[..] else { panic!("{files:?}") };
    let line = |order: &str, status: &str, reason: &str| {
        format!(
            "<TxInfAndSts><OrgnlEndToEndId>{order}</OrgnlEndToEndId><OrgnlTxId>T</OrgnlTxId><TxSts>{status}</TxSts>{reason}\
             <OrgnlTxRef><IntrBkSttlmAmt Ccy=\"MAD\">500.00</IntrBkSttlmAmt></OrgnlTxRef></TxInfAndSts>"
        )
    };
    let refused = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>";
    let second = "<StsRsnInf><Rsn><Cd>AM05</Cd></Rsn></StsRsnInf>";
    let orders: Vec<&str> = file.orders.iter().map(|order| order.0.as_str()).collect();
    let text = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10\"><FIToFIPmtStsRpt><GrpHdr><MsgId>P1</MsgId>\
         <CreDtTm>2026-11-25T09:00:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>BANKSOWN</OrgnlMsgId>\
         <OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId></OrgnlGrpInfAndSts>{}{}{}{}</FIToFIPmtStsRpt></Document>",
        line(orders[0], "ACSC", ""),
        line(orders[1], "RJCT", refused),
        line(orders[2], "ACSP", ""),
        line(orders[3], "RJCT", second),
    );
    let path = bed.home().join("report.xml");
    std::fs::write(&path, text).expect("written");
    bed.feedback_taken(vec![path]).await;
    let states = bed.order_states(run).await;
    let of = |state: &str| states.iter().filter(|line| line.contains(state)).count();
    assert_eq!((of("settled"), of("rejected"), of("accepted")), (1, 1, 1), "{states:?}");
    // A second delivery that is refused says nothing of the first: it is in front of a person.
    let breaks = bed.open_breaks().await;
    assert_eq!(breaks.len(), 1, "{breaks:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}
