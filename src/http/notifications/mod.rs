//! `/v1/notifications`: one file per verb.

pub(super) mod enqueue;
pub(super) mod list;
mod posted;
mod rows;
mod schema;
pub(super) mod show;
pub(super) mod steer;

pub(super) use enqueue::enqueue;
pub(super) use list::list;
pub(super) use schema::Order;
pub(super) use show::{show, whole};
pub(super) use steer::{cancel, requeue};
