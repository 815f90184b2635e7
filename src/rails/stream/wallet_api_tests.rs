//! The wallet API against a switch that misbehaves.

use std::time::Duration;

use super::super::StreamRail as _;
use super::super::testing::{Reply as Played, Seen, Server, instruction, terms};
use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn api(server: &Server, concurrency: u32) -> Singly<WalletApi> {
    let mut terms = terms(&server.url);
    terms.concurrency = concurrency;
    let client = http::client(&terms).unwrap();
    WalletApi::new(client, &terms, &Secret::new(KEY), Clock::system(), "ANSS").unwrap()
}

fn orders(keys: &[&str]) -> Vec<Instruction> {
    keys.iter().map(|k| instruction(k)).collect()
}

fn told(answer: &Answer) -> String {
    let amount = answer.amount.map_or("-".to_owned(), |c| c.get().to_string());
    format!("{} {:?} {} {amount}", answer.key, answer.status, answer.reason.as_deref().unwrap_or("-"))
}

fn transfer(status: &str) -> String {
    format!(r#"{{"transferId":"T-1","status":"{status}","amount":"500.00"}}"#)
}

/// The reference in a body of a transfer.
fn reference(seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    body["reference"].as_str().unwrap().to_owned()
}

/// What a put of K1 makes of an answer.
async fn check_put(played: Played, expected: Result<&str, &str>) {
    let shown = format!("{played:?}");
    let server = Server::start(move |_| played.clone()).await;
    match (api(&server, 4).put(&orders(&["K1"])).await, expected) {
        (Ok(put), Ok(line)) => {
            assert_eq!(put.answers.iter().map(told).collect::<Vec<_>>(), [line], "{shown}");
            assert!(put.untouched.is_empty());
        }
        (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{shown}"),
        (found, _) => panic!("{shown}: {found:?}, not {expected:?}"),
    }
    assert_eq!(server.seen().len(), 1, "{shown}");
}

#[tokio::test]
async fn what_an_answer_means() {
    let json = |status, body: &str| Played::Json(status, body.to_owned());
    check_put(json(201, &transfer("COMPLETED")), Ok("K1 Credited - 50000")).await;
    check_put(json(201, &transfer("PENDING")), Ok("K1 Accepted - 50000")).await;
    check_put(json(409, &transfer("REVERSED")), Ok("K1 Cancelled - 50000")).await;
    check_put(json(409, &transfer("COMPLETED")), Ok("K1 Credited - 50000")).await;
    check_put(json(201, r#"{"transferId":"1","status":"FAILED","code":"BE23"}"#), Ok("K1 Rejected BE23 -"))
        .await;
    check_put(json(201, r#"{"transferId":"1","status":"FAILED","code":"?"}"#), Ok("K1 Rejected ? -")).await;
    check_put(json(201, r#"{"transferId":"1","status":"PENDING","code":"X"}"#), Ok("K1 Accepted - -")).await;
    check_put(json(201, r#"{"transferId":"1","status":"DONE"}"#), Ok("K1 Unknown - -")).await;
    check_put(json(422, r#"{"code":"AM02"}"#), Ok("K1 Rejected AM02 -")).await;
    check_put(json(400, "{}"), Err("the provider refused the request with status 400")).await;
    check_put(json(422, "<html>"), Err("the provider refused the request with status 422")).await;
    check_put(json(401, r#"{"code":"AM02"}"#), Err("the provider refused the request with status 401")).await;
    let unreadable = Err("no readable answer from the provider: unreadable");
    for body in [
        "",
        "{}",
        r#"{"transferId":"../1","status":"PENDING"}"#,
        r#"{"transferId":"a/b","status":"PENDING"}"#,
        r#"{"transferId":"","status":"PENDING"}"#,
        r#"{"transferId":"1","status":"COMPLETED","reference":"K2"}"#,
    ] {
        check_put(json(201, body), unreadable).await;
    }
    check_put(json(409, "{}"), Err("no readable answer from the provider: status 4xx")).await;
    check_put(json(201, r#"{"transferId":"1","status":"PENDING","amount":"5e2"}"#), Ok("K1 Accepted - 0"))
        .await;
    check_put(Played::Cut, Err("no readable answer from the provider: cut")).await;
    check_put(Played::Json(429, String::new()), Err("the provider asks to wait")).await;
}

#[tokio::test]
async fn a_transfer_says_no_more_than_it_must() {
    let server = Server::start(|_| Played::Json(201, transfer("COMPLETED"))).await;
    let mut without = instruction("K2");
    without.phone = None;
    let put = api(&server, 1).put(&[instruction("K1"), without]).await.unwrap();
    let lines: Vec<String> = put.answers.iter().map(told).collect();
    assert_eq!(lines, ["K1 Credited - 50000", "K2 Rejected BE23 -"]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "nothing is sent without a phone");
    assert_eq!(seen[0].line, "POST /base/transfers");
    assert_eq!(seen[0].header(API_KEY), Some(KEY));
    assert_eq!(
        seen[0].text(),
        r#"{"msisdn":"+212612345678","amount":"500.00","currency":"MAD","reference":"K1","label":"ANSS"}"#
    );
}

/// What becomes of a bundle of which each order is answered as its key says: `L` lost, `B` busy, `R` refused, else
/// completed. Expected: keys answered, untouched, and (the rest) lost; or an error.
async fn check_bundle(keys: &[&str], concurrency: u32, expected: Result<(&[&str], &[&str]), &str>) {
    let server = Server::start(|seen| match reference(seen).as_bytes()[0] {
        b'L' => Played::Cut,
        b'B' => Played::Header(429, "Retry-After: 3"),
        b'R' => Played::Json(403, String::new()),
        _ => Played::Json(201, transfer("COMPLETED")),
    })
    .await;
    match (api(&server, concurrency).put(&orders(keys)).await, expected) {
        (Ok(put), Ok((answered, untouched))) => {
            let mut found: Vec<&str> = put.answers.iter().map(|a| a.key.as_str()).collect();
            found.sort_unstable();
            assert_eq!(found, answered, "answered of {keys:?}");
            let mut idle = put.untouched.clone();
            idle.sort_unstable();
            assert_eq!(idle, untouched, "untouched of {keys:?}");
            let asked = keys.iter().any(|k| k.starts_with('B'));
            assert_eq!(put.retry_after, asked.then(|| Duration::from_secs(3)));
        }
        (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{keys:?}"),
        (found, _) => panic!("{keys:?}: {found:?}, not {expected:?}"),
    }
}

#[tokio::test]
async fn each_order_has_an_outcome_of_its_own() {
    check_bundle(&["A1", "A2", "A3"], 2, Ok((&["A1", "A2", "A3"], &[]))).await;
    check_bundle(&["A1", "L1", "A2"], 1, Ok((&["A1", "A2"], &[]))).await;
    // After a 429 no more are begun.
    check_bundle(&["A1", "B1", "A2", "L1"], 1, Ok((&["A1"], &["A2", "B1", "L1"]))).await;
    // Lost is lost, also where the others may be handed over again.
    check_bundle(&["L1", "B1", "A2"], 1, Ok((&[], &["A2", "B1"]))).await;
    check_bundle(&["R1", "A1"], 1, Ok((&["A1"], &[]))).await;
    check_bundle(&["B1", "B2", "A1"], 1, Err("the provider asks to wait")).await;
    check_bundle(&["B1", "B2"], 2, Err("the provider asks to wait")).await;
    check_bundle(&["L1", "L2"], 2, Err("no readable answer from the provider: cut")).await;
    check_bundle(&["R1", "L2"], 1, Err("no readable answer from the provider: cut")).await;
    check_bundle(&["R1", "R2"], 1, Err("the provider refused the request with status 403")).await;
    check_bundle(&[], 1, Ok((&[], &[]))).await;
}

#[tokio::test]
async fn as_many_calls_at_once_as_agreed() {
    let pause = Duration::from_millis(100);
    let late = move |_: &Seen| Played::Late(pause, Box::new(Played::Json(201, transfer("COMPLETED"))));
    for (concurrency, rounds) in [(4, 2), (2, 4), (0, 1)] {
        let server = Server::start(late).await;
        let keys: Vec<String> = (0..8).map(|n| format!("K{n}")).collect();
        let bundle: Vec<Instruction> = keys.iter().map(|k| instruction(k)).collect();
        let mut seen = Vec::new();
        // A busy machine may sleep longer: one of five times does not.
        while seen.len() < 5 && seen.last().is_none_or(|took| *took >= pause * (rounds + 2)) {
            let began = std::time::Instant::now();
            assert_eq!(api(&server, concurrency).put(&bundle).await.unwrap().answers.len(), 8);
            seen.push(began.elapsed());
        }
        assert!(seen.iter().all(|took| *took >= pause * rounds), "{concurrency} at once: {seen:?}");
        assert!(seen.iter().any(|took| *took < pause * (rounds + 2)), "{concurrency} at once: {seen:?}");
    }
}

/// A switch that knows transfers by the letter of their reference: P pending, C completed; of those, Q is completed when it
/// is to be reversed. L is cut off, F is a 404 from something else, others are not known.
fn switch(seen: &Seen) -> Played {
    let found = |id: &str, status: &str| format!(r#"{{"transferId":"{id}","status":"{status}"}}"#);
    let target = seen.line.split_once(' ').unwrap().1;
    match target.split_once("reference=").map(|(_, key)| key.as_bytes()[0]) {
        Some(id @ (b'P' | b'Q')) => Played::Json(200, found(&char::from(id).to_string(), "PENDING")),
        Some(b'C') => Played::Json(200, found("C", "COMPLETED")),
        Some(b'L') => Played::Cut,
        Some(b'F') => Played::Json(404, "<html>".into()),
        Some(_) => Played::Json(404, r#"{"error":"unknown_reference"}"#.into()),
        None if target == "/base/transfers/P/reversal" => Played::Json(200, found("P", "REVERSED")),
        None if target == "/base/transfers/Q/reversal" => Played::Json(409, found("Q", "COMPLETED")),
        None => Played::Json(500, String::new()),
    }
}

#[tokio::test]
async fn keys_are_asked_about_and_cancelled_one_by_one() {
    let server = Server::start(switch).await;
    let api = api(&server, 1);
    let keys = |letters: &str| letters.chars().map(|c| format!("{c}1")).collect::<Vec<_>>();
    let lines = |answers: Vec<Answer>| answers.iter().map(told).collect::<Vec<_>>();
    assert_eq!(
        lines(api.enquire(&keys("PCXLF")).await.unwrap()),
        ["P1 Accepted - -", "C1 Credited - -", "X1 NotFound - -"]
    );
    assert_eq!(
        lines(api.cancel(&keys("PQCXL")).await.unwrap()),
        ["P1 Cancelled - -", "Q1 Credited - -", "C1 Credited - -", "X1 NotFound - -"]
    );
    assert!(matches!(api.enquire(&keys("F")).await, Err(CallError::Refused { status: 404 })));
    assert!(api.enquire(&keys("L")).await.unwrap_err().may_have_acted());
    let reversed: Vec<String> =
        server.seen().into_iter().map(|s| s.line).filter(|l| l.starts_with("POST")).collect();
    assert_eq!(reversed, ["POST /base/transfers/P/reversal", "POST /base/transfers/Q/reversal"]);
}

#[tokio::test]
async fn it_tells_of_no_changes_and_is_pinged() {
    let server = Server::start(|seen| {
        Played::Json(if seen.line == "GET /base/ping" { 200 } else { 500 }, String::new())
    })
    .await;
    let api = api(&server, 1);
    assert!(!api.tells_changes() && api.orders_per_request() == 1);
    let found = api.changes("here").await.unwrap();
    assert_eq!((found.changes.len(), found.cursor.as_str(), found.more), (0, "here", false));
    api.probe().await.unwrap();
    assert_eq!(server.seen().len(), 1);
}
