//! The tool as its users meet it, on any machine: streams, colours, widths, what it writes, and
//! what it says of mistakes.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lzma_rust2::{XzOptions, XzWriter};
use tempfile::TempDir;

const TRACETOLL: &str = env!("CARGO_BIN_EXE_tracetoll");

/// Columns of a terminal.
const WIDTH: usize = 100;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/campaign").join(name)
}

/// Packed as by xz, with a dictionary of so many MiB.
fn packed(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.lzma_options.dict_size = dictionary << 20;
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn run(folder: &TempDir, words: &[&str]) -> Output {
    let mut command = Command::new(TRACETOLL);
    command.args(words).current_dir(folder).env_remove("NO_COLOR").output().unwrap()
}

/// As somebody who is not root and owns nothing here; the folder is opened to be read.
fn run_as_nobody(folder: &TempDir, words: &[&str]) -> Output {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |program: &Path| {
        let mut command = Command::new(program);
        command.args(words).current_dir(folder);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    run(Path::new(TRACETOLL)).unwrap_or_else(|_| {
        // The program stands in a folder that is its owner's alone.
        let copy = folder.path().join("tracetoll");
        fs::copy(TRACETOLL, &copy).unwrap();
        run(&copy).unwrap()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with a result in `all`, and its journals.
fn measured() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["overhead.jsonl", "fidelity.jsonl"] {
        fs::copy(recorded(name), folder.path().join(name)).unwrap();
    }
    let merged = run(&folder, &["merge", "--out", "all", "overhead.jsonl", "fidelity.jsonl"]);
    assert!(merged.status.success(), "{}", text(&merged.stderr));
    let said = text(&merged.stdout);
    let files = "result: all/campaign.json\nreport: all/report.html\n";
    let command =
        said.strip_prefix(&format!("{files}choose: ")).unwrap_or_else(|| panic!("{said}"));
    let [program, words @ ..] = &shlex::split(command).unwrap()[..] else { panic!("{said}") };
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    assert_eq!((&**program, &words[..2]), (TRACETOLL, &["recommend", "all"][..]));
    let chosen = run(&folder, &words);
    assert!(matches!(chosen.status.code(), Some(0 | 5 | 6)), "{}", text(&chosen.stderr));
    folder
}

#[test]
fn a_result_comes_with_its_page_and_both_have_the_same_verdict() {
    let folder = measured();
    let page = fs::read_to_string(folder.path().join("all/report.html")).unwrap();
    let report = text(&run(&folder, &["report", "all"]).stdout);
    let (_, verdict) = report.split_once("\nVerdict\n").unwrap();
    let verdict = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["Methods that count every call", "Nothing was lost or missed"] {
        assert!(verdict.contains(words) && page.contains(words), "{words}: {verdict}");
    }
    let words = ["merge", "--format", "json", "--out", "again", "overhead.jsonl"];
    let files: serde_json::Value = serde_json::from_slice(&run(&folder, &words).stdout).unwrap();
    assert_eq!(files["report"], "again/report.html");
}

#[test]
fn what_is_merged_merges_again() {
    let folder = measured();
    let path = |name: &str| folder.path().join(name).join("campaign.json");
    let whole = fs::read_to_string(path("all")).unwrap();
    for (out, result) in [("folder", "all"), ("file", "all/campaign.json")] {
        let merged = run(&folder, &["merge", "--out", out, result]);
        assert!(merged.status.success(), "{}", text(&merged.stderr));
        assert_eq!(fs::read_to_string(path(out)).unwrap(), whole, "{result}");
    }
    // A journal may be called anything.
    fs::copy(folder.path().join("overhead.jsonl"), folder.path().join("mine.json")).unwrap();
    let mine = run(&folder, &["merge", "--out", "mine", "mine.json"]);
    assert!(mine.status.success(), "{}", text(&mine.stderr));
    let twice = text(&run(&folder, &["merge", "--out", "twice", "all", "overhead.jsonl"]).stderr);
    let copy = "overhead.jsonl: it is the same run as all/campaign.json, run 1: ";
    assert!(twice.contains(copy), "{twice}");
    assert!(!folder.path().join("twice").exists());
}

#[test]
fn a_vm_that_was_killed_in_its_first_line_is_left_out() {
    let folder = measured();
    let overhead = fs::read(folder.path().join("overhead.jsonl")).unwrap();
    for (vm, journal) in
        [("overhead-1", &overhead[..]), ("overhead-2", &overhead[..300]), ("overhead-3", &[])]
    {
        let vm = folder.path().join("vms/guests").join(vm);
        fs::create_dir_all(&vm).unwrap();
        fs::write(vm.join("results.jsonl"), journal).unwrap();
    }
    let merged = run(&folder, &["merge", "--out", "merged", "vms"]);
    let said = text(&merged.stderr);
    assert!(merged.status.success(), "{said}");
    assert!(
        said.contains("overhead-2/results.jsonl: the journal's first line is incomplete"),
        "{said}"
    );
    assert!(said.contains("overhead-3/results.jsonl: the journal is empty"), "{said}");
}

#[test]
fn results_go_to_standard_output_alone_and_quiet_leaves_errors_alone() {
    let folder = measured();
    let mut cut = fs::read_to_string(folder.path().join("overhead.jsonl")).unwrap();
    cut.truncate(cut.len() - 20);
    fs::write(folder.path().join("cut.jsonl"), cut).unwrap();
    let words = ["report", "cut.jsonl", "--format", "json"];
    let told = run(&folder, &words);
    assert!(text(&told.stderr).contains("the last line is incomplete"), "{}", text(&told.stderr));
    serde_json::from_slice::<serde_json::Value>(&told.stdout).unwrap();
    let quiet = run(&folder, &[&words[..], &["--quiet"]].concat());
    assert_eq!((text(&quiet.stderr), quiet.stdout), (String::new(), told.stdout));
    let failed = run(&folder, &["-q", "report", "nowhere"]);
    assert!(text(&failed.stderr).starts_with("tracetoll: cannot read nowhere"));
}

#[test]
fn a_kill_within_a_character_costs_the_last_trial_alone() {
    let folder = measured();
    let mut journal = fs::read(folder.path().join("overhead.jsonl")).unwrap();
    let trials = journal.iter().filter(|byte| **byte == b'\n').count() - 1;
    journal.extend("{\"trial\":{\"method\":\"ü".as_bytes());
    journal.pop();
    fs::write(folder.path().join("killed.jsonl"), journal).unwrap();
    let told = run(&folder, &["report", "killed.jsonl", "--format", "json"]);
    assert!(text(&told.stderr).contains("the last line is incomplete"), "{}", text(&told.stderr));
    let campaign: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(campaign["trials"].as_array().unwrap().len(), trials);
}

#[test]
fn no_color_is_obeyed_even_where_colours_are_asked_for() {
    let folder = measured();
    let colours = |words: &[&str], no_color: Option<&str>| {
        let mut command = Command::new(TRACETOLL);
        command.args(words).current_dir(&folder).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
        let out = command.envs(no_color.map(|value| ("NO_COLOR", value))).output().unwrap();
        [out.stdout, out.stderr].concat().contains(&0x1b)
    };
    let lines: [&[&str]; 5] =
        [&["--help"], &["run", "--nonsense"], &["methods"], &["report", "all"], &["doctor"]];
    for words in lines {
        assert!(!colours(words, Some("1")), "{words:?}");
    }
    // So that the above could fail.
    assert!(colours(&["--help"], None));
}

#[test]
fn who_is_not_root_is_told_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let told = |words: &[&str]| {
        let said = run_as_nobody(&folder, words);
        assert_eq!(text(&said.stderr), "", "{words:?}");
        assert!(text(&said.stdout).contains("perf-sample-999-callchain"), "{words:?}");
        said.status.code()
    };
    assert_eq!(told(&["methods"]), Some(0));
    assert_eq!(told(&["methods", "sample", "--format", "json"]), Some(0));
    // Its status says that the default campaign cannot run.
    assert_eq!((told(&["doctor"]), told(&["doctor", "--format", "json"])), (Some(1), Some(1)));
    // What only a host has keeps a run out of VMs, where nobody needs to be root.
    for words in [&["run", "--blocks", "1"][..], &["guests"], &["clean"]] {
        let command = words[0];
        let refused = text(&run_as_nobody(&folder, words).stderr);
        let hint = format!("which only root may. Run it as root: sudo tracetoll {command}");
        assert!(refused.contains(&hint), "{refused}");
        assert_eq!(refused.contains("/dev/vhost-net"), command == "run", "{refused}");
    }
}

#[test]
fn who_may_not_read_or_write_is_not_sent_to_root() {
    let folder = measured();
    let may = |name: &str, mode| {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for name in ["locked", "closed"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (name, mode) in [("overhead.jsonl", 0o644), ("locked", 0o555), ("closed", 0o000)] {
        may(name, mode);
    }
    let elsewhere = "Name another place with --out, where you may write";
    let mistakes: [(&[&str], &str); 7] = [
        (&["report", "overhead.jsonl", "--out", "locked/x.txt"], elsewhere),
        (&["report", "overhead.jsonl", "--format", "csv", "--out", "locked/x"], elsewhere),
        (&["merge", "--out", "locked", "overhead.jsonl"], elsewhere),
        (&["merge", "--out", "closed", "overhead.jsonl"], elsewhere),
        (&["man", "--out", "locked"], elsewhere),
        (&["report", "closed"], "closed/campaign.json: Permission denied"),
        (&["merge", "--out", "locked/x", "closed"], "make it readable"),
    ];
    for (words, hint) in mistakes {
        let said = text(&run_as_nobody(&folder, words).stderr);
        assert!(said.contains(hint) && !said.contains("root"), "{words:?}: {said}");
    }
    may("closed", 0o755);
}

#[test]
fn every_answer_for_people_fits_a_terminal() {
    let folder = measured();
    let lines: [&[&str]; 6] = [
        &["report", "all"],
        &["compare", "all", "all"],
        &["methods"],
        &["scenarios"],
        &["doctor"],
        &["run", "--help"],
    ];
    for words in lines {
        let said = text(&run(&folder, words).stdout);
        assert!(!said.is_empty(), "{words:?}");
        for line in said.lines() {
            let columns = line.chars().count();
            assert!(columns <= WIDTH, "{words:?}: {columns} columns: {line}");
        }
    }
}

#[test]
fn a_result_of_schema_version_3_is_read_as_its_journals_are() {
    let folder = TempDir::new().unwrap();
    let json = |words: &[&str]| -> serde_json::Value {
        let output = run(&folder, words);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let [fidelity, overhead] = ["fidelity.jsonl", "overhead.jsonl"].map(recorded);
    let [fidelity, overhead] = [&fidelity, &overhead].map(|path| path.to_str().unwrap());
    let merged = run(&folder, &["merge", "--out", "now", fidelity, overhead]);
    assert!(merged.status.success(), "{merged:?}");
    let now = json(&["report", "now", "--format", "json"]);
    let old = recorded("../version-3/campaign.json");
    let text = fs::read_to_string(&old).unwrap();
    assert!(text.starts_with(r#"{"schema_version":3,"#) && text.contains(r#""latency_us":{"p50""#));
    let read = json(&["report", old.to_str().unwrap(), "--format", "json"]);
    assert_eq!(read["schema_version"], now["schema_version"]);
    assert_eq!(read["trials"], now["trials"]);
    assert_eq!(read["summary"], now["summary"]);
    let compared = run(&folder, &["compare", old.to_str().unwrap(), "now"]);
    assert!(compared.status.success(), "{compared:?}");
}

#[test]
fn what_is_wrong_is_told_in_one_paragraph_with_a_hint() {
    let folder = measured();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("empty.jsonl"), "").unwrap();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let overhead = fs::read_to_string(folder.path().join("overhead.jsonl")).unwrap();
    let (first, trials) = overhead.split_once('\n').unwrap();
    fs::write(folder.path().join("headless.jsonl"), trials).unwrap();
    fs::write(folder.path().join("cut.jsonl"), &first[..300]).unwrap();
    fs::write(folder.path().join("garbage.jsonl"), "garbage").unwrap();
    let later = overhead.replacen("\"schema_version\":3", "\"schema_version\":9", 1);
    fs::write(folder.path().join("later.jsonl"), later).unwrap();
    fs::write(folder.path().join("short.toml"), "name = \"x\"\n").unwrap();
    let mistakes: [(&[&str], &str); 26] = [
        (&["report", "nowhere"], "Name a folder with campaign.json"),
        (&["report", "empty"], "Name a folder with campaign.json"),
        (&["report", "other.json"], "Name a campaign.json or journal.jsonl"),
        (&["report", "empty.jsonl"], "empty.jsonl: the journal is empty"),
        (&["report", "cut.jsonl"], "cut.jsonl: the journal's first line is incomplete"),
        (&["report", "garbage.jsonl"], "garbage.jsonl: not a result of tracetoll: line 1"),
        (&["report", "overhead.jsonl", "headless.jsonl"], "headless.jsonl: it begins with a trial"),
        (&["compare", "overhead.jsonl", "headless.jsonl"], "Name the journal with its first line"),
        (&["report", "later.jsonl"], "later.jsonl: schema version 9"),
        (&["compare", "all", "nowhere"], "Name a folder with campaign.json"),
        (&["merge", "--out", "all", "overhead.jsonl"], "Name another folder with --out"),
        (&["merge", "--out", "new", "empty"], "Name a folder with campaign.json"),
        (&["merge", "--out", "/proc/new", "overhead.jsonl"], "Name another place with --out"),
        (
            &["report", "all", "--format", "html", "--out", "all"],
            "A folder is there: name another place with --out",
        ),
        (
            &["report", "all", "--format", "html", "--out", "."],
            "A folder is there: name another place with --out",
        ),
        (&["report", "all", "--out", "/nowhere/x"], "--out, in a folder that exists"),
        (
            &["report", "all", "--format", "svg", "--out", "overhead.jsonl"],
            "A file is there: name a folder with --out",
        ),
        (&["man", "--out", "overhead.jsonl"], "A file is there: name a folder with --out"),
        (&["run", "--scenario", "quikc"], "Name one of quick"),
        (&["run", "--methods", "off,ftrace-functoin"], "Did you mean ftrace-function?"),
        (&["run", "--methods", "ftrace-function:clok=local"], "no parameter clok"),
        (&["run", "--on", "vm", "--blocks", "3"], "--overhead-blocks and --fidelity-seeds say"),
        (&["run", "--on", "host", "--clock", "counted"], "or say --on vm"),
        (&["run", "--scenario", "none.toml"], "`tracetoll scenarios` lists"),
        (
            &["scenarios", "--print", "short.toml"],
            "`tracetoll scenarios --print quick` shows a correct one",
        ),
        (&["methods", "nothing"], "There are: default"),
    ];
    for (words, hint) in mistakes {
        let failed = run(&folder, words);
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.starts_with("tracetoll: ") && said.contains(hint), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    }
    for words in
        [&["run", "--blocks", "0"][..], &["completions", "tcsh"], &["report", "--format", "x"]]
    {
        let failed = run(&folder, words);
        assert_eq!(failed.status.code(), Some(2), "{words:?}");
        assert!(text(&failed.stderr).contains("try '--help'"), "{words:?}");
    }
}

#[test]
fn a_result_is_told_by_what_stands_in_it_and_read_once() {
    let folder = measured();
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", line]).env("T", TRACETOLL).current_dir(&folder).output().unwrap()
    };
    let result = fs::read(folder.path().join("all/campaign.json")).unwrap();
    for (name, bytes, dictionary) in [
        ("campaign.xz", &result[..], 8),
        ("blanks.xz", &[b'\n'; 9000], 8),
        ("dictionary.xz", &result, 256),
    ] {
        fs::write(folder.path().join(name), packed(bytes, dictionary)).unwrap();
    }
    for line in [
        "cp overhead.jsonl any-name.txt && \"$T\" report any-name.txt",
        "cp all/campaign.json mine.jsonl && \"$T\" report mine.jsonl",
        "\"$T\" report - < overhead.jsonl",
        "\"$T\" report /dev/stdin < all/campaign.json",
        "cat overhead.jsonl | \"$T\" report /dev/stdin",
        "cat campaign.xz | \"$T\" report -",
        "mkdir packed && cp campaign.xz packed/campaign.json.xz && \"$T\" report packed \
         && \"$T\" merge --out unpacked packed && cmp unpacked/campaign.json all/campaign.json",
        "\"$T\" report <(cat overhead.jsonl)",
        "\"$T\" recommend <(cat all/campaign.json); (($? != 1 && $? != 101))",
        "\"$T\" compare <(cat overhead.jsonl) <(cat all/campaign.json); (($? != 1 && $? != 101))",
        "\"$T\" merge --out piped <(cat overhead.jsonl) <(cat fidelity.jsonl)",
        "\"$T\" report all/campaign.json --format html --out $'\\xff.html'",
    ] {
        let done = shell(line);
        assert!(done.status.success(), "{line}: {}", text(&done.stderr));
        assert!(!text(&done.stderr).contains("panicked"), "{line}: {}", text(&done.stderr));
    }
    let twice = text(&shell("\"$T\" merge --out twice - - < overhead.jsonl").stderr);
    assert!(twice.contains("standard input is named twice"), "{twice}");
    assert!(twice.contains(". Save it to a file, and name that twice"), "{twice}");
    let blank = text(&shell("yes '' | \"$T\" report -").stderr);
    assert!(blank.contains("-: it begins with 4096 blanks"), "{blank}");
    let cut = text(&shell("head -c 2000 all/campaign.json | \"$T\" report -").stderr);
    assert!(cut.contains("not a result of tracetoll: EOF"), "{cut}");
    for (packed, told) in [
        ("head -c 900 campaign.xz", "cannot read"),
        ("cat blanks.xz", "-: it begins with 4096 blanks"),
        ("cat dictionary.xz", "cannot read"),
    ] {
        let refused = shell(&format!("{packed} | \"$T\" report -"));
        assert_eq!(refused.status.code(), Some(1), "{packed}");
        assert!(text(&refused.stderr).contains(told), "{packed}: {}", text(&refused.stderr));
    }
    let held = text(&shell("\"$T\" merge --out packed overhead.jsonl").stderr);
    assert!(held.contains("already has a result"), "{held}");
    let words = text(&shell("\"$T\" scenarios --print $'\\xff'").stderr);
    assert!(words.contains("invalid UTF-8"), "{words}");
}

#[test]
fn a_file_limit_is_an_error_and_what_was_there_stays() {
    let folder = measured();
    fs::write(folder.path().join("page.html"), "old").unwrap();
    let line = "ulimit -f 1; \"$T\" report all --format html --out page.html";
    let mut command = Command::new("bash");
    let done =
        command.args(["-c", line]).env("T", TRACETOLL).current_dir(&folder).output().unwrap();
    let said = text(&done.stderr);
    assert!(said.contains("Raise the limit of a file's size (`ulimit -f`), or name"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("page.html")).unwrap(), "old");
}

/// In a mount namespace of its own, which needs root.
#[test]
fn bind_mounts_and_full_disks_keep_what_they_have() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = measured();
    let script = r#"
        set -e
        : > host.html; : > in.html; mount --bind host.html in.html
        "$T" report all --format html --out in.html; [ -s host.html ]; umount in.html
        mkdir full; mount -t tmpfs -o size=512k none full; mkdir full/r
        cp overhead.jsonl full/r/journal.jsonl; echo '{"old":1}' > full/r/page.html; dd if=/dev/zero of=full/rest bs=1k 2> /dev/null || true
        ! "$T" report all --format html --out full/r/page.html 2> said
        grep -q 'Free some space, or name another place' said
        [ "$(cat full/r/page.html)" = '{"old":1}' ]
        ln full/r/page.html full/r/second
        ! "$T" report all --format html --out full/r/page.html 2> said
        [ "$(cat full/r/second)" = '{"old":1}' ]
        cmp overhead.jsonl full/r/journal.jsonl
    "#;
    let mut command = Command::new("unshare");
    command.args(["-m", "bash", "-c", script]).env("T", TRACETOLL).current_dir(&folder);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
}
