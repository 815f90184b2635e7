//! Intents and reports of the stream lane, without any connection: states, totals and postings move together.

use sarf::domain::ids::{Code, OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::run::RunState;
use sarf::pipeline::dispatch::{files, stream};
use sarf::pipeline::messages::record::{Source, record};
use sarf::rails::stream::Answer;
use sarf::rails::stream::wire::Status;
use sarf::store::batches::shards;
use sarf::store::messages::feedback::MessageCounts;
use sarf::store::orders::questions;

use crate::harness::Bed;

/// A bed whose providers with stream terms are in the stream lane.
async fn bed() -> Option<Bed> {
    Bed::with(|config| config.settings.stream.enabled = true).await
}

/// Numbers and keys of all orders of a provider.
async fn orders(bed: &Bed, run: RunId, provider: &str) -> Vec<(i64, String)> {
    let ids = bed
        .rows(&format!(
            "select o.order_id::text from payment_order_{run} o join provider p on p.id = o.provider_id
              where p.code = '{provider}' and not exists (select from order_hold h where h.order_id = o.order_id) order by 1"
        ))
        .await;
    let ids: Vec<i64> = ids.iter().map(|id| id.parse().expect("a number")).collect();
    let waiting = shards::by_number(&bed.context.store, run, &ids).await.expect("orders");
    let (_, provider) = bed.context.config.router.by_code(provider).expect("configured");
    let named = stream::name(&Code::parse("dss").expect("a code"), provider, &waiting).expect("named");
    named.into_iter().map(|n| (n.order.get(), n.instruction.key)).collect()
}

async fn say(bed: &Bed, provider: &str, key: &str, status: Status) -> MessageCounts {
    let answer = Answer { key: key.into(), status, reason: None, amount: None };
    record(&bed.context, provider, Source::Callback, vec![answer]).await.expect("recorded")
}

async fn state(bed: &Bed, order: i64) -> String {
    let found = sarf::store::orders::find(&bed.context.store, None, Some(OrderId::new(order))).await;
    found.expect("found").remove(0).state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_may_repeat_and_come_in_any_order() {
    use Status::{Accepted, Available, Cancelled, Collected, Rejected};
    let Some(bed) = bed().await else { return };
    let run = bed.run_to(1_500, 3, RunState::Dispatching).await;
    files::dispatch(&bed.context, run).await.expect("files leave, shards are cut");
    let all = orders(&bed, run, "cashplus").await;
    assert!(all.len() > 20, "{} orders", all.len());
    let ids: Vec<i64> = all.iter().map(|(id, _)| *id).collect();
    let (early, rest) = ids.split_at(5);

    // Nothing is believed of an order that was not intended.
    let counts = say(&bed, "cashplus", &all[0].1, Available).await;
    assert_eq!((counts.applied, counts.breaks), (0, 1));
    assert_eq!(state(&bed, all[0].0).await, "released");

    for _ in 0..2 {
        let moved = stream::intend(&bed.context, "cashplus", early, None).await.expect("intended");
        let again = stream::intend(&bed.context, "cashplus", early, None).await.expect("intended");
        assert_eq!(again.expect("no lease is needed"), Vec::<i64>::new(), "once only");
        if let Some(first) = moved.filter(|m| !m.is_empty()) {
            assert_eq!(first, early);
        }
    }
    stream::intend(&bed.context, "cashplus", rest, None).await.expect("intended");
    stream::lose(&bed.context, "cashplus", &ids[..3], "timeout").await.expect("lost");
    assert_eq!(state(&bed, ids[0]).await, "unknown");
    assert_eq!(bed.number("select count(*) from enquiry where unknown").await, 3);
    bed.verify_all_holds().await;

    for (at, said, expected, breaks) in [
        (0, vec![Accepted, Available, Collected], "collected", 0),
        (1, vec![Collected, Available, Accepted, Collected], "collected", 0),
        (2, vec![Rejected, Accepted, Rejected], "rejected", 0),
        (3, vec![Available, Available, Cancelled, Cancelled], "expired", 0),
        (4, vec![Available, Collected, Rejected], "collected", 1),
        (5, vec![Cancelled, Collected], "expired", 1),
        (6, vec![Accepted], "accepted", 0),
    ] {
        let mut seen = 0;
        for status in said {
            seen += say(&bed, "cashplus", &all[at].1, status).await.breaks;
        }
        assert_eq!((state(&bed, all[at].0).await.as_str(), seen), (expected, breaks), "order {at}");
    }
    assert_eq!(bed.number("select count(*) from enquiry").await, 0, "what is known is not asked about");
    bed.verify_all_holds().await;

    // Another provider's word, or a key of nobody's, moves nothing.
    let counts = say(&bed, "wafacash", &all[6].1, Collected).await;
    assert_eq!((counts.applied, counts.breaks), (0, 1));
    assert_eq!(say(&bed, "cashplus", "DSS2611000000000001AAAAAA", Collected).await.breaks, 1);
    assert_eq!(state(&bed, all[6].0).await, "accepted");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_taken_over_writes_nothing_more() {
    let Some(bed) = bed().await else { return };
    let run = bed.run_to(600, 4, RunState::Dispatching).await;
    files::dispatch(&bed.context, run).await.expect("shards are cut");
    let (store, now) = (&bed.context.store, bed.context.clock.now());
    let provider = bed.number("select id::bigint from provider where code = 'cashplus'").await as i16;
    let first =
        shards::claim(store, provider, None, "first", 30, now).await.expect("claimed").expect("a shard");
    assert!(
        shards::claim(store, provider, None, "second", 30, now).await.expect("claimed").is_none(),
        "it is held"
    );
    bed.execute("update shard set leased_until = now() - interval '1 second'").await.expect("it went silent");
    let second =
        shards::claim(store, provider, None, "second", 30, now).await.expect("claimed").expect("taken over");
    assert_eq!((second.id, second.fence), (first.id, first.fence + 1));

    let waiting = shards::waiting(store, &first, 10).await.expect("orders");
    let ids: Vec<i64> = waiting.iter().map(|w| w.order.get()).collect();
    let next = OrderId::new(ids[ids.len() - 1] + 1);
    let late = stream::intend(&bed.context, "cashplus", &ids, Some((&first, next, 30))).await.expect("asked");
    assert_eq!(late, None);
    assert_eq!(bed.number(&format!("select count(*) from outcome_{run}")).await, 0);
    let taken =
        stream::intend(&bed.context, "cashplus", &ids, Some((&second, next, 30))).await.expect("asked");
    assert_eq!(taken.as_deref(), Some(&ids[..]));
    assert_eq!(shards::unanswered(store, &second).await.expect("asked"), ids);
    assert!(!shards::renew(store, &first, 30).await.expect("asked"));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_taken_is_asked_about() {
    use Status::{Accepted, Available, Collected, Expired, Rejected};
    let Some(bed) = bed().await else { return };
    let run = bed.run_to(600, 5, RunState::Dispatching).await;
    files::dispatch(&bed.context, run).await.expect("shards are cut");
    let all = orders(&bed, run, "cashplus").await;
    let ids: Vec<i64> = all.iter().map(|(id, _)| *id).collect();
    stream::intend(&bed.context, "cashplus", &ids[..8], None).await.expect("intended");
    let answer = |at: usize, status, amount: Option<i64>, reason: Option<&str>| Answer {
        key: all[at].1.clone(),
        status,
        reason: reason.map(str::to_owned),
        amount: amount.map(Centimes::new),
    };
    let say = async |source, answers: Vec<Answer>| {
        record(&bed.context, "cashplus", source, answers).await.expect("recorded")
    };
    // One answer: of the first it says two things, of the second another amount, of the third a second delivery.
    let counts = say(
        Source::Answer,
        vec![
            answer(0, Accepted, None, None),
            answer(1, Accepted, Some(1), None),
            answer(0, Rejected, None, Some("AC04")),
            answer(2, Rejected, None, Some("DUPL")),
            answer(3, Accepted, None, None),
            answer(4, Available, None, None),
            answer(4, Available, None, None),
        ],
    )
    .await;
    assert_eq!((counts.applied, counts.breaks), (2, 3));
    let states = async |ids: &[i64]| {
        let mut found = Vec::new();
        for id in ids {
            found.push(state(&bed, *id).await);
        }
        found
    };
    assert_eq!(states(&ids[..5]).await, ["unknown", "unknown", "unknown", "accepted", "available"]);
    assert_eq!(bed.number("select count(*) from enquiry where unknown").await, 3);
    bed.verify_all_holds().await;

    // Callbacks may tell of a life, not of two ends.
    let life = vec![
        answer(5, Accepted, None, None),
        answer(5, Collected, None, None),
        answer(6, Collected, None, None),
        answer(6, Expired, None, None),
    ];
    assert_eq!(say(Source::Callback, life).await.breaks, 1);
    assert_eq!(states(&ids[5..7]).await, ["collected", "sent"]);
    let two = vec![answer(3, Collected, None, None), answer(3, Rejected, None, Some("AC04"))];
    assert_eq!(say(Source::Changes, two).await.breaks, 1);
    assert_eq!(states(&ids[3..4]).await, ["accepted"]);
    // A key of nobody's is told as such.
    let nobody =
        |status| Answer { key: "DSS2611000000000001AAAAAA".into(), status, reason: None, amount: None };
    assert_eq!(say(Source::Answer, vec![nobody(Accepted), nobody(Rejected)]).await.breaks, 1);
    assert_eq!(bed.number("select count(*) from break where kind = 'unknown_reference'").await, 1);

    // Such orders are not handed over anew on their provider's word; one that is only unknown is.
    let mut tx = bed.context.store.begin().await.expect("a transaction");
    let kept = questions::contradicted_in_tx(&mut tx, &ids[..8]).await.expect("asked");
    tx.rollback().await.expect("rolled back");
    let mut kept: Vec<i64> = kept;
    kept.sort_unstable();
    assert_eq!(kept, [ids[0], ids[1], ids[2], ids[3], ids[6]]);
    bed.verify_all_holds().await;
    bed.end().await;
}
