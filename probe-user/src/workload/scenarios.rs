//! Where scenarios come from: the built-in ones, and files of the user's own.

use std::{fs, path::Path};

use crate::{
    error::{Error, Result},
    model::scenario::Scenario,
    workload::frame,
};

/// The built-in scenarios, by name.
const BUILT_IN: [(&str, &str); 1] = [("quick", include_str!("../../scenarios/quick.toml"))];

/// Names of the built-in scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The text of a built-in scenario.
pub fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A built-in scenario by its name, or one from a file: whatever ends in `.toml` is a file.
///
/// # Errors
/// Neither a known name nor a readable file; a field that does not parse (with its line); a value out of range.
pub fn load(name: &str) -> Result<Scenario> {
    if let Some(text) = text(name) {
        return parse(name, text);
    }
    if Path::new(name).extension().is_none_or(|extension| extension != "toml") {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid(
            format!("scenario `{name}`"),
            "there is none of that name",
            format!("Name one of {known}, or a file that ends in .toml"),
        ));
    }
    let text = fs::read_to_string(name).map_err(|e| Error::file("read", name, e))?;
    parse(name, &text)
}

/// Reads a scenario; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(origin: &str, text: &str) -> Result<Scenario> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| {
            let line = text[..span.start].matches('\n').count() + 1;
            let content = text.lines().nth(line - 1).unwrap_or_default().trim();
            format!(", line {line} (`{content}`)")
        });
        Error::invalid(
            format!("scenario {origin}{place}"),
            error.message(),
            "`tracetoll scenarios --print quick` shows one that is right",
        )
    })?;
    check(origin, &scenario)?;
    Ok(scenario)
}

/// Checks the bounds that the types do not carry; `origin` names the scenario in errors.
///
/// # Errors
/// A value out of range, with the field and what would be accepted.
pub fn check(origin: &str, scenario: &Scenario) -> Result<()> {
    let refuse = |field: &str, why: String, remedy: &str| {
        Err(Error::invalid(format!("scenario {origin}, {field}"), why, remedy))
    };
    let guests = &scenario.guests;
    if !guests.ring.is_power_of_two() || !(4..=32768).contains(&guests.ring) {
        return refuse(
            "guests.ring",
            format!("{} descriptors", guests.ring),
            "Use a power of two from 4 to 32768",
        );
    }
    if !(frame::MIN..=frame::MAX).contains(&guests.frame) {
        return refuse(
            "guests.frame",
            format!("{} bytes", guests.frame),
            &format!("Use {} to {}", frame::MIN, frame::MAX),
        );
    }
    if guests.batch == 0 || guests.batch > guests.ring {
        return refuse(
            "guests.batch",
            format!("{} frames", guests.batch),
            "Use 1 up to the ring's size",
        );
    }
    if !(1..=64).contains(&guests.count) {
        return refuse("guests.count", format!("{} guests", guests.count), "Use 1 to 64");
    }
    if scenario.load_cpus == 0 {
        return refuse("load_cpus", "the load needs a CPU".into(), "Use 1 or more");
    }
    if scenario.fidelity.sections.is_empty() {
        return refuse("fidelity.sections", "there is none".into(), "Give one section or more");
    }
    for section in &scenario.fidelity.sections {
        if section.duration.as_nanos() % scenario.bin.as_nanos() != 0 {
            return refuse(
                "fidelity.sections",
                format!("{:?} is no whole number of bins", section.duration),
                "Make each section's duration a multiple of `bin`, so that no bin mixes two loads",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_scenarios_are_right_and_quick_has_sixty_bins() {
        for name in names() {
            load(name).unwrap();
        }
        let quick = load("quick").unwrap();
        assert!(quick.fidelity.duration().as_nanos() / quick.bin.as_nanos() >= 60);
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
    fn values_out_of_range_are_refused() {
        let text = text("quick").unwrap();
        for (from, to) in [
            ("ring = 256", "ring = 100"),
            ("frame = 1514", "frame = 10"),
            ("batch = 64", "batch = 0"),
            ("count = 1", "count = 0"),
            ("duration = \"4s\"", "duration = \"4100ms\""),
            ("load_cpus = 1", "load_cpus = 0"),
        ] {
            assert!(text.contains(from), "{from}");
            parse("mine.toml", &text.replacen(from, to, 1)).unwrap_err();
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = load("quikc").unwrap_err().to_string();
        assert!(error.contains("quick"), "{error}");
    }
}
