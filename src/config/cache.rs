//! `[cache]`: nothing without a `url`.

use std::path::Path;
use std::time::Duration;

use super::build::Fault;
use super::of_kind::{at, one_of};
use super::raw::{self, Secret};
use crate::cache::Options;
use crate::secret::Source;
use crate::units::Period;

/// The longest time that settled answers may be kept.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// The options of a cache for the store `database`; `None` without one.
pub(super) fn options(raw: &raw::Cache, database: &Path) -> Result<Option<Options>, Fault> {
    let password = one_of([
        ("password", raw.password.as_ref().map(|Secret(password)| Source::Inline(password.clone()))),
        ("password_file", raw.password_file.as_ref().map(at)),
        ("password_command", raw.password_command.clone().map(Source::Command)),
        ("password_credential", raw.password_credential.clone().map(Source::Credential)),
    ])?;
    if let (Some(_), None) = (&raw.user, &password) {
        let what = "is set, and no password: set password_file, password_command or password_credential";
        return Err(Fault::new("user", what));
    }
    let within = |key, Period(time): Period, least: Duration, most: Duration| {
        let what = || format!("must be within {} and {}", Period(least), Period(most));
        if (least..=most).contains(&time) { Ok(time) } else { Err(Fault::new(key, what())) }
    };
    let (ms, second) = (Duration::from_millis(1), Duration::from_secs(1));
    let options = Options {
        place: match &raw.url {
            Some(word) => word.0.clone(),
            None => "redis://localhost".parse().expect("a place"),
        },
        ca_file: raw.ca_file.as_ref().map(|word| word.0.0.clone()),
        user: raw.user.clone(),
        password: password.map(|(_, source)| source),
        result_ttl: within("result_ttl", raw.result_ttl, second, LONGEST)?,
        max_age: within("max_age", raw.max_age, 10 * ms, 60 * second)?,
        timeout: within("timeout", raw.timeout, ms, 5 * second)?,
        pause: Options::PAUSE,
        database: database.to_owned(),
        key_file: database.with_extension("cache-key"),
    };
    Ok(raw.url.is_some().then_some(options))
}
