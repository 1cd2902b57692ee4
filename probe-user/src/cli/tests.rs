use clap::{CommandFactory as _, error::ErrorKind};

use super::*;

/// Every command, the tool itself first.
fn commands() -> Vec<clap::Command> {
    let mut tool = Cli::command();
    tool.build();
    let below = tool.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    let below: Vec<_> = below.collect();
    std::iter::once(tool).chain(below).collect()
}

/// The command lines at the end of a command's help.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    help.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_and_all_of_them_parse() {
    for command in commands() {
        let (name, examples) = (command.get_name(), examples(&command));
        assert!(!examples.is_empty(), "{name}: no example");
        for example in examples {
            let words = shlex::split(&example).unwrap();
            // The rest is the shell's.
            let shells = words.iter().position(|word| word == ">" || word == "|");
            let words = &words[..shells.unwrap_or(words.len())];
            let parsed = Cli::try_parse_from(words);
            assert!(parsed.is_ok(), "{name}: {example}: {}", parsed.unwrap_err());
            assert!(name == NAME || words[1] == name, "{name}: {example}");
        }
    }
}

#[test]
fn the_long_help_has_every_exit_status() {
    let help = Cli::command().render_long_help().to_string();
    for status in Status::ALL {
        let line = format!("  {:>3}  {}", status.number(), status.meaning());
        assert!(help.contains(&line), "{help}");
    }
}

#[test]
fn whose_answer_is_its_exit_status_says_which_there_are() {
    for (name, statuses) in [
        ("compare", [Status::Worse, Status::Incomparable]),
        ("recommend", [Status::NoneQualifies, Status::Undecided]),
    ] {
        let mut command = Cli::command().find_subcommand(name).unwrap().clone();
        let help = command.render_long_help().to_string();
        for status in statuses.into_iter().chain([Status::Done, Status::Failed, Status::Usage]) {
            let line = format!("  {:>3}  {}", status.number(), status.meaning());
            assert!(help.contains(&line), "{name}: {help}");
        }
        assert!(!help.contains("130"), "{name}: {help}");
    }
}

#[test]
fn help_fits_a_hundred_columns() {
    for mut command in commands() {
        for help in [command.render_help(), command.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
        }
    }
}

#[test]
fn whoever_prints_facts_prints_them_as_json() {
    // A schema is JSON and nothing else.
    let without = ["run", "completions", "man", "schema"];
    for command in commands().into_iter().skip(1) {
        let name = command.get_name().to_owned();
        let format = command.get_arguments().find(|argument| argument.get_id() == "format");
        let forms: Vec<_> = format.into_iter().flat_map(clap::Arg::get_possible_values).collect();
        let json = forms.iter().any(|form| form.get_name() == "json");
        assert_eq!(json, !without.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn quiet_and_verbose_exclude_each_other_and_may_stand_anywhere() {
    for line in ["tracetoll -q doctor", "tracetoll doctor --quiet"] {
        assert!(Cli::try_parse_from(line.split(' ')).unwrap().quiet, "{line}");
    }
    for line in ["tracetoll -qv doctor", "tracetoll doctor -v --quiet"] {
        let refused = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{line}");
    }
}

#[test]
fn no_option_goes_without_help() {
    for command in commands() {
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{}: {id}", command.get_name());
        }
    }
}
