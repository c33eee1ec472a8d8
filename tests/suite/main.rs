//! The whole test run in one binary: it links once, and its modules are named after what they show.

#[allow(dead_code, reason = "each test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod asked;
mod backup;
mod batch;
mod cache;
mod check;
mod config;
mod conformance;
mod crash;
mod cron;
mod daemon;
mod delivery;
mod enqueue;
mod events;
mod exec;
mod full_disk;
mod fuzz;
mod http;
mod interop;
mod looking;
mod maildir;
mod maintenance;
mod mixed;
mod nginx;
mod opening;
mod papers;
mod postfix;
mod rate;
mod send_pending;
mod smtp;
mod steering;
mod tidy;
mod token;
mod top;
mod units;
mod unreadable;
mod webhook;
