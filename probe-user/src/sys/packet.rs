//! Packet sockets (packet(7)) with a ring of `TPACKET_V3` blocks that the kernel fills and user
//! space reads in place.
#![expect(unsafe_code, reason = "mmap of the socket's ring, shared with the kernel")]

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, Ordering},
};

use probe_core::error::{Error, Result};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with},
};

use super::call::{self, Call};

// linux/if_packet.h
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const TPACKET_V3: i32 = 2;
const TP_STATUS_KERNEL: u32 = 0;
const TP_STATUS_USER: u32 = 1;

/// `block_status` in `struct tpacket_block_desc`.
const BLOCK_STATUS: usize = 8;

/// With `TPACKET_V3` this only has to divide the block size, since frames have no fixed space
/// (`packet_set_ring`).
const FRAME_SIZE: u32 = 2048;

/// `ETH_P_ALL`: every frame.
const EVERY_FRAME: u16 = 0x0003;
/// An EtherType that IANA reserves: no frame carries it.
const NO_FRAME: u16 = 0xffff;

/// The parameters of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingShape {
    /// Bytes per block: whole pages.
    pub block_size: u32,
    /// Blocks in the ring.
    pub blocks: u32,
    /// A block with frames is handed over after this time, even if it has space left.
    pub retire_ms: u32,
    /// Bytes kept of each frame; `None` keeps the whole frame, as far as a block can hold it.
    pub snaplen: Option<u32>,
}

/// The kernel's counts since they were last read, `struct tpacket_stats_v3`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that reached the socket, including dropped ones.
    pub frames: u32,
    /// Frames dropped, because no block was free.
    pub dropped: u32,
    /// How often the kernel found no free block.
    pub freezes: u32,
}

/// A packet socket and its ring. It receives nothing until it is told to listen.
#[derive(Debug)]
pub struct Socket {
    ring: Ring,
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace. Frames that the host sends to an
    /// interface, rather than receives from it, are ignored (`PACKET_IGNORE_OUTGOING`).
    ///
    /// # Errors
    /// Not root; no packet sockets in this kernel; a shape that the kernel rejects (`EINVAL`) or
    /// has no memory for.
    pub fn open(shape: &RingShape) -> Result<Self> {
        let failed =
            |call| move |e: rustix::io::Errno| Error::call(call, "packet socket", e.into());
        // No protocol: nothing is received before `listen`.
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(|e| match e {
                rustix::io::Errno::AFNOSUPPORT => Error::unsupported(
                    "packet socket",
                    "this kernel has none",
                    "Load the module: `modprobe af_packet` (CONFIG_PACKET)",
                ),
                other => failed("socket")(other),
            })?;
        let set =
            |call, option, value: &[u8]| set(fd.as_fd(), call, libc::SOL_PACKET, option, value);
        set("setsockopt(PACKET_VERSION)", PACKET_VERSION, &TPACKET_V3.to_ne_bytes())?;
        set("setsockopt(PACKET_IGNORE_OUTGOING)", PACKET_IGNORE_OUTGOING, &1_i32.to_ne_bytes())?;
        if let Some(snaplen) = shape.snaplen {
            truncate(fd.as_fd(), snaplen)?;
        }
        let hint = "Blocks are whole pages, and the ring is kernel memory: ask for smaller or \
                    fewer blocks";
        set("setsockopt(PACKET_RX_RING)", PACKET_RX_RING, &request(shape))
            .map_err(|e| if is_refusal(&e) { e } else { e.with_hint(hint) })?;
        let ring =
            Ring::map(fd.as_fd(), shape).map_err(|e| Error::call("mmap", "packet socket", e))?;
        Ok(Self { ring, fd })
    }

    /// The number of `interface` in the socket's namespace.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn interface(&self, interface: &str) -> Result<u32> {
        netdevice::name_to_index(&self.fd, interface)
            .map_err(|e| Error::call("ioctl(SIOCGIFINDEX)", interface, e.into()))
    }

    /// Receives every frame that the host gets from this interface.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn listen(&self, interface: u32) -> Result<()> {
        self.bind(interface, EVERY_FRAME)
    }

    /// Stops receiving; when this returns, no frame is on its way into the ring (`packet_do_bind`
    /// waits for those). The kernel treats protocol 0 as "unchanged", so the socket is bound to a
    /// protocol that no frame has.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn ignore(&self, interface: u32) -> Result<()> {
        self.bind(interface, NO_FRAME)
    }

    fn bind(&self, interface: u32, protocol: u16) -> Result<()> {
        // `struct sockaddr_ll`.
        let mut address = [0; 20];
        address[..2].copy_from_slice(&(libc::AF_PACKET as u16).to_ne_bytes());
        address[2..4].copy_from_slice(&protocol.to_be_bytes());
        address[4..8].copy_from_slice(&interface.to_ne_bytes());
        call::make(Call::Bind { fd: self.fd.as_fd(), address: &address })
            .map(drop)
            .map_err(|e| Error::call("bind", format!("packet socket on interface {interface}"), e))
    }

    /// Reads the kernel's counts and resets them to zero.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn statistics(&self) -> Result<Statistics> {
        let mut value = [0; 12];
        call::make(Call::GetSockOpt {
            fd: self.fd.as_fd(),
            level: libc::SOL_PACKET,
            option: PACKET_STATISTICS,
            value: &mut value,
        })
        .map_err(|e| Error::call("getsockopt(PACKET_STATISTICS)", "packet socket", e))?;
        let (words, _) = value.as_chunks();
        let [frames, dropped, freezes] = [0, 1, 2].map(|i| u32::from_ne_bytes(words[i]));
        Ok(Statistics { frames, dropped, freezes })
    }

    /// The oldest block that the kernel has handed over, if there is one; the same one until it is
    /// given back.
    pub fn block(&self) -> Option<&[u8]> {
        self.ring.block(0)
    }

    /// The block `ahead` of the oldest one, if it is handed over as well.
    pub fn block_ahead(&self, ahead: u32) -> Option<&[u8]> {
        self.ring.block(ahead)
    }

    /// Gives the oldest block back to the kernel.
    pub fn give_back(&mut self) {
        self.ring.give_back();
    }

    /// Blocks in the ring.
    pub fn blocks(&self) -> u32 {
        self.ring.blocks
    }

    /// Bytes of the ring.
    pub fn ring_bytes(&self) -> u64 {
        self.ring.length() as u64
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Call { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
}

fn set(
    fd: BorrowedFd<'_>,
    name: &'static str,
    level: i32,
    option: i32,
    value: &[u8],
) -> Result<()> {
    call::make(Call::SetSockOpt { fd, level, option, value })
        .map(drop)
        .map_err(|e| Error::call(name, "packet socket", e))
}

/// `struct tpacket_req3`: no private area, no hash.
fn request(shape: &RingShape) -> [u8; 28] {
    let per_block = shape.block_size / FRAME_SIZE;
    let frames = per_block.saturating_mul(shape.blocks);
    let words = [shape.block_size, shape.blocks, FRAME_SIZE, frames, shape.retire_ms, 0, 0];
    let mut bytes = [0; 28];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Keeps `snaplen` bytes of each frame: a classic BPF program of one instruction, `ret #snaplen`,
/// like libpcap.
fn truncate(fd: BorrowedFd<'_>, snaplen: u32) -> Result<()> {
    const BPF_RET_K: u16 = 0x06;
    let mut filter = [libc::sock_filter { code: BPF_RET_K, jt: 0, jf: 0, k: snaplen }];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    let mut value = [0; size_of::<libc::sock_fprog>()];
    value[..2].copy_from_slice(&program.len.to_ne_bytes());
    // The kernel copies the program while the call lasts; `filter` lives until this function
    // returns.
    let pointer = (program.filter as usize).to_ne_bytes();
    let at = std::mem::offset_of!(libc::sock_fprog, filter);
    value[at..at + pointer.len()].copy_from_slice(&pointer);
    set(fd, "setsockopt(SO_ATTACH_FILTER)", libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &value)
}

/// The blocks, in the order in which the kernel fills them.
#[derive(Debug)]
struct Ring {
    start: NonNull<u8>,
    block_size: usize,
    blocks: u32,
    /// The oldest block that was not given back.
    next: u32,
}

// SAFETY: the mapping belongs to this value alone and to no thread; the kernel shares each block by
// its status word, whatever thread reads.
unsafe impl Send for Ring {}

impl Ring {
    fn map(fd: BorrowedFd<'_>, shape: &RingShape) -> io::Result<Self> {
        let block_size = shape.block_size as usize;
        if shape.blocks == 0 || block_size <= BLOCK_STATUS + 4 || !block_size.is_multiple_of(8) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length =
            block_size.checked_mul(shape.blocks as usize).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so the kernel picks one that nothing else uses, for
        // `length` bytes, which it refuses unless they are exactly the ring (packet_mmap). The
        // mapping holds the ring by itself, and is undone once, when the value is dropped.
        let start = unsafe { mmap(ptr::null_mut(), length, access, MapFlags::SHARED, fd, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, block_size, blocks: shape.blocks, next: 0 })
    }

    fn length(&self) -> usize {
        self.block_size * self.blocks as usize
    }

    fn block(&self, ahead: u32) -> Option<&[u8]> {
        if ahead >= self.blocks {
            return None;
        }
        let at = (u64::from(self.next) + u64::from(ahead)) % u64::from(self.blocks);
        let at = at as usize * self.block_size;
        // Acquire: what the kernel wrote before it handed the block over is visible behind this
        // load (prb_flush_block in net/packet/af_packet.c).
        if self.status(at).load(Ordering::Acquire) & TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block lies inside the mapping, which lives as long as `self`. The kernel
        // writes to a block only while its status is TP_STATUS_KERNEL, and only `give_back` makes
        // it that, which takes `self` exclusively: no slice of it is alive then.
        Some(unsafe { slice::from_raw_parts(self.start.as_ptr().add(at), self.block_size) })
    }

    fn give_back(&mut self) {
        let at = self.next as usize * self.block_size;
        let status = self.status(at);
        if status.load(Ordering::Relaxed) & TP_STATUS_USER == 0 {
            return;
        }
        // Release: the kernel may write to the block only after all reads above.
        status.store(TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: `block` is the start of one of the ring's blocks, each longer than the offset and
        // a multiple of eight bytes from the page that the mapping starts at: inside and aligned.
        // The kernel reads and writes the word as a whole. The reference lives no longer than the
        // mapping, by the borrow of self.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(block + BLOCK_STATUS).cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made by `map`, and no reference to it is left: each borrows
        // self.
        let undone = unsafe { munmap(self.start.as_ptr().cast(), self.length()) };
        debug_assert!(undone.is_ok(), "{undone:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    const SHAPE: RingShape =
        RingShape { block_size: 4096, blocks: 2, retire_ms: 10, snaplen: Some(128) };

    /// A file instead of a socket, so that the test plays the kernel's part by writing to it.
    fn played() -> (File, Ring) {
        let file = File::from(memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(8192).unwrap();
        let ring = Ring::map(file.as_fd(), &SHAPE).unwrap();
        (file, ring)
    }

    fn hand_over(file: &File, block: u64, mark: u8) {
        file.write_all_at(&[mark], block * 4096 + 100).unwrap();
        file.write_all_at(&TP_STATUS_USER.to_ne_bytes(), block * 4096 + 8).unwrap();
    }

    #[test]
    fn blocks_come_in_turn_and_go_back() {
        let (file, mut ring) = played();
        assert!(ring.block(0).is_none());
        ring.give_back();
        for round in 0..3_u8 {
            for block in 0..2 {
                hand_over(&file, block, round);
            }
            assert!(ring.block(1).is_some() && ring.block(2).is_none());
            for block in 0..2 {
                assert_eq!(ring.block(0).unwrap()[100], round);
                ring.give_back();
                let mut status = [9; 4];
                file.read_exact_at(&mut status, block * 4096 + 8).unwrap();
                assert_eq!(u32::from_ne_bytes(status), TP_STATUS_KERNEL);
            }
            assert!(ring.block(0).is_none());
        }
    }

    #[test]
    fn the_request_divides_each_block() {
        let words: Vec<u32> =
            request(&SHAPE).chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [4096, 2, 2048, 4, 10, 0, 0]);
    }

    #[test]
    fn statistics_are_three_words_and_a_refusal_is_told() {
        let (file, ring) = played();
        let socket = Socket { ring, fd: file.into() };
        {
            let _script = call::Script::install([0]);
            assert_eq!(socket.statistics().unwrap(), Statistics::default());
        }
        let _script = call::Script::install([-i64::from(libc::ENETDOWN)]);
        let error = socket.listen(7).unwrap_err().to_string();
        assert!(error.contains("bind") && error.contains("interface 7"), "{error}");
    }
}
