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
    // What it tries out must not stay if it is killed. Where there can be no guard, nothing can be tried either.
    let guard = measure::guard::Guard::start();
    let diagnosis = measure::doctor::diagnose()?;
    drop(guard);
    match args.format {
        FactFormat::Json => super::print_json(&diagnosis)?,
        FactFormat::Text => super::print(&report::doctor::render(&diagnosis))?,
    }
    Ok(if diagnosis.default_campaign { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
