//! Moments and spans of time, as the contract counts them: microseconds.
//!
//! PostgreSQL keeps microseconds, so a finer fraction is cut off at the door:
//! what was stored and what has just arrived must sort alike.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A length of time in microseconds, zero or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Timestamp {
    /// Before every moment that RFC 3339 can write.
    pub const MIN: Timestamp = Timestamp(-62_167_219_200_000_000 - 86_400_000_000);
    /// After every moment that RFC 3339 can write, even with a setting's span added.
    pub const MAX: Timestamp = Timestamp(300_000_000_000_000_000);

    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Of whole seconds since 1970; `None` after the years that RFC 3339 can write.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds < 253_402_300_800)?;
        Some(Timestamp(seconds * 1_000_000))
    }

    /// For a table or a log; `None` outside chrono's range, which no parsed time is.
    pub fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }

    pub fn from_chrono(moment: DateTime<Utc>) -> Self {
        // A leap second (23:59:60) is the first instant of the next minute.
        Timestamp(moment.timestamp() * 1_000_000 + i64::from(moment.timestamp_subsec_micros()))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0)).min(Timestamp::MAX)
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0)).max(Timestamp::MIN)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_chrono() {
            Some(moment) => f.write_str(&rfc3339(moment, precision(self.0))),
            None => write!(f, "{} µs since 1970", self.0),
        }
    }
}

/// In UTC; at either end of RFC 3339's years, where UTC would leave them, with the offset
/// that doesn't, so that every time that was read can be written and read again.
fn rfc3339(moment: DateTime<Utc>, precision: chrono::SecondsFormat) -> String {
    let widest = 86_340;
    let offset = match moment.year() {
        ..0 => FixedOffset::east_opt(widest),
        10_000.. => FixedOffset::west_opt(widest),
        _ => None,
    };
    match offset {
        Some(offset) => moment.with_timezone(&offset).to_rfc3339_opts(precision, true),
        None => moment.to_rfc3339_opts(precision, true),
    }
}

fn precision(micros: i64) -> chrono::SecondsFormat {
    match micros.rem_euclid(1_000_000) {
        0 => chrono::SecondsFormat::Secs,
        part if part % 1_000 == 0 => chrono::SecondsFormat::Millis,
        _ => chrono::SecondsFormat::Micros,
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    /// RFC 3339 with an offset; leap seconds and `-00:00` are valid.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // chrono reads a little more than RFC 3339 has: the form is checked here.
        if !has_form(text.as_bytes()) {
            return Err(NOT_A_TIME);
        }
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| NOT_A_TIME)?.to_utc();
        // The Earth's clock is corrected at the end of a day in UTC and at no other time.
        let is_leap_second = moment.timestamp_subsec_nanos() >= 1_000_000_000;
        if is_leap_second && moment.timestamp().rem_euclid(86_400) != 86_399 {
            return Err(NOT_A_TIME);
        }
        Ok(Timestamp::from_chrono(moment))
    }
}

/// `YYYY-MM-DDThh:mm:ss`, a fraction, and `Z` or `±hh:mm`.
fn has_form(text: &[u8]) -> bool {
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let offset = match rest {
        [b'.', digits @ ..] => {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 {
                return false;
            }
            &digits[count..]
        }
        _ => rest,
    };
    let like = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                separator => byte == separator,
            })
    };
    let has_offset = matches!(offset, [b'Z' | b'z']) || like(offset, b"+00:00");
    like(moment, b"0000-00-00T00:00:00") && has_offset
}

const NOT_A_TIME: &str = "is not an RFC 3339 date-time with an offset";

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| de::Error::custom("a time is an RFC 3339 date-time with an offset"))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    /// A negative length is none.
    pub const fn micros_of(micros: i64) -> Self {
        Span(if micros < 0 { 0 } else { micros })
    }

    pub const fn seconds(seconds: i64) -> Self {
        Span(seconds * 1_000_000)
    }

    pub const fn minutes(minutes: i64) -> Self {
        Span::seconds(minutes * 60)
    }

    pub const fn hours(hours: i64) -> Self {
        Span::minutes(hours * 60)
    }

    pub const fn days(days: i64) -> Self {
        Span::hours(days * 24)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }
}

const UNITS: [(&str, i64); 4] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)];

impl FromStr for Span {
    type Err = String;

    /// A whole number and a unit, several of them added up: `90s`, `5m`, `48h`, `14d`, `1h30m`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{text}` is not a duration: write 60s, 5m, 48h, 14d or a sum like 1h30m");
        let (mut rest, mut total) = (text.trim(), 0i64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            let (unit, micros) = UNITS
                .into_iter()
                .find(|(unit, _)| rest[digits..].starts_with(unit))
                .ok_or_else(wrong)?;
            total =
                count.checked_mul(micros).and_then(|m| total.checked_add(m)).ok_or_else(wrong)?;
            rest = &rest[digits + unit.len()..];
        }
        // A century bounds every setting, so no deadline can leave the range of a time.
        if total > Span::days(36_525).0 {
            return Err(format!("`{text}` is longer than a century"));
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, micros) = UNITS
            .into_iter()
            .find(|(_, micros)| self.0 % micros == 0 && self.0 != 0)
            .unwrap_or(("s", 1_000_000));
        write!(f, "{}{unit}", self.0 / micros)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_different_offsets_are_one_instant() {
        let tokyo: Timestamp = "2026-01-01T09:00:00+09:00".parse().unwrap();
        let utc: Timestamp = "2026-01-01T00:00:00-00:00".parse().unwrap();
        assert_eq!(tokyo, utc);
        assert_eq!(utc.to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_leap_second_is_valid_and_a_space_or_a_missing_offset_is_not() {
        for valid in ["2016-12-31T23:59:60Z", "2017-01-01T08:59:60.5+09:00", "2026-01-01t00:00:00z"]
        {
            assert!(valid.parse::<Timestamp>().is_ok(), "{valid}");
        }
        for wrong in [
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01",
            "",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0900",
            "2026-01-01T00:00:00+09",
            "2026-01-01T00:00:00 +09:00",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T12:00:60Z",
            "2026-01-01T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-1-1T00:00:00Z",
            "+2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+24:00",
            "２026-01-01T00:00:00Z",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_and_the_last_time_that_can_be_written_are_read_again() {
        for text in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"] {
            let moment: Timestamp = text.parse().unwrap();
            assert_eq!(moment.to_string(), text);
        }
    }

    #[test]
    fn spans_read_and_write_the_same() {
        for text in ["60s", "5m", "48h", "14d", "6d"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span, "{text}");
        }
        assert_eq!("1h30m".parse::<Span>().unwrap(), Span::minutes(90));
        for wrong in ["", "5", "m", "-5m", "5 m", "99999999d", "5x"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
