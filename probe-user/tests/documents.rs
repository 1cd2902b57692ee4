//! The documents hold what they say: their commands are ones that tracetoll takes, those that need
//! no kernel are run as printed and answer as shown, excerpts of the source are still in it, links
//! lead somewhere, and what is generated is what the code says.
//!
//! `UPDATE_PAGES=1 cargo test -p probe-user --test documents` writes the generated parts.

#[path = "../../tests/documents.rs"]
mod documents;
#[path = "documents/published.rs"]
mod published;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use clap::{CommandFactory as _, Parser as _};
use documents::{commands, examples, generated, read, root};
use probe_core::{
    analysis::figures::{Definition, table as rows},
    model::{bounds, method::Descriptor, scenario::GuestKind},
    report::tables::Dataset,
};
use probe_user::{
    cli::{self, Cli, Status},
    methods::registry,
    workload::scenarios,
};
use published::RECORDED;
use regex::Regex;

const TRACETOLL: &str = env!("CARGO_BIN_EXE_tracetoll");

/// What asks the running kernel, or would change it. All else works from files, and is run.
const OF_THE_KERNEL: [&str; 4] = ["run", "doctor", "guests", "clean"];

/// Where the documents' results stand.
const RESULTS: &str = "results/";

/// The words behind `tracetoll`, where the command is that.
fn arguments(command: &[String]) -> Option<&[String]> {
    command.split_first().filter(|(program, _)| *program == "tracetoll").map(|(_, rest)| rest)
}

#[test]
fn every_command_is_one_that_tracetoll_takes() {
    let mut seen = 0;
    for (path, text) in documents::documents() {
        for (line, _) in examples(&text) {
            for command in commands(&line).iter().filter(|command| arguments(command).is_some()) {
                seen += 1;
                if let Err(error) = Cli::try_parse_from(command) {
                    // --help and --version are errors to clap, and fine.
                    assert_eq!(error.exit_code(), 0, "{}: {line}\n{error}", path.display());
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} commands: they are not found any more");
}

#[test]
fn the_page_of_the_command_line_is_its_help() {
    const PAGE: &str = "reference/command-line.md";
    let status = |status: Status| [status.number().to_string(), status.meaning().to_owned()];
    let statuses = table(["exit status", "means"], Status::ALL.map(status));
    generated(PAGE, "exit statuses", &statuses);
    generated(PAGE, "commands", &documents::help(Cli::command()));
}

#[test]
fn the_page_of_methods_is_the_registrys() {
    const PAGE: &str = "reference/methods.md";
    let text = read(&Path::new(documents::PAGES).join(PAGE));
    let groups: Vec<String> = registry::groups().map(|group| format!("`{group}`")).collect();
    generated(PAGE, "groups", &format!("{}.", groups.join(", ")));
    let named = |family: &str| {
        registry::ids()
            .map(|id| (id, described(id)))
            .filter(|(_, method)| format!("{:?}", method.family).to_lowercase() == family)
            .collect::<Vec<_>>()
    };
    for family in ["baseline", "external"] {
        let row = |(id, method): &(&str, Descriptor)| {
            assert!(family == "baseline" || losses(&text, id), "{id}: no row on what it loses");
            [format!("`{id}`"), method.summary.clone(), gives(method)]
        };
        let rows = named(family);
        let rows = rows.iter().map(row);
        generated(PAGE, family, &table(["id", "what it does", "gives"], rows));
    }
    for family in ["ftrace", "perf", "bpf", "capture", "counters"] {
        let row = |(id, method): &(&str, Descriptor)| {
            assert!(losses(&text, id), "{id}: no row on what it loses");
            [format!("`{id}`"), method.summary.clone(), gives(method), parameters(method)]
        };
        let rows = named(family);
        let rows = rows.iter().map(row);
        generated(PAGE, family, &table(["id", "what it does", "gives", "parameters"], rows));
    }
}

/// A method of this id; of those with a number in it, the one that groups hold, with the event that
/// every machine has.
fn described(id: &str) -> Descriptor {
    let mut word = id.replace("HZ", "999").replace("-N", "-100");
    if id.contains("HZ") {
        word += ":event=cpu-clock";
    }
    registry::find(&word).unwrap().descriptor().clone()
}

fn gives(method: &Descriptor) -> String {
    let names: Vec<String> = method.gives().iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn parameters(method: &Descriptor) -> String {
    let written = |(name, value): (&String, &serde_json::Value)| match value.as_str() {
        Some(text) => format!("`{name}={text}`"),
        None if value.is_null() => format!("`{name}`"),
        None => format!("`{name}={value}`"),
    };
    method.parameters.iter().map(written).collect::<Vec<_>>().join(" ")
}

/// Whether a row of a page's own, which no code writes, says what the method loses.
fn losses(page: &str, id: &str) -> bool {
    let first = |line: &str| line.split(" | ").next().unwrap_or_default().to_owned();
    let own = page
        .split("<!-- generated: ")
        .flat_map(|part| part.split_once("<!-- end -->").map_or(part, |(_, own)| own).lines());
    own.filter(|line| line.starts_with("| `")).any(|line| first(line).contains(&format!("`{id}`")))
}

#[test]
fn the_page_of_scenarios_is_the_files() {
    const PAGE: &str = "reference/scenarios.md";
    let rows = scenarios::names().map(|name| {
        let scenario = scenarios::load(name).unwrap();
        let guests = match scenario.guests.kind {
            GuestKind::Existing => "those that are there".to_owned(),
            kind => format!("{} `{}`", scenario.guests.count, format!("{kind:?}").to_lowercase()),
        };
        [format!("`{name}`"), guests, scenario.summary]
    });
    generated(PAGE, "built in", &table(["name", "guests", "what happens"], rows));
    let bounds = table(["field", "accepted", "why"], bounds::of_a_scenario());
    generated(PAGE, "bounds", &bounds);
}

#[test]
fn the_page_of_figures_is_the_table_of_them() {
    for (part, rows) in [
        ("overhead", rows::OVERHEAD),
        ("by size", rows::SIZE),
        ("fidelity", rows::FIDELITY),
        ("beside", rows::BESIDE),
    ] {
        let row = |row: &&Definition| {
            let worse = format!("{:?}", row.worse).to_lowercase();
            [
                format!("`{}`", row.name),
                row.definition.to_owned(),
                row.unit.symbol().to_owned(),
                worse,
            ]
        };
        let head = ["figure", "definition", "unit", "worse"];
        generated("reference/figures.md", part, &table(head, rows.iter().map(row)));
    }
}

#[test]
fn the_page_of_columns_is_the_tables() {
    let columns = Dataset::Columns.csv(&[]).unwrap();
    let columns: Vec<[String; 4]> =
        csv::Reader::from_reader(columns.as_bytes()).deserialize().map(Result::unwrap).collect();
    for of in [Dataset::Trials, Dataset::Bins, Dataset::Figures] {
        let rows = columns.iter().filter(|[table, ..]| table == of.name());
        let rows = rows
            .map(|[_, name, unit, about]| [&format!("`{name}`"), unit, about].map(Clone::clone));
        generated(
            "reference/columns.md",
            of.name(),
            &table(["column", "unit", "what it is"], rows),
        );
    }
}

/// A table in Markdown.
fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [impl AsRef<str>; N]>,
) -> String {
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|{}\n", "---|".repeat(N));
    let rows = rows.into_iter().map(|row| line(row.iter().map(AsRef::as_ref).collect()));
    line(head.to_vec()) + &rule + &rows.collect::<String>()
}

#[test]
fn the_readme_is_short() {
    let lines = read(Path::new("README.md")).lines().count();
    assert!(lines < 120, "{lines} lines");
}

#[test]
fn what_needs_no_kernel_works_as_printed() {
    let golden = golden();
    let mut ran = 0;
    for (path, text) in documents::documents() {
        let folder = tempfile::tempdir().unwrap();
        for (line, answer) in examples(&text) {
            let commands = commands(&line);
            let from_files = |command: &Vec<String>| {
                arguments(command).and_then(<[_]>::first).is_some_and(|word| {
                    !word.starts_with('-') && !OF_THE_KERNEL.contains(&word.as_str())
                })
            };
            if !commands.iter().all(from_files) {
                assert!(answer.is_empty(), "{}: cannot check the answer to {line}", path.display());
                continue;
            }
            commands.iter().for_each(|command| lay_out(folder.path(), command, golden.path()));
            let out = shell(&line, folder.path());
            let said = String::from_utf8_lossy(&out.stdout);
            let complaint = String::from_utf8_lossy(&out.stderr);
            let fits = out.status.success()
                // "None qualifies" and "cannot tell" are answers.
                || commands[0][1] == "recommend" && matches!(out.status.code(), Some(5 | 6));
            assert!(fits, "{}: {line}\n{said}{complaint}", path.display());
            let mut said = said.lines().chain(complaint.lines()).map(str::trim);
            for shown in answer.iter().filter(|line| *line != "…") {
                assert!(said.any(|said| said == shown), "{}: {line}\n{shown}", path.display());
            }
            ran += 1;
        }
    }
    assert!(ran > 10, "only {ran} commands were run");
}

/// A result as a campaign in VMs leaves it, made of recorded journals; and one of these as a run on
/// a host leaves it.
fn golden() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let recorded = root().join("tests/data/campaign");
    let mut merge = Command::new(TRACETOLL);
    merge.args(["merge", "--out"]).arg(folder.path());
    for part in ["overhead", "fidelity"] {
        let guest = folder.path().join(format!("guests/{part}-1"));
        fs::create_dir_all(&guest).unwrap();
        let journal = guest.join("results.jsonl");
        fs::copy(recorded.join(part).with_extension("jsonl"), &journal).unwrap();
        merge.arg(journal);
    }
    let out = merge.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    fs::copy(recorded.join("overhead.jsonl"), folder.path().join("journal.jsonl")).unwrap();
    folder
}

/// Puts a campaign into each folder of results that the command reads and that is not there: the
/// published one of that name, or the recorded one; that with another seed where the name says that
/// it is more of one.
fn lay_out(folder: &Path, command: &[String], golden: &Path) {
    let written = command.iter().position(|word| word == "--out").map(|index| index + 1);
    for (index, word) in command.iter().enumerate() {
        let Some(rest) = word.strip_prefix(RESULTS).filter(|_| Some(index) != written) else {
            continue;
        };
        let result = folder.join(RESULTS).join(rest.split('/').next().unwrap());
        if result.exists() {
            continue;
        }
        fs::create_dir_all(&result).unwrap();
        let published = root().join(RESULTS).join(result.file_name().unwrap());
        let from = if published.join(RECORDED).exists() { &published } else { golden };
        let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(&result).status();
        assert!(copied.unwrap().success());
        if rest.contains("vms") {
            // Machines leave one journal each, and none above them.
            fs::remove_file(result.join("journal.jsonl")).unwrap();
        }
        if rest.starts_with("more") {
            for journal in [
                "journal.jsonl",
                "guests/overhead-1/results.jsonl",
                "guests/fidelity-1/results.jsonl",
            ] {
                let file = result.join(journal);
                let Ok(text) = fs::read_to_string(&file) else { continue };
                fs::write(file, text.replacen("\"seed\":1,", "\"seed\":2,", 1)).unwrap();
            }
        }
    }
}

/// The line as a reader would type it, with the program that was built.
fn shell(line: &str, folder: &Path) -> Output {
    let programs = Path::new(TRACETOLL).parent().unwrap().to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&others))).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("PATH", path).env("NO_COLOR", "1");
    command.output().unwrap()
}

#[test]
fn excerpts_are_still_in_their_files() {
    let mark = Regex::new(r"(?m)^<!-- from (\S+) -->\n```\w*\n((?:.*\n)*?)```$").unwrap();
    let mut seen = 0;
    for (path, text) in documents::documents() {
        let marks = text.lines().filter(|line| line.starts_with("<!-- from ")).count();
        assert_eq!(mark.captures_iter(&text).count(), marks, "{}: a mark alone", path.display());
        for found in mark.captures_iter(&text) {
            let source = read(Path::new(&found[1]));
            let mut rest = source.as_str();
            // A line `// …` stands for what is left out.
            for piece in found[2]
                .split_inclusive('\n')
                .collect::<Vec<_>>()
                .split(|line| line.trim() == "// …")
            {
                let piece = piece.concat();
                let at = rest.find(&piece);
                let at = at.unwrap_or_else(|| {
                    panic!(
                        "{}: {} does not hold, in this order:\n{piece}",
                        path.display(),
                        &found[1]
                    )
                });
                rest = &rest[at + piece.len()..];
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "only {seen} excerpts");
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    for (path, text) in documents::documents() {
        let folder = path.parent().unwrap();
        for found in link.captures_iter(&prose(&text)) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { folder.join(file) };
            let here = format!("{}: {target}", path.display());
            let there = root().join(&file).canonicalize();
            there.unwrap_or_else(|e| panic!("{here}: {e}"));
            // The built book holds what stands among its pages, and what links there stand for.
            let book = root().join(documents::PAGES);
            let near = root().join(&file).parent().unwrap().canonicalize().unwrap();
            assert!(!path.starts_with(documents::PAGES) || near.starts_with(book), "{here}");
            assert!(
                anchor.is_empty() || anchors(&read(&file)).contains(anchor),
                "{here}: no such heading"
            );
        }
    }
}

#[test]
fn the_summary_lists_every_page_once() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let pages = Path::new(documents::PAGES);
    let summary = pages.join("SUMMARY.md");
    let text = read(&summary);
    let mut listed: Vec<_> = link.captures_iter(&text).map(|found| pages.join(&found[1])).collect();
    listed.sort();
    let there = documents::documents().into_iter().map(|(path, _)| path);
    let there: Vec<_> = there.filter(|path| path.starts_with(pages) && *path != summary).collect();
    assert_eq!(listed, there);
}

#[test]
fn pages_that_the_source_names_are_there() {
    let page = Regex::new(r"docs/src/[\w/-]+\.md").unwrap();
    let mut seen = 0;
    let mut folders: Vec<PathBuf> =
        ["benches", "probe-core", "probe-ebpf", "probe-user", "tests", "xtask"]
            .map(Into::into)
            .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs" || e == "toml") {
                for found in page.find_iter(&read(&path)) {
                    seen += 1;
                    assert!(root().join(found.as_str()).exists(), "{}: {found:?}", path.display());
                }
            }
        }
    }
    assert!(seen > 5, "only {seen} pages are named");
}

/// A text without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What headings are called in links, as code hosts make it of them.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        let words = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
        let kept = words
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>();
        Some(kept.replace(' ', "-"))
    };
    prose(text).lines().filter_map(heading).collect()
}

#[test]
fn the_workflow_calls_tracetoll_as_it_is() {
    let mut seen = 0;
    for line in workflow_lines(Path::new("docs/ci/tracetoll.yml")) {
        let commands = commands(&line);
        let ours = commands.iter().filter_map(|command| {
            let (program, arguments) = command.split_first()?;
            program.ends_with("/tracetoll").then_some(arguments)
        });
        for arguments in ours {
            seen += 1;
            let words = ["tracetoll"].into_iter().chain(arguments.iter().map(String::as_str));
            let command = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}\n{e}"));
            assert!(matches!(command.command, cli::Command::Compare(_)), "{line}");
        }
    }
    assert!(seen > 0, "the workflow compares nothing");
}

/// The lines of shell of a workflow, those that go on joined.
fn workflow_lines(path: &Path) -> Vec<String> {
    let text = read(path).replace("\\\n", " ");
    let lines =
        text.lines().map(|line| line.trim().trim_start_matches("- ").trim_start_matches("run: "));
    lines.filter(|line| line.contains("/tracetoll ")).map(str::to_owned).collect()
}
