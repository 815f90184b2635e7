//! Who shares an account or a phone once changes are laid over a list, and whose changes came with too many others.
//!
//! Input: a programme's list and the changes since. Output: the households that stand with others at a new account or phone,
//! those of the list that had it before among them, with how many there are.
//! Guarantee: what counts of a household is where its changes have come to; the list is asked through indexes that are made when
//! the first change after it comes, and proven by reading each row found back.
//! Limit: a thing that only the list knows of is the import's to find (`snapshot_share`).

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::{changes, households};
use crate::domain::event::{Change, NewAccount};
use crate::domain::household::{Relation, Shared};
use crate::domain::ids::{HouseholdId, SnapshotId};
use crate::domain::person::Phone;
use crate::domain::rib::Rib;
use crate::store::copy::CopyOut;
use crate::store::locks::{self, Lock};
use crate::store::orders::personal;
use crate::store::{Store, StoreError};

/// An account or a phone, as it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Held {
    /// An account, by its number.
    Account(u128),
    /// A phone.
    Phone(u32),
}

impl Held {
    /// What a change of account gives a household.
    pub fn of(account: &NewAccount) -> Self {
        match account {
            NewAccount::Rib { rib, .. } => Self::Account(rib.as_number()),
            NewAccount::Phone { phone, .. } => Self::Phone(phone.national()),
        }
    }

    /// What kind of thing it is.
    pub const fn kind(self) -> Shared {
        match self {
            Self::Account(_) => Shared::Account,
            Self::Phone(_) => Shared::Phone,
        }
    }

    /// By what it is found again among changes: a hash, so that it is not written in clear a second time.
    pub(crate) fn key(self) -> String {
        let text = match self {
            Self::Account(number) => format!("account {number:024}"),
            Self::Phone(number) => format!("phone {number}"),
        };
        crate::domain::hex(&Sha256::digest(text.as_bytes())[..16])
    }
}

/// Makes the indexes by which a list is asked who has an account or a phone, unless they are there. A RIB is the end of what is
/// kept of a payee, a phone stands at a fixed place (`store::personal`).
pub async fn prepare(store: &Store, list: SnapshotId) -> Result<(), StoreError> {
    let leaf = households::leaf(list);
    let mut tx = store.begin().await?;
    let there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(format!("{leaf}_phone"))
        .fetch_one(&mut *tx)
        .await?;
    if there {
        return Ok(tx.rollback().await?);
    }
    locks::take_in_tx(&mut tx, Lock::ListIndexes).await?;
    for sql in [
        format!("create index if not exists {leaf}_account on {leaf} ({})", personal::ACCOUNT_SQL),
        format!("create index if not exists {leaf}_phone on {leaf} ({})", personal::PHONE_SQL),
        format!("analyze {leaf}"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// Whether the account of any household of a programme changed since a list was made.
pub async fn any_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select from household_change where programme_id = $1 and kind = 'account'
            and at > (select created_at from snapshot where id = $2))",
    )
    .bind(programme_id)
    .bind(list.get())
    .fetch_one(connection)
    .await?)
}

/// Where the changes of a household have come to.
struct Latest {
    household: HouseholdId,
    held: Held,
    unusual: bool,
}

/// Last change of account since a list, of the households that `which` selects.
async fn latest_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
    which: &str,
    names: &[String],
) -> Result<Vec<Latest>, StoreError> {
    let sql = format!(
        "select distinct on (c.household_id) c.household_id, c.payload, c.unusual is not null from household_change c
          where c.programme_id = $1 and c.kind = 'account' and c.at > (select created_at from snapshot where id = $2)
            and {which} order by c.household_id, c.at desc, c.id desc"
    );
    let rows: Vec<(String, Vec<u8>, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(programme_id)
        .bind(list.get())
        .bind(names)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(household, payload, unusual)| {
            let Change::Account(account) = changes::decode("account", &payload)? else {
                return Err(StoreError::Corrupt("change of a household"));
            };
            let household = HouseholdId::parse(household.as_bytes());
            let household = household.map_err(|_| StoreError::Corrupt("household id"))?;
            Ok(Latest { household, held: Held::of(&account), unusual })
        })
        .collect()
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Who holds each new thing, where it is more than one household.
    pub shared: HashMap<Held, BTreeSet<HouseholdId>>,
    /// Whose last change came with too many others.
    pub unusual: BTreeSet<HouseholdId>,
}

/// Who shares what changes since a list brought; with `only`, of these things alone, and whose changes are unusual of those
/// that were asked for. The list was prepared.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
    only: Option<(&[Held], &[HouseholdId])>,
) -> Result<Found, StoreError> {
    let (things, asked) = only.unwrap_or_default();
    let keys = things.iter().map(|held| held.key());
    let keys: Vec<String> = keys.chain(asked.iter().map(|household| household.as_str().to_owned())).collect();
    let which = match only {
        None => "$3::text[] is not null",
        Some(_) => {
            "(c.household_id = any($3) or c.household_id in (
                select x.household_id from household_change x where x.programme_id = $1 and x.thing = any($3)))"
        }
    };
    let mut found = Found::default();
    let mut holders: HashMap<Held, BTreeSet<HouseholdId>> = HashMap::new();
    for latest in latest_in_tx(connection, programme_id, list, which, &keys).await? {
        if latest.unusual {
            found.unusual.insert(latest.household);
        }
        if only.is_none_or(|(things, _)| things.contains(&latest.held)) {
            holders.entry(latest.held).or_default().insert(latest.household);
        }
    }
    let things: Vec<Held> = holders.keys().copied().collect();
    for chunk in things.chunks(10_000) {
        for (household, held) in listed_in_tx(connection, programme_id, list, chunk).await? {
            holders.entry(held).or_default().insert(household);
        }
    }
    holders.retain(|_, households| households.len() > 1);
    found.shared = holders;
    Ok(found)
}

/// Households that have one of some things in the list, and have not changed it since.
async fn listed_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
    list: SnapshotId,
    things: &[Held],
) -> Result<Vec<(HouseholdId, Held)>, StoreError> {
    let (mut accounts, mut phones) = (Vec::new(), Vec::new());
    for thing in things {
        match thing {
            Held::Account(number) => accounts.push(bytea(format!("{number:024}").as_bytes())),
            Held::Phone(number) => phones.push(bytea(&number.to_be_bytes())),
        }
    }
    let leaf = households::leaf(list);
    // Each is looked up: what is known of a young index would have the list read whole.
    let of = |sql: &str, values: &[String]| {
        format!(
            "select h.household_id, h.payee from unnest(array[{}]::bytea[]) v
              cross join lateral (select household_id, payee from {leaf} where {sql} = v offset 0) h",
            values.join(",")
        )
    };
    let source =
        format!("({} union all {})", of(personal::ACCOUNT_SQL, &accounts), of(personal::PHONE_SQL, &phones));
    sqlx::query("set local enable_seqscan = off").execute(&mut *connection).await?;
    let mut found = Vec::new();
    {
        let mut rows = CopyOut::begin(&mut *connection, &source).await?;
        while let Some(mut row) = rows.next().await? {
            let household =
                HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
            let payee = personal::decode_payee(row.raw()?, Relation::Registrant, false)?;
            let account = Rib::parse(&payee.account).ok().map(|rib| Held::Account(rib.as_number()));
            let phone = payee.phone.map(|phone: Phone| Held::Phone(phone.national()));
            let asked = account.into_iter().chain(phone).filter(|held| things.contains(held));
            found.extend(asked.map(|held| (household, held)));
        }
    }
    sqlx::query("set local enable_seqscan = on").execute(&mut *connection).await?;
    let names: Vec<String> = found.iter().map(|(household, _)| household.as_str().to_owned()).collect();
    let moved = latest_in_tx(connection, programme_id, list, "c.household_id = any($3)", &names).await?;
    // Whoever is paid elsewhere now has the account no more; the phone stays until another is told.
    let moved: HashMap<HouseholdId, Held> = moved.into_iter().map(|l| (l.household, l.held)).collect();
    found.retain(|(household, held)| {
        matches!((held, moved.get(household)), (_, None) | (Held::Phone(_), Some(Held::Account(_))))
    });
    Ok(found)
}

fn bytea(bytes: &[u8]) -> String {
    format!("'\\x{}'", crate::domain::hex(bytes))
}

/// Too many changes of account at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace<'a> {
    /// Programme.
    pub programme_id: i16,
    /// Who sends.
    pub source: &'a str,
    /// Changes since then count.
    pub since: OffsetDateTime,
    /// Most of one sender.
    pub of_source: i64,
    /// Most in one commune.
    pub of_commune: i64,
}

/// Marks the changes of account of a sender, and of communes, that are more than usual: households whose changes were not
/// marked before, and by what.
pub async fn mark_in_tx(
    connection: &mut PgConnection,
    pace: &Pace<'_>,
) -> Result<Vec<(HouseholdId, String)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "with recent as (
             select c.id, c.commune, e.source from household_change c join event e on e.id = c.event_id
              where c.programme_id = $1 and c.kind = 'account' and e.kind = 'account' and e.received_at > $3),
         busy as (
             select id, 'sender' as by from recent where source = $2
                and (select count(*) from recent where source = $2) > $4
             union all
             select id, 'commune' from recent where commune in (
                select commune from recent where commune is not null group by 1 having count(*) > $5))
         update household_change c set unusual = b.by from (select id, max(by) as by from busy group by 1) b
          where c.id = b.id and c.unusual is null returning c.household_id, c.unusual",
    )
    .bind(pace.programme_id)
    .bind(pace.source)
    .bind(pace.since)
    .bind(pace.of_source)
    .bind(pace.of_commune)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(household, by)| {
            let household = HouseholdId::parse(household.as_bytes());
            Ok((household.map_err(|_| StoreError::Corrupt("household id"))?, by))
        })
        .collect()
}
