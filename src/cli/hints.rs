//! The next step after an error, by what went wrong.

use super::app::HomeError;
use crate::config::ConfigError;
use crate::domain::ids::{BreakId, RunId};
use crate::engine::lane::LaneError;
use crate::engine::webhook::WebhookError;
use crate::files::PathFault;
use crate::http::{HttpError, TlsError};
use crate::pipeline::Refusal;
use crate::pipeline::access::people::PeopleError;
use crate::pipeline::access::tokens::TokenError;
use crate::pipeline::dispatch::files::DispatchError;
use crate::pipeline::dispatch::recall::RecallError;
use crate::pipeline::dispatch::recall::undue::UndueRecallError;
use crate::pipeline::exceptions::breaks::BreakError;
use crate::pipeline::exceptions::recovery::CaseError;
use crate::pipeline::intake::IntakeError;
use crate::pipeline::messages::FeedbackError;
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::children::statement::DepositError;
use crate::pipeline::orders::holds::HoldError;
use crate::pipeline::orders::reissue::{ForwardError, ReissueError};
use crate::pipeline::reports::run_report::ReportError;
use crate::pipeline::reports::simulate::SimulateError;
use crate::pipeline::runs::approve::ApproveError;
use crate::pipeline::runs::fund::FundError;
use crate::pipeline::runs::reconcile::CloseError;
use crate::pipeline::runs::standing_approvals::StandingError;
use crate::rails::bank_file::DeliveryError;
use crate::rails::stream::secrets::SecretError;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::store::cluster::ClusterError;

const IN_QUESTION: &str = "ask the bank or provider, then resolve the break: see `sarf breaks list`; a file that was debited above its sum gets its break by `sarf reconcile`";

fn in_doubt(break_id: BreakId) -> String {
    format!("once it is known who is to be paid: sarf breaks resolve {break_id} --why \"…\" --as ACCOUNTANT")
}

/// The hint of the cause where that is the system's (a full disk, a link in the way), else of the first error in the chain
/// that has one.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(of_system).or_else(|| error.chain().find_map(of))
}

fn of_system(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    use std::io::ErrorKind;
    if let Some(home) = error.downcast_ref::<HomeError>()
        && let Some(fault) = PathFault::of(&home.source)
    {
        return Some(fault.hint(&home.path));
    }
    if let Some(DeliveryError::Disk(path, source)) = error.downcast_ref() {
        return PathFault::of(source).map(|fault| fault.hint(path)).or_else(|| of_system(source));
    }
    if let Some(secret) = error.downcast_ref::<SecretError>() {
        return Some(secret.hint());
    }
    if let Some(HttpError::Tls(TlsError::Read { path, source })) = error.downcast_ref()
        && let Some(fault) = PathFault::of(source)
    {
        return Some(fault.hint(path));
    }
    if let Some(WebhookError::Secret { path, source }) = error.downcast_ref()
        && let Some(fault) = PathFault::of(source)
    {
        return Some(fault.hint(path));
    }
    let cause = error.downcast_ref::<std::io::Error>()?;
    match PathFault::of(cause) {
        Some(PathFault::NotAFile(_)) => {
            return Some("name a plain file: links, named pipes and devices are not followed".into());
        }
        Some(PathFault::NotAFolder(_)) => {
            return Some("move it away, or name another folder: links are not followed".into());
        }
        Some(PathFault::Open(_) | PathFault::OtherOwner(_)) => {
            return Some(
                "let nobody but its owner, the account that runs sarf, read it: chmod 600 FILE".into(),
            );
        }
        None => {}
    }
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(
            "the disk is full: free space, then give the command again; what was committed and delivered stays".into(),
        ),
        ErrorKind::ReadOnlyFilesystem => Some("name a folder on a file system that can be written".into()),
        _ => None,
    }
}

fn of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(e) = error.downcast_ref::<ClusterError>() {
        return Some(e.hint());
    }
    if let Some(e) = error.downcast_ref::<HttpError>() {
        return Some(e.hint().into());
    }
    if let Some(e) = error.downcast_ref::<SnapshotError>() {
        return Some(e.hint().to_string());
    }
    if let Some(e) = error.downcast_ref::<IntakeError>() {
        return match e {
            IntakeError::Snapshot(e) => Some(e.hint().to_string()),
            IntakeError::UnknownProgramme(_) => {
                Some("add its rules below config/programmes, or correct the manifest".into())
            }
            IntakeError::Scratch(..) => {
                Some("free space or correct the owner of the folder, then start again".into())
            }
            IntakeError::Store(e) => of_store(e),
        };
    }
    if let Some(e) = error.downcast_ref::<ApproveError>() {
        return of_approve(e);
    }
    if let Some(e) = error.downcast_ref::<FundError>() {
        return match e {
            FundError::Approve(e) => of_approve(e),
            FundError::NoEnvelope { .. } => {
                Some("set the year's budget in the programme's file, as voted".into())
            }
            FundError::Exhausted { .. } => {
                Some("have the envelope raised, or cancel another run that reserved it".into())
            }
        };
    }
    if let Some(e) = error.downcast_ref::<OrderError>() {
        return of_order(e);
    }
    if let Some(e) = error.downcast_ref::<SimulateError>() {
        return match e {
            SimulateError::NoSnapshot(_) => Some("see `sarf snapshot list`".into()),
            SimulateError::UnknownProgramme(_) => Some("add its rules below config/programmes".into()),
            SimulateError::Read { .. } | SimulateError::Rules { .. } => {
                Some("give a whole programme's file, like those in config/programmes".into())
            }
            SimulateError::NoRules(_) => Some("add a version in force to the file".into()),
            SimulateError::Store(e) => of_store(e),
        };
    }
    if let Some(e) = error.downcast_ref::<ReissueError>() {
        return match e {
            ReissueError::Refused(e) => of_refusal(e),
            ReissueError::UnknownProgramme(_) => Some("add its rules below config/programmes".into()),
            ReissueError::NoSnapshot(_) => Some("import its list: sarf snapshot import DIR".into()),
            ReissueError::Nothing { .. } => {
                Some("see what waits, and for what: sarf report unclaimed --out FILE.csv".into())
            }
            ReissueError::Store(e) => of_store(e),
        };
    }
    if let Some(e) = error.downcast_ref::<ForwardError>() {
        return match e {
            ForwardError::Refused(e) => of_refusal(e),
            ForwardError::NoOrder(_) => Some("find orders with `sarf order show HOUSEHOLD`".into()),
            ForwardError::InDoubt { break_id, .. } => Some(in_doubt(*break_id)),
            ForwardError::InQuestion { .. } => Some(IN_QUESTION.into()),
            ForwardError::NotUnpaid { order, .. } | ForwardError::NotAnOperators { order, .. } => {
                Some(format!("see what is known of it: sarf order show {order}"))
            }
        };
    }
    if let Some(e) = error.downcast_ref::<CloseError>() {
        return match e {
            CloseError::Refused(e) => of_refusal(e),
            CloseError::Unexplained { run, .. } => Some(format!(
                "see `sarf breaks list --run {run}`; resolve them, wait for the banks, or carry them forward: --carry \"why\""
            )),
        };
    }
    if let Some(e) = error.downcast_ref::<HoldError>() {
        return match e {
            HoldError::Refused(e) => of_refusal(e),
            HoldError::NoOrder(_) => Some("find orders with `sarf order show HOUSEHOLD`".into()),
            HoldError::TooLate { .. } => Some("what has left can be asked back: `sarf order recall`".into()),
            HoldError::GivesWay { other, .. } => Some(format!(
                "see `sarf order show {other}`; it can be let go only once the run of that order is cancelled"
            )),
            HoldError::InQuestion { .. } => Some(IN_QUESTION.into()),
            HoldError::InDoubt { break_id, .. } => Some(in_doubt(*break_id)),
            HoldError::NotProposed(order) => Some(format!(
                "a preparer proposes it first: sarf order release {order} --why \"…\" --as NAME"
            )),
            HoldError::SamePerson(_) => Some("an approver who did not propose it: --as NAME".into()),
            HoldError::Changed { order, .. } => Some(format!(
                "look at it again, and propose it again: sarf order release {order} --why \"…\" --as NAME"
            )),
            HoldError::NoProvider(_) => {
                Some("ask the beneficiary for another account; the next snapshot brings it".into())
            }
        };
    }
    if let Some(e) = error.downcast_ref::<RecallError>() {
        return of_recall(e);
    }
    if let Some(e) = error.downcast_ref::<CaseError>() {
        return of_case(e);
    }
    if let Some(e) = error.downcast_ref::<UndueRecallError>() {
        return match e {
            UndueRecallError::Case(e) => of_case(e),
            UndueRecallError::Recall(e) => of_recall(e),
        };
    }
    if let Some(e) = error.downcast_ref::<BreakError>() {
        return of_break(e);
    }
    of_rest(error)
}

fn of_break(error: &BreakError) -> Option<String> {
    match error {
        BreakError::Refused(e) => of_refusal(e),
        BreakError::NoBreak(_) => Some("see `sarf breaks list --all`".into()),
        BreakError::NoReason => Some("say in a sentence what explains it: --why \"…\"".into()),
        BreakError::InSuspense { .. } => {
            Some("say where it goes: --post bank-claim while the bank is to correct it, --post written-off for good".into())
        }
        BreakError::NothingToPost(_) => Some("leave --post out".into()),
        BreakError::NotProposed(id) => Some(format!("resolve it first: sarf breaks resolve {id}")),
        BreakError::SamePerson { .. } => {
            Some("an approver, or another accountant, must confirm it: --as NAME".into())
        }
        BreakError::ByRule(_) => Some("what explained it stands; a new difference opens a break of its own".into()),
    }
}

fn of_case(error: &CaseError) -> Option<String> {
    use crate::domain::recovery::appeal::AppealFault;
    match error {
        CaseError::Refused(e) => of_refusal(e),
        CaseError::NoCase(_) => Some("see `sarf recovery list`".into()),
        CaseError::NoOrder(_) => Some("find orders with `sarf order show HOUSEHOLD`".into()),
        CaseError::NoProgramme(_) => Some("see the programmes with `sarf config check`".into()),
        CaseError::NotListed { .. } => Some("compare the household's id with the registry's".into()),
        CaseError::PaidByOrder { order, .. } => Some(format!("name the order: --order {order}")),
        CaseError::NotLeft { .. } => Some("keep it back instead: `sarf order hold`".into()),
        CaseError::Ended { order, .. } => Some(format!(
            "see what became of it: sarf order show {order}; what the household has is kept back from later months"
        )),
        CaseError::NoPayment(case) | CaseError::WrongState { case, .. } | CaseError::NotProposed(case) => {
            Some(format!("see where it stands: sarf recovery show {case}"))
        }
        CaseError::TooMuch { .. } => Some("see what is left with `sarf recovery list --household ID`".into()),
        CaseError::PutRight { .. } => Some(
            "uphold the case: the arrears were ordered; `sarf recovery account HOUSEHOLD` shows both".into(),
        ),
        CaseError::NotPositive(_) => Some("give an amount in MAD, like 120.00".into()),
        CaseError::NoReason => Some("say why: --why TEXT".into()),
        CaseError::SamePerson { .. } => Some("another person must do this: --as NAME".into()),
        CaseError::Appeal(
            AppealFault::Before(_) | AppealFault::NothingWaits(_) | AppealFault::TooLate(_),
        ) => Some("see its complaint and the days with `sarf recovery show CASE`".into()),
        CaseError::Appeal(AppealFault::NotThen(_)) => {
            Some("give the day it was lodged: --on YYYY-MM-DD".into())
        }
        CaseError::Break(_) | CaseError::NoReceipt(_) => {
            Some("find receipts in suspense with `sarf breaks list`".into())
        }
    }
}

fn of_recall(error: &RecallError) -> Option<String> {
    match error {
        RecallError::Refused(e) => of_refusal(e),
        RecallError::NoOrder(_) => Some("find orders with `sarf order show HOUSEHOLD`".into()),
        RecallError::NotLeft { .. } => Some("keep it back instead: `sarf order hold`".into()),
        RecallError::Ended { .. } => Some("see its life with `sarf order show`".into()),
        RecallError::NoProvider(_) => Some("put the provider back into config/providers".into()),
        RecallError::NoConnection(_) => {
            Some("call the provider, and let its reports say what became of it".into())
        }
        RecallError::Calendar(_) => Some("add the year's holidays to the calendar file".into()),
        RecallError::Delivery(DeliveryError::Differs(_)) => Some(
            "the bank may have it: compare it with the settings of the debtor and of the provider".into(),
        ),
        RecallError::Delivery(_) | RecallError::Call { .. } => {
            Some("give the command again: it goes on under the same names".into())
        }
    }
}

fn of_rest(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(e) = error.downcast_ref::<DispatchError>() {
        return match e {
            DispatchError::Refused(e) => of_refusal(e),
            DispatchError::Paused(run) => Some(format!("let it go on with `sarf run resume {run}`")),
            DispatchError::Calendar(_) => Some("add the year's holidays to the calendar file".into()),
            DispatchError::NoProvider(_) => Some("put the provider back into config/providers".into()),
            DispatchError::Delivery(DeliveryError::Differs(_)) => Some(
                "the provider may have it: compare it with what was recorded before anything else is sent"
                    .into(),
            ),
            DispatchError::Delivery(_) => {
                Some("start the command again: what was delivered stays, the rest is written anew".into())
            }
            DispatchError::Busy { run, .. } => Some(format!(
                "wait for it to end; then `sarf dispatch {run}` goes on with what is left, if anything is"
            )),
            DispatchError::Lost(_) => Some(
                "start the command again once the database answers: what was delivered stays, the rest is written anew".into(),
            ),
            DispatchError::NotWhole(_) => Some(
                "the run's rows were changed after it left: `sarf verify` names them; ask the bank for the file that it has".into(),
            ),
            DispatchError::NotMissing(_) => {
                Some("`sarf dispatch RUN` names the files that are missing".into())
            }
        };
    }
    if let Some(e) = error.downcast_ref::<StandingError>() {
        return match e {
            StandingError::Refused(e) => of_refusal(e),
            other => other.hint(),
        };
    }
    if let Some(e) = error.downcast_ref::<PeopleError>() {
        return match e {
            PeopleError::Refused(e) => of_refusal(e),
            other => other.hint().map(Into::into),
        };
    }
    if let Some(e) = error.downcast_ref::<TokenError>() {
        return match e {
            TokenError::Refused(e) => of_refusal(e),
            TokenError::NameTaken(_) | TokenError::NoToken(_) => Some("see `sarf operator tokens`".into()),
            TokenError::SamePerson(_) => Some("an approver who did not make it: --as NAME".into()),
            TokenError::NothingToConfirm(_) => Some("only tokens for events take two people".into()),
            TokenError::NoInstitution(_) => Some("put the provider into config/providers".into()),
            TokenError::Scope { .. } => Some(
                "an institution's token needs --institution CODE; only `events` is the registry's own".into(),
            ),
            _ => None,
        };
    }
    if let Some(e) = error.downcast_ref::<LaneError>() {
        return match e {
            LaneError::Store(e) => of_store(e),
            LaneError::Secret { source, .. } => Some(source.hint()),
            LaneError::Connect { .. } => Some("look at its [provider.stream] in config/providers".into()),
        };
    }
    if let Some(e) = error.downcast_ref::<DepositError>() {
        return Some(e.hint().into());
    }
    if let Some(e) = error.downcast_ref::<ReportError>() {
        return match e {
            ReportError::Refused(e) => of_refusal(e),
            ReportError::Store(e) => of_store(e),
            ReportError::Unaccounted { .. } | ReportError::Differs { .. } => {
                Some("find out which guarantee is broken: sarf verify".into())
            }
            _ => Some("see that the folder can be written and the disk has room, then start again".into()),
        };
    }
    if let Some(e) = error.downcast_ref::<Refusal>() {
        return of_refusal(e);
    }
    if let Some(e) = error.downcast_ref::<FeedbackError>() {
        return match e {
            FeedbackError::Store(e) => of_store(e),
            FeedbackError::Kind(_) => {
                Some("pain.002, camt.053, camt.054, pacs.004 and camt.029 are read".into())
            }
            _ => Some("nothing of the file was applied; ask the bank for it again".into()),
        };
    }
    if let Some(e) = error.downcast_ref::<ConfigError>() {
        return Some(match e {
            ConfigError::Read { .. } | ConfigError::Nothing(_) => {
                "name the folder with --config DIR or SARF_CONFIG".into()
            }
            ConfigError::Faults(faults) => faults.hint().to_owned(),
            _ => "correct the file; `sarf config check` reads it all again".into(),
        });
    }
    let of_statement = || error.downcast_ref::<sqlx::Error>().map(crate::store::hint_of);
    error.downcast_ref::<StoreError>().and_then(of_store).or_else(of_statement)
}

/// What to do after an error of the database.
pub(super) fn of_store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Database(error) => Some(crate::store::hint_of(error)),
        StoreError::Migrate(sqlx::migrate::MigrateError::Execute(error)) => {
            Some(crate::store::hint_of(error))
        }
        StoreError::Migrate(_) => Some("this program is older than the database: use the newer one".into()),
        StoreError::Corrupt(_) => Some("run `sarf verify` and restore from a backup if it fails".into()),
    }
}

fn of_approve(error: &ApproveError) -> Option<String> {
    match error {
        ApproveError::Refused(e) => of_refusal(e),
        ApproveError::Breached(_) => Some(
            "look at `sarf run check ID`, then `sarf run check ID --acknowledge \"why\" --as NAME`".into(),
        ),
        ApproveError::RulesChanged(_, run) => {
            Some(format!("cancel it and make it again: sarf run cancel {run}"))
        }
        ApproveError::Stale(_) => {
            Some("the run is back with its preparer: look at it and submit it again".into())
        }
    }
}

fn of_order(error: &OrderError) -> Option<String> {
    match error {
        OrderError::Refused(e) => of_refusal(e),
        OrderError::NoSnapshot(_) => Some("see `sarf snapshot list`".into()),
        OrderError::UnknownProgramme(_) => Some("add its rules below config/programmes".into()),
        OrderError::NotPaying { .. } => Some("see `months` and `arrears` in the programme's file".into()),
        OrderError::NoRules(_) => Some("add a version in force to the programme's file".into()),
        OrderError::RunExists { run, .. } => Some(format!(
            "cancel it with `sarf run cancel {run}`, as long as nothing has left; what has left is put right by a run of \
                 --kind correction"
        )),
        OrderError::CorrectionWaits { run } => Some(format!(
            "take it to its release, or cancel it with `sarf run cancel {run}`; then give the command again"
        )),
        OrderError::OlderList { newer, .. } => Some(format!(
            "ask the latest list, or one that is sent again: `sarf run create --kind correction --snapshot {newer}`"
        )),
        OrderError::KindExists { run, .. } => Some(format!(
            "cancel it with `sarf run cancel {run}`, as long as nothing has left; rows that came later are taken from the next \
             month's list"
        )),
        OrderError::KindUnderWay { run, .. } => {
            Some(format!("let it leave, or cancel it: sarf run release {run}, sarf run cancel {run}"))
        }
        OrderError::NothingListed { snapshot, .. } => {
            Some(format!("see what it has, and what was set aside: sarf snapshot show {snapshot}"))
        }
        OrderError::ArrearsPaid(_) => Some("take the month out of `arrears` in the programme's file".into()),
        OrderError::Store(e) => of_store(e),
    }
}

fn of_refusal(error: &Refusal) -> Option<String> {
    let next = |run: &RunId| Some(format!("see where it stands: sarf run show {run}"));
    match error {
        Refusal::NoRun(_) => Some("see `sarf run list`".into()),
        Refusal::NoOperator(name) => Some(format!("add them: sarf operator add {name} --role ROLE")),
        Refusal::WrongRole { .. } | Refusal::SamePerson(_) => {
            Some("another person must do this: --as NAME".into())
        }
        Refusal::WrongState { run, .. } => next(run),
        Refusal::Altered { .. } => Some(
            "somebody changed the database by hand: let nothing leave, see `sarf verify`, and bring the rows back from a backup"
                .into(),
        ),
        Refusal::Store(e) => of_store(e),
    }
}
