//! Seats: how many connections there may be, in all and for each peer, and who has to go when one more comes.
//!
//! Input: the address of a peer. Output: a seat, held as long as the connection; or none.
//! Guarantee: nobody who waits with a half-sent head keeps others out. When all seats are taken, of the peer or of all, the
//! connection that has waited longest without a request under way gives its seat up (of all: one of the peer that has most);
//! only where every connection has a request under way is a new one refused. A request under way is never cut off here.
//! Limit: a peer is an IPv4 address or an IPv6 network of 64 bits; behind a proxy all callers are one peer.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Most connections, in all and of one peer.
#[derive(Clone, Copy, Debug)]
pub struct SeatLimits {
    /// In all.
    pub all: usize,
    /// Of one peer.
    pub of_peer: usize,
}

/// All seats of a listener.
#[derive(Clone)]
pub(super) struct Seats {
    limits: SeatLimits,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_peer: HashMap<IpAddr, BTreeMap<u64, Holder>>,
    all: usize,
}

/// Who holds a seat.
struct Holder {
    requests: usize,
    gives_up: Arc<Notify>,
}

/// A seat, given back when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    peer: IpAddr,
    number: u64,
    gives_up: Arc<Notify>,
}

/// A request under way on a seat: until it is dropped, the seat is nobody's to take.
pub(super) struct UnderWay(Arc<Seat>);

impl Seats {
    pub(super) fn new(limits: SeatLimits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// A seat for a peer; `None` where all are taken by requests under way.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let peer = peer_of(address);
        let mut taken = self.lock();
        let of_peer = taken.by_peer.get(&peer).map_or(0, BTreeMap::len);
        if of_peer >= self.limits.of_peer {
            taken.free_one(peer)?;
        } else if taken.all >= self.limits.all {
            let mut fullest: Vec<(usize, IpAddr)> =
                taken.by_peer.iter().map(|(peer, seats)| (seats.len(), *peer)).collect();
            fullest.sort_unstable_by(|a, b| b.cmp(a));
            fullest.into_iter().find_map(|(_, peer)| taken.free_one(peer))?;
        }
        let (number, gives_up) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.all += 1;
        let holder = Holder { requests: 0, gives_up: Arc::clone(&gives_up) };
        taken.by_peer.entry(peer).or_default().insert(number, holder);
        drop(taken);
        Some(Seat { seats: self.clone(), peer, number, gives_up })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes the seat of the peer's connection that has waited longest without a request.
    fn free_one(&mut self, peer: IpAddr) -> Option<()> {
        let seats = self.by_peer.get_mut(&peer)?;
        let number = *seats.iter().find(|(_, holder)| holder.requests == 0)?.0;
        let holder = seats.remove(&number)?;
        if seats.is_empty() {
            self.by_peer.remove(&peer);
        }
        self.all -= 1;
        holder.gives_up.notify_one();
        Some(())
    }
}

impl Seat {
    /// Resolves once the seat was given to another.
    pub(super) async fn lost(&self) {
        self.gives_up.notified().await;
    }

    /// Marks that a request has begun.
    pub(super) fn request(self: &Arc<Self>) -> UnderWay {
        self.count(|requests| requests + 1);
        UnderWay(Arc::clone(self))
    }

    /// A later request makes the connection the youngest of those that wait.
    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut taken = self.seats.lock();
        let holder = taken.by_peer.get_mut(&self.peer).and_then(|seats| seats.get_mut(&self.number));
        if let Some(holder) = holder {
            holder.requests = change(holder.requests);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.count(|requests| requests.saturating_sub(1));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        let Some(seats) = taken.by_peer.get_mut(&self.peer) else { return };
        let was_there = seats.remove(&self.number).is_some();
        if seats.is_empty() {
            taken.by_peer.remove(&self.peer);
        }
        taken.all -= usize::from(was_there);
    }
}

/// What counts as one peer.
pub(super) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn is_lost(seat: &Seat) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(5), seat.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn who_waits_longest_gives_up_and_who_works_does_not() {
        let seats = Seats::new(SeatLimits { all: 4, of_peer: 3 });
        let (a, b) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let first = Arc::new(seats.take(a).unwrap());
        let working = first.request();
        let second = seats.take(a).unwrap();
        let third = seats.take(a).unwrap();
        // The peer's own limit: its oldest that only waits goes.
        let fourth = seats.take(a).unwrap();
        assert_eq!(
            (is_lost(&first).await, is_lost(&second).await, is_lost(&third).await),
            (false, true, false)
        );
        drop(second);
        // The limit of all: the fullest peer gives one up for a newcomer.
        let other = seats.take(b).unwrap();
        let another = seats.take(b).unwrap();
        assert_eq!(
            (is_lost(&third).await, is_lost(&fourth).await, is_lost(&other).await),
            (true, false, false)
        );
        drop(third);
        assert_eq!(seats.lock().all, 4);
        // All have requests under way: nobody can be asked to go.
        let busy = [fourth, other, another].map(|seat| Arc::new(seat).request());
        assert!(seats.take(b).is_none() && seats.take(peer("192.0.2.3")).is_none());
        drop(working);
        assert!(seats.take(peer("192.0.2.3")).is_some(), "the first only waits now");
        drop(busy);
        drop(first);
        let taken = seats.lock();
        assert_eq!((taken.all, taken.by_peer.len()), (0, 0));
    }

    #[test]
    fn a_network_is_one_peer() {
        for (one, other, same) in [
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            assert_eq!(peer_of(peer(one)) == peer_of(peer(other)), same, "{one} {other}");
        }
    }
}
