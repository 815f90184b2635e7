//! What people do about cases: each command says what it came to, and whether it was done before.

use super::super::app::App;
use super::super::order::order_of;
use super::super::recall::leave;
use super::super::ui::{Exit, format};
use super::{HouseholdActs, Open, Reasoned, Ruled};
use crate::cli::refused::CliError;
use crate::domain::ids::{BreakId, CaseId};
use crate::domain::money::Centimes;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::Applied;
use crate::pipeline::dispatch::recall::undue;
use crate::pipeline::exceptions::recovery::appeals::{self, Ruling};
use crate::pipeline::exceptions::recovery::cases::{self, Payment};
use crate::pipeline::exceptions::recovery::{repaid, write_off};
use crate::store::recovery::cases::Case;

/// Says what a command came to.
fn say(app: &App, done: &Applied<Case>, what: &str) -> anyhow::Result<Exit> {
    let (now, case) = match done {
        Applied::Now(case) => (true, case),
        Applied::Already(case) => (false, case),
    };
    let reference = CaseReference::of(case.id);
    let when = if now { "" } else { " before; nothing changed" };
    app.output.line(&format!("case {reference}: {what}{when}"));
    app.output.json(&serde_json::json!({ "reference": reference, "case": case, "done_now": now }))?;
    Ok(Exit::Done)
}

pub async fn open(app: &App, open: Open) -> anyhow::Result<Exit> {
    let payment = match (&open.order, open.household, open.period, open.programme) {
        (Some(key), ..) => {
            let order = order_of(key).ok_or_else(|| CliError::NotAnOrder(key.clone()))?;
            Payment::Order(order)
        }
        (None, Some(household), Some(period), Some(programme)) => {
            Payment::Earlier { household, period, programme }
        }
        _ => return Err(CliError::Payment.into()),
    };
    let done = cases::open(&app.context, &payment, open.amount, &open.why, &open.actor.name).await?;
    let case = match &done {
        Applied::Now(case) | Applied::Already(case) => case,
    };
    let what = format!("opened over {}, {}", format::amount(case.amount), case.state);
    say(app, &done, &what)
}

pub async fn recall(app: &App, r: Reasoned) -> anyhow::Result<Exit> {
    let asked = undue::ask(&app.context, r.case, &r.why, &r.actor.name).await?;
    let now = asked.is_now();
    let (case, recall) = asked.into_inner();
    let recall = leave(app, recall).await?;
    let reference = CaseReference::of(case.id);
    let when = if now { "" } else { "; it was asked for before" };
    app.output
        .line(&format!("case {reference}: {}, recall {} is {}{when}", case.state, recall.id, recall.state));
    app.output.json(
        &serde_json::json!({ "reference": reference, "case": case, "recall": recall, "done_now": now }),
    )?;
    Ok(Exit::Done)
}

pub async fn plan(app: &App, id: CaseId, monthly: Option<Centimes>, by: &str) -> anyhow::Result<Exit> {
    let done = cases::plan(&app.context, id, monthly, by).await?;
    let case = match &done {
        Applied::Now(case) | Applied::Already(case) => case,
    };
    let what = match case.monthly_max {
        Some(most) => {
            let months = (case.outstanding.get() + most.get() - 1) / most.get();
            format!(
                "at most {} a month: {} take {months} months or more",
                format::amount(most),
                format::amount(case.outstanding)
            )
        }
        None => "as much a month as the rules allow".to_owned(),
    };
    say(app, &done, &what)
}

pub async fn household(app: &App, h: HouseholdActs, appeals: bool) -> anyhow::Result<Exit> {
    let r = &h.reasoned;
    let done = if appeals {
        appeals::appeal(&app.context, r.case, h.on, &r.why, &r.actor.name).await?
    } else {
        appeals::complain(&app.context, r.case, h.on, &r.why, &r.actor.name).await?
    };
    let case = match &done {
        Applied::Now(case) | Applied::Already(case) => case,
    };
    let due = case.appeal_due.map_or_else(String::new, |d| d.to_string());
    let what = if appeals {
        format!("appeal lodged, to be answered by {due}; nothing is kept back")
    } else {
        format!("complaint lodged, to be replied to by {due}; nothing is kept back")
    };
    say(app, &done, &what)
}

pub async fn rule(app: &App, ruled: Ruled, on_appeal: bool) -> anyhow::Result<Exit> {
    let r = &ruled.reasoned;
    let ruling = if ruled.upheld { Ruling::Upheld } else { Ruling::Granted(ruled.amount) };
    let done = if on_appeal {
        appeals::answer(&app.context, r.case, ruling, &r.why, &r.actor.name).await?
    } else {
        appeals::reply(&app.context, r.case, ruling, &r.why, &r.actor.name).await?
    };
    let now = done.is_now();
    let came_to = done.into_inner();
    let case = &came_to.case;
    let how = match ruling {
        Ruling::Upheld => "upheld".to_owned(),
        Ruling::Granted(_) => format!("granted, {} less owed", format::amount(came_to.reduced)),
    };
    let when = if now { "" } else { " before; nothing changed" };
    let until = case.appeal_due.map_or_else(String::new, |d| format!("; the household may appeal until {d}"));
    let reference = CaseReference::of(case.id);
    app.output.line(&format!(
        "case {reference}: {how}{when}; {}, outstanding {}{until}",
        case.state,
        format::amount(case.outstanding)
    ));
    if !came_to.to_refund.is_zero() {
        app.output.note(&format!(
            "{} were kept back or repaid before: the next correction run orders them for the household",
            format::amount(came_to.to_refund)
        ));
    }
    app.output.json(&serde_json::json!({ "reference": reference, "ruled": came_to, "done_now": now }))?;
    Ok(Exit::Done)
}

pub async fn propose(app: &App, r: Reasoned) -> anyhow::Result<Exit> {
    let done = write_off::propose(&app.context, r.case, &r.why, &r.actor.name).await?;
    say(app, &done, "write-off put forward; another person confirms or refuses it")
}

pub async fn confirm(app: &App, id: CaseId, by: &str) -> anyhow::Result<Exit> {
    let done = write_off::confirm(&app.context, id, by).await?;
    let case = match &done {
        Applied::Now(case) | Applied::Already(case) => case,
    };
    let what = format!("{} written off", format::amount(case.written_off));
    say(app, &done, &what)
}

pub async fn refuse(app: &App, r: Reasoned) -> anyhow::Result<Exit> {
    let done = write_off::refuse(&app.context, r.case, &r.why, &r.actor.name).await?;
    say(app, &done, "write-off refused; the case goes on")
}

pub async fn assign(app: &App, id: CaseId, found: BreakId, by: &str) -> anyhow::Result<Exit> {
    let done = repaid::assign(&app.context, id, found, by).await?;
    let now = done.is_now();
    let came_to = done.into_inner();
    let reference = CaseReference::of(id);
    let when = if now { "" } else { "; the receipt was assigned before" };
    app.output.line(&format!(
        "case {reference}: {} repaid, outstanding {}; {} stay in suspense with break {found}{when}",
        format::amount(came_to.repaid),
        format::amount(came_to.case.outstanding),
        format::amount(came_to.left)
    ));
    app.output.json(&serde_json::json!({ "reference": reference, "assigned": came_to, "done_now": now }))?;
    Ok(if came_to.left.is_zero() { Exit::Done } else { Exit::NeedsPerson })
}
