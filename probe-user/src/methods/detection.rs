//! Converts the result of a probe of the kernel to one of three answers.

use std::io;

use probe_core::error::{Error, Hint, Result};

use super::Detection;

impl From<Result<()>> for Detection {
    /// A missing feature or privilege means "no"; any other failure leaves the question open.
    fn from(probe: Result<()>) -> Self {
        let Err(error) = probe else { return Self::Available };
        match error {
            Error::Unsupported { subject, why, hint } => {
                Self::Unsupported { why: format!("{subject}: {why}"), hint: text(&hint) }
            }
            Error::File { op, path, source, hint } if refused(&source) => Self::Unsupported {
                why: format!("cannot {op} {}: {source}", path.display()),
                hint: text(&hint),
            },
            Error::Call { call, subject, source, hint } if refused(&source) => Self::Unsupported {
                why: format!("{call} on {subject}: {source}"),
                hint: text(&hint),
            },
            // A verifier that had enough memory to decide has decided.
            Error::Refused { call, subject, source, log, hint }
                if source.kind() != io::ErrorKind::OutOfMemory =>
            {
                Self::Unsupported {
                    why: format!("{call} on {subject}: {source}: {log}"),
                    hint: text(&hint),
                }
            }
            open => Self::Inconclusive(open),
        }
    }
}

fn refused(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::PermissionDenied
}

fn text(hint: &Hint) -> String {
    hint.text().unwrap_or_default().into()
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
            Detection::Unsupported { why, hint } => {
                assert!(why.contains("set_ftrace_filter"), "{why}");
                assert_eq!(hint, "Run as root");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(answer(libc::ENOMEM), Detection::Inconclusive(_)));
        let missing = Err(Error::unsupported("x", "not there", "Load it"));
        assert!(matches!(Detection::from(missing), Detection::Unsupported { .. }));
    }
}
