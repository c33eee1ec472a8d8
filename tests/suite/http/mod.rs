//! The daemon over HTTP, as curl and raw sockets meet it.

mod ground;
mod posting;
