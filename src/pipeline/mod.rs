//! THE FLOW, a file for each stage: intake → order (with entitle and compare) → check → approve → fund → dispatch →
//! feedback → reconcile → report; `verify` proves the guarantees over all of it.

pub mod access;
mod context;
pub mod dispatch;
pub mod events;
pub mod exceptions;
pub mod intake;
pub mod messages;
pub mod orders;
mod refusal;
pub mod reports;
pub mod runs;

pub use context::{Applied, Context};
pub use refusal::Refusal;
pub(crate) use refusal::{DECIDE_THE_BREAK, locked_run, next_state, person, resolve_the_doubt};
