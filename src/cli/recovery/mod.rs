//! `sarf recovery open | list | show | account | …`: undue payments, for those who work on cases and at the call centre.

mod account;
mod act;
mod words;

use clap::{Args, Subcommand};
use time::Date;

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::domain::ids::{BreakId, CaseId, HouseholdId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::exceptions::recovery::cases::{self, Detail, Standing};

/// Undue payments and what is done about them.
#[derive(Subcommand)]
pub enum Recovery {
    /// Open a case over an order, or over a payment that was made elsewhere
    Open(Open),
    /// Cases, oldest first
    List {
        /// opened, recalled, receivable, recovered, written_off or withdrawn
        #[arg(long, value_parser = state)]
        state: Option<CaseState>,
        /// Of one household
        #[arg(long, value_name = "ID")]
        household: Option<String>,
        /// Whose household waits for a reply or an answer that is overdue
        #[arg(long)]
        overdue: bool,
    },
    /// One case: amounts, what was kept back, complaint, all steps
    Show {
        /// Reference (RC…) or number
        #[arg(value_parser = case)]
        case: CaseId,
    },
    /// Ask the payment of a case back, while it is under way or not collected
    Recall(Reasoned),
    /// Agree on the most that is kept back in a month
    Plan {
        /// Reference (RC…) or number
        #[arg(value_parser = case)]
        case: CaseId,
        /// So much a month
        #[arg(long, required_unless_present = "none", conflicts_with = "none", value_name = "AMOUNT")]
        monthly: Option<Centimes>,
        /// As much as the rules allow
        #[arg(long)]
        none: bool,
        #[command(flatten)]
        actor: Actor,
    },
    /// The household complains: nothing is kept back until the reply
    Suspend(HouseholdActs),
    /// Reply to a complaint
    Reply(Ruled),
    /// The household appeals against the reply
    Appeal(HouseholdActs),
    /// Answer an appeal
    Decide(Ruled),
    /// Put a write-off forward; another person confirms or refuses it
    WriteOff(Reasoned),
    /// Confirm a write-off: what is outstanding is given up
    Confirm {
        /// Reference (RC…) or number
        #[arg(value_parser = case)]
        case: CaseId,
        #[command(flatten)]
        actor: Actor,
    },
    /// Refuse a write-off: the case goes on
    Refuse(Reasoned),
    /// Assign a receipt that stands in suspense to a case
    Repaid {
        /// Reference (RC…) or number
        #[arg(value_parser = case)]
        case: CaseId,
        /// The break that keeps it
        #[arg(long = "break", value_name = "ID")]
        found: BreakId,
        #[command(flatten)]
        actor: Actor,
    },
    /// A household's statement of account, for the call centre
    Account {
        /// The household
        #[arg(value_parser = household)]
        household: HouseholdId,
        /// Language of the headings
        #[arg(long, value_enum, default_value = "en")]
        lang: words::Lang,
    },
}

/// What a case is opened over.
#[derive(Args)]
pub struct Open {
    /// Order number or end-to-end id
    #[arg(long, value_name = "KEY", required_unless_present = "household", conflicts_with = "household")]
    order: Option<String>,
    /// Household of a payment that sarf did not make
    #[arg(long, value_name = "ID", value_parser = household, requires_all = ["period", "programme"])]
    household: Option<HouseholdId>,
    /// Its month
    #[arg(long, requires = "household")]
    period: Option<Period>,
    /// Its programme
    #[arg(long, value_name = "CODE", requires = "household")]
    programme: Option<String>,
    /// What of it is not due
    #[arg(long, value_name = "AMOUNT")]
    amount: Centimes,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    actor: Actor,
}

/// A case, a reason, a person.
#[derive(Args)]
pub struct Reasoned {
    /// Reference (RC…) or number
    #[arg(value_parser = case)]
    case: CaseId,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    actor: Actor,
}

/// What a household does, and on which day.
#[derive(Args)]
pub struct HouseholdActs {
    #[command(flatten)]
    reasoned: Reasoned,
    /// The day it was lodged, YYYY-MM-DD; today unless given
    #[arg(long, value_parser = day, value_name = "DATE")]
    on: Option<Date>,
}

/// How the programme rules.
#[derive(Args)]
pub struct Ruled {
    #[command(flatten)]
    reasoned: Reasoned,
    /// The case stands
    #[arg(long, required_unless_present = "granted", conflicts_with = "granted")]
    upheld: bool,
    /// It does not: wholly, or by an amount
    #[arg(long)]
    granted: bool,
    /// By how much
    #[arg(long, requires = "granted", value_name = "AMOUNT")]
    amount: Option<Centimes>,
}

fn case(text: &str) -> Result<CaseId, String> {
    if let Ok(number) = text.parse::<i64>()
        && number > 0
    {
        return Ok(CaseId::new(number));
    }
    text.parse().map(CaseReference::case).map_err(|e| format!("a case's reference (RC…) or number: {e}"))
}

fn state(text: &str) -> Result<CaseState, String> {
    CaseState::parse(text).ok_or_else(|| {
        let all: Vec<&str> = CaseState::ALL.iter().map(|s| s.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

fn household(text: &str) -> Result<HouseholdId, String> {
    HouseholdId::parse(text.as_bytes()).map_err(|e| e.to_string())
}

fn day(text: &str) -> Result<Date, String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text, format).map_err(|_| "a day of the form YYYY-MM-DD".to_owned())
}

impl Recovery {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::Open(open) => act::open(app, open).await,
            Self::List { state, household, overdue } => list(app, state, household.as_deref(), overdue).await,
            Self::Show { case } => show(app, case).await,
            Self::Recall(r) => act::recall(app, r).await,
            Self::Plan { case, monthly, actor, .. } => act::plan(app, case, monthly, &actor.name).await,
            Self::Suspend(h) => act::household(app, h, false).await,
            Self::Appeal(h) => act::household(app, h, true).await,
            Self::Reply(r) => act::rule(app, r, false).await,
            Self::Decide(r) => act::rule(app, r, true).await,
            Self::WriteOff(r) => act::propose(app, r).await,
            Self::Confirm { case, actor } => act::confirm(app, case, &actor.name).await,
            Self::Refuse(r) => act::refuse(app, r).await,
            Self::Repaid { case, found, actor } => act::assign(app, case, found, &actor.name).await,
            Self::Account { household, lang } => account::run(app, household, lang).await,
        }
    }
}

async fn list(
    app: &App,
    state: Option<CaseState>,
    household: Option<&str>,
    overdue: bool,
) -> anyhow::Result<Exit> {
    let found = cases::list(&app.context, state, household, overdue).await?;
    let late = found.iter().any(|c| c.overdue);
    if app.output.is_json() {
        app.output.json(&found)?;
    } else if found.is_empty() {
        app.output.line("no cases");
    } else {
        let columns = [
            ("case", Align::Left, 0),
            ("household", Align::Left, 0),
            ("programme", Align::Left, 3),
            ("month", Align::Left, 0),
            ("cause", Align::Left, 2),
            ("¤", Align::Right, 4),
            ("outstanding", Align::Right, 0),
            ("case is", Align::Left, 0),
            ("complaint", Align::Left, 1),
            ("until", Align::Left, 1),
            ("", Align::Left, 0),
        ];
        app.output.table(&columns, &found.iter().map(row).collect::<Vec<_>>());
    }
    Ok(if late { Exit::NeedsPerson } else { Exit::Done })
}

fn row(standing: &Standing) -> Vec<String> {
    let c = &standing.case;
    vec![
        standing.reference.to_string(),
        c.household_id.clone(),
        c.programme.clone(),
        c.period.to_string(),
        c.cause.to_string(),
        format::figure(c.amount),
        format::figure(c.outstanding),
        c.state.to_string(),
        c.appeal_stage.map_or_else(String::new, |s| s.to_string()),
        c.appeal_due.map_or_else(String::new, |d| d.to_string()),
        remark(standing).to_owned(),
    ]
}

fn remark(standing: &Standing) -> &'static str {
    match (standing.overdue, standing.suspended) {
        (true, _) => "overdue",
        (_, true) => "suspended",
        _ if standing.case.proposed_by.is_some() => "write-off proposed",
        _ if !standing.case.to_refund.is_zero() => "to be refunded",
        _ => "",
    }
}

async fn show(app: &App, id: CaseId) -> anyhow::Result<Exit> {
    let Detail { standing, instalments, steps } = cases::show(&app.context, id).await?;
    let out = &app.output;
    let detail = Detail { standing, instalments, steps };
    out.json(&detail)?;
    let (standing, c) = (&detail.standing, &detail.standing.case);
    let order =
        c.order.map_or_else(|| "a payment made elsewhere".to_owned(), |o| format!("order {}", o.get()));
    out.line(&format!(
        "case {} · household {} · {} {} · {order} · {}",
        standing.reference, c.household_id, c.programme, c.period, c.cause
    ));
    let figures = [
        ("undue", c.amount),
        ("kept back", c.offset),
        ("repaid", c.repaid),
        ("came back", c.came_back),
        ("found not owed", c.reduced),
        ("written off", c.written_off),
        ("taken back by a later list", c.reversed),
        ("to be refunded", c.to_refund),
        ("refunded", c.refunded),
    ];
    let parts: Vec<String> = figures
        .iter()
        .enumerate()
        .filter(|(at, (_, amount))| *at == 0 || !amount.is_zero())
        .map(|(_, (what, amount))| format!("{what} {}", format::amount(*amount)))
        .collect();
    out.line(&format!("{} · {} · outstanding {}", c.state, parts.join(" · "), format::amount(c.outstanding)));
    if let Some(monthly) = c.monthly_max {
        let months = standing.months_left.map_or_else(String::new, |m| format!(": {m} more months"));
        out.line(&format!("at most {} a month{months}", format::amount(monthly)));
    }
    if let (Some(stage), Some(since)) = (c.appeal_stage, c.appeal_since) {
        let due = c.appeal_due.map_or_else(String::new, |d| format!(", until {d}"));
        let mark = match (standing.overdue, standing.suspended) {
            (true, _) => " · overdue · nothing is kept back",
            (_, true) => " · nothing is kept back",
            _ => "",
        };
        out.line(&format!("complaint: {stage} since {since}{due}{mark}"));
    }
    if let (Some(by), Some(why)) = (&c.proposed_by, &c.proposed_why) {
        out.line(&format!("{by} proposes to write it off: {why}"));
    }
    print_history(app, &detail);
    Ok(if standing.overdue || c.proposed_by.is_some() { Exit::NeedsPerson } else { Exit::Done })
}

fn print_history(app: &App, detail: &Detail) {
    let text = |t: &str| t.to_owned();
    let kept: Vec<Vec<String>> = detail
        .instalments
        .iter()
        .map(|i| {
            let mark = if i.live { "" } else { "run cancelled" };
            vec![
                i.run.to_string(),
                i.period.to_string(),
                i.order.to_string(),
                format::figure(i.amount),
                text(mark),
            ]
        })
        .collect();
    if !kept.is_empty() {
        let columns = [
            ("run", Align::Right),
            ("month", Align::Left),
            ("order", Align::Right),
            ("¤ kept back", Align::Right),
            ("", Align::Left),
        ];
        app.output.table(&columns, &kept);
    }
    let steps: Vec<Vec<String>> = detail
        .steps
        .iter()
        .map(|s| {
            let amount = s.amount.map_or_else(String::new, format::figure);
            vec![format::moment(s.at), s.step.clone(), amount, s.by.clone(), s.why.clone()]
        })
        .collect();
    let columns = [
        ("when", Align::Left),
        ("step", Align::Left),
        ("¤", Align::Right),
        ("by", Align::Left),
        ("why", Align::Text),
    ];
    app.output.table(&columns, &steps);
}
