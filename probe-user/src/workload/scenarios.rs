//! Where scenarios come from: the built-in ones, and files of the user's own.

use std::{fs, path::Path};

use crate::{
    error::{Error, Result},
    model::scenario::{GuestKind, Guests, Scenario, Section, Switch},
    workload::blast::frame,
};

/// Each scenario stands in the file of its name.
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
    let text = fs::read_to_string(name).map_err(|e| {
        let remedy =
            "Name a file that you may read; `tracetoll scenarios` lists those that are built in";
        Error::file("read", name, e).with_remedy(remedy)
    })?;
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
    let wrong = check_guests(&scenario.guests)
        .or_else(|| check_network(scenario))
        .or_else(|| check_schedule(scenario));
    match wrong {
        None => Ok(()),
        Some(Wrong { field, why, remedy }) => {
            Err(Error::invalid(format!("scenario {origin}, {field}"), why, remedy))
        }
    }
}

/// A field that is out of range.
struct Wrong {
    field: &'static str,
    why: String,
    remedy: String,
}

/// `field` with what it is, unless `holds`.
fn unless(
    holds: bool,
    field: &'static str,
    why: impl std::fmt::Display,
    remedy: impl Into<String>,
) -> Option<Wrong> {
    (!holds).then(|| Wrong { field, why: why.to_string(), remedy: remedy.into() })
}

fn check_guests(guests: &Guests) -> Option<Wrong> {
    let &Guests { ring, frame, batch, count, vcpus, queues, memory_mib, .. } = guests;
    unless(
        ring.is_power_of_two() && (4..=32768).contains(&ring),
        "guests.ring",
        format_args!("{ring} descriptors"),
        "Use a power of two from 4 to 32768",
    )
    .or_else(|| {
        unless(
            (frame::MIN..=frame::MAX).contains(&frame),
            "guests.frame",
            format_args!("{frame} bytes"),
            format!("Use {} to {}", frame::MIN, frame::MAX),
        )
    })
    .or_else(|| {
        let fits = (1..=ring).contains(&batch);
        unless(fits, "guests.batch", format_args!("{batch} frames"), "Use 1 up to the ring's size")
    })
    .or_else(|| {
        let most = if guests.kind == GuestKind::Kvm { 8 } else { 64 };
        let fits = (1..=most).contains(&count);
        unless(fits, "guests.count", format_args!("{count} guests"), format!("Use 1 to {most}"))
    })
    .or_else(|| {
        let fits = (1..=2).contains(&vcpus);
        unless(fits, "guests.vcpus", format_args!("{vcpus} processors"), "Use 1 or 2")
    })
    .or_else(|| {
        // A guest uses no more queues than it has processors.
        let fits = (1..=vcpus).contains(&queues);
        let why = format_args!("{queues} pairs of queues for {vcpus} processors");
        unless(fits, "guests.queues", why, "Use 1, or as many as guests.vcpus")
    })
    .or_else(|| {
        let fits = (96..=65536).contains(&memory_mib);
        unless(fits, "guests.memory_mib", format_args!("{memory_mib} MiB"), "Use 96 to 65536")
    })
}

fn check_network(scenario: &Scenario) -> Option<Wrong> {
    let Scenario { network, guests, load_cpus, .. } = scenario;
    unless(*load_cpus > 0, "load_cpus", "the load needs a CPU", "Use 1 or more")
        .or_else(|| {
            unless(
                network.switch != Switch::Direct || guests.count == 1,
                "network.switch",
                format_args!(
                    "without a switch only one guest reaches the cable, not {}",
                    guests.count
                ),
                "Use one guest, or a switch: bridge or ovs",
            )
        })
        .or_else(|| {
            let limited = network.link.is_some() || network.guest_limit.is_some();
            unless(
                guests.kind != GuestKind::Existing || !limited,
                "network",
                "VMs that run already stand on a network that is not ours to limit",
                "Leave `link` and `guest_limit` out: --scenario existing",
            )
        })
}

fn check_schedule(scenario: &Scenario) -> Option<Wrong> {
    const FIELD: &str = "fidelity.sections";
    let Scenario { fidelity, guests, hogs, bin, .. } = scenario;
    let wrong = |section: &Section| {
        let senders = section.senders.unwrap_or(guests.count);
        let (vms, vms_needed) = (guests.count, senders + section.hogs);
        unless(
            section.duration.as_nanos().is_multiple_of(bin.as_nanos()),
            FIELD,
            format_args!("{:?} is no whole number of bins", section.duration),
            "Make each section's duration a multiple of `bin`, so that no bin mixes two loads",
        )
        .or_else(|| {
            unless(
                senders <= guests.count,
                FIELD,
                format_args!("{senders} guests cannot send, there are {}", guests.count),
                "Raise guests.count, or name fewer senders",
            )
        })
        .or_else(|| {
            unless(
                guests.kind != GuestKind::Kvm || vms_needed <= vms,
                FIELD,
                format_args!(
                    "{senders} senders and {} hogs need {vms_needed} VMs of {vms}",
                    section.hogs
                ),
                "A VM that sends is no hog: name fewer senders, or raise guests.count",
            )
        })
        .or_else(|| {
            let ours = section.hogs == 0 && section.senders.is_none() && section.rate.is_none();
            unless(
                guests.kind != GuestKind::Existing || ours,
                FIELD,
                "VMs that run already take no orders",
                "Give sections a duration only, as --scenario existing does",
            )
        })
    };
    unless(!fidelity.sections.is_empty(), FIELD, "there is none", "Give one section or more")
        .or_else(|| {
            unless(
                guests.kind != GuestKind::Existing || fidelity.rate.is_none(),
                "fidelity.rate",
                "VMs that run already take no orders",
                "Leave it out, as --scenario existing does",
            )
        })
        .or_else(|| {
            unless(hogs.threads > 0, "hogs.threads", "a hog needs a thread", "Use 1 or more")
        })
        .or_else(|| fidelity.sections.iter().find_map(wrong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trial::Pace;

    #[test]
    fn built_in_scenarios_are_right_and_quick_has_sixty_bins() {
        for name in names() {
            load(name).unwrap();
        }
        let quick = load("quick").unwrap();
        assert!(quick.fidelity.duration().as_nanos() / quick.bin.as_nanos() >= 60);
    }

    #[test]
    fn a_toll_may_be_of_lockstep_alone() {
        let toll = load("hooks").unwrap().toll.unwrap();
        assert!(toll.has(Pace::Lockstep) && !toll.has(Pace::Paced) && !toll.has(Pace::Flat));
        let quick = load("quick").unwrap().toll.unwrap();
        assert!(quick.has(Pace::Paced) && quick.has(Pace::Flat));
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
    fn orders_that_the_guests_cannot_follow_are_refused() {
        let figure8 = text("paper-fig8").unwrap();
        for (from, to) in [
            ("senders = 1, hogs = 7", "senders = 2, hogs = 7"),
            ("senders = 1, hogs = 0", "senders = 9, hogs = 0"),
            ("kind = \"kvm\"", "kind = \"existing\""),
            ("switch = \"ovs\"", "switch = \"direct\""),
            ("threads = 2", "threads = 0"),
            ("vcpus = 2", "vcpus = 3"),
        ] {
            assert!(figure8.contains(from), "{from}");
            parse("mine.toml", &figure8.replacen(from, to, 1)).unwrap_err();
        }
    }

    #[test]
    fn guests_that_run_already_are_offered_no_rate() {
        let existing = text("existing").unwrap();
        let paced = existing.replace("[fidelity]", "[fidelity]\nrate = \"5kpps\"");
        let error = parse("mine.toml", &paced).unwrap_err().to_string();
        assert!(error.contains("fidelity.rate"), "{error}");
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
