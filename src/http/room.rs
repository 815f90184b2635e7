//! Room for bodies: how many bytes of requests may be in memory at once, for whom.
//!
//! Input: who sends. Output: room, taken as bytes come and given back when it is dropped.
//! Guarantee: room is taken for bytes that have come, never for those that are announced; who has shown no good token
//! draws on a quarter of it, the rest is kept for those who have; one token, or one peer without, takes at most a part of
//! either. Who finds none within a second is told to come again, so that nobody waits for another that waits.
//! Limit: the room is that of one process.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies of the largest size for which there is room, in all.
const BODIES: usize = 32;
/// Of these, for those who have shown no good token.
const BODIES_UNKNOWN: usize = 8;
/// Most that one token may take.
const BODIES_OF_TOKEN: usize = 8;
/// Most that one peer without a token may take.
const BODIES_OF_PEER: usize = 2;
/// Room is counted in these.
const UNIT: usize = 1_024;
/// How long a sender waits for room.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Whose bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    /// A token's, by its number.
    Token(i64),
    /// A peer's that has shown no good token; `None` where nothing is known of the connection.
    Peer(Option<IpAddr>),
}

/// The room of a process.
pub(super) struct Rooms {
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    units_of_body: usize,
    parts: Parts<Sender>,
}

/// What each sender may take at most, and how many bodies of it are under way.
type PartOf<K> = HashMap<K, (Arc<Semaphore>, usize)>;

/// All senders that have bodies under way.
struct Parts<K>(Arc<Mutex<PartOf<K>>>);

/// Room that a body takes.
pub(super) struct Room {
    of_all: Arc<Semaphore>,
    of_sender: Arc<Semaphore>,
    /// Bytes that have come.
    bytes: usize,
    permits: Vec<OwnedSemaphorePermit>,
    units: usize,
    _part: Part<Sender>,
}

/// There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Rooms {
    /// Room for bodies of at most so many bytes.
    pub(super) fn new(body_bytes_max: usize) -> Self {
        let units_of_body = body_bytes_max.div_ceil(UNIT).max(1);
        Self {
            known: Arc::new(Semaphore::new(units_of_body * (BODIES - BODIES_UNKNOWN))),
            unknown: Arc::new(Semaphore::new(units_of_body * BODIES_UNKNOWN)),
            units_of_body,
            parts: Parts(Arc::default()),
        }
    }

    /// Room for a body; none of it is taken yet.
    pub(super) fn room(&self, sender: Sender) -> Room {
        let (of_all, bodies) = match sender {
            Sender::Token(_) => (&self.known, BODIES_OF_TOKEN),
            Sender::Peer(_) => (&self.unknown, BODIES_OF_PEER),
        };
        let part = self.parts.part(sender, self.units_of_body * bodies);
        Room {
            of_all: Arc::clone(of_all),
            of_sender: Arc::clone(&part.units),
            bytes: 0,
            permits: Vec::new(),
            units: 0,
            _part: part,
        }
    }
}

impl Room {
    /// Takes room for more bytes that have come.
    pub(super) async fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.bytes += bytes;
        let more = self.bytes.div_ceil(UNIT) - self.units;
        let Ok(units) = u32::try_from(more) else { return Err(NoRoom) };
        if units == 0 {
            return Ok(());
        }
        for from in [&self.of_sender, &self.of_all] {
            let permit = tokio::time::timeout(WAIT_MAX, Arc::clone(from).acquire_many_owned(units)).await;
            match permit {
                Ok(Ok(permit)) => self.permits.push(permit),
                _ => return Err(NoRoom),
            }
        }
        self.units += more;
        Ok(())
    }
}

/// A sender's part, as long as it has a body under way.
struct Part<K: Copy + Eq + Hash> {
    all: Arc<Mutex<PartOf<K>>>,
    key: K,
    units: Arc<Semaphore>,
}

impl<K: Copy + Eq + Hash> Parts<K> {
    fn part(&self, key: K, units: usize) -> Part<K> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (part, users) = all.entry(key).or_insert_with(|| (Arc::new(Semaphore::new(units)), 0));
        *users += 1;
        Part { all: Arc::clone(&self.0), key, units: Arc::clone(part) }
    }
}

impl<K: Copy + Eq + Hash> Drop for Part<K> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, users)) = all.get_mut(&self.key) {
            *users -= 1;
            if *users == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> Sender {
        Sender::Peer(Some(IpAddr::from([192, 0, 2, n])))
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_known_leaves_room_to_those_who_are() {
        let body = 8 * UNIT;
        let rooms = Rooms::new(body);
        // One peer takes two bodies, whatever it announces; all peers together eight.
        let mut held = Vec::new();
        for n in 0..4 {
            for _ in 0..2 {
                let mut room = rooms.room(peer(n));
                assert_eq!(room.take(body).await, Ok(()), "{n}");
                held.push(room);
            }
            assert_eq!(rooms.room(peer(n)).take(1).await, Err(NoRoom), "{n}");
        }
        assert_eq!(rooms.room(peer(9)).take(1).await, Err(NoRoom));
        // Tokens have theirs, each a part of it.
        for token in 0..3 {
            for _ in 0..8 {
                let mut room = rooms.room(Sender::Token(token));
                assert_eq!(room.take(body).await, Ok(()));
                held.push(room);
            }
        }
        assert_eq!(rooms.room(Sender::Token(4)).take(1).await, Err(NoRoom));
        held.clear();
        assert_eq!(rooms.room(peer(0)).take(body).await, Ok(()));
        assert!(rooms.parts.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_as_bytes_come() {
        let rooms = Rooms::new(8 * UNIT);
        let before = rooms.unknown.available_permits();
        let mut room = rooms.room(peer(1));
        for (bytes, units) in [(1, 1), (UNIT - 1, 1), (1, 2), (3 * UNIT, 5)] {
            room.take(bytes).await.unwrap();
            assert_eq!(before - rooms.unknown.available_permits(), units, "{bytes}");
        }
        drop(room);
        assert_eq!(rooms.unknown.available_permits(), before);
    }
}
