//! The error type of the library.
//!
//! Every variant has what was tried, on what, the system's answer, and a hint if there is one.
//! Decoders have their own errors: they are pure functions and know neither paths nor system calls.

use std::{fmt, io, path::PathBuf};

/// Result of everything that may use the kernel.
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, on what, and what would help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read, written or created.
    #[error("cannot {op} {}: {source}{hint}", path.display())]
    File {
        /// The operation: `read`, `write`, `create`, …
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
        /// What would help.
        hint: Hint,
    },
    /// A system call failed.
    #[error("{call} on {subject}: {source}{hint}")]
    Call {
        /// Name of the call as in its manual page, with its command: `bpf(BPF_PROG_LOAD)`.
        call: &'static str,
        /// The object of the call: a function, a device, an interface.
        subject: String,
        /// The system's answer.
        #[source]
        source: io::Error,
        /// What would help.
        hint: Hint,
    },
    /// The kernel rejected a BPF object, with its log.
    #[error("{call} on {subject}: {source}{hint}{}{log}", if log.is_empty() { "" } else { "\n" })]
    Refused {
        /// Name of the call, with its command.
        call: &'static str,
        /// The program, and the function it was for.
        subject: String,
        /// The system's answer.
        #[source]
        source: io::Error,
        /// The verifier's output; empty if there is none.
        log: String,
        /// What would help.
        hint: Hint,
    },
    /// Text written by a person (a scenario, a rate, a method's id) is invalid.
    #[error("{subject}: {why}{hint}")]
    Invalid {
        /// What was read: a flag, or file, line and field.
        subject: String,
        /// Why it was refused.
        why: String,
        /// What would be accepted.
        hint: Hint,
    },
    /// The request is valid, but this host or its present state does not allow it.
    #[error("{subject}: {why}{hint}")]
    Unsupported {
        /// What was requested.
        subject: String,
        /// Why it is not possible.
        why: String,
        /// What would help.
        hint: Hint,
    },
    /// Data from the kernel does not have its documented format.
    #[error("{subject}: {why}")]
    Malformed {
        /// What was read.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
    /// A measurement failed one of its own checks, so its numbers must not be used.
    #[error("{0}")]
    Inconsistent(String),
    /// The user ended the run.
    #[error("interrupted")]
    Interrupted,
}

/// What would help, as a full sentence; empty if nothing is known to help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint(Option<String>);

impl Hint {
    /// No hint is known.
    pub const NONE: Self = Self(None);

    /// `text` is a full sentence without the full stop.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Some(text.into()))
    }

    /// The sentence, without the full stop.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, ". {text}"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// An operation failed on a file of the kernel or of tracetoll itself; the hint follows from
    /// the error if it is always the same.
    pub fn file(op: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::PermissionDenied => Hint::new("Run as root"),
            _ => room(&source).map_or(Hint::NONE, Hint::new),
        };
        Self::File { op, path: path.into(), source, hint }
    }

    /// An operation failed on the path given with `--out`: another path helps, and root is never
    /// needed.
    pub fn output(op: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::IsADirectory => "A folder is there: name another place with --out",
            io::ErrorKind::AlreadyExists => "A file is there: name a folder with --out",
            io::ErrorKind::NotADirectory => {
                "A file is part of the path: name another place with --out"
            }
            io::ErrorKind::NotFound => "Name another place with --out, in a folder that exists",
            _ => match room(&source) {
                Some(room) => {
                    let hint = Hint::new(format!("{room}, or name another place with --out"));
                    return Self::File { op, path: path.into(), source, hint };
                }
                None => "Name another place with --out, where you may write",
            },
        };
        Self::File { op, path: path.into(), source, hint: Hint::new(hint) }
    }

    /// A system call failed; the hint follows from the error if it is always the same.
    pub fn call(call: &'static str, subject: impl Into<String>, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::PermissionDenied => Hint::new("Run as root"),
            _ => Hint::NONE,
        };
        Self::Call { call, subject: subject.into(), source, hint }
    }

    /// Invalid input, with what would be accepted.
    pub fn invalid(
        subject: impl Into<String>,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Invalid { subject: subject.into(), why: why.into(), hint: Hint::new(hint) }
    }

    /// Something that this host does not support, with what would help.
    pub fn unsupported(
        subject: impl Into<String>,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Unsupported { subject: subject.into(), why: why.into(), hint: Hint::new(hint) }
    }

    /// Kernel data that contradicts its own format.
    pub fn malformed(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed { subject: subject.into(), why: why.into() }
    }

    /// The same error, with this hint if it has none yet.
    #[must_use]
    pub fn or_hint(self, text: impl Into<String>) -> Self {
        match &self {
            Self::File { hint: Hint(None), .. } | Self::Call { hint: Hint(None), .. } => {
                self.with_hint(text)
            }
            _ => self,
        }
    }

    /// The same error with another hint.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        let new = Hint::new(text);
        match &mut self {
            Self::File { hint, .. }
            | Self::Call { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Invalid { hint, .. }
            | Self::Unsupported { hint, .. } => *hint = new,
            Self::Malformed { .. } | Self::Inconsistent(_) | Self::Interrupted => {}
        }
        self
    }
}

/// How to make room, if the error is that there is none.
pub fn room(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull => Some("Free some space"),
        io::ErrorKind::QuotaExceeded => Some("Free some of your quota"),
        io::ErrorKind::FileTooLarge => Some("Raise the limit of a file's size (`ulimit -f`)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use io::ErrorKind::*;

    use super::*;

    #[test]
    fn a_refused_file_names_path_errno_and_hint() {
        let denied = PermissionDenied.into();
        let text = Error::file("write", "set_ftrace_filter", denied).to_string();
        assert_eq!(text, "cannot write set_ftrace_filter: permission denied. Run as root");
    }

    #[test]
    fn what_out_names_is_never_roots_alone() {
        let told = |kind: io::ErrorKind| Error::output("write", "a", kind.into()).to_string();
        for (kind, hint) in [
            (PermissionDenied, "Name another place with --out, where you may write"),
            (ReadOnlyFilesystem, "Name another place with --out, where you may write"),
            (NotFound, "Name another place with --out, in a folder that exists"),
            (IsADirectory, "A folder is there: name another place with --out"),
            (AlreadyExists, "A file is there: name a folder with --out"),
            (NotADirectory, "A file is part of the path: name another place with --out"),
            (StorageFull, "Free some space, or name another place with --out"),
            (QuotaExceeded, "Free some of your quota, or name another place with --out"),
        ] {
            assert!(told(kind).ends_with(&format!(". {hint}")), "{}", told(kind));
        }
    }

    #[test]
    fn the_hint_of_the_answer_comes_before_that_of_the_place() {
        let error = |kind: io::ErrorKind| Error::file("read", "a", kind.into());
        let told = |kind| error(kind).or_hint("Name another").to_string();
        assert!(told(NotFound).ends_with(". Name another"), "{}", told(NotFound));
        assert!(told(PermissionDenied).ends_with(". Run as root"), "{}", told(PermissionDenied));
    }
}
