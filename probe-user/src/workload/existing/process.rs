//! What /proc shows of a process that may own vhost devices. The folders are those of processes or
//! threads there.

use std::{collections::BTreeMap, fs, io, path::Path};

/// `PF_KTHREAD` of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// The descriptors that make a process a guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Number of descriptors of /dev/vhost-net.
    pub(super) devices: usize,
    /// TAPs behind its descriptors of /dev/net/tun, each with one of these: a TAP with several
    /// queues has several.
    pub(super) taps: BTreeMap<String, i32>,
}

/// Its name; `None` if it has ended.
pub(super) fn command(folder: &Path) -> Option<String> {
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Whether it is a kernel thread; `None` if it has ended.
pub(super) fn is_of_kernel(folder: &Path) -> Option<bool> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name, in parentheses, may contain parentheses and spaces: `pid (comm) state ppid pgrp
    // session tty tpgid flags`.
    let (_, behind) = stat.rsplit_once(") ")?;
    let flags: u32 = behind.split(' ').nth(6)?.parse().ok()?;
    Some(flags & KERNEL_THREAD != 0)
}

/// The process to which a thread belongs; `None` if it has ended.
pub(super) fn group_of(folder: &Path) -> Option<u32> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// Its devices and TAPs.
///
/// # Errors
/// It has ended, or may not be inspected.
pub(super) fn descriptors(folder: &Path) -> io::Result<Held> {
    let mut held = Held::default();
    for entry in fs::read_dir(folder.join("fd"))? {
        let entry = entry?;
        // A descriptor that was closed meanwhile is skipped.
        let Ok(to) = fs::read_link(entry.path()) else { continue };
        if to == Path::new("/dev/vhost-net") {
            held.devices += 1;
        } else if to == Path::new("/dev/net/tun") {
            let number = entry.file_name();
            let info = fs::read_to_string(folder.join("fdinfo").join(&number)).ok();
            let number = number.to_str().and_then(|number| number.parse().ok());
            held.taps.extend(info.as_deref().and_then(interface).zip(number));
        }
    }
    Ok(held)
}

/// The interface behind a descriptor of /dev/net/tun (`tun_chr_show_fdinfo` in drivers/net/tun.c):
/// `iff:\tNAME`. `None` if it has none yet.
fn interface(info: &str) -> Option<String> {
    let name = info.lines().find_map(|line| line.strip_prefix("iff:"))?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The word after `-name` on a command line in the format of /proc, words ended by zeros: `web1`,
/// or `guest=web1,…`.
pub(super) fn given_name(line: &[u8]) -> Option<String> {
    let mut words = line.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    words.find(|word| matches!(&**word, "-name" | "--name"))?;
    let value = words.next()?;
    let first = value.split(',').next()?;
    let name = value.split(',').find_map(|part| part.strip_prefix("guest=")).unwrap_or(first);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_qemu_was_given_is_found() {
        let name = |line: &str| given_name(line.replace(' ', "\0").as_bytes());
        assert_eq!(name("qemu -m 1G -name web1 -smp 2 ").as_deref(), Some("web1"));
        let libvirt = "qemu -name guest=web2,debug-threads=on -S ";
        assert_eq!(name(libvirt).as_deref(), Some("web2"));
        for without in ["qemu -m 1G", "qemu -name", "", "qemu -names x"] {
            assert_eq!(name(without), None, "{without}");
        }
    }

    #[test]
    fn a_descriptor_tells_its_interface() {
        assert_eq!(interface("pos:\t0\nflags:\t02\niff:\tvnet0\n").as_deref(), Some("vnet0"));
        for without in ["pos:\t0\n", "iff:\t\n", ""] {
            assert_eq!(interface(without), None, "{without}");
        }
    }
}
