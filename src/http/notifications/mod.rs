//! `/v1/notifications`: one file per verb.

mod enqueue;
mod rows;
mod show;
mod steer;

pub(super) use enqueue::enqueue;
pub(super) use show::show;
pub(super) use steer::{cancel, requeue};
