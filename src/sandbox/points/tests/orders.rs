//! Orders, each done once; fates; changes.

use std::collections::BTreeMap;

use super::*;

#[tokio::test]
async fn under_one_key_a_thing_is_done_once_however_many_ask_at_once() {
    let bed = Bed::start(options("once")).await;
    let calls = (0..8).map(|_| bed.put(orders(0..100)));
    for seen in futures_util::future::join_all(calls).await {
        let answers = seen.answers();
        assert_eq!(answers.len(), 100);
        assert!(answers.iter().all(|a| a["status"] == "available" && a["amount"] == 50_000), "{answers:?}");
    }
    let counts = bed.points.counts()["counter"];
    assert_eq!((counts.orders, counts.repeated, counts.conflicting), (100, 700, 0));
    assert_eq!((counts.requests, counts.available), (8, 100));
    assert_eq!(bed.points.arrivals("counter").iter().map(|(_, n)| n).sum::<u32>(), 800);
}

#[tokio::test]
async fn a_known_key_with_another_content_is_refused_and_changes_nothing() {
    let bed = Bed::start(options("conflict")).await;
    bed.put(orders(0..1)).await.answers();
    let mut others = vec![order(0, 50_001), order(0, 50_000), order(0, 50_000), order(0, 50_000)];
    others[1]["payee"]["cin"] = json!("XX2");
    others[2]["payee"]["name"] = json!("ANOTHER");
    others[3]["means"] = json!("wallet");
    for (n, other) in others.into_iter().enumerate() {
        let answer = &bed.put(vec![other]).await.answers()[0];
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("rejected"), &json!("DUPL")), "{n}");
    }
    assert_eq!(bed.points.counts()["counter"].conflicting, 4);
    let stands = &bed.enquire(&[&key(0)]).await[0];
    assert_eq!((&stands["status"], &stands["amount"]), (&json!("available"), &json!(50_000)));
}

#[tokio::test]
async fn what_cannot_be_paid_is_rejected_and_what_cannot_be_read_does_nothing() {
    let bed = Bed::start(options("unsound")).await;
    let mut foreign = order(1, 50_000);
    foreign["currency"] = json!("EUR");
    let answers = bed.put(vec![order(0, 0), foreign, order(2, -1)]).await.answers();
    let reasons: Vec<_> = answers.iter().map(|a| a["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["AM01", "AM03", "AM01"]);
    // The answer is the same when it is asked for again.
    assert_eq!(bed.put(vec![order(0, 0)]).await.answers()[0]["reason"], "AM01");

    let mut unknown_field = order(10, 1);
    unknown_field["colour"] = json!("red");
    let mut injected = order(11, 1);
    injected["key"] = json!("A,B\nT,0,0.00,0.00");
    for (what, body, expected) in [
        ("unknown field", json!({ "orders": [unknown_field] }), 400),
        ("a key that is none", json!({ "orders": [order(12, 1), injected] }), 400),
        ("too many", json!({ "orders": orders(100..601) }), 413),
    ] {
        assert!(matches!(bed.post("orders", &body).await, Seen::Answer(s, _) if s == expected), "{what}");
    }
    let unsigned = bed.client.post(bed.url("/counter/v1/orders")).body("{\"orders\":[]}");
    assert!(matches!(bed.send(unsigned, LONG).await, Seen::Answer(401, _)));
    let forged =
        bed.signed(bed.client.post(bed.url("/counter/v1/orders")), b"{}".to_vec()).body("{\"orders\":[]}");
    assert!(matches!(bed.send(forged, LONG).await, Seen::Answer(401, _)));
    assert_eq!(bed.points.counts()["counter"].orders, 3);
}

#[tokio::test]
async fn what_is_not_drawn_can_be_cancelled_and_the_rest_stays() {
    let bed = Bed::start(options("cancel")).await;
    bed.put(orders(0..10)).await.answers();
    let half = Share::per_million(500_000);
    let drawn = bed.points.collect_share(half);
    assert!((1..10).contains(&drawn), "{drawn}");
    assert_eq!(bed.points.collect_share(half), 0, "the same ones come");
    let keys: Vec<String> = (0..11).map(key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let count =
        |answers: &[Value], status: &str| answers.iter().filter(|a| a["status"] == status).count() as u64;
    for round in 0..2 {
        let answers = bed.post("orders/cancel", &json!({ "keys": keys })).await.answers();
        let found = ["collected", "cancelled", "not_found"].map(|status| count(&answers, status));
        assert_eq!(found, [drawn, 10 - drawn, 1], "round {round}");
    }
    assert_eq!(bed.points.collect(), 0, "what is cancelled is not drawn");
}

/// Fates by key, with the orders put in bundles of some size, from the front or the back.
async fn fates(seed: u64, bundle: usize, backwards: bool) -> BTreeMap<String, (String, Value)> {
    let rates = PointRates {
        rejected: Share::per_million(300_000),
        uncollected: Share::per_million(300_000),
        ..CERTAIN
    };
    let name = format!("fates-{seed}-{bundle}-{backwards}");
    let bed = Bed::start(PointsOptions { seed, rates, ..options(&name) }).await;
    let mut all = orders(0..200);
    if backwards {
        all.reverse();
    }
    for some in all.chunks(bundle) {
        bed.put(some.to_vec()).await.answers();
    }
    bed.points.collect();
    bed.points.expire();
    let keys: Vec<String> = (0..200).map(key).collect();
    let answers = bed.enquire(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    answers.iter().map(|a| (text(&a["key"]), (text(&a["status"]), a["reason"].clone()))).collect()
}

#[tokio::test]
async fn fates_hang_on_seed_and_key_alone() {
    let first = fates(1, 200, false).await;
    let of = |status: &str| first.values().filter(|(s, _)| s == status).count();
    let (rejected, collected, expired) = (of("rejected"), of("collected"), of("expired"));
    assert_eq!(rejected + collected + expired, 200);
    assert!((40..80).contains(&rejected) && (25..60).contains(&expired), "{rejected} {expired}");
    assert!(first.values().all(|(status, reason)| (status == "rejected") == reason.is_string()));
    assert_eq!(first, fates(1, 7, true).await);
    assert_ne!(first, fates(2, 200, false).await);
}

#[tokio::test]
async fn the_list_of_changes_is_complete_and_cursors_stand_still() {
    let rates = PointRates { uncollected: Share::per_million(200_000), ..CERTAIN };
    let later = Some(Duration::from_millis(1));
    let bed = Bed::start(PointsOptions { later, rates, ..options("changes") }).await;
    assert_eq!(bed.page("", 10).await["cursor"], "0");
    assert!(bed.put(orders(0..50)).await.answers().iter().all(|a| a["status"] == "accepted"));
    bed.quiet().await;
    let before = bed.page("", 7).await;
    let drawn = bed.points.collect();
    let expired = bed.points.expire();
    assert!(drawn > 0 && expired > 0 && drawn + expired == 50);
    assert_eq!(bed.page("", 7).await["changes"], before["changes"]);

    let all = bed.changes(7).await;
    assert_eq!(all, bed.changes(1_000).await);
    let count = |status: &str| all.iter().filter(|c| c["status"] == status).count() as u64;
    assert_eq!([count("available"), count("collected"), count("expired")], [50, drawn, expired]);
    let ids: Vec<u64> = all.iter().map(|c| c["id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<u64>>());
    assert_eq!(all[0]["at"], "2026-11-24T10:12:07.5Z");
    let end = bed.page("999999", 7).await;
    assert_eq!((&end["cursor"], end["changes"].as_array().map(Vec::len)), (&json!("100"), Some(0)));
    assert!(matches!(bed.page("x", 7).await, Value::Object(o) if o.contains_key("error")));
}

#[tokio::test]
async fn a_wallet_credits_once_and_takes_back_what_is_pending() {
    let rates = PointRates { pending: Share::per_million(500_000), ..CERTAIN };
    // Pending ones stay so for the test's time.
    let later = Some(Duration::from_secs(3_600));
    let bed = Bed::start(PointsOptions { rates, later, ..options("wallet") }).await;
    let (mut pending, mut completed) = (None, None);
    for number in 0..20 {
        let Seen::Answer(201, transfer) = bed.transfer(&key(number), "500.00").await else {
            panic!("{number}")
        };
        assert_eq!((&transfer["reference"], &transfer["amount"]), (&json!(key(number)), &json!("500.00")));
        let Seen::Answer(409, again) = bed.transfer(&key(number), "500.00").await else { panic!("{number}") };
        assert_eq!(again, transfer);
        match transfer["status"].as_str().unwrap() {
            "PENDING" => pending = Some(transfer),
            "COMPLETED" => completed = Some(transfer),
            other => panic!("{other}"),
        }
    }
    let (pending, completed) = (pending.unwrap(), completed.unwrap());
    let counts = bed.points.counts()["wallet"];
    assert_eq!((counts.orders, counts.repeated, counts.accepted + counts.paid), (20, 20, 20));
    let other = bed.transfer(&key(0), "501.00").await.body();
    assert_eq!((&other["status"], &other["code"]), (&json!("FAILED"), &json!("DUPL")));

    let reversal = |t: &Value| format!("transfers/{}/reversal", t["transferId"].as_str().unwrap());
    for (transfer, status, stands) in
        [(&pending, 200, "REVERSED"), (&pending, 200, "REVERSED"), (&completed, 409, "COMPLETED")]
    {
        let Seen::Answer(found, body) = bed.wallet(reqwest::Method::POST, &reversal(transfer)).await else {
            panic!()
        };
        assert_eq!((found, body["status"].as_str()), (status, Some(stands)));
        let path = format!("transfers?reference={}", transfer["reference"].as_str().unwrap());
        assert_eq!(bed.wallet(reqwest::Method::GET, &path).await.body()["status"], stands);
    }
    let unknown = bed.wallet(reqwest::Method::GET, "transfers?reference=NOBODY").await;
    assert_eq!(unknown, Seen::Answer(404, json!({ "error": "unknown_reference" })));
    let stranger = bed.client.get(bed.url("/wallet/ping")).header("x-api-key", "guessed");
    assert_eq!(bed.send(stranger, LONG).await, Seen::Answer(401, Value::Null));
}
