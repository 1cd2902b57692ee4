//! The commands that the documents and the workflow file show are ones that xtask takes, with
//! arguments that tracetoll takes where they are passed on. `probe-user/tests/documents.rs` sees to
//! tracetoll's own.

#[path = "../../tests/documents.rs"]
mod reader;

use crate::{Cli, Command};
use clap::{CommandFactory, Parser};
use reader::{commands, documents, examples, generated, help, read, root};
use saphyr::{LoadableYamlNode, Yaml};
use std::path::Path;

const WORKFLOW: &str = "docs/ci/tracetoll.yml";

/// What is behind `cargo`, where the command is `cargo xtask …`.
fn arguments(command: &[String]) -> Option<&[String]> {
    command.strip_prefix(["cargo".to_owned(), "xtask".to_owned()].as_slice())
}

/// The command, parsed as it would be.
fn parsed(place: &str, arguments: &[String]) -> Command {
    let words = ["cargo xtask"].into_iter().chain(arguments.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{place}: {arguments:?}\n{e}"));
    if let Command::Run(run) = &cli.command {
        let words = ["tracetoll".into(), "run".into()].into_iter().chain(run.rest.iter().cloned());
        if let Err(error) = probe_user::cli::Cli::try_parse_from(words) {
            panic!("{place}: {arguments:?}\n{error}");
        }
    }
    cli.command
}

#[test]
fn every_command_is_one_that_xtask_takes() {
    let mut seen = 0;
    for (path, text) in documents() {
        for (line, _) in examples(&text) {
            for command in commands(&line) {
                if let Some(arguments) = arguments(&command) {
                    parsed(&path.display().to_string(), arguments);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} commands: they are not found any more");
}

#[test]
fn the_page_of_xtask_is_its_help() {
    generated("reference/xtask.md", "commands", &help(Cli::command()));
}

/// CI reads the second from there.
#[test]
fn the_readme_has_the_two_commands() {
    let lines: Vec<String> =
        examples(&read(Path::new("README.md"))).into_iter().map(|e| e.0).collect();
    for command in ["cargo xtask run ", "cargo xtask test "] {
        assert!(lines.iter().any(|line| line.starts_with(command)), "{command} is gone");
    }
}

#[test]
fn the_workflow_is_one_and_calls_xtask_as_it_is() {
    let documents = Yaml::load_from_str(&read(Path::new(WORKFLOW))).unwrap();
    let [workflow] = &documents[..] else { panic!("{} documents", documents.len()) };
    assert!(workflow["on"].is_mapping() && workflow["jobs"].is_mapping());
    let (mut saved, mut compared) = (0, 0);
    for (name, job) in workflow["jobs"].as_mapping().unwrap() {
        assert!(job["runs-on"].as_str().is_some(), "{name:?}");
        for step in job["steps"].as_sequence().unwrap() {
            let script = step.as_mapping_get("run").and_then(Yaml::as_str);
            let action = step.as_mapping_get("uses").and_then(Yaml::as_str);
            assert!(script.is_some() != action.is_some(), "{step:?}");
            for line in script.unwrap_or_default().replace("\\\n", " ").lines() {
                for command in commands(line) {
                    let Some(arguments) = arguments(&command) else { continue };
                    let Command::Bench(_) = parsed(WORKFLOW, arguments) else { panic!("{line}") };
                    saved += usize::from(arguments.contains(&"--save-baseline".to_owned()));
                    compared += usize::from(arguments.contains(&"--baseline".to_owned()));
                }
            }
        }
    }
    assert_eq!((saved, compared), (1, 1));
    assert!(root().join(WORKFLOW).exists());
}
