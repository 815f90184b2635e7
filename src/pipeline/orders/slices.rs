//! Cuts each provider's orders into waves (what it takes a day) and slices (what goes into one file).

use crate::domain::batch::Slice;
use crate::domain::ids::OrderId;
use crate::domain::money::Centimes;

/// Cuts the orders of one provider as they come.
#[derive(Debug)]
pub struct Slicer {
    daily_capacity: u32,
    orders_per_file: u32,
    wave: i16,
    in_wave: u32,
    slices: Vec<Slice>,
}

impl Slicer {
    /// Waves of at most `daily_capacity` orders, files of at most `orders_per_file`.
    pub fn new(daily_capacity: u32, orders_per_file: u32) -> Self {
        Self {
            daily_capacity,
            orders_per_file: orders_per_file.max(1),
            wave: 1,
            in_wave: 0,
            slices: Vec::new(),
        }
    }

    /// Takes the next order and tells its wave.
    pub fn push(&mut self, order: OrderId, amount: Centimes) -> i16 {
        if self.in_wave == self.daily_capacity {
            self.wave = self.wave.saturating_add(1);
            self.in_wave = 0;
        }
        self.in_wave += 1;
        match self.slices.last_mut() {
            Some(slice) if slice.wave == self.wave && slice.orders < i64::from(self.orders_per_file) => {
                slice.last = order;
                slice.orders += 1;
                slice.amount += amount;
            }
            last => {
                let sequence = last.filter(|s| s.wave == self.wave).map_or(1, |s| s.sequence + 1);
                self.slices.push(Slice {
                    wave: self.wave,
                    sequence,
                    first: order,
                    last: order,
                    orders: 1,
                    amount,
                });
            }
        }
        self.wave
    }

    /// All slices.
    pub fn finish(self) -> Vec<Slice> {
        self.slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_waves_and_files() {
        let mut slicer = Slicer::new(5, 2);
        let waves: Vec<i16> = (1..=8).map(|n| slicer.push(OrderId::new(n * 10), Centimes::new(n))).collect();
        assert_eq!(waves, [1, 1, 1, 1, 1, 2, 2, 2]);
        let cut: Vec<_> = slicer
            .finish()
            .iter()
            .map(|s| (s.wave, s.sequence, s.first.get(), s.last.get(), s.orders, s.amount.get()))
            .collect();
        assert_eq!(
            cut,
            [
                (1, 1, 10, 20, 2, 3),
                (1, 2, 30, 40, 2, 7),
                (1, 3, 50, 50, 1, 5),
                (2, 1, 60, 70, 2, 13),
                (2, 2, 80, 80, 1, 8)
            ]
        );
    }
}
