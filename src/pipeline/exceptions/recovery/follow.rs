//! Cases follow their payments: owed once the household had the money, not owed once it came back.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::pipeline::Context;
use crate::store::locks::{self, Lock};
use crate::store::recovery::instalments;
use crate::store::{StoreError, books};

/// Moves a programme's cases to where their payments are by now, with their postings. The caller holds the lock.
pub async fn follow_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let followed = instalments::follow_in_tx(tx, programme, at).await?;
    books::recovery::undue_found_in_tx(tx, programme, followed.owed, at).await?;
    books::recovery::undue_came_back_in_tx(tx, programme, followed.not_owed, at).await
}

/// The same for all programmes with open cases, in a transaction of its own.
pub async fn follow(context: &Context) -> Result<(), StoreError> {
    for programme in instalments::programmes_with_open_cases(&context.store).await? {
        let mut tx = context.store.begin().await?;
        locks::take_in_tx(&mut tx, Lock::Cases(programme)).await?;
        follow_in_tx(&mut tx, programme, context.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}
