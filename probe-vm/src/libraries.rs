//! The shared libraries of a program, as the loader finds them.

use crate::newc::Cpio;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A library, or the loader.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Library {
    /// Where it is on this machine.
    pub(crate) file: PathBuf,
    /// Its path in the image, without the leading slash.
    pub(crate) place: String,
}

/// Everything that `program` needs, including the loader; nothing for a static program.
pub(crate) fn of(program: &Path) -> Result<BTreeSet<Library>> {
    let out =
        Command::new("ldd").env("LC_ALL", "C").arg(program).output().context("cannot run ldd")?;
    let text = String::from_utf8_lossy(&out.stdout);
    // ldd says "not a dynamic executable" with status 1.
    if !out.status.success() && !String::from_utf8_lossy(&out.stderr).contains("not a dynamic") {
        bail!("ldd {} failed: {}", program.display(), String::from_utf8_lossy(&out.stderr));
    }
    parse(&text).with_context(|| format!("cannot find what {} needs", program.display()))
}

/// Puts libraries into an archive, each under the name that programs look it up by, in a folder
/// that the loader searches.
pub(crate) fn pack<'a>(
    libraries: impl IntoIterator<Item = &'a Library>,
    cpio: &mut Cpio,
) -> Result<()> {
    for library in libraries {
        let bytes = fs::read(&library.file)
            .with_context(|| format!("cannot read {}", library.file.display()))?;
        cpio.file(&library.place, &bytes)?;
    }
    Ok(())
}

/// Lines are `NAME => FILE (address)`, `LOADER (address)`, or only a name for what the kernel
/// provides.
fn parse(text: &str) -> Result<BTreeSet<Library>> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let named = line.split_once(" => ");
        let file = named.map_or(line, |(_, file)| file).split(" (").next().unwrap_or_default();
        match named {
            Some((name, _)) if file.starts_with('/') => {
                found.insert(Library { file: file.into(), place: format!("lib/{name}") });
            }
            Some((name, _)) => bail!("library {name} is not on this machine"),
            None if file.starts_with('/') => {
                let place = file.trim_start_matches('/').to_owned();
                found.insert(Library { file: file.into(), place });
            }
            None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_go_by_name_and_the_loader_by_its_path() {
        let text = "\tlinux-vdso.so.1 (0x00007f64)\n\tlibc.so.6 => \
                    /lib/x86_64-linux-gnu/libc.so.6 (0x00007f50)\n\t/lib64/ld-linux-x86-64.so.2 \
                    (0x00007f64a)\n";
        let library = |file: &str, place: &str| Library { file: file.into(), place: place.into() };
        let expected = [
            library("/lib/x86_64-linux-gnu/libc.so.6", "lib/libc.so.6"),
            library("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
        ];
        assert_eq!(parse(text).unwrap(), BTreeSet::from(expected));
        assert_eq!(parse("\tstatically linked\n").unwrap(), BTreeSet::new());
        assert!(parse("\tlibsctp.so.1 => not found\n").is_err());
    }
}
