//! Developers' tools that cargo installs below `target/`.

use crate::cargo;
use anyhow::Result;
use probe_vm::install::Installer;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// A program of a package of the same name.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What it is for, shown to the user.
    pub(crate) to: &'static str,
    /// Arguments of `cargo install` that leave out features that take long to compile.
    pub(crate) features: &'static [&'static str],
}

impl Tool {
    /// Installs this version of the program, if it is missing.
    ///
    /// # Errors
    /// Installing is not allowed, or the program does not compile.
    pub(crate) fn ready(&self, install: &Installer) -> Result<PathBuf> {
        let Self { name, version, to, features } = *self;
        let home = probe_vm::store::folder("tools")?.join(format!("{name}-{version}"));
        std::fs::create_dir_all(&home)?;
        let lock = File::create(home.join("lock"))?;
        lock.lock()?;
        let program = home.join("bin").join(name);
        if !program.is_file() {
            let mut cargo = cargo::cargo(&["install", name, "--locked", "--version", version]);
            cargo.args(features).arg("--root").arg(&home);
            install.announce(name, to, &cargo)?;
            cargo::run(&mut cargo)?;
        }
        Ok(program)
    }

    /// The program, ready to run.
    ///
    /// # Errors
    /// As [`Tool::ready`].
    pub(crate) fn command(&self, install: &Installer) -> Result<Command> {
        Ok(Command::new(self.ready(install)?))
    }
}
