//! Money that breaks keep in suspense: where it goes when they are decided, and back.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ledger::AccountKey;
use super::transfer::{Occasion, Transfer, post_in_tx};
use crate::domain::breaks::PostTo;
use crate::domain::ledger::{AccountKind, PostingReason};
use crate::domain::money::Centimes;
use crate::store::StoreError;
use crate::store::messages::breaks::Break;

/// A break is resolved: what it keeps in suspense goes to an account of its provider.
///
/// # Errors
/// When the break has no provider; only money on a provider's account is ever put there.
pub async fn resolved_in_tx(
    connection: &mut PgConnection,
    resolved: &Break,
    to: PostTo,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Held { suspense, provider, amount } = Held::by(resolved)?;
    let to = AccountKey::of_provider(provider, to.account());
    decided_in_tx(connection, resolved, signed(to, suspense, amount), at).await
}

/// A resolved break is opened again: what it kept in suspense is back.
///
/// # Errors
/// When the break has no provider.
pub async fn reopened_in_tx(
    connection: &mut PgConnection,
    reopened: &Break,
    from: PostTo,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Held { suspense, provider, amount } = Held::by(reopened)?;
    let from = AccountKey::of_provider(provider, from.account());
    decided_in_tx(connection, reopened, signed(suspense, from, amount), at).await
}

/// A break is explained: what it keeps in suspense repays what a programme's households owe.
///
/// # Errors
/// When the break has no provider.
pub async fn explained_in_tx(
    connection: &mut PgConnection,
    explained: &Break,
    programme: i16,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Held { suspense, amount, .. } = Held::by(explained)?;
    let receivable = AccountKey::of_programme(programme, AccountKind::Receivable);
    decided_in_tx(connection, explained, signed(receivable, suspense, amount), at).await
}

/// What a break keeps in suspense.
struct Held {
    suspense: AccountKey,
    provider: i16,
    /// Below zero came in.
    amount: Centimes,
}

impl Held {
    fn by(found: &Break) -> Result<Self, StoreError> {
        let provider = found.provider_id.ok_or(StoreError::Corrupt("provider of a break with money"))?;
        let suspense = AccountKey::of_provider(provider, AccountKind::Suspense);
        Ok(Self { suspense, provider, amount: found.suspense })
    }
}

/// A transfer of an amount, or, where it is below zero, of the opposite amount the other way.
fn signed(debit: AccountKey, credit: AccountKey, amount: Centimes) -> Transfer {
    match amount < Centimes::ZERO {
        true => Transfer { debit: credit, credit: debit, amount: Centimes::ZERO - amount },
        false => Transfer { debit, credit, amount },
    }
}

async fn decided_in_tx(
    connection: &mut PgConnection,
    decided: &Break,
    transfer: Transfer,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let occasion = Occasion::new(PostingReason::BreakDecided, at).with_message(decided.message);
    post_in_tx(connection, &[transfer], occasion).await
}
