//! What a bank file says: its head, and each order as a credit transfer, from the rows and what was fixed with the batch's intent.
//!
//! Guarantee: the same rows and the same intent give the same bytes, whatever the configuration says by then.

use crate::config::Config;
use crate::domain::country;
use crate::domain::file_profile::{Addresses, Debits, FileProfile, Remittance as PayeeReads, Seat};
use crate::domain::ids::{Code, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::order::{OrderKey, OrderNames};
use crate::domain::period::Period;
use crate::domain::provider::{AccountFormat, Provider};
use crate::domain::rib::Rib;
use crate::iso20022::pain001::{
    Account, Agent, CreditorAccount, Header, PaymentInfo, PostalAddress, Remittance, Transaction,
};
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::orders::personal::{self, OrderPayee};

/// What the configuration puts into a file: fixed with its intent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(in crate::pipeline) struct MadeWith {
    programme: String,
    category_purpose: String,
    purpose: String,
    debtor_name: String,
    debtor_id: String,
    debtor_account: String,
    bic: Option<String>,
    member: String,
    iban: bool,
    /// Absent in what was fixed before there were profiles.
    #[serde(default)]
    profile: FileProfile,
    #[serde(default)]
    seat: Option<Seat>,
}

impl MadeWith {
    /// As configured now.
    pub fn configured(config: &Config, programme: &str, provider: &Provider) -> Result<Self, StoreError> {
        let rules = &config.programme(programme).ok_or(StoreError::Corrupt("programme of a run"))?.rules;
        let debtor = &config.settings.debtor;
        Ok(Self {
            programme: rules.code().to_string(),
            category_purpose: rules.category_purpose().as_str().to_owned(),
            purpose: rules.purpose_code().as_str().to_owned(),
            debtor_name: debtor.name.clone(),
            debtor_id: debtor.id.clone(),
            debtor_account: provider.debtor_account.reveal().to_owned(),
            bic: provider.bic.clone(),
            member: provider.member_id().to_owned(),
            iban: provider.account_format == AccountFormat::Iban,
            profile: provider.file.clone(),
            seat: debtor.seat.clone(),
        })
    }
}

/// One order as a file needs it.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct FileOrder<'a> {
    pub order: OrderId,
    pub household: HouseholdId,
    pub period: Period,
    pub purpose: &'a Code,
    pub attempt: u16,
    pub amount: Centimes,
    /// Encoded.
    pub payee: &'a [u8],
}

/// Writes heads and transfers of one provider's files; keeps its buffers.
pub(in crate::pipeline) struct Format {
    with: MadeWith,
    programme: Code,
    debtor_iban: String,
    end_to_end: String,
    uetr: String,
    account: String,
    remittance: String,
    payee: OrderPayee,
}

impl Format {
    pub fn new(with: MadeWith) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("what a file was made with");
        let debtor = Rib::parse(&with.debtor_account).map_err(|_| corrupt())?;
        Ok(Self {
            programme: Code::parse(&with.programme).map_err(|_| corrupt())?,
            debtor_iban: debtor.iban(),
            with,
            end_to_end: String::new(),
            uetr: String::new(),
            account: String::new(),
            remittance: String::new(),
            payee: OrderPayee { name: String::new(), account: String::new(), phone: None },
        })
    }

    /// The head of a batch's file.
    pub fn header<'a>(&'a self, batch: &'a Batch) -> Result<Header<'a>, StoreError> {
        let missing = || StoreError::Corrupt("intent of a batch");
        let (with, message_id) = (&self.with, batch.message_id.as_deref().ok_or_else(missing)?);
        Ok(Header {
            msg_id: message_id,
            created: batch.created_at.ok_or_else(missing)?,
            initiating_party_name: &with.debtor_name,
            initiating_party_id: if with.profile.initiator_id { &with.debtor_id } else { "" },
            orders: batch.orders as u64,
            control_sum: batch.amount,
            payment: PaymentInfo {
                id: message_id,
                batch_booking: with.profile.debits == Debits::PerFile,
                execution_date: batch.value_date.ok_or_else(missing)?,
                service_level: with.profile.service_level.as_deref().unwrap_or(""),
                category_purpose: if with.profile.purposes { &with.category_purpose } else { "" },
                debtor_name: &with.debtor_name,
                debtor_address: debtor_address(with),
                debtor_account: if with.iban {
                    Account::Iban(&self.debtor_iban)
                } else {
                    Account::Rib(&with.debtor_account)
                },
                debtor_agent: agent(with),
                charge_bearer: with.profile.charge_bearer,
            },
        })
    }

    /// Tells `put` of an order as a transfer.
    pub fn transfer<T, E: From<StoreError>>(
        &mut self,
        of: &FileOrder<'_>,
        put: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let names = OrderNames::of(&OrderKey {
            programme: &self.programme,
            period: of.period,
            household: of.household,
            purpose: of.purpose,
            attempt: of.attempt,
        });
        self.end_to_end.clear();
        names.write_end_to_end(&self.programme, of.period, of.order, &mut self.end_to_end);
        self.uetr.clear();
        names.write_uetr(&mut self.uetr);
        personal::decode_order_payee(of.payee, &mut self.payee)?;
        let account = creditor_account(self.with.iban, &self.payee, &mut self.account);
        let profile = &self.with.profile;
        let remittance = match profile.remittance {
            PayeeReads::Nothing => Remittance::None,
            PayeeReads::Text => {
                self.remittance.clear();
                self.remittance.push_str(&format!(
                    "{} {}",
                    self.with.programme.to_ascii_uppercase(),
                    of.period
                ));
                Remittance::Text(&self.remittance)
            }
            PayeeReads::Reference => Remittance::Reference(&self.end_to_end),
        };
        put(&Transaction {
            instr_id: if profile.instruction_ids { &self.end_to_end } else { "" },
            end_to_end_id: &self.end_to_end,
            uetr: profile.uetr.then_some(self.uetr.as_str()),
            amount: of.amount,
            creditor_agent: Some(agent(&self.with)),
            creditor_name: shortened(&self.payee.name, usize::from(profile.names_max)),
            creditor_address: (profile.addresses != Addresses::Nothing)
                .then(|| PostalAddress::Country(country::code())),
            creditor_account: account,
            purpose: if profile.purposes { &self.with.purpose } else { "" },
            remittance,
        })
    }
}

/// The debtor's address as the bank wants it.
fn debtor_address(with: &MadeWith) -> Option<PostalAddress<'_>> {
    let country = country::code();
    match (with.profile.addresses, &with.seat) {
        (Addresses::Nothing, _) => None,
        (Addresses::Structured, Some(Seat { street, postal_code, town })) => {
            Some(PostalAddress::Structured { street, postal_code, town, country })
        }
        (Addresses::Lines, Some(Seat { street, postal_code, town })) => {
            Some(PostalAddress::Lines { street, postal_code, town, country })
        }
        (Addresses::Country, _) | (Addresses::Structured | Addresses::Lines, None) => {
            Some(PostalAddress::Country(country))
        }
    }
}

/// A name of so many characters at most, cut between words where it has any.
fn shortened(name: &str, max: usize) -> &str {
    let Some((end, _)) = name.char_indices().nth(max) else { return name };
    // A word that ends just there is whole.
    let cut = if name[end..].starts_with(' ') { end } else { name[..end].rfind(' ').unwrap_or(end) };
    name[..cut].trim_end()
}

fn agent(with: &MadeWith) -> Agent<'_> {
    with.bic.as_deref().map_or_else(|| Agent::Member(&with.member), Agent::Bic)
}

/// The account as the provider wants it written; a phone where the phone identifies.
fn creditor_account<'a>(iban: bool, payee: &'a OrderPayee, text: &'a mut String) -> CreditorAccount<'a> {
    text.clear();
    if let Some(phone) = payee.phone {
        text.push_str(&phone.reveal());
        return CreditorAccount::Proxy { kind: "TELE", id: text };
    }
    if !iban {
        return CreditorAccount::Account(Account::Rib(&payee.account));
    }
    text.extend(country::iban_prefix().map(char::from));
    text.push_str(&payee.account);
    CreditorAccount::Account(Account::Iban(text))
}
