//! Compiles the kernel programs, so that the same source always gives the same bytes.

use super::toolchain::Toolchain;
use crate::cargo;
use anyhow::{Context, Result};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "bpfel-unknown-none";
const PROFILE: &str = "bpf";
const PROGRAMS: &str = "tracetoll-bpf";

/// What the programs do besides their work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// Nothing: they are measured.
    Measured,
    /// They log, for whoever changes one.
    Logging,
}

impl Variant {
    fn features(self) -> &'static str {
        match self {
            Self::Measured => "kernel",
            Self::Logging => "log",
        }
    }
}

/// The object that the programs of the checkout in the folder `source` compile to.
pub(super) fn object(toolchain: &Toolchain, source: &Path, kind: Variant) -> Result<Vec<u8>> {
    // Each checkout has its own: cargo tells sources of the same name apart by their age alone.
    let folder = source.join("target/xtask/ebpf");
    compile(toolchain, source, &folder, kind)?;
    let linked = folder.join(TARGET).join(PROFILE).join(PROGRAMS);
    let stripped = folder.join("tracetoll.bpf.o");
    // -g keeps .BTF and .BTF.ext, which the kernel needs, and drops DWARF, which it does not.
    cargo::run(Command::new(&toolchain.strip).arg("-g").arg("-o").arg(&stripped).arg(&linked))?;
    fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))
}

fn compile(toolchain: &Toolchain, source: &Path, folder: &Path, kind: Variant) -> Result<()> {
    let mut cargo = Command::new(&toolchain.cargo);
    cargo.current_dir(source);
    cargo.args(["build", "--locked", "--quiet", "--package", "probe-ebpf", "--bin", PROGRAMS]);
    cargo.args(["--features", kind.features(), "--target", TARGET, "--profile", PROFILE]);
    cargo.arg("--target-dir").arg(folder);
    // Nothing of the user's own settings may shape the object, nor those that `cargo run` made for
    // xtask.
    let settings = [
        "RUST",
        "CARGO_PROFILE_",
        "CARGO_BUILD_",
        "CARGO_TARGET_",
        "CARGO_ENCODED_",
        "CARGO_INCREMENTAL",
    ];
    for (name, _) in env::vars_os() {
        let lossy = name.to_string_lossy();
        if settings.iter().any(|prefix| lossy.starts_with(prefix)) && lossy != "RUSTUP_HOME" {
            cargo.env_remove(&name);
        }
    }
    cargo.env("RUSTC", &toolchain.rustc);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain, source)?.join("\u{1f}"));
    // aya-ebpf uses one language feature that is not yet stable: asm! on bpf.
    cargo.env("RUSTC_BOOTSTRAP", "aya_ebpf");
    cargo.env("AYA_BPF_TARGET_ARCH", "x86_64");
    cargo::run(&mut cargo)
}

/// Flags for rustc: our linker, type information for the kernel, and no path of this machine in the
/// object.
fn flags(toolchain: &Toolchain, source: &Path) -> Result<Vec<String>> {
    let mut flags = vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=tracetoll", source.display()),
    ];
    for folder in registry_sources()? {
        flags.push(format!("--remap-path-prefix={}=crates", folder.display()));
    }
    Ok(flags)
}

/// The folders that hold the sources of crates, one per registry and named after it.
fn registry_sources() -> Result<Vec<PathBuf>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir().context("no home folder, so no CARGO_HOME")?.join(".cargo"),
    };
    let sources = home.join("registry/src");
    let entries = fs::read_dir(&sources)
        .with_context(|| format!("cannot read {}, where cargo keeps sources", sources.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
