//! Tests the gate for regressions: kernel programs are changed, campaigns on the counted clock run
//! with the compiled result, and `tracetoll compare --fail-if` judges. It boots guests, so a plain
//! `cargo test` leaves it out; `cargo xtask test` runs it.

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// Short, since costs per kick need no long load. Without a bridge, which in some trials costs
/// every frame about 40 counted ns more, as much as reading the clock
/// (docs/src/explanation/biases.md).
const SCENARIO: &str = r#"
name = "gate"
summary = "costs per kick"
bin = "50ms"
settle = "20ms"
load_cpus = 1
[guests]
kind = "blast"
count = 1
frame = 64
ring = 256
batch = 64
[network]
switch = "direct"
[overhead.closed_loop]
kicks = 20000
[fidelity]
sections = [{ hogs = 0, duration = "400ms" }, { hogs = 1, duration = "400ms" }]
"#;

const CHANGED: &str = "bpf-fentry-timestamp";
const UNCHANGED: &str = "bpf-fentry-count";

/// They attach nothing, so a call must cost nothing: the negative control.
const COUNTERS: [&str; 2] = ["counters-netdev", "counters-worker-switches"];

/// What a call may cost under them, in counted ns. A hook that does nothing costs ten times as
/// much.
const NOTHING: f64 = 5.0;

const GATE: &str = "overhead.kernel_ns_per_event>5%+12";

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The program as it is built for tests, so that nothing is compiled twice.
fn tracetoll() -> OsString {
    std::env::var_os("TRACETOLL_BIN").expect("`cargo xtask test` sets it")
}

/// Runs `cargo xtask` with these arguments, which must succeed.
fn xtask<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) {
    succeed(Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments));
}

fn succeed(command: &mut Command) {
    let out = output(command);
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// A checkout whose kernel programs can be changed; everything else is this one's.
fn checkout(folder: &Path) {
    const OWN: &str = "probe-ebpf";
    fs::create_dir(folder).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        if ![OWN, "target"].map(OsStr::new).contains(&&*entry.file_name()) {
            symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    copy(&root().join(OWN), &folder.join(OWN));
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Replaces `old`, which occurs once, by `new`.
fn edit(file: &Path, old: &str, new: &str) {
    let source = fs::read_to_string(file).unwrap();
    assert_eq!(source.matches(old).count(), 1, "{old:?} in {}", file.display());
    fs::write(file, source.replace(old, new)).unwrap();
}

/// The result of a campaign of one block on the counted clock, with these kernel programs.
fn campaign(folder: &Path, name: &str, object: &Path) -> PathBuf {
    let (out, scenario) = (folder.join(name), folder.join("gate.toml"));
    let mut words: Vec<&OsStr> = ["run", "--on", "vm", "--out"].map(OsStr::new).to_vec();
    words.push(out.as_ref());
    words.extend(["--overhead-blocks", "1", "--fidelity-seeds", "0", "--scenario"].map(OsStr::new));
    words.push(scenario.as_ref());
    let methods = [&[CHANGED, UNCHANGED][..], &COUNTERS].concat().join(",");
    words.extend(["--methods", methods.as_str()].map(OsStr::new));
    words.extend([OsStr::new("--object"), object.as_ref()]);
    succeed(Command::new(tracetoll()).args(words));
    out
}

/// What the gate says about two campaigns: the exit status, and for each method the verdict and the
/// judgement of its cost per call.
fn gated(base: &Path, new: &Path) -> (Option<i32>, impl Fn(&str) -> (String, String)) {
    let tracetoll = tracetoll();
    let compare = |format: &str| {
        let mut command = Command::new(&tracetoll);
        command.arg("compare").args([base, new]);
        output(command.args(["--fail-if", GATE, "--format", format]))
    };
    let told = compare("text");
    println!("{}{}", text(&told.stdout), text(&told.stderr));
    let comparison: Value = serde_json::from_slice(&compare("json").stdout).unwrap();
    let find = move |method: &str| {
        let of = |list: &Value, is: fn(&Value) -> bool| {
            let mut all = list.as_array().unwrap().iter();
            all.find(|one| one["method"] == method && is(one)).unwrap().clone()
        };
        let change =
            of(&comparison["changes"], |one| one["figure"] == "overhead.kernel_ns_per_event");
        let answer = of(&comparison["gates"][0]["methods"], |_| true);
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        (word(&change["verdict"]["kind"]), word(&answer["judgement"]))
    };
    (told.status.code(), find)
}

/// What a call costs under `method`, in counted ns.
fn cost(folder: &Path, method: &str) -> f64 {
    let campaign = fs::read(folder.join("campaign.json")).unwrap();
    let campaign: Value = serde_json::from_slice(&campaign).unwrap();
    let mut methods = campaign["summary"]["methods"].as_array().unwrap().iter();
    let found = methods.find(|one| one["id"] == method).unwrap();
    let figure = &found["overhead"]["kernel_ns_per_event"];
    assert_eq!(figure["platform"], "counted", "{figure}");
    figure["estimate"].as_f64().unwrap_or_else(|| panic!("{method}: {figure}"))
}

#[test]
#[ignore = "boots guests"]
fn a_second_clock_read_is_found_and_changed_words_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("gate.toml"), SCENARIO).unwrap();
    let source = dir.join("source");
    checkout(&source);
    // All three objects come from files whose names have the same length: a testbed's memory
    // layout, and with it the cost of a kick, depends on such things
    // (docs/src/explanation/biases.md).
    let names = ["as_is", "words", "plant"];
    let [as_is, words, planted] = names.map(|name| dir.join(format!("{name}.o")));
    let compile = |object: &Path| {
        let [ebpf, from, to] = ["ebpf", "--source", "--out"].map(OsStr::new);
        xtask([ebpf, from, source.as_ref(), to, object.as_ref()]);
    };
    let program = source.join("probe-ebpf/src/programs/fentry_timestamp.rs");
    let first = "//! See [`probe_ebpf::fentry_timestamp`].\n";
    edit(&program, first, &format!("//! Other words,\n//! and more of them.\n{first}"));
    compile(&words);
    fs::copy(root().join("probe-ebpf/obj/tracetoll.bpf.o"), &as_is).unwrap();
    assert!(
        fs::read(&words).unwrap() != fs::read(&as_is).unwrap(),
        "an object holds the numbers of its source's lines"
    );
    let read = "    unsafe { bpf_ktime_get_ns() };\n";
    edit(&program, read, &format!("{read}    // SAFETY: as above.\n{read}"));
    compile(&planted);
    let [base, words, planted] = thread::scope(|scope| {
        let objects = [(names[0], &as_is), (names[1], &words), (names[2], &planted)];
        objects
            .map(|(name, object)| scope.spawn(move || campaign(dir, name, object)))
            .map(|campaign| campaign.join().unwrap())
    });
    for method in COUNTERS {
        let ns = cost(&base, method);
        println!("{method}: {ns:+.2} counted ns per call");
        assert!(ns.abs() < NOTHING, "{method}: {ns} counted ns per call");
    }
    assert!(cost(&base, UNCHANGED) > 10.0 * NOTHING);
    let both = |verdict: &str, judgement: &str| (verdict.to_owned(), judgement.to_owned());
    let (status, said) = gated(&base, &words);
    assert_eq!(status, Some(0));
    assert_eq!([CHANGED, UNCHANGED].map(said), [(); 2].map(|()| both("same", "passed")));
    let (status, said) = gated(&base, &planted);
    assert_eq!(status, Some(3));
    assert_eq!(said(CHANGED), both("worse", "failed"));
    assert_eq!(said(UNCHANGED), both("same", "passed"));
}
