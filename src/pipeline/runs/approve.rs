//! Submission and approval, bound to a content hash over snapshot, rules and the orders' totals.
//!
//! Whatever changes the content after submission (a hold placed or released, other rules in the configuration) makes
//! the approval stale: it is refused, says what changed, and the run goes back to its preparer.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::as_written::{self, WithList};
use crate::domain::hex;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::run::{RunEvent, RunState};
use crate::pipeline::{Applied, Context, Refusal, locked_run, next_state, person, refuse_frozen};
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::orders::holds;
use crate::store::recovery::instalments;
use crate::store::registry::{children, snapshots};
use crate::store::runs::{self, Run, checks, corrections, decisions, reissues};

/// Why a submission or an approval is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The person or the state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Checks are breached and nobody has taken note.
    #[error("checks are breached: {}", .0.join(", "))]
    Breached(Vec<String>),
    /// The configured rules are no longer those the run was computed with.
    #[error("the rules of `{0}` have changed since run `{1}` was computed")]
    RulesChanged(String, RunId),
    /// The content is not what was submitted.
    #[error("what was submitted has changed: {}", .0.join("; "))]
    Stale(Vec<String>),
}

impl Hint for ApproveError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::Breached(_) => {
                "look at `sarf run check ID`, then `sarf run check ID --acknowledge \"why\" --as NAME`".into()
            }
            Self::RulesChanged(_, run) => {
                format!("cancel it and make it again: sarf run cancel {run}").into()
            }
            Self::Stale(_) => "the run is back with its preparer: look at it and submit it again".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ApproveError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::Breached(_) => Self::Breached(vec!["count".into()]),
    Self::RulesChanged(..) => Self::RulesChanged("asd".into(), RunId::new(7)),
    Self::Stale(_) => Self::Stale(vec!["orders".into()]),
});

impl From<StoreError> for ApproveError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for ApproveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// The content of a run as it stands: what is hashed, and what a stale approval is compared with.
pub async fn content_in_tx(
    context: &Context,
    connection: &mut PgConnection,
    run: &Run,
) -> Result<Value, StoreError> {
    let snapshot = snapshots::find(&context.store, run.snapshot)
        .await?
        .ok_or(StoreError::Corrupt("snapshot of a run"))?;
    let orders = decisions::orders_sha256_in_tx(connection, run.id).await?;
    let rules = context.config.programme(&run.programme).map_or_else(String::new, |p| hex(&p.sha256));
    let mut content = serde_json::Map::from_iter([
        ("snapshot".to_owned(), json!(snapshot.sha256)),
        ("rules computed with".to_owned(), json!(hex(&run.rules_sha256))),
        ("rules configured".to_owned(), json!(rules)),
        ("orders".to_owned(), json!(hex(&orders.unwrap_or_default()))),
        ("count".to_owned(), json!(run.orders)),
        ("amount".to_owned(), json!(run.ordered)),
    ]);
    for total in runs::totals_in_tx(connection, run.id).await? {
        content.insert(
            format!("{} at {}", total.state, total.provider),
            json!(format!("{} orders, {:#}", total.orders, total.amount)),
        );
    }
    for (reason, count, amount) in holds::by_reason_in_tx(connection, run.id).await? {
        content.insert(format!("held for {reason}"), json!(format!("{count} orders, {amount:#}")));
    }
    // The sums above say how many: one held order may not be exchanged for another of the same provider and amount.
    content.insert(
        "which orders are held, and why".to_owned(),
        json!(hex(&holds::digest_in_tx(connection, run.id).await?)),
    );
    for part in reissues::parts_in_tx(connection, run.id).await? {
        content.insert(
            format!("reissued from run {}, {}", part.of_run, part.decision),
            json!(format!("{} orders, {:#}", part.orders, part.amount)),
        );
    }
    if run.kind.is_of_children() {
        let children = children::content_in_tx(connection, run.id).await?;
        let released = Centimes::new(children.released);
        content.insert(
            "paid for children".to_owned(),
            json!(format!("{} payments, sha256 {}", children.payments, children.sha256)),
        );
        if children.releases > 0 {
            content.insert(
                "deposits released".to_owned(),
                json!(format!("{} deposits, {released:#}", children.releases)),
            );
        }
    }
    let (kept_back, amount) = instalments::kept_back_in_tx(connection, run.id).await?;
    if kept_back > 0 {
        content.insert(
            "kept back against undue payments".to_owned(),
            json!(format!("{kept_back} orders, {amount:#}")),
        );
    }
    for part in corrections::parts_in_tx(connection, run.id).await? {
        let what = if part.arrears { "arrears" } else { "undue" };
        let off = match part.off_cases.is_zero() {
            true => String::new(),
            false => format!(", {:#} of it off recovery cases", part.off_cases),
        };
        content.insert(
            format!("{what} of {}, {}", part.period, part.reason),
            json!(format!("{} households, {:#}{off}", part.households, part.amount)),
        );
    }
    Ok(Value::Object(content))
}

/// The hash that an approval is bound to: keys are sorted, so one content has one text.
pub fn content_hash(content: &Value) -> [u8; 32] {
    Sha256::digest(content.to_string().as_bytes()).into()
}

/// Takes note of all open breaches of a run's checks.
///
/// # Errors
/// See [`Refusal`].
pub async fn acknowledge(
    context: &Context,
    run: RunId,
    by: &str,
    why: &str,
) -> Result<Applied<u64>, Refusal> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    locked_run(&mut tx, run).await?;
    let now = context.clock.now();
    let count = checks::acknowledge_in_tx(&mut tx, run, by, why, now).await?;
    if count == 0 {
        return Ok(Applied::Already(0));
    }
    record(&mut tx, by, "run.acknowledge", run, &format!("{count} breaches: {why}"), now).await?;
    tx.commit().await?;
    Ok(Applied::Now(count))
}

/// Puts a computed run before the approver.
///
/// # Errors
/// See [`ApproveError`].
pub async fn submit(context: &Context, id: RunId, by: &str) -> Result<Applied<String>, ApproveError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let run = locked_run(&mut tx, id).await?;
    if let (RunState::Submitted, Some(hash)) = (run.state, &run.content_sha256) {
        return Ok(Applied::Already(hash.clone()));
    }
    let state = next_state(&run, RunEvent::Submit)?;
    if context.config.programme(&run.programme).is_none_or(|p| p.sha256.as_slice() != run.rules_sha256) {
        return Err(ApproveError::RulesChanged(run.programme, id));
    }
    let open = checks::checks_in_tx(&mut tx, id)
        .await?
        .into_iter()
        .filter(|c| c.breached && c.acknowledged_by.is_none());
    let open: Vec<String> =
        open.map(|c| format!("{} ({}): {} over {}", c.code, c.scope, c.value, c.threshold)).collect();
    if !open.is_empty() {
        return Err(ApproveError::Breached(open));
    }
    as_written::require(context, &run, WithList::Yes).await?;
    let content = content_in_tx(context, &mut tx, &run).await?;
    let hash = content_hash(&content);
    decisions::submitted_in_tx(&mut tx, id, state, by, (content, &hash)).await?;
    record(&mut tx, by, "run.submit", id, &content_line(&run, &hex(&hash)), context.clock.now()).await?;
    tx.commit().await?;
    Ok(Applied::Now(hex(&hash)))
}

/// Approves exactly what was submitted; above an amount, as the first of two, and the run stays submitted until the second does.
///
/// # Errors
/// See [`ApproveError`]; a stale run goes back to its preparer.
pub async fn approve(context: &Context, id: RunId, by: &str) -> Result<Applied<String>, ApproveError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let run = locked_run(&mut tx, id).await?;
    if let (RunState::Approved, Some(hash)) = (run.state, &run.content_sha256) {
        return Ok(Applied::Already(hash.clone()));
    }
    let state = next_state(&run, RunEvent::Approve)?;
    if run.created_by == by || run.submitted_by.as_deref() == Some(by) {
        return Err(Refusal::SamePerson(by.to_owned()).into());
    }
    refuse_frozen(context)?;
    let rules = &context.config.settings.decisions;
    let is_first =
        run.first_approver.is_none() && rules.second_approver_above.is_some_and(|most| run.ordered > most);
    if run.first_approver.as_deref() == Some(by) {
        return Ok(Applied::Already(run.content_sha256.unwrap_or_default()));
    }
    as_written::require(context, &run, WithList::Yes).await?;
    let hash = still_as_submitted(context, &mut tx, &run, by).await;
    let hash = match hash {
        Err(ApproveError::Stale(changes)) => {
            tx.commit().await?;
            return Err(ApproveError::Stale(changes));
        }
        other => other?,
    };
    if is_first {
        decisions::first_approved_in_tx(&mut tx, id, by).await?;
        record(&mut tx, by, "run.approve-first", id, &content_line(&run, &hash), context.clock.now()).await?;
        tx.commit().await?;
        return Ok(Applied::Now(hash));
    }
    decisions::approved_in_tx(&mut tx, id, state, by).await?;
    record(&mut tx, by, "run.approve", id, &content_line(&run, &hash), context.clock.now()).await?;
    tx.commit().await?;
    Ok(Applied::Now(hash))
}

/// The submitted hash, when the content is still that; otherwise the run goes back and what changed is told. The
/// caller commits either way.
pub(in crate::pipeline) async fn still_as_submitted(
    context: &Context,
    tx: &mut PgConnection,
    run: &Run,
    by: &str,
) -> Result<String, ApproveError> {
    let submitted = decisions::content_in_tx(tx, run.id).await?;
    let submitted = submitted.ok_or(StoreError::Corrupt("content of a submitted run"))?;
    let current = content_in_tx(context, tx, run).await?;
    if content_hash(&current) == content_hash(&submitted)
        && run.content_sha256.as_deref() == Some(&hex(&content_hash(&current)))
    {
        return Ok(hex(&content_hash(&current)));
    }
    let changes = differences(&submitted, &current);
    let state = next_state(run, RunEvent::GoStale)?;
    decisions::gone_stale_in_tx(tx, run.id, state).await?;
    record(tx, by, "run.stale", run.id, &changes.join("; "), context.clock.now()).await?;
    Err(ApproveError::Stale(changes))
}

fn differences(submitted: &Value, current: &Value) -> Vec<String> {
    let (Value::Object(before), Value::Object(now)) = (submitted, current) else {
        return vec!["everything".into()];
    };
    let text = |value: Option<&Value>| match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| format!("{key} was {} and is {}", text(before.get(key)), text(now.get(key))))
        .collect()
}

/// What a person decides on, as it is signed: the content's hash, how many orders, and their sum.
pub(in crate::pipeline) fn content_line(run: &Run, hash: &str) -> String {
    let (programme, period) = (&run.programme, run.period);
    format!("sha256 {hash}; {programme} {period}, {}; {} orders; {:#}", run.kind, run.orders, run.ordered)
}

pub(in crate::pipeline) async fn record(
    tx: &mut PgConnection,
    by: &str,
    action: &str,
    run: RunId,
    detail: &str,
    at: time::OffsetDateTime,
) -> Result<(), StoreError> {
    chain::append_in_tx(tx, Decision { actor: by, action, subject: &format!("run {run}"), detail, at }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_what_changed() {
        let before = json!({"orders": "aa", "held at x": "1 orders", "same": 1});
        let now = json!({"orders": "aa", "held at x": "2 orders", "planned at y": "3 orders", "same": 1});
        assert_eq!(
            differences(&before, &now),
            ["held at x was 1 orders and is 2 orders", "planned at y was none and is 3 orders"]
        );
        assert_ne!(content_hash(&before), content_hash(&now));
    }
}
