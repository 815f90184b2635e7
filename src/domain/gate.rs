//! What is unusual in one place: a region, a province or a provider held against all the others.
//!
//! A fixed threshold over the whole country lets a wave in one province pass, and one for each province cries in every small
//! one. So a place is held against what happens elsewhere in the same month: a law that changes all amounts is unusual nowhere.

use rust_decimal::{Decimal, RoundingStrategy};

/// Households of which so many show something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// That show it.
    pub part: i64,
    /// Of so many.
    pub whole: i64,
}

/// From when on a place is unusual.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A place with fewer households is not looked at.
    pub households_min: i64,
    /// Fewer households that show something are no matter.
    pub count_min: i64,
    /// A share up to this is no matter.
    pub share_min: Decimal,
    /// A share may be so many times that of elsewhere.
    pub times_max: Decimal,
    /// However large that is, a share may be above that of elsewhere by this at most.
    pub above_max: Decimal,
}

/// How a place stands against the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its share; `None` of none.
    pub here: Option<Decimal>,
    /// That of all the others; `None` where there are none.
    pub elsewhere: Option<Decimal>,
    /// The most that is allowed.
    pub allowed: Decimal,
    /// Whether it is over.
    pub unusual: bool,
    /// How many times the allowed it is: what is most unusual has most.
    pub score: Decimal,
}

/// Judges a share of a place.
pub fn judge(here: Share, elsewhere: Share, limits: &Limits) -> Judged {
    let of_others = ratio(elsewhere.part, elsewhere.whole);
    let allowed = match of_others {
        None => limits.above_max,
        Some(others) => (others * limits.times_max).max(limits.share_min).min(others + limits.above_max),
    };
    let large = here.whole.max(here.part) >= limits.households_min && here.part >= limits.count_min;
    let share = ratio(here.part, here.whole);
    // A place that had nobody before has no share; that there are so many now is unusual by itself.
    let measured = share.unwrap_or(Decimal::ONE);
    judged(share, of_others, allowed, measured, large)
}

/// Judges how an amount changed in a place: it may go another way than elsewhere by `apart_max`.
pub fn judge_change(
    (before, after): (i64, i64),
    (others_before, others_after): (i64, i64),
    households: i64,
    apart_max: Decimal,
    limits: &Limits,
) -> Judged {
    let here = ratio(after - before, before);
    let elsewhere = ratio(others_after - others_before, others_before);
    let apart = (here.unwrap_or(Decimal::ONE) - elsewhere.unwrap_or(Decimal::ZERO)).abs();
    // Without others there is only the fixed bound.
    let allowed = if elsewhere.is_some() { apart_max } else { limits.above_max };
    judged(here, elsewhere, allowed, apart, households >= limits.households_min && (before, after) != (0, 0))
}

fn judged(
    here: Option<Decimal>,
    elsewhere: Option<Decimal>,
    allowed: Decimal,
    measured: Decimal,
    matters: bool,
) -> Judged {
    let unusual = matters && measured > allowed;
    Judged { here, elsewhere, allowed, unusual, score: score(measured, allowed) }
}

/// How many times the allowed a value is.
pub fn score(measured: Decimal, allowed: Decimal) -> Decimal {
    const MOST: Decimal = Decimal::ONE_THOUSAND;
    if measured.is_zero() {
        return Decimal::ZERO;
    }
    let times = measured.checked_div(allowed).unwrap_or(MOST).min(MOST);
    // Rounded up: what is over is never shown as just allowed.
    times.round_dp_with_strategy(2, RoundingStrategy::AwayFromZero)
}

/// A share; `None` of none.
pub fn ratio(part: i64, whole: i64) -> Option<Decimal> {
    (whole != 0).then(|| Decimal::from(part) / Decimal::from(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        households_min: 100,
        count_min: 20,
        share_min: Decimal::from_parts(2, 0, 0, false, 2),
        times_max: Decimal::from_parts(3, 0, 0, false, 0),
        above_max: Decimal::from_parts(25, 0, 0, false, 2),
    };

    fn share((part, whole): (i64, i64)) -> Share {
        Share { part, whole }
    }

    #[test]
    fn a_place_is_held_against_the_others() {
        for (here, elsewhere, allowed, unusual) in [
            // A wave: everyone in a province of 300, while one in a hundred changes elsewhere.
            ((300, 300), (197, 19_700), "0.03", true),
            ((10, 300), (197, 19_700), "0.03", false),
            // Three times as often as elsewhere is the bound, itself included.
            ((90, 3_000), (1_000, 100_000), "0.03", false),
            ((91, 3_000), (1_000, 100_000), "0.03", true),
            // Hardly ever elsewhere: a share that is no matter.
            ((1_000, 50_000), (0, 4_000_000), "0.02", false),
            ((1_001, 50_000), (0, 4_000_000), "0.02", true),
            // Everywhere: a new law.
            ((300, 300), (19_000, 19_700), "1.2144670050761421319796954315", false),
            // Often elsewhere: so much above.
            ((50, 100), (300, 1_000), "0.55", false),
            ((56, 100), (300, 1_000), "0.55", true),
            // Too few to be looked at.
            ((60, 99), (0, 20_000), "0.02", false),
            ((19, 100), (0, 20_000), "0.02", false),
            ((20, 100), (0, 20_000), "0.02", true),
            // The only place there is.
            ((26, 100), (0, 0), "0.25", true),
            ((25, 100), (0, 0), "0.25", false),
            // A place that had nobody before.
            ((100, 0), (10, 20_000), "0.02", true),
            ((99, 0), (10, 20_000), "0.02", false),
            ((0, 0), (0, 0), "0.25", false),
        ] {
            let judged = judge(share(here), share(elsewhere), &LIMITS);
            assert_eq!(
                (judged.allowed.normalize().to_string().as_str(), judged.unusual),
                (allowed, unusual),
                "{here:?} {elsewhere:?}"
            );
            assert!(!unusual || judged.score > Decimal::ONE);
        }
    }

    #[test]
    fn an_amount_may_go_another_way_than_elsewhere_by_so_much() {
        let tenth = Decimal::new(10, 2);
        for (here, elsewhere, households, unusual) in [
            ((1_000, 1_200), (100_000, 120_000), 500, false),
            ((1_000, 1_100), (100_000, 100_000), 500, false),
            ((1_000, 1_101), (100_000, 100_000), 500, true),
            ((1_000, 899), (100_000, 100_000), 500, true),
            // What does not rise with the others.
            ((1_000, 1_000), (100_000, 120_000), 500, true),
            ((1_000, 1_101), (100_000, 120_000), 500, false),
            ((1_000, 1_200), (100_000, 100_000), 99, false),
            ((0, 500), (100_000, 100_000), 500, true),
            ((0, 0), (100_000, 100_000), 500, false),
            ((1_000, 1_200), (0, 0), 500, false),
            ((1_000, 1_251), (0, 0), 500, true),
        ] {
            let judged = judge_change(here, elsewhere, households, tenth, &LIMITS);
            assert_eq!(judged.unusual, unusual, "{here:?} {elsewhere:?}");
        }
    }
}
