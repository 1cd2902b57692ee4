//! Sources of scenarios: the built-in ones, and the user's files.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod check;
mod lines;

use std::{fs, path::Path};

use probe_core::{
    error::{Error, Result},
    model::scenario::Scenario,
};

/// Each scenario is in the file of its name.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}
/// The built-in scenarios: name and text.
const BUILT_IN: &[(&str, &str)] = &built_in![
    "quick",
    "blast",
    "paced",
    "bin-width",
    "diagnose",
    "hooks",
    "bursty",
    "many-guests",
    "paper-a",
    "paper-b",
    "paper-c",
    "paper-d",
    "paper-e",
    "paper-f",
    "paper-patterns",
    "paper-fig8",
    "existing",
];

/// Names of the built-in scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The text of a built-in scenario.
pub fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A built-in scenario by its name, or one from a file: a name that ends in `.toml` is a file.
///
/// # Errors
/// Neither a known name nor a readable file; a field that does not parse (with its line); a value
/// out of range.
pub fn load(name: &str) -> Result<Scenario> {
    if let Some(text) = text(name) {
        return parse(name, text);
    }
    if Path::new(name).extension().is_none_or(|extension| extension != "toml") {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid(
            format!("scenario `{name}`"),
            "there is no scenario of that name",
            format!("Name one of {known}, or a file that ends in .toml"),
        ));
    }
    let text = fs::read_to_string(name).map_err(|e| {
        let hint =
            "Name a file that you can read; `tracetoll scenarios` lists the built-in scenarios";
        Error::file("read", name, e).with_hint(hint)
    })?;
    parse(name, &text)
}

/// Parses a scenario; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(origin: &str, text: &str) -> Result<Scenario> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| lines::at(text, span.start)).unwrap_or_default();
        Error::invalid(
            format!("scenario {origin}{place}"),
            error.message(),
            "`tracetoll scenarios --print quick` shows a correct one",
        )
    })?;
    check::scenario(&scenario)
        .map_err(|wrong| wrong.told(origin, &lines::of(text, &wrong.field)))?;
    Ok(scenario)
}

/// Checks what types cannot ensure, after flags have changed it; `origin` names the scenario in
/// errors.
///
/// # Errors
/// A value out of range, with the field and what would be accepted.
pub fn check(origin: &str, scenario: &Scenario) -> Result<()> {
    check::scenario(scenario).map_err(|wrong| wrong.told(origin, ""))
}

#[cfg(test)]
mod tests {
    use probe_core::model::trial::Pace;

    use super::*;

    #[test]
    fn the_words_of_0_1_are_read() {
        let quick = text("quick").unwrap();
        let old = quick
            .replace("[overhead.closed_loop]", "[toll.lockstep]")
            .replace("[overhead.paced]", "[toll.paced]")
            .replace("[overhead.saturated]", "[toll.flat]");
        assert!(!old.contains("overhead."), "{old}");
        assert_eq!(parse("old.toml", &old).unwrap(), parse("quick", quick).unwrap());
    }

    #[test]
    fn built_in_scenarios_are_right_and_quick_has_sixty_bins() {
        for name in names() {
            load(name).unwrap();
        }
        let quick = load("quick").unwrap();
        assert!(quick.fidelity.duration().as_nanos() / quick.bin.as_nanos() >= 60);
    }

    #[test]
    fn an_overhead_may_be_of_the_closed_loop_alone() {
        let overhead = load("hooks").unwrap().overhead.unwrap();
        assert!(
            overhead.has(Pace::ClosedLoop)
                && !overhead.has(Pace::Paced)
                && !overhead.has(Pace::Saturated)
        );
        let quick = load("quick").unwrap().overhead.unwrap();
        assert!(quick.has(Pace::Paced) && quick.has(Pace::Saturated));
    }

    #[test]
    fn the_papers_patterns_are_those_of_its_table_2() {
        let expected =
            [("a", 2, 0), ("b", 4, 0), ("c", 8, 0), ("d", 2, 2), ("e", 2, 4), ("f", 2, 6)];
        let all = load("paper-patterns").unwrap().fidelity.sections;
        for ((letter, senders, hogs), section) in expected.into_iter().zip(&all) {
            let own = load(&format!("paper-{letter}")).unwrap();
            assert_eq!((section.senders, section.hogs), (Some(senders), hogs));
            assert_eq!(own.fidelity.sections, std::slice::from_ref(section));
            assert_eq!((own.guests.count, own.load_cpus), (8, 2));
        }
        let figure8 = load("paper-fig8").unwrap().fidelity;
        assert_eq!(figure8.duration().as_secs(), 200);
        let hogs: Vec<usize> = figure8.sections.iter().map(|section| section.hogs).collect();
        assert_eq!(hogs, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_wrong_field_is_named_with_its_line() {
        let text = text("quick").unwrap();
        let wrong_rate = text.replace("\"5kpps\"", "\"5 furlongs\"");
        let error = parse("mine.toml", &wrong_rate).unwrap_err().to_string();
        assert!(error.contains("line 19 (`rate = \"5 furlongs\"`)"), "{error}");
        assert!(error.contains("20kpps"), "{error}");
        let wrong_name = text.replace("settle =", "setle =");
        let error = parse("mine.toml", &wrong_name).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("setle"), "{error}");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = load("quikc").unwrap_err().to_string();
        assert!(error.contains("quick"), "{error}");
    }
}
