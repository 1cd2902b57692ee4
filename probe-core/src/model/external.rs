//! Another program as a method: its command line, and how to tell what it saw.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scenario::duration_text;

/// A program to measure beside our own methods.
///
/// In `argv` and `report`, these stand for what they name: `{function}` the target's first
/// function, `{functions}` all of them, separated by commas; `{module}` the first function's module
/// (nothing for the kernel's own); `{tap}` the first guest's TAP; `{out}` a private file, removed
/// in the end; `{run}` a name that carries the run's tag, so that `tracetoll clean` finds a tracefs
/// instance which is called so; `{event}` and `{events}` the first, or all (separated by commas),
/// of the kprobe events that are made at the target's functions if one of the two is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its method's id is `external:NAME`.
    pub name: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// It is ready once this regular expression matches what it has printed on either stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Without `ready`: it is once it has lived for this long.
    #[serde(default = "a_second", with = "duration_text")]
    #[schemars(with = "String")]
    pub settle: Duration,
    /// It must be ready, and ended after the signal, within this time.
    #[serde(default = "two_minutes", with = "duration_text")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// At disable, it is left alone until it has printed nothing new for this long: what its
    /// buffers still hold is lost with many a program when the signal comes.
    #[serde(default = "half_a_second", with = "duration_text")]
    #[schemars(with = "String")]
    pub linger: Duration,
    /// The signal that ends it, sent to its process group, as a terminal's Ctrl-C would be; and
    /// sent again if it still waits after five seconds as if it had overlooked it.
    #[serde(default)]
    pub stop: Stop,
    /// Exit statuses that tell of no failure, beside 0 and an end by that signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<i32>,
    /// A command that is run after the end, to print what was recorded. Its CPU time is part of
    /// what comes after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// A regular expression for its count in all that was printed. With one group: the sum of what
    /// that captured (a group that took no part counts as zero; no match at all: the count is not
    /// known). Without a group: the number of matches. With `{function}` or `{event}` in it, it is
    /// tried for each function of the target, with that function's own name or event; without, it
    /// counts the target's only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// What it counts.
    #[serde(default)]
    pub counts: Counts,
    /// As `count`, for events that it lost, of all functions together. No match: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// Whether what it says of losses is all that was lost; otherwise it is a lower bound.
    #[serde(default)]
    pub lost_is_exact: bool,
    /// As `count`, for all that should have been recorded: what `count` lacks of it is lost,
    /// exactly. Goes before `lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Run it in the network namespace of the guests' TAPs.
    #[serde(default)]
    pub in_netns: bool,
}

/// What a program counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Every call, without a record of it.
    Exact,
    /// Its records, one per call.
    #[default]
    Records,
    /// Frames at the guests' TAPs.
    Frames,
}

/// A signal that asks a program to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stop {
    /// `SIGINT`.
    #[default]
    Int,
    /// `SIGTERM`.
    Term,
    /// `SIGHUP`.
    Hup,
    /// `SIGQUIT`.
    Quit,
    /// `SIGUSR1`.
    Usr1,
    /// `SIGUSR2`.
    Usr2,
}

fn a_second() -> Duration {
    Duration::from_secs(1)
}

fn half_a_second() -> Duration {
    Duration::from_millis(500)
}

fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

impl External {
    /// A program about which nothing else is said.
    pub fn new(name: &str, argv: Vec<String>) -> Self {
        Self {
            name: name.into(),
            argv,
            ready: None,
            settle: a_second(),
            timeout: two_minutes(),
            linger: half_a_second(),
            stop: Stop::default(),
            exit: Vec::new(),
            report: Vec::new(),
            count: None,
            counts: Counts::default(),
            lost: None,
            lost_is_exact: false,
            total: None,
            in_netns: false,
        }
    }
}
