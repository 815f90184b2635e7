//! Which provider pays a household: by the bank code of its account, or as the payee chose.

use std::collections::HashMap;

use super::household::{Household, Means};
use super::ids::Code;
use super::money::Centimes;
use super::provider::Provider;
use super::reason::HoldReason;
use super::rib::{Rib, RibError};

/// Why the providers of a configuration cannot be routed to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteTableError {
    /// Two providers bear one code, or codes that differ in their spelling only.
    #[error("provider `{0}` is configured twice")]
    Twice(Code),
    /// A bank code that is not three digits.
    #[error("provider `{0}`: bank code `{1}` is not three digits")]
    BankCode(Code, String),
    /// Two providers claim one bank code.
    #[error("bank code `{0}` belongs to both `{1}` and `{2}`")]
    SharedBankCode(String, Code, Code),
    /// No capacity means no wave.
    #[error("provider `{0}`: daily_capacity must be at least 1")]
    NoCapacity(Code),
}

/// Finds the provider of a household.
#[derive(Debug)]
pub struct Router {
    providers: Vec<Provider>,
    by_bank_code: HashMap<u16, usize>,
    by_code: HashMap<Code, usize>,
}

/// Where a household's order goes; a reason when it must be held all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index into [`Router::providers`]; `None` when no provider was found.
    pub provider: Option<usize>,
    /// Why it is held.
    pub hold: Option<HoldReason>,
}

impl Router {
    /// Builds the routing table.
    ///
    /// # Errors
    /// See [`RouteTableError`].
    pub fn new(providers: Vec<Provider>) -> Result<Self, RouteTableError> {
        let (mut by_bank_code, mut by_code) = (HashMap::new(), HashMap::new());
        for (index, provider) in providers.iter().enumerate() {
            if by_code.insert(folded(&provider.code), index).is_some() {
                return Err(RouteTableError::Twice(provider.code.clone()));
            }
            if provider.daily_capacity == 0 {
                return Err(RouteTableError::NoCapacity(provider.code.clone()));
            }
            for code in &provider.bank_codes {
                let number = bank_number(code)
                    .ok_or_else(|| RouteTableError::BankCode(provider.code.clone(), code.clone()))?;
                if let Some(other) = by_bank_code.insert(number, index) {
                    let other: &Provider = &providers[other];
                    return Err(RouteTableError::SharedBankCode(
                        code.clone(),
                        other.code.clone(),
                        provider.code.clone(),
                    ));
                }
            }
        }
        Ok(Self { providers, by_bank_code, by_code })
    }

    /// Changes terms of providers, but not the codes that they are found by: for sandboxes, whose address is known late.
    pub fn change_terms(&mut self, change: impl FnMut(&mut Provider)) {
        self.providers.iter_mut().for_each(change);
    }

    /// All providers, in the order of the configuration.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider of a code, however it is spelled.
    pub fn by_code(&self, code: &str) -> Option<(usize, &Provider)> {
        let index = self.index_of(&Code::parse(code).ok()?)?;
        Some((index, &self.providers[index]))
    }

    fn index_of(&self, code: &Code) -> Option<usize> {
        // Lists are folded as they are read: most codes are found as they are.
        self.by_code.get(code).or_else(|| self.by_code.get(&folded(code))).copied()
    }

    /// Finds where an order of `amount` for this household goes.
    pub fn route(&self, household: &Household, amount: Centimes) -> Route {
        match household.means {
            Means::BankAccount | Means::PaymentAccount => self.route_account(household, amount),
            Means::Wallet | Means::Cash => self.route_phone(household, amount),
        }
    }

    fn route_account(&self, household: &Household, amount: Centimes) -> Route {
        let rib = match Rib::parse(&household.payee.account) {
            Ok(rib) => rib,
            Err(error) => {
                let hold = match error {
                    RibError::BadKey => HoldReason::RibBadKey,
                    RibError::Malformed => HoldReason::RibMalformed,
                };
                return Route { provider: None, hold: Some(hold) };
            }
        };
        let serving = bank_number(rib.bank_code()).and_then(|number| self.by_bank_code.get(&number));
        let Some(&index) = serving.filter(|i| self.providers[**i].means.contains(&household.means)) else {
            return Route { provider: None, hold: Some(HoldReason::UnknownBank) };
        };
        self.under_ceiling(index, household, amount)
    }

    fn route_phone(&self, household: &Household, amount: Centimes) -> Route {
        let named = household.provider.as_ref().and_then(|code| self.index_of(code));
        let sole = || {
            let mut serving =
                self.providers.iter().enumerate().filter(|(_, p)| p.means.contains(&household.means));
            serving.next().map(|(i, _)| i).filter(|_| serving.next().is_none())
        };
        // Without a choice of the payee's, only a sole provider can be meant.
        let found = if household.provider.is_some() { named } else { sole() };
        match found.filter(|i| self.providers[*i].means.contains(&household.means)) {
            None => Route { provider: None, hold: Some(HoldReason::NoProvider) },
            Some(index) if household.payee.phone.is_none() => {
                Route { provider: Some(index), hold: Some(HoldReason::PhoneMissing) }
            }
            Some(index) => self.under_ceiling(index, household, amount),
        }
    }

    fn under_ceiling(&self, index: usize, household: &Household, amount: Centimes) -> Route {
        let over =
            self.providers[index].ceiling(household.account_level).is_some_and(|ceiling| amount > ceiling);
        Route { provider: Some(index), hold: over.then_some(HoldReason::OverCeiling) }
    }
}

/// The spelling that codes are compared in.
fn folded(code: &Code) -> Code {
    Code::folded(code.as_str()).unwrap_or_else(|_| code.clone())
}

fn bank_number(code: &str) -> Option<u16> {
    (code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit())).then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::household::Payee;
    use super::super::person::Phone;
    use super::super::provider::{FeeAbove, FeeBand};
    use super::*;

    fn provider(code: &str, bank: &str, means: &str, ceilings: &str) -> Provider {
        let account = Rib::compose(bank, "810", "0000000000000001").unwrap();
        let text = format!(
            "code = \"{code}\"\nname = \"x\"\nbank_codes = [\"{bank}\"]\nverified = false\nmeans = [{means}]\n\
             account_format = \"rib\"\ndebtor_account = \"{}\"\ndaily_capacity = 10\ncutoff = \"15:00\"\n\
             lead_days = 1\ndefault_level = 2\nceilings = [{ceilings}]",
            account.reveal()
        );
        toml::from_str(&text).unwrap()
    }

    fn household(
        means: Means,
        account: &str,
        provider: Option<&str>,
        level: Option<u8>,
        phone: bool,
    ) -> Household {
        let sample = Household::sample();
        let phone = phone.then(|| Phone::from_stored(612_345_678));
        let payee = Payee { phone, account: account.into(), ..sample.payee.clone() };
        let provider = provider.map(|p| Code::parse(p).unwrap());
        Household { payee, means, provider, account_level: level, ..sample }
    }

    #[test]
    fn routes_by_means_bank_and_level() {
        let router = Router::new(vec![
            provider("bank", "007", "\"bank_account\"", ""),
            provider(
                "cashplus",
                "802",
                "\"payment_account\", \"cash\"",
                "\"200.00\", \"5000.00\", \"20000.00\"",
            ),
            provider("m2t", "807", "\"payment_account\", \"cash\"", "\"200.00\", \"5000.00\", \"20000.00\""),
            provider("wallet", "899", "\"wallet\"", "\"5000.00\""),
        ])
        .unwrap();
        let rib = |bank| Rib::compose(bank, "810", "0000000000000042").unwrap().reveal().to_owned();
        let mut bad_key = rib("007");
        bad_key.replace_range(22.., if bad_key.ends_with("11") { "12" } else { "11" });
        use HoldReason as R;
        use Means::{BankAccount, Cash, PaymentAccount, Wallet};
        type Row = (
            &'static str,
            Means,
            String,
            Option<&'static str>,
            Option<u8>,
            bool,
            Option<usize>,
            Option<HoldReason>,
        );
        let rows: [Row; 13] = [
            ("bank", BankAccount, rib("007"), None, None, true, Some(0), None),
            ("bad key", BankAccount, bad_key, None, None, true, None, Some(R::RibBadKey)),
            ("short", BankAccount, "123".into(), None, None, true, None, Some(R::RibMalformed)),
            ("unknown bank", BankAccount, rib("999"), None, None, true, None, Some(R::UnknownBank)),
            ("wrong means", BankAccount, rib("802"), None, None, true, None, Some(R::UnknownBank)),
            ("level unknown", PaymentAccount, rib("802"), None, None, true, Some(1), None),
            ("level 1", PaymentAccount, rib("802"), None, Some(1), true, Some(1), Some(R::OverCeiling)),
            ("level 3", PaymentAccount, rib("802"), None, Some(3), true, Some(1), None),
            ("wallet", Wallet, String::new(), None, None, true, Some(3), None),
            ("no phone", Wallet, String::new(), Some("wallet"), None, false, Some(3), Some(R::PhoneMissing)),
            ("cash, whose?", Cash, String::new(), None, None, true, None, Some(R::NoProvider)),
            ("cash", Cash, String::new(), Some("m2t"), None, true, Some(2), None),
            ("spelled otherwise", Cash, String::new(), Some("M2T"), None, true, Some(2), None),
        ];
        for (name, means, account, chosen, level, phone, provider, hold) in rows {
            let household = household(means, &account, chosen, level, phone);
            let route = router.route(&household, Centimes::from_mad(500));
            assert_eq!(route, Route { provider, hold }, "{name}");
        }
    }

    #[test]
    fn the_fee_above_the_last_band_is_a_setting() {
        let bands = "[{ up_to = \"500.00\", fee = \"8.00\" }, { up_to = \"2000.00\", fee = \"24.00\" }]";
        for (bands, above, amount, fee) in [
            (bands, "last", 500, 8),
            (bands, "last", 501, 24),
            (bands, "last", 3_000, 24),
            (bands, "none", 2_000, 24),
            (bands, "none", 2_001, 0),
            (bands, "32.00", 2_001, 32),
            ("[]", "last", 3_000, 0),
            ("[]", "5.00", 1, 5),
        ] {
            let mut provider = provider("p", "007", "\"cash\"", "");
            #[derive(serde::Deserialize)]
            struct Terms {
                fees: Vec<FeeBand>,
                fee_above: FeeAbove,
            }
            let terms: Terms = toml::from_str(&format!("fees = {bands}\nfee_above = \"{above}\"")).unwrap();
            (provider.fees, provider.fee_above) = (terms.fees, terms.fee_above);
            assert_eq!(provider.fee(Centimes::from_mad(amount)), Centimes::from_mad(fee), "{above} {amount}");
        }
        for wrong in ["highest", "-1.00", ""] {
            let read: Result<FeeAbove, _> = toml::Value::String(wrong.into()).try_into();
            assert!(read.is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bank_code_has_one_owner() {
        let twice =
            Router::new(vec![provider("a", "007", "\"cash\"", ""), provider("b", "007", "\"cash\"", "")]);
        assert!(matches!(twice, Err(RouteTableError::SharedBankCode(..))));
    }
}
