//! `notifyctl cache`: Look at the cache, and empty it.

use std::time::Duration;

use super::face::{Face, Paint, bytes, count, one_line};
use super::interrupt::Interrupt;
use super::{Context, Error, Exit};
use crate::cache::{Failure, Options, Seal, Shelf, Survey, Weight};
use crate::store::{Access, Store};
use crate::wire;

/// Look at the cache, and empty it
///
/// The Redis that `[cache] url` names. It holds nothing that is not in the store too.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how often it helped, what it takes up, and whether it answers
    #[command(after_help = "Exit codes: 0; 75 when Redis does not answer; 78 when no cache is configured.")]
    Stats {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove what it holds of this store; nobody else's keys are touched
    ///
    /// Daemons begin anew within a second. Answers are right without it, also after a backup took the store's place.
    #[command(after_help = "Exit codes: 0; 75 when Redis does not answer; 78 when no cache is configured.")]
    Flush,
}

/// The longest time for one answer: an operator waits longer than a request does.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long `status` waits for Redis.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs it.
pub fn run(context: &mut Context, args: &CacheArgs) -> Result<Exit, Error> {
    let Some(options) = context.config()?.cache.clone() else {
        let error = Error::new(Exit::Config, "no cache is configured");
        return Err(error.hint("set cache.url to a Redis, such as \"redis://127.0.0.1:6379/0\""));
    };
    let store = context.store(Access::Read)?;
    let options = Options { timeout: PATIENCE, ..options };
    let shelf = shelf(&options, &*store)?;
    match &args.command {
        Command::Stats { json } => {
            let asked = block_on(async { Ok((shelf.survey().await?, shelf.weigh().await?)) })?;
            let (survey, weight) = asked.map_err(|failure| unavailable(&options, &failure))?;
            let shape = shape(&options, &*store, Ok((survey, Some(weight))))?;
            if *json {
                context.out.json(&shape)?;
            } else {
                let face = context.out.face(context.now());
                lines(&shape, &face).into_iter().try_for_each(|line| context.out.line(line))?;
            }
        }
        Command::Flush => {
            let removed = block_on(shelf.flush())?.map_err(|failure| {
                unavailable(&options, &failure).hint("nothing was removed: run it again when Redis answers")
            })?;
            context.out.line(format_args!("{} removed", count(removed)))?;
        }
    }
    Ok(Exit::Ok)
}

/// The cache at a glance, for `status`; `None` when none is configured. Takes 50 ms at most.
pub fn glance(options: Option<&Options>, store: &dyn Store) -> Result<Option<wire::Cache>, Error> {
    let Some(options) = options else { return Ok(None) };
    let options = Options { timeout: GLANCE, ..options.clone() };
    let shelf = shelf(&options, store)?;
    let asked = block_on(async {
        let asked = tokio::time::timeout(GLANCE, shelf.survey()).await;
        asked.map_err(|_| Failure::Silent).and_then(|asked| asked)
    })?;
    shape(&options, store, asked.map(|survey| (survey, None))).map(Some)
}

fn shelf(options: &Options, store: &dyn Store) -> Result<Shelf, Error> {
    Interrupt::heed()?;
    let store_id = store.identity()?.store_id;
    // Before a daemon has made the key, nothing is there that could be found.
    let seal = Seal::seen_in(&options.key_file).or_else(|_| Seal::random());
    let seal = seal.map_err(|error| Error::internal(format!("get random bytes: {error}")))?;
    Shelf::new(options, &store_id, seal)
        .map_err(|what| Error::new(Exit::Config, format!("cache.ca_file: {what}")))
}

fn block_on<T>(asked: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal(format!("start the runtime: {error}")))?;
    let answer = runtime.block_on(asked);
    // A thread that hangs in the name service is not waited for.
    runtime.shutdown_background();
    Ok(answer)
}

fn unavailable(options: &Options, failure: &Failure) -> Error {
    let error = Error::new(Exit::TempFail, format!("{}: {failure}", options.place));
    error.hint("answers come from the store meanwhile: nothing is lost but time")
}

fn shape(
    options: &Options,
    store: &dyn Store,
    asked: Result<(Survey, Option<Weight>), Failure>,
) -> Result<wire::Cache, Error> {
    let mut shape = wire::Cache { url: options.place.to_string(), ..wire::Cache::default() };
    let (survey, weight) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            shape.trouble = Some(failure.to_string());
            return Ok(shape);
        }
    };
    shape.latency_us = u64::try_from(survey.latency.as_micros()).ok();
    shape.reads = survey.counted.parts().into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    shape.hit_rate = survey.counted.hit_rate();
    if let Some(head) = survey.head {
        shape.behind = Some(store.mark()?.change.saturating_sub(head.through));
        shape.generation = Some(head.generation.to_string());
    }
    if let Some(weight) = weight {
        let number = |name: &str| weight.memory.get(name).and_then(|value| value.parse().ok());
        shape.memory = number("used_memory");
        shape.memory_limit = number("maxmemory").filter(|limit| *limit > 0);
        shape.policy = weight.memory.get("maxmemory_policy").cloned();
        shape.version = weight.memory.get("redis_version").cloned();
        (shape.keys, shape.more_keys) = (Some(weight.keys), weight.more);
    }
    Ok(shape)
}

/// One line for `status`.
pub fn line(cache: &wire::Cache) -> String {
    match (&cache.trouble, cache.hit_rate) {
        (Some(trouble), _) => format!("{}: {}; answers come from the store", cache.url, one_line(trouble)),
        (None, Some(rate)) => format!("{}: {} of the daemon's reads", cache.url, percent(rate)),
        (None, None) => format!("{}: no reads yet", cache.url),
    }
}

fn percent(rate: f64) -> String {
    format!("{:.1} % hits", rate * 100.0)
}

fn lines(cache: &wire::Cache, face: &Face) -> Vec<String> {
    let reads = |name: &str| count(cache.reads.get(name).copied().unwrap_or(0));
    let mut fields = vec![("redis", cache.url.clone())];
    if let Some(version) = &cache.version {
        fields.push(("version", one_line(version)));
    }
    if let Some(latency) = cache.latency_us {
        fields.push(("answers in", format!("{:.2} ms", latency as f64 / 1000.0)));
    }
    let state = match (&cache.generation, cache.behind) {
        (None, _) => "empty: no daemon uses it now".to_owned(),
        (Some(generation), Some(0)) => format!("generation {generation}, knows every change of the store"),
        (Some(generation), behind) => {
            format!("generation {generation}, {} changes behind the store", count(behind.unwrap_or(0)))
        }
    };
    fields.push(("state", one_line(&state)));
    fields.push(("hit rate", cache.hit_rate.map_or_else(|| "no reads yet".to_owned(), percent)));
    fields.push((
        "reads",
        format!(
            "{} hits ({} without asking Redis again), {} misses, {} past it, {} shared with another read",
            reads("hits"),
            reads("near"),
            reads("misses"),
            reads("bypassed"),
            reads("shared")
        ),
    ));
    fields.push((
        "fills",
        format!("{} filled, {} came too late and were refused", reads("filled"), reads("refused")),
    ));
    fields.push((
        "trouble",
        format!(
            "{} failed calls, {} of them without an answer in time, {} foreign values",
            reads("errors"),
            reads("timeouts"),
            reads("foreign")
        ),
    ));
    if let Some(keys) = cache.keys {
        let at_least = if cache.more_keys { "at least " } else { "" };
        fields.push(("keys", format!("{at_least}{} of this store", count(keys))));
    }
    if let Some(memory) = cache.memory {
        let limit =
            cache.memory_limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of {}", bytes(limit)));
        let policy = cache.policy.as_deref().map(|policy| format!(", {policy}")).unwrap_or_default();
        fields.push(("memory", one_line(&format!("{} in all, {limit}{policy}", bytes(memory)))));
    }
    let field = |(name, value): (&str, String)| {
        face.wrap(&format!("{}  {value}", face.paint(Paint::Title, format_args!("{name:<10}"))), 12)
    };
    fields.into_iter().flat_map(field).collect()
}
