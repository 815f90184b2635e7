//! The journal of changed rows, and what it proves: every entry is vouched for by the audit chain, every row is as its last entry
//! says, and no row was changed between two entries.
//!
//! Rows are compared as text, column by column, by the database: whatever stands in them, nothing here fails to read it.

use sqlx::AssertSqlSafe;

use super::chain;
use crate::store::{Store, StoreError};

/// Rows that are named for one fault.
const NAMED_MAX: i64 = 20;

/// Rows that are not as they should be.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many were looked at.
    pub looked_at: i64,
    /// How many are wrong.
    pub wrong: i64,
    /// The first of those, in words.
    pub named: Vec<String>,
}

impl Found {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.wrong += other.wrong;
        self.named.extend(other.named);
        self.named.truncate(NAMED_MAX as usize);
    }
}

/// How far the schema is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migrated {
    migrations: i64,
    pub last_entry: i64,
}

impl PartialEq for Migrated {
    fn eq(&self, other: &Self) -> bool {
        self.migrations == other.migrations
    }
}

/// The hash over the entries of a change, as a scalar subquery; null where it has none. In two steps: a text has an end.
pub(crate) fn digest_of(change: &str) -> String {
    format!(
        "(select sum(g.n) || ' entries sha256 ' || encode(sha256(string_agg(g.hash, ''::bytea order by g.part)), 'hex')
            from (select j.id / 10000 as part, count(*) as n,
                         sha256(convert_to(string_agg(concat_ws('|', j.id, j.relation, j.key, j.action, encode(j.before, 'hex'),
                                                                encode(j.after, 'hex'), j.rows, j.total), E'\\n' order by j.id), 'UTF8')) as hash
                    from journal j where j.change = {change} group by 1) g)"
    )
}

/// How far the schema is; `None` before the first migration.
pub(crate) async fn migrations(store: &Store) -> Result<Option<Migrated>, StoreError> {
    let there = "select to_regclass('_sqlx_migrations') is not null, to_regclass('journal') is not null";
    let (migrated, journal): (bool, bool) = sqlx::query_as(there).fetch_one(store.pool()).await?;
    if !migrated {
        return Ok(None);
    }
    let migrations =
        sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(store.pool()).await?;
    let last_entry = if journal {
        sqlx::query_scalar("select coalesce(max(id), 0) from journal").fetch_one(store.pool()).await?
    } else {
        0
    };
    Ok(Some(Migrated { migrations, last_entry }))
}

/// Puts new tables and columns under the journal, and vouches for what migrations wrote since `last_entry`.
pub(crate) async fn install(store: &Store, last_entry: i64) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("select journal_install()").execute(&mut *tx).await?;
    let sql = format!(
        "select c.change, {} from (select distinct change from journal where id > $1 and change <> journal_change()) c
          where not exists (select from audit a where a.action = $2 and a.subject = 'change ' || c.change) order by 1",
        digest_of("c.change")
    );
    let changes: Vec<(i64, String)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(last_entry).bind(chain::ROWS).fetch_all(&mut *tx).await?;
    for (change, detail) in changes {
        sqlx::query(
            "insert into audit_pending (change, at, actor, action, subject, detail)
             values (journal_change(), clock_timestamp(), 'sarf', $1, $2, $3)",
        )
        .bind(chain::ROWS)
        .bind(format!("change {change}"))
        .bind(detail)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

/// Entries that no record of the chain vouches for, and records whose entries are not what they vouch for.
pub async fn unvouched(store: &Store) -> Result<Found, StoreError> {
    let sql = format!(
        "with vouched as (select substr(subject, 8) as change, min(detail) as detail, count(*) as n from audit
                           where action = $1 and actor = 'sarf' and subject ~ '^change [0-9]+$' group by 1),
              found as (select c.change, {} as detail, c.n from (select change, count(*) as n from journal group by 1) c),
              wrong as (select coalesce(f.change::text, v.change) as change, f.n, v.detail is null as by_hand
                          from found f full join vouched v on v.change = f.change::text
                         where f.detail is distinct from v.detail or v.n > 1)
         select (select count(*) from journal), (select coalesce(sum(coalesce(n, 1)), 0)::bigint from wrong),
                array(select case when w.n is null then 'the entries of change ' || w.change || ' are gone'
                                  when w.by_hand then j.relation || ' ' || j.key || case j.action when 'insert' then ' was added'
                                       when 'delete' then ' was taken away' else ' was changed' end || ' by hand'
                                  else 'the entries of change ' || w.change || ' were altered: ' || j.relation || ' ' || j.key end
                        from wrong w left join journal j on j.change::text = w.change order by j.id limit {NAMED_MAX})",
        digest_of("c.change")
    );
    let (looked_at, wrong, named) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(chain::ROWS).fetch_one(store.pool()).await?;
    Ok(Found { looked_at, wrong, named })
}

/// Entries of some tables that no record of the chain speaks of; quicker, and without the hash over them.
pub async fn unvouched_in(store: &Store, relations: &[&str]) -> Result<Found, StoreError> {
    let sql = format!(
        "with wrong as (select j.relation, j.key, j.id from journal j
               where j.relation = any($1) and not exists (select from audit a where a.action = $2 and a.subject = 'change ' || j.change))
         select 0::bigint, (select count(*) from wrong),
                array(select relation || ' ' || key || ' was changed by hand' from wrong order by id limit {NAMED_MAX})"
    );
    let (looked_at, wrong, named) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(relations).bind(chain::ROWS).fetch_one(store.pool()).await?;
    Ok(Found { looked_at, wrong, named })
}

/// Rows that were changed between two entries.
pub async fn torn(store: &Store) -> Result<Found, StoreError> {
    let sql = format!(
        "with wrong as (select relation, key, id from
               (select relation, key, id, before, lag(after) over (partition by relation, key order by id) as was
                  from journal where action <> 'sum') j where before is distinct from was)
         select (select count(*) from journal where action <> 'sum'), (select count(*) from wrong),
                array(select relation || ' ' || key || ' was changed before entry ' || id from wrong order by id limit {NAMED_MAX})"
    );
    let (looked_at, wrong, named) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(store.pool()).await?;
    Ok(Found { looked_at, wrong, named })
}

/// Tables under the journal.
pub async fn relations(store: &Store) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar("select relation from journal_shape order by 1").fetch_all(store.pool()).await?)
}

/// Tables whose changes are not written down any more, because a trigger is gone or switched off.
pub async fn unguarded(store: &Store) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "select s.relation from journal_shape s
          where (select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
                  where c.relname = s.relation and c.relnamespace = current_schema()::regnamespace and t.tgenabled = 'O'
                    and t.tgname in ('journal_insert', 'journal_update', 'journal_delete')) <> 3
          order by 1",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Rows of one table that are not as their last entry says.
///
/// # Errors
/// When the database is gone, or the table.
pub async fn differing(store: &Store, relation: &str) -> Result<Found, StoreError> {
    let keys: Option<Vec<String>> = sqlx::query_scalar("select keys from journal_shape where relation = $1")
        .bind(relation)
        .fetch_optional(store.pool())
        .await?;
    let Some(keys) = keys else { return Ok(Found::default()) };
    let key: Vec<String> = keys.iter().map(|k| format!("r.{}", quoted(k))).collect();
    let sql = format!(
        "with last as (select distinct on (key) key, after from journal where relation = $1 and action <> 'sum' order by key, id desc),
              now as (select concat_ws('/', {}) as key, sha256(convert_to((to_jsonb(r) - journal_skips($1))::text, 'UTF8')) as hash from {} r),
              wrong as (select coalesce(n.key, l.key) as key, case when n.key is null then ' was taken away'
                                      when l.after is null then ' was added by hand' else ' was altered' end as what
                          from (select * from last where after is not null) l full join now n using (key)
                         where l.after is distinct from n.hash)
         select (select count(*) from now), (select count(*) from wrong),
                array(select $1 || ' ' || key || what from wrong order by key limit {NAMED_MAX})",
        key.join(", "),
        quoted(relation)
    );
    let (looked_at, wrong, named) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(relation).fetch_one(store.pool()).await?;
    Ok(Found { looked_at, wrong, named })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
