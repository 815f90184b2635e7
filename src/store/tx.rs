//! A transaction of the engine. Right before it commits, its decisions and the hash over the rows that it changed go into the
//! audit chain, and the chain's new head is written outside of the database. The commit is counted: a signal that comes meanwhile
//! waits for its end.
//!
//! Guarantee: whoever commits through here vouches for what was changed, and nobody else can: an entry of the journal that no
//! record of the chain covers was made by hand. The chain is locked from here to the commit only, after all other locks.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{PgConnection, Postgres, Transaction};

use super::StoreError;
use super::commits::Commits;
use crate::keys::KeyRing;
use crate::store::audit::anchor::Anchor;
use crate::store::audit::chain;

/// A transaction that its holder owns: dropped, it is rolled back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    commits: Commits,
    anchor: Option<Arc<Anchor>>,
    keys: Option<Arc<KeyRing>>,
}

impl Tx {
    pub(super) const fn new(
        inner: Transaction<'static, Postgres>,
        commits: Commits,
        anchor: Option<Arc<Anchor>>,
        keys: Option<Arc<KeyRing>>,
    ) -> Self {
        Self { inner, commits, anchor, keys }
    }

    /// Vouches for what was changed and commits.
    ///
    /// # Errors
    /// When the database is gone, and whether it committed is not known then; or when the head of the chain cannot be written, and
    /// nothing was changed; or when a person's decision is not signed, and nothing was changed either.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let committing = self.commits.begin();
        let change: Option<String> =
            sqlx::query_scalar("select nullif(current_setting('sarf.change', true), '')")
                .fetch_one(&mut *self.inner)
                .await?;
        let added = match change.and_then(|text| text.parse::<i64>().ok()) {
            Some(change) => Some(chain::close_in_tx(&mut self.inner, change, self.keys.as_deref()).await?),
            None => None,
        };
        let anchored = self.anchor.as_deref().zip(added.filter(|added| !added.heads.is_empty()));
        if let Some((anchor, added)) = &anchored {
            anchor.intend(added).map_err(sqlx::Error::Io)?;
        }
        self.inner.commit().await?;
        committing.succeeded();
        if let Some((anchor, added)) = &anchored {
            anchor.committed(added);
        }
        Ok(())
    }

    /// Rolls back.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}
