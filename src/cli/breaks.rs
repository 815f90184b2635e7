//! `sarf breaks list | queues | show | resolve | confirm | reopen`.

use clap::Subcommand;

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::domain::breaks::{BreakState, PostTo};
use crate::domain::ids::{BreakId, RunId};
use crate::domain::reason::BreakKind;
use crate::pipeline::Applied;
use crate::pipeline::exceptions::breaks::{self, Listed, QueueLine, Wanted};
use crate::store::messages::break_steps::Step;

/// Breaks.
#[derive(Subcommand)]
pub enum Breaks {
    /// Open breaks, oldest first, with what to do
    List(List),
    /// How many are open by kind, the oldest, and what they come to
    Queues,
    /// One break and its history
    Show {
        /// Its number
        id: BreakId,
    },
    /// Resolve a break with a reason; above the limit of the configuration, propose how
    Resolve {
        /// Its number
        id: BreakId,
        /// Why it is explained
        #[arg(long)]
        why: String,
        /// Where money in suspense goes: bank-claim (the bank is to correct it) or written-off
        #[arg(long, value_parser = post, value_name = "ACCOUNT")]
        post: Option<PostTo>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Confirm a resolution that another person proposed
    Confirm {
        /// Its number
        id: BreakId,
        #[command(flatten)]
        actor: Actor,
    },
    /// Take a resolution or a proposal back
    Reopen {
        /// Its number
        id: BreakId,
        /// Why it is not explained after all
        #[arg(long)]
        why: String,
        #[command(flatten)]
        actor: Actor,
    },
}

/// What is listed.
#[derive(clap::Args)]
pub struct List {
    /// Of one run only
    #[arg(long)]
    run: Option<RunId>,
    /// Of one kind only
    #[arg(long, value_parser = kind)]
    kind: Option<BreakKind>,
    /// Open for more than so many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Resolved ones too
    #[arg(long)]
    all: bool,
}

fn kind(text: &str) -> Result<BreakKind, String> {
    BreakKind::parse(&text.replace('-', "_")).ok_or_else(|| {
        let all: Vec<&str> = BreakKind::ALL.iter().map(|k| k.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

fn post(text: &str) -> Result<PostTo, String> {
    PostTo::parse(&text.replace('-', "_")).ok_or_else(|| "bank-claim or written-off".to_owned())
}

impl Breaks {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let context = &app.context;
        match self {
            Self::List(list) => list.run(app).await,
            Self::Queues => queues(app).await,
            Self::Show { id } => show(app, id).await,
            Self::Resolve { id, why, post, actor } => {
                tell(app, id, breaks::resolve(context, id, &actor.name, &why, post).await?)
            }
            Self::Confirm { id, actor } => tell(app, id, breaks::confirm(context, id, &actor.name).await?),
            Self::Reopen { id, why, actor } => {
                tell(app, id, breaks::reopen(context, id, &actor.name, &why).await?)
            }
        }
    }
}

fn tell(app: &App, id: BreakId, done: Applied<BreakState>) -> anyhow::Result<Exit> {
    let now = done.is_now();
    let state = done.into_inner();
    let when = if now { "" } else { " before; nothing changed" };
    app.output.line(&format!("break {id}: {state}{when}"));
    if state == BreakState::Proposed {
        app.output.note(&format!(
            "it takes effect once a second person confirms it: sarf breaks confirm {id} --as NAME"
        ));
    }
    app.output.json(&serde_json::json!({ "break": id, "state": state, "done_now": now }))?;
    Ok(if state == BreakState::Proposed { Exit::NeedsPerson } else { Exit::Done })
}

impl List {
    async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let wanted =
            Wanted { run: self.run, kind: self.kind, older_than_days: self.older_than, all: self.all };
        let found = breaks::list(&app.context, wanted).await?;
        let open = found.iter().any(|b| b.found.state != BreakState::Resolved);
        if app.output.is_json() {
            app.output.json(&found)?;
        } else if found.is_empty() {
            app.output.line("no breaks");
        } else {
            print(app, found);
        }
        Ok(if open { Exit::NeedsPerson } else { Exit::Done })
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// By kind, the oldest kind first: what to do is said once above each table.
fn print(app: &App, found: Vec<Listed>) {
    let mut kinds: Vec<(BreakKind, Vec<Listed>)> = Vec::new();
    for listed in found {
        match kinds.iter_mut().find(|(kind, _)| *kind == listed.found.kind) {
            Some((_, of_kind)) => of_kind.push(listed),
            None => kinds.push((listed.found.kind, vec![listed])),
        }
    }
    for (at, (kind, of_kind)) in kinds.into_iter().enumerate() {
        let queue = kind.queue();
        if at > 0 {
            app.output.line("");
        }
        app.output.line(&format!("{kind} · {} · {}", queue.title, format::count(of_kind.len() as u64)));
        app.output.line(&format!("what to do: {}", queue.action));
        app.output.table(&LIST_COLUMNS, &of_kind.into_iter().map(row).collect::<Vec<_>>());
    }
}

const LIST_COLUMNS: [(&str, Align, u8); 9] = [
    ("break", Align::Right, 0),
    ("days", Align::Right, 1),
    ("run", Align::Right, 2),
    ("provider", Align::Left, 0),
    ("message", Align::Right, 4),
    ("entry", Align::Right, 3),
    ("¤", Align::Right, 0),
    ("found", Align::Text, 0),
    ("decided", Align::Text, 1),
];

fn row(listed: Listed) -> Vec<String> {
    let b = listed.found;
    let decided = match b.state {
        BreakState::Open => String::new(),
        BreakState::Proposed => {
            format!("{} proposes: {}; confirm or reopen it", text(b.resolved_by), text(b.resolution))
        }
        BreakState::Resolved => format!("resolved by {}: {}", text(b.resolved_by), text(b.resolution)),
    };
    vec![
        b.id.to_string(),
        listed.age_days.to_string(),
        text(b.run),
        b.provider.unwrap_or_default(),
        text(b.message),
        text(b.entry),
        b.amount.map_or_else(String::new, format::figure),
        b.detail,
        decided,
    ]
}

async fn queues(app: &App) -> anyhow::Result<Exit> {
    let found = breaks::queues(&app.context).await?;
    let none = found.is_empty();
    if app.output.is_json() {
        app.output.json(&found)?;
    } else if none {
        app.output.line("no open breaks");
    } else {
        let columns = [
            ("kind", Align::Left, 0),
            ("open", Align::Right, 0),
            ("to confirm", Align::Right, 2),
            ("oldest, days", Align::Right, 1),
            ("¤ in question", Align::Right, 0),
            ("in suspense", Align::Right, 3),
            ("what to do", Align::Text, 0),
        ];
        let row = |q: QueueLine| {
            vec![
                q.kind.to_string(),
                q.open.to_string(),
                q.proposed.to_string(),
                q.oldest_days.to_string(),
                format::figure(q.amount),
                format::figure(q.suspense),
                q.queue.action.to_owned(),
            ]
        };
        app.output.table(&columns, &found.into_iter().map(row).collect::<Vec<_>>());
    }
    Ok(if none { Exit::Done } else { Exit::NeedsPerson })
}

async fn show(app: &App, id: BreakId) -> anyhow::Result<Exit> {
    let (listed, steps) = breaks::show(&app.context, id).await?;
    let open = listed.found.state != BreakState::Resolved;
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "break": listed, "steps": steps }))?;
    } else {
        print_one(app, &listed, steps);
    }
    Ok(if open { Exit::NeedsPerson } else { Exit::Done })
}

fn print_one(app: &App, listed: &Listed, steps: Vec<Step>) {
    let b = &listed.found;
    let source = b.source.clone().unwrap_or_default();
    let about = [
        ("provider", text(b.provider.as_ref())),
        ("run", text(b.run)),
        ("order", text(b.order.map(|o| o.get()))),
        ("message", text(b.message)),
        ("file", text(b.file.as_ref())),
        ("account", source.account),
        ("statement", source.statement),
        ("entry", text(b.entry)),
        ("bank's reference", source.bank_reference),
        ("entry's reference", source.entry_reference),
        ("references given", source.references),
        ("text", source.text),
        ("booked on", text(source.booked_on)),
        ("value date", text(source.value_on)),
        ("amount", b.amount.map_or_else(String::new, format::amount)),
    ];
    app.output.line(&format!(
        "break {}: {} ({}), {}, {} days old",
        b.id, b.kind, listed.queue.title, b.state, listed.age_days
    ));
    app.output.line(&b.detail);
    for (name, value) in about.iter().filter(|(_, value)| !value.is_empty()) {
        app.output.line(&format!("{name}: {value}"));
    }
    if !b.suspense.is_zero() {
        let gone = b.posted_to.as_ref().map_or_else(|| "in suspense".to_owned(), |to| format!("now {to}"));
        app.output.line(&format!("money: {} {gone}", format::amount(b.suspense)));
    }
    if b.state == BreakState::Open {
        app.output.line(&format!("what to do: {}", listed.queue.action));
    }
    let columns = [
        ("when", Align::Left),
        ("what", Align::Left),
        ("by", Align::Left),
        ("why", Align::Text),
        ("money", Align::Left),
    ];
    let opened = vec![
        format::moment(b.opened_at),
        "opened".to_owned(),
        "sarf".to_owned(),
        String::new(),
        String::new(),
    ];
    let step = |s: Step| vec![format::moment(s.at), s.step.to_string(), s.by, s.why, text(s.post)];
    let rows: Vec<Vec<String>> = std::iter::once(opened).chain(steps.into_iter().map(step)).collect();
    app.output.table(&columns, &rows);
}
