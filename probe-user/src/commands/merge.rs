//! `tracetoll merge`.

use std::process::ExitCode;

use probe_core::{analysis, error::Result};

use super::files::Files;
use crate::{
    cli::{FactFormat, MergeArgs},
    measure::store,
};

/// Merges several results, by their journals, into one.
///
/// # Errors
/// A result cannot be read, results do not belong together, or the result cannot be written.
pub fn merge(args: &MergeArgs) -> Result<ExitCode> {
    let journals = args.journals.iter().map(|path| store::read_journals(path));
    let journals = journals.collect::<Result<Vec<_>>>()?.concat();
    let campaign = analysis::merge::merge(journals)?;
    let folder = store::create(Some(&args.out))?;
    let files = Files::write(&folder, &campaign)?;
    match args.format {
        FactFormat::Json => super::print_json(&files)?,
        FactFormat::Text => super::print(&files.to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}
