//! `POST /v1/events`: newline-delimited events in, one line of answer for each, in order.
//!
//! Guarantee: a line is answered only after its group is committed; lines are decided in groups of at most
//! `events.batch_max`, and a group does not wait for a sender that pauses, so that one event is answered at once and
//! many are taken in few transactions. Requests do not wait for one another, but for room for their transaction.
//! Limit: what goes wrong after the first group was answered is told as a last line with `error` and `hint`: the lines
//! that have no answer are to be sent again, which is safe.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::api::{self, ApiState};
use super::problem::Problem;
use super::room::Room;
use crate::pipeline::access::tokens::Scope;
use crate::pipeline::events;

/// Longest line.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// A group that has lines does not wait longer than this for the next.
const PAUSE_MAX: Duration = Duration::from_millis(10);

pub(super) async fn take(State(state): State<Arc<ApiState>>, request: Request) -> Result<Response, Problem> {
    let caller = state.gate.admit(request.headers(), Scope::Events, None).await?;
    api::length_within(request.headers(), state.service().body_bytes_max)?;
    let lines = Lines {
        room: Some(state.room(Some(&caller), &request)),
        body: request.into_body().into_data_stream(),
        cut: Cutter::default(),
        left: state.service().body_bytes_max,
        limit: state.service().body_bytes_max,
        deadline: Instant::now() + state.request_time_max(),
        ended: false,
    };
    let mut intake = Intake { state, source: caller.name.clone(), lines, failed: false };
    // The first group before the status: whoever can be refused as a whole is.
    let first = intake.answers().await?;
    let more = futures_util::stream::unfold(intake, async |mut intake| {
        let answers = intake.next().await?;
        Some((Ok::<_, std::convert::Infallible>(answers), intake))
    });
    let body = futures_util::stream::iter(first.map(Ok)).chain(more);
    Ok(Response::builder()
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(Body::from_stream(body))
        .expect("the header is printable"))
}

/// A request that is worked off.
struct Intake {
    state: Arc<ApiState>,
    source: String,
    lines: Lines,
    failed: bool,
}

impl Intake {
    /// The next group's answers; a failure is the last line.
    async fn next(&mut self) -> Option<Bytes> {
        if self.failed {
            return None;
        }
        match self.answers().await {
            Ok(answers) => answers,
            Err(problem) => {
                self.failed = true;
                Some(Bytes::from(problem.body() + "\n"))
            }
        }
    }

    /// Decides the next group; `None` at the end.
    async fn answers(&mut self) -> Result<Option<Bytes>, Problem> {
        let batch_max = (self.state.context.config.settings.events.batch_max as usize).max(1);
        let group = self.lines.group(batch_max).await?;
        if group.is_empty() {
            return Ok(None);
        }
        let _room = self.state.event_groups.acquire().await.expect("the semaphore is never closed");
        let outcomes = events::accept(&self.state.context, &self.source, group)
            .await
            .map_err(|error| Problem::store(&error))?;
        let mut answers = Vec::with_capacity(outcomes.len() * 96);
        for outcome in &outcomes {
            serde_json::to_writer(&mut answers, outcome)
                .expect("outcomes are JSON, and memory takes all bytes");
            answers.push(b'\n');
        }
        Ok(Some(answers.into()))
    }
}

/// The lines of a body that is still coming.
struct Lines {
    /// Where what has come is held until the request is done.
    room: Option<Room>,
    body: BodyDataStream,
    cut: Cutter,
    left: usize,
    limit: usize,
    deadline: Instant,
    ended: bool,
}

impl Lines {
    /// The next lines, at most so many; none at the end.
    async fn group(&mut self, lines_max: usize) -> Result<Vec<Bytes>, Problem> {
        while self.cut.whole.len() < lines_max && !self.ended {
            let until = if self.cut.whole.is_empty() { self.deadline } else { Instant::now() + PAUSE_MAX };
            let chunk = match tokio::time::timeout_at(until.min(self.deadline), self.body.next()).await {
                Err(_) if !self.cut.whole.is_empty() => break,
                Err(_) => return Err(api::too_slow()),
                Ok(chunk) => chunk,
            };
            match chunk {
                None => {
                    self.ended = true;
                    self.cut.end();
                }
                Some(Err(_)) => return Err(api::cut_off()),
                Some(Ok(chunk)) => {
                    self.left =
                        self.left.checked_sub(chunk.len()).ok_or_else(|| api::too_large(self.limit))?;
                    if let Some(room) = &mut self.room {
                        room.take(chunk.len()).await.map_err(|_| api::no_room())?;
                    }
                    self.cut.add(&chunk)?;
                }
            }
        }
        let count = self.cut.whole.len().min(lines_max);
        Ok(self.cut.whole.drain(..count).collect())
    }
}

/// Cuts bytes into lines; empty ones are left out.
#[derive(Default)]
struct Cutter {
    whole: VecDeque<Bytes>,
    open: BytesMut,
}

impl Cutter {
    fn add(&mut self, mut bytes: &[u8]) -> Result<(), Problem> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end])?;
            self.end();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.open.len() + bytes.len() > LINE_BYTES_MAX {
            let what = format!("a line has at most {LINE_BYTES_MAX} bytes");
            return Err(Problem::too_large(what, "end each event with a newline"));
        }
        self.open.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) {
        let line = self.open.split().freeze();
        if !line.trim_ascii().is_empty() {
            self.whole.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&'static str], pause: Duration) -> Lines {
        let chunks: Vec<&'static str> = chunks.to_vec();
        let body = futures_util::stream::unfold(chunks.into_iter(), move |mut chunks| async move {
            let chunk = chunks.next()?;
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())), chunks))
        });
        Lines {
            room: None,
            body: Body::from_stream(body).into_data_stream(),
            cut: Cutter::default(),
            left: 100_000,
            limit: 100_000,
            deadline: Instant::now() + Duration::from_secs(2),
            ended: false,
        }
    }

    async fn groups(mut lines: Lines, lines_max: usize) -> Vec<Vec<String>> {
        let mut groups = Vec::new();
        loop {
            let group = lines.group(lines_max).await.expect("lines");
            if group.is_empty() {
                return groups;
            }
            groups.push(group.iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect());
        }
    }

    #[tokio::test]
    async fn lines_are_cut_and_grouped_in_order() {
        let cut = groups(lines(&["a\nb", "b\n\n \nc\nd", "\ne"], Duration::ZERO), 2).await;
        assert_eq!(cut, [vec!["a", "bb"], vec!["c", "d"], vec!["e"]]);
        assert_eq!(groups(lines(&[], Duration::ZERO), 2).await, Vec::<Vec<String>>::new());
    }

    #[tokio::test]
    async fn a_group_does_not_wait_for_a_sender_that_pauses() {
        let cut = groups(lines(&["a\n", "b\n"], PAUSE_MAX * 5), 100).await;
        assert_eq!(cut, [["a"], ["b"]]);
    }

    #[tokio::test]
    async fn too_long_and_too_slow_are_refused() {
        let long: &'static str = "x".repeat(LINE_BYTES_MAX + 1).leak();
        assert!(lines(&[long], Duration::ZERO).group(10).await.is_err());
        let mut short = lines(&["a\n", "b\n"], Duration::ZERO);
        short.left = 3;
        assert!(short.group(10).await.is_err(), "more bytes than a body may have");
        let mut slow = lines(&["a\n"], Duration::from_secs(5));
        slow.deadline = Instant::now() + Duration::from_millis(20);
        assert!(slow.group(10).await.is_err());
    }
}
