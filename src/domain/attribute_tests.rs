//! What attributes may be, and what may be asked of them.

use super::*;

fn types() -> AttributeTypes {
    toml::from_str(
        "mountain = { type = \"boolean\", required = true }\n\
         herd = { type = \"integer\", min = 0, max = 500 }\n\
         roof = { type = \"code\", values = [\"earth\", \"tin\"] }",
    )
    .unwrap()
}

fn value(name: &str, text: &str) -> Result<Option<String>, AttributeProblem> {
    let types = types();
    let of = &types[&Code::parse(name).unwrap()];
    of.read(text).map(|value| value.map(|value| value.to_string()))
}

#[test]
fn values_are_of_their_type() {
    use AttributeProblem as P;
    let some = |text: &str| Ok(Some(text.to_owned()));
    for (name, text, expected) in [
        ("mountain", "Yes", some("true")),
        ("mountain", "0", some("false")),
        ("mountain", "", Err(P::Missing)),
        ("mountain", "maybe", Err(P::Malformed)),
        ("herd", " 12 ", some("12")),
        ("herd", "", Ok(None)),
        ("herd", "501", Err(P::OutOfRange)),
        ("herd", "-1", Err(P::OutOfRange)),
        ("herd", "99999999999999999999", Err(P::OutOfRange)),
        ("herd", "1.5", Err(P::Malformed)),
        ("roof", "Tin", some("tin")),
        ("roof", "", Ok(None)),
        ("roof", "straw", Err(P::UnknownValue)),
        ("roof", "!", Err(P::Malformed)),
    ] {
        assert_eq!(value(name, text), expected, "{name} {text}");
    }
}

#[test]
fn conditions_are_met_by_values_that_are_given() {
    let conditions = |text: &str| toml::from_str::<AttributeConditions>(text).unwrap();
    let mut household = Attributes::default();
    for (name, text) in [("herd", "5"), ("mountain", "true"), ("roof", "tin")] {
        let name = Code::parse(name).unwrap();
        let value = types()[&name].read(text).unwrap().unwrap();
        household.push(name, value);
    }
    for (text, met) in [
        ("", true),
        ("mountain = true", true),
        ("mountain = false", false),
        ("herd = { min = 5 }", true),
        ("herd = { max = 4 }", false),
        ("roof = [\"earth\"]", false),
        ("roof = [\"earth\", \"tin\"]", true),
        ("roof = [\"tin\"]\nherd = { min = 6 }", false),
    ] {
        assert_eq!(conditions(text).unmet(&household).is_none(), met, "{text}");
        let unknown = conditions(text).unmet(&Attributes::default()).is_some();
        assert_eq!(unknown, !text.is_empty(), "what is not given meets nothing: {text}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let wrong = |text: &str| toml::from_str::<AttributeConditions>(text).unwrap().problem(&types());
    assert_eq!(wrong("mountain = true"), None);
    for text in [
        "sea = true",
        "mountain = { min = 1 }",
        "herd = { min = 501 }",
        "herd = { min = 3, max = 2 }",
        "roof = [\"straw\"]",
        "roof = []",
    ] {
        assert!(wrong(text).is_some(), "{text}");
    }
    assert!(toml::from_str::<AttributeConditions>("herd = {}").is_err());
    for text in [
        "Mountain = { type = \"boolean\" }",
        "herd = { type = \"integer\", min = 2, max = 1 }",
        "roof = { type = \"code\", values = [] }",
        "roof = { type = \"code\", values = [\"tin\", \"Tin\"] }",
    ] {
        let types: AttributeTypes = toml::from_str(text).unwrap();
        assert!(problem(&types).is_some(), "{text}");
    }
    assert_eq!(problem(&types()), None);
}
