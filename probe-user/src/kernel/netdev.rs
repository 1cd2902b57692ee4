//! Network interfaces of a namespace, as shown by sysfs.

use std::{
    fmt,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    str::FromStr,
};

use probe_core::error::{Error, Result};
use rustix::fs::{Mode, OFlags, openat};

use super::netns::Netns;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// `class/net` of a namespace.
#[derive(Debug)]
pub struct NetDevices {
    sysfs: OwnedFd,
}

impl NetDevices {
    /// The interfaces of `netns`.
    ///
    /// # Errors
    /// sysfs cannot be mounted.
    pub fn of(netns: &Netns) -> Result<Self> {
        netns.sysfs().map(|sysfs| Self { sysfs })
    }

    /// Opens `class/net/NAME/ATTRIBUTE` for repeated reading from its start.
    ///
    /// # Errors
    /// There is no such interface or attribute.
    pub fn open(&self, name: &str, attribute: &str) -> Result<File> {
        self.open_for(name, attribute, OFlags::RDONLY)
    }

    /// Reads a number from `class/net/NAME/ATTRIBUTE`.
    ///
    /// # Errors
    /// There is no such interface or attribute, or it is not a number.
    pub fn number<T: FromStr>(&self, name: &str, attribute: &str) -> Result<T> {
        let mut text = String::new();
        self.open(name, attribute)?
            .read_to_string(&mut text)
            .map_err(|e| Error::file("read", path(name, attribute), e))?;
        text.trim().parse().map_err(|_| {
            Error::malformed(
                path(name, attribute),
                format!(
                    "`{text}` is not a \
                                                                          number"
                ),
            )
        })
    }

    /// Writes `value` to `class/net/NAME/ATTRIBUTE`.
    ///
    /// # Errors
    /// There is no such interface or attribute, or it does not accept the value.
    pub fn write(&self, name: &str, attribute: &str, value: &str) -> Result<()> {
        self.open_for(name, attribute, OFlags::WRONLY)?
            .write_all(value.as_bytes())
            .map_err(|e| Error::file("write", path(name, attribute), e))
    }

    fn open_for(&self, name: &str, attribute: &str, access: OFlags) -> Result<File> {
        let path = path(name, attribute);
        openat(self.sysfs.as_fd(), &path, access | OFlags::CLOEXEC, Mode::empty())
            .map(File::from)
            .map_err(|e| Error::file("open", path, e.into()))
    }
}

fn path(name: &str, attribute: &str) -> String {
    format!("class/net/{name}/{attribute}")
}

/// A set of CPUs in the format of sysfs and procfs: hexadecimal words of 32 bits, the highest
/// first.
pub fn cpu_mask(cpus: &[u32]) -> String {
    let highest = cpus.iter().max().map_or(0, |cpu| cpu / 32);
    let words = (0..=highest).rev().map(|word| {
        cpus.iter().filter(|&cpu| cpu / 32 == word).fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32))
    });
    words.map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_written_in_words() {
        assert_eq!(cpu_mask(&[]), "00000000");
        assert_eq!(cpu_mask(&[2]), "00000004");
        assert_eq!(cpu_mask(&[0, 3, 33]), "00000002,00000009");
    }

    #[test]
    fn an_address_is_written_as_ip_link_does() {
        assert_eq!(Mac([2, 0x74, 0x74, 0, 0, 255]).to_string(), "02:74:74:00:00:ff");
    }
}
