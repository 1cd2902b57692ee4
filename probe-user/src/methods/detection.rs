//! From a probe of the kernel to one of the three answers.

use std::io;

use probe_core::error::{Error, Remedy, Result};

use super::Detection;

impl From<Result<()>> for Detection {
    /// A refusal for want of a feature or of rights is a "no"; any other failure leaves the
    /// question open.
    fn from(probe: Result<()>) -> Self {
        let Err(error) = probe else { return Self::Available };
        match error {
            Error::Unsupported { subject, why, remedy } => {
                Self::Unsupported { why: format!("{subject}: {why}"), remedy: text(&remedy) }
            }
            Error::File { op, path, source, remedy } if refused(&source) => Self::Unsupported {
                why: format!("cannot {op} {}: {source}", path.display()),
                remedy: text(&remedy),
            },
            Error::Call { call, subject, source, remedy } if refused(&source) => {
                Self::Unsupported {
                    why: format!("{call} on {subject}: {source}"),
                    remedy: text(&remedy),
                }
            }
            // A verifier that had the memory to decide has decided.
            Error::Refused { call, subject, source, log, remedy }
                if source.kind() != io::ErrorKind::OutOfMemory =>
            {
                Self::Unsupported {
                    why: format!("{call} on {subject}: {source}: {log}"),
                    remedy: text(&remedy),
                }
            }
            open => Self::Inconclusive(open),
        }
    }
}

fn refused(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::PermissionDenied
}

fn text(remedy: &Remedy) -> String {
    remedy.text().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_a_no() {
        let answer = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Detection::from(Err(Error::file("open", "set_ftrace_filter", source)))
        };
        assert!(matches!(Detection::from(Ok(())), Detection::Available));
        match answer(libc::EACCES) {
            Detection::Unsupported { why, remedy } => {
                assert!(why.contains("set_ftrace_filter"), "{why}");
                assert_eq!(remedy, "Run as root");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(answer(libc::ENOMEM), Detection::Inconclusive(_)));
        let missing = Err(Error::unsupported("x", "not there", "Load it"));
        assert!(matches!(Detection::from(missing), Detection::Unsupported { .. }));
    }
}
