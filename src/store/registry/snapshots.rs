//! Snapshots: the head row, its places, rejections and shared accounts, phones and persons.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::household::Place;
use crate::domain::ids::{Code, SnapshotId};
use crate::domain::period::Period;
use crate::store::{Store, StoreError};

/// A snapshot as imported.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// Number.
    pub id: SnapshotId,
    /// Hex SHA-256 of its content.
    pub sha256: String,
    /// Programme it is for.
    pub programme: String,
    /// Month it is for.
    pub period: Period,
    /// Who made it.
    pub source: String,
    /// When it was imported.
    #[serde(with = "time::serde::rfc3339")]
    pub imported_at: OffsetDateTime,
    /// Households kept.
    pub households: i64,
    /// Members kept.
    pub members: i64,
    /// Household rows rejected.
    pub rejected_households: i64,
    /// Member rows rejected.
    pub rejected_members: i64,
    /// Claims of birth grants kept.
    pub claims: i64,
    /// Claim rows rejected.
    pub rejected_claims: i64,
    /// Children in institutions kept.
    pub deposits: i64,
    /// Deposit rows rejected.
    pub rejected_deposits: i64,
}

/// What the head row holds before the rows are read.
#[derive(Clone, Copy, Debug)]
pub struct NewSnapshot<'a> {
    /// SHA-256 of the content.
    pub sha256: &'a [u8; 32],
    /// Programme.
    pub programme: &'a str,
    /// Month.
    pub period: Period,
    /// Who made it.
    pub source: &'a str,
    /// When the registry made it.
    pub created_at: OffsetDateTime,
    /// Now.
    pub imported_at: OffsetDateTime,
}

/// Rows read, kept and rejected.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct SnapshotCounts {
    /// Household rows read.
    pub household_rows: u64,
    /// Member rows read.
    pub member_rows: u64,
    /// Households kept.
    pub households: u64,
    /// Members kept.
    pub members: u64,
}

impl Snapshot {
    /// Rows read and kept, as they were counted at the import.
    pub const fn counts(&self) -> SnapshotCounts {
        SnapshotCounts {
            household_rows: (self.households + self.rejected_households) as u64,
            member_rows: (self.members + self.rejected_members) as u64,
            households: self.households as u64,
            members: self.members as u64,
        }
    }
}

const COLUMNS: &str =
    "id, encode(content_sha256, 'hex'), programme, period, source, imported_at, households, members,
                       rejected_households, rejected_members, claims, rejected_claims, deposits, rejected_deposits";
type Row = (i64, String, String, i32, String, OffsetDateTime, i64, i64, i64, i64, i64, i64, i64, i64);

fn read(row: Row) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        claims: row.10,
        rejected_claims: row.11,
        deposits: row.12,
        rejected_deposits: row.13,
        id: SnapshotId::new(row.0),
        sha256: row.1,
        programme: row.2,
        period: Period::from_index(row.3).map_err(|_| StoreError::Corrupt("period"))?,
        source: row.4,
        imported_at: row.5,
        households: row.6,
        members: row.7,
        rejected_households: row.8,
        rejected_members: row.9,
    })
}

/// The snapshot of a content hash.
pub async fn find_by_hash(store: &Store, sha256: &[u8; 32]) -> Result<Option<SnapshotId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar("select id from snapshot where content_sha256 = $1")
        .bind(sha256.as_slice())
        .fetch_optional(store.pool())
        .await?;
    Ok(id.map(SnapshotId::new))
}

/// One snapshot.
pub async fn find(store: &Store, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from snapshot where id = $1"));
    sqlx::query_as::<_, Row>(sql).bind(id.get()).fetch_optional(store.pool()).await?.map(read).transpose()
}

/// All snapshots, newest first.
pub async fn list(store: &Store) -> Result<Vec<Snapshot>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from snapshot order by id desc"));
    sqlx::query_as::<_, Row>(sql).fetch_all(store.pool()).await?.into_iter().map(read).collect()
}

/// Writes how many households bear each code of exclusion.
pub async fn insert_codes_in_tx(
    connection: &mut PgConnection,
    id: SnapshotId,
    codes: &BTreeMap<Code, i64>,
) -> Result<(), StoreError> {
    let names: Vec<&str> = codes.keys().map(Code::as_str).collect();
    let counts: Vec<i64> = codes.values().copied().collect();
    sqlx::query("insert into snapshot_code (snapshot_id, code, households) select $1, * from unnest($2::text[], $3::bigint[])")
        .bind(id.get())
        .bind(names)
        .bind(counts)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many households of a snapshot bear each code of exclusion.
pub async fn codes(store: &Store, id: SnapshotId) -> Result<BTreeMap<Code, i64>, StoreError> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select code, households from snapshot_code where snapshot_id = $1")
            .bind(id.get())
            .fetch_all(store.pool())
            .await?;
    let read =
        |(code, n): (String, i64)| Ok((Code::parse(&code).map_err(|_| StoreError::Corrupt("code"))?, n));
    rows.into_iter().map(read).collect()
}

/// Writes the head row; counts follow by [`finish_in_tx`].
///
/// # Errors
/// With the constraint `snapshot_content_sha256_key` when the content is there already.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    new: NewSnapshot<'_>,
) -> Result<SnapshotId, StoreError> {
    let id = sqlx::query_scalar(
        "insert into snapshot (content_sha256, programme, period, source, created_at, imported_at, household_rows,
                               member_rows, households, members, rejected_households, rejected_members)
         values ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0) returning id",
    )
    .bind(new.sha256.as_slice())
    .bind(new.programme)
    .bind(new.period.index())
    .bind(new.source)
    .bind(new.created_at)
    .bind(new.imported_at)
    .fetch_one(connection)
    .await?;
    Ok(SnapshotId::new(id))
}

/// Writes the counts and the places.
///
/// # Errors
/// With the constraint `snapshot_households_add_up` when rows are unaccounted for.
pub async fn finish_in_tx(
    connection: &mut PgConnection,
    id: SnapshotId,
    counts: SnapshotCounts,
    places: &[Place],
) -> Result<(), StoreError> {
    let column = |pick: fn(&Place) -> &String| places.iter().map(pick).cloned().collect::<Vec<_>>();
    sqlx::query(
        "insert into place (snapshot_id, id, region, province, commune)
         select $1, n - 1, r, p, c from unnest($2::text[], $3::text[], $4::text[]) with ordinality as t(r, p, c, n)",
    )
    .bind(id.get())
    .bind(column(|p| &p.region))
    .bind(column(|p| &p.province))
    .bind(column(|p| &p.commune))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "update snapshot set household_rows = $2, member_rows = $3, households = $4, members = $5,
                rejected_households = r.households, rejected_members = $3::bigint - $5::bigint
           from (select count(*) filter (where part = 'households') as households
                   from snapshot_rejection where snapshot_id = $1) r
          where id = $1",
    )
    .bind(id.get())
    .bind(counts.household_rows as i64)
    .bind(counts.member_rows as i64)
    .bind(counts.households as i64)
    .bind(counts.members as i64)
    .execute(connection)
    .await?;
    Ok(())
}

/// The places of a snapshot, by index.
pub async fn places(store: &Store, id: SnapshotId) -> Result<Vec<Place>, StoreError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("select region, province, commune from place where snapshot_id = $1 order by id")
            .bind(id.get())
            .fetch_all(store.pool())
            .await?;
    Ok(rows.into_iter().map(|(region, province, commune)| Place { region, province, commune }).collect())
}

/// A rejected row.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Rejected {
    /// `households`, `members`, `claims` or `deposits`.
    pub part: String,
    /// Data row, from 1.
    pub row: i64,
    /// Household, where it could be read.
    pub household_id: Option<String>,
    /// First faulty field.
    pub field: String,
    /// Its value, masked.
    pub value: String,
    /// Reason code.
    pub reason: String,
}

/// The first `limit` rejected rows of a snapshot.
pub async fn rejections(store: &Store, id: SnapshotId, limit: i64) -> Result<Vec<Rejected>, StoreError> {
    let rows: Vec<(String, i64, Option<String>, String, String, String)> = sqlx::query_as(
        "select part, row_number, household_id, field, value_masked, reason from snapshot_rejection
          where snapshot_id = $1 order by part, row_number limit $2",
    )
    .bind(id.get())
    .bind(limit)
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(part, row, household_id, field, value, reason)| Rejected {
            part,
            row,
            household_id,
            field,
            value,
            reason,
        })
        .collect())
}

/// Rejected rows of a household, in all lists, the newest list first.
pub async fn rejections_of(
    store: &Store,
    household: &str,
) -> Result<Vec<(SnapshotId, Rejected)>, StoreError> {
    let rows: Vec<(i64, String, i64, String, String, String)> = sqlx::query_as(
        "select snapshot_id, part, row_number, field, value_masked, reason from snapshot_rejection
          where household_id = $1 order by snapshot_id desc, part, row_number",
    )
    .bind(household)
    .fetch_all(store.pool())
    .await?;
    let read = |(list, part, row, field, value, reason)| {
        let household_id = Some(household.to_owned());
        (SnapshotId::new(list), Rejected { part, row, household_id, field, value, reason })
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Rejected rows by part, field and reason.
pub async fn rejection_counts(
    store: &Store,
    id: SnapshotId,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select part, field, reason, count(*) from snapshot_rejection where snapshot_id = $1 group by 1, 2, 3 order by 4 desc, 1, 2, 3",
    )
    .bind(id.get())
    .fetch_all(store.pool())
    .await?)
}
