//! Account statements that were read: what each is told apart by, what it covers, what it booked.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::domain::ids::MessageId;
use crate::domain::money::Centimes;
use crate::domain::statement::{StatementName, StatementSpan};
use crate::store::StoreError;

/// An account statement that was read to its end.
#[derive(Clone, Debug)]
pub struct NewStatement<'a> {
    /// Message.
    pub message: MessageId,
    /// Place in the message, from 1.
    pub number: i32,
    /// Provider number.
    pub provider: i16,
    /// What it is told apart by.
    pub name: &'a StatementName,
    /// What it covers.
    pub span: StatementSpan,
    /// Sum of booked credits.
    pub credits: Centimes,
    /// Sum of booked debits.
    pub debits: Centimes,
    /// Entries.
    pub entries: u64,
    /// Whether anything of it was taken.
    pub taken: bool,
}

/// Writes a statement.
pub async fn insert_statement_in_tx(
    connection: &mut PgConnection,
    new: &NewStatement<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into statement (message_id, number, provider_id, reference, sequence, opening, closing, credits, debits, entries, booked_from, booked_to,
                                page, created_on, taken)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(new.message.get())
    .bind(new.number)
    .bind(new.provider)
    .bind(new.name.reference.as_str())
    .bind(new.span.sequence)
    .bind(new.span.opening.map(Centimes::get))
    .bind(new.span.closing.map(Centimes::get))
    .bind(new.credits.get())
    .bind(new.debits.get())
    .bind(new.entries as i64)
    .bind(new.span.from)
    .bind(new.span.to)
    .bind(new.name.page.map(i64::from))
    .bind(new.name.created)
    .bind(new.taken)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a statement of which nothing was taken was replaced by a later message's.
pub async fn replace_statement_in_tx(
    connection: &mut PgConnection,
    message: MessageId,
    number: i32,
    by: MessageId,
) -> Result<(), StoreError> {
    sqlx::query("update statement set replaced_by = $3 where message_id = $1 and number = $2 and not taken")
        .bind(message.get())
        .bind(number)
        .bind(by.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// A statement that was read.
#[derive(Clone, Debug)]
pub struct KnownStatement {
    /// What it is told apart by.
    pub name: StatementName,
    /// Message it came in.
    pub message: MessageId,
    /// Place in the message, from 1.
    pub number: i32,
    /// Name of the message's file.
    pub file_name: String,
    /// What it covers.
    pub span: StatementSpan,
    /// Whether anything of it was taken.
    pub taken: bool,
}

/// A provider's statements, in the order that they follow each other: by number within a year, where a bank begins again
/// with the year.
pub async fn statements_in_tx(
    connection: &mut PgConnection,
    provider: i16,
) -> Result<Vec<KnownStatement>, StoreError> {
    known_statements_in_tx(connection, provider, None).await
}

/// A provider's statements of one reference.
pub async fn statements_of_reference_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    reference: &str,
) -> Result<Vec<KnownStatement>, StoreError> {
    known_statements_in_tx(connection, provider, Some(reference)).await
}

async fn known_statements_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    reference: Option<&str>,
) -> Result<Vec<KnownStatement>, StoreError> {
    let rows = sqlx::query(
        "select s.reference, s.message_id, s.number, m.file_name, s.sequence, s.booked_from, s.booked_to, s.opening, s.closing,
                s.page, s.created_on, s.taken
           from statement s join message m on m.id = s.message_id
          where s.provider_id = $1 and ($2::text is null or s.reference = $2) and s.replaced_by is null
          order by extract(year from coalesce(s.booked_to, s.booked_from, s.created_on)) nulls first, s.sequence nulls last,
                   s.booked_from nulls last, s.reference, s.page nulls first, s.message_id, s.number",
    )
    .bind(provider)
    .bind(reference)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_statement).collect()
}

fn read_statement(row: &PgRow) -> Result<KnownStatement, StoreError> {
    let (from, to) = (row.try_get("booked_from")?, row.try_get("booked_to")?);
    let amount = |column: &str| -> Result<Option<Centimes>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Centimes::new))
    };
    let page: Option<i64> = row.try_get("page")?;
    Ok(KnownStatement {
        name: StatementName {
            reference: row.try_get("reference")?,
            page: page.map(u32::try_from).transpose().map_err(|_| StoreError::Corrupt("page"))?,
            from,
            to,
            created: row.try_get("created_on")?,
        },
        message: MessageId::new(row.try_get("message_id")?),
        number: row.try_get("number")?,
        file_name: row.try_get("file_name")?,
        span: StatementSpan {
            sequence: row.try_get("sequence")?,
            from,
            to,
            opening: amount("opening")?,
            closing: amount("closing")?,
        },
        taken: row.try_get("taken")?,
    })
}
