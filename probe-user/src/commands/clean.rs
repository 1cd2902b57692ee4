//! `tracetoll clean`.

use std::process::ExitCode;

use crate::{
    cli::{CleanArgs, FactFormat},
    error::Result,
    measure,
};

/// Removes the leftovers of killed runs and says what it removed.
///
/// # Errors
/// Something that belongs to a dead run could not be removed.
pub fn clean(args: &CleanArgs) -> Result<ExitCode> {
    super::require_root("clean", "it removes probes and network interfaces from the kernel")?;
    let removed = measure::leftovers::sweep()?;
    match args.format {
        FactFormat::Json => super::print_json(&removed)?,
        FactFormat::Text if removed.is_empty() => super::print("nothing to remove\n")?,
        FactFormat::Text => super::print(&removed.iter().map(line).collect::<String>())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn line(object: &String) -> String {
    format!("removed {object}\n")
}
