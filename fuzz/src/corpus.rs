//! The corpus as text: a file of hex digits for each input, `corpus/TARGET/NAME.hex`, or of text
//! that people write, `NAME.txt`; also the golden pages of the tests, and the built-in scenarios.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use probe_user::workload::scenarios;

use crate::pages::Golden;

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Name and bytes of all inputs of a target.
///
/// # Errors
/// A file cannot be read, or does not contain hex digits.
pub fn inputs(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = root().join("corpus").join(target);
    let mut inputs = Vec::new();
    if folder.exists() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            // Text that people write is kept as it is.
            let bytes = match path.extension().is_some_and(|extension| extension == "txt") {
                true => text.into_bytes(),
                false => from_hex(&text).with_context(|| path.display().to_string())?,
            };
            let name = path.file_stem().unwrap_or_default().display().to_string();
            inputs.push((name, bytes));
        }
    }
    inputs.extend(golden(target));
    if target == "scenario" {
        let built_in = |name| Some((format!("built-in-{name}"), scenarios::text(name)?.into()));
        inputs.extend(scenarios::names().filter_map(built_in));
    }
    inputs.sort();
    Ok(inputs)
}

/// Data written by real kernels, for the targets that read it.
fn golden(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for (choice, golden) in (0_u8..).zip(Golden::all()) {
        for (number, page) in golden.pages().chunks(4096).enumerate() {
            let name = format!("golden-{}-{number}", golden.name());
            match target {
                "ftrace_page" => inputs.push((name, [page, &[choice]].concat())),
                "ftrace_format" if number == 0 => {
                    let files = ["header_page", "header_event", "format"];
                    let texts = files.map(|file| golden.text(file) + "\0").concat();
                    inputs.push((name, [texts.as_bytes(), page].concat()));
                }
                "kallsyms" if number == 0 => inputs.push((name, golden.text("kallsyms").into())),
                _ => {}
            }
        }
    }
    inputs
}

/// Parses hex digits; white space is skipped.
///
/// # Errors
/// There is another character, or half a byte.
pub fn from_hex(text: &str) -> Result<Vec<u8>> {
    let digit = |c: char| c.to_digit(16).with_context(|| format!("`{c}` is not a hex digit"));
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(digit).collect::<Result<_>>()?;
    ensure!(digits.len().is_multiple_of(2), "half a byte at the end");
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// Hex digits, 32 bytes per line.
pub fn to_hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).map(|part| line(part) + "\n").collect()
}
