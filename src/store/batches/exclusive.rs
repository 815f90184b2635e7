//! Work that one process does at a time: a lock that lasts as long as the connection that took it.
//!
//! Guarantee: whoever comes second is told at once, and by whom the work is done; a holder that is killed holds nothing
//! any more. [`Exclusive::lost`] is ready soon after the connection is gone.
//! Limit: a connection of its own while the work lasts.

use std::time::Duration;

use sqlx::{ConnectOptions as _, PgConnection};
use time::OffsetDateTime;

use crate::store::locks::SessionLock;
use crate::store::{Store, StoreError};

/// How often the holder looks whether its connection still stands.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that is not answered in this time counts as a connection that is gone.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Work that is this process's alone.
#[derive(Debug)]
pub struct Exclusive {
    connection: PgConnection,
}

/// Who does the work.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Process and machine, as the holder gave them.
    pub who: String,
    /// Since when.
    pub since: Option<OffsetDateTime>,
}

impl Exclusive {
    /// Takes the work, unless somebody else does it.
    pub async fn take(store: &Store, work: SessionLock) -> Result<Result<Self, Holder>, StoreError> {
        let name = work.key();
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let who: String =
            format!("sarf process {} on {}", std::process::id(), machine.trim()).chars().take(60).collect();
        let options = (*store.pool().connect_options()).clone().application_name(&who);
        let mut connection = options.connect().await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(&name)
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Ok(Self { connection }));
        }
        let holder: Option<(String, Option<OffsetDateTime>)> = sqlx::query_as(
            "select coalesce(a.application_name, ''), a.backend_start from pg_locks l left join pg_stat_activity a on a.pid = l.pid
              where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                and l.database = (select oid from pg_database where datname = current_database())
                and l.classid::bigint << 32 | l.objid::bigint = hashtextextended($1, 0)",
        )
        .bind(&name)
        .fetch_optional(&mut connection)
        .await?;
        let (who, since) = holder.unwrap_or_default();
        let who = if who.is_empty() { "another process".to_owned() } else { who };
        Ok(Err(Holder { who, since }))
    }

    /// Ready when the work is not this process's alone any more.
    pub async fn lost(&mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let look = sqlx::query("select 1").execute(&mut self.connection);
            if !matches!(tokio::time::timeout(ANSWER_MAX, look).await, Ok(Ok(_))) {
                return;
            }
        }
    }
}
