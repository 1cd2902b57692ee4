//! `tracetoll clean`.

use std::process::ExitCode;

use crate::{error::Result, measure};

/// Removes the leftovers of killed runs and says what it removed.
///
/// # Errors
/// Something that belongs to a dead run could not be removed.
pub fn clean() -> Result<ExitCode> {
    super::require_root("clean")?;
    let removed = measure::leftovers::sweep()?;
    let text = removed.iter().map(|object| format!("removed {object}\n")).collect::<String>();
    super::print(if text.is_empty() { "nothing to remove\n" } else { &text })?;
    Ok(ExitCode::SUCCESS)
}
