//! The corpus between text, as it is kept, and files of bytes, as libFuzzer takes them; and inputs to look at.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use tracetoll_fuzz::{TARGETS, corpus, run};

const USAGE: &str = "usage: tracetoll-fuzz unpack DIR     write every input to DIR/TARGET/NAME
       tracetoll-fuzz pack FILE…         print each file as text, to be kept as corpus/TARGET/NAME.hex
       tracetoll-fuzz run TARGET FILE…   run a target on files";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["unpack", folder] => unpack(Path::new(folder)),
        ["pack", files @ ..] => files.iter().try_for_each(|file| {
            print!("{}", corpus::to_hex(&read(file)?));
            Ok(())
        }),
        ["run", target, files @ ..] => files.iter().try_for_each(|file| {
            run(target, &read(file)?);
            Ok(())
        }),
        _ => bail!(USAGE),
    }
}

fn read(file: &str) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| file.to_owned())
}

fn unpack(folder: &Path) -> Result<()> {
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for (name, bytes) in corpus::inputs(target)? {
            fs::write(folder.join(&name), bytes).with_context(|| name)?;
        }
    }
    Ok(())
}
