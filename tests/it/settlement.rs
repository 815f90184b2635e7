//! A payment point's day: settlement file and statement, whichever comes first, whole or not.

use std::path::PathBuf;
use std::time::Duration;

use sarf::clock::Clock;
use sarf::domain::ids::RunId;
use sarf::domain::run::RunState;
use sarf::engine::stop::Stop;
use sarf::engine::worker::{self, WorkerOptions};
use sarf::pipeline::dispatch::files as dispatch;
use sarf::pipeline::messages::record::{Source, record};
use sarf::rails::stream::wire::Status;
use sarf::rails::stream::{Answer, secrets};
use sarf::sandbox::Share;
use sarf::sandbox::points::{PointFaults, PointProvider, PointRates, Points, PointsOptions};

use crate::harness::Bed;

/// A month whose cash at one institution was drawn: the run, and the settlement file and statement of the day.
pub async fn day(faults: PointFaults, seed: u64) -> Option<(Bed, RunId, PathBuf, PathBuf)> {
    let bed = Bed::with(|config| {
        config.settings.stream.enabled = true;
        config.router.change_terms(|provider| {
            if let Some(terms) = &mut provider.stream {
                terms.changes_every_s = 0;
            }
        });
    })
    .await?
    .with_running_clock();
    for code in ["cashplus", "wafacash", "wallet"] {
        secrets::read_or_make(bed.home(), code).expect("a secret");
    }
    let (_, provider) = bed.context.config.router.by_code("cashplus").expect("configured");
    let secret = secrets::read(bed.home(), "cashplus").expect("a secret");
    let points = Points::start(PointsOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        providers: vec![PointProvider { provider: provider.clone(), secret }],
        callback_url: None,
        later: None,
        seed,
        faults,
        rates: PointRates { uncollected: Share::per_million(0), ..PointRates::default() },
        clock: Clock::system(),
        inbox: bed.home().join("inbox"),
    })
    .await
    .expect("payment points");
    let mut bed = bed;
    let address = points.address();
    bed.change(|config| {
        config.router.change_terms(|provider| {
            if let Some(terms) = &mut provider.stream {
                terms.url = format!("http://{address}/{}", provider.code);
            }
        });
    });
    let run = bed.run_to(2_500, seed, RunState::Dispatching).await;
    dispatch::dispatch(&bed.context, run).await.expect("dispatched");
    let options = WorkerOptions { providers: vec!["cashplus".into()], run: Some(run) };
    tokio::time::timeout(Duration::from_secs(60), worker::work(&bed.context, &options, &Stop::new()))
        .await
        .expect("in time")
        .expect("worked off");
    // Half of the payees' draws are told of; of the others only the settlement file tells.
    assert!(points.collect() > 50);
    let mut files = points.end_day().expect("files");
    let statement = files.pop().expect("a statement");
    let settlement = files.pop().expect("a settlement file");
    let text = std::fs::read_to_string(&settlement).expect("a text");
    let keys = text.lines().filter_map(|l| l.strip_prefix("D,")?.split(',').next()).step_by(2);
    let told =
        keys.map(|key| Answer { key: key.into(), status: Status::Collected, reason: None, amount: None });
    record(&bed.context, "cashplus", Source::Callback, told.collect()).await.expect("recorded");
    Some((bed, run, settlement, statement))
}

/// What the institution's orders came to: states with their orders, paid out, suspense, open breaks.
async fn figures(bed: &Bed, run: RunId) -> (String, i64, i64, Vec<String>) {
    let states = bed
        .rows(&format!(
            "select string_agg(t.state, ' ' order by t.state) from run_total t join provider p on p.id = t.provider_id
              where run_id = {run} and p.code = 'cashplus' and state <> 'held' and orders > 0"
        ))
        .await
        .remove(0);
    let balance = |kind: &str| {
        format!(
            "select coalesce(sum(balance), 0)::bigint from ledger_account a join provider p on p.id = a.provider_id
              where p.code = 'cashplus' and kind = '{kind}'"
        )
    };
    let paid_out = bed.number(&balance("paid_out")).await;
    (states, paid_out, bed.number(&balance("suspense")).await, bed.open_breaks().await)
}

async fn collected(bed: &Bed, run: RunId) -> i64 {
    bed.number(&format!(
        "select sum(amount)::bigint from run_total t join provider p on p.id = t.provider_id
          where run_id = {run} and p.code = 'cashplus' and state = 'collected'"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_and_statement_agree_whichever_comes_first() {
    for statement_first in [false, true] {
        let Some((bed, run, settlement, statement)) = day(PointFaults::default(), 11).await else { return };
        let files = if statement_first { [&statement, &settlement] } else { [&settlement, &statement] };
        bed.feedback_taken(vec![files[0].clone()]).await;
        let breaks = figures(&bed, run).await.3;
        assert_eq!(breaks, if statement_first { vec!["settlement_missing 1".to_owned()] } else { vec![] });
        bed.verify_all_holds().await;
        bed.feedback_taken(vec![files[1].clone()]).await;
        let (states, paid_out, suspense, breaks) = figures(&bed, run).await;
        assert_eq!(
            (states.as_str(), suspense, breaks),
            ("collected rejected", 0, vec![]),
            "{statement_first}"
        );
        assert_eq!(paid_out, collected(&bed, run).await);
        // Again changes nothing.
        bed.feedback_taken(vec![settlement, statement]).await;
        assert_eq!(figures(&bed, run).await.1, paid_out);
        bed.verify_all_holds().await;
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_file_does_not_say_stands_in_suspense() {
    let all = Share::per_million(1_000_000);
    let faults = PointFaults { settlement_short: all, settlement_fees: all, ..PointFaults::default() };
    let Some((bed, run, settlement, statement)) = day(faults, 12).await else { return };
    let lines = std::fs::read_to_string(&settlement).expect("a text").lines().count() - 2;
    // The same reference with another content is not read a second time.
    let other = settlement.with_file_name("settlement_again.csv");
    let text = std::fs::read_to_string(&settlement).expect("a text");
    std::fs::write(&other, text.replace("Z\n", "+00:00\n")).expect("a copy");
    // A file that was cut off changes nothing.
    let cut = settlement.with_file_name("settlement_cut.csv");
    std::fs::write(&cut, &text[..text.len() / 2]).expect("a copy");
    let results = bed.feedback(vec![cut]).await;
    assert!(results[0].1.is_err(), "{:?}", results[0]);
    bed.feedback_taken(vec![settlement, other, statement]).await;
    let (_, paid_out, suspense, breaks) = figures(&bed, run).await;
    // One order lacks in the file: its money was debited, and nothing says for what.
    assert!(suspense > 0, "{suspense}");
    assert_eq!(
        breaks,
        ["amount_differs 1".to_owned(), format!("fee_differs {lines}"), "statement_repeated 1".to_owned()]
    );
    let by_file = bed.number("select sum(amount)::bigint from settlement_share").await;
    assert_eq!(paid_out, by_file);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_of_which_nothing_was_taken_shuts_out_nothing() {
    for statement_first in [false, true] {
        let Some((bed, run, settlement, statement)) = day(PointFaults::default(), 11).await else { return };
        let text = std::fs::read_to_string(&settlement).expect("a text");
        let lines = text.lines().count() - 2;
        let burned = settlement.with_file_name("settlement_burned.csv");
        let unreadable = text.lines().map(|line| {
            let mut fields: Vec<&str> = line.split(',').collect();
            if fields[0] == "D" {
                fields[3] = "a lot";
            }
            fields.join(",") + "\n"
        });
        std::fs::write(&burned, unreadable.collect::<String>()).expect("a file");
        if statement_first {
            bed.feedback_taken(vec![statement.clone()]).await;
        }
        let before = figures(&bed, run).await;
        let (_, result) = bed.feedback(vec![burned]).await.remove(0);
        let counts = result.expect("read").counts;
        assert_eq!((counts.applied, counts.already, counts.breaks), (0, 0, lines as u64 + 1));
        let after = figures(&bed, run).await;
        assert_eq!((&after.0, after.1, after.2), (&before.0, before.1, before.2), "nothing moved");
        // The corrected one of the same reference is read; the next is told as what it came before.
        bed.feedback_taken(vec![settlement.clone()]).await;
        if !statement_first {
            bed.feedback_taken(vec![statement.clone()]).await;
        }
        let (states, paid_out, suspense, breaks) = figures(&bed, run).await;
        assert_eq!((states.as_str(), suspense), ("collected rejected", 0), "{statement_first}");
        assert_eq!(breaks, [format!("faulty_entry {lines}"), "totals_differ 1".to_owned()]);
        assert_eq!(paid_out, collected(&bed, run).await);
        let name = settlement.file_name().expect("a name").to_string_lossy().into_owned();
        let message = bed.number(&format!("select id from message where file_name = '{name}'")).await;
        let other = settlement.with_file_name("settlement_other.csv");
        std::fs::write(&other, text.replace("Z\n", "+00:00\n")).expect("a copy");
        bed.feedback_taken(vec![other]).await;
        let told = bed.rows("select detail from break where kind = 'statement_repeated'").await;
        let known = format!("read before, in message {message} (`{name}`)");
        assert!(told.len() == 1 && told[0].contains(&known), "{known}: {told:?}");
        // The very bytes again are known as that message.
        let copy = settlement.with_file_name("settlement_copy.csv");
        std::fs::copy(&settlement, &copy).expect("a copy");
        let again = bed.feedback(vec![copy]).await.remove(0).1.expect("known");
        assert_eq!((again.already, again.message.map(|m| m.get())), (true, Some(message)));
        assert_eq!(again.first_file, Some(name));
        bed.verify_all_holds().await;
        bed.end().await;
    }
}
