//! The provider API against a provider that misbehaves.

use std::time::Duration;

use time::macros::datetime;

use super::super::testing::{self, Reply, Seen, Server, instruction, terms};
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: time::OffsetDateTime = datetime!(2026-11-24 09:00 UTC);
const DOCUMENT: &str = include_str!("../../../docs/provider-api.yaml");

fn api(server: &Server, per_request: u32) -> ProviderApi {
    let mut terms = terms(&server.url);
    terms.orders_per_request = per_request;
    let client = http::client(&terms).unwrap();
    ProviderApi::new(client, &terms, Secret::new(SECRET), Clock::fixed(NOW), "ANSS").unwrap()
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&k| k.to_owned()).collect()
}

/// `KEY status reason amount`, one for each answer.
fn told(answers: &[Answer]) -> Vec<String> {
    let amount = |a: &Answer| a.amount.map_or("-".to_owned(), |c| c.get().to_string());
    let line =
        |a: &Answer| format!("{} {:?} {} {}", a.key, a.status, a.reason.as_deref().unwrap_or("-"), amount(a));
    answers.iter().map(line).collect()
}

fn signed(seen: &Seen) {
    let (timestamp, signature) = (seen.header(TIMESTAMP), seen.header(SIGNATURE));
    let now = NOW.unix_timestamp();
    Secret::new(SECRET).verify(timestamp, signature, &seen.body, now).expect("a good signature");
    assert_eq!(seen.header(INSTITUTION), Some("ANSS"));
}

#[tokio::test]
async fn orders_go_out_signed_and_whole() {
    let server = Server::start(|_| {
        Reply::Json(
            200,
            r#"{"answers":[{"key":"K2","status":"available","amount":50000,"more":"said"},{"key":"K1","status":"accepted"}]}"#
                .into(),
        )
    })
    .await;
    let put = api(&server, 500).put(&[instruction("K1"), instruction("K2")]).await.unwrap();
    assert_eq!(told(&put.answers), ["K2 Available - 50000", "K1 Accepted - -"]);
    assert_eq!((put.untouched, put.retry_after), (vec![], None));
    let seen = &server.seen()[0];
    signed(seen);
    assert_eq!(seen.line, "POST /base/v1/orders");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let sent: PutRequest = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((sent.orders[1].key.as_str(), sent.orders[1].amount), ("K2", 50_000));
    assert!(!seen.text().contains("\"cin\""), "what is not there is not told");
}

/// What a put of K1 makes of an answer.
async fn check_put(body: &str, expected: Result<&[&str], &str>) {
    let reply = Reply::Json(200, body.to_owned());
    let server = Server::start(move |_| reply.clone()).await;
    match (api(&server, 500).put(&[instruction("K1")]).await, expected) {
        (Ok(put), Ok(lines)) => assert_eq!(told(&put.answers), lines, "{body}"),
        (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{body}"),
        (found, _) => panic!("{body}: {found:?}, not {expected:?}"),
    }
}

#[tokio::test]
async fn one_bad_answer_spoils_no_other() {
    let good = r#"{"key":"K2","status":"rejected","reason":"AC04"}"#;
    let line = "K2 Rejected AC04 -";
    for bad in [
        r#"{"key":"K1"}"#,
        r#"{"key":"K1","status":"accepted","amount":500.5}"#,
        r#"{"key":7,"status":"accepted"}"#,
        "null",
        "[[[]]]",
        // Neither says anything of the order that bears the key.
        r#"{"key":"K1","status":"not_found"}"#,
        r#"{"key":"K1","status":"rejected","reason":"DUPL"}"#,
    ] {
        check_put(&format!(r#"{{"answers":[{bad},{good}]}}"#), Ok(&[line])).await;
    }
    check_put(r#"{"answers":[]}"#, Ok(&[])).await;
    // A status that is not known is handed on, for a person to ask about.
    check_put(r#"{"answers":[{"key":"K1","status":"on_its_way"}]}"#, Ok(&["K1 Unknown - -"])).await;
    let long = "x".repeat(100);
    let cut = format!("{} Accepted - -", &long[..35]);
    check_put(&format!(r#"{{"answers":[{{"key":"{long}","status":"accepted"}}]}}"#), Ok(&[&cut])).await;
    check_put(
        r#"{"answers":[{"key":"K\u0000 1","status":"rejected","reason":"no such\naccount"}]}"#,
        Ok(&["K??1 Rejected no such account -"]),
    )
    .await;
    let unreadable = Err("no readable answer from the provider: unreadable");
    for body in ["", "{}", "[]", "<html>", r#"{"answers":7}"#, r#"{"answers":[]"#, r#"{"answers":[]}{}"#] {
        check_put(body, unreadable).await;
    }
    let large = format!(r#"{{"answers":[],"x":"{}"}}"#, "x".repeat(70_000));
    check_put(&large, Err("no readable answer from the provider: too large")).await;
}

#[tokio::test]
async fn a_lost_put_is_one_request() {
    for (reply, lost) in [
        (Reply::Cut, true),
        (Reply::Json(500, String::new()), true),
        (Reply::Late(Duration::from_secs(2), Box::new(Reply::Json(200, r#"{"answers":[]}"#.into()))), true),
        (Reply::Json(401, String::new()), false),
        (Reply::Header(429, "Retry-After: 3"), false),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone()).await;
        let error = api(&server, 500).put(&[instruction("K1")]).await.unwrap_err();
        assert_eq!(error.may_have_acted(), lost, "{shown}: {error:?}");
        assert_eq!(server.seen().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn enquiries_and_cancellations_go_in_pieces() {
    let answer = |seen: &Seen| {
        let asked: KeysRequest = serde_json::from_slice(&seen.body).unwrap();
        if asked.keys.iter().any(|k| k == "CUT") {
            return Reply::Cut;
        }
        let status = if seen.line.ends_with("cancel") { "cancelled" } else { "not_found" };
        let answers = asked.keys.iter().map(|k| format!(r#"{{"key":"{k}","status":"{status}"}}"#));
        Reply::Json(200, format!(r#"{{"answers":[{}]}}"#, answers.collect::<Vec<_>>().join(",")))
    };
    let server = Server::start(answer).await;
    let api = api(&server, 2);
    let found = api.enquire(&keys(&["A", "B", "C"])).await.unwrap();
    assert_eq!(told(&found), ["A NotFound - -", "B NotFound - -", "C NotFound - -"]);
    let found = api.cancel(&keys(&["A"])).await.unwrap();
    assert_eq!(told(&found), ["A Cancelled - -"]);
    // What was answered before the cut is told; a cut at the beginning is an error.
    assert_eq!(api.enquire(&keys(&["A", "B", "CUT", "D", "E"])).await.unwrap().len(), 2);
    assert!(api.enquire(&keys(&["CUT", "B", "C"])).await.unwrap_err().may_have_acted());
    let seen = server.seen();
    seen.iter().for_each(signed);
    let lines: Vec<&str> = seen.iter().map(|s| s.line.as_str()).collect();
    assert_eq!(lines[0], "POST /base/v1/orders/enquire");
    assert_eq!(lines[2], "POST /base/v1/orders/cancel");
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn changes_are_read_from_the_cursor_on() {
    let server = Server::start(|seen| {
        let body = if seen.line.contains("since=bad") {
            r#"{"changes":[],"cursor":"a b"}"#
        } else {
            r#"{"changes":[
                {"id":"1","key":"K1","status":"collected","amount":50000,"at":"2026-11-24T08:00:00Z"},
                {"id":"2","key":"K2","status":"vanished","at":"2026-11-24T08:00:01Z"},
                {"id":"3","key":"K1","status":"collected","at":"2026-11-24T08:00:02Z"}],
              "cursor":"c/3","more":true}"#
        };
        Reply::Json(200, body.into())
    })
    .await;
    let api = api(&server, 500);
    let found = api.changes("c&2").await.unwrap();
    assert_eq!(told(&found.changes), ["K1 Collected - 50000", "K2 Unknown - -", "K1 Collected - -"]);
    assert_eq!((found.cursor.as_str(), found.more), ("c/3", true));
    assert!(api.changes("bad").await.is_err());
    let seen = &server.seen()[0];
    signed(seen);
    assert_eq!(seen.line, "GET /base/v1/changes?since=c%262&limit=1000");
}

#[tokio::test]
async fn whoever_asks_to_wait_is_there() {
    for (reply, there) in [
        (Reply::Json(200, r#"{"status":"ok"}"#.into()), true),
        (Reply::Json(204, String::new()), true),
        (Reply::Json(429, String::new()), true),
        (Reply::Json(503, String::new()), false),
        (Reply::Json(401, String::new()), false),
        (Reply::Cut, false),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone()).await;
        assert_eq!(api(&server, 500).probe().await.is_ok(), there, "{shown}");
        assert_eq!(server.seen()[0].line, "GET /base/v1/health");
        signed(&server.seen()[0]);
    }
}

#[test]
fn the_documented_signatures_come_out() {
    let (secret, at) = (Secret::new(SECRET), NOW.unix_timestamp());
    assert!(DOCUMENT.contains(SECRET) && DOCUMENT.contains(&at.to_string()));
    for body in [r#"{"keys":["DSS26110000000000AB4F2K9Q"]}"#, ""] {
        assert!(DOCUMENT.contains(body), "{body}");
        let signature = secret.sign(at, body.as_bytes());
        assert!(DOCUMENT.contains(&signature), "the signature of `{body}` is {signature}");
    }
}

#[test]
fn what_cannot_be_called_is_told_at_once() {
    let connect = |url: &str, institution: &str, api| {
        let mut terms = terms(url);
        terms.api = api;
        {
            let (provider, payer) = (testing::provider(), testing::payer(institution));
            let secret = Secret::new(SECRET);
            super::super::connect((&provider, &terms), secret, Clock::fixed(NOW), &payer).map(|_| ())
        }
    };
    use crate::domain::provider::StreamApi::{Provider, Wallet, Worklist};
    assert!(connect("http://127.0.0.1:1/x", "ANSS", Provider).is_ok());
    assert!(connect("http://127.0.0.1:1/x", "ANSS", Wallet).is_ok());
    for refused in [
        connect("127.0.0.1:1", "ANSS", Provider),
        connect("http://127.0.0.1:1/x", "AN\nSS", Provider),
        connect("http://127.0.0.1:1/x", "ANSS", Worklist),
    ] {
        assert!(matches!(refused, Err(CallError::Unreachable(_))), "{refused:?}");
    }
}
