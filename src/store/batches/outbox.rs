//! The outbox: state changes that others are told of, written in the transaction that makes them.
//!
//! Rows of one subject are written under a lock on what they are about, so that their ids ascend in the order of the
//! commits: reading the visible rows by id never meets a row before an earlier one of its subject.

use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

use crate::store::{Store, StoreError};

/// Channel that tells of new rows.
pub const CHANNEL: &str = "sarf_outbox";

/// A change to be told.
#[derive(Clone, Debug)]
pub struct NewOutbox {
    /// What it is about: `order.END-TO-END-ID`, `run.NUMBER`. Rows of one subject are told in order.
    pub subject: String,
    /// What changed; nothing personal.
    pub body: Value,
}

/// A change that waits to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Number; ascends within a subject.
    pub id: i64,
    /// What it is about.
    pub subject: String,
    /// What changed, as JSON.
    pub body: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Writes changes, in the order given, and wakes the publisher once they are committed.
pub async fn append_in_tx(
    connection: &mut PgConnection,
    rows: &[NewOutbox],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    for chunk in rows.chunks(5_000) {
        sqlx::query(
            "insert into outbox (subject, body, at)
             select s, b, $3 from unnest($1::text[], $2::jsonb[]) with ordinality as t(s, b, place) order by place",
        )
        .bind(chunk.iter().map(|r| r.subject.as_str()).collect::<Vec<_>>())
        .bind(chunk.iter().map(|r| r.body.clone()).collect::<Vec<_>>())
        .bind(at)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

/// The first rows by id, at most `limit`.
pub async fn peek(store: &Store, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
    let rows = sqlx::query("select id, subject, body::text, at from outbox order by id limit $1")
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OutboxRow {
                id: row.try_get(0)?,
                subject: row.try_get(1)?,
                body: row.try_get(2)?,
                at: row.try_get(3)?,
            })
        })
        .collect()
}

/// Takes rows away that were told; safe to repeat.
pub async fn remove(store: &Store, ids: &[i64]) -> Result<(), StoreError> {
    if !ids.is_empty() {
        sqlx::query("delete from outbox where id = any($1)").bind(ids).execute(store.pool()).await?;
    }
    Ok(())
}

/// How many rows wait, and since when the oldest does.
pub async fn waiting(store: &Store) -> Result<(i64, Option<OffsetDateTime>), StoreError> {
    Ok(sqlx::query_as("select count(*), min(at) from outbox").fetch_one(store.pool()).await?)
}

/// A connection of the pool that hears of new rows.
#[derive(Debug)]
pub struct Listener(PgListener);

/// Listens for new rows.
pub async fn listen(store: &Store) -> Result<Listener, StoreError> {
    let mut listener = PgListener::connect_with(store.pool()).await?;
    listener.listen(CHANNEL).await?;
    Ok(Listener(listener))
}

impl Listener {
    /// Waits for news; many at once are heard as one.
    ///
    /// # Errors
    /// When the connection is lost: what came meanwhile was not heard.
    pub async fn heard(&mut self) -> Result<(), StoreError> {
        self.0.recv().await?;
        while self.0.next_buffered().is_some() {}
        Ok(())
    }
}

/// Says whether anybody is to be told; what is not told is not kept.
pub async fn set_switch(store: &Store, tells: bool) -> Result<(), StoreError> {
    sqlx::query("update outbox_switch set tells = $1 where tells <> $1")
        .bind(tells)
        .execute(store.pool())
        .await?;
    Ok(())
}
