//! Facts about the running kernel, and guards that own pieces of its state.

pub mod affinity;
pub mod bpf;
pub mod btf;
pub mod cgroup;
pub mod claim;
pub mod clock;
pub mod cputime;
pub mod folder;
pub(crate) mod genetlink;
pub mod holders;
pub mod host;
pub mod kallsyms;
pub mod known;
pub mod netdev;
pub mod netlink;
pub mod netns;
pub mod online;
pub mod owner;
pub mod packets;
pub mod run;
pub mod sock_diag;
pub mod swept;
pub mod symbols;
pub mod tag;
pub mod targets;
pub mod tracefs;
