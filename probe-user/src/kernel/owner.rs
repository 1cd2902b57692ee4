//! Who owns an object, and whether its owner is alive.
//!
//! Every object that outlives its creator has the creator's tag in its name. A process that creates
//! such objects holds a lock from before the first one until its end: on the byte with the tag's
//! number, in one file of tracefs ([`lock::hold`]). All containers of a kernel share one tracefs,
//! so everyone who can see the objects can see the lock, and the kernel drops the lock with the
//! process, however that ends. So if nobody holds a tag, its owner is dead: no tag is drawn twice.
//!
//! A process id would not work, since it belongs to another process in another PID namespace; nor
//! would a file in `/run`, since each container has its own.

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

/// The file that is locked: every tracefs has it, and opening it has no effect.
const LOCKED: &str = "README";

/// This process as an owner.
#[derive(Debug)]
pub struct Owner {
    tag: Tag,
    locked: File,
}

impl Owner {
    /// The owner of this process; it holds its tag from the first call until the process ends.
    ///
    /// # Errors
    /// There is no tracefs, or it cannot be accessed (not root).
    pub fn own() -> Result<&'static Self> {
        static OWN: OnceLock<Owner> = OnceLock::new();
        if let Some(own) = OWN.get() {
            return Ok(own);
        }
        // If another thread was faster, this one is dropped; it has created nothing.
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

    /// The file with its locks. A duplicate in another process holds them too.
    pub fn locked(&self) -> &File {
        &self.locked
    }

    /// A duplicate of [`Owner::locked`], for a process that must hold the tag beyond this one's
    /// end.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn share(&self) -> Result<OwnedFd> {
        self.locked.try_clone().map(Into::into).map_err(refused)
    }

    /// Whether `file` is such a duplicate, and only its owner and those that share it hold this
    /// tag.
    pub fn is_inherited(file: &File, tag: Tag) -> bool {
        let inode = |file: &File| file.metadata().map(|data| (data.dev(), data.ino())).ok();
        let same = open().is_ok_and(|locked| {
            inode(&locked) == inode(file) && lock::is_held(&locked, tag.number()).unwrap_or(false)
        });
        same && lock::is_held(file, tag.number()).is_ok_and(|others| !others)
    }

    /// Name of a tracefs instance or a control group: `tracetoll-TAG-NAME`.
    pub fn object(&self, name: &str) -> String {
        format!("{PREFIX}-{}-{name}", self.tag)
    }

    /// Name of a group of probe events: `tracetoll_TAG`.
    pub fn probe_group(&self) -> String {
        format!("{PREFIX}_{}", self.tag)
    }
}

/// What to do with an object of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its owner is certainly dead.
    Dead,
    /// Leave it, for this reason.
    Left(String),
}

/// Decides about objects by their names.
#[derive(Debug)]
pub struct Judge(Rule);

#[derive(Debug)]
enum Rule {
    /// An owner that does not hold its tag is dead. Without the file nobody is known to be dead.
    Locks { file: Option<File>, old: bool },
    /// This owner is dead; no other is considered.
    One(Tag),
}

impl Judge {
    /// By the locks. With `old`, the user asserts that no tracetoll 0.1 runs on this kernel any
    /// more.
    pub fn by_locks(old: bool) -> Self {
        Self(Rule::Locks { file: open().ok(), old })
    }

    /// For one owner that is known to be dead.
    pub fn of_dead(tag: Tag) -> Self {
        Self(Rule::One(tag))
    }

    /// What to do with the object of this name; `None` if it is not ours, or out of scope.
    pub fn fate(&self, name: &str) -> Option<Fate> {
        let left = |why: &str| Fate::Left(why.into());
        Some(match (&self.0, mark_of(name)?) {
            (Rule::One(dead), Mark::Tagged(tag)) if *dead == tag => Fate::Dead,
            (Rule::One(_), _) => return None,
            (Rule::Locks { file: None, .. }, _) => left(
                "without tracefs it is unknown whether its owner is alive. Mount it: mount -t \
                 tracefs nodev /sys/kernel/tracing",
            ),
            (Rule::Locks { old: true, .. }, Mark::Old(_)) => Fate::Dead,
            (Rule::Locks { old: false, .. }, Mark::Old(_)) => left(
                "its name is from tracetoll 0.1, and nothing tells whether its owner is alive. If \
                 no 0.1 runs in any container of this host: tracetoll clean --old",
            ),
            (Rule::Locks { file: Some(file), .. }, Mark::Tagged(tag)) => {
                match lock::is_held(file, tag.number()) {
                    Ok(false) => Fate::Dead,
                    Ok(true) => left("its owner lives"),
                    Err(error) => {
                        left(&format!("it is unknown whether its owner is alive: {error}"))
                    }
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
