//! What a provider is told of an order: its names, the amount, and no more of the payee than paying needs.

use crate::domain::household::Means;
use crate::domain::ids::{Code, OrderId};
use crate::domain::order::{OrderKey, OrderNames};
use crate::domain::provider::Provider;
use crate::rails::stream::Instruction;
use crate::store::StoreError;
use crate::store::batches::shards::Waiting;
use crate::store::orders::personal::{self, OrderPayee};

/// An order and how its provider is told of it.
#[derive(Clone, Debug)]
pub struct Named {
    /// Number.
    pub order: OrderId,
    /// What the provider is told; its key names the order there.
    pub instruction: Instruction,
}

/// Names orders of one programme for their provider.
///
/// # Errors
/// When what is stored of them cannot be read back.
pub fn name(programme: &Code, provider: &Provider, waiting: &[Waiting]) -> Result<Vec<Named>, StoreError> {
    let mut payee = OrderPayee { name: String::new(), account: String::new(), phone: None };
    waiting.iter().map(|order| name_one(programme, provider, order, &mut payee)).collect()
}

fn name_one(
    programme: &Code,
    provider: &Provider,
    order: &Waiting,
    payee: &mut OrderPayee,
) -> Result<Named, StoreError> {
    let purpose = Code::parse(&order.purpose).map_err(|_| StoreError::Corrupt("purpose"))?;
    let names = OrderNames::of(&OrderKey {
        programme,
        period: order.period,
        household: order.household,
        purpose: &purpose,
        attempt: order.attempt,
    });
    let (mut key, mut uetr) = (String::with_capacity(35), String::with_capacity(36));
    names.write_end_to_end(programme, order.period, order.order, &mut key);
    names.write_uetr(&mut uetr);
    personal::decode_order_payee(&order.payee, payee)?;
    let means = match payee.phone {
        None => Means::PaymentAccount,
        Some(_) if provider.means.contains(&Means::Wallet) => Means::Wallet,
        Some(_) => Means::Cash,
    };
    Ok(Named {
        order: order.order,
        instruction: Instruction {
            key,
            uetr,
            amount: order.amount,
            means,
            name: payee.name.clone(),
            phone: payee.phone.map(|p| p.reveal()),
            account: (!payee.account.is_empty()).then(|| payee.account.clone()),
            cin: None,
        },
    })
}
