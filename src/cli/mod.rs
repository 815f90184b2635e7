//! The program's face: one file for each command. Arguments are parsed into what they mean; what a person sees goes
//! through [`ui::Output`], what a machine reads is `--json`.

mod app;
mod approval;
mod arrivals;
mod audit;
mod breaks;
mod checks;
mod config;
mod corrections;
mod decision;
pub mod demo;
mod deposits;
mod dispatch;
mod exchange;
mod feedback;
mod generate;
mod global;
mod hints;
mod interrupt;
mod operator;
mod order;
mod recall;
mod recovery;
mod refused;
mod report;
mod run;
mod run_show;
mod sandbox;
mod serve;
mod simulate;
mod snapshot;
pub mod ui;
mod verify;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::domain::hint::chain;
use crate::domain::shown;
use crate::engine::stop::Stop;
use crate::files;
use crate::store::orders::leaves;
use app::App;
use global::Global;
use ui::{Exit, Output};

/// sarf (صرف, disbursement): from the registry's monthly snapshot to payment orders, bank files and closed books.
#[derive(Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole month, on synthetic data and sandbox banks
    Demo(demo::Demo),
    /// A synthetic snapshot
    Generate(generate::Generate),
    /// Bring the database schema up to date
    Migrate {
        /// After a restore from a dump: lay rows of lists and runs back in the order in which they were written
        #[arg(long)]
        restored: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Import and look at snapshots
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Make a run and take it through approval to its close
    #[command(subcommand)]
    Run(run::Run),
    /// Write and deliver what is released; may be killed and started again
    Dispatch(dispatch::Dispatch),
    /// Bring files to providers' servers, and fetch messages from there
    #[command(subcommand)]
    Exchange(exchange::Exchange),
    /// Import what banks answer
    #[command(subcommand)]
    Feedback(feedback::Feedback),
    /// What banks, institutions and the registry owe us, and what of it is late
    Arrivals(arrivals::Arrivals),
    /// Compare orders, statuses and statements of a run
    Reconcile(run::Reconcile),
    /// What could not be explained
    #[command(subcommand)]
    Breaks(breaks::Breaks),
    /// Look at single orders, hold them, let them go, ask them back
    #[command(subcommand)]
    Order(order::Order),
    /// Undue payments: cases, instalments, complaints, repayments, statements of account
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// Deposits for children in institutions: the statement of one, and those that a run releases
    #[command(subcommand)]
    Deposits(deposits::Deposits),
    /// Write the reports of a run (xlsx, csv, parquet), or the list of unclaimed money
    Report(report::Report),
    /// What another rule set would cost for the month of a snapshot, by region
    Simulate(simulate::Simulate),
    /// Prove the guarantees, with figures
    Verify(verify::Verify),
    /// Banks that answer from a seed
    Sandbox(sandbox::Sandbox),
    /// Serve /metrics, /healthz, /readyz and the API for whoever calls in
    Serve(serve::Serve),
    /// Hand over the orders of the stream lane until interrupted
    Worker(worker::Worker),
    /// Standing approvals: what may be ordered by events, and up to how much
    #[command(subcommand)]
    Approval(approval::Approval),
    /// What people decided, and their signatures
    #[command(subcommand)]
    Audit(audit::Audit),
    /// People, their roles, keys and API tokens
    #[command(subcommand)]
    Operator(operator::Operator),
}

/// Runs the program.
pub fn main() -> ExitCode {
    files::keep_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("cannot start: {error}"), None);
            return Exit::Refused.into();
        }
    };
    let exit = runtime.block_on(run(cli, &output));
    // What a signal cut short may still be at work on a thread of its own; nobody waits for it.
    runtime.shutdown_background();
    exit.into()
}

/// Help goes to stdout; a command line that is not understood is repeated without what a terminal would act on.
fn not_understood(error: &clap::Error) -> ExitCode {
    let harmless = std::env::args_os().all(|arg| {
        let text = arg.to_string_lossy();
        shown::on_one_line(&text) == text
    });
    if harmless || !error.use_stderr() {
        error.exit();
    }
    eprint!("{}", shown::on_terminal(&error.render().to_string()));
    Exit::Usage.into()
}

async fn run(cli: Cli, output: &Output) -> Exit {
    // First of all, so that no signal finds this process deaf: a server that is being started would stay behind.
    let stop = Stop::on_signals();
    execute(cli, output, &stop).await.unwrap_or_else(|error| {
        output.error(&chain(error.as_ref()), hints::hint(&error).as_deref());
        Exit::Refused
    })
}

async fn execute(cli: Cli, output: &Output, stop: &Stop) -> anyhow::Result<Exit> {
    let global = cli.global;
    match cli.command {
        Command::Config(command) => return command.run(&global, output),
        Command::Generate(command) => {
            return interrupt::unless(stop, None, command.run(&global, output)).await;
        }
        Command::Demo(command) => return command.run(&global, output, stop).await,
        Command::Sandbox(command) => return command.run(&global, output, stop).await,
        _ => {}
    }
    let mut app = App::open(&global, output, matches!(cli.command, Command::Migrate { .. }), stop).await?;
    let result = run_in(&app, cli.command).await;
    app.close().await;
    result
}

async fn run_in(app: &App, command: Command) -> anyhow::Result<Exit> {
    // These listen for the signal themselves: it is their normal end, or they finish what is under way.
    let command = match command {
        Command::Serve(command) => return command.run(app).await,
        Command::Worker(command) => return command.run(app).await,
        Command::Dispatch(command) => return command.run(app).await,
        Command::Exchange(command) if command.watches() => return command.run(app).await,
        Command::Feedback(command) if command.watches() => return command.run(app).await,
        other => other,
    };
    interrupt::unless(&app.stop, Some(app.context.store.commits()), run_to_end(app, command)).await
}

async fn run_to_end(app: &App, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Snapshot(command) => command.run(app).await,
        Command::Arrivals(command) => command.run(app).await,
        Command::Run(command) => command.run(app).await,
        Command::Exchange(command) => command.run(app).await,
        Command::Feedback(command) => command.run(app).await,
        Command::Reconcile(command) => command.run(app).await,
        Command::Breaks(command) => command.run(app).await,
        Command::Order(command) => command.run(app).await,
        Command::Recovery(command) => command.run(app).await,
        Command::Deposits(command) => command.run(app).await,
        Command::Report(command) => command.run(app).await,
        Command::Simulate(command) => command.run(app).await,
        Command::Verify(command) => command.run(app).await,
        Command::Audit(command) => command.run(app).await,
        Command::Operator(command) => command.run(app).await,
        Command::Approval(command) => command.run(app).await,
        Command::Migrate { restored } => {
            app.output.line("the schema is up to date");
            let laid = if restored { leaves::lay_in_order(&app.context.store).await? } else { Vec::new() };
            if restored {
                app.output.line(&format!("{} tables laid back in order", laid.len()));
            }
            app.output.json(&serde_json::json!({ "migrated": true, "laid_in_order": laid }))?;
            Ok(Exit::Done)
        }
        Command::Serve(_)
        | Command::Worker(_)
        | Command::Dispatch(_)
        | Command::Demo(_)
        | Command::Generate(_)
        | Command::Config(_)
        | Command::Sandbox(_) => unreachable!("handled above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cause_says_is_said_once() {
        let cause = std::io::Error::other("refused");
        let told_of = |text: &str| {
            chain(anyhow::Error::new(std::io::Error::other("refused")).context(text.to_owned()).as_ref())
        };
        assert_eq!(told_of("no connection: refused"), "no connection: refused");
        assert_eq!(told_of("no connection"), "no connection: refused");
        assert_eq!(chain(anyhow::Error::new(cause).as_ref()), "refused");
    }
}
