//! `[cache]` as it stands in TOML.

use serde::{Deserialize, Serialize};

use super::{AbsolutePath, Secret, Word};
use crate::cache::{Options, Place};
use crate::units::Period;

/// `[cache]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Word<Place>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Word<AbsolutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_credential: Option<String>,
    pub result_ttl: Period,
    pub max_age: Period,
    pub timeout: Period,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            user: None,
            password: None,
            password_file: None,
            password_command: None,
            password_credential: None,
            result_ttl: Period(Options::RESULT_TTL),
            max_age: Period(Options::MAX_AGE),
            timeout: Period(Options::TIMEOUT),
        }
    }
}
