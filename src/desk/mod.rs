//! What an operator sees and does, whether by the command line or by the console: read, judged
//! and recorded in one place. It writes to no terminal and knows no HTTP.

pub mod ahead;
pub mod amount;
pub mod audit;
pub mod cases;
pub mod deadlines;
pub mod excerpt;
pub mod filters;
pub mod ledger;
pub mod letter;
pub mod letters;
pub mod orders;
pub mod overview;
pub mod period;
pub mod redact;
pub mod repairs;
pub mod replays;
pub mod story;
pub mod who;
