//! See [`probe_ebpf::sample_stacks`].

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_F_MMAPABLE,
    helpers::generated::bpf_get_stack,
    macros::{map, perf_event},
    maps::{Array, PerCpuArray},
    programs::PerfEventContext,
};
use probe_ebpf::sample_stacks::{DEPTH, FUNCTIONS_MAX, Function, Share, Shares};

use crate::shared;

#[map]
static FUNCTIONS: Array<Function> = Array::with_max_entries(1, 0);

#[map]
static STACK: PerCpuArray<[u64; DEPTH]> = PerCpuArray::with_max_entries(1, 0);

#[map]
static SHARES: Array<Shares> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[perf_event]
fn sample_stacks(ctx: PerfEventContext) -> u32 {
    if let (Some(stack), Some(shares)) = (STACK.get_ptr_mut(0), shared::slot(&SHARES)) {
        // SAFETY: both lookups returned live elements of this CPU, which this program alone writes
        // to; the kernel runs no other program on a perf event of this CPU meanwhile.
        let (stack, shares) = unsafe { (&mut *stack, &mut *shares) };
        sample(&ctx, stack, shares);
    }
    // Return 0: the perf event itself writes no record.
    0
}

#[inline(always)]
fn sample(ctx: &PerfEventContext, stack: &mut [u64; DEPTH], shares: &mut Shares) {
    shares.samples += 1;
    // SAFETY: the kernel writes no more than the bytes of `stack`, which are as many as it is told.
    let bytes = unsafe {
        bpf_get_stack(ctx.as_ptr(), stack.as_mut_ptr().cast(), size_of_val(stack) as u32, 0)
    };
    // Negative if there is no kernel stack: user space was interrupted.
    if bytes <= 0 {
        return;
    }
    let frames = bytes as usize / size_of::<u64>();
    let (mut found, mut innermost) = (0, 0);
    for depth in 0..DEPTH {
        if depth >= frames {
            break;
        }
        // A return address may be the first one after its function, if that ends in a call: look at
        // the address before it.
        let bit = function(stack[depth].wrapping_sub(u64::from(depth > 0)));
        found |= bit;
        if depth == 0 {
            innermost = bit;
        }
    }
    each(shares, found, |share| share.inclusive += 1);
    each(shares, innermost, |share| share.own += 1);
}

/// Runs `what` for each function whose bit is set.
#[inline(always)]
fn each(shares: &mut Shares, bits: u64, what: impl Fn(&mut Share)) {
    for place in 0..FUNCTIONS_MAX {
        if bits >> place & 1 == 1 {
            what(&mut shares.functions[place]);
        }
    }
}

/// The bit of the function that contains `address`, zero for any other: a binary search, whose
/// steps the verifier can count.
///
/// The bit comes from the map, where the verifier does not know its value: it would follow every
/// value that it could compute.
#[inline(always)]
fn function(address: u64) -> u64 {
    let mut place = 0;
    let mut step = FUNCTIONS_MAX as u32 / 2;
    while step > 0 {
        if FUNCTIONS.get(place + step).is_some_and(|function| function.start <= address) {
            place += step;
        }
        step /= 2;
    }
    match FUNCTIONS.get(place) {
        Some(function) if (function.start..function.end).contains(&address) => function.bit,
        _ => 0,
    }
}
