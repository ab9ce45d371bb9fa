//! What an operator sees and does, whether by the command line or by the console: read, judged
//! and recorded in one place. It writes to no terminal and knows no HTTP.

pub mod amount;
pub mod cases;
pub mod deadlines;
pub mod excerpt;
pub mod ledger;
pub mod letters;
pub mod orders;
pub mod overview;
pub mod period;
pub mod redact;
pub mod replays;
pub mod story;
pub mod who;
