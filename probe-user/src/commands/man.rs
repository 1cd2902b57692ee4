//! `tracetoll man`.

use std::{fs, path::Path, process::ExitCode};

use clap::CommandFactory as _;
use clap_mangen::Man;
use probe_core::error::{Error, Result};

use crate::cli::{Cli, ManArgs, Status};

/// Prints the manual page of the tool, or writes the pages of all commands.
///
/// # Errors
/// They cannot be written.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    match &args.out {
        Some(folder) => write(folder)?,
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|e| Error::malformed("manual page", e.to_string()))?;
            super::print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Status::Done.into())
}

fn write(folder: &Path) -> Result<()> {
    let refused = |op| move |e| Error::output(op, folder, e);
    fs::create_dir_all(folder).map_err(refused("create"))?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(refused("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_its_example() {
        let folder = tempfile::tempdir().unwrap();
        man(&ManArgs { out: Some(folder.path().to_owned()) }).unwrap();
        for command in Cli::command().get_subcommands() {
            let file = folder.path().join(format!("tracetoll-{}.1", command.get_name()));
            let page = fs::read_to_string(&file).unwrap();
            assert!(page.contains("Example"), "{}", file.display());
        }
        let main = fs::read_to_string(folder.path().join("tracetoll.1")).unwrap();
        assert!(main.contains("130"), "{main}");
        let page = fs::read_to_string(folder.path().join("tracetoll-recommend.1")).unwrap();
        assert!(page.contains("no method qualifies"), "{page}");
    }
}
