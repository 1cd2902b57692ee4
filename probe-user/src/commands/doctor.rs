//! `tracetoll doctor`.

use std::process::ExitCode;

use crate::{
    cli::{DoctorArgs, FactFormat},
    error::Result,
    measure, report,
};

/// Says what this host can measure. Exit status 0 when the default campaign can run, else 1.
///
/// # Errors
/// /proc cannot be read, or standard output not written.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode> {
    let diagnosis = measure::doctor::diagnose()?;
    match args.format {
        FactFormat::Json => super::print_json(&diagnosis)?,
        FactFormat::Text => super::print(&report::doctor::render(&diagnosis))?,
    }
    Ok(if diagnosis.default_campaign { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
