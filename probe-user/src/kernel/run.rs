//! A live run: the right to create kernel objects, with names that have the tag of its process
//! ([`Owner`]).

use std::sync::atomic::{AtomicBool, Ordering};

use probe_core::error::{Error, Result};

pub use super::tag::PREFIX;
use super::{bpf::chosen::Programs, folder, owner::Owner, tag::Tag};

/// Whether this process has a run.
static RUNS: AtomicBool = AtomicBool::new(false);

/// A living run.
#[derive(Debug)]
pub struct Run {
    owner: &'static Owner,
    /// The kernel programs that it loads.
    pub programs: Programs,
}

impl Run {
    /// Starts this process's only run.
    ///
    /// # Errors
    /// There is no tracefs, it cannot be accessed (not root), or this process already has a run.
    pub fn start() -> Result<Self> {
        let owner = Owner::own()?;
        if RUNS.swap(true, Ordering::Relaxed) {
            return Err(Error::Inconsistent("this process already has a run".into()));
        }
        Ok(Self { owner, programs: Programs::default() })
    }

    /// The tag of its process.
    pub fn tag(&self) -> Tag {
        self.owner.tag()
    }

    /// Name of a tracefs instance or a control group: `tracetoll-TAG-NAME`.
    pub fn object(&self, name: &str) -> String {
        self.owner.object(name)
    }

    /// Name of a group of probe events: `tracetoll_TAG`.
    pub fn probe_group(&self) -> String {
        self.owner.probe_group()
    }

    /// Name of a network interface, `ttTAG-NAME`: at most 15 characters (IFNAMSIZ), so at most 5
    /// for `name`.
    pub fn interface(&self, name: &str) -> String {
        format!("tt{}-{name}", self.tag())
    }

    /// A folder for temporary files, removed when it is dropped.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn folder(&self, name: &str) -> Result<tempfile::TempDir> {
        folder::create(self.owner, name)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNS.store(false, Ordering::Relaxed);
    }
}

/// Name of a tracefs instance or a control group that is created to try something, with or without
/// a run.
///
/// # Errors
/// As [`Owner::own`].
pub fn trial_object(name: &str) -> Result<String> {
    Owner::own().map(|owner| owner.object(name))
}

/// A folder for temporary files like those of [`Run::folder`], to try something, with or without a
/// run.
///
/// # Errors
/// As [`Owner::own`], or it cannot be created.
pub fn trial_folder(name: &str) -> Result<tempfile::TempDir> {
    folder::create(Owner::own()?, name)
}

/// The group of probe events that are created to try something, with or without a run.
///
/// # Errors
/// As [`Owner::own`].
pub fn trial_group() -> Result<String> {
    Owner::own().map(Owner::probe_group)
}
