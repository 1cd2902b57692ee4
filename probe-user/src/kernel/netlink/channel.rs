//! Requests to the kernel over netlink: one at a time, each answered completely before the next.

use std::{convert::Infallible, fmt, io};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// A netlink socket; it acts on the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Socket,
    sequence: u32,
}

impl Channel {
    /// Opens a socket of this protocol (`NETLINK_…`) in the calling thread's network namespace.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without this option an error returns the whole request.
        socket.set_cap_ack(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Opens a socket that only listens to a multicast group, and never waits.
    pub(crate) fn listen(protocol: isize, group: u32) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.add_membership(group)?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a request and returns the kernel's answers; an acknowledged command has none.
    pub(crate) fn exchange<M>(&mut self, request: M, flags: u16) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable + fmt::Debug,
    {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        self.answers()
    }

    fn answers<M: NetlinkDeserializable + fmt::Debug>(&self) -> io::Result<Vec<M>> {
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages::<M>(&datagram)? {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Done(done) if done.code == 0 => return Ok(answers),
                    NetlinkPayload::Done(done) => {
                        return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                    }
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }

    /// Messages to the group since the last call.
    ///
    /// # Errors
    /// `ENOBUFS`: there were more than the socket can hold, and some are lost.
    pub(crate) fn heard<M: NetlinkDeserializable + fmt::Debug>(&self) -> io::Result<Vec<M>> {
        let mut heard = Vec::new();
        loop {
            let datagram = match self.socket.recv_from_full() {
                Ok((datagram, _)) => datagram,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(e) => return Err(e),
            };
            heard.extend(messages::<M>(&datagram)?.into_iter().filter_map(|message| {
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => Some(inner),
                    _ => None,
                }
            }));
        }
    }
}

/// The messages of a datagram, one after the other, each aligned to four bytes.
fn messages<M: NetlinkDeserializable + fmt::Debug>(
    mut datagram: &[u8],
) -> io::Result<Vec<NetlinkMessage<M>>> {
    let malformed = |e: String| io::Error::new(io::ErrorKind::InvalidData, e);
    let mut found = Vec::new();
    while !datagram.is_empty() {
        let buffer = NetlinkBuffer::new_checked(&datagram).map_err(|e| malformed(e.to_string()))?;
        let length = (buffer.length() as usize).next_multiple_of(4).min(datagram.len());
        found.push(NetlinkMessage::deserialize(datagram).map_err(|e| malformed(e.to_string()))?);
        datagram = &datagram[length..];
    }
    Ok(found)
}

/// A message whose body is encoded by its sender and decoded by its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// Everything after the header.
    pub(crate) body: Vec<u8>,
}

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Raw {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self { kind: header.message_type, body: payload.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_holds_messages_one_behind_the_other() {
        let mut datagram = Vec::new();
        for body in [vec![1, 2, 3, 4], vec![], vec![5; 8]] {
            let payload = NetlinkPayload::InnerMessage(Raw { kind: 20, body });
            let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len(), 0);
            message.serialize(&mut datagram[start..]);
        }
        let found = messages::<Raw>(&datagram).unwrap();
        let bodies: Vec<_> = found
            .into_iter()
            .map(|message| match message.payload {
                NetlinkPayload::InnerMessage(raw) => raw.body.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bodies, [4, 0, 8]);
        assert!(messages::<Raw>(&datagram[..10]).is_err());
    }
}
