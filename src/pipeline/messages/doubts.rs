//! Reasons that throw doubt on a payee (deceased, fraud): a break is opened beside the order's outcome, once for each order.
//! Until a person resolves it, the household's later orders are held.

use super::apply::Applier;
use super::parse::Line;
use crate::domain::order::{OrderEvent, OrderState};
use crate::pipeline::exceptions::doubts;
use crate::store::messages::feedback::OrderFacts;

impl Applier<'_> {
    /// Opens the break, where the policy says that a person must look into what was said of an order.
    pub(super) fn note_doubt(&mut self, facts: &OrderFacts, event: OrderEvent, line: &Line) {
        let state = match event {
            OrderEvent::Reject => OrderState::Rejected,
            OrderEvent::Return => OrderState::Returned,
            OrderEvent::Expire => OrderState::Expired,
            _ => return,
        };
        let reason = line.why.code.as_deref();
        if !line.why.case && !self.context.config.reasons.throws_doubt(state, reason) {
            return;
        }
        let detail = format!("{state} with {}", line.why.told.as_deref().unwrap_or("no reason"));
        let mut found = doubts::new(facts.order, facts.provider, facts.amount, detail);
        found.message = Some(self.message);
        found.entry = Some(line.entry).filter(|entry| *entry > 0);
        self.breaks.push(found);
    }
}
