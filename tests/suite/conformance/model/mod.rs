//! The store against a model: random stories of several workers, operators, deaths and clocks, played on a real
//! store and on a plain map ([`rules`]); after each step both must say the same.
//!
//! The quick form runs in the suite. Longer, at night or after a change of the store:
//!
//! ```text
//! PROPTEST_CASES=5000 cargo test --release --test suite conformance::sqlite::every_story
//! ```
//!
//! What fails is shrunk to the fewest steps and told as a story; its seed goes to `tests/proptest-regressions`.

mod compare;
mod desk;
mod machine;
mod rate;
mod row;
mod rules;
mod step;

use std::fmt::Debug;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};

use self::machine::Machine;
use self::step::Step;
use super::Place;

/// Stories in the suite.
const QUICK: u32 = 100;

/// Whether store and model are of one mind; else, in what not.
type Agreed = Result<(), String>;

pub fn every_story_ends_as_the_rules_say(place: &dyn Place) {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = ProptestConfig::default();
    let config = ProptestConfig {
        cases: if asked { usual.cases } else { QUICK },
        source_file: Some(file!()),
        max_shrink_iters: 2_000,
        ..usual
    };
    let told = TestRunner::new(config)
        .run(&step::story(), |steps| play(&*place.another(), &steps).map_err(TestCaseError::fail));
    match told {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}\n\nas steps: {steps:#?}"),
        Err(other) => panic!("{other}"),
    }
}

/// Plays a story; tells it when the store and the rules come apart.
fn play(place: &dyn Place, steps: &[Step]) -> Agreed {
    let mut machine = Machine::new(place);
    for (number, step) in (1..).zip(steps) {
        machine.step(step).and_then(|()| machine.compare()).map_err(|difference| {
            format!("step {number}: {difference}\n\nThe story:\n{}", machine.story.join("\n"))
        })?;
    }
    machine
        .watched()
        .and_then(|()| machine.sound())
        .map_err(|difference| format!("at the end: {difference}\n\nThe story:\n{}", machine.story.join("\n")))
}

/// Where `what` differs: only the lines that do.
fn agree<T: PartialEq + Debug>(what: &str, store: &T, model: &T) -> Agreed {
    if store == model {
        return Ok(());
    }
    let (is, must_be) = (format!("{store:#?}"), format!("{model:#?}"));
    let only = |these: &str, others: &str| {
        let others: Vec<&str> = others.lines().collect();
        let lines = these.lines().filter(|line| !others.contains(line)).map(str::trim);
        let lines: Vec<&str> = lines.collect();
        if lines.is_empty() { these.into() } else { lines.join(" ") }
    };
    Err(format!("{what}: the store says {}, the rules say {}", only(&is, &must_be), only(&must_be, &is)))
}
