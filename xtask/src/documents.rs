//! Tests that xtask accepts the commands shown in the documents and the workflow file, and that
//! tracetoll accepts the arguments passed on to it. `probe-user/tests/documents.rs` does the same
//! for tracetoll's own commands.

#[path = "../../tests/documents.rs"]
mod reader;

use crate::{Cli, Command};
use clap::{CommandFactory, Parser};
use probe_vm::kernels::SERIES;
use reader::{commands, documents, examples, generated, help, read, root};
use saphyr::{LoadableYamlNode, Yaml};
use std::fs;
use std::path::{Path, PathBuf};

const WORKFLOW: &str = "docs/ci/tracetoll.yml";

/// What follows `cargo`, if the command is `cargo xtask …`.
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

/// A new series is a row of `probe_vm::kernels` and its name in the README; no other source file
/// names one. In `probe-core` a kernel is only text in a result.
#[test]
fn each_series_is_said_once_and_the_readme_has_all() {
    let names = SERIES.map(|series| series.name);
    let (last, others) = names.split_last().unwrap();
    let words = format!("tested on Debian's {} and {last}.", others.join(", "));
    assert!(read(Path::new("README.md")).contains(&words), "README: {words}");
    let mut files = Vec::new();
    for folder in ["benches", "fuzz/src", "probe-user", "probe-vm", "tests", "xtask"] {
        code(Path::new(folder), &mut files);
    }
    files.retain(|path| path != "probe-vm/src/kernels.rs");
    assert!(files.len() > 300, "{files:?}");
    for path in files {
        let text = read(&path);
        for name in names {
            for said in [format!("\"{name}\""), format!("\"{name}.\""), format!("/{name}\"")] {
                assert!(!text.contains(&said), "{}: {said}", path.display());
            }
        }
    }
}

/// The sources below a folder.
fn code(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            code(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "sh") {
            found.push(path);
        }
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
