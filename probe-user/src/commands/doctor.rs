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

/// Says what this host can measure. Exit status 0 when the default campaign can run, else 1.
///
/// # Errors
/// The architecture is not known, /proc cannot be read, or standard output not written.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode> {
    Architecture::current()?;
    // What is tried out must not stay if this process is killed, and must not be counted by a
    // campaign.
    let diagnosis = match (Guard::start(), Claim::try_take()) {
        (Ok(guard), Ok(Some(_claim))) => {
            let diagnosis = doctor::diagnose(Asking::Methods)?;
            drop(guard);
            diagnosis
        }
        (_, Ok(None)) => {
            let why = format!("{}; ask again when it has ended", claim::taken());
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
