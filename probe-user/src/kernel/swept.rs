//! The result of a sweep.

use probe_core::error::{Error, Result};

use super::owner::Fate;

/// What was removed, and what was not.
#[derive(Debug, Default)]
pub struct Swept {
    /// Objects that were removed.
    pub removed: Vec<String>,
    /// Objects of ours that were left, and why.
    pub left: Vec<Left>,
    failed: Option<Error>,
}

/// An object that was left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Its kind and name.
    pub object: String,
    /// Why.
    pub why: String,
}

impl Swept {
    /// Removes `object` if its owner is dead, and records the result.
    pub fn settle(&mut self, object: String, fate: Fate, remove: impl FnOnce() -> Result<()>) {
        match fate {
            Fate::Left(why) => self.left.push(Left { object, why }),
            Fate::Dead => match remove() {
                Ok(()) => self.removed.push(object),
                // Its guard, or another sweep, was faster.
                Err(error) if is_gone(&error) => {}
                Err(error) => self.failed(error),
            },
        }
    }

    /// Records an error; the first one is reported at the end.
    pub fn failed(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The first error, if there was one.
    pub fn take_failure(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Itself, if there was no error.
    ///
    /// # Errors
    /// The first error; everything that could be removed was.
    pub fn outcome(mut self) -> Result<Self> {
        self.take_failure().map(|()| self)
    }
}

/// Whether the file did not exist, or disappeared meanwhile.
fn is_gone(error: &Error) -> bool {
    let Error::File { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_a_failure_and_what_is_gone_is_none() {
        let refuse = |errno| {
            move || Err(Error::file("remove", "x", std::io::Error::from_raw_os_error(errno)))
        };
        let mut swept = Swept::default();
        swept.settle("gone".into(), Fate::Dead, refuse(libc::ENOENT));
        swept.settle("kept".into(), Fate::Left("alive".into()), || panic!("it was to be left"));
        swept.settle("a".into(), Fate::Dead, || Ok(()));
        assert_eq!((&swept.removed[..], swept.left.len()), (&["a".to_owned()][..], 1));
        swept.settle("busy".into(), Fate::Dead, refuse(libc::EBUSY));
        swept.settle("b".into(), Fate::Dead, || Ok(()));
        assert_eq!(swept.removed.len(), 2);
        assert!(swept.outcome().unwrap_err().to_string().contains("busy"));
    }
}
