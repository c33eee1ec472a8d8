//! Steering: cancel, hold, release, requeue, purge, channel and db, through the binary.
