//! What live tests share: services of their own, the program as a child process, the world
//! around it, the model that it is held against, and waiting.
//!
//! Each test gets a database and a virtual host that nobody else uses, so tests run
//! side by side. A test that finds no services fails and says how to get them.
#![allow(dead_code, unused_imports, reason = "every test file uses another part of it")]

pub mod generate;
pub mod history;
mod http;
pub mod marketplace;
pub mod model;
pub mod processor;
pub mod record;
mod services;
mod wait;

pub use http::request;
pub use services::Services;
pub use wait::wait_until;
