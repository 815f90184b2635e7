//! A transaction of the engine, whose commit is counted: a signal that comes meanwhile waits for its end.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, Postgres, Transaction};

use super::commits::Commits;

/// A transaction that its holder owns: dropped, it is rolled back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    commits: Commits,
}

impl Tx {
    pub(super) const fn new(inner: Transaction<'static, Postgres>, commits: Commits) -> Self {
        Self { inner, commits }
    }

    /// Commits.
    ///
    /// # Errors
    /// When the database is gone; whether it committed is not known then.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let committing = self.commits.begin();
        self.inner.commit().await?;
        committing.succeeded();
        Ok(())
    }

    /// Rolls back.
    ///
    /// # Errors
    /// When the database is gone.
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
