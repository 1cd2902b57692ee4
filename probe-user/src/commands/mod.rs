//! One file per subcommand; each ties rooms together and holds nothing that another could need.

mod clean;
mod compare;
mod completions;
mod doctor;
mod files;
mod guests;
mod interrupt;
mod man;
mod merge;
mod methods;
mod progress;
mod recommend;
mod report;
mod run;
mod scenarios;
mod schema;
pub mod terminal;

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use probe_core::{
    error::{Error, Result},
    model::scenario::{GuestKind, Scenario},
};
use rustix::fs::FileType;
use signal_hook::consts::SIGXFSZ;

pub use self::{
    clean::clean, compare::compare, completions::completions, doctor::doctor, guests::guests,
    interrupt::on_interrupt, man::man, merge::merge, methods::methods, recommend::recommend,
    report::report, run::run, scenarios::scenarios, schema::schema,
};
use crate::{cli::Overrides, workload::scenarios as library};

/// Prints a result on standard output. A reader that went away (`| head`, a closed terminal) is no
/// failure.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if !is_unread(&error) => Err(Error::file("write", "standard output", error)),
        _ => Ok(()),
    }
}

/// Whether standard output refused because nobody reads it any more. A terminal that was closed
/// says `EIO`, as a broken disk does.
fn is_unread(error: &io::Error) -> bool {
    let terminal = || {
        rustix::fs::fstat(io::stdout())
            .is_ok_and(|data| FileType::from_raw_mode(data.st_mode) == FileType::CharacterDevice)
    };
    error.kind() == io::ErrorKind::BrokenPipe
        || error.raw_os_error() == Some(libc::EIO) && terminal()
}

/// Prints `value` as JSON, for people and programs.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&json(value)?)
}

/// As JSON, in lines.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::malformed("output", e.to_string()))?;
    Ok(format!("{text}\n"))
}

/// The command line, for people: what is not UTF-8 in it is shown as such.
fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Refuses anybody but root, before anything else fails for that reason in a less plain way. `why`
/// says what the command does that only root may.
fn require_root(command: &str, why: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::unsupported(
        format!("tracetoll {command}"),
        format!("{why}, which only root may"),
        format!("Run it as root: sudo tracetoll {command}"),
    ))
}

/// The scenario called `name`, or in that file, as it is asked to be.
fn scenario(name: &str, overrides: &Overrides) -> Result<Scenario> {
    let mut scenario = library::load(name)?;
    let Overrides { guests, guest_image, huge_pages, switch, time_scale } = overrides;
    scenario.guests.kind = guests.unwrap_or(scenario.guests.kind);
    scenario.guests.huge_pages |= huge_pages;
    scenario.network.switch = switch.unwrap_or(scenario.network.switch);
    if guest_image.is_some() {
        scenario.guests.image.clone_from(guest_image);
    }
    if let Some(factor) = *time_scale {
        scenario.fidelity.scale(factor, scenario.bin);
    }
    if scenario.guests.kind != GuestKind::Blast {
        // Other guests do not tell how many calls there were.
        scenario.overhead = None;
    }
    library::check(&format!("{name} with these flags"), &scenario)?;
    Ok(scenario)
}

/// Makes a write past `ulimit -f` an error with a hint. Unless SIGXFSZ is caught, it ends the
/// process. What this process starts has it as ever: caught signals are reset by execve(2).
pub fn survive_a_files_limit() {
    // Without it the limit still holds.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}
