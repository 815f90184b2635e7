//! Finds the next step after an error: it stands beside the error's type, as its `Hint`.

use std::error::Error;

use super::app::HomeError;
use super::refused::CliError;
use crate::config::ConfigError;
use crate::domain::calendar::CalendarError;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::not_found::NotFound;
use crate::domain::recovery::appeal::AppealFault;
use crate::engine::nats::NatsError;
use crate::engine::provider_stream::ProviderStreamError;
use crate::engine::webhook::WebhookError;
use crate::http::{HttpError, TlsError};
use crate::keys::KeyError;
use crate::pipeline::Refusal;
use crate::pipeline::access::people::PeopleError;
use crate::pipeline::access::tokens::TokenError;
use crate::pipeline::dispatch::files::DispatchError;
use crate::pipeline::dispatch::recall::RecallError;
use crate::pipeline::dispatch::recall::undue::UndueRecallError;
use crate::pipeline::dispatch::stream::recorder::RecorderError;
use crate::pipeline::dispatch::stream::sweep::SweepError;
use crate::pipeline::dispatch::worklists::WorklistError;
use crate::pipeline::exceptions::breaks::BreakError;
use crate::pipeline::exceptions::recovery::CaseError;
use crate::pipeline::exchange::ExchangeError;
use crate::pipeline::intake::IntakeError;
use crate::pipeline::messages::FeedbackError;
use crate::pipeline::messages::set_aside::SetAsideError;
use crate::pipeline::messages::upload::UploadError;
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::children::statement::DepositError;
use crate::pipeline::orders::holds::HoldError;
use crate::pipeline::orders::reissue::{ForwardError, ReissueError};
use crate::pipeline::reports::arrivals::ArrivalsError;
use crate::pipeline::reports::run_report::ReportError;
use crate::pipeline::reports::simulate::SimulateError;
use crate::pipeline::runs::approve::ApproveError;
use crate::pipeline::runs::fund::FundError;
use crate::pipeline::runs::reconcile::CloseError;
use crate::pipeline::runs::standing_approvals::StandingError;
use crate::rails::bank_file::DeliveryError;
use crate::rails::delivery::PeerError;
use crate::rails::delivery::openpgp::SealError;
use crate::rails::stream::secrets::SecretError;
use crate::rails::stream::sign::SignatureError;
use crate::sandbox::SandboxError;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::store::cluster::ClusterError;
use crate::telemetry::{LoggingError, OtlpError};

/// The errors that know a next step: a line for each type.
macro_rules! with_hints {
    ($($error:ty),+ $(,)?) => {
        fn known<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a dyn Hint> {
            $(if let Some(found) = error.downcast_ref::<$error>() {
                return Some(found);
            })+
            None
        }

        /// One of each variant of each of them.
        #[cfg(test)]
        fn samples() -> Vec<anyhow::Error> {
            use crate::domain::hint::Samples;
            let mut all = Vec::new();
            $(all.extend(<$error>::samples().into_iter().map(anyhow::Error::new));)+
            all
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($error)),+];
    };
}

with_hints! {
    AppealFault,
    ArrivalsError,
    ApproveError,
    BreakError,
    CalendarError,
    CaseError,
    CliError,
    CloseError,
    ClusterError,
    ConfigError,
    DeliveryError,
    DepositError,
    DispatchError,
    ExchangeError,
    PeerError,
    SealError,
    FeedbackError,
    ForwardError,
    FundError,
    HoldError,
    HomeError,
    KeyError,
    HttpError,
    IntakeError,
    ProviderStreamError,
    LoggingError,
    OtlpError,
    NatsError,
    NotFound,
    OrderError,
    PeopleError,
    RecallError,
    RecorderError,
    Refusal,
    ReissueError,
    ReportError,
    SandboxError,
    SecretError,
    SetAsideError,
    SignatureError,
    SimulateError,
    SnapshotError,
    StandingError,
    StoreError,
    SweepError,
    TlsError,
    TokenError,
    UndueRecallError,
    UploadError,
    WebhookError,
    WorklistError,
    sqlx::Error,
    std::io::Error,
}

/// The hint of the cause where that is the system's (a full disk, a link in the way), else of the first error in the chain
/// that has one.
pub fn hint(error: &anyhow::Error) -> Option<NextStep> {
    let known = || error.chain().filter_map(known);
    known().find_map(Hint::system_hint).or_else(|| known().find_map(Hint::hint))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    /// Errors that are never the whole of what a person or a caller gets: values inside others, findings of `verify`, and
    /// what goes to the log only.
    const WITHIN_OTHERS: &[&str] = &[
        "AddressError",
        "CallError",
        "ChainFault",
        "CodecError",
        "EntryFault",
        "ExplainError",
        "Fault",
        "IdError",
        "MoneyError",
        "NoRules",
        "NotListed",
        "ParseError",
        "PathFault",
        "PeriodError",
        "Problem",
        "ProgrammeError",
        "ReadFault",
        "RibError",
        "RouteTableError",
        "SettlementError",
        "SinkError",
        "TextProblem",
        "WriteError",
        "XmlError",
        "XmlFault",
    ];

    #[test]
    fn every_refusal_names_a_next_step() {
        for error in samples() {
            let hint = hint(&error).unwrap_or_else(|| panic!("no hint: {error:?}"));
            assert!(!hint.is_empty() && !hint.ends_with('.'), "{error}: {hint}");
            check_commands(&hint);
        }
    }

    /// Each `sarf …` in a hint is a command of this program, with flags that it has.
    fn check_commands(hint: &str) {
        for (at, _) in hint.match_indices("sarf ") {
            let whole_word = hint[..at].chars().next_back().is_none_or(|c| " `:".contains(c));
            let rest = hint[at + "sarf ".len()..].split(['`', ';', ',', '…']).next().unwrap_or_default();
            // "the account that runs sarf the rights to it" is prose: a command follows a colon, a backtick or a blank
            // after them, or begins the hint.
            let lead = hint[..at].trim_end();
            if !whole_word || !(lead.is_empty() || lead.ends_with([':', '`', ','])) {
                continue;
            }
            let mut command = super::super::Cli::command();
            command.build();
            let mut command = &command;
            let mut words = rest.split_whitespace().peekable();
            while command.has_subcommands() {
                let Some(word) = words.peek() else { break };
                match command.find_subcommand(word) {
                    Some(found) => command = found,
                    None if command.get_positionals().next().is_some() => break,
                    None => panic!("`{word}` is no command of {}: {hint}", command.get_name()),
                }
                words.next();
            }
            for flag in words.filter_map(|word| word.strip_prefix("--")) {
                let known = command.get_arguments().any(|arg| arg.get_long() == Some(flag));
                assert!(known, "--{flag} is no flag of {}: {hint}", command.get_name());
            }
        }
    }

    #[test]
    fn every_error_type_is_listed() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for after in text.split("thiserror::Error)]").skip(1) {
                        // The item that the attribute stands over; private ones are their module's own affair.
                        let item =
                            after.lines().find(|line| line.contains("enum ") || line.contains("struct "));
                        let Some(item) = item.and_then(|line| line.strip_prefix("pub ")) else { continue };
                        let name = item.split([' ', '{', '(', ';']).nth(1).unwrap();
                        assert!(
                            NAMES.contains(&name) || WITHIN_OTHERS.contains(&name),
                            "{name} of {} has no line in `with_hints!`",
                            path.display()
                        );
                    }
                }
            }
        }
    }
}
