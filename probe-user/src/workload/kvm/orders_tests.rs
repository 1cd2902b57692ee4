//! Tests the image's script against our end of the line: the script runs here as in a guest, with
//! programs of the tests instead of iperf3 and `yes`.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixStream, process::CommandExt as _},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::channel::{Channel, Order};
use crate::kernel::clock;

/// Time limit that decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(300);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../probe-vm/src/image/orders.sh");

/// A client that prints a message when it is asked to end.
const CLIENT: &str = "trap 'echo bye; exit' TERM; : >up; while :; do sleep 0.02; done";

/// A client that misses the request to end unless it is waiting, which it rarely is; like iperf3 in
/// malloc.
const BUSY_CLIENT: &str = r#"exec perl -e '
    $| = 1;
    alarm 60;
    my ($waits, $told) = (0, 0);
    $SIG{TERM} = sub { $told = 1 if $waits };
    open my $up, ">", "up";
    until ($told) {
        1 for 1 .. 20_000;
        $waits = 1; select undef, undef, undef, 0.001; $waits = 0;
    }
    print "bye\n";
'"#;

/// The programs of a guest, as a process group.
struct Guest {
    script: Child,
    line: Channel,
    folder: TempDir,
}

impl Guest {
    /// A guest with these programs: names, and their shell scripts.
    fn with(programs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in programs {
            let file = folder.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0 0</dev/null; . \"$0\"", SCRIPT]).env("PATH", path);
        command.env("malloc_calls", probe_vm::Architecture::current().unwrap().malloc_calls);
        command.current_dir(&folder).process_group(0);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut guest = Self {
            script: command.spawn().unwrap(),
            line: Channel::new(ours, Arc::default()),
            folder,
        };
        guest.line.learn_clock().unwrap();
        guest
    }

    fn order(&mut self, order: Order) {
        self.line.order(order).unwrap();
    }

    fn obey(&mut self, order: Order) {
        self.order(order);
        self.line.settle().unwrap();
    }

    /// Each program appends its process id to this file.
    fn pids(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.script), Signal::KILL);
        let _ = self.script.wait();
    }
}

/// A server, and the connections of a client that never sends.
struct Server(TcpListener);

impl Server {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn send(&self) -> Order {
        Order::Send(self.0.local_addr().unwrap().port(), vec!["client".into(), "-c".into()])
    }

    fn connect(&self) -> [TcpStream; 2] {
        [(); 2].map(|()| TcpStream::connect(self.0.local_addr().unwrap()).unwrap())
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < NO_HANG, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn lives(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn a_client_is_ended_only_once_it_is_connected() {
    let mut guest = Guest::with(&[("client", CLIENT)]);
    let server = Server::new();
    let before = clock::now();
    guest.order(server.send());
    guest.order(Order::Quiet);
    guest.order(Order::Hogs(0));
    until("the client is up", || guest.folder.path().join("up").exists());
    let _connections = server.connect();
    guest.line.settle().unwrap();
    let after = clock::now();
    let reports = guest.line.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].words, "bye\n");
    // The clock is known to half of an answer's time.
    let slack = after.since(before).0 / 2 + 1_000_000_000;
    let ended = reports[0].ended.0;
    assert!(before.0 < ended + slack && ended < after.0 + slack, "{before} {ended} {after}");
}

#[test]
fn a_busy_client_is_told_where_it_waits() {
    let mut guest = Guest::with(&[("client", BUSY_CLIENT)]);
    let server = Server::new();
    guest.order(server.send());
    until("the client is up", || guest.folder.path().join("up").exists());
    let _connections = server.connect();
    guest.line.settle().unwrap();
    guest.obey(Order::Quiet);
    assert_eq!(guest.line.reports()[0].words, "bye\n");
}

#[test]
fn a_report_that_is_asked_for_is_given_without_a_client_too() {
    let mut guest = Guest::with(&[]);
    guest.obey(Order::Quiet);
    let reports = guest.line.reports();
    assert!(matches!(&reports[..], [one] if one.words.is_empty()), "{reports:?}");
}

#[test]
fn a_client_is_started_again_while_its_server_is_busy() {
    let busy = "echo try >>tries; [ $(wc -l <tries) -gt 2 ] || { echo 'error - the server is busy \
                running a test. try again later'; exit 1; }";
    let mut guest = Guest::with(&[("client", &format!("{busy}\n{CLIENT}"))]);
    let server = Server::new();
    guest.order(server.send());
    until("the third client is up", || guest.folder.path().join("up").exists());
    let _connections = server.connect();
    guest.line.settle().unwrap();
    guest.obey(Order::Quiet);
    assert_eq!(guest.line.reports()[0].words, "bye\n");
    assert_eq!(guest.pids("tries").len(), 3);
}

#[test]
fn a_client_that_fails_says_why_and_one_that_ends_is_missed() {
    let mut guest = Guest::with(&[("client", "echo no route to host; exit 1")]);
    guest.order(Server::new().send());
    let error = guest.line.settle().unwrap_err().to_string();
    assert!(error.contains("the client says: no route to host"), "{error}");

    let mut guest = Guest::with(&[("client", "echo $$ >>pids; exec sleep 1000")]);
    let server = Server::new();
    guest.order(server.send());
    until("the client is up", || !guest.pids("pids").is_empty());
    let _connections = server.connect();
    guest.line.settle().unwrap();
    let killed = Command::new("kill").args(["-KILL", &guest.pids("pids")[0]]).status().unwrap();
    assert!(killed.success());
    let mut said = None;
    until("somebody misses it", || {
        said = guest.line.check().err();
        said.is_some()
    });
    let said = said.unwrap().to_string();
    assert!(said.contains("ended client1 137"), "{said}");
}

#[test]
fn as_many_hogs_run_as_were_ordered_last() {
    let mut guest = Guest::with(&[("yes", "echo $$ >>pids; exec sleep 1000")]);
    for count in [2, 0, 1, 3, 0, 2, 1, 2] {
        guest.obey(Order::Hogs(count));
    }
    // One that was killed at once may not have written its number yet.
    until("two run", || guest.pids("pids").iter().filter(|pid| lives(pid)).count() == 2);
    guest.obey(Order::Hogs(0));
    assert!(guest.pids("pids").iter().all(|pid| !lives(pid)), "a hog is left");
    guest.line.learn_clock().unwrap();
}
