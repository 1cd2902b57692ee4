//! All commands of a developer: `cargo xtask run|test|bench|ebpf|image|vm|book|house`.
//!
//! Each subcommand is one module. A module asks an [`Installer`] for what it needs from the system;
//! machines come from [`probe_vm`].

mod bench;
mod book;
mod cargo;
#[cfg(test)]
mod documents;
mod ebpf;
mod house;
mod image;
mod paths;
mod readers;
mod run;
mod test;
mod tools;
mod vm;

use clap::{Parser, Subcommand};
use probe_vm::{Installer, interrupt};
use std::process::ExitCode;

/// The developer's command of tracetoll.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// Install nothing: print the commands that would install what is missing, and stop
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Test(test::Args),
    Bench(bench::Args),
    Vm(vm::Args),
    Image(image::Args),
    Ebpf(ebpf::Args),
    Book(book::Args),
    House(house::Args),
}

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    interrupt::listen()?;
    let install = if cli.no_install { Installer::Kernels } else { Installer::All };
    match cli.command {
        Command::Run(args) => args.run(&install),
        Command::Test(args) => args.run(&install),
        Command::Bench(args) => args.run(&install),
        Command::Vm(args) => args.run(&install),
        Command::Image(args) => args.run(&install),
        Command::Ebpf(args) => args.run(&install).map(|()| ExitCode::SUCCESS),
        Command::Book(args) => args.run(&install).map(|()| ExitCode::SUCCESS),
        Command::House(args) => args.run(&install).map(|()| ExitCode::SUCCESS),
    }
}
