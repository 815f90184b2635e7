//! XML as it is read from outside, hardened, and as it is written.
//!
//! | file | what it holds |
//! |---|---|
//! | `reader` | from bytes to the elements that a message's table names |
//! | `table` | the tables and the steps |
//! | `messages` | the messages that are told apart |
//! | `original` | what banks' answers repeat of the orders that they speak of |
//! | `encoding`, `input` | other encodings than UTF-8; bounds on what is read |
//! | `fault` | limits, faults, warnings |
//! | `write` | the writer, and the checks of what is written |

pub(crate) mod encoding;
pub mod fault;
mod input;
pub(crate) mod messages;
pub(crate) mod original;
pub(crate) mod reader;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub mod write;
