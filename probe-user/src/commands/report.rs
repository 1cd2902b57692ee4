//! `tracetoll report`.

use std::process::ExitCode;

use crate::{
    cli::{ReportArgs, ReportFormat},
    error::Result,
    measure::store,
    report,
};

/// Prints a result again.
///
/// # Errors
/// It cannot be read, or is no result.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let campaign = store::read(&args.result)?;
    match args.format {
        ReportFormat::Text => super::print(&report::text::render(&campaign))?,
        ReportFormat::Markdown => super::print(&report::markdown::render(&campaign))?,
        ReportFormat::Json => super::print_json(&campaign)?,
    }
    Ok(ExitCode::SUCCESS)
}
