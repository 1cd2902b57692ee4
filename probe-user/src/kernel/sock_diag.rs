//! The TCP sockets of a network namespace and what each has received, through sock_diag(7).
//!
//! A dump shows the sockets of the moment. What a socket received until its end is only reported
//! when the kernel destroys it, to those who listen at that time (`sock_diag_broadcast_destroy` in
//! net/core/sock_diag.c). There is no other exact way, since a dump comes too early or too late.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NlasIterator};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use probe_core::error::{Error, Result};

use super::{
    netlink::channel::{Channel, Raw},
    netns::Netns,
};

// linux/sock_diag.h, linux/inet_diag.h, net/tcp_states.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SKNLGRP_INET_TCP_DESTROY: u32 = 1;
const INET_DIAG_INFO: u16 = 2;
const TCP_LISTEN: u8 = 10;
/// `TCP_ESTABLISHED`, `TCP_SYN_RECV`, `TCP_CLOSE_WAIT`, `TCP_NEW_SYN_RECV`.
const CONNECTED: [u8; 4] = [1, 3, 8, 12];

/// `sizeof(struct inet_diag_msg)`.
const MESSAGE: usize = 72;

/// Offset of `tcpi_bytes_received` in `struct tcp_info` (linux/tcp.h), which only ever grows at its
/// end.
const BYTES_RECEIVED: usize = 128;

/// A socket, as reported by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSocket {
    /// Its number, which is unique during this boot.
    pub cookie: u64,
    /// Its own port.
    pub port: u16,
    /// Whether it listens for connections.
    pub listens: bool,
    /// Whether its owner has a connection that it has not ended: established, about to be, or ended
    /// only by the peer.
    pub connected: bool,
    /// Payload bytes that its peer sent and it acknowledged, in order. The end of a connection
    /// (FIN) counts as one byte.
    #[doc(alias = "tcpi_bytes_received")]
    pub received: u64,
}

/// The IPv4 sockets of one network namespace.
#[derive(Debug)]
pub struct TcpSockets(Channel);

/// The ends of IPv4 sockets of one network namespace. A caller must keep reading: unread messages
/// fill the kernel's queue, and then some are lost.
#[derive(Debug)]
pub struct TcpEnds(Channel);

impl TcpSockets {
    /// Opens the sockets of `netns`.
    ///
    /// # Errors
    /// The kernel has no sock_diag for TCP.
    pub fn of(netns: &Netns) -> Result<Self> {
        let channel = netns.run(|| Channel::open(NETLINK_SOCK_DIAG))?;
        let mut sockets = Self(channel.map_err(unopened)?);
        sockets.now()?;
        Ok(sockets)
    }

    /// The sockets of this moment.
    ///
    /// # Errors
    /// The kernel refuses, or does not support it.
    pub fn now(&mut self) -> Result<Vec<TcpSocket>> {
        let request = Raw { kind: SOCK_DIAG_BY_FAMILY, body: request() };
        let answers = self.0.exchange(request, NLM_F_DUMP).map_err(|e| {
            let unknown = e.raw_os_error() == Some(libc::ENOENT);
            let error = Error::call("sock_diag(SOCK_DIAG_BY_FAMILY)", "TCP sockets", e);
            let hint = "Load the modules: `modprobe -a inet_diag tcp_diag`";
            if unknown { error.with_hint(hint) } else { error }
        })?;
        decode_all(answers)
    }

    /// Whether a socket listens on `port`.
    ///
    /// # Errors
    /// As [`TcpSockets::now`].
    pub fn listens(&mut self, port: u16) -> Result<bool> {
        Ok(self.now()?.iter().any(|socket| socket.listens && socket.port == port))
    }
}

impl TcpEnds {
    /// Listens in `netns` from now on. The kernel must have loaded the modules that report them,
    /// which [`TcpSockets`] does.
    ///
    /// # Errors
    /// The kernel has no sock_diag.
    pub fn of(netns: &Netns) -> Result<Self> {
        let listen = || Channel::listen(NETLINK_SOCK_DIAG, SKNLGRP_INET_TCP_DESTROY);
        netns.run(listen)?.map(Self).map_err(unopened)
    }

    /// The sockets that ended since the last call, with everything that they received.
    ///
    /// # Errors
    /// There were more than the kernel can keep for us (`ENOBUFS`).
    pub fn heard(&mut self) -> Result<Vec<TcpSocket>> {
        let heard = self.0.heard();
        decode_all(heard.map_err(|e| Error::call("recvmsg", "the ends of TCP sockets", e))?)
    }
}

fn unopened(error: io::Error) -> Error {
    Error::call("socket(NETLINK_SOCK_DIAG)", "TCP sockets", error)
}

/// `struct inet_diag_req_v2` for all IPv4 TCP sockets of any state, with their `struct tcp_info`.
fn request() -> Vec<u8> {
    let family = [libc::AF_INET as u8, libc::IPPROTO_TCP as u8, 1 << (INET_DIAG_INFO - 1), 0];
    // All states; then no address, port, interface or cookie.
    [&family[..], &[0xff; 4], &[0; 48]].concat()
}

fn decode_all(messages: Vec<Raw>) -> Result<Vec<TcpSocket>> {
    let ours = messages.into_iter().filter(|message| message.kind == SOCK_DIAG_BY_FAMILY);
    let malformed = || Error::malformed("struct inet_diag_msg", "it is cut short");
    ours.map(|message| decode(&message.body).ok_or_else(malformed)).collect()
}

/// `struct inet_diag_msg` and what follows it. A socket without `struct tcp_info` (one that has
/// released its buffers, for example in TIME_WAIT) has received nothing recently.
fn decode(body: &[u8]) -> Option<TcpSocket> {
    let (head, attributes) = body.split_first_chunk::<MESSAGE>()?;
    let [_, state, _, _, high, low, ..] = *head;
    let word = |at: usize| Some(u64::from(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?)));
    let mut attributes = NlasIterator::new(attributes).flatten();
    let info = attributes.find(|attribute| attribute.kind() == INET_DIAG_INFO);
    let received = info.as_ref().and_then(|info| {
        let bytes = info.value().get(BYTES_RECEIVED..BYTES_RECEIVED + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    });
    Some(TcpSocket {
        cookie: word(44)? | word(48)? << 32,
        port: u16::from_be_bytes([high, low]),
        listens: state == TCP_LISTEN,
        connected: CONNECTED.contains(&state),
        received: received.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See tests/data/sock_diag/README.md.
    fn recorded(name: &str) -> Vec<u8> {
        let file = format!("{}/../tests/data/sock_diag/{name}.hex", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap();
        let digits = text.trim().as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn sockets_are_read_as_the_kernel_tells_of_them() {
        let socket = |cookie, listens, received| TcpSocket {
            cookie,
            port: 5201,
            listens,
            connected: false,
            received,
        };
        assert_eq!(decode(&recorded("listening")), Some(socket(1, true, 0)));
        let server = TcpSocket { connected: true, ..socket(2, false, 12_345) };
        assert_eq!(decode(&recorded("server")), Some(server));
        assert_eq!(decode(&recorded("ended")), Some(socket(2, false, 12_446)));
        // No struct tcp_info.
        let left = decode(&recorded("time_wait")).unwrap();
        assert_eq!((left.cookie, left.listens, left.connected), (3, false, false));
        assert_eq!(left.received, 0);
    }

    #[test]
    fn what_is_cut_short_is_no_socket() {
        let whole = recorded("server");
        assert_eq!(decode(&whole[..MESSAGE - 1]), None);
        // Without its attributes it has received nothing.
        assert_eq!(decode(&whole[..MESSAGE]).unwrap().received, 0);
        let mut kind = Raw { kind: 3, body: vec![] };
        assert_eq!(decode_all(vec![kind.clone()]).unwrap(), []);
        kind.kind = SOCK_DIAG_BY_FAMILY;
        assert!(decode_all(vec![kind]).is_err());
    }
}
