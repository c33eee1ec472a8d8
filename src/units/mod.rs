//! How durations, sizes and instants are written by people.
