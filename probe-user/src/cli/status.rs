//! How the tool ends: the exit statuses, and what they mean.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// What was asked for is done.
    Done,
    /// It could not be done, or a trial failed, or a gate cannot be decided.
    Failed,
    /// The command line is wrong. clap ends the process with it.
    Usage,
    /// A comparison found something worse.
    Worse,
    /// Results that cannot be compared.
    Incomparable,
    /// No method of the result does what is wanted.
    NoneQualifies,
    /// No method is known to do what is wanted, and one may.
    Undecided,
    /// The user ended the run.
    Interrupted,
}

impl Status {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Worse,
        Self::Incomparable,
        Self::NoneQualifies,
        Self::Undecided,
        Self::Interrupted,
    ];

    /// As the shell sees it.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Worse => 3,
            Self::Incomparable => 4,
            Self::NoneQualifies => 5,
            Self::Undecided => 6,
            Self::Interrupted => 130,
        }
    }

    /// The explanation printed in help.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => {
                "failed; or a trial failed, a gate cannot be decided, or `doctor` found no default \
                 campaign"
            }
            Self::Usage => "wrong arguments",
            Self::Worse => "`compare` found something worse",
            Self::Incomparable => "`compare` was given results that cannot be compared",
            Self::NoneQualifies => "`recommend` found that no method qualifies",
            Self::Undecided => "`recommend` cannot tell whether a method qualifies",
            Self::Interrupted => "ended by the user; finished trials are kept",
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.number())
    }
}

/// These statuses with their meanings, one per line.
pub(super) fn list(statuses: &[Status]) -> String {
    let line = |status: &Status| format!("  {:>3}  {}\n", status.number(), status.meaning());
    format!("Exit status:\n{}", statuses.iter().map(line).collect::<String>())
}
