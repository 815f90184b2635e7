//! The flow: a list is taken in (`intake`), orders are made (`orders`), a run is decided on and closed (`runs`), orders leave
//! (`dispatch`), what comes back is booked (`messages`) and explained (`exceptions`); `exchange` carries files to providers' servers and from them; `reports` shows it, and `verify` proves it.

pub mod access;
mod context;
pub mod dispatch;
pub mod events;
pub mod exceptions;
pub mod exchange;
pub mod intake;
pub mod messages;
pub mod orders;
mod refusal;
pub mod reports;
pub mod runs;

pub use context::{Applied, Context};
pub use refusal::Refusal;
pub(crate) use refusal::{
    DECIDE_THE_BREAK, locked_run, next_state, person, refuse_frozen, resolve_the_doubt,
};
