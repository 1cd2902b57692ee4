//! An external program as a method: its command line, and how to extract what it saw.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scenario::duration_text;

/// An external program to measure beside our own methods.
///
/// These placeholders are replaced in `argv` and `report`. `{function}`: the target's first
/// function; `{functions}`: all of them, separated by commas. `{module}`: the first function's
/// module (empty for the kernel's own). `{tap}`: the first guest's TAP. `{out}`: a private file,
/// removed at the end. `{run}`: a name that contains the run's tag, so that `tracetoll clean` finds
/// a tracefs instance with this name. `{event}` and `{events}`: the first kprobe event, or all of
/// them, separated by commas; these events are created on the target's functions if either
/// placeholder is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// The method's id is `external:NAME`.
    pub name: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The program is ready when what it has printed on either stream matches this regular
    /// expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Without `ready`: it is ready after it has run for this long.
    #[serde(default = "a_second", with = "duration_text")]
    #[schemars(with = "String")]
    pub settle: Duration,
    /// It must be ready within this time, and must end within this time after the signal.
    #[serde(default = "two_minutes", with = "duration_text")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Before the signal, wait until it has printed nothing new for this long: many programs lose
    /// what their buffers still hold when the signal comes.
    #[serde(default = "half_a_second", with = "duration_text")]
    #[schemars(with = "String")]
    pub linger: Duration,
    /// The signal that ends it, sent to its process group, like Ctrl-C on a terminal. It is sent
    /// again if, after five seconds, the program still waits as if it had not noticed.
    #[serde(default)]
    pub stop: Stop,
    /// Exit statuses that do not mean failure, besides 0 and an end by that signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<i32>,
    /// A command that runs after the end, to print what was recorded. Its CPU time counts as work
    /// afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// A regular expression for the count in everything that was printed. With one group: the sum
    /// of what the group captured. (A group that did not participate counts as zero; without any
    /// match the count is unknown.) Without a group: the number of matches. If it contains
    /// `{function}` or `{event}`, it is applied once per function of the target, with that
    /// function's name or event; otherwise it counts the target's only function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// What it counts.
    #[serde(default)]
    pub counts: Counts,
    /// Like `count`, for lost events, of all functions together. Without a match: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// Whether its reported losses are all losses; otherwise they are a lower bound.
    #[serde(default)]
    pub lost_is_exact: bool,
    /// Like `count`, for everything that should have been recorded: the difference to `count` was
    /// lost, exactly. Takes precedence over `lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Whether it runs in the network namespace of the guests' TAPs.
    #[serde(default)]
    pub in_netns: bool,
}

/// What a program counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Every call, without recording it.
    Exact,
    /// Records, one per call.
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
    /// A program with default settings.
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
