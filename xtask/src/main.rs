//! Everything a developer types: `cargo xtask run|test|bench|ebpf|vm`.
//!
//! Each subcommand is one module; what a module needs from the system it asks of [`install`].

mod apt;
mod ebpf;
mod install;
mod paths;

use clap::{Parser, Subcommand};
use install::Installer;

/// The developer's command of tracetoll.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// Install nothing: print the lines that would install what is missing, and stop
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the kernel programs and put the object where it is committed
    Ebpf {
        /// Change nothing: prove that the committed object is what the source gives
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let install = Installer::new(cli.no_install);
    match cli.command {
        Command::Ebpf { check } => ebpf::run(check, &install),
    }
}
