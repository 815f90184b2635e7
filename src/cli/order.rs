//! `sarf order show | hold | release | confirm | proposed | reissue`; `recall` and `recalls` are in a file of their own.

use clap::Subcommand;

use super::app::App;
use super::recall::{Recall, Recalls};
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::cli::refused::CliError;
use crate::domain::entitlement::{decode_components, explain};
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::EndToEndRef;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::orders::{holds as hold, reissue};
use crate::pipeline::reports::unpaid::{self, Unpaid};
use crate::store::messages::feedback::history;
use crate::store::orders::{self, OrderDetail, hold_releases, holds};
use crate::store::recovery::instalments;

/// Orders.
#[derive(Subcommand)]
pub enum Order {
    /// Orders of a household, or one order, with why the amount; of a household that is paid nothing, why
    Show {
        /// Household id, order number or end-to-end id
        key: String,
    },
    /// Keep an order back
    Hold(Change),
    /// Let a held order go; once its run is funded, this proposes it, and an approver confirms it
    Release(Change),
    /// Confirm, as an approver, that a held order is let go
    Confirm {
        /// Order number or end-to-end id
        key: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// Releases that wait for an approver
    Proposed,
    /// Put an unpaid order forward that the policy leaves to an operator: the next reissue run takes it
    Reissue(Change),
    Recall(Recall),
    Recalls(Recalls),
}

/// An order, a reason, and who acts.
#[derive(clap::Args)]
pub struct Change {
    /// Order number or end-to-end id
    key: String,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    actor: Actor,
}

impl Order {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let (change, held) = match self {
            Self::Show { key } => return show(app, &key).await,
            Self::Hold(change) => (change, true),
            Self::Release(change) => (change, false),
            Self::Confirm { key, actor } => return confirm(app, &key, &actor.name).await,
            Self::Proposed => return proposed(app).await,
            Self::Reissue(change) => return put_forward(app, &change).await,
            Self::Recall(recall) => return recall.run(app).await,
            Self::Recalls(recalls) => return recalls.run(app).await,
        };
        let order = named(&change.key)?;
        let done = hold::set(&app.context, order, held, &change.actor.name, &change.why).await?;
        let when = if done.is_now() { "" } else { " before; nothing changed" };
        let changed = done.into_inner();
        let what = match changed {
            hold::Changed::Held => "held",
            hold::Changed::LetGo => "let go",
            hold::Changed::Proposed => "its release is proposed",
        };
        app.output.line(&format!("order {}: {what}{when}", order.get()));
        if changed == hold::Changed::Proposed {
            let number = order.get();
            app.output.note(&format!(
                "it stays held until an approver confirms it: sarf order confirm {number} --as NAME"
            ));
        }
        app.output.json(&serde_json::json!({
            "order": order.get(), "held": changed != hold::Changed::LetGo, "done_now": done.is_now(),
            "waits_for_second_person": changed == hold::Changed::Proposed,
        }))?;
        Ok(Exit::Done)
    }
}

async fn confirm(app: &App, key: &str, by: &str) -> anyhow::Result<Exit> {
    let order = named(key)?;
    let done = hold::confirm(&app.context, order, by).await?.is_now();
    let when = if done { "" } else { " before; nothing changed" };
    app.output.line(&format!("order {}: let go{when}", order.get()));
    if done {
        let run = order.run();
        app.output
            .note(&format!("it leaves in a file of its own with the next: sarf run release {run} --as NAME"));
    }
    app.output.json(&serde_json::json!({ "order": order.get(), "held": false, "done_now": done }))?;
    Ok(Exit::Done)
}

async fn proposed(app: &App) -> anyhow::Result<Exit> {
    let waiting = hold_releases::open(&app.context.store).await?;
    if app.output.is_json() {
        app.output.json(&waiting)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = waiting
        .into_iter()
        .map(|p| vec![p.order.to_string(), p.reasons, p.why, p.proposed_by, format::moment(p.proposed_at)])
        .collect();
    let columns = [
        ("order", Align::Right),
        ("held for", Align::Left),
        ("why", Align::Left),
        ("by", Align::Left),
        ("at", Align::Left),
    ];
    app.output.table(&columns, &rows);
    Ok(Exit::Done)
}

async fn put_forward(app: &App, change: &Change) -> anyhow::Result<Exit> {
    let order = named(&change.key)?;
    let done = reissue::put_forward(&app.context, order, &change.actor.name, &change.why).await?;
    let when = if done.is_now() { "" } else { " before; nothing changed" };
    app.output.line(&format!("order {}: put forward for the next reissue run{when}", order.get()));
    app.output.json(&serde_json::json!({ "order": order.get(), "done_now": done.is_now() }))?;
    Ok(Exit::Done)
}

fn named(key: &str) -> anyhow::Result<OrderId> {
    order_of(key).ok_or_else(|| CliError::NotAnOrder(key.to_owned()).into())
}

/// Prints what the policy says of an order, and its links.
fn print_standing(app: &App, order: i64, standing: &reissue::Standing) {
    let out = &app.output;
    if let Some(policy) = standing.policy {
        let reason = standing.reason.as_deref().unwrap_or("no reason");
        let waits = policy.waits.map_or_else(String::new, |w| format!(", waits for {w}"));
        out.line(&format!("{reason}: {}{waits}; at most {} attempts", policy.decision, policy.attempts_max));
    }
    if let (Some(by), Some(why)) = (&standing.put_forward_by, &standing.put_forward_why) {
        out.line(&format!("put forward by {by}: {why}"));
    }
    for link in &standing.links {
        let cancelled = if link.live { "" } else { ", whose run was cancelled" };
        if link.order == order {
            out.line(&format!(
                "pays order {} of run {} again ({}){cancelled}",
                link.of_order, link.of_run, link.decision
            ));
        } else {
            out.line(&format!("paid again as order {} of run {} ({})", link.order, link.run, link.decision));
        }
    }
}

/// An order number has more digits than any household id that is one too: it carries its run.
pub fn order_of(key: &str) -> Option<OrderId> {
    let number = key.parse::<i64>().ok().filter(|n| *n > u32::MAX.into()).map(OrderId::new);
    number.or_else(|| EndToEndRef::parse(key).map(|r| r.order))
}

/// Prints why a household is paid nothing, where it is not. As JSON a document of its own, unless its orders have one.
fn print_unpaid(app: &App, household: &str, unpaid: &[Unpaid], alone: bool) -> anyhow::Result<()> {
    if alone {
        app.output.json(&serde_json::json!({ "household": household, "unpaid": unpaid }))?;
    }
    for told in unpaid {
        let run = told.run.map_or_else(String::new, |run| {
            let (kind, row) = (told.kind.as_deref().unwrap_or_default(), told.row.unwrap_or_default());
            format!(" · run {run} ({kind}), row {row}")
        });
        let why = if told.why.is_empty() { String::new() } else { format!(": {}", told.why) };
        app.output.line(&format!(
            "household {household} · {} {} · snapshot {}{run} · {}{why}",
            told.programme, told.period, told.snapshot, told.reason
        ));
        if let Some(order) = &told.instead {
            app.output.line(&format!(
                "paid instead: order {} of run {} · {} · {} · {}",
                order.order,
                order.run,
                order.programme,
                format::amount(order.amount),
                order.state
            ));
        }
    }
    Ok(())
}

async fn show(app: &App, key: &str) -> anyhow::Result<Exit> {
    let store = &app.context.store;
    let mut found = orders::find(store, Some(key), None).await?;
    if found.is_empty()
        && let Some(order) = order_of(key)
    {
        found = orders::find(store, None, Some(order)).await?;
    }
    let unpaid = match HouseholdId::parse(key.as_bytes()) {
        Ok(household) => unpaid::of_household(&app.context, household, &found).await?,
        Err(_) => Vec::new(),
    };
    if found.is_empty() && unpaid.is_empty() {
        return Err(CliError::NoOrderOf(key.to_owned()).into());
    }
    print_unpaid(app, key, &unpaid, found.is_empty())?;
    for order in &found {
        let held = holds::of_order(store, OrderId::new(order.order_id)).await?;
        let lines = lines(app, order)?;
        let life = history(store, OrderId::new(order.order_id)).await?;
        let fee = app
            .context
            .config
            .router
            .by_code(&order.provider)
            .map_or(Centimes::ZERO, |(_, p)| p.fee(order.amount));
        let standing =
            reissue::standing(&app.context, OrderId::new(order.order_id), order.attempt as u16).await?;
        let kept_back = instalments::of_order(store, OrderId::new(order.order_id)).await?;
        if app.output.is_json() {
            app.output.json(&serde_json::json!({ "order": order, "kept_back": kept_back, "holds": held, "lines": lines, "life": life, "fee": fee, "net_in_hand": order.amount - fee, "reissue": standing, "unpaid": unpaid }))?;
            continue;
        }
        let out = &app.output;
        out.line(&format!(
            "order {} · household {} · {} {} {} · attempt {}",
            order.order_id, order.household_id, order.programme, order.period, order.purpose, order.attempt
        ));
        out.line(&format!(
            "{} · {} · wave {} · {}",
            order.state,
            order.provider,
            order.wave,
            format::amount(order.amount)
        ));
        for (case, amount) in &kept_back {
            let (due, amount) = (format::amount(order.entitled), format::amount(*amount));
            out.line(&format!("{amount} of {due} due is kept back for case {}", CaseReference::of(*case)));
        }
        if !fee.is_zero() {
            let (fee, net) = (format::amount(fee), format::amount(order.amount - fee));
            out.line(&format!("{net} in hand: {fee} is the provider's fee for drawing it"));
        }
        for step in &life {
            let told = step.told.as_ref().or(step.reason.as_ref());
            let reason = told.map_or_else(String::new, |r| format!(" for {r}"));
            let whole = if step.of_file { ", with its whole file" } else { "" };
            out.line(&format!("{} {}{whole}{reason} · {}", format::moment(step.at), step.state, step.source));
        }
        print_standing(app, order.order_id, &standing);
        for hold in &held {
            let let_go = hold.released_by.as_ref().map_or_else(String::new, |by| {
                format!(", let go by {by}: {}", hold.released_why.as_deref().unwrap_or(""))
            });
            out.line(&format!("held for {} by {}{let_go}", hold.reason, hold.placed_by));
        }
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|l| vec![l.month.clone(), l.label.clone(), l.child.clone(), format::figure(l.amount)])
            .collect();
        out.table(
            &[("month", Align::Left), ("why", Align::Text), ("child", Align::Left), ("¤", Align::Right)],
            &rows,
        );
    }
    Ok(Exit::Done)
}

#[derive(serde::Serialize)]
struct Line {
    month: String,
    code: String,
    label: String,
    child: String,
    amount: Centimes,
}

fn lines(app: &App, order: &OrderDetail) -> anyhow::Result<Vec<Line>> {
    let programme = app
        .context
        .config
        .programme(&order.programme)
        .ok_or_else(|| Entity::Programme.not_found(&order.programme))?;
    let components = decode_components(&order.components)?;
    let lines = explain(&programme.rules, order.period, &components)?;
    let child =
        |rank: u8, age: u8| if rank == 0 { String::new() } else { format!("rank {rank}, aged {age}") };
    Ok(lines
        .into_iter()
        .map(|l| Line {
            month: l.month.to_string(),
            code: l.code.into(),
            label: l.label_en.into(),
            child: child(l.rank, l.age),
            amount: l.amount,
        })
        .collect())
}
