//! Converts the corpus between text, as it is kept, and binary files for libFuzzer; and runs single
//! inputs.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tracetoll_fuzz::{TARGETS, corpus, mutate, run};

const USAGE: &str = "usage: tracetoll-fuzz unpack DIR     write every input to DIR/TARGET/NAME
       tracetoll-fuzz pack FILE…         print each file as text, to be kept as \
                     corpus/TARGET/NAME.hex
       tracetoll-fuzz run TARGET FILE…   run a target on files
       tracetoll-fuzz targets            print the names of all targets
       tracetoll-fuzz mutate TARGET SECONDS SEED DIR
                                         run a target on changed inputs; the one under way stands \
                     in DIR/TARGET";

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
        ["targets"] => {
            TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        ["mutate", target, seconds, seed, folder] => {
            mutate(target, Duration::from_secs(seconds.parse()?), seed.parse()?, Path::new(folder))
        }
        _ => bail!(USAGE),
    }
}

/// Writes each input before it is tried, so that it is available after a panic.
fn mutate(target: &str, time: Duration, seed: u64, folder: &Path) -> Result<()> {
    let mut mutator = mutate::Mutator::new(target, seed)?;
    let (begin, file, mut inputs) = (Instant::now(), folder.join(target), 0_u64);
    while begin.elapsed() < time {
        let input = mutator.input();
        fs::write(&file, &input).with_context(|| file.display().to_string())?;
        run(target, &input);
        inputs += 1;
    }
    println!("{target}: {inputs} inputs");
    Ok(())
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
