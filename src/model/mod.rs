//! The nouns and the arithmetic: what a notification is, which statuses it may take, when it is tried again.
//!
//! Pure functions and plain data. Deliberately knows no I/O, no SQL, no tokio and no clock: time and
//! randomness are arguments, so every rule here can be tested by table and by property.

pub mod address;
pub mod breaker;
pub mod change;
pub mod event;
pub mod notification;
pub mod outcome;
pub mod priority;
pub mod rate;
pub mod retry;
pub mod settle;
pub mod status;
pub mod time;
pub mod token;

pub use address::in_ascii;
pub use breaker::Breaker;
pub use change::{Mark, Touched};
pub use event::{Cursor, Event, EventFilter, EventKind};
pub use notification::{
    Attachment, Content, Id, Limits, NewNotification, Problem, compared_headers, line_problems, stable_id,
};
pub use outcome::{Outcome, Reason, Scope, Verdict};
pub use priority::Priority;
pub use rate::{Rate, RateWindow};
pub use retry::RetrySchedule;
pub use settle::{OnUnknown, Policy, Transition, Tried, settle};
pub use status::Status;
pub use time::Timestamp;
