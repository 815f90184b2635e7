//! `GET /v1/institutions/{provider}/points/{point}/worklist` and `…/worklists`.
//!
//! Guarantee: a list's bytes never change; it is served in parts to whoever asks for a range; its signature is of the
//! whole list at the time it was made, so that whoever fetched it in parts can verify it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode, Uri, response};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use time::Date;

use super::api::ApiState;
use super::problem::{Problem, json_response};
use super::range::{self, Asked};
use crate::pipeline::access::tokens::Scope;
use crate::pipeline::dispatch::worklists::{self, Wanted, WorklistError};
use crate::rails::stream::sign::{SIGNATURE, Secret, TIMESTAMP};
use crate::store::messages::worklists::Worklist;

pub(super) async fn fetch(
    State(state): State<Arc<ApiState>>,
    Path((provider, point)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = state.provider(&provider)?;
    state.gate.admit(&headers, Scope::Worklists, Some(provider.code.as_str())).await?;
    let asked = read_query(&uri)?;
    let wanted = Wanted { provider, point: known_form(&point)?, day: asked.day };
    let secret = state.secret(provider.code.as_str())?;
    match state.lists.fetch(wanted, asked.number).await.map_err(refused)? {
        None => Ok(empty(StatusCode::NO_CONTENT, Response::builder())),
        Some(list) => Ok(answer(list, &secret, &headers)),
    }
}

pub(super) async fn of_day(
    State(state): State<Arc<ApiState>>,
    Path((provider, point)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = state.provider(&provider)?;
    state.gate.admit(&headers, Scope::Worklists, Some(provider.code.as_str())).await?;
    let asked = read_query(&uri)?;
    let wanted = Wanted { provider, point: known_form(&point)?, day: asked.day };
    let lists = state.lists.of_day(wanted).await.map_err(refused)?;
    let day = asked.day.unwrap_or_else(|| state.lists.today()).to_string();
    Ok(json_response(StatusCode::OK, &json!({ "point": point, "day": day, "lists": lists })))
}

#[derive(Debug, PartialEq, Eq)]
struct QueryAsked {
    day: Option<Date>,
    number: Option<i32>,
}

fn read_query(uri: &Uri) -> Result<QueryAsked, Problem> {
    let hint = "?day=YYYY-MM-DD&number=N, both optional";
    let fields = Query::<HashMap<String, String>>::try_from_uri(uri)
        .map_err(|_| Problem::bad("the query cannot be read", hint))?
        .0;
    let day = fields.get("day").map(|text| {
        Date::parse(text, time::macros::format_description!("[year]-[month]-[day]"))
            .map_err(|_| Problem::bad("`day` is not a day", hint))
    });
    let number = fields.get("number").map(|text| {
        let number = text.parse::<i32>().ok().filter(|n| *n > 0);
        number.ok_or_else(|| Problem::bad("`number` is not a list's number", hint))
    });
    Ok(QueryAsked { day: day.transpose()?, number: number.transpose()? })
}

fn known_form(point: &str) -> Result<&str, Problem> {
    let hint = "small letters, digits and hyphens: see docs/thin-links.md";
    if worklists::is_point(point) {
        Ok(point)
    } else {
        Err(Problem::not_found("no payment point is named so", hint))
    }
}

fn refused(error: WorklistError) -> Problem {
    match error {
        WorklistError::Store(error) => Problem::store(&error),
        WorklistError::NotYet(_) => Problem::of(StatusCode::BAD_REQUEST, &error),
        WorklistError::NotFound(_) | WorklistError::FileLane(_) => Problem::of(StatusCode::NOT_FOUND, &error),
    }
}

/// The list, or the part that is asked for.
fn answer(list: Worklist, secret: &Secret, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let summary = &list.summary;
    let etag = format!("\"{}\"", summary.sha256);
    let made_at = summary.made_at.unix_timestamp();
    let builder = Response::builder()
        .header(ETAG, &etag)
        .header(ACCEPT_RANGES, "bytes")
        .header(TIMESTAMP, made_at)
        .header(SIGNATURE, secret.sign(made_at, &list.body))
        .header("sarf-worklist-number", summary.number);
    if text(IF_NONE_MATCH).is_some_and(|seen| seen.split(',').any(|tag| tag.trim() == etag)) {
        return empty(StatusCode::NOT_MODIFIED, builder);
    }
    // A range of another list than this one would be glued to the wrong beginning.
    let same = text(IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let length = list.body.len();
    let (status, builder, part) = match range::asked(text(RANGE).filter(|_| same), length) {
        Asked::Outside => {
            let builder = builder.header(CONTENT_RANGE, format!("bytes */{length}"));
            return with_problem(builder);
        }
        Asked::Whole => (StatusCode::OK, builder, 0..length),
        Asked::Part(part) => {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, builder.header(CONTENT_RANGE, range), part)
        }
    };
    builder
        .status(status)
        .header(CONTENT_TYPE, "application/gzip")
        .header(
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"worklist-{}.ndjson.gz\"", summary.number),
        )
        .body(Body::from(Bytes::from(list.body).slice(part)))
        .expect("all headers are printable")
}

fn empty(status: StatusCode, builder: response::Builder) -> Response {
    builder.status(status).body(Body::empty()).expect("all headers are printable")
}

fn with_problem(builder: response::Builder) -> Response {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    let problem = Problem::new(status, "the list has no such bytes", "you may have the whole of it already");
    builder
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(problem.body()))
        .expect("all headers are printable")
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::store::messages::worklists::Summary;

    #[test]
    fn queries_are_read() {
        for (query, expected) in [
            ("", Some((None, None))),
            ("?day=2026-11-24", Some((Some(date!(2026 - 11 - 24)), None))),
            ("?day=2026-11-24&number=2", Some((Some(date!(2026 - 11 - 24)), Some(2)))),
            ("?day=24/11/2026", None),
            ("?number=0", None),
            ("?number=x", None),
        ] {
            let uri = format!("/x{query}").parse().unwrap();
            let read = read_query(&uri).ok().map(|q| (q.day, q.number));
            assert_eq!(read, expected, "{query}");
        }
    }

    #[test]
    fn a_list_is_served_in_parts() {
        let secret = Secret::new(*b"0123456789abcdef");
        let check = |sent: &[(axum::http::HeaderName, &str)], status: u16, range: Option<&str>| {
            let summary = Summary {
                number: 1,
                orders: 1,
                amount: 1,
                sha256: "ab".into(),
                bytes: 10,
                made_at: datetime!(2026-11-24 09:00 UTC),
            };
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.insert(name.clone(), value.parse().unwrap());
            }
            let list = Worklist { summary, body: b"0123456789".to_vec() };
            let response = answer(list, &secret, &headers);
            assert_eq!(response.status().as_u16(), status, "{sent:?}");
            let given = response.headers().get(CONTENT_RANGE).map(|r| r.to_str().unwrap());
            assert_eq!(given, range, "{sent:?}");
            assert_eq!(response.headers()[ETAG], "\"ab\"");
            let signed = secret.sign(1_795_510_800, b"0123456789");
            assert_eq!(response.headers()[SIGNATURE], signed, "of the whole, whatever the part");
        };
        check(&[], 200, None);
        check(&[(RANGE, "bytes=4-")], 206, Some("bytes 4-9/10"));
        check(&[(RANGE, "bytes=4-"), (IF_RANGE, "\"ab\"")], 206, Some("bytes 4-9/10"));
        check(&[(RANGE, "bytes=4-"), (IF_RANGE, "\"cd\"")], 200, None);
        check(&[(RANGE, "bytes=10-")], 416, Some("bytes */10"));
        check(&[(IF_NONE_MATCH, "\"cd\", \"ab\"")], 304, None);
    }
}
