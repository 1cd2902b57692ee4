//! The kernel programs, one file each. For any target other than bpf they are only linted.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    unsafe_code,
    reason = "kernel programs: the verifier proves each access before the program may run"
)]

#[macro_use]
mod log;

mod durations;
mod durations_by_frame;
mod durations_by_thread;
mod fentry_bins;
mod fentry_budget;
mod fentry_by_worker;
mod fentry_count;
mod fentry_count_hash;
mod fentry_count_percpu;
mod fentry_empty;
mod fentry_perfbuf;
mod fentry_ringbuf;
mod fentry_ringbuf_adaptive;
mod fentry_ringbuf_batch;
mod fentry_sample;
mod fentry_timestamp;
mod kprobe_count;
mod kprobe_multi_count;
mod rawtp_count;
mod sample_stacks;
mod shared;
mod tracepoint_count;

/// Some helpers are for GPL programs only; the kernel accepts this name for code under either
/// licence.
// SAFETY: the section is the loader's place for the licence; nothing else is put there.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never runs: a program that could panic would loop, and the verifier rejects endless loops.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    panic!("these programs run in the kernel: `cargo xtask ebpf` compiles them");
}
