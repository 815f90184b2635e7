//! What a break over a line says to the person who looks into it.

use super::parse::Line;
use crate::domain::judging::Conflict;
use crate::domain::order::OrderEvent;
use crate::domain::statement::booking::Meaning;

/// What was found, with the reasons that were given where they help to decide.
pub(super) fn detail(conflict: Conflict, line: &Line) -> String {
    let why = || line.why.suffix();
    match conflict {
        Conflict::UnknownReference => "the reference names no order of ours at this provider".into(),
        Conflict::NamesDisagree => {
            "its references are mistyped, or name different orders or files of ours".into()
        }
        Conflict::NotLeft => "the order has not left".into(),
        Conflict::NotHandedOver => "the order has not been handed over".into(),
        Conflict::AmountDiffers { order } => format!("the order is over {order}"),
        Conflict::UnknownStatus => {
            let status = line.unknown.as_deref().unwrap_or_default();
            format!("the order is said to be `{status}`, a status that is not known{}", why())
        }
        Conflict::AtOdds => {
            "one message says of the order that it is rejected and that it is not; neither was applied".into()
        }
        Conflict::SecondDelivery => {
            format!("refused as a second delivery; what was delivered first stands{}", why())
        }
        Conflict::TakenBack { undone, state } => {
            let what = if undone == Meaning::ReturnUndone { "return" } else { "debit" };
            format!("the bank takes back a {what} of an order that is {state}")
        }
        Conflict::BookedBefore { event, state } => {
            let what = if event == OrderEvent::Return { "returned" } else { "debited" };
            format!("{what} again: the order is {state}, and this was booked before")
        }
        Conflict::BookedAgain { event, state } => {
            format!("booked as {} again, but the order is {state}{}", event.word(), why())
        }
        Conflict::ListedBefore => "a settlement file before this one lists it".into(),
        Conflict::CannotFollow { event, state } => {
            format!("reported as {}, but the order is {state}{}", event.word(), why())
        }
        Conflict::Reissued { event, next } => format!(
            "reported as {}, but the order was reissued as order {} of run {}{}",
            event.word(),
            next.get(),
            next.run(),
            why()
        ),
    }
}
