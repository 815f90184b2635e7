//! All SQL: PostgreSQL through sqlx, one file for each aggregate. Functions ending in `_in_tx` run inside the caller's
//! transaction, so that money and state change together.

pub mod access;
pub mod audit;
pub mod batches;
pub mod books;
pub mod cluster;
pub mod commits;
pub mod copy;
pub mod gauges;
mod hint;
pub mod locks;
pub mod messages;
pub mod orders;
pub mod recovery;
pub mod registry;
pub mod runs;
mod tx;

use crate::domain::hint::{Hint, NextStep};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};

use crate::keys::{KeyError, KeyRing};
use commits::Commits;
pub use hint::{hint_of, is_gone};
pub use tx::Tx;

/// How long a connection is waited for.
const ACQUIRE_MAX: Duration = Duration::from_secs(10);

/// The database, through a pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    commits: Commits,
    database: Arc<str>,
    anchor: Option<Arc<audit::anchor::Anchor>>,
    keys: Option<Arc<KeyRing>>,
}

/// Why the store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is gone.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migration")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// What was read is not what was written.
    #[error("{0} in the database cannot be read back")]
    Corrupt(&'static str),
    /// A person's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key that signed is not one of the person's.
    #[error("key {fingerprint} is not enrolled for {name}")]
    NotEnrolled {
        /// Who.
        name: String,
        /// The key.
        fingerprint: String,
    },
    /// The decision is another's to take.
    #[error("`{action}` is not for {name} to decide")]
    NotTheirs {
        /// Who.
        name: String,
        /// What.
        action: String,
    },
    /// Rows of a list or a run, which are merged as they lie.
    #[error("rows of a list or run do not lie in the order in which they were written")]
    OutOfOrder,
}

impl Hint for StoreError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Database(error) | Self::Migrate(sqlx::migrate::MigrateError::Execute(error)) => {
                error.hint()
            }
            Self::Key(error) => error.hint(),
            Self::NotEnrolled { name, .. } => Some(
                format!("an administrator enrols it: sarf operator key {name} --public-key FILE --as ADMINISTRATOR").into(),
            ),
            Self::NotTheirs { .. } => Some("another person must do this: --as NAME (`sarf operator list`)".into()),
            Self::Migrate(_) => Some("this program is older than the database: use the newer one".into()),
            Self::OutOfOrder => Some(
                "give `sarf migrate --restored` once: a restore from a dump may lay rows elsewhere".into(),
            ),
            Self::Corrupt(_) => Some("run `sarf verify` and restore from a backup if it fails".into()),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(StoreError {
    Self::Database(_) => Self::Database(sqlx::Error::PoolTimedOut),
    Self::Migrate(_) => Self::Migrate(sqlx::migrate::MigrateError::VersionMissing(7)),
    Self::Corrupt(_) => Self::Corrupt("state of a run"),
    Self::Key(_) => Self::Key(KeyError::Malformed),
    Self::NotEnrolled { .. } => Self::NotEnrolled { name: "amina".into(), fingerprint: "SHA256:x".into() },
    Self::NotTheirs { .. } => Self::NotTheirs { name: "amina".into(), action: "run.approve".into() },
    Self::OutOfOrder => Self::OutOfOrder,
});

impl StoreError {
    /// Whether the connection is gone rather than a statement refused.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Database(error) if is_gone(error))
    }

    /// The constraint that a statement violated, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}

impl Store {
    /// Opens a pool of at most `connections_max` connections.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(options: PgConnectOptions, connections_max: u32) -> Result<Self, StoreError> {
        // Long statements are what this program is made of; its own stages tell how long they take.
        let database = options.get_database().unwrap_or_default().into();
        let options = options.disable_statement_logging().options([
            ("timezone", "UTC"),
            ("synchronize_seqscans", "off"),
            ("jit", "off"),
        ]);
        // A pool would try again and again, and in the end say only that it had no connection.
        let first = tokio::time::timeout(ACQUIRE_MAX, options.connect()).await;
        first.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_MAX)
            .connect_with(options)
            .await?;
        Ok(Self { pool, commits: Commits::default(), database, anchor: None, keys: None })
    }

    /// The same store, which writes the head of the audit chain below `home` with each commit, and signs with the keys there.
    #[must_use]
    pub fn anchored(mut self, home: &Path) -> Self {
        self.anchor = Some(Arc::new(audit::anchor::Anchor::new(home, &self.database)));
        self.keys = Some(Arc::new(KeyRing::new(home)));
        self
    }

    /// The same store, which signs with the key of this file, where one is named.
    #[must_use]
    pub fn signing_with(mut self, key: Option<std::path::PathBuf>) -> Self {
        self.keys = self.keys.map(|keys| Arc::new(KeyRing::clone(&keys).with_key(key)));
        self
    }

    /// The keys at hand.
    pub fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_deref()
    }

    /// Where the head of the audit chain is written, if anywhere.
    pub fn anchor(&self) -> Option<&audit::anchor::Anchor> {
        self.anchor.as_deref()
    }

    /// Brings the schema up to date; safe to repeat. What migrations wrote is vouched for, as the engine's own.
    ///
    /// # Errors
    /// When a migration fails or was changed after it ran.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let before = audit::journal::migrations(self).await?;
        sqlx::migrate!("./migrations").run(&self.pool).await?;
        if before.as_ref() != audit::journal::migrations(self).await?.as_ref() {
            audit::journal::install(self, before.map_or(0, |at| at.last_entry)).await?;
        }
        audit::signing::begin(self).await?;
        Ok(())
    }

    /// The pool, for single statements.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The same database through connections of their own: for passes that read many queries side by side, which would
    /// otherwise wait for each other's connections.
    pub fn beside(&self, connections_max: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections_max).connect_lazy_with(self.options())
    }

    /// The same, where tables that lie in one order are merged as they lie, and never hashed: of two lists of a nation in half
    /// the time, and in flat memory.
    pub fn merging(&self, connections_max: u32) -> PgPool {
        let options = self.options().options([("enable_hashjoin", "off")]);
        PgPoolOptions::new().max_connections(connections_max).connect_lazy_with(options)
    }

    fn options(&self) -> PgConnectOptions {
        self.pool.connect_options().as_ref().clone()
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx::new(self.pool.begin().await?, self.commits.clone(), self.anchor.clone(), self.keys.clone()))
    }

    /// What this process commits through this store and its clones.
    pub const fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }
}
