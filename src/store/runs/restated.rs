//! Lists that were heard on earlier months, and those months as they are known since.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::corrections::Month;
use crate::domain::attribute::Attributes;
use crate::domain::correction::Facts;
use crate::domain::correction::persons::Place;
use crate::domain::household::{Member, Score};
use crate::domain::ids::{Code, HouseholdId, RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::person::Idcs;
use crate::store::StoreError;
use crate::store::copy::{CopyBuffer, CopyOut, CopyRow};
use crate::store::orders::{self, personal};
use crate::store::registry::households;

/// Columns of a restated month in the order that [`push`] writes and [`read_facts`] reads them, after its key.
pub const FACTS: &str = "flags, rsu_score, members_rejected, excluded_by, members";

const LISTED: i16 = 1;
const RESIDENT: i16 = 2;

/// A list that is heard.
#[derive(Clone, Copy, Debug)]
pub struct NewReview<'a> {
    /// Programme number.
    pub programme: i16,
    /// The list.
    pub list: SnapshotId,
    /// Its month.
    pub period: Period,
    /// How many months before it are looked at.
    pub months_back: u8,
    /// The rules that are in force.
    pub rules_sha256: &'a [u8],
    /// The run that is made of it.
    pub run: RunId,
    /// Who asked.
    pub by: &'a str,
    /// When.
    pub at: OffsetDateTime,
}

/// Keeps that a list is heard: the number of the review.
pub async fn insert_in_tx(connection: &mut PgConnection, new: NewReview<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "insert into review (programme_id, snapshot_id, period, months_back, rules_sha256, run_id, reviewed_by, reviewed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
    )
    .bind(new.programme)
    .bind(new.list.get())
    .bind(new.period.index())
    .bind(i16::from(new.months_back))
    .bind(new.rules_sha256)
    .bind(new.run.get())
    .bind(new.by)
    .bind(new.at)
    .fetch_one(connection)
    .await?)
}

/// Takes back the run of a review in which nothing differs in money: what the list said stays heard.
///
/// # Errors
/// When the run has rows.
pub async fn without_run_in_tx(
    connection: &mut PgConnection,
    review: i64,
    run: RunId,
) -> Result<(), StoreError> {
    sqlx::query("update review set run_id = null where id = $1")
        .bind(review)
        .execute(&mut *connection)
        .await?;
    for leaf in [orders::leaf(run), orders::exclusion_leaf(run)] {
        sqlx::query(AssertSqlSafe(format!("drop table {leaf}"))).execute(&mut *connection).await?;
    }
    sqlx::query("delete from run where id = $1").bind(run.get()).execute(connection).await?;
    Ok(())
}

/// How a programme's last correction run stands, and the lists that were heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// The latest list.
    pub latest: Option<SnapshotId>,
    /// The last run of the list at hand, under the same rules and as far back.
    pub same: Option<RunId>,
    /// A correction run that is neither released nor cancelled.
    pub waits: Option<RunId>,
    /// The list at hand was heard under the same rules and as far back, and nothing differed in money.
    pub without_run: bool,
}

/// What was heard of a programme before a list.
pub async fn heard_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    list: SnapshotId,
    months_back: u8,
    rules_sha256: &[u8],
) -> Result<Heard, StoreError> {
    let (latest, same, waits, without_run): (Option<i64>, Option<i64>, Option<i64>, bool) = sqlx::query_as(
        "select (select max(v.snapshot_id) from review v left join run r on r.id = v.run_id
                  where v.programme_id = $1 and (v.run_id is null or r.state <> 'cancelled')),
                (select max(v.run_id) from review v join run r on r.id = v.run_id
                  where v.programme_id = $1 and v.snapshot_id = $2 and v.months_back = $3 and v.rules_sha256 = $4 and r.state <> 'cancelled'),
                (select max(id) from run where programme_id = $1 and kind = 'correction'
                    and state in ('draft', 'computed', 'submitted', 'approved', 'funded')),
                exists (select from review v where v.programme_id = $1 and v.snapshot_id = $2 and v.months_back = $3 and v.rules_sha256 = $4
                          and v.run_id is null)",
    )
    .bind(programme)
    .bind(list.get())
    .bind(i16::from(months_back))
    .bind(rules_sha256)
    .fetch_one(connection)
    .await?;
    Ok(Heard {
        latest: latest.map(SnapshotId::new),
        same: same.map(RunId::new),
        waits: waits.map(RunId::new),
        without_run,
    })
}

/// Corrected lists of a month that were heard, beside the one it was paid from.
pub async fn corrected_lists_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: Period,
    paid_from: SnapshotId,
) -> Result<Vec<SnapshotId>, StoreError> {
    let lists: Vec<i64> = sqlx::query_scalar(
        "select distinct v.snapshot_id from review v left join run r on r.id = v.run_id
          where v.programme_id = $1 and v.period = $2 and v.snapshot_id <> $3 and (v.run_id is null or r.state <> 'cancelled') order by 1",
    )
    .bind(programme)
    .bind(period.index())
    .bind(paid_from.get())
    .fetch_all(connection)
    .await?;
    Ok(lists.into_iter().map(SnapshotId::new).collect())
}

/// How many correction runs of a month are not cancelled.
pub async fn runs_of_month_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: Period,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "select count(*) from run where programme_id = $1 and period = $2 and kind = 'correction' and state <> 'cancelled'",
    )
    .bind(programme)
    .bind(period.index())
    .fetch_one(connection)
    .await?)
}

/// The restated months of a programme and period that count, one for each household: a query in brackets.
pub fn live(programme: i16, period: Period) -> String {
    format!(
        "(select distinct on (w.household_id) w.* from restated_month w join review v on v.id = w.review_id
            left join run r on r.id = v.run_id
           where w.period = {} and v.programme_id = {programme} and (v.run_id is null or r.state <> 'cancelled')
           order by w.household_id, w.review_id desc)",
        period.index()
    )
}

/// Columns of a restated month in the order that [`push`] writes them.
pub const COLUMNS: &str =
    "review_id, household_id, period, flags, rsu_score, members_rejected, excluded_by, members";

/// Appends a month as it is known by now; `None`: the household was not on the month's list.
pub fn push(
    buffer: &mut CopyBuffer,
    review: i64,
    household: HouseholdId,
    period: Period,
    facts: Option<&Facts>,
    scratch: &mut Vec<u8>,
) {
    let attributes = Attributes::default();
    let (members, attributes) = facts.map_or((&[][..], &attributes), |f| (&f.members, &f.attributes));
    personal::encode_members(members, attributes, scratch);
    let flags = facts.map_or(0, |f| LISTED | if f.head_resident { RESIDENT } else { 0 });
    buffer
        .row(8)
        .i64(review)
        .text(household.as_str())
        .i32(period.index())
        .i16(flags)
        .i64(facts.map_or(0, |f| f.rsu_score.0))
        .i16(facts.map_or(0, |f| f.members_rejected) as i16)
        .text_or_null(facts.and_then(|f| f.excluded_by.as_ref()).map(Code::as_str))
        .raw(scratch);
}

/// Reads [`FACTS`]; `None` where the household was not on the month's list.
///
/// # Errors
/// When the row cannot be read back.
pub fn read_facts(row: &mut CopyRow) -> Result<Option<Facts>, StoreError> {
    let (flags, score, rejected) = (row.i16()?, row.i64()?, row.i16()?);
    let excluded_by = row.text_or_null()?.map(Code::parse).transpose();
    let excluded_by = excluded_by.map_err(|_| StoreError::Corrupt("code"))?;
    let mut members = Vec::new();
    let attributes = personal::decode_members(row.raw()?, &mut members)?;
    let facts = Facts {
        attributes,
        rsu_score: Score(score),
        head_resident: flags & RESIDENT != 0,
        excluded_by,
        members,
        members_rejected: rejected as u16,
    };
    Ok((flags & LISTED != 0).then_some(facts))
}

/// Households whose members are others by now, or who share a person: with their members in the month and now.
///
/// Whoever stands in two households is found among these: a row that lost a person, one that has it newly, or two that
/// share it.
pub fn persons_source(month: &Month) -> String {
    let Month { programme, period, then, now, .. } = month;
    let shares = |list: SnapshotId| {
        format!(
            "(select household_key from snapshot_share where kind = 'person' and household_key >= {} and household_key < {})",
            households::key(list, 0),
            households::key(SnapshotId::new(list.get() + 1), 0)
        )
    };
    // A corrected list of the month may share a person that the first one did not.
    let corrected: String = month
        .corrected
        .iter()
        .map(|list| {
            let leaf = households::leaf(*list);
            format!(
                " or coalesce(t.household_id, n.household_id) in (select household_id from {leaf} where household_key in {})",
                shares(*list)
            )
        })
        .collect();
    format!(
        "(with w as materialized {live}
          select coalesce(t.household_id, n.household_id), t.members, n.members, coalesce(n.members_rejected, 0::smallint),
                 (coalesce(t.household_key in {shared_then} or n.household_key in {shared_now}, false){corrected})::int::smallint
            from {then} t full join {now} n on n.household_id = t.household_id
           where (t.members is distinct from n.members or t.household_key in {shared_then} or n.household_key in {shared_now}{corrected})
             and coalesce(t.household_id, n.household_id) not in (select w.household_id from w)
          union all
          select w.household_id, case when w.flags & {LISTED} <> 0 then w.members end, n.members, coalesce(n.members_rejected, 0::smallint), 1::smallint
            from w left join {now} n on n.household_id = w.household_id)",
        live = live(*programme, *period),
        shared_then = shares(*then),
        shared_now = shares(*now),
        then = households::leaf(*then),
        now = households::leaf(*now),
    )
}

/// A row of [`persons_source`].
#[derive(Debug)]
pub struct HouseholdPersons {
    /// Household.
    pub household: HouseholdId,
    /// Its members in the month; `None` where it was not counted.
    pub then: Option<Vec<Member>>,
    /// Its members now; `None` where the later list does not have it.
    pub now: Option<Vec<Member>>,
    /// The later list has it, and rejected none of its rows.
    pub speaks: bool,
    /// Persons that stand in both are looked up as well.
    pub all: bool,
}

/// Reads a row of [`persons_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_persons(row: &mut CopyRow) -> Result<HouseholdPersons, StoreError> {
    let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
    let mut members = || -> Result<Option<Vec<Member>>, StoreError> {
        let Some(bytes) = row.raw_or_null()? else { return Ok(None) };
        let mut members = Vec::new();
        personal::decode_members(bytes, &mut members)?;
        Ok(Some(members))
    };
    let (then, now) = (members()?, members()?);
    let speaks = now.is_some() && row.i16()? == 0;
    if now.is_none() {
        row.i16()?;
    }
    Ok(HouseholdPersons { household, then, now, speaks, all: row.i16()? == 1 })
}

/// Where persons stand is gathered in a table that lives as long as the transaction.
pub async fn gather_places_in_tx(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(
        "create temporary table person_place (period integer, person bigint, household_id text collate \"C\", counted smallint,
           in_month smallint, speaks smallint, member bytea) on commit drop",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Columns that [`push_place`] writes.
pub const PLACE_TARGET: &str =
    "person_place (period, person, household_id, counted, in_month, speaks, member)";

/// Appends where a person stands.
pub fn push_place(
    buffer: &mut CopyBuffer,
    period: Period,
    idcs: Idcs,
    place: &Place<HouseholdId>,
    scratch: &mut Vec<u8>,
) {
    buffer
        .row(7)
        .i32(period.index())
        .i64(personal::person_key(idcs))
        .text(place.household.as_str())
        .i16(i16::from(place.counted))
        .i16(i16::from(place.in_month))
        .i16(i16::from(place.speaks));
    match &place.row {
        Some(member) => {
            personal::encode_members(std::slice::from_ref(member), &Attributes::default(), scratch);
            buffer.raw(scratch);
        }
        None => {
            buffer.text_or_null(None);
        }
    }
}

/// A person who stands in several households, in one month.
pub type Placed = (Period, Idcs, Vec<Place<HouseholdId>>);

/// Persons that stand in more than one household, one after the other, told to `tell`.
pub async fn placed_twice_in_tx(
    connection: &mut PgConnection,
    mut tell: impl FnMut(&Placed) + Send,
) -> Result<(), StoreError> {
    let source = "(select p.period, p.person, p.household_id, p.counted, p.in_month, p.speaks, p.member
        from person_place p join (select period, person from person_place group by 1, 2 having count(*) > 1) d
          on d.period = p.period and d.person = p.person
       order by p.period, p.person, p.household_id)";
    let mut rows = CopyOut::begin(connection, source).await?;
    let mut ahead: Option<Placed> = None;
    while let Some(mut row) = rows.next().await? {
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let idcs = personal::person_of_key(row.i64()?);
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        let (counted, in_month, speaks) = (row.i16()? == 1, row.i16()? == 1, row.i16()? == 1);
        let mut members = Vec::new();
        if let Some(bytes) = row.raw_or_null()? {
            personal::decode_members(bytes, &mut members)?;
        }
        let place = Place { household, counted, in_month, row: members.first().copied(), speaks };
        match &mut ahead {
            Some((p, i, places)) if *p == period && *i == idcs => places.push(place),
            _ => {
                if let Some(done) = ahead.replace((period, idcs, vec![place])) {
                    tell(&done);
                }
            }
        }
    }
    if let Some(done) = ahead {
        tell(&done);
    }
    Ok(())
}
