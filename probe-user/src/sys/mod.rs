//! The system calls that neither the standard library nor rustix covers; the only unsafe code of
//! the library.

pub mod bpf;
pub mod call;
pub mod child;
pub mod eventfd;
pub mod lock;
pub mod mapped;
pub mod netns;
pub mod packet;
pub mod perf;
pub mod probe;
pub mod ringbuf;
pub mod sched;
pub mod trace_ring;
pub mod tun;
