//! Quantities as people write and read them: `"30s"`, `"10MiB"`, `tomorrow 09:00`, `2 h ago`.
//!
//! Pure functions: the moment and the time zone are arguments. Rates and retry schedules are the model's.

mod at;
mod duration;
mod past;
mod people;
mod size;

pub use at::{AtError, at, instant};
pub use duration::{DurationError, Period, duration};
pub use past::past;
pub use people::{ago, span};
pub use size::{Size, SizeError, size};
