//! What leaves: files to banks, orders of the stream lane, recalls, work lists of payment points.

pub mod files;
pub mod recall;
pub mod stream;
pub(in crate::pipeline) mod to_server;
pub mod worklists;
