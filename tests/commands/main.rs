//! The commands as a person or a program calls them: against a live database and broker,
//! with what the door itself has stored.

mod bench;
mod cases;
mod dead_letters;
mod deadlines;
mod forget;
mod help;
mod manual;
mod pauses;
mod prune;
mod prune_law;
mod reconcile;
mod reconcile_own;
mod replay;
mod reports;
mod republish;
mod services;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod verify;
