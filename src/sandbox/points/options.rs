//! What sandbox payment points are told: who they are, how they behave, what goes wrong.
//!
//! Guarantee: shares are whole parts per million; nothing goes wrong unless told. Limit: the default rates are assumptions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::provider::Provider;
use crate::rails::stream::sign::Secret;
use crate::sandbox::Share;

/// One provider that the sandbox plays.
#[derive(Clone, Debug)]
pub struct PointProvider {
    /// As it is configured; its terms say which API it has.
    pub provider: Provider,
    /// The secret agreed with it.
    pub secret: Secret,
}

/// What goes wrong, as shares of the requests or orders concerned. All none unless told.
#[derive(Clone, Copy, Debug, Default)]
pub struct PointFaults {
    /// Requests that take up to `latency_max`.
    pub slow: Share,
    /// How long slow ones take at most.
    pub latency_max: Duration,
    /// Requests answered with 500 before anything was done.
    pub errors_before: Share,
    /// Requests answered with 500 after everything was done.
    pub errors_after: Share,
    /// Requests cut off before anything was done.
    pub cut_before: Share,
    /// Requests cut off after everything was done.
    pub cut_after: Share,
    /// Requests answered, after everything was done, when the client has long gone.
    pub timeouts_after: Share,
    /// Answers that cannot be read.
    pub unreadable: Share,
    /// Answers that lack some of the orders.
    pub partial: Share,
    /// Answers whose orders come in another order than asked.
    pub disordered: Share,
    /// Requests asked to come back later, at random.
    pub busy: Share,
    /// Callbacks sent twice.
    pub callbacks_twice: Share,
    /// Callbacks whose events are out of order.
    pub callbacks_shuffled: Share,
    /// Callbacks overtaken by the one after them.
    pub callbacks_late: Share,
    /// Callbacks never sent: only the list of changes tells.
    pub callbacks_lost: Share,
    /// Settlement files that lack a line.
    pub settlement_short: Share,
    /// Settlement lines with another fee.
    pub settlement_fees: Share,
    /// Settlement files delivered a second time, as `NAME_copy.csv`.
    pub settlement_twice: Share,
    /// Nothing but 503 is said.
    pub outage: bool,
    /// Requests a second beyond which 429 is said; 0 for no limit.
    pub requests_per_second_max: u32,
}

impl PointFaults {
    /// The same with connections that fail so many times less often: each failure costs its pause, and a country has many
    /// requests.
    #[must_use]
    pub fn thinned(self, by: u32) -> Self {
        let by = if by == 0 { 1 } else { by };
        let thin = |share: Share| Share::per_million(share.parts().div_ceil(by));
        Self {
            slow: thin(self.slow),
            errors_before: thin(self.errors_before),
            errors_after: thin(self.errors_after),
            cut_before: thin(self.cut_before),
            cut_after: thin(self.cut_after),
            timeouts_after: thin(self.timeouts_after),
            unreadable: thin(self.unreadable),
            partial: thin(self.partial),
            busy: thin(self.busy),
            ..self
        }
    }

    /// A bit of everything, as a bad day has it.
    pub const fn some() -> Self {
        Self {
            slow: Share::per_million(50_000),
            latency_max: Duration::from_millis(300),
            errors_before: Share::per_million(20_000),
            errors_after: Share::per_million(20_000),
            cut_before: Share::per_million(20_000),
            cut_after: Share::per_million(20_000),
            timeouts_after: Share::per_million(10_000),
            unreadable: Share::per_million(10_000),
            partial: Share::per_million(20_000),
            disordered: Share::per_million(100_000),
            busy: Share::per_million(30_000),
            callbacks_twice: Share::per_million(100_000),
            callbacks_shuffled: Share::per_million(200_000),
            callbacks_late: Share::per_million(50_000),
            callbacks_lost: Share::per_million(50_000),
            settlement_short: Share::NONE,
            settlement_fees: Share::NONE,
            settlement_twice: Share::NONE,
            outage: false,
            requests_per_second_max: 0,
        }
    }
}

/// How orders fare.
#[derive(Clone, Copy, Debug)]
pub struct PointRates {
    /// Orders refused.
    pub rejected: Share,
    /// Orders at hand that nobody draws.
    pub uncollected: Share,
    /// Wallet transfers that are pending at first.
    pub pending: Share,
}

impl Default for PointRates {
    fn default() -> Self {
        Self {
            rejected: Share::per_million(8_000),
            uncollected: Share::per_million(30_000),
            pending: Share::per_million(100_000),
        }
    }
}

/// Everything that the sandbox is told.
#[derive(Clone, Debug)]
pub struct PointsOptions {
    /// Where it listens; port 0: any that is free.
    pub listen: SocketAddr,
    /// Whom it plays, each below `/CODE`.
    pub providers: Vec<PointProvider>,
    /// Where callbacks go, the provider's code appended; none are sent without.
    pub callback_url: Option<String>,
    /// How long after it was put an order is at hand; none: at once, in the answer.
    pub later: Option<Duration>,
    /// What fates and faults are drawn from.
    pub seed: u64,
    /// What goes wrong.
    pub faults: PointFaults,
    /// How orders fare.
    pub rates: PointRates,
    /// The providers' clock.
    pub clock: Clock,
    /// Where settlement files and statements go, in a folder for each provider.
    pub inbox: PathBuf,
}
