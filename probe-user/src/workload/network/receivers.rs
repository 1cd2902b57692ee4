//! What the sink received from each guest, according to its TCP sockets.
//!
//! Each guest has its own server (see [`iperf`]), so a socket's local port identifies the guest.
//! Payload bytes that arrived in order are counted, whether or not the server has read them; a
//! test's control connection, some hundred bytes, is included.
//!
//! [`iperf`]: crate::workload::iperf

use std::collections::HashMap;

use probe_core::error::Result;

use crate::{
    kernel::{
        netns::Netns,
        sock_diag::{TcpEnds, TcpSocket, TcpSockets},
    },
    workload::iperf,
};

/// The receiving ends of the guests' connections.
#[derive(Debug)]
pub(super) struct Receivers {
    sockets: TcpSockets,
    ends: TcpEnds,
    seen: Seen,
}

impl Receivers {
    /// Watches the servers of `guests` guests in `sink_netns`.
    ///
    /// # Errors
    /// The kernel has no sock_diag for TCP.
    pub(super) fn open(sink_netns: &Netns, guests: usize) -> Result<Self> {
        let (sockets, ends) = (TcpSockets::of(sink_netns)?, TcpEnds::of(sink_netns)?);
        Ok(Self { sockets, ends, seen: Seen::of(guests) })
    }

    /// The bytes of each guest since it was opened; they never decrease.
    ///
    /// # Errors
    /// The kernel refuses, or more sockets ended at once than it can report.
    pub(super) fn read(&mut self) -> Result<Vec<u64>> {
        self.seen.note(&self.sockets.now()?);
        // The kernel reports a socket's end from a work queue, so perhaps only by the next read;
        // the last report of each has the greatest value.
        self.seen.note(&self.ends.heard()?);
        Ok(self.seen.bytes())
    }
}

/// The greatest number of bytes seen for each socket.
#[derive(Debug)]
struct Seen {
    guests: usize,
    /// By cookie: the guest, and bytes.
    sockets: HashMap<u64, (usize, u64)>,
}

impl Seen {
    fn of(guests: usize) -> Self {
        Self { guests, sockets: HashMap::new() }
    }

    fn note(&mut self, sockets: &[TcpSocket]) {
        for socket in sockets {
            let Some(guest) = iperf::guest_of(socket.port).filter(|&guest| guest < self.guests)
            else {
                continue;
            };
            let (_, bytes) = self.sockets.entry(socket.cookie).or_insert((guest, 0));
            *bytes = socket.received.max(*bytes);
        }
    }

    fn bytes(&self) -> Vec<u64> {
        let mut sums = vec![0; self.guests];
        for &(guest, bytes) in self.sockets.values() {
            sums[guest] += bytes;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(cookie: u64, port: u16, received: u64) -> TcpSocket {
        TcpSocket { cookie, port, listens: false, connected: true, received }
    }

    #[test]
    fn what_ended_keeps_its_bytes_and_strangers_have_none() {
        let mut seen = Seen::of(2);
        seen.note(&[
            socket(1, 5201, 10),
            socket(2, 5202, 5),
            socket(3, 22, 99),
            socket(4, 5203, 9),
        ]);
        assert_eq!(seen.bytes(), [10, 5]);
        // Missing from the dump, then reported; and a second connection of the same guest.
        seen.note(&[socket(5, 5201, 1)]);
        seen.note(&[socket(1, 5201, 30)]);
        assert_eq!(seen.bytes(), [31, 5]);
        // A socket in TIME_WAIT reports nothing.
        seen.note(&[socket(1, 5201, 0)]);
        assert_eq!(seen.bytes(), [31, 5]);
    }
}
