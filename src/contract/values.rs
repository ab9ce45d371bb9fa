//! The values that fields are made of, each with its limits. A value that
//! exists is valid: the limits are checked where it is read and nowhere else.

use std::borrow::Cow;
use std::fmt;

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Timestamp;

/// 1 to 64 characters of `[A-Za-z0-9._:-]`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Identifier(String);

impl Identifier {
    pub const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$";

    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let first = text.bytes().next()?;
        let valid = first.is_ascii_alphanumeric()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
        valid.then_some(Identifier(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Identifier {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Identifier::new(String::deserialize(deserializer)?).ok_or_else(|| {
            de::Error::custom(
                "an identifier is 1 to 64 of A-Z a-z 0-9 . _ : - and starts with a letter or digit",
            )
        })
    }
}

impl JsonSchema for Identifier {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Identifier".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Identifier::PATTERN })
    }
}

/// An amount in the currency's minor unit (yen have none), 0 to 10^12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Money(i64);

impl Money {
    pub const MAX: i64 = 1_000_000_000_000;

    pub const fn minor_units(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, 0, Money::MAX).map(Money).map_err(|problem| {
            problem.error("an amount is a whole number of minor units, 0 to 10^12")
        })
    }
}

impl JsonSchema for Money {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": Money::MAX })
    }
}

/// A number of pieces, `MIN` to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Quantity<const MIN: i64 = 1>(i64);

/// Where 0 means that the line goes.
pub type QuantityOrNone = Quantity<0>;

impl<const MIN: i64> Quantity<MIN> {
    pub const MAX: i64 = 1_000_000;

    pub const fn pieces(self) -> i64 {
        self.0
    }
}

impl<'de, const MIN: i64> Deserialize<'de> for Quantity<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, MIN, Self::MAX).map(Quantity).map_err(|problem| {
            problem.error(format_args!("a quantity is a whole number, {MIN} to 1,000,000"))
        })
    }
}

impl<const MIN: i64> JsonSchema for Quantity<MIN> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Quantity{MIN}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": Self::MAX })
    }
}

/// Why a number was not taken. Its value is never in the text: `detail` quotes no data.
struct NotWhole;

impl NotWhole {
    fn error<E: de::Error>(self, expected: impl fmt::Display) -> E {
        E::custom(expected)
    }
}

/// As in JSON Schema, `1500.0` is an integer; a string, a fraction and a bool are none.
fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: i64,
    most: i64,
) -> Result<i64, NotWhole> {
    struct Whole;
    impl de::Visitor<'_> for Whole {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E>(self, value: i64) -> Result<i64, E> {
            Ok(value)
        }

        fn visit_u64<E>(self, value: u64) -> Result<i64, E> {
            Ok(i64::try_from(value).unwrap_or(i64::MAX))
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<i64, E> {
            let whole = value.fract() == 0.0 && value.abs() < 9.0e15;
            whole.then_some(value as i64).ok_or_else(|| E::custom("a fraction"))
        }
    }
    let value = deserializer.deserialize_any(Whole).map_err(|_| NotWhole)?;
    (least..=most).contains(&value).then_some(value).ok_or(NotWhole)
}

/// Three capital letters of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency holds three ASCII letters")
    }
}

impl std::str::FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|l| l.is_ascii_uppercase()) => {
                Ok(Currency([*a, *b, *c]))
            }
            _ => Err("a currency is three capital letters of ISO 4217"),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$" })
    }
}

/// Text for people, at most 20,000 characters. (The limit itself is intake's: it has a code
/// of its own.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl Text {
    /// Characters, not bytes.
    pub const MAX: usize = 20_000;
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": Text::MAX })
    }
}

/// Until when a seller wants an answer: a moment, or a day, which ends at 24:00
/// in the time zone of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyBy {
    At(Timestamp),
    EndOf(NaiveDate),
}

impl Serialize for ReplyBy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ReplyBy::At(moment) => moment.serialize(serializer),
            ReplyBy::EndOf(day) => serializer.collect_str(day),
        }
    }
}

impl<'de> Deserialize<'de> for ReplyBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(day) = calendar_day(&text) {
            return Ok(ReplyBy::EndOf(day));
        }
        text.parse().map(ReplyBy::At).map_err(|_| {
            de::Error::custom("a limit is an RFC 3339 date-time with an offset, or a date")
        })
    }
}

/// `YYYY-MM-DD` and nothing looser.
fn calendar_day(text: &str) -> Option<NaiveDate> {
    let digits =
        |range| text.get(range).filter(|part: &&str| part.bytes().all(|b| b.is_ascii_digit()));
    if text.len() != 10 || text.as_bytes()[4] != b'-' || text.as_bytes()[7] != b'-' {
        return None;
    }
    NaiveDate::from_ymd_opt(
        digits(0..4)?.parse().ok()?,
        digits(5..7)?.parse().ok()?,
        digits(8..10)?.parse().ok()?,
    )
}

impl JsonSchema for ReplyBy {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ReplyBy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [{ "format": "date-time" }, { "format": "date" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_str;

    #[test]
    fn an_amount_is_a_whole_number_of_minor_units() {
        for valid in ["0", "1500", "1500.0", "1.5e3", "1000000000000"] {
            assert!(from_str::<Money>(valid).is_ok(), "{valid}");
        }
        for invalid in
            ["-1", "1.5", "\"1500\"", "1000000000001", "true", "1e13", "18446744073709551615"]
        {
            assert!(from_str::<Money>(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn an_identifier_has_a_form_and_a_length() {
        assert!(Identifier::new("503-1234567-1234567").is_some());
        assert!(Identifier::new("a".repeat(64)).is_some());
        for invalid in ["", "-a", "a b", "é", "a/b", &"a".repeat(65)] {
            assert!(Identifier::new(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn reply_by_is_a_moment_or_a_day() {
        assert!(matches!(from_str("\"2026-02-28\"").unwrap(), ReplyBy::EndOf(_)));
        assert!(matches!(from_str("\"2026-02-28T10:00:00+09:00\"").unwrap(), ReplyBy::At(_)));
        for invalid in ["\"2026-02-30\"", "\"2026-2-3\"", "\"tomorrow\"", "5"] {
            assert!(from_str::<ReplyBy>(invalid).is_err(), "{invalid}");
        }
    }
}
