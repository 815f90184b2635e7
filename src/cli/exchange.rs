//! `sarf exchange`: files brought to providers' servers, messages fetched from there.

use std::time::Duration;

use clap::Subcommand;

use super::app::App;
use super::feedback;
use super::interrupt;
use super::run::Actor;
use super::ui::{Align, Cell, Exit, Tone, format};
use crate::domain::delivery::DeliveryState;
use crate::domain::hint::chain;
use crate::pipeline::Context;
use crate::pipeline::exchange::{self, ExchangeError, Exchanged, Word};
use crate::store::batches::deliveries::{self, Delivery};
use crate::telemetry::Job;

/// Files to providers' SFTP servers, and messages from there.
#[derive(Subcommand)]
pub enum Exchange {
    /// Bring what waits, fetch and import what lies there; safe to repeat
    Run {
        /// These providers only
        #[arg(long = "provider", value_name = "CODE")]
        providers: Vec<String>,
        /// Again and again, until interrupted
        #[arg(long)]
        watch: bool,
        /// How often, in seconds
        #[arg(long, default_value_t = 30, requires = "watch")]
        every: u64,
    },
    /// Files on their way, and those that no provider has answered to
    List {
        /// Those that were answered too
        #[arg(long)]
        all: bool,
    },
    /// Log in at servers and list their folders; nothing is brought or fetched
    Test {
        /// Codes of providers; without, all that have a server
        providers: Vec<String>,
    },
    /// Bring a file once more: the bank says that it does not have it
    Again(Decision),
    /// Keep that the bank has a file
    There(Decision),
}

/// An accountant's word on a file.
#[derive(clap::Args)]
pub struct Decision {
    /// Code of the provider
    provider: String,
    /// Name of the file
    file: String,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    actor: Actor,
}

impl Exchange {
    /// Whether it goes on until it is interrupted.
    pub const fn watches(&self) -> bool {
        matches!(self, Self::Run { watch: true, .. })
    }

    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::Run { providers, watch: false, .. } => match chosen(app, providers) {
                Err(ExchangeError::NoServers) => nobody(app),
                chosen => once(app, &chosen?).await,
            },
            Self::Run { providers, every, .. } => watch(app, &chosen(app, providers)?, every).await,
            Self::List { all } => list(app, all).await,
            Self::Test { providers } => test(app, &chosen(app, providers)?).await,
            Self::Again(decision) => decide(app, decision, Word::Again).await,
            Self::There(decision) => decide(app, decision, Word::There).await,
        }
    }
}

/// The providers that were asked for, or all that have a server.
fn chosen(app: &App, asked: Vec<String>) -> Result<Vec<String>, ExchangeError> {
    if !asked.is_empty() {
        return Ok(asked);
    }
    let all: Vec<String> =
        exchange::partners(&app.context).into_iter().map(|provider| provider.code.to_string()).collect();
    if all.is_empty() { Err(ExchangeError::NoServers) } else { Ok(all) }
}

/// Every provider picks its files up itself: there is nothing to do.
fn nobody(app: &App) -> anyhow::Result<Exit> {
    app.output.line("no provider has a server: files lie in the outbox, to be picked up");
    app.output.json(&serde_json::json!([]))?;
    Ok(Exit::Done)
}

type ExchangeResult = Result<Exchanged, ExchangeError>;

/// All of them side by side: each by itself, so that one that does not answer keeps no other waiting.
async fn all(context: &Context, providers: &[String]) -> Vec<(String, ExchangeResult)> {
    let mut tasks = tokio::task::JoinSet::new();
    for (at, code) in providers.iter().cloned().enumerate() {
        let context = context.clone();
        tasks.spawn(async move {
            let done = exchange::exchange(&context, &code).await;
            (at, code, done)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(at, ..)| *at);
    done.into_iter().map(|(_, code, done)| (code, done)).collect()
}

async fn once(app: &App, providers: &[String]) -> anyhow::Result<Exit> {
    let mut done = all(&app.context, providers).await;
    // What is about no server is the command's own end.
    if let [(_, Err(error))] = done.as_slice()
        && !matches!(error, ExchangeError::Peer(_))
    {
        let (_, error) = done.remove(0);
        return Err(error.err().map_or_else(|| anyhow::anyhow!("nothing was done"), Into::into));
    }
    print(app, done)
}

async fn watch(app: &App, providers: &[String], every: u64) -> anyhow::Result<Exit> {
    app.output.note(&format!("exchanging files with {}; Ctrl-C ends it", providers.join(", ")));
    let (metrics, clock) = (&app.context.telemetry.metrics, app.context.clock);
    metrics.begins(Job::Exchange, clock.now());
    loop {
        let commits = app.context.store.commits();
        let work = async { Ok(all(&app.context, providers).await) };
        let Ok(done) = interrupt::unless(&app.stop, Some(commits), work).await else {
            return Ok(Exit::Done);
        };
        let well = done.iter().all(|(_, result)| result.is_ok());
        let news = |result: &ExchangeResult| {
            result.as_ref().map_or(true, |d| {
                d.brought + d.fetched > 0
                    || !d.imported.is_empty()
                    || !d.stopped.is_empty()
                    || !d.waiting.is_empty()
            })
        };
        if done.iter().any(|(_, result)| news(result)) {
            print(app, done)?;
        }
        if well {
            metrics.succeeded(Job::Exchange, clock.now());
        }
        if !app.stop.sleep(Duration::from_secs(every)).await {
            return Ok(Exit::Done);
        }
    }
}

fn print(app: &App, done: Vec<(String, ExchangeResult)>) -> anyhow::Result<Exit> {
    let each = || done.iter().filter_map(|(_, result)| result.as_ref().ok());
    let failed = done.iter().any(|(_, result)| result.is_err());
    let asked = each().any(|d| !d.stopped.is_empty());
    let waits = each().any(|d| !d.waiting.is_empty() || !d.faults.is_empty());
    let json: Vec<serde_json::Value> = done.iter().map(|(code, result)| in_json(code, result)).collect();
    let rows: Vec<Vec<Cell>> = done.iter().map(|(code, result)| row(code, result)).collect();
    let imported: Vec<_> =
        done.into_iter().filter_map(|(_, result)| result.ok()).flat_map(|d| d.imported).collect();
    let out = &app.output;
    let mut exit = Exit::Done;
    if out.is_json() {
        out.json(&json)?;
        if imported.iter().any(|(_, result)| result.is_err()) {
            exit = Exit::Refused;
        }
    } else {
        let columns = [
            ("provider", Align::Left),
            ("host", Align::Left),
            ("brought", Align::Right),
            ("", Align::Right),
            ("fetched", Align::Right),
            ("", Align::Text),
        ];
        out.table(&columns, &rows);
        if !imported.is_empty() {
            exit = feedback::print(app, &imported, &[])?;
        }
    }
    if asked {
        out.note("a person is asked about some files: sarf exchange list");
    }
    if waits {
        out.note(
            "not all came through: give the command again once the cause is mended, or leave it to --watch",
        );
    }
    Ok(match (failed, asked || waits) {
        (true, _) => Exit::Refused,
        (false, _) if matches!(exit, Exit::Refused) => exit,
        (false, true) => Exit::NeedsPerson,
        (false, false) => exit,
    })
}

fn in_json(code: &str, result: &ExchangeResult) -> serde_json::Value {
    match result {
        Ok(d) => serde_json::json!({
            "provider": code, "host": d.host, "brought": d.brought, "bytes": d.bytes, "fetched": d.fetched,
            "waiting": d.waiting, "stopped": d.stopped, "faults": d.faults,
            "imported": feedback::as_json(&d.imported),
        }),
        Err(error) => serde_json::json!({ "provider": code, "error": chain(error) }),
    }
}

fn row(code: &str, result: &ExchangeResult) -> Vec<Cell> {
    match result {
        Ok(d) => {
            let files = d.waiting.iter().chain(&d.stopped).map(|(file, why)| format!("{file}: {why}"));
            let faults: Vec<String> = files.chain(d.faults.iter().cloned()).collect();
            vec![
                Cell::from(code.to_owned()),
                Cell::from(d.host.clone()),
                format::count(d.brought).into(),
                format::bytes(d.bytes).into(),
                format::count(d.fetched).into(),
                Cell::toned(faults.join("; "), Tone::Bad),
            ]
        }
        Err(error) => {
            let mut row = vec![Cell::from(code.to_owned())];
            row.resize(5, Cell::from(String::new()));
            row.push(Cell::toned(chain(error), Tone::Bad));
            row
        }
    }
}

async fn list(app: &App, all: bool) -> anyhow::Result<Exit> {
    let files = deliveries::list(&app.context.store, all).await?;
    let asked = files.iter().any(|file| file.state == DeliveryState::Stopped);
    let exit = if asked { Exit::NeedsPerson } else { Exit::Done };
    let out = &app.output;
    if out.is_json() {
        let shown = |file: &Delivery| {
            let mut shown = serde_json::to_value(file)?;
            shown["stands"] = stands(app, file).0.into();
            Ok::<_, serde_json::Error>(shown)
        };
        out.json(&files.iter().map(shown).collect::<Result<Vec<_>, _>>()?)?;
        return Ok(exit);
    }
    if files.is_empty() {
        out.line("no file is on its way");
        return Ok(exit);
    }
    let row = |file: &Delivery| {
        let (stands, tone) = stands(app, file);
        vec![
            Cell::from(file.provider.clone()),
            file.file_name.clone().into(),
            format::bytes(file.bytes as u64).into(),
            format::moment(file.delivered_at.unwrap_or(file.waits_since)).into(),
            Cell::toned(stands, tone),
            file.fault.clone().unwrap_or_default().into(),
        ]
    };
    let columns = [
        ("provider", Align::Left),
        ("file", Align::Left),
        ("", Align::Right),
        ("since", Align::Left),
        ("", Align::Left),
        ("", Align::Text),
    ];
    out.table(&columns, &files.iter().map(row).collect::<Vec<_>>());
    if asked {
        out.note(
            "ask the bank whether it has the file; then `sarf exchange there PROVIDER FILE` or `sarf exchange again PROVIDER FILE`",
        );
    }
    Ok(exit)
}

/// Where a file stands, in a word.
fn stands<'f>(app: &App, file: &'f Delivery) -> (&'f str, Tone) {
    let known = app.context.config.router.by_code(&file.provider);
    let signed = known.and_then(|(_, p)| p.delivery.as_ref()).is_some_and(|terms| terms.awaits_signature);
    match file.state {
        DeliveryState::Waiting | DeliveryState::Naming if file.paused => ("its run is paused", Tone::Plain),
        DeliveryState::Waiting | DeliveryState::Naming => ("waits", Tone::Plain),
        DeliveryState::Stopped => ("ask the bank", Tone::Bad),
        DeliveryState::Delivered if file.answered && file.of_state == "rejected" => ("rejected", Tone::Bad),
        // Its bank speaks of single orders only.
        DeliveryState::Delivered if file.answered && file.of_state == "sent" => ("answered", Tone::Good),
        DeliveryState::Delivered if file.answered => (&file.of_state, Tone::Good),
        DeliveryState::Delivered if signed => ("awaits signature", Tone::Plain),
        DeliveryState::Delivered => ("delivered", Tone::Plain),
    }
}

async fn test(app: &App, providers: &[String]) -> anyhow::Result<Exit> {
    let (mut rows, mut json, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for code in providers {
        let tested = match exchange::test(&app.context, code).await {
            Err(ExchangeError::Peer(error)) => Err(error),
            tested => Ok(tested?),
        };
        let row = match &tested {
            Ok(t) => {
                json.push(serde_json::json!({ "provider": code, "answers": t }));
                let lies = |n: usize| format::count(n as u64);
                vec![
                    Cell::from(code.clone()),
                    t.host.clone().into(),
                    lies(t.upload).into(),
                    t.download.map(lies).unwrap_or_default().into(),
                    Cell::toned("answers", Tone::Good),
                ]
            }
            Err(error) => {
                exit = Exit::Refused;
                json.push(serde_json::json!({ "provider": code, "error": chain(error) }));
                let mut row = vec![Cell::from(code.clone())];
                row.resize(4, Cell::from(String::new()));
                row.push(Cell::toned(chain(error), Tone::Bad));
                row
            }
        };
        rows.push(row);
    }
    app.output.json(&json)?;
    let columns = [
        ("provider", Align::Left),
        ("host", Align::Left),
        ("lie in upload", Align::Right),
        ("in download", Align::Right),
        ("", Align::Text),
    ];
    app.output.table(&columns, &rows);
    Ok(exit)
}

async fn decide(app: &App, decision: Decision, word: Word) -> anyhow::Result<Exit> {
    let Decision { provider, file, why, actor } = decision;
    let after = exchange::decide(&app.context, &provider, &file, word, &actor.name, &why).await?;
    let (stands, _) = stands(app, &after);
    app.output.line(&format!("{file}: {stands}"));
    app.output.json(&after)?;
    Ok(Exit::Done)
}
