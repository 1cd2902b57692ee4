//! Generic netlink: message families that modules provide.

use std::io;

use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};
use netlink_sys::protocols::NETLINK_GENERIC;
use probe_core::error::{Error, Result};

use super::netlink::channel::{Channel, Raw};

// linux/genetlink.h
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// `struct genlmsghdr`: command, version, reserved.
const HEADER: usize = 4;

/// A family of the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Family {
    channel: Channel,
    id: u16,
    name: &'static str,
}

impl Family {
    /// Looks up the family, whose module the kernel then loads by its alias. `None` if the kernel
    /// has no such family.
    pub(crate) fn find(name: &'static str) -> Result<Option<Self>> {
        let failed = |e| Error::call("genetlink(CTRL_CMD_GETFAMILY)", name, e);
        let mut channel = Channel::open(NETLINK_GENERIC).map_err(failed)?;
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        let body = [header(CTRL_CMD_GETFAMILY), attribute(CTRL_ATTR_FAMILY_NAME, &text)].concat();
        let answers = match channel.exchange(Raw { kind: GENL_ID_CTRL, body }, 0) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            other => other.map_err(failed)?,
        };
        let id = answers.iter().find_map(|answer| find(&answer.body[..], CTRL_ATTR_FAMILY_ID));
        let id = id.and_then(|id| Some(u16::from_ne_bytes(id.try_into().ok()?)));
        let id =
            id.ok_or_else(|| Error::malformed(name, "the kernel returned no id of this family"))?;
        Ok(Some(Self { channel, id, name }))
    }

    /// Makes a request specific to the family: header, then `rest`. Returns the bodies of the
    /// answers.
    pub(crate) fn request(&mut self, command: u8, rest: &[u8], flags: u16) -> Result<Vec<Vec<u8>>> {
        let body = [&header(command)[..], rest].concat();
        let answers: io::Result<Vec<Raw>> =
            self.channel.exchange(Raw { kind: self.id, body }, flags);
        let answers = answers.map_err(|e| Error::call("genetlink", self.name, e))?;
        Ok(answers
            .into_iter()
            .map(|answer| answer.body.get(HEADER..).unwrap_or(&[]).to_vec())
            .collect())
    }
}

fn header(command: u8) -> Vec<u8> {
    vec![command, 1, 0, 0]
}

/// One attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (NLA_HEADER_SIZE + value.len()) as u16;
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attribute of this kind in the body of an answer.
fn find(body: &[u8], kind: u16) -> Option<Vec<u8>> {
    let attributes = NlasIterator::new(body.get(HEADER..)?);
    let mut found = attributes.flatten().filter(|attribute| attribute.kind() == kind);
    found.next().map(|attribute| attribute.value().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_behind_others() {
        let body =
            [header(1), attribute(CTRL_ATTR_FAMILY_NAME, b"nlctrl\0"), attribute(1, &[16, 0])];
        assert_eq!(find(&body.concat(), CTRL_ATTR_FAMILY_ID), Some(vec![16, 0]));
        assert_eq!(find(&body.concat(), 7), None);
        assert_eq!(find(&[1], 1), None);
    }

    #[test]
    fn a_family_that_every_kernel_has_is_found_and_an_unknown_one_is_not() {
        assert_eq!(Family::find("nlctrl").unwrap().unwrap().id, GENL_ID_CTRL);
        assert!(Family::find("tracetoll_none").unwrap().is_none());
    }
}
