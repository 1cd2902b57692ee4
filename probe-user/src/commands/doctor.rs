//! `tracetoll doctor`.

use std::process::ExitCode;

use probe_core::{error::Result, report};

use crate::{
    cli::{DoctorArgs, FactFormat},
    kernel::{
        arch::Architecture,
        claim::{self, Claim},
    },
    measure::{
        doctor::{self, Asking},
        guard::Guard,
    },
};

/// Says what this host can measure. The exit status is 0 if the default campaign can run, else 1.
///
/// # Errors
/// The architecture is unknown, /proc cannot be read, or standard output cannot be written.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode> {
    Architecture::current()?;
    // What is tried here must not remain if this process is killed, and a campaign must not count
    // it.
    let diagnosis = match (Guard::start(), Claim::try_take()) {
        (Ok(guard), Ok(Some(_claim))) => {
            let diagnosis = doctor::diagnose(Asking::Methods)?;
            drop(guard);
            diagnosis
        }
        (_, Ok(None)) => {
            let why = format!("{}; try again when it has ended", claim::taken());
            doctor::diagnose(Asking::Nothing { why })?
        }
        (Err(error), _) | (_, Err(error)) => {
            doctor::diagnose(Asking::Nothing { why: error.to_string() })?
        }
    };
    match args.format {
        FactFormat::Json => super::print_json(&diagnosis)?,
        FactFormat::Text => super::print(&report::doctor::render(&diagnosis))?,
    }
    Ok(if diagnosis.default_campaign { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
