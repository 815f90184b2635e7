//! Reasons that throw doubt on a payee (deceased, fraud): a break is opened beside the order's outcome, once for each order.
//! Until a person resolves it, the household's later orders are held.

use super::apply::Applier;
use super::parse::Line;
use crate::domain::order::OrderState;
use crate::pipeline::exceptions::doubts;
use crate::store::messages::feedback::OrderFacts;

impl Applier<'_> {
    /// Opens the break over an order that ended so.
    pub(super) fn open_doubt(&mut self, facts: &OrderFacts, state: OrderState, line: &Line) {
        let detail = format!("{state} with {}", line.why.told.as_deref().unwrap_or("no reason"));
        let mut found = doubts::new(facts.order, facts.provider, facts.amount, detail);
        found.message = Some(self.message.id);
        found.entry = Some(line.entry).filter(|entry| *entry > 0);
        self.effects.breaks.push(found);
    }
}
