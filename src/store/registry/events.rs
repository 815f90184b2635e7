//! Events that were taken or refused, each once by its id.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::OrderId;
use crate::domain::listed::listed;
use crate::store::StoreError;
use crate::store::copy::CopyBuffer;

listed! {
    /// What became of an event.
    EventOutcome {
        /// Done as asked.
        Applied = "applied",
        /// The order was made and is held.
        Held = "held",
        /// Nothing was done.
        Refused = "refused",
    }
}

/// An event that was decided before.
#[derive(Clone, Debug)]
pub struct KnownEvent {
    /// What became of it.
    pub outcome: EventOutcome,
    /// Why.
    pub detail: String,
    /// SHA-256 of its content.
    pub content_sha256: Vec<u8>,
    /// The order that it made.
    pub order: Option<OrderId>,
}

/// An event to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its id.
    pub id: &'a str,
    /// `order`, `account`, `death`, `hold`, `release`.
    pub kind: &'a str,
    /// What becomes of it.
    pub outcome: EventOutcome,
    /// Why; nothing personal.
    pub detail: &'a str,
    /// SHA-256 of its content.
    pub content_sha256: &'a [u8; 32],
    /// The order that it makes.
    pub order: Option<OrderId>,
}

/// Events on their way into the table.
#[derive(Debug, Default)]
pub struct NewEvents {
    with_order: CopyBuffer,
    without: CopyBuffer,
}

impl NewEvents {
    /// Adds an event.
    pub fn push(&mut self, event: &NewEvent<'_>, source: &str, at: OffsetDateTime) {
        let (buffer, columns) =
            if event.order.is_some() { (&mut self.with_order, 8) } else { (&mut self.without, 7) };
        buffer
            .row(columns)
            .text(event.id)
            .text(event.kind)
            .text(event.outcome.as_str())
            .text(event.detail)
            .raw(event.content_sha256)
            .text(source)
            .timestamp(at);
        if let Some(order) = event.order {
            buffer.i64(order.get());
        }
    }

    /// Writes them all.
    ///
    /// # Errors
    /// With the constraint `event_pkey` when another transaction took one of them meanwhile.
    pub async fn send_in_tx(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        const COLUMNS: &str = "id, kind, outcome, detail, content_sha256, source, received_at";
        self.without.send_in_tx(connection, &format!("event ({COLUMNS})"), "").await?;
        self.with_order.send_in_tx(connection, &format!("event ({COLUMNS}, order_id)"), "").await?;
        Ok(())
    }
}

/// Those of `ids` that were decided before.
pub async fn known_in_tx(
    connection: &mut PgConnection,
    ids: &[&str],
) -> Result<HashMap<String, KnownEvent>, StoreError> {
    type Row = (String, String, String, Vec<u8>, Option<i64>);
    let rows: Vec<Row> =
        sqlx::query_as("select id, outcome, detail, content_sha256, order_id from event where id = any($1)")
            .bind(ids)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(id, outcome, detail, content_sha256, order)| {
            let outcome = EventOutcome::parse(&outcome).ok_or(StoreError::Corrupt("outcome of an event"))?;
            Ok((id, KnownEvent { outcome, detail, content_sha256, order: order.map(OrderId::new) }))
        })
        .collect()
}
