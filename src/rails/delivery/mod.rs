//! Files on their way to a provider and from it, by SFTP.
//!
//! Guarantee: a server whose host key is not among those agreed is told nothing; what was brought is compared with what lies here
//! before it is given its name. Limit: whose turn it is, and what of it is kept, is not decided here.

mod error;
mod fetch;
mod local;
pub mod openpgp;
mod peer;

pub use error::PeerError;
pub use fetch::{Fetched, RemoteFile};
pub use local::LocalFile;
pub use peer::Peer;
