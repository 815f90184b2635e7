//! All advisory locks: what each keeps apart, how its key is made, and in which order they are taken.
//!
//! Guarantee: who takes several within one transaction takes them in the order of [`Lock`]'s variants, so that no two wait for
//! each other. Builds with debug assertions, and so all tests, check it at each lock, over every function that works in the
//! transaction. Row locks on runs are taken after [`Lock::Provider`], and before [`Lock::Cases`].
//! Limit: locks of one kind are taken by ascending key, but for providers that a message speaks of only as it goes on; the
//! database ends such a deadlock, and the message is applied again.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::ids::RunId;
use crate::domain::period::Period;

/// What one transaction works on alone, until it ends. The variants stand in the order in which they are taken.
#[derive(Clone, Copy, Debug)]
pub enum Lock<'a> {
    /// Making a run that may deduct from its orders: one of a programme at a time.
    Making(i16),
    /// Making a run of a programme for a month; or an order of an event that counts as that month's own.
    Month(i16, Period),
    /// As [`Lock::Cases`], for a run that is being made: [`Lock::Making`] keeps two of these apart, and whoever holds
    /// [`Lock::Changes`] or a provider and waits for the cases waits for none of the orders that the run brings.
    CasesOfRunBeingMade(i16),
    /// Deciding claims of a programme for a month.
    Claims(i16, Period),
    /// Changes of a programme's households by events: shared by those that bring some, taken alone by whoever needs them to stand still.
    Changes(i16),
    /// A programme's envelope for a budget year.
    Envelope(i16, i32),
    /// Where a provider's orders stand: one message, or one decision about them, at a time.
    Provider(i16),
    /// Amounts of a programme's cases of recovery.
    Cases(i16),
    /// Numbering the work lists of a provider's payment point.
    WorkLists(i16, &'a str),
    /// Making the indexes over a list by which events find who shares a thing.
    ListIndexes,
    /// The end of the audit chain: the last of all, from just before the commit.
    AuditChain,
}

impl Lock<'_> {
    /// Place in the order of taking.
    const fn rank(self) -> i32 {
        match self {
            Self::Making(_) => 1,
            Self::Month(..) => 2,
            Self::CasesOfRunBeingMade(_) => 3,
            Self::Claims(..) => 4,
            Self::Changes(_) => 5,
            Self::Envelope(..) => 6,
            Self::Provider(_) => 7,
            Self::Cases(_) => 8,
            Self::WorkLists(..) => 9,
            Self::ListIndexes => 10,
            Self::AuditChain => 11,
        }
    }

    /// The first part of its key, hashed by the database.
    const fn kind(self) -> &'static str {
        match self {
            Self::Making(_) => "sarf.making",
            Self::Month(..) => "sarf.month",
            Self::CasesOfRunBeingMade(_) | Self::Cases(_) => "sarf.cases",
            Self::Claims(..) => "sarf.claims",
            Self::Changes(_) => "sarf.changes",
            Self::Envelope(..) => "sarf.envelope",
            Self::Provider(_) => "sarf.provider",
            Self::WorkLists(..) => "sarf.work-lists",
            Self::ListIndexes => "sarf.list-indexes",
            Self::AuditChain => "sarf.audit-chain",
        }
    }

    /// The second part: a text, hashed by the database too. Two keys of one hash only wait for each other without need.
    fn key(self) -> String {
        match self {
            Self::Making(programme)
            | Self::CasesOfRunBeingMade(programme)
            | Self::Changes(programme)
            | Self::Cases(programme) => programme.to_string(),
            Self::Month(programme, period) | Self::Claims(programme, period) => {
                format!("{programme} {period}")
            }
            Self::Envelope(programme, year) => format!("{programme} {year}"),
            Self::Provider(provider) => provider.to_string(),
            Self::WorkLists(provider, point) => format!("{provider} {point}"),
            Self::ListIndexes | Self::AuditChain => String::new(),
        }
    }
}

/// Waits until this transaction alone holds `lock`, and holds it until it ends.
///
/// # Errors
/// When the database is gone, when the wait takes longer than the transaction allows, or when the database ends a deadlock.
///
/// # Panics
/// With debug assertions: when a lock that comes later in the order is held.
pub async fn take_in_tx(connection: &mut PgConnection, lock: Lock<'_>) -> Result<(), StoreError> {
    check_order_in_tx(connection, lock).await?;
    wait_in_tx(connection, "select pg_advisory_xact_lock(hashtext($1), hashtext($2))", lock).await
}

/// As [`take_in_tx`], side by side with others that share it.
///
/// # Errors
/// As [`take_in_tx`].
///
/// # Panics
/// As [`take_in_tx`].
pub async fn share_in_tx(connection: &mut PgConnection, lock: Lock<'_>) -> Result<(), StoreError> {
    check_order_in_tx(connection, lock).await?;
    wait_in_tx(connection, "select pg_advisory_xact_lock_shared(hashtext($1), hashtext($2))", lock).await
}

async fn wait_in_tx(
    connection: &mut PgConnection,
    sql: &'static str,
    lock: Lock<'_>,
) -> Result<(), StoreError> {
    sqlx::query(sql).bind(lock.kind()).bind(lock.key()).execute(connection).await?;
    Ok(())
}

/// The highest rank that a transaction holds is a setting of it, so that whoever works in it knows, and a savepoint that is
/// rolled back takes it back with the locks.
async fn check_order_in_tx(connection: &mut PgConnection, lock: Lock<'_>) -> Result<(), StoreError> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let held: String = sqlx::query_scalar("select coalesce(current_setting('sarf.lock_rank', true), '')")
        .fetch_one(&mut *connection)
        .await?;
    let held: i32 = held.parse().unwrap_or(0);
    assert!(held <= lock.rank(), "{lock:?} is taken after a lock of rank {held}");
    sqlx::query("select set_config('sarf.lock_rank', $1, true)")
        .bind(lock.rank().to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Waits of this transaction end in an error after `seconds`.
pub async fn wait_at_most_in_tx(connection: &mut PgConnection, seconds: u32) -> Result<(), StoreError> {
    sqlx::query("select set_config('lock_timeout', $1, true)")
        .bind(format!("{seconds}s"))
        .execute(connection)
        .await?;
    Ok(())
}

/// Work that one process does at a time, over many transactions: held by a connection of its own ([`crate::store::batches::exclusive`]).
#[derive(Clone, Copy, Debug)]
pub enum SessionLock {
    /// Sending what a run released.
    Dispatch(RunId),
    /// Exchanging files with a provider's server.
    Exchange(i16),
}

impl SessionLock {
    /// The text whose hash is the key.
    pub(super) fn key(self) -> String {
        match self {
            Self::Dispatch(run) => format!("sarf.dispatch run {run}"),
            Self::Exchange(provider) => format!("sarf.exchange provider {provider}"),
        }
    }
}
