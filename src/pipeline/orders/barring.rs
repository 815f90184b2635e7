//! Runs whose orders bar a household from another: the same claim, or a benefit that may not be drawn together.

use sqlx::PgConnection;

use crate::config::{Config, ConfiguredProgramme};
use crate::domain::ids::RunId;
use crate::domain::period::Period;
use crate::domain::programme::Programme;
use crate::domain::run::RunKind;
use crate::store::StoreError;
use crate::store::runs::{self, Run, day_runs};

/// A run whose orders bar a household from another.
pub(in crate::pipeline) struct Barring {
    pub run: Run,
    /// Its orders stand in the order of their arrival.
    pub by_arrival: bool,
}

/// Runs whose orders bar a household from this one: the same claim, or a benefit that may not be drawn together.
pub(in crate::pipeline) async fn barring_runs(
    config: &Config,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    period: Period,
    run: RunId,
) -> Result<Vec<Barring>, StoreError> {
    let rules = &programme.rules;
    let codes: Vec<String> =
        std::iter::once(rules.code()).chain(rules.not_with()).map(ToString::to_string).collect();
    let live = runs::live_of_period_in_tx(tx, &codes, period, Some(run)).await?;
    of_own_purpose(config, tx, live).await
}

/// Runs of benefits that may not be drawn together with a programme's.
pub(in crate::pipeline) async fn barring_by_others(
    config: &Config,
    tx: &mut PgConnection,
    rules: &Programme,
    period: Period,
) -> Result<Vec<RunId>, StoreError> {
    let codes: Vec<String> = rules.not_with().iter().map(ToString::to_string).collect();
    let live = runs::live_of_period_in_tx(tx, &codes, period, None).await?;
    Ok(of_own_purpose(config, tx, live).await?.into_iter().map(|barring| barring.run.id).collect())
}

/// Leaves out runs of another purpose than their programme's own: urgent aid, arrears, grants and deposits are no claim on
/// the month's.
pub(super) async fn of_own_purpose(
    config: &Config,
    tx: &mut PgConnection,
    runs: Vec<Run>,
) -> Result<Vec<Barring>, StoreError> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let gathering = day_runs::purposes_in_tx(tx, &ids).await?;
    let own = |run: &Run, purpose: &str| {
        config.programme(&run.programme).is_none_or(|p| p.rules.purpose().as_str() == purpose)
    };
    Ok(runs
        .into_iter()
        .filter(|run| matches!(run.kind, RunKind::Regular | RunKind::OffCycle))
        .filter(|run| gathering.get(&run.id).is_none_or(|purpose| own(run, purpose)))
        .map(|run| Barring { by_arrival: gathering.contains_key(&run.id), run })
        .collect())
}
