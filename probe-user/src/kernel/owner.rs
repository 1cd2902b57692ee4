//! Who owns what, and whether its owner lives.
//!
//! Every object that outlives its maker carries the maker's tag in its name. Whoever makes such
//! objects holds, from before the first of them until its end, the byte of that number of one file
//! of tracefs ([`lock::hold`]). There is one tracefs for all containers of a kernel, so that all
//! that can see the objects can see that lock, and the kernel drops it with the process, however
//! that ends. So a tag that nobody holds is that of the dead: a tag is not drawn twice.
//!
//! A process's id would not do, which is another's in another PID namespace; nor a file in `/run`,
//! of which each container has its own.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    sync::OnceLock,
};

use probe_core::error::{Error, Result};

use super::{
    tag::{Mark, PREFIX, Tag, mark_of},
    tracefs::Tracefs,
};
use crate::sys::lock;

/// The file that is locked: every tracefs has it, and opening it does nothing.
const LOCKED: &str = "README";

/// This process as an owner.
#[derive(Debug)]
pub struct Owner {
    tag: Tag,
    locked: File,
}

impl Owner {
    /// This process's own; it holds its tag from the first call until it ends.
    ///
    /// # Errors
    /// There is no tracefs, or it may not be looked into (not root).
    pub fn own() -> Result<&'static Self> {
        static OWN: OnceLock<Owner> = OnceLock::new();
        if let Some(own) = OWN.get() {
            return Ok(own);
        }
        // A second thread's, if there is one, is dropped, and made nothing.
        let drawn = Self::draw(open()?)?;
        Ok(OWN.get_or_init(|| drawn))
    }

    fn draw(locked: File) -> Result<Self> {
        loop {
            let tag = Tag::draw();
            if !lock::is_held(&locked, tag.number()).map_err(refused)? {
                lock::hold(&locked, tag.number()).map_err(refused)?;
                return Ok(Self { tag, locked });
            }
        }
    }

    /// Its tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The file that holds its locks. A duplicate in another process holds them as well.
    pub fn locked(&self) -> &File {
        &self.locked
    }

    /// A duplicate of [`Owner::locked`], for a process that is to hold the tag beyond this one's
    /// end.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn share(&self) -> Result<OwnedFd> {
        self.locked.try_clone().map(Into::into).map_err(refused)
    }

    /// Whether `file` is such a duplicate, and nobody but its owner and those that share it holds
    /// this tag.
    pub fn is_inherited(file: &File, tag: Tag) -> bool {
        let inode = |file: &File| file.metadata().map(|data| (data.dev(), data.ino())).ok();
        let same = open().is_ok_and(|locked| {
            inode(&locked) == inode(file) && lock::is_held(&locked, tag.number()).unwrap_or(false)
        });
        same && lock::is_held(file, tag.number()).is_ok_and(|others| !others)
    }

    /// Name for a tracefs instance, a control group: `tracetoll-TAG-NAME`.
    pub fn object(&self, name: &str) -> String {
        format!("{PREFIX}-{}-{name}", self.tag)
    }

    /// Name for a group of probe events: `tracetoll_TAG`.
    pub fn probe_group(&self) -> String {
        format!("{PREFIX}_{}", self.tag)
    }
}

/// What can be said of an object of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its owner is dead for sure.
    Dead,
    /// It is to be left, and why.
    Left(String),
}

/// Judges objects by their names.
#[derive(Debug)]
pub struct Judge(Rule);

#[derive(Debug)]
enum Rule {
    /// Whoever does not hold its tag is dead. Without the file nobody is known to be.
    Locks { file: Option<File>, old: bool },
    /// This one is dead, and nobody else is looked at.
    One(Tag),
}

impl Judge {
    /// By the locks. With `old`, the user says that no tracetoll 0.1 runs on this kernel any more.
    pub fn by_locks(old: bool) -> Self {
        Self(Rule::Locks { file: open().ok(), old })
    }

    /// Of one owner that is known to be dead.
    pub fn of_dead(tag: Tag) -> Self {
        Self(Rule::One(tag))
    }

    /// What becomes of the object of this name; None if it is not ours, or nobody asked.
    pub fn fate(&self, name: &str) -> Option<Fate> {
        let left = |why: &str| Fate::Left(why.into());
        Some(match (&self.0, mark_of(name)?) {
            (Rule::One(dead), Mark::Tagged(tag)) if *dead == tag => Fate::Dead,
            (Rule::One(_), _) => return None,
            (Rule::Locks { file: None, .. }, _) => left(
                "only tracefs tells whether its owner lives, and there is none here. Mount it: \
                 mount -t tracefs nodev /sys/kernel/tracing",
            ),
            (Rule::Locks { old: true, .. }, Mark::Old(_)) => Fate::Dead,
            (Rule::Locks { old: false, .. }, Mark::Old(_)) => left(
                "its name is one of tracetoll 0.1's, and nothing tells whether its owner lives. \
                 When no 0.1 runs, in no container of this host: tracetoll clean --old",
            ),
            (Rule::Locks { file: Some(file), .. }, Mark::Tagged(tag)) => {
                match lock::is_held(file, tag.number()) {
                    Ok(false) => Fate::Dead,
                    Ok(true) => left("its owner lives"),
                    Err(error) => left(&format!("whether its owner lives cannot be told: {error}")),
                }
            }
        })
    }
}

fn open() -> Result<File> {
    let path = Tracefs::find()?.path(LOCKED);
    File::open(&path).map_err(|e| Error::file("open", path, e))
}

fn refused(error: std::io::Error) -> Error {
    Error::call("fcntl(F_OFD_SETLK)", format!("{LOCKED} of tracefs"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tag_that_nobody_holds_is_dead() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = || File::open(file.path()).unwrap();
        let judge = |old| Judge(Rule::Locks { file: Some(opened()), old });
        let owner = Owner::draw(opened()).unwrap();
        let (object, group) = (owner.object("trace"), owner.probe_group());
        let fates = |old| [&*object, &group, "tracetoll-41-x", "x"].map(|n| judge(old).fate(n));
        let lives = || Some(Fate::Left("its owner lives".into()));
        let [one, two, older, other] = fates(false);
        assert_eq!([one, two, other], [lives(), lives(), None]);
        assert!(matches!(older, Some(Fate::Left(why)) if why.contains("clean --old")));
        assert_eq!(fates(true)[..3], [lives(), lives(), Some(Fate::Dead)]);

        let guard = owner.share().unwrap();
        drop(owner);
        assert_eq!(fates(false)[0], lives(), "its guard lives");
        drop(guard);
        assert_eq!(fates(false)[..2], [Some(Fate::Dead), Some(Fate::Dead)]);
    }

    #[test]
    fn where_nothing_can_be_proved_nothing_is_dead() {
        let judge = Judge(Rule::Locks { file: None, old: true });
        for name in ["tracetoll-k3f9x2b-x", "tracetoll_41"] {
            let fate = judge.fate(name);
            assert!(matches!(&fate, Some(Fate::Left(why)) if why.contains("tracefs")), "{fate:?}");
        }
    }

    #[test]
    fn a_guard_looks_at_nobody_else() {
        let judge = Judge::of_dead(Tag::parse("k3f9x2b").unwrap());
        assert_eq!(judge.fate("tracetoll-k3f9x2b-x"), Some(Fate::Dead));
        assert_eq!(
            ["tracetoll-k3f9x2c-x", "tracetoll-41-x", "x"].map(|n| judge.fate(n)),
            [const { None }; 3]
        );
    }
}
