//! The configuration that holds, as `config show --json` writes it.

use std::collections::BTreeMap;

use serde::Serialize;

/// The configuration that holds.
#[derive(Debug, Clone, Serialize)]
pub struct Configuration {
    /// The file that was read; null when there is none and the defaults hold.
    pub file: Option<String>,
    /// Every key with its value, in the tables of the file; `"[redacted]"` for a secret.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// With `--origin`: of each key path `default`, `FILE:LINE` or `$VARIABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<BTreeMap<String, String>>,
}
