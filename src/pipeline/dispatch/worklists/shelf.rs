//! Which orders of a run lie at which payment point, kept in memory: orders are immutable, so that a run is read once.
//!
//! Limit: a few runs and providers are kept, the others read again; runs that still grow are never kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::slug;
use crate::store::messages::worklists::{self, OpenRun, PointDay};
use crate::store::{Store, StoreError};

/// Entries of each kind; beyond, all of the kind are dropped.
const KEPT_MAX: usize = 32;

type Kept<K, V> = Mutex<HashMap<K, Arc<OnceCell<Arc<V>>>>>;
/// Places by point.
type Points = HashMap<String, Vec<i32>>;
/// (place, order), ascending.
type Orders = Vec<(i32, i64)>;

#[derive(Default)]
pub(super) struct Shelf {
    /// By snapshot.
    points: Kept<i64, Points>,
    /// By run and provider.
    orders: Kept<(i64, i16), Orders>,
}

impl Shelf {
    /// A provider's orders of a run at a point; `None` where the run's snapshot does not know the point.
    pub(super) async fn orders_at(
        &self,
        store: &Store,
        run: &OpenRun,
        at: PointDay<'_>,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        let points = cell(&self.points, run.snapshot.get());
        let points = points.get_or_try_init(|| read_points(store, run)).await?;
        let Some(places) = points.get(at.point) else { return Ok(None) };
        if run.grows {
            let found = worklists::orders_by_place(store, run.id, at.provider, Some(places)).await?;
            return Ok(Some(found.into_iter().map(|(_, order)| order).collect()));
        }
        let orders = cell(&self.orders, (run.id.get(), at.provider));
        let orders = orders
            .get_or_try_init(|| async {
                worklists::orders_by_place(store, run.id, at.provider, None).await.map(Arc::new)
            })
            .await?;
        Ok(Some(places.iter().flat_map(|place| of_place(orders, *place)).collect()))
    }
}

fn of_place(orders: &[(i32, i64)], place: i32) -> impl Iterator<Item = i64> {
    let first = orders.partition_point(|(at, _)| *at < place);
    let end = orders.partition_point(|(at, _)| *at <= place);
    orders[first..end].iter().map(|(_, order)| *order)
}

fn cell<K: Eq + Hash, V>(kept: &Kept<K, V>, key: K) -> Arc<OnceCell<Arc<V>>> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
        kept.clear();
    }
    Arc::clone(kept.entry(key).or_default())
}

async fn read_points(store: &Store, run: &OpenRun) -> Result<Arc<Points>, StoreError> {
    Ok(Arc::new(points_of(&worklists::places(store, run.snapshot).await?)))
}

/// A commune's slug is its point; where communes of several provinces bear one name, the province goes before.
fn points_of(places: &[(i32, String, String)]) -> Points {
    let mut provinces: HashMap<String, Vec<&str>> = HashMap::new();
    for (_, province, commune) in places {
        let of_name = provinces.entry(slug(commune)).or_default();
        if !of_name.contains(&province.as_str()) {
            of_name.push(province);
        }
    }
    let mut points = Points::new();
    for (id, province, commune) in places {
        let commune = slug(commune);
        let alone = provinces[&commune].len() == 1;
        let point = if alone { commune } else { format!("{}.{commune}", slug(province)) };
        points.entry(point).or_default().push(*id);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_borne_twice_needs_its_province() {
        let place = |id, province: &str, commune: &str| (id, province.to_owned(), commune.to_owned());
        let points = points_of(&[
            place(0, "Rabat", "Rabat"),
            place(1, "Salé", "Ouled Ali"),
            place(2, "Fès", "Ouled Ali"),
            place(3, "Fès", "Aïn-Chkef"),
            place(4, "Fès", "Ain Chkef"),
        ]);
        let mut seen: Vec<(&str, &[i32])> = points.iter().map(|(p, ids)| (p.as_str(), &ids[..])).collect();
        seen.sort_unstable();
        let expected: [(&str, &[i32]); 4] =
            [("ain-chkef", &[3, 4]), ("fes.ouled-ali", &[2]), ("rabat", &[0]), ("sale.ouled-ali", &[1])];
        assert_eq!(seen, expected);
    }

    #[test]
    fn orders_of_a_place_are_found() {
        let orders = [(1, 10), (1, 12), (3, 11), (4, 13)];
        for (place, expected) in [(0, &[][..]), (1, &[10, 12]), (2, &[]), (3, &[11]), (4, &[13]), (5, &[])] {
            assert_eq!(of_place(&orders, place).collect::<Vec<i64>>(), expected, "{place}");
        }
    }
}
