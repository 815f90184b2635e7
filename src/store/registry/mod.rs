//! What the registry says: snapshots and their households, claims for children, changes by events; and the numbers of codes.

pub mod change_cursor;
pub mod change_sharing;
pub mod changes;
pub mod children;
pub mod events;
pub mod households;
pub mod reference;
pub mod snapshots;
