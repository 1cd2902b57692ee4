//! TAP devices: the network interface behind a vhost device.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

use probe_core::error::{Error, Result};

use super::call::{self, Call};

const PATH: &str = "/dev/net/tun";

// linux/if_tun.h; `_IOW('T', …, int)` although TUNSETIFF takes a whole `struct ifreq`.
const TUNSETIFF: u32 = 0x4004_54ca;
const TUNSETOFFLOAD: u32 = 0x4004_54d0;
const TUNSETVNETHDRSZ: u32 = 0x4004_54d8;
const TUNSETQUEUE: u32 = 0x4004_54d9;
const TUNGETDEVNETNS: u32 = 0x54e3;

// linux/if_tun.h: what the reader of a TAP accepts in its virtio-net headers.
const TUN_F_CSUM: u64 = 0x01;
const TUN_F_TSO4: u64 = 0x02;
const TUN_F_TSO6: u64 = 0x04;
const TUN_F_TSO_ECN: u64 = 0x08;

/// `sizeof(struct ifreq)`.
const IFREQ: usize = 40;

/// `ifr_flags` is a short.
const FLAGS: u16 = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;

/// Each file that is opened for the interface is a pair of queues.
const MULTI_QUEUE: u16 = libc::IFF_MULTI_QUEUE as u16;

/// Reattaches a pair of queues that was detached.
const ATTACH: u16 = libc::IFF_ATTACH_QUEUE as u16;

/// Fails if the interface already exists.
const EXCLUSIVE: u16 = libc::IFF_TUN_EXCL as u16;

/// A TAP interface in the network namespace in which it was created. It is removed with its last
/// descriptor.
#[derive(Debug)]
pub struct Tap {
    name: String,
    /// One for each pair of queues.
    files: Vec<File>,
}

/// Checks whether TAPs can be created here; creates none.
///
/// # Errors
/// The module or the privilege is missing.
pub fn detect() -> Result<()> {
    File::options().read(true).write(true).open(PATH).map(drop).map_err(unopened)
}

impl Tap {
    /// Creates `name` in the calling thread's network namespace: no protocol header (`IFF_NO_PI`),
    /// a virtio-net header of `header` bytes before each frame (`IFF_VNET_HDR`), no offloads
    /// towards the reader (`TUNSETOFFLOAD` 0), so that it gets no frame above the MTU and none
    /// without its checksum.
    ///
    /// # Errors
    /// No `/dev/net/tun`, not root, the name is taken (`EBUSY`) or too long.
    pub fn create(name: &str, header: u32) -> Result<Self> {
        Self::of(vec![open(name, FLAGS)?], name, header)
    }

    /// The same with this many pairs of queues; if there are several, all are attached.
    ///
    /// # Errors
    /// As [`Tap::create`]; the kernel does not support this many (`E2BIG`).
    #[doc(alias = "IFF_MULTI_QUEUE")]
    pub fn with_queues(name: &str, header: u32, queues: u32) -> Result<Self> {
        if queues == 1 {
            return Self::create(name, header);
        }
        let mut files = vec![open(name, FLAGS | MULTI_QUEUE | EXCLUSIVE)?];
        for _ in 1..queues {
            files.push(open(name, FLAGS | MULTI_QUEUE)?);
        }
        Self::of(files, name, header)
    }

    fn of(files: Vec<File>, name: &str, header: u32) -> Result<Self> {
        let tap = Self { name: name.into(), files };
        let mut header = header.to_ne_bytes();
        ioctl(tap.file(), "ioctl(TUNSETVNETHDRSZ)", name, TUNSETVNETHDRSZ, &mut header)?;
        tap.set_offloads(0)?;
        Ok(tap)
    }

    /// From now on the reader itself computes checksums and segments TCP: it gets frames of up to
    /// 64 KB, whose virtio-net headers say what remains to be done. What is written to a TAP may
    /// always be like that.
    ///
    /// # Errors
    /// The errno of `TUNSETOFFLOAD`.
    #[doc(alias = "TUNSETOFFLOAD")]
    pub fn offload(&self) -> Result<()> {
        self.set_offloads(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
    }

    /// Reattaches pairs of queues that their user has detached, as QEMU does while its guest does
    /// not use them. While they are detached, the next QEMU cannot even query their properties.
    ///
    /// # Errors
    /// The errno of `TUNSETQUEUE`.
    #[doc(alias = "TUNSETQUEUE")]
    pub fn attach(&self) -> Result<()> {
        for file in &self.files[1..] {
            let mut ifreq = ifreq(&self.name, ATTACH)?;
            match ioctl(file, "ioctl(TUNSETQUEUE)", &self.name, TUNSETQUEUE, &mut ifreq) {
                // It is attached.
                Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn set_offloads(&self, value: u64) -> Result<()> {
        let set = Call::IoctlValue { fd: self.file().as_fd(), request: TUNSETOFFLOAD, value };
        let set = call::make(set).map(drop);
        set.map_err(|e| Error::call("ioctl(TUNSETOFFLOAD)", self.name.as_str(), e))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of its first pair of queues, the backend of a vhost device.
    pub fn file(&self) -> &File {
        &self.files[0]
    }

    /// The files of all pairs of queues.
    pub fn files(&self) -> &[File] {
        &self.files
    }
}

/// The network namespace of the interface behind `tap`, a descriptor of /dev/net/tun with an
/// interface.
///
/// # Errors
/// The errno: `EBADFD` if it has no interface, `EPERM` without CAP_NET_ADMIN there, `EINVAL` before
/// Linux 5.6.
pub fn netns(tap: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    call::make_fd(Call::IoctlValue { fd: tap, request: TUNGETDEVNETNS, value: 0 })
}

/// Opens a pair of queues of the interface `name`, which is created by the first.
fn open(name: &str, flags: u16) -> Result<File> {
    let mut ifreq = ifreq(name, flags)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(PATH).map_err(unopened)?;
    ioctl(&file, "ioctl(TUNSETIFF)", name, TUNSETIFF, &mut ifreq).map(|()| file)
}

fn ioctl(
    file: &File,
    name: &'static str,
    tap: &str,
    request: u32,
    argument: &mut [u8],
) -> Result<()> {
    call::make(Call::IoctlBytes { fd: file.as_fd(), request, argument })
        .map(drop)
        .map_err(|e| Error::call(name, tap, e))
}

/// `struct ifreq` with name and flags.
fn ifreq(name: &str, flags: u16) -> Result<[u8; IFREQ]> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        let limit = format!("Interface names have 1 to {} bytes", libc::IFNAMSIZ - 1);
        return Err(Error::invalid(name, "not an interface name", limit));
    }
    let mut ifreq = [0; IFREQ];
    ifreq[..name.len()].copy_from_slice(name.as_bytes());
    ifreq[libc::IFNAMSIZ..libc::IFNAMSIZ + 2].copy_from_slice(&flags.to_ne_bytes());
    Ok(ifreq)
}

fn unopened(error: io::Error) -> Error {
    let missing = error.kind() == io::ErrorKind::NotFound || is_no_device(&error);
    let error = Error::file("open", PATH, error);
    if missing { error.with_hint("Load the module: `modprobe tun`") } else { error }
}

fn is_no_device(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ifreq_holds_name_and_flags() {
        let ifreq = ifreq("tt41-tap0", FLAGS).unwrap();
        assert_eq!(&ifreq[..10], b"tt41-tap0\0");
        // IFF_TAP 0x0002, IFF_NO_PI 0x1000, IFF_VNET_HDR 0x4000.
        assert_eq!(u16::from_ne_bytes([ifreq[16], ifreq[17]]), 0x5002);
        assert!(ifreq[18..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        for name in ["", "tt4194304-tap0123"] {
            assert!(ifreq(name, FLAGS).is_err(), "{name}");
        }
    }

    #[test]
    fn a_missing_module_is_told_with_a_hint() {
        let error = unopened(io::Error::from_raw_os_error(libc::ENODEV));
        assert!(error.to_string().ends_with("`modprobe tun`"), "{error}");
    }
}
