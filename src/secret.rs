//! Values that never print.
