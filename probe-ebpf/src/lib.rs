//! What the kernel programs and user space must agree on, and the compiled programs themselves.
//!
//! Each program has a module here with its name, its maps, and the layout of what it writes. The
//! programs are in `src/programs/`, one file each; `cargo xtask ebpf` compiles them into
//! `obj/tracetoll.bpf.o`.
#![no_std]

pub mod durations;
pub mod fentry_bins;
pub mod fentry_budget;
pub mod fentry_by_worker;
pub mod fentry_count;
pub mod fentry_count_hash;
pub mod fentry_count_percpu;
pub mod fentry_empty;
pub mod fentry_perfbuf;
pub mod fentry_ringbuf;
pub mod fentry_ringbuf_adaptive;
pub mod fentry_ringbuf_batch;
pub mod fentry_sample;
pub mod fentry_timestamp;
pub mod kprobe_count;
pub mod kprobe_multi_count;
pub mod losses;
pub mod rawtp_count;
pub mod ring;
pub mod sample_stacks;
pub mod tracepoint_count;

/// The compiled programs; `cargo xtask ebpf --check` verifies that they come from the source.
#[cfg(feature = "object")]
pub static OBJECT: &[u8] = {
    /// ELF structures are read in place, so the file must be aligned like them.
    #[repr(C, align(8))]
    struct Aligned<T: ?Sized>(T);
    static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../obj/tracetoll.bpf.o"));
    &FILE.0
};
