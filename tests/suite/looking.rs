//! Looking: status, list, show, why and wait, as a person and a program see them.
