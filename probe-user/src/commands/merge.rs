//! `tracetoll merge`.

use std::process::ExitCode;

use crate::{
    analysis,
    cli::MergeArgs,
    error::Result,
    measure::{journal, store},
};

/// Makes one `campaign.json` of several journals.
///
/// # Errors
/// A journal cannot be read, journals do not belong together, or the result cannot be written.
pub fn merge(args: &MergeArgs) -> Result<ExitCode> {
    let journals = args.journals.iter().map(|path| store::read_journal(path));
    let campaign = analysis::merge::merge(journals.collect::<Result<_>>()?)?;
    let folder = store::create(Some(&args.out))?;
    let path = journal::write_campaign(&folder, &campaign)?;
    super::print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
