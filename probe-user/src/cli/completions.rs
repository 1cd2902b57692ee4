//! `tracetoll completions`.

use clap::Args;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  tracetoll completions bash > ~/.local/share/bash-completion/completions/tracetoll
  tracetoll completions zsh > ~/.zfunc/_tracetoll
  tracetoll completions fish > ~/.config/fish/completions/tracetoll.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell that reads the script.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}
