//! Each fault is really seen by the client, and has had its effect or not.

use super::*;

/// What a client sees of one request, and whether the orders are known afterwards.
async fn check(name: &str, faults: PointFaults, expected: fn(&Seen) -> bool, effect: bool) {
    let bed = Bed::start(options(&format!("fault-{name}"))).await;
    bed.points.switch(faults);
    let body = serde_json::to_vec(&json!({ "orders": orders(0..4) })).unwrap();
    let request = bed.signed(bed.client.post(bed.url("/counter/v1/orders")), body);
    let seen = bed.send(request, PATIENCE).await;
    assert!(expected(&seen), "{name}: {seen:?}");
    bed.points.switch(PointFaults::default());
    let stands = bed.enquire(&[&key(0)]).await[0]["status"].clone();
    assert_eq!(stands, if effect { "available" } else { "not_found" }, "{name}");
    // Put again, each is there once.
    assert_eq!(bed.put(orders(0..4)).await.answers().len(), 4, "{name}");
    assert_eq!(bed.points.counts()["counter"].orders, 4, "{name}");

    bed.points.switch(faults);
    let transfer = json!({
        "msisdn": "+212600000001", "amount": "1.00", "currency": "MAD", "reference": key(9), "label": "x"
    });
    let request = bed.client.post(bed.url("/wallet/transfers")).header("x-api-key", SECRET);
    let seen = bed.send(request.body(transfer.to_string()), PATIENCE).await;
    let bulk_only = faults.partial != Share::NONE || faults.disordered != Share::NONE;
    assert!(bulk_only || expected(&seen), "{name}, wallet: {seen:?}");
    bed.points.switch(PointFaults::default());
    let known = matches!(
        bed.wallet(reqwest::Method::GET, &format!("transfers?reference={}", key(9))).await,
        Seen::Answer(200, _)
    );
    assert_eq!(known, effect, "{name}, wallet");
}

fn numbers(seen: &Seen) -> Vec<String> {
    let Seen::Answer(200, body) = seen else { return Vec::new() };
    body["answers"].as_array().unwrap().iter().map(|a| a["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn faults_are_seen_as_told() {
    let none = PointFaults::default();
    let all = Share::ALL;
    let wrong = |seen: &Seen| matches!(seen, Seen::Answer(500, _));
    let cut = |seen: &Seen| *seen == Seen::Cut;
    check("errors before", PointFaults { errors_before: all, ..none }, wrong, false).await;
    check("errors after", PointFaults { errors_after: all, ..none }, wrong, true).await;
    check("cut before", PointFaults { cut_before: all, ..none }, cut, false).await;
    check("cut after", PointFaults { cut_after: all, ..none }, cut, true).await;
    check("time-out after", PointFaults { timeouts_after: all, ..none }, |s| *s == Seen::TimedOut, true)
        .await;
    check("unreadable", PointFaults { unreadable: all, ..none }, |s| matches!(s, Seen::Unreadable(_)), true)
        .await;
    let half = |s: &Seen| numbers(s) == [key(0), key(1)];
    check("partial", PointFaults { partial: all, ..none }, half, true).await;
    let backwards = |s: &Seen| numbers(s) == [key(3), key(2), key(1), key(0)];
    check("disordered", PointFaults { disordered: all, ..none }, backwards, true).await;
    let busy = |s: &Seen| matches!(s, Seen::Answer(429, _));
    check("busy", PointFaults { busy: all, ..none }, busy, false).await;
    let outage = |s: &Seen| matches!(s, Seen::Answer(503, _));
    check("outage", PointFaults { outage: true, ..none }, outage, false).await;
}

#[tokio::test]
async fn faults_strike_their_share_and_the_same_requests_of_a_seed() {
    let faults = PointFaults { errors_before: Share::per_million(300_000), ..PointFaults::default() };
    let mut rounds = Vec::new();
    for round in 0..2 {
        let bed = Bed::start(PointsOptions { faults, ..options(&format!("share-{round}")) }).await;
        let mut struck = Vec::new();
        for number in 0..100 {
            struck.push(matches!(bed.put(orders(number..number + 1)).await, Seen::Answer(500, _)));
        }
        rounds.push(struck);
    }
    let count = rounds[0].iter().filter(|s| **s).count();
    assert!((15..45).contains(&count), "{count}");
    assert_eq!(rounds[0], rounds[1]);
}

#[tokio::test]
async fn more_than_the_limit_a_second_is_told_to_wait() {
    let faults = PointFaults { requests_per_second_max: 5, ..PointFaults::default() };
    let bed = Bed::start(PointsOptions { faults, ..options("limit") }).await;
    let mut told = Vec::new();
    // On a busy machine the second may end in between: then once more, after it.
    for _ in 0..5 {
        let began = Instant::now();
        told.clear();
        for _ in 0..8 {
            let response = bed.client.get(bed.url("/counter/v1/health")).send().await.unwrap();
            told.push((response.status().as_u16(), response.headers().contains_key("retry-after")));
        }
        if began.elapsed() < Duration::from_secs(1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1_050)).await;
    }
    assert_eq!(told[..5], [(200, false); 5]);
    assert_eq!(told[5..], [(429, true); 3]);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(bed.client.get(bed.url("/counter/v1/health")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn slow_answers_come_all_the_same() {
    let faults =
        PointFaults { slow: Share::ALL, latency_max: Duration::from_millis(300), ..PointFaults::default() };
    let bed = Bed::start(PointsOptions { faults, ..options("slow") }).await;
    let mut longest = Duration::ZERO;
    for number in 0..8 {
        let began = Instant::now();
        bed.put(orders(number..number + 1)).await.answers();
        longest = longest.max(began.elapsed());
    }
    assert!(longest > Duration::from_millis(50), "{longest:?}");
}

#[tokio::test]
async fn an_outage_closes_reversals_too_and_one_that_ends_is_forgotten() {
    let rates = PointRates { pending: Share::ALL, ..CERTAIN };
    let later = Some(Duration::from_secs(3_600));
    let bed = Bed::start(PointsOptions { rates, later, ..options("outage") }).await;
    let id = bed.transfer(&key(0), "500.00").await.body()["transferId"].as_str().unwrap().to_owned();
    bed.points.switch(PointFaults { outage: true, ..PointFaults::default() });
    let reversal = format!("transfers/{id}/reversal");
    assert_eq!(bed.wallet(reqwest::Method::POST, &reversal).await, Seen::Answer(503, Value::Null));
    bed.points.switch(PointFaults::default());
    let path = format!("transfers?reference={}", key(0));
    assert_eq!(bed.wallet(reqwest::Method::GET, &path).await.body()["status"], "PENDING");
}

#[tokio::test]
async fn who_stops_is_gone_for_open_connections_too() {
    let bed = Bed::start(options("stop")).await;
    // Its connection is kept by the client.
    bed.put(orders(0..1)).await.answers();
    let Bed { points, client, .. } = bed;
    let url = format!("http://{}/counter/v1/health", points.address());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    points.stop();
    let began = Instant::now();
    while client.get(&url).timeout(PATIENCE).send().await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "still served");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(client.get(&url).send().await.unwrap_err().is_connect());
}
