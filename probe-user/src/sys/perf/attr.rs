//! `struct perf_event_attr`, from the bindings of the kernel's header.
#![expect(unsafe_code, reason = "a structure of integers that the kernel reads as bytes")]

use std::{
    mem::{self, offset_of},
    ptr, slice,
};

use aya_obj::generated::perf_event_attr;

/// `PERF_ATTR_SIZE_VER5`, up to the first field that was added later: every kernel since 4.1
/// accepts this length, and nothing newer is used here.
const SIZE: usize = offset_of!(perf_event_attr, aux_sample_size);

/// Each field up to there starts where the preceding one ends.
const NO_PADDING: () = {
    macro_rules! follow {
        ($($field:ident: $type:ty),* $(,)?) => {
            let mut end = 0;
            $(assert!(offset_of!(perf_event_attr, $field) == end); end += size_of::<$type>();)*
            assert!(end == SIZE);
        };
    }
    follow!(
        type_: u32, size: u32, config: u64, __bindgen_anon_1: u64, sample_type: u64,
        read_format: u64, _bitfield_1: u64, __bindgen_anon_2: u32, bp_type: u32,
        __bindgen_anon_3: u64, __bindgen_anon_4: u64, branch_sample_type: u64,
        sample_regs_user: u64, sample_stack_user: u32, clockid: i32, sample_regs_intr: u64,
        aux_watermark: u32, sample_max_stack: u16, __reserved_2: u16,
    );
};

/// An event with zero in all other fields.
pub(in crate::sys) fn event(kind: u32, config: u64) -> perf_event_attr {
    // SAFETY: integers, bit fields and unions of them, of which zero is a value.
    let zero: perf_event_attr = unsafe { mem::zeroed() };
    perf_event_attr { type_: kind, size: SIZE as u32, config, ..zero }
}

/// Its bytes, for the kernel to read.
pub(in crate::sys) fn bytes(attr: &perf_event_attr) -> &[u8] {
    let () = NO_PADDING;
    // SAFETY: `attr` is borrowed for as long as the slice lives, which ends inside it. No padding
    // lies between the fields, as NO_PADDING proves, so all bytes are initialised.
    unsafe { slice::from_raw_parts(ptr::from_ref(attr).cast(), SIZE) }
}
