//! The compiler of the kernel programs.
//!
//! Debian's `rustc-web` comes with a core library for the bpf target, so neither a nightly compiler
//! nor the library's source is needed. Its `cargo-web` is used with it, since the version of cargo
//! influences the names of symbols. The linker, `bpf-linker`, turns LLVM's bitcode into the object;
//! it is compiled once, below `target/xtask`.

use anyhow::{Context, Result, bail};
use probe_vm::{
    install::{self, Installer, Need},
    store,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// By full path, since the user's PATH leads to rustup's programs.
const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const BPF_LIBRARY: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";
const LLVM: &str = "/usr/lib/llvm-22";
const LINKER_VERSION: &str = "0.13.0";

const NEEDS: [Need; 4] = [
    Need {
        package: "rustc-web",
        why: "to compile the kernel programs (the newest rustc of this release)",
        at_least: Some("1.95"),
        present: || install::file(RUSTC),
    },
    Need {
        package: "cargo-web",
        why: "to drive that rustc",
        at_least: Some("1.95"),
        present: || install::file(CARGO),
    },
    Need {
        package: "libstd-rust-web-dev-bpf",
        why: "as the kernel programs' core library",
        at_least: Some("1.95"),
        present: || install::file(BPF_LIBRARY),
    },
    Need {
        package: "llvm-22-dev",
        why: "to build bpf-linker, the kernel programs' linker, and to strip their object",
        at_least: None,
        present: || install::file("/usr/lib/llvm-22/bin/llvm-config"),
    },
];

/// The compiler, ready to run.
pub(super) struct Toolchain {
    pub(super) cargo: PathBuf,
    pub(super) rustc: PathBuf,
    pub(super) linker: PathBuf,
    pub(super) strip: PathBuf,
    /// Names and versions of everything that influences the object, one per line.
    pub(super) identity: String,
}

impl Toolchain {
    /// Finds the compiler; installs what is missing.
    pub(super) fn ready(install: &Installer) -> Result<Self> {
        install.ensure(&NEEDS)?;
        let rustc = first_line(Path::new(RUSTC), &["--version"])?;
        let cargo = first_line(Path::new(CARGO), &["--version"])?;
        if !rustc.starts_with("rustc 1.") || !Path::new(BPF_LIBRARY).exists() {
            bail!("{RUSTC} is {rustc}, which has no core library for the bpf target");
        }
        let linker = linker(install)?;
        let llvm = first_line(&Path::new(LLVM).join("bin/llvm-config"), &["--version"])?;
        Ok(Self {
            cargo: CARGO.into(),
            rustc: RUSTC.into(),
            linker,
            strip: Path::new(LLVM).join("bin/llvm-strip"),
            identity: format!("{rustc}\n{cargo}\nbpf-linker {LINKER_VERSION}, LLVM {llvm}\n"),
        })
    }

    /// A toolchain that no test runs anything with.
    #[cfg(test)]
    pub(super) fn named(identity: &str) -> Self {
        let nowhere = PathBuf::new;
        let identity = identity.to_owned();
        Self { cargo: nowhere(), rustc: nowhere(), linker: nowhere(), strip: nowhere(), identity }
    }
}

/// bpf-linker in our version and for this LLVM, compiled if it is missing.
fn linker(install: &Installer) -> Result<PathBuf> {
    let root = store::folder("tools")?;
    let linker = root.join("bin/bpf-linker");
    let wanted = format!("bpf-linker {LINKER_VERSION}");
    if first_line(&linker, &["--version"]).is_ok_and(|version| version == wanted) {
        return Ok(linker);
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--force"]);
    build.args(["--no-default-features", "--features", "llvm-22", "--root"]).arg(&root);
    build.env("LLVM_PREFIX", LLVM);
    install.announce("bpf-linker", "to link the kernel programs", &build)?;
    let status = build.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("bpf-linker {LINKER_VERSION} does not build ({status}); cargo's output is above");
    }
    Ok(linker)
}

fn first_line(program: &Path, arguments: &[&str]) -> Result<String> {
    let out = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !out.status.success() {
        bail!("{} {} failed ({})", program.display(), arguments.join(" "), out.status);
    }
    Ok(String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned())
}
