//! `cargo xtask ebpf`: builds the kernel programs of this checkout or another one, or verifies the
//! committed object.
//!
//! The object is committed so that users need no eBPF compiler. It depends only on the source,
//! `Cargo.lock` and the compiler, not on the folder it is built in. A file beside it names the
//! compiler.

mod build;
mod toolchain;

use crate::paths;
use anyhow::{Context, Result, bail};
use build::Variant;
use probe_vm::Installer;
use std::{
    fs,
    path::{Path, PathBuf},
};
use toolchain::Toolchain;

/// The committed object, below the workspace's root.
const OBJECT: &str = "probe-ebpf/obj/tracetoll.bpf.o";
/// What compiled it.
const COMPILER: &str = "probe-ebpf/obj/compiler.txt";
/// Where the programs that log go: never where a measurement would use them unasked.
const LOGGING: &str = "target/xtask/ebpf/tracetoll-log.bpf.o";

/// Build the kernel programs and put the object where it is committed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing: verify that the source compiles to the committed object
    #[arg(long, conflicts_with_all = ["out", "source", "log"])]
    check: bool,
    /// Build programs that log, for `tracetoll run --bpf-log FILE`, as
    /// target/xtask/ebpf/tracetoll-log.bpf.o unless --out gives another path
    #[arg(long)]
    log: bool,
    /// Put the object here instead, for `tracetoll run --object FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Compile the programs of the checkout in this folder instead
    #[arg(long, value_name = "DIR", requires = "out")]
    source: Option<PathBuf>,
}

impl Args {
    /// Builds the object, or verifies the committed one.
    pub(crate) fn run(self, install: &Installer) -> Result<()> {
        if self.check {
            return check(install);
        }
        let toolchain = Toolchain::ready(install)?;
        let source = self.source.as_deref().unwrap_or(paths::root());
        let source = fs::canonicalize(source)
            .with_context(|| format!("cannot find {}", source.display()))?;
        let kind = if self.log { Variant::Logging } else { Variant::Measured };
        let built = build::object(&toolchain, &source, kind)?;
        let path = match (self.out, kind) {
            (Some(path), _) => path,
            (None, Variant::Logging) => paths::root().join(LOGGING),
            (None, Variant::Measured) => {
                write(&paths::root().join(COMPILER), toolchain.identity.as_bytes())?;
                paths::root().join(OBJECT)
            }
        };
        write(&path, &built)?;
        println!("{}: {} bytes", path.display(), built.len());
        Ok(())
    }
}

/// Installs the compiler if it is missing.
pub(crate) fn ready(install: &Installer) -> Result<()> {
    Toolchain::ready(install).map(drop)
}

/// Builds the programs that log and returns the path of their object.
pub(crate) fn logging(install: &Installer) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(install)?;
    let path = paths::root().join(LOGGING);
    write(&path, &build::object(&toolchain, paths::root(), Variant::Logging)?)?;
    Ok(path)
}

/// Verifies that the source compiles to the committed object.
pub(crate) fn check(install: &Installer) -> Result<()> {
    let toolchain = Toolchain::ready(install)?;
    let built = build::object(&toolchain, paths::root(), Variant::Measured)?;
    let [object, compiler] = [OBJECT, COMPILER].map(|path| read(&paths::root().join(path)));
    prove(&built, &object?, &toolchain, &String::from_utf8(compiler?)?)?;
    println!("the source compiles to {OBJECT} ({} bytes)", built.len());
    Ok(())
}

fn prove(built: &[u8], committed: &[u8], toolchain: &Toolchain, compiler: &str) -> Result<()> {
    if built == committed {
        return Ok(());
    }
    if toolchain.identity != compiler {
        bail!(
            "{OBJECT} was compiled with\n{compiler}and this machine has\n{}so their output may \
             differ; rebuild it with `cargo xtask ebpf`, test it, and commit it",
            toolchain.identity
        );
    }
    let first = built.iter().zip(committed).take_while(|(a, b)| a == b).count();
    bail!(
        "the source does not compile to {OBJECT}: {} bytes instead of {}, first difference at \
         byte {first}; build it with `cargo xtask ebpf`, test it, and commit it",
        committed.len(),
        built.len(),
    )
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("the object has a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_object_is_found_out_and_another_compiler_named() {
        let here = Toolchain::named("rustc 1.96\n");
        assert!(prove(b"same", b"same", &here, "rustc 1.95\n").is_ok());
        let edited = prove(b"same", b"sane", &here, "rustc 1.96\n").unwrap_err().to_string();
        assert!(edited.contains("first difference at byte 2"), "{edited}");
        let aged = prove(b"same", b"sane", &here, "rustc 1.95\n").unwrap_err().to_string();
        assert!(aged.contains("rustc 1.95") && aged.contains("rustc 1.96"), "{aged}");
    }
}
