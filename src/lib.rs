//! notifyctl: a durable notification queue for one server.

pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod model;
pub mod secret;
pub mod store;
pub mod units;
pub mod wire;
