//! Checks on the documents. The tests of two crates include this file, since neither can run the
//! other's program: `probe-user/tests/documents.rs` and `xtask/src/documents.rs`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder of the book's pages.
pub(crate) const PAGES: &str = "docs/src";

/// Every document for users, by its path below the root, with its text: those at the root, the
/// pages of the book, and those of published results.
pub(crate) fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    markdown(Path::new(""), false, &mut paths);
    markdown(Path::new(PAGES), true, &mut paths);
    // A developer's own results are beside the published ones.
    for folder in fs::read_dir(root().join("results")).unwrap() {
        let folder = Path::new("results").join(folder.unwrap().file_name());
        if root().join(&folder).join("campaign.json.xz").exists() {
            markdown(&folder, false, &mut paths);
        }
    }
    paths.sort();
    assert!(paths.iter().any(|path| path == "README.md") && paths.len() > 8, "{paths:?}");
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The Markdown files of a folder, and of those below it if `deep`.
fn markdown(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if deep && entry.file_type().unwrap().is_dir() {
            markdown(&path, deep, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A file of the workspace.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares the text of a page of the book between `<!-- generated: PART -->` and `<!-- end -->`
/// with what the code generates. With `UPDATE_PAGES` in the environment, writes it there instead.
pub(crate) fn generated(page: &str, part: &str, told: &str) {
    generated_in(&Path::new(PAGES).join(page), part, told);
}

/// Like [`generated`], in any document.
pub(crate) fn generated_in(path: &Path, part: &str, told: &str) {
    // Tests run in parallel, and one page has several parts.
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(path);
    let begin = format!("<!-- generated: {part} -->\n");
    let place = text.find(&begin).and_then(|at| {
        let from = at + begin.len();
        text[from..].find("<!-- end -->\n").map(|length| from..from + length)
    });
    let place = place.unwrap_or_else(|| panic!("{}: no place for {part}", path.display()));
    let told = format!("\n{}\n\n", told.trim());
    written(path, &[&text[..place.start], &told, &text[place.end..]].concat());
}

/// Compares a file with what the code generates, or writes it, like [`generated`].
pub(crate) fn written(path: &Path, told: &str) {
    let text = read(path);
    if text == told {
        return;
    }
    let update = env::var_os("UPDATE_PAGES").is_some();
    let differs = (1..).zip(text.lines().zip(told.lines())).find(|(_, (is, told))| is != told);
    let (at, (is, should)) = differs.unwrap_or_default();
    let how = "run this test with UPDATE_PAGES=1 to write it";
    let path_at = format!("{}:{at}", path.display());
    assert!(update, "{path_at} differs from the code; {how}:\n-{is:.400}\n+{should:.400}");
    fs::write(root().join(path), told).unwrap();
}

/// The long help of a command and of each subcommand, one block each.
pub(crate) fn help(mut command: clap::Command) -> String {
    command = command.term_width(100);
    command.build();
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let mut text = block(&name, &mut command);
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        text += &block(&format!("{name} {}", below.get_name()), below);
    }
    text
}

fn block(name: &str, command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    format!("### {name}\n\n```text\n{}\n```\n\n", lines.join("\n"))
}

/// The commands in a text's `console` blocks, with continuation lines joined, each with the lines
/// of its output.
pub(crate) fn examples(text: &str) -> Vec<(String, Vec<String>)> {
    let mut examples: Vec<(String, Vec<String>)> = Vec::new();
    let (mut inside, mut goes_on) = (false, false);
    for line in text.lines() {
        match (line.trim(), inside) {
            ("```console", _) => inside = true,
            ("```", _) => (inside, goes_on) = (false, false),
            (line, true) => {
                let typed = line.strip_prefix("$ ");
                match (typed, goes_on, examples.last_mut()) {
                    (Some(line), ..) => examples.push((line.to_owned(), Vec::new())),
                    (None, true, Some((command, _))) => *command = format!("{command} {line}"),
                    (None, false, Some((_, answer))) => answer.push(line.to_owned()),
                    (None, _, None) => panic!("an answer before any command: {line}"),
                }
                let (command, answer) = examples.last_mut().unwrap();
                goes_on = answer.is_empty() && command.ends_with('\\');
                if goes_on {
                    command.truncate(command.trim_end_matches('\\').trim_end().len());
                }
            }
            _ => {}
        }
    }
    examples
}

/// The simple commands in a line of shell, without comments, redirections and `sudo`.
pub(crate) fn commands(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("no line of shell: {line}"));
    let mut commands = vec![Vec::new()];
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "&&" | "||" | ";" | "|" => commands.push(Vec::new()),
            ">" | "<" => drop(words.next()),
            "sudo" => {}
            _ => commands.last_mut().unwrap().push(word),
        }
    }
    commands
}
