//! One line of JSON into one event, or into a code and a detail that name the field and what is wrong with it.
//!
//! Guarantee: no value of the line stands in a detail; a field that is not listed, stands twice or is no text is refused.
//! Limit: a line of at most [`LINE_BYTES_MAX`] bytes, all values texts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Refused;
use crate::domain::event::{Change, Event, EventId, NewAccount, Wanted, What};
use crate::domain::household::Means;
use crate::domain::ids::{Code, HouseholdId, IdError};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::person::Phone;
use crate::domain::rib::Rib;

/// A longer line is refused unread.
pub const LINE_BYTES_MAX: usize = 4096;
/// How far the sender's clock may be ahead.
const AHEAD_MAX: Duration = Duration::hours(1);

/// A line as far as it could be read.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its id, where that could be read.
    pub id: Option<EventId>,
    /// The event, or why it is none.
    pub event: Result<Event, Refused>,
}

/// All fields, in the order of [`Fields`].
const NAMES: [&str; 14] = [
    "id",
    "type",
    "programme",
    "household",
    "at",
    "period",
    "purpose",
    "amount",
    "account",
    "means",
    "phone",
    "provider",
    "reason",
    "",
];
const COMMON: usize = 5;

struct Fields<'a> {
    values: [Option<Cow<'a, str>>; NAMES.len()],
    fault: Option<Refused>,
}

/// Reads a line; `now` bounds its time.
pub(super) fn line(bytes: &[u8], now: OffsetDateTime) -> Line {
    if bytes.len() > LINE_BYTES_MAX {
        let detail = format!("the line is longer than {LINE_BYTES_MAX} bytes");
        return Line { id: None, event: Err(Refused { code: "too_long", detail }) };
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let fields = reader.deserialize_map(FieldsVisitor).and_then(|fields| reader.end().map(|()| fields));
    let Ok(mut fields) = fields else {
        let detail = "the line is not one JSON object".to_owned();
        return Line { id: None, event: Err(Refused { code: "not_json", detail }) };
    };
    let id = fields.take("id", |text| EventId::parse(text).map_err(of_id));
    let known = id.as_ref().ok().cloned();
    let fault = fields.fault.take();
    let event = match (fault, id) {
        (Some(fault), _) | (None, Err(fault)) => Err(fault),
        (None, Ok(id)) => fields.event(id, now),
    };
    Line { id: known, event }
}

fn bad(field: &str, what: impl fmt::Display) -> Refused {
    Refused { code: "bad_field", detail: format!("{field}: {what}") }
}

fn of_id(error: IdError) -> String {
    error.to_string()
}

impl Fields<'_> {
    /// Reads a field that must be there.
    fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Refused> {
        let at = NAMES.iter().position(|n| *n == name).expect("only listed fields are asked for");
        let Some(value) = self.values[at].take() else {
            return Err(Refused { code: "missing_field", detail: format!("{name}: missing") });
        };
        read(&value).map_err(|what| bad(name, what))
    }

    fn event(mut self, id: EventId, now: OffsetDateTime) -> Result<Event, Refused> {
        let kind = self.take("type", |text| {
            let known = ["order", "account", "death", "hold", "release"];
            known.into_iter().find(|k| *k == text).ok_or_else(|| format!("not one of {}", known.join(", ")))
        })?;
        let programme = self.code("programme")?;
        let household = self.take("household", |t| HouseholdId::parse(t.as_bytes()).map_err(of_id))?;
        let at = self.take("at", |text| {
            let at =
                OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "not a time of RFC 3339".to_owned())?;
            if at > now + AHEAD_MAX { Err("lies in the future".to_owned()) } else { Ok(at) }
        })?;
        let what = match kind {
            "order" => What::Order(self.wanted()?),
            "account" => What::Change(Change::Account(self.account()?)),
            "death" => What::Change(Change::Death),
            "hold" => What::Change(Change::Hold(self.code("reason")?)),
            _ => What::Change(Change::Release(self.code("reason")?)),
        };
        let unused = self.values.iter().skip(COMMON).position(Option::is_some);
        if let Some(at) = unused {
            let detail = format!("{}: not a field of this event", NAMES[COMMON + at]);
            return Err(Refused { code: "unknown_field", detail });
        }
        Ok(Event { id, programme, household, at, what })
    }

    fn code(&mut self, name: &'static str) -> Result<Code, Refused> {
        self.take(name, |text| Code::parse(text).map_err(of_id))
    }

    fn wanted(&mut self) -> Result<Wanted, Refused> {
        let period = self.take("period", |text| text.parse::<Period>().map_err(|e| e.to_string()))?;
        let purpose = self.code("purpose")?;
        let amount = self.take("amount", |text| {
            let amount = Centimes::parse_bytes(text.as_bytes()).map_err(|e| e.to_string())?;
            if amount > Centimes::ZERO { Ok(amount) } else { Err("not above zero".to_owned()) }
        })?;
        Ok(Wanted { period, purpose, amount })
    }

    fn account(&mut self) -> Result<NewAccount, Refused> {
        let means = self.take("means", |text| {
            Means::parse(text)
                .ok_or_else(|| "not one of bank_account, payment_account, wallet, cash".to_owned())
        })?;
        match means {
            Means::BankAccount | Means::PaymentAccount => {
                let rib = self.take("account", |text| Rib::parse(text).map_err(|e| e.to_string()))?;
                Ok(NewAccount::Rib { rib, means })
            }
            Means::Wallet | Means::Cash => {
                let phone = self.take("phone", |text| Phone::parse(text).map_err(of_id))?;
                Ok(NewAccount::Phone { phone, means, provider: self.code("provider")? })
            }
        }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields { values: [const { None }; NAMES.len()], fault: None };
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<Text<'de>>()?.0;
            // A field that nobody knows may have any name: it is not repeated in the answer.
            let at = name.and_then(|name| NAMES.iter().position(|n| !n.is_empty() && *n == name));
            let fault = match (at, value) {
                (None, _) => {
                    Refused { code: "unknown_field", detail: "a field that is not known".to_owned() }
                }
                (Some(at), None) => bad(NAMES[at], "not a text"),
                (Some(at), Some(_)) if fields.values[at].is_some() => bad(NAMES[at], "stands there twice"),
                (Some(at), Some(value)) => {
                    fields.values[at] = Some(value);
                    continue;
                }
            };
            fields.fault.get_or_insert(fault);
        }
        Ok(fields)
    }
}

/// A text, or nothing for a value of another kind, which is passed over.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-24 09:00 UTC);

    fn with(rest: &str) -> String {
        format!(
            r#"{{"id":"e:1","programme":"dss","household":"H1","at":"2026-11-24T09:59:00+01:00",{rest}}}"#
        )
    }

    #[test]
    fn each_type_has_its_fields() {
        let check = |rest: &str, kind: &str| {
            let line = line(with(rest).as_bytes(), NOW);
            assert_eq!(line.id, EventId::parse("e:1").ok(), "{rest}");
            let event = line.event.unwrap_or_else(|e| panic!("{rest}: {e:?}"));
            assert_eq!((event.kind(), event.at), (kind, datetime!(2026-11-24 08:59 UTC)));
        };
        check(r#""type":"order","period":"2026-11","purpose":"urgent","amount":"500.00""#, "order");
        check(r#""type":"account","means":"bank_account","account":"011780000019210016805555""#, "account");
        check(r#""type":"account","means":"cash","phone":"0612345678","provider":"m2t""#, "account");
        check(r#""type":"death""#, "death");
        check(r#""type":"hold","reason":"fraud""#, "hold");
        check(r#""type":"rele\u0061se","reason":"cleared""#, "release");
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        let order = r#""type":"order","period":"2026-11","purpose":"urgent","amount":"500.00""#;
        let check = |text: &str, id: bool, code: &str, detail: &str| {
            let line = line(text.as_bytes(), NOW);
            let refused = line.event.expect_err(text);
            assert_eq!(
                (refused.code, refused.detail.as_str(), line.id.is_some()),
                (code, detail, id),
                "{text}"
            );
        };
        for text in ["", "[]", "{", "7", &format!("{} {{}}", with(order)), "{\"id\":\"\u{1}\"}"] {
            check(text, false, "not_json", "the line is not one JSON object");
        }
        check(&" ".repeat(LINE_BYTES_MAX + 1), false, "too_long", "the line is longer than 4096 bytes");
        check("{}", false, "missing_field", "id: missing");
        check(r#"{"id":"a b"}"#, false, "bad_field", "id: malformed");
        check(r#"{"id":"a"}"#, true, "missing_field", "type: missing");
        let field = |rest: &str, code: &str, detail: &str| check(&with(rest), true, code, detail);
        field(r#""type":"gift""#, "bad_field", "type: not one of order, account, death, hold, release");
        field(r#""type":"death","reason":"x""#, "unknown_field", "reason: not a field of this event");
        field(r#""type":"death","0612345678":"x""#, "unknown_field", "a field that is not known");
        field(r#""type":"death","":"x""#, "unknown_field", "a field that is not known");
        field(r#""type":"death","type":"death""#, "bad_field", "type: stands there twice");
        field(r#""type":"death","id":"e:2""#, "bad_field", "id: stands there twice");
        field(&order.replace("\"500.00\"", "500.00"), "bad_field", "amount: not a text");
        field(&order.replace("\"500.00\"", "{\"a\":[1]}"), "bad_field", "amount: not a text");
        field(&order.replace("500.00", "500.001"), "bad_field", "amount: more than two decimals");
        field(&order.replace("500.00", "-1"), "bad_field", "amount: not above zero");
        field(
            &order.replace("2026-11", "2026-13"),
            "bad_field",
            "period: not a period of the form YYYY-MM between 2000-01 and 2199-12",
        );
        field(r#""type":"order","period":"2026-11","purpose":"urgent""#, "missing_field", "amount: missing");
        let account = r#""type":"account","means":"bank_account","account":"011780000019210016805556""#;
        field(account, "bad_field", "account: RIB key does not match");
        field(&account.replace("bank_account", "cash"), "missing_field", "phone: missing");
        field(
            r#""type":"account","means":"cash","phone":"0512345678","provider":"m2t""#,
            "bad_field",
            "phone: malformed",
        );
        let late = with(r#""type":"death""#).replace("T09:59", "T11:01");
        check(&late, true, "bad_field", "at: lies in the future");
        check(&late.replace("2026-11-24T", "24/11/2026 "), true, "bad_field", "at: not a time of RFC 3339");
    }
}
