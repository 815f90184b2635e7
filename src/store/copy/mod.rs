//! PostgreSQL's binary COPY format, written from and read into plain byte buffers.
//!
//! Rows are encoded straight into the buffer that goes to the socket, and decoded straight from the message that came
//! from it: no value passes through an intermediate type.

pub(crate) mod fields;
pub mod hashes;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;

use crate::store::StoreError;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const HEADER_LEN: usize = 19;

/// Rows in binary COPY form, on their way into a table.
#[derive(Debug, Default)]
pub struct CopyBuffer {
    bytes: Vec<u8>,
    rows: u64,
}

impl CopyBuffer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), rows: 0 }
    }

    /// Rows begun.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// True when no row was begun.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of all rows so far, without header and trailer: what a content digest is taken over.
    pub fn row_bytes(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or(&[])
    }

    /// Begins a row of `columns` values.
    pub fn row(&mut self, columns: i16) -> &mut Self {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(SIGNATURE);
            self.bytes.extend_from_slice(&[0; 8]);
        }
        self.rows += 1;
        self.bytes.extend_from_slice(&columns.to_be_bytes());
        self
    }

    /// A `bigint`.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.extend_from_slice(&8i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// An `integer`.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&4i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A `smallint`.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes.extend_from_slice(&2i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A `text`.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.raw(value.as_bytes())
    }

    /// A `text` or null.
    pub fn text_or_null(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(text) => self.text(text),
            None => {
                self.bytes.extend_from_slice(&(-1i32).to_be_bytes());
                self
            }
        }
    }

    /// A `bytea`.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        let len = i32::try_from(value.len()).expect("a column value is far below 2 GiB");
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// A `date`.
    pub fn date(&mut self, day: time::Date) -> &mut Self {
        self.i32(day.to_julian_day() - EPOCH_JULIAN_DAY)
    }

    /// A `timestamptz`.
    pub fn timestamp(&mut self, at: time::OffsetDateTime) -> &mut Self {
        // PostgreSQL counts microseconds from 2000-01-01 UTC.
        let micros = at.unix_timestamp_nanos() / 1_000 - 946_684_800_000_000;
        self.i64(i64::try_from(micros).expect("a timestamp within PostgreSQL's range"))
    }

    /// Sends the rows into `target` (`table (columns)`), within the caller's transaction, and empties the buffer.
    /// `options` are further COPY options, such as `, FREEZE`.
    ///
    /// # Errors
    /// When the database refuses a row or is gone.
    pub async fn send_in_tx(
        &mut self,
        connection: &mut PgConnection,
        target: &str,
        options: &str,
    ) -> Result<u64, StoreError> {
        if self.is_empty() {
            return Ok(0);
        }
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let statement = format!("COPY {target} FROM STDIN (FORMAT binary{options})");
        let mut copy = connection.copy_in_raw(&statement).await?;
        copy.send(self.bytes.as_slice()).await?;
        let rows = copy.finish().await?;
        assert_eq!(rows, self.rows, "rows taken by COPY are the rows sent");
        let end = self.bytes.len() - 2;
        hashes::note_in_tx(connection, target, &self.bytes[HEADER_LEN..end]).await?;
        self.bytes.clear();
        self.rows = 0;
        Ok(rows)
    }
}

/// PostgreSQL counts days from 2000-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_451_545;

/// Rows on their way out of a query, one at a time, in constant memory.
pub struct CopyOut<'c> {
    stream: BoxStream<'c, Result<Bytes, sqlx::Error>>,
    first: bool,
}

impl<'c> CopyOut<'c> {
    /// Begins `COPY source TO STDOUT`; `source` is `table (columns)`, read in the order it was written, or a query in
    /// brackets.
    ///
    /// # Errors
    /// When the database refuses the query.
    pub async fn begin(connection: &'c mut PgConnection, source: &str) -> Result<Self, StoreError> {
        let statement = format!("COPY {source} TO STDOUT (FORMAT binary)");
        Ok(Self { stream: connection.copy_out_raw(&statement).await?, first: true })
    }

    /// The same on a connection of its own out of the pool, which must be read to the end: see [`CopyAhead`].
    ///
    /// # Errors
    /// When the database refuses the query.
    async fn open(pool: &PgPool, source: &str) -> Result<CopyOut<'static>, StoreError> {
        // A COPY that is refused leaves its connection in the pool out of step: what is refused is asked for by a query first.
        let query = match source.split_once(" (") {
            Some((table, columns)) if !source.starts_with('(') => {
                format!("select {} from {table} limit 0", columns.trim_end_matches(')'))
            }
            _ if source.starts_with('(') => format!("select from {source} asked limit 0"),
            _ => format!("select from {source} limit 0"),
        };
        sqlx::query(sqlx::AssertSqlSafe(query)).persistent(false).execute(pool).await?;
        let statement = format!("COPY {source} TO STDOUT (FORMAT binary)");
        Ok(CopyOut { stream: pool.copy_out_raw(&statement).await?, first: true })
    }

    /// The next row, or `None` after the last.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Option<CopyRow>, StoreError> {
        let Some(message) = self.stream.next().await else { return Ok(None) };
        let mut bytes = message?;
        if std::mem::take(&mut self.first) {
            if !bytes.starts_with(SIGNATURE) {
                return Err(StoreError::Corrupt("COPY header"));
            }
            bytes = bytes.slice(HEADER_LEN..);
            if bytes.is_empty() {
                let Some(message) = self.stream.next().await else { return Ok(None) };
                bytes = message?;
            }
        }
        if bytes.starts_with(&(-1i16).to_be_bytes()) {
            // The trailer; read on, so that the connection is free again.
            return match self.stream.next().await {
                None => Ok(None),
                Some(more) => more
                    .and(Err(sqlx::Error::Protocol("data after the COPY trailer".into())))
                    .map_err(Into::into),
            };
        }
        Ok(Some(CopyRow { bytes, at: 2 }))
    }
}

/// Rows that a task of their own reads ahead, so that the socket is drained while the caller works.
pub struct CopyAhead {
    chunk: std::vec::IntoIter<CopyRow>,
    receiver: mpsc::Receiver<Result<Vec<CopyRow>, StoreError>>,
    /// The last chunk, which is shorter than the others, has come.
    ended: bool,
}

/// Rows handed over at once, and how many such chunks wait at most.
const AHEAD_ROWS: usize = 1_000;
const AHEAD_CHUNKS: usize = 4;

impl CopyAhead {
    /// Begins to read `source` (see [`CopyOut::begin`]) on a connection out of the pool.
    pub fn open(pool: &PgPool, source: String) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD_CHUNKS);
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Err(error) = read_ahead(&pool, &source, &sender).await {
                // Nobody is left to be told once the caller has gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { chunk: Vec::new().into_iter(), receiver, ended: false }
    }

    /// The next row, or `None` after the last.
    ///
    /// # Errors
    /// When the query is refused or the connection is lost.
    pub async fn next(&mut self) -> Result<Option<CopyRow>, StoreError> {
        loop {
            if let Some(row) = self.chunk.next() {
                return Ok(Some(row));
            }
            if self.ended {
                return Ok(None);
            }
            // A reader that went away without its last chunk must never pass for the end of the rows.
            let chunk = self.receiver.recv().await.ok_or_else(|| StoreError::Corrupt("stream of rows"))??;
            self.ended = chunk.len() < AHEAD_ROWS;
            self.chunk = chunk.into_iter();
        }
    }
}

async fn read_ahead(
    pool: &PgPool,
    source: &str,
    sender: &mpsc::Sender<Result<Vec<CopyRow>, StoreError>>,
) -> Result<(), StoreError> {
    let mut rows = CopyOut::open(pool, source).await?;
    loop {
        let mut chunk = Vec::with_capacity(AHEAD_ROWS);
        while chunk.len() < AHEAD_ROWS {
            let Some(row) = rows.next().await? else { break };
            chunk.push(row);
        }
        let ended = chunk.len() < AHEAD_ROWS;
        if ended {
            let _ = sender.send(Ok(chunk)).await;
            return Ok(());
        }
        if sender.send(Ok(chunk)).await.is_err() {
            // Nobody listens any more. What is left is read all the same: a connection that goes back to the pool in the
            // middle of a COPY answers the next query with the rest of this one.
            while rows.next().await?.is_some() {}
            return Ok(());
        }
    }
}

/// One row, read column by column, from left to right.
#[derive(Debug)]
pub struct CopyRow {
    bytes: Bytes,
    at: usize,
}

impl CopyRow {
    /// The whole row as it came.
    pub fn whole(&self) -> &[u8] {
        &self.bytes
    }

    fn value(&mut self) -> Result<Option<&[u8]>, StoreError> {
        let fault = || StoreError::Corrupt("COPY row");
        let len = self.bytes.get(self.at..self.at + 4).ok_or_else(fault)?;
        let len = i32::from_be_bytes(len.try_into().map_err(|_| fault())?);
        self.at += 4;
        let Ok(len) = usize::try_from(len) else { return Ok(None) };
        let start = self.at;
        self.at += len;
        self.bytes.get(start..start + len).map(Some).ok_or_else(fault)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.value()?.and_then(|v| v.try_into().ok()).ok_or_else(|| StoreError::Corrupt("COPY column"))
    }

    /// A `bigint`.
    ///
    /// # Errors
    /// When the column is null or another type.
    pub fn i64(&mut self) -> Result<i64, StoreError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// An `integer`.
    ///
    /// # Errors
    /// When the column is null or another type.
    pub fn i32(&mut self) -> Result<i32, StoreError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// A `smallint`.
    ///
    /// # Errors
    /// When the column is null or another type.
    pub fn i16(&mut self) -> Result<i16, StoreError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// A `date`.
    ///
    /// # Errors
    /// When the column is null or another type.
    pub fn date(&mut self) -> Result<time::Date, StoreError> {
        self.date_or_null()?.ok_or_else(|| StoreError::Corrupt("COPY column"))
    }

    /// A `date` or null.
    ///
    /// # Errors
    /// When the column is another type.
    pub fn date_or_null(&mut self) -> Result<Option<time::Date>, StoreError> {
        let Some(bytes) = self.value()? else { return Ok(None) };
        let days = i32::from_be_bytes(bytes.try_into().map_err(|_| StoreError::Corrupt("COPY column"))?);
        let day = days.checked_add(EPOCH_JULIAN_DAY).and_then(|day| time::Date::from_julian_day(day).ok());
        day.map(Some).ok_or_else(|| StoreError::Corrupt("COPY date"))
    }

    /// A `text` or `bytea`.
    ///
    /// # Errors
    /// When the column is null.
    pub fn raw(&mut self) -> Result<&[u8], StoreError> {
        self.value()?.ok_or_else(|| StoreError::Corrupt("COPY column"))
    }

    /// A `text` or `bytea`, or null.
    ///
    /// # Errors
    /// When the row ends before.
    pub fn raw_or_null(&mut self) -> Result<Option<&[u8]>, StoreError> {
        self.value()
    }

    /// Passes over columns, whatever they hold.
    ///
    /// # Errors
    /// When the row ends before.
    pub fn skip(&mut self, columns: usize) -> Result<(), StoreError> {
        for _ in 0..columns {
            self.value()?;
        }
        Ok(())
    }

    /// A `text`.
    ///
    /// # Errors
    /// When the column is null or not UTF-8.
    pub fn text(&mut self) -> Result<&str, StoreError> {
        std::str::from_utf8(self.raw()?).map_err(|_| StoreError::Corrupt("COPY text"))
    }

    /// A `text` or null.
    ///
    /// # Errors
    /// When the text is not UTF-8.
    pub fn text_or_null(&mut self) -> Result<Option<&str>, StoreError> {
        self.value()?
            .map(|v| std::str::from_utf8(v).map_err(|_| StoreError::Corrupt("COPY text")))
            .transpose()
    }
}
