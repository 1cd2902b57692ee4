//! `tracetoll guests`.

use std::{fmt::Write as _, process::ExitCode};

use probe_core::error::Result;

use crate::{
    cli::{FactFormat, GuestsArgs},
    kernel::host,
    workload::existing::{self, Found},
};

/// Lists the guests that already run here; changes nothing.
///
/// # Errors
/// /proc cannot be read, or standard output cannot be written.
pub fn guests(args: &GuestsArgs) -> Result<ExitCode> {
    super::require_root("guests", "it looks at open files of other users' processes")?;
    let found = existing::guests()?;
    match args.format {
        FactFormat::Json => super::print_json(&found)?,
        FactFormat::Text if found.is_empty() => {
            super::print("no process here has vhost-net devices and workers\n")?;
            if !host::is_first_pid_namespace() {
                super::print(
                    "this is a container: processes outside it are not visible; run this on the \
                     host\n",
                )?;
            }
        }
        FactFormat::Text => super::print(&found.iter().map(paragraph).collect::<String>())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn paragraph(guest: &Found) -> String {
    let Found { name, pid: _, command, devices, workers, taps } = guest;
    let list = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(", ");
    let taps = match taps.is_empty() {
        true => "none (its devices have other backends)".into(),
        false => list(&mut taps.iter().map(|tap| tap.name.clone())),
    };
    let mut text = format!("{name}: {command}\n");
    let _ = writeln!(text, "  TAPs: {taps}");
    let workers = list(&mut workers.iter().map(ToString::to_string));
    let _ = writeln!(text, "  vhost-net devices: {devices}; worker threads: {workers}");
    text
}
