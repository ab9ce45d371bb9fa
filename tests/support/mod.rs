//! What live tests share: services of their own, connections, and waiting.
//!
//! Each test gets a database and a virtual host that nobody else uses, so tests run
//! side by side. A test that finds no services fails and says how to get them.
#![allow(dead_code, unused_imports, reason = "every test file uses another part of it")]

mod http;
mod services;
mod wait;

pub use http::request;
pub use services::Services;
pub use wait::wait_until;
