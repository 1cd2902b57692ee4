//! `cargo xtask run` has flags of its own and hands all others to `tracetoll run`; they may be
//! mixed.

use clap::CommandFactory as _;
use std::ffi::OsString;

/// The words of a command line, with `run`'s own flags before those that clap does not know here,
/// where it stops reading. What stands after `--` stays there, and so does every other command's
/// line.
pub(crate) fn own_first(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<_> = words.collect();
    let Some(run) = words.iter().position(|word| word == "run") else { return words };
    if words[1..run].iter().any(|word| !word.to_string_lossy().starts_with('-')) {
        return words;
    }
    let (before, after) = words.split_at(run + 1);
    let mut after = after.iter().peekable();
    let (mut own, mut others) = (before.to_vec(), Vec::new());
    while let Some(word) = after.next() {
        if word == "--" {
            others.push(word.clone());
            others.extend(after.cloned());
            break;
        }
        match own_flag(&word.to_string_lossy()) {
            None => others.push(word.clone()),
            Some(value_follows) => {
                own.push(word.clone());
                own.extend(after.next_if(|_| value_follows).cloned());
            }
        }
    }
    [own, others].concat()
}

/// Whether a word is a flag of `run`'s or of every command's, and whether the next word is its
/// value.
fn own_flag(word: &str) -> Option<bool> {
    let flag = word.strip_prefix("--")?;
    let (name, joined) = flag.split_once('=').map_or((flag, false), |(name, _)| (name, true));
    let command = crate::Cli::command();
    let run = command.find_subcommand("run")?;
    let mut own = command.get_arguments().chain(run.get_arguments());
    let argument = own.find(|argument| argument.get_long() == Some(name))?;
    Some(argument.get_action().takes_values() && !joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(line: &str) -> String {
        let words = own_first(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn own_flags_may_stand_anywhere() {
        assert_eq!(
            sorted("xtask run --methods all --toll-blocks 2 --kicks 10 --out=x"),
            "xtask run --toll-blocks 2 --out=x --methods all --kicks 10"
        );
        assert_eq!(sorted("xtask --no-install run --kicks 1"), "xtask --no-install run --kicks 1");
        assert_eq!(
            sorted("xtask run --methods count --no-install --kicks 10"),
            "xtask run --no-install --methods count --kicks 10"
        );
    }

    #[test]
    fn what_is_behind_two_dashes_and_other_commands_stay() {
        for line in ["xtask run --kicks 1 -- --out x", "xtask vm --out x -- run --on host", "xtask"]
        {
            assert_eq!(sorted(line), line);
        }
    }
}
