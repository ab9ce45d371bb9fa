//! Whether what is personal stayed where it belongs (V1 to V3).

use anyhow::Result;

use super::checks::Exercise;
use super::day::{BUYERS, PAYMENT_NUMBER, POINTS_USED, STRIPPED};
use super::log::KeptLog;
use super::play::Play;
use crate::store::inspection::{self, Glimpse};

/// V1: the order that was looked at while it was pending and after it was authorised.
pub fn hidden_until_needed(play: &Play, applied: Option<&Exercise>) -> Exercise {
    let [before, after] = play.glimpses.as_slice() else {
        return Exercise::of(0, String::new(), Some("nobody looked twice".to_owned()));
    };
    let shown =
        |seen: &Glimpse| [seen.buyer_name.is_some(), seen.phone.is_some(), seen.has_address];
    let problem = match (shown(before), shown(after)) {
        ([false, false, false], [true, true, true]) => None,
        _ => Some("name, phone and address are not shown from authorisation on".to_owned()),
    };
    let example = format!("hidden while {}, shown once {}", before.status, after.status);
    Exercise::of(applied.map_or(0, |applied| applied.times), example, problem)
}

/// V2: points and payment numbers were sent, and no row holds them.
pub async fn stripped(play: &Play, conn: &mut sqlx::PgConnection) -> Result<Exercise> {
    let points = POINTS_USED.to_string();
    let secrets: Vec<&str> = STRIPPED.into_iter().chain([PAYMENT_NUMBER, &points]).collect();
    let rows = inspection::rows_holding(conn, &secrets).await?;
    let problem = (rows > 0).then(|| format!("{rows} rows hold what was to be stripped"));
    let example = "points_used and payment numbers were sent, no row holds them".to_owned();
    Ok(Exercise::of(play.model.to_strip, example, problem))
}

/// V3: names, addresses, numbers and letters of the day, in the log or the metrics.
pub fn ids_only(metrics: &str) -> Exercise {
    let log = KeptLog::text();
    let lines = (log.lines().count() + metrics.lines().count()) as u64;
    let told = |text: &str| log.contains(text) || metrics.contains(text);
    let personal = BUYERS.iter().flat_map(|buyer| buyer.personal());
    let leaked = personal.chain([PAYMENT_NUMBER]).filter(|text| told(text)).count();
    let problem = if leaked > 0 {
        Some(format!("{leaked} personal texts stand in the log or the metrics"))
    } else if log.is_empty() || !metrics.contains("otodoke_messages_received") {
        Some("there is no log or no metrics to search".to_owned())
    } else {
        None
    };
    Exercise::of(lines, "nothing personal in log and metrics, line by line".to_owned(), problem)
}
