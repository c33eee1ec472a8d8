//! The daemon over HTTP, as curl and raw sockets meet it.

mod connections;
mod document;
mod events;
pub mod ground;
mod health;
mod keys;
mod page;
mod posting;
mod query;
mod refusing;
mod reloading;
mod scopes;
