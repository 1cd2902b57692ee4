//! `struct perf_event_attr`, as the bindings have it from the kernel's header.
#![expect(unsafe_code, reason = "a structure of integers that the kernel reads as bytes")]

use std::{
    mem::{self, offset_of},
    ptr, slice,
};

use aya_obj::generated::perf_event_attr;

/// `PERF_ATTR_SIZE_VER5`, up to the first field that came later: every kernel since 4.1 takes this
/// length, and nothing newer is used here.
const SIZE: usize = offset_of!(perf_event_attr, aux_sample_size);

/// An event, with zero in all other fields.
pub(in crate::sys) fn event(kind: u32, config: u64) -> perf_event_attr {
    // SAFETY: integers, bit fields and unions of them, of which zero is a value.
    let zero: perf_event_attr = unsafe { mem::zeroed() };
    perf_event_attr { type_: kind, size: SIZE as u32, config, ..zero }
}

/// Its bytes, for the kernel to read.
pub(in crate::sys) fn bytes(attr: &perf_event_attr) -> &[u8] {
    // SAFETY: `attr` is borrowed for as long as the slice lives, which ends inside it. The header
    // leaves no room between the fields (the first test below), so all bytes are initialised.
    unsafe { slice::from_raw_parts(ptr::from_ref(attr).cast(), SIZE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_have_no_room_for_padding() {
        // Up to SIZE: 4-byte fields, 8-byte fields with bit field and unions, 2-byte fields.
        assert_eq!(SIZE, 7 * 4 + 10 * 8 + 2 * 2);
        let clockid = offset_of!(perf_event_attr, clockid);
        assert_eq!((SIZE, clockid), (112, 92));
    }
}
