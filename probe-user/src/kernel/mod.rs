//! Facts about the running kernel, and guards that own pieces of its state.

pub mod affinity;
pub mod bpf;
pub mod btf;
pub mod cgroup;
pub mod clock;
pub mod cputime;
pub(crate) mod genetlink;
pub mod holders;
pub mod host;
pub mod kallsyms;
pub mod known;
pub mod netdev;
pub mod netlink;
pub mod netns;
pub mod online;
pub mod packets;
pub mod run;
pub mod sock_diag;
pub mod symbols;
pub mod targets;
pub mod tracefs;
