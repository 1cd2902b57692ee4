//! Checks a scenario beyond the types of its fields: every number is within its bounds, and the
//! load can run.

use std::time::Duration;

use probe_core::{
    error::Error,
    model::{
        bounds::{self, Bound, Bounded},
        external::External,
        scenario::{
            BitRate, Drawn, GuestKind, Guests, Link, Overhead, Rate, Scenario, Section, Switch,
        },
    },
};

/// A wrong field.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its path: `fidelity.sections[2].hogs`.
    pub(super) field: String,
    why: String,
    hint: Option<String>,
}

impl Wrong {
    /// As an error about the scenario of that name; `line` says where it is in the text.
    pub(super) fn told(&self, origin: &str, line: &str) -> Error {
        let Self { field, why, hint } = self;
        let subject = format!("scenario {origin}{line}, {field}");
        let error =
            Error::Invalid { subject, why: why.clone(), hint: probe_core::error::Hint::NONE };
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

type Checked = Result<(), Wrong>;

/// Checks everything, in the order of the file.
pub(super) fn scenario(scenario: &Scenario) -> Checked {
    within(&bounds::BIN, "bin", scenario.bin)?;
    within(&bounds::SETTLE, "settle", scenario.settle)?;
    within(&bounds::LOAD_CPUS, "load_cpus", scenario.load_cpus)?;
    guests(&scenario.guests)?;
    network(scenario)?;
    within(&bounds::HOG_THREADS, "hogs.threads", scenario.hogs.threads)?;
    scenario.overhead.as_ref().map_or(Ok(()), overhead)?;
    fidelity(scenario)?;
    within(&bounds::EXTERNALS, "external", scenario.external.len())?;
    let mut externals = scenario.external.iter().enumerate();
    externals.try_for_each(|(number, program)| external(number, program))
}

/// A number that must keep to its bound; `field` is where it stands.
fn within<T: Bounded>(bound: &Bound<T>, field: &str, value: T) -> Checked {
    bound.check(value).map(drop).map_err(|why| Wrong { field: field.into(), why, hint: None })
}

/// Fails for `field` unless `holds`.
fn unless(holds: bool, field: &str, why: impl std::fmt::Display, hint: &str) -> Checked {
    if holds {
        return Ok(());
    }
    Err(Wrong { field: field.into(), why: why.to_string(), hint: Some(hint.into()) })
}

fn guests(guests: &Guests) -> Checked {
    let &Guests { ring, frame, batch, count, vcpus, queues, memory_mib, .. } = guests;
    let most = if guests.kind == GuestKind::Kvm { &bounds::VMS } else { &bounds::GUESTS };
    within(most, "guests.count", count)?;
    within(&bounds::FRAME, "guests.frame", frame)?;
    within(&bounds::RING, "guests.ring", ring)?;
    let why = format_args!("{ring} descriptors");
    unless(ring.is_power_of_two(), "guests.ring", why, "Use a power of two from 4 to 32768")?;
    let fits = (1..=ring).contains(&batch);
    let why = format_args!("{batch} frames, in a ring of {ring}");
    unless(fits, "guests.batch", why, "Use 1 up to the ring's size")?;
    within(&bounds::VCPUS, "guests.vcpus", vcpus)?;
    // A guest does not use more queues than it has processors.
    let fits = (1..=vcpus).contains(&queues);
    let why = format_args!("{queues} pairs of queues for {vcpus} processors");
    unless(fits, "guests.queues", why, "Use 1, or as many as guests.vcpus")?;
    within(&bounds::MEMORY_MIB, "guests.memory_mib", memory_mib)?;
    let shown = guests.image.as_deref().is_none_or(|image| image.to_str().is_some());
    let why = "the path is not UTF-8, so the result could not contain it";
    unless(shown, "guests.image", why, "Rename the folder, or use a link to it")
}

fn network(scenario: &Scenario) -> Checked {
    let Scenario { network, guests, .. } = scenario;
    let count = guests.count;
    unless(
        network.switch != Switch::Direct || count == 1,
        "network.switch",
        format_args!("without a switch only one guest reaches the cable, not {count}"),
        "Use one guest, or a switch: bridge or ovs",
    )?;
    let limited = network.link.is_some() || network.guest_limit.is_some();
    unless(
        guests.kind != GuestKind::Existing || !limited,
        "network",
        "VMs that already run use a network that is not ours to limit",
        "Leave `link` and `guest_limit` out: --scenario existing",
    )?;
    match network.link {
        Some(Link::Rate(rate)) => within(&bounds::BITS, "network.link", rate.per_second())?,
        Some(Link::Share(share)) => within(&bounds::SHARE, "network.link", share * 100.0)?,
        None => {}
    }
    let limit = network.guest_limit.map(BitRate::per_second);
    limit.map_or(Ok(()), |rate| within(&bounds::BITS, "network.guest_limit", rate))
}

fn overhead(overhead: &Overhead) -> Checked {
    within(&bounds::KICKS, "overhead.closed_loop.kicks", overhead.closed_loop.kicks)?;
    if let Some(paced) = &overhead.paced {
        within(&bounds::RATE, "overhead.paced.rate", paced.rate.per_second())?;
        within(&bounds::PHASE, "overhead.paced.duration", paced.duration)?;
    }
    let saturated = overhead.saturated.as_ref();
    saturated.map_or(Ok(()), |saturated| {
        within(&bounds::PHASE, "overhead.saturated.duration", saturated.duration)
    })
}

fn fidelity(scenario: &Scenario) -> Checked {
    const SECTIONS: &str = "fidelity.sections";
    let Scenario { fidelity, guests, bin, .. } = scenario;
    match &fidelity.drawn {
        Some(drawn) => {
            let why = "the schedule cannot be both given and drawn";
            let hint = "Leave one of `sections` and `drawn` out";
            unless(fidelity.sections.is_empty(), SECTIONS, why, hint)?;
            self::drawn(drawn, scenario)?;
        }
        None => within(&bounds::SECTIONS, SECTIONS, fidelity.sections.len())?,
    }
    let theirs = guests.kind == GuestKind::Existing && fidelity.rate.is_some();
    unless(
        !theirs,
        "fidelity.rate",
        "VMs that already run take no orders",
        "Leave it out, as --scenario existing does",
    )?;
    let rate = fidelity.rate.map(Rate::per_second);
    rate.map_or(Ok(()), |rate| within(&bounds::RATE, "fidelity.rate", rate))?;
    for (number, each) in fidelity.sections.iter().enumerate() {
        section(&format!("{SECTIONS}[{number}]"), each, scenario)?;
    }
    // At most a thousand sections of at most a day: the sum cannot overflow.
    let duration = fidelity.duration();
    within(&bounds::FIDELITY, SECTIONS, duration)?;
    let bins = duration.as_nanos().checked_div(bin.as_nanos());
    let bins = bins.and_then(|bins| u64::try_from(bins).ok()).unwrap_or(u64::MAX);
    within(&bounds::BINS, SECTIONS, bins)
}

/// A schedule that is drawn: whatever is drawn can be run.
fn drawn(drawn: &Drawn, scenario: &Scenario) -> Checked {
    let worse = &drawn.degradations;
    let field = |name: &str| format!("fidelity.drawn.{name}");
    let lengths = [
        ("duration", drawn.duration),
        ("shortest", drawn.shortest),
        ("longest", drawn.longest),
        ("degradations.duration", worse.duration),
    ];
    for (name, length) in lengths {
        within(&bounds::SECTION, &field(name), length)?;
        whole_bins(&field(name), length, scenario.bin)?;
    }
    let why = format_args!("{:?} is shorter than `shortest`", drawn.longest);
    unless(drawn.shortest <= drawn.longest, &field("longest"), why, "Make it as long at least")?;
    within(&bounds::DEGRADATIONS, &field("degradations.count"), worse.count)?;
    within(&bounds::LESS, &field("degradations.rate_pct"), worse.rate_pct)?;
    within(&bounds::HOGS, &field("degradations.hogs"), worse.hogs)?;
    let each = [drawn.rates.len(), drawn.per_kick.len(), drawn.hogs.len()];
    for (name, choices) in ["rates", "per_kick", "hogs"].into_iter().zip(each) {
        within(&bounds::CHOICES, &field(name), choices)?;
    }
    let most = drawn.hogs.iter().copied().max().unwrap_or_default().saturating_add(worse.hogs);
    let of = |rate: Option<Rate>, per_kick| Section {
        name: None,
        senders: None,
        hogs: most,
        rate,
        per_kick,
        duration: drawn.shortest,
    };
    let rates = drawn.rates.iter().map(|rate| of(Some(*rate), None));
    let kicks = drawn.per_kick.iter().map(|per_kick| of(None, Some(*per_kick)));
    rates.chain(kicks).try_for_each(|each| section("fidelity.drawn", &each, scenario))
}

fn whole_bins(field: &str, length: Duration, bin: Duration) -> Checked {
    unless(
        length.as_nanos().checked_rem(bin.as_nanos()) == Some(0),
        field,
        format_args!("{length:?} is not a whole number of bins"),
        "Make each section's duration a multiple of `bin`, so that no bin mixes two loads",
    )
}

fn section(at: &str, section: &Section, scenario: &Scenario) -> Checked {
    let Scenario { guests, hogs, bin, .. } = scenario;
    let field = |name: &str| format!("{at}.{name}");
    within(&bounds::SECTION, &field("duration"), section.duration)?;
    whole_bins(&field("duration"), section.duration, *bin)?;
    if let Some(per_kick) = section.per_kick {
        let why = format_args!("{per_kick} frames, of at most {} in a kick", guests.batch);
        let fits = (1..=guests.batch).contains(&per_kick);
        unless(fits, &field("per_kick"), why, "Use 1 up to guests.batch")?;
    }
    within(&bounds::HOGS, &field("hogs"), section.hogs)?;
    within(&bounds::ALL_HOGS, &field("hogs"), section.hogs.saturating_mul(hogs.threads))?;
    let (senders, vms) = (section.senders.unwrap_or(guests.count), guests.count);
    unless(
        senders <= vms,
        &field("senders"),
        format_args!("{senders} guests cannot send: there are {vms}"),
        "Raise guests.count, or name fewer senders",
    )?;
    let needed = senders.saturating_add(section.hogs);
    unless(
        guests.kind != GuestKind::Kvm || needed <= vms,
        &field("hogs"),
        format_args!("{senders} senders and {} hogs need {needed} VMs of {vms}", section.hogs),
        "A VM that sends is not a hog: name fewer senders, or raise guests.count",
    )?;
    let ours = section.hogs == 0 && section.senders.is_none() && section.rate.is_none();
    unless(
        guests.kind != GuestKind::Existing || ours,
        at,
        "VMs that already run take no orders",
        "Give sections only a duration, as --scenario existing does",
    )?;
    let rate = section.rate.map(Rate::per_second);
    rate.map_or(Ok(()), |rate| within(&bounds::RATE, &field("rate"), rate))
}

fn external(number: usize, program: &External) -> Checked {
    let External { settle, timeout, linger, exit, argv, report, .. } = program;
    let field = |name: &str| format!("external[{number}].{name}");
    within(&bounds::WORDS, &field("argv"), argv.len())?;
    for (name, words) in [("argv", argv), ("report", report)] {
        let most = Bound { least: 0, ..bounds::WORDS };
        within(&most, &field(name), words.len())?;
        let zero = words.iter().any(|word| word.contains('\0'));
        let why = "one of its words has a zero byte, which cannot be passed to a program";
        unless(!zero, &field(name), why, "Leave it out")?;
    }
    for (name, wait) in [("settle", settle), ("timeout", timeout), ("linger", linger)] {
        within(&bounds::WAIT, &field(name), *wait)?;
    }
    exit.iter().try_for_each(|&status| within(&bounds::EXIT, &field("exit"), status))
}

#[cfg(test)]
mod tests {
    use super::super::{parse, text};

    /// The error for a built-in scenario with one replacement.
    fn refused(name: &str, (from, to): (&str, &str)) -> String {
        let text = text(name).unwrap();
        assert!(text.contains(from), "{from}");
        parse("mine.toml", &text.replacen(from, to, 1)).expect_err(to).to_string()
    }

    #[test]
    fn orders_that_the_guests_cannot_follow_are_refused() {
        for change in [
            ("senders = 1, hogs = 7", "senders = 2, hogs = 7"),
            ("senders = 1, hogs = 0", "senders = 9, hogs = 0"),
            ("kind = \"kvm\"", "kind = \"existing\""),
            ("switch = \"ovs\"", "switch = \"direct\""),
            ("threads = 2", "threads = 0"),
            ("vcpus = 2", "vcpus = 3"),
        ] {
            refused("paper-fig8", change);
        }
        let said = refused("existing", ("[fidelity]", "[fidelity]\nrate = \"5kpps\""));
        assert!(said.contains("fidelity.rate"), "{said}");
    }

    #[test]
    fn a_number_out_of_range_is_told_with_its_line_field_and_what_is_accepted() {
        for (from, to, told) in [
            ("bin = ", "bin = \"1ns\" #", "line 4 (`bin = \"1ns\" #"),
            (
                "bin = ",
                "bin = \"1ns\" #",
                "`), bin: 1ns is out of range: use 1ms to 10m, since reading all",
            ),
            ("settle = ", "settle = \"2400h\" #", "settle: "),
            (
                "load_cpus = 1",
                "load_cpus = 0",
                "load_cpus: 0 CPUs is out of range: use 1 to 8192 CPUs",
            ),
            ("load_cpus = 1", "load_cpus = 99999999999", "load_cpus: 99999999999 CPUs"),
            ("ring = 256", "ring = 100", "guests.ring: 100 descriptors. Use a power of two"),
            ("ring = 256", "ring = 2", "guests.ring: 2 descriptors is out of range"),
            ("frame = 1514", "frame = 10", "guests.frame: 10 bytes is out of range"),
            ("batch = 64", "batch = 0", "guests.batch: 0 frames"),
            ("batch = 64", "batch = 257", "Use 1 up to the ring's size"),
            ("count = 1", "count = 0", "guests.count: "),
            ("count = 1", "count = 65", "use 1 to 64 guests"),
            (
                "duration = \"4s\"",
                "duration = \"4100ms\"",
                "fidelity.sections[4].duration: 4.1s is not a whole",
            ),
            ("duration = \"4s\"", "duration = \"120000h\"", "fidelity.sections[4].duration: "),
            (
                "duration = \"4s\"",
                "duration = \"23h\"",
                "fidelity.sections: 331248 bins is out of range",
            ),
            ("hogs = 1", "hogs = 100000", "fidelity.sections[1].hogs: 100000 hogs"),
            ("rate = \"5kpps\"", "rate = \"1e30pps\"", "overhead.paced.rate: "),
            (
                "rate = \"5kpps\"",
                "rate = \"0.001pps\"",
                "overhead.paced.rate: 0.001pps is out of range: use 1pps to 100Mpps",
            ),
            ("kicks = ", "kicks = 0 #", "overhead.closed_loop.kicks: 0 kicks"),
            ("kicks = ", "kicks = 9223372036854775807 #", "overhead.closed_loop.kicks: "),
        ] {
            let said = refused("quick", (from, to));
            assert!(said.starts_with("scenario mine.toml, line "), "{said}");
            assert!(said.contains(told), "{said}");
        }
    }

    #[test]
    fn what_does_not_fit_its_type_is_told_with_its_line() {
        for (from, to) in [
            ("kicks = ", "kicks = 18446744073709551615 #"),
            ("kicks = ", "kicks = -1 #"),
            ("ring = 256", "ring = 65536"),
            ("rate = \"5kpps\"", "rate = \"nanpps\""),
            ("duration = \"4s\"", "duration = \"-4s\""),
        ] {
            let said = refused("quick", (from, to));
            assert!(said.starts_with("scenario mine.toml, line "), "{said}");
        }
    }

    #[test]
    fn a_program_keeps_to_its_bounds() {
        let table = |more: &str| {
            let quick = text("quick").unwrap();
            parse(
                "mine.toml",
                &format!("{quick}\n[[external]]\nname = \"x\"\nargv = [\"x\"]\n{more}\n"),
            )
        };
        table("").unwrap();
        for (more, told) in [
            ("settle = \"2h\"", "external[0].settle: 2h is out of range"),
            ("timeout = \"1us\"", "external[0].timeout: "),
            ("linger = \"61m\"", "external[0].linger: "),
            ("exit = [0, 256]", "external[0].exit: 256 is out of range: use 0 to 255"),
            ("exit = [-1]", "external[0].exit: -1"),
            ("report = [\"a\\u0000\"]", "external[0].report: one of its words has a zero byte"),
        ] {
            let said = table(more).unwrap_err().to_string();
            assert!(said.contains(told) && said.contains(", line "), "{said}");
        }
    }

    #[test]
    fn a_cable_carries_what_one_can() {
        for (field, told) in [
            ("link = \"8bit\"", "network.link: 8bit is out of range: use 100kbit to 1000Gbit"),
            ("link = \"0.1%\"", "network.link: 0.1% is out of range: use 1% to 100%"),
            ("guest_limit = \"1e30bit\"", "network.guest_limit: "),
        ] {
            let said = refused("paper-a", ("link = \"70%\"", field));
            assert!(said.contains(told) && said.contains(", line 18 ("), "{said}");
        }
    }
}
