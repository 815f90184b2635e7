//! Breaks, and the people who resolve them.
//!
//! Input: a break and a person's reason. Output: the break resolved, proposed or open again, with a step in its history and
//! in the audit chain.
//! Guarantee: an accountant resolves alone up to `[breaks] second_person_above`; above it the resolution is a proposal, and
//! the break stays open until an approver, or another accountant, confirms it. Money that a break keeps in suspense leaves
//! it in the transaction that resolves the break, and comes back when it is opened again: suspense is what open breaks put
//! there. Every command is safe to repeat.
//! Limit: what stands in suspense is not booked to orders by hand: orders move by what banks and providers say of them. What
//! came later and explained a break ([`explain_in_tx`], or feedback by rule) is not taken back by hand.

use time::{Duration, OffsetDateTime};

use crate::domain::breaks::{BreakEffect, BreakState, BreakStep, PostTo, Queue, takes_two};
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{BreakId, RunId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::reason::BreakKind;
use crate::domain::run::{RunEvent, RunState};
use crate::pipeline::{Applied, Context, Refusal, locked_run, next_state, person};
use crate::store::access::operators::{Operator, Role};
use crate::store::audit::chain::{self, Decision};
use crate::store::messages::break_steps::{self, Step, Taken};
use crate::store::messages::breaks::{self, Break, Filter};
use crate::store::{StoreError, books, runs};

/// Who resolves by rule.
const ENGINE: &str = "sarf";

/// Where money went that something else than a decision on the break took out of suspense.
const EXPLAINED: &str = "explained";

/// Why a break cannot be decided.
#[derive(Debug, thiserror::Error)]
pub enum BreakError {
    /// The person does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The reason is empty.
    #[error("a decision on a break needs a reason")]
    NoReason,
    /// Its money must go somewhere.
    #[error("break `{id}` still has {amount:#} in suspense")]
    InSuspense {
        /// Which.
        id: BreakId,
        /// How much; below zero came in.
        amount: Centimes,
    },
    /// It keeps no money.
    #[error("break `{0}` has nothing in suspense to post")]
    NothingToPost(BreakId),
    /// There is nothing to confirm.
    #[error("no resolution of break `{0}` waits for confirmation")]
    NotProposed(BreakId),
    /// The person who proposed it.
    #[error("operator `{name}` proposed how break `{id}` is resolved: another person must confirm it")]
    SamePerson {
        /// Which.
        id: BreakId,
        /// Who.
        name: String,
    },
    /// Its explanation is no person's decision.
    #[error("break `{0}` was explained by what came later, not by a decision")]
    ByRule(BreakId),
}

impl Hint for BreakError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NoReason => "say in a sentence what explains it: --why \"…\"".into(),
            Self::InSuspense { .. } => {
                "say where it goes: --post bank-claim while the bank is to correct it, --post written-off for good"
                    .into()
            }
            Self::NothingToPost(_) => "leave --post out".into(),
            Self::NotProposed(id) => format!("resolve it first: sarf breaks resolve {id}").into(),
            Self::SamePerson { .. } => {
                "an approver, or another accountant, must confirm it: --as NAME".into()
            }
            Self::ByRule(_) => {
                "leave it: what explained it stands; a new difference opens a break of its own".into()
            }
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(BreakError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NoReason => Self::NoReason,
    Self::InSuspense { .. } => Self::InSuspense { id: BreakId::new(3), amount: Centimes::new(70_000) },
    Self::NothingToPost(_) => Self::NothingToPost(BreakId::new(3)),
    Self::NotProposed(_) => Self::NotProposed(BreakId::new(3)),
    Self::SamePerson { .. } => Self::SamePerson { id: BreakId::new(3), name: "amina".into() },
    Self::ByRule(_) => Self::ByRule(BreakId::new(3)),
});

impl<E: Into<StoreError>> From<E> for BreakError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

/// A break with what is said of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// The break.
    #[serde(flatten)]
    pub found: Break,
    /// Whole days since it was opened.
    pub age_days: i64,
    /// What stands in its queue, and what to do first.
    #[serde(flatten)]
    pub queue: Queue,
}

/// One queue.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct QueueLine {
    /// Which.
    pub kind: BreakKind,
    /// Open breaks.
    pub open: i64,
    /// Those whose resolution waits for a second person.
    pub proposed: i64,
    /// Whole days since the oldest was opened.
    pub oldest_days: i64,
    /// Sum of their amounts.
    pub amount: Centimes,
    /// What of it stands in suspense.
    pub suspense: Centimes,
    /// What stands in it, and what to do first.
    #[serde(flatten)]
    pub queue: Queue,
}

/// What is asked for of the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// A run's own.
    pub run: Option<RunId>,
    /// Of one queue.
    pub kind: Option<BreakKind>,
    /// Open for more than so many days.
    pub older_than_days: Option<u32>,
    /// Resolved ones too.
    pub all: bool,
}

/// Whole days; none where clocks differ.
fn days(now: OffsetDateTime, since: OffsetDateTime) -> i64 {
    (now - since).whole_days().max(0)
}

/// Breaks, oldest first.
pub async fn list(context: &Context, wanted: Wanted) -> Result<Vec<Listed>, StoreError> {
    let now = context.clock.now();
    let filter = Filter {
        run: wanted.run,
        kind: wanted.kind,
        // Further back than the calendar goes, there is nothing.
        before: wanted.older_than_days.map(|days| {
            now.checked_sub(Duration::days(i64::from(days))).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        }),
        resolved: wanted.all,
    };
    let listed =
        |found: Break| Listed { age_days: days(now, found.opened_at), queue: found.kind.queue(), found };
    Ok(breaks::list(&context.store, filter).await?.into_iter().map(listed).collect())
}

/// Queues that are not empty.
pub async fn queues(context: &Context) -> Result<Vec<QueueLine>, StoreError> {
    let now = context.clock.now();
    let line = |q: breaks::QueueFigures| QueueLine {
        kind: q.kind,
        open: q.open,
        proposed: q.proposed,
        oldest_days: days(now, q.oldest),
        amount: q.amount,
        suspense: q.suspense,
        queue: q.kind.queue(),
    };
    Ok(breaks::queues(&context.store).await?.into_iter().map(line).collect())
}

/// A break and its history.
///
/// # Errors
/// See [`BreakError`].
pub async fn show(context: &Context, id: BreakId) -> Result<(Listed, Vec<Step>), BreakError> {
    let found =
        breaks::find(&context.store, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    let steps = break_steps::of_break(&context.store, id).await?;
    let age_days = days(context.clock.now(), found.opened_at);
    Ok((Listed { age_days, queue: found.kind.queue(), found }, steps))
}

/// Resolves a break, or, above the limit, proposes how; gives where it stands then. `post` says where money goes that it
/// keeps in suspense.
///
/// # Errors
/// See [`BreakError`].
pub async fn resolve(
    context: &Context,
    id: BreakId,
    by: &str,
    why: &str,
    post: Option<PostTo>,
) -> Result<Applied<BreakState>, BreakError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let why = reason(why)?;
    let found =
        breaks::find_in_tx(&mut tx, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    let limit = context.config.settings.breaks.second_person_above;
    let two = takes_two(found.kind, found.amount, found.suspense, limit);
    let step = if two { BreakStep::Propose } else { BreakStep::Resolve };
    let BreakEffect::Moves(state) = found.state.after(step) else {
        return Ok(Applied::Already(found.state));
    };
    match post {
        None if !found.suspense.is_zero() => {
            return Err(BreakError::InSuspense { id, amount: found.suspense });
        }
        Some(_) if found.suspense.is_zero() => return Err(BreakError::NothingToPost(id)),
        _ => {}
    }
    let taken = Taken { by, at: context.clock.now(), why, post };
    if two {
        break_steps::propose_in_tx(&mut tx, id, taken).await?;
    } else {
        break_steps::resolve_in_tx(&mut tx, id, taken).await?;
        move_out(&mut tx, &found, post, taken.at).await?;
    }
    record(&mut tx, &found, step, taken).await?;
    tx.commit().await?;
    Ok(Applied::Now(state))
}

/// Confirms the resolution that another person proposed.
///
/// # Errors
/// See [`BreakError`].
pub async fn confirm(context: &Context, id: BreakId, by: &str) -> Result<Applied<BreakState>, BreakError> {
    let mut tx = context.store.begin().await?;
    either(&mut tx, by).await?;
    let found =
        breaks::find_in_tx(&mut tx, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    let state = match found.state.after(BreakStep::Confirm) {
        BreakEffect::Moves(state) => state,
        BreakEffect::Already => return Ok(Applied::Already(found.state)),
        BreakEffect::Conflict => return Err(BreakError::NotProposed(id)),
    };
    if found.resolved_by.as_deref() == Some(by) {
        return Err(BreakError::SamePerson { id, name: by.to_owned() });
    }
    let why = found.resolution.as_deref().unwrap_or_default();
    let taken = Taken { by, at: context.clock.now(), why, post: found.proposed_post };
    break_steps::confirm_in_tx(&mut tx, id, taken).await?;
    move_out(&mut tx, &found, found.proposed_post, taken.at).await?;
    record(&mut tx, &found, BreakStep::Confirm, taken).await?;
    tx.commit().await?;
    Ok(Applied::Now(state))
}

/// Takes a resolution, or a proposal, back: the break is open again, its money is back in suspense, and reconciled runs
/// that it concerns are no longer.
///
/// # Errors
/// See [`BreakError`].
pub async fn reopen(
    context: &Context,
    id: BreakId,
    by: &str,
    why: &str,
) -> Result<Applied<BreakState>, BreakError> {
    // Runs are locked before their breaks, as when they are reconciled: none is found explained meanwhile.
    let known =
        breaks::find(&context.store, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    let mut tx = context.store.begin().await?;
    either(&mut tx, by).await?;
    let why = reason(why)?;
    let mut concerned = Vec::new();
    for run in breaks::concerned_runs_in_tx(&mut tx, &known).await? {
        concerned.push(locked_run(&mut tx, run).await?);
    }
    let found =
        breaks::find_in_tx(&mut tx, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    let BreakEffect::Moves(state) = found.state.after(BreakStep::Reopen) else {
        return Ok(Applied::Already(found.state));
    };
    if found.resolved_by.as_deref() == Some(ENGINE) || found.posted_to.as_deref() == Some(EXPLAINED) {
        return Err(BreakError::ByRule(id));
    }
    let back = found.posted_to.as_deref().and_then(PostTo::parse);
    let taken = Taken { by, at: context.clock.now(), why, post: back };
    break_steps::reopen_in_tx(&mut tx, id, taken).await?;
    if let Some(from) = back {
        books::suspense::reopened_in_tx(&mut tx, &found, from, taken.at).await?;
    }
    for run in concerned.iter().filter(|run| run.state == RunState::Reconciled) {
        runs::set_state_in_tx(&mut tx, run.id, next_state(run, RunEvent::Reopen)?).await?;
    }
    record(&mut tx, &found, BreakStep::Reopen, taken).await?;
    tx.commit().await?;
    Ok(Applied::Now(state))
}

/// What came later and explains a break.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    /// Who matched it: an operator's name, whose role the caller has asked for, or `sarf`.
    pub by: &'a str,
    /// What it is matched with, without anything personal.
    pub why: &'a str,
    /// When.
    pub at: OffsetDateTime,
    /// The programme whose receivables take what the break keeps in suspense; none where it keeps nothing.
    pub repays: Option<i16>,
}

/// Closes a break that another stage explains, in that stage's transaction: the money is posted from suspense to the account
/// that it is for, and a proposal falls away. Gives the break as it stood before, or, where it was resolved already, as it
/// is. The limit for a second person does not apply: who may match what is the caller's to ask.
///
/// # Errors
/// See [`BreakError`].
pub async fn explain_in_tx(
    tx: &mut sqlx::PgConnection,
    id: BreakId,
    explanation: Explanation<'_>,
) -> Result<Applied<Break>, BreakError> {
    let Explanation { by, why, at, repays } = explanation;
    let why = reason(why)?;
    let found = breaks::find_in_tx(tx, id).await?.ok_or_else(|| Refusal::not_found(Entity::Break, id))?;
    if found.state == BreakState::Resolved {
        return Ok(Applied::Already(found));
    }
    match repays {
        None if !found.suspense.is_zero() => {
            return Err(BreakError::InSuspense { id, amount: found.suspense });
        }
        Some(_) if found.suspense.is_zero() => return Err(BreakError::NothingToPost(id)),
        Some(programme) => books::suspense::explained_in_tx(tx, &found, programme, at).await?,
        None => {}
    }
    let taken = Taken { by, at, why, post: None };
    break_steps::explain_in_tx(tx, id, taken).await?;
    record(tx, &found, BreakStep::Explain, taken).await?;
    Ok(Applied::Now(found))
}

fn reason(why: &str) -> Result<&str, BreakError> {
    Some(why.trim()).filter(|why| !why.is_empty()).ok_or(BreakError::NoReason)
}

/// An active approver or accountant.
async fn either(tx: &mut sqlx::PgConnection, by: &str) -> Result<Operator, Refusal> {
    match person(tx, by, Role::Approver).await {
        Err(Refusal::WrongRole { has: Role::Accountant, .. }) => person(tx, by, Role::Accountant).await,
        other => other,
    }
}

/// Posts what a break keeps in suspense to where its resolution says.
async fn move_out(
    tx: &mut sqlx::PgConnection,
    found: &Break,
    post: Option<PostTo>,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    match post {
        Some(post) => books::suspense::resolved_in_tx(tx, found, post, at).await,
        None => Ok(()),
    }
}

async fn record(
    tx: &mut sqlx::PgConnection,
    found: &Break,
    step: BreakStep,
    taken: Taken<'_>,
) -> Result<(), StoreError> {
    let action = match step {
        BreakStep::Propose => "break.propose",
        BreakStep::Confirm => "break.confirm",
        BreakStep::Reopen => "break.reopen",
        BreakStep::Explain => "break.explain",
        _ => "break.resolve",
    };
    let post = taken.post.map_or_else(String::new, |post| {
        let way = if step == BreakStep::Reopen { "back from" } else { "to" };
        format!("; {} {way} {post}", found.suspense)
    });
    let decision = Decision {
        actor: taken.by,
        action,
        subject: &format!("break {}", found.id),
        detail: &format!("{}: {}{post}", found.kind, taken.why),
        at: taken.at,
    };
    chain::append_in_tx(tx, decision).await
}
