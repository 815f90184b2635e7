//! API tokens: who may call in, for what, and until when. Only hashes of tokens are kept.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::store::{Store, StoreError};

/// A token as it is kept.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Token {
    /// Number.
    #[serde(skip)]
    pub id: i64,
    /// Name, for people.
    pub name: String,
    /// The provider whose orders it reaches; `None` for the registry's own.
    pub institution: Option<String>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When it was ended by hand.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// Who confirmed it, where a second person must.
    pub confirmed_by: Option<String>,
    /// SHA-256 of the token.
    #[serde(skip)]
    pub sha256: Vec<u8>,
}

/// A new token.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// Name.
    pub name: &'a str,
    /// Provider whose orders it reaches.
    pub institution: Option<&'a str>,
    /// What it may be used for.
    pub scopes: &'a [String],
    /// SHA-256 of the token.
    pub sha256: &'a [u8; 32],
    /// Who makes it.
    pub created_by: &'a str,
    /// When.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// Writes a new token; `false` when the name is taken.
pub async fn insert_in_tx(connection: &mut PgConnection, new: NewToken<'_>) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into api_token (name, institution, scopes, sha256, created_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing",
    )
    .bind(new.name)
    .bind(new.institution)
    .bind(new.scopes)
    .bind(new.sha256.as_slice())
    .bind(new.created_by)
    .bind(new.created_at)
    .bind(new.expires_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a token: whether it was ended by this call; `None` when there is none of this name.
pub async fn revoke_in_tx(
    connection: &mut PgConnection,
    name: &str,
    at: OffsetDateTime,
) -> Result<Option<bool>, StoreError> {
    let before: Option<Option<OffsetDateTime>> =
        sqlx::query_scalar("select revoked_at from api_token where name = $1 for update")
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(revoked_at) = before else { return Ok(None) };
    if revoked_at.is_none() {
        sqlx::query("update api_token set revoked_at = $2 where name = $1")
            .bind(name)
            .bind(at)
            .execute(connection)
            .await?;
    }
    Ok(Some(revoked_at.is_none()))
}

/// A token by its name, locked.
pub async fn find_in_tx(connection: &mut PgConnection, name: &str) -> Result<Option<Token>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} where name = $1 for update"));
    sqlx::query(sql).bind(name).fetch_optional(connection).await?.as_ref().map(read).transpose()
}

/// Confirms a token.
///
/// # Errors
/// With the constraint `api_token_confirmed_by_another` when the same person does.
pub async fn confirm_in_tx(
    connection: &mut PgConnection,
    token: i64,
    by: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update api_token set confirmed_by = $2, confirmed_at = $3 where id = $1")
        .bind(token)
        .bind(by)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

const COLUMNS: &str = "select id, name, institution, scopes, created_by, created_at, expires_at, revoked_at, sha256, confirmed_by from api_token";

/// All tokens, by name.
pub async fn list(store: &Store) -> Result<Vec<Token>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} order by name"));
    sqlx::query(sql).fetch_all(store.pool()).await?.iter().map(read).collect()
}

/// Tokens that are good at `now`: those with a scope of `confirmed` only once a second person has confirmed them.
pub async fn live(
    store: &Store,
    now: OffsetDateTime,
    confirmed: &[String],
) -> Result<Vec<Token>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} where revoked_at is null and expires_at > $1 and (confirmed_by is not null or not scopes && $2)"
    ));
    sqlx::query(sql).bind(now).bind(confirmed).fetch_all(store.pool()).await?.iter().map(read).collect()
}

fn read(row: &sqlx::postgres::PgRow) -> Result<Token, StoreError> {
    use sqlx::Row as _;
    Ok(Token {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        institution: row.try_get(2)?,
        scopes: row.try_get(3)?,
        created_by: row.try_get(4)?,
        created_at: row.try_get(5)?,
        expires_at: row.try_get(6)?,
        revoked_at: row.try_get(7)?,
        sha256: row.try_get(8)?,
        confirmed_by: row.try_get(9)?,
    })
}
