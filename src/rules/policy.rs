//! The settings that rules use. A case keeps the policy that it was opened with.

use chrono::{NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::contract::{ReplyBy, Span, Timestamp};

/// All the settings that `decide` depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// How long a buyer may change or cancel an order by himself (K1).
    pub change_window: Span,
    /// The time to ship after authorisation, where the order names none (P2).
    pub ship_within: Span,
    /// The time to pay after placing, where the order names none (P3).
    pub payment_within: Span,
    /// The time to answer a contact (M2).
    pub reply_within: Span,
    /// How long a contact goes unanswered until the guarantee applies (M3).
    pub guarantee_after: Span,
    /// How long an inquiry without an order waits for one (Q2).
    pub unmatched_after: Span,
    /// How far back an inquiry's order is looked for (Q1).
    pub lookup_window: Span,
    /// How long what rests on something missing waits for late arrivals.
    pub settle: Span,
    /// Where a day ends that a message names as its limit (M5).
    pub time_zone: Tz,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            change_window: Span::minutes(5),
            ship_within: Span::hours(48),
            payment_within: Span::days(6),
            reply_within: Span::hours(48),
            guarantee_after: Span::days(14),
            unmatched_after: Span::minutes(15),
            lookup_window: Span::days(180),
            settle: Span::seconds(60),
            time_zone: chrono_tz::Asia::Tokyo,
        }
    }
}

impl Policy {
    /// The moment that a limit names: a day ends at 24:00 in the policy's time zone.
    pub fn moment(&self, limit: ReplyBy) -> Timestamp {
        match limit {
            ReplyBy::At(moment) => moment,
            ReplyBy::EndOf(day) => self.end_of(day),
        }
    }

    fn end_of(&self, day: NaiveDate) -> Timestamp {
        let Some(next) = day.succ_opt() else { return Timestamp::MAX };
        let midnight = next.and_time(NaiveTime::MIN);
        // Where the clocks skip midnight, the day ends with the hour that is skipped.
        (0..=24)
            .filter_map(|half_hours| {
                let local = midnight + chrono::Duration::minutes(30 * half_hours);
                self.time_zone.from_local_datetime(&local).earliest()
            })
            .next()
            .map_or(Timestamp::MAX, |end| Timestamp::from_chrono(end.to_utc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> ReplyBy {
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    #[test]
    fn a_day_ends_at_midnight_of_the_settings_time_zone() {
        let tokyo = Policy::default();
        assert_eq!(tokyo.moment(day("2026-03-01")).to_string(), "2026-03-01T15:00:00Z");
        let berlin = Policy { time_zone: chrono_tz::Europe::Berlin, ..Policy::default() };
        assert_eq!(berlin.moment(day("2026-06-30")).to_string(), "2026-06-30T22:00:00Z");
    }

    #[test]
    fn a_day_whose_midnight_the_clocks_skip_still_ends() {
        let santiago = Policy { time_zone: chrono_tz::America::Santiago, ..Policy::default() };
        assert_eq!(santiago.moment(day("2026-09-05")).to_string(), "2026-09-06T04:00:00Z");
    }
}
