//! Stretches of time on the command line: `--from 2026-03-01 --to 2026-03-31`.

use std::fmt;

use crate::config::Settings;
use crate::contract::{ReplyBy, Timestamp};

/// What a limit may be written as.
pub const FORM: &str = "a date (2026-01-31) or a date-time with an offset \
                        (2026-01-31T09:00:00+09:00)";

/// A day, in the setting time-zone, or a moment.
#[derive(Clone, Copy, Debug)]
pub struct Limit(ReplyBy);

/// For clap.
pub fn limit(text: &str) -> Result<Limit, String> {
    serde_json::from_value(text.into())
        .map(Limit)
        .map_err(|_| format!("`{text}` is neither of: {FORM}"))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ReplyBy::At(moment) => moment.fmt(f),
            ReplyBy::EndOf(day) => day.fmt(f),
        }
    }
}

impl Limit {
    /// When it begins.
    pub fn beginning(self, settings: &Settings) -> Timestamp {
        match self.0 {
            ReplyBy::At(moment) => moment,
            ReplyBy::EndOf(day) => day
                .pred_opt()
                .map_or(Timestamp::MIN, |eve| Limit(ReplyBy::EndOf(eve)).end(settings)),
        }
    }

    /// When it ends: a day at 24:00.
    pub fn end(self, settings: &Settings) -> Timestamp {
        settings.rules.policy().moment(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn a_day_is_the_day_of_the_settings_time_zone() {
        let settings = Command::parse_from(["test", "--time-zone", "Asia/Tokyo"]).settings;
        let day = limit("2026-03-01").unwrap();
        assert_eq!(day.beginning(&settings).to_string(), "2026-02-28T15:00:00Z");
        assert_eq!(day.end(&settings).to_string(), "2026-03-01T15:00:00Z");
        let moment = limit("2026-03-01T00:00:00Z").unwrap();
        assert_eq!(moment.beginning(&settings), moment.end(&settings));
        assert!(limit("yesterday").is_err());
    }
}
