//! `tracetoll completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use probe_core::error::Result;

use crate::cli::{Cli, CompletionsArgs, NAME, Status};

/// Prints the completion script of a shell, made from the command line's own definition.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    super::print(&script(args))?;
    Ok(Status::Done.into())
}

fn script(args: &CompletionsArgs) -> String {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for &shell in Shell::value_variants() {
            let script = script(&CompletionsArgs { shell });
            for command in Cli::command().get_subcommands() {
                let name = command.get_name();
                let mut words = script.split(|c: char| !(c.is_alphanumeric() || c == '-'));
                assert!(words.any(|word| word == name), "{shell}: {name}");
            }
            assert!(script.contains("fail-if"), "{shell}");
        }
    }
}
