//! The kernel's own structures for input and output of bpf(2) (include/uapi/linux/bpf.h).
//!
//! Each attribute is the leading part of `union bpf_attr` that its command reads; the kernel treats
//! the missing rest as zero.
#![expect(unsafe_code, reason = "structures that the kernel reads and fills as bytes")]

use aya_obj::generated::{bpf_btf_info, bpf_prog_info};

/// BPF_PROG_LOAD
#[repr(C)]
#[derive(Default)]
pub(super) struct ProgLoad {
    pub(super) prog_type: u32,
    pub(super) insn_cnt: u32,
    pub(super) insns: u64,
    pub(super) license: u64,
    pub(super) log_level: u32,
    pub(super) log_size: u32,
    pub(super) log_buf: u64,
    pub(super) kern_version: u32,
    pub(super) prog_flags: u32,
    pub(super) prog_name: [u8; 16],
    pub(super) prog_ifindex: u32,
    pub(super) expected_attach_type: u32,
    pub(super) prog_btf_fd: u32,
    pub(super) func_info_rec_size: u32,
    pub(super) func_info: u64,
    pub(super) func_info_cnt: u32,
    pub(super) line_info_rec_size: u32,
    pub(super) line_info: u64,
    pub(super) line_info_cnt: u32,
    pub(super) attach_btf_id: u32,
    pub(super) attach_btf_obj_fd: u32,
    pub(super) core_relo_cnt: u32,
}

/// BPF_BTF_LOAD
#[repr(C)]
#[derive(Default)]
pub(super) struct BtfLoad {
    pub(super) btf: u64,
    pub(super) btf_log_buf: u64,
    pub(super) btf_size: u32,
    pub(super) btf_log_size: u32,
    pub(super) btf_log_level: u32,
    pub(super) btf_flags: u32,
}

/// BPF_LINK_CREATE
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkCreate {
    pub(super) prog_fd: u32,
    pub(super) target_fd: u32,
    pub(super) attach_type: u32,
    pub(super) flags: u32,
}

/// BPF_LINK_CREATE with BPF_TRACE_KPROBE_MULTI
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkCreateMulti {
    pub(super) link: LinkCreate,
    pub(super) flags: u32,
    pub(super) cnt: u32,
    pub(super) syms: u64,
    pub(super) addrs: u64,
    pub(super) cookies: u64,
}

/// BPF_RAW_TRACEPOINT_OPEN; `padding` is zero, as whatever stands behind `prog_fd` must be.
#[repr(C)]
#[derive(Default)]
pub(super) struct RawTracepointOpen {
    pub(super) name: u64,
    pub(super) prog_fd: u32,
    pub(super) padding: u32,
}

/// BPF_*_GET_NEXT_ID (where `id` is the one before) and BPF_*_GET_FD_BY_ID
#[repr(C)]
#[derive(Default)]
pub(super) struct ById {
    pub(super) id: u32,
    pub(super) next_id: u32,
    pub(super) open_flags: u32,
}

/// BPF_OBJ_GET_INFO_BY_FD
#[repr(C)]
#[derive(Default)]
pub(super) struct ObjInfo {
    pub(super) bpf_fd: u32,
    pub(super) info_len: u32,
    pub(super) info: u64,
}

/// BPF_ENABLE_STATS
#[repr(C)]
#[derive(Default)]
pub(super) struct EnableStats {
    pub(super) kind: u32,
}

/// A command's part of `union bpf_attr`.
///
/// # Safety
/// `repr(C)`, integers only, no padding: every byte is initialised and every value of it is valid.
pub(super) unsafe trait Attr {}
// SAFETY: 4- and 8-byte integers at multiples of their size, the 8-byte ones filling each structure
// to its alignment; `sizes_have_no_room_for_padding` adds the fields up.
unsafe impl Attr for ProgLoad {}
// SAFETY: as above.
unsafe impl Attr for BtfLoad {}
// SAFETY: as above.
unsafe impl Attr for LinkCreate {}
// SAFETY: as above.
unsafe impl Attr for LinkCreateMulti {}
// SAFETY: as above.
unsafe impl Attr for RawTracepointOpen {}
// SAFETY: as above.
unsafe impl Attr for ById {}
// SAFETY: as above.
unsafe impl Attr for ObjInfo {}
// SAFETY: as above.
unsafe impl Attr for EnableStats {}

/// Its bytes, for the kernel to read and write.
pub(super) fn bytes<A: Attr>(attr: &mut A) -> &mut [u8] {
    // SAFETY: `attr` is borrowed mutably for as long as the slice lives; by `Attr`'s contract its
    // bytes are all initialised and it stays valid whatever the kernel writes to them.
    unsafe { std::slice::from_raw_parts_mut(std::ptr::from_mut(attr).cast(), size_of::<A>()) }
}

/// `struct bpf_link_info` up to the last count of missed hits; `rest` is the union with the fields
/// of each kind of link.
#[repr(C)]
pub(super) struct LinkInfo {
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) prog_id: u32,
    pub(super) padding: u32,
    pub(super) rest: [u64; 5],
}

impl LinkInfo {
    /// The word of `rest` that is `kprobe_multi.missed`.
    pub(super) const KPROBE_MULTI_MISSED: usize = 2;
    /// The word of `rest` whose lower half is `perf_event.type`.
    pub(super) const PERF_EVENT_TYPE: usize = 0;
    /// The word of `rest` that is `perf_event.kprobe.missed`.
    pub(super) const PERF_EVENT_MISSED: usize = 4;
}

/// A structure that `BPF_OBJ_GET_INFO_BY_FD` fills in.
///
/// # Safety
/// Integers only, in unions too: zero is a value of each, and so is whatever the kernel writes.
pub(super) unsafe trait Info: Sized {
    /// With nothing asked for.
    fn zero() -> Self {
        // SAFETY: by the trait's contract.
        unsafe { std::mem::zeroed() }
    }
}
// SAFETY: generated from the kernel's header, which has integers, arrays and bit fields of them
// alone.
unsafe impl Info for bpf_btf_info {}
// SAFETY: as above.
unsafe impl Info for LinkInfo {}
// SAFETY: as above.
unsafe impl Info for bpf_prog_info {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn sizes_have_no_room_for_padding() {
        // 4-byte fields, 8-byte fields, and prog_name.
        assert_eq!(size_of::<ProgLoad>(), 16 * 4 + 5 * 8 + 16);
        assert_eq!(size_of::<BtfLoad>(), 4 * 4 + 2 * 8);
        assert_eq!(size_of::<LinkCreate>(), 4 * 4);
        assert_eq!(size_of::<LinkCreateMulti>(), 6 * 4 + 3 * 8);
        assert_eq!(size_of::<RawTracepointOpen>(), 8 + 2 * 4);
        assert_eq!(size_of::<ById>(), 3 * 4);
        assert_eq!(size_of::<ObjInfo>(), 2 * 4 + 8);
        assert_eq!(size_of::<EnableStats>(), 4);
    }

    #[test]
    fn the_missed_hits_of_links_are_where_the_kernel_puts_them() {
        use aya_obj::generated::{
            bpf_link_info, bpf_link_info__bindgen_ty_1__bindgen_ty_9 as kprobe_multi,
            bpf_link_info__bindgen_ty_1__bindgen_ty_11 as perf_event,
            bpf_link_info__bindgen_ty_1__bindgen_ty_11__bindgen_ty_1__bindgen_ty_2 as kprobe,
        };
        let rest = offset_of!(bpf_link_info, __bindgen_anon_1);
        assert_eq!(rest, offset_of!(LinkInfo, rest));
        assert_eq!(offset_of!(kprobe_multi, missed), LinkInfo::KPROBE_MULTI_MISSED * 8);
        assert_eq!(offset_of!(perf_event, type_), LinkInfo::PERF_EVENT_TYPE * 8);
        let missed = offset_of!(perf_event, __bindgen_anon_1) + offset_of!(kprobe, missed);
        assert_eq!(missed, LinkInfo::PERF_EVENT_MISSED * 8);
        assert_eq!(size_of::<LinkInfo>(), rest + missed + 8);
    }

    #[test]
    fn prog_load_matches_the_kernels_layout() {
        // From the 6.1 header: the fields behind the two that are easiest to get wrong.
        assert_eq!(offset_of!(ProgLoad, prog_name), 48);
        assert_eq!(offset_of!(ProgLoad, func_info), 80);
        assert_eq!(offset_of!(ProgLoad, attach_btf_id), 108);
        assert_eq!(offset_of!(ProgLoad, attach_btf_obj_fd), 112);
    }
}
