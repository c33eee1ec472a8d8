//! The daemon over HTTP, as curl and raw sockets meet it.

mod connections;
mod document;
mod events;
mod ground;
mod health;
mod posting;
mod refusing;
