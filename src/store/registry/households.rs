//! Households of a snapshot: a leaf table, built by COPY FREEZE in the transaction that makes it, indexed, then attached.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::domain::household::{Household, Means, PlaceId, Relation, Score};
use crate::domain::ids::{Code, HouseholdId, SnapshotId};
use crate::store::StoreError;
use crate::store::copy::{CopyBuffer, CopyRow};
use crate::store::orders::personal;

/// Columns in the order that [`push`] writes and [`read`] reads them.
pub const COLUMNS: &str = "household_key, household_id, place_id, rsu_score, means, flags, members_rejected, excluded_by, provider, payee, members";

/// The leaf of a snapshot.
pub fn leaf(snapshot: SnapshotId) -> String {
    format!("household_{snapshot}")
}

/// The key of a row of a snapshot.
pub const fn key(snapshot: SnapshotId, row: u32) -> i64 {
    (snapshot.get() << 32) | row as i64
}

/// Makes the leaf, standing alone.
pub async fn create_leaf_in_tx(
    connection: &mut PgConnection,
    snapshot: SnapshotId,
) -> Result<(), StoreError> {
    let (leaf, low, high) = (leaf(snapshot), key(snapshot, 0), key(SnapshotId::new(snapshot.get() + 1), 0));
    let sql = format!(
        "create table {leaf} (like household including defaults including storage,
           constraint {leaf}_bounds check (household_key >= {low} and household_key < {high}))"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Indexes the leaf and attaches it. The unique index on the household id is the proof that a household stands in a
/// snapshot once.
///
/// # Errors
/// When a household stands in the leaf twice, or the database is gone.
pub async fn attach_leaf_in_tx(
    connection: &mut PgConnection,
    snapshot: SnapshotId,
) -> Result<(), StoreError> {
    let (leaf, low, high) = (leaf(snapshot), key(snapshot, 0), key(SnapshotId::new(snapshot.get() + 1), 0));
    for sql in [
        format!("create unique index {leaf}_household_id on {leaf} (household_id)"),
        format!("alter table household attach partition {leaf} for values from ({low}) to ({high})"),
        format!("alter table {leaf} drop constraint {leaf}_bounds"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Scratch space for encoding.
#[derive(Debug, Default)]
pub struct Scratch {
    payee: Vec<u8>,
    members: Vec<u8>,
}

/// Appends a household to a buffer for its leaf.
pub fn push(buffer: &mut CopyBuffer, snapshot: SnapshotId, household: &Household, scratch: &mut Scratch) {
    personal::encode_payee(&household.payee, &mut scratch.payee);
    personal::encode_members(&household.members, &household.attributes, &mut scratch.members);
    buffer
        .row(11)
        .i64(key(snapshot, household.row))
        .text(household.id.as_str())
        .i32(i32::from(household.place.0))
        .i64(household.rsu_score.0)
        .i16(i16::from(household.means.number()))
        .i16(flags(household))
        .i16(household.members_rejected as i16)
        .text_or_null(household.excluded_by.as_ref().map(Code::as_str))
        .text_or_null(household.provider.as_ref().map(Code::as_str))
        .raw(&scratch.payee)
        .raw(&scratch.members);
}

fn flags(household: &Household) -> i16 {
    i16::from(household.head_resident)
        | i16::from(household.payee.deceased) << 1
        | i16::from(household.payee.relation.number()) << 2
        | i16::from(household.account_level.unwrap_or(0)) << 5
}

/// Reads a household back, except the head's registry number, which no later stage needs. One that was read `before` gives its
/// buffers.
///
/// # Errors
/// When the row cannot be read back.
pub fn read(row: &mut CopyRow, before: Option<Household>) -> Result<Household, StoreError> {
    let key = row.i64()?;
    let id = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
    let place = PlaceId(row.i32()? as u16);
    let rsu_score = Score(row.i64()?);
    let means = Means::from_number(row.i16()? as u8).ok_or_else(|| StoreError::Corrupt("means"))?;
    let flags = row.i16()?;
    let members_rejected = row.i16()? as u16;
    let excluded_by = read_code(row)?;
    let provider = read_code(row)?;
    let relation =
        Relation::from_number((flags >> 2 & 7) as u8).ok_or_else(|| StoreError::Corrupt("relation"))?;
    let (texts, mut members) =
        before.map(|h| ([h.payee.name, h.payee.name_ar, h.payee.account], h.members)).unwrap_or_default();
    let payee = personal::decode_payee_into(row.raw()?, relation, flags & 2 != 0, texts)?;
    let attributes = personal::decode_members(row.raw()?, &mut members)?;
    let level = (flags >> 5 & 3) as u8;
    Ok(Household {
        row: (key & 0xFFFF_FFFF) as u32,
        id,
        place,
        rsu_score,
        head_idcs: payee.idcs,
        head_resident: flags & 1 != 0,
        excluded_by,
        payee,
        means,
        provider,
        account_level: (level != 0).then_some(level),
        attributes,
        members,
        members_rejected,
    })
}

fn read_code(row: &mut CopyRow) -> Result<Option<Code>, StoreError> {
    row.text_or_null()?.map(|text| Code::parse(text).map_err(|_| StoreError::Corrupt("code"))).transpose()
}

/// What changed between two snapshots, in households: joined, left, and changed by kind of change.
pub async fn diff(
    store: &crate::store::Store,
    before: SnapshotId,
    after: SnapshotId,
) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let sql = format!(
        "select count(*) filter (where b.household_id is null), count(*) filter (where a.household_id is null),
                count(*) filter (where a.payee <> b.payee), count(*) filter (where a.means <> b.means or a.provider is distinct from b.provider),
                count(*) filter (where a.members <> b.members), count(*) filter (where a.rsu_score <> b.rsu_score),
                count(*) filter (where a.excluded_by is distinct from b.excluded_by and a.household_id is not null and b.household_id is not null)
           from {} b full join {} a on a.household_id = b.household_id",
        leaf(before),
        leaf(after)
    );
    let row: (i64, i64, i64, i64, i64, i64, i64) =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(store.pool()).await?;
    Ok(vec![
        ("joined", row.0),
        ("left", row.1),
        ("payee, phone or account changed", row.2),
        ("means or provider changed", row.3),
        ("members or attributes changed", row.4),
        ("score changed", row.5),
        ("exclusion changed", row.6),
    ])
}
