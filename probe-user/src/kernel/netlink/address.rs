//! IPv4 addresses and neighbours.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage as Request,
    address::{AddressAttribute, AddressMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use probe_core::error::Result;

use super::{Interface, Netlink};
use crate::kernel::netdev::Mac;

impl Netlink {
    /// Gives `link` the address `ip` in a network of `prefix` bits, and with it a route to that
    /// network.
    ///
    /// # Errors
    /// There is no such link, or it has the address (`EEXIST`).
    pub fn add_address(&mut self, link: Interface<'_>, ip: Ipv4Addr, prefix: u8) -> Result<()> {
        let mut address = AddressMessage::default();
        address.header.family = AddressFamily::Inet;
        address.header.prefix_len = prefix;
        address.header.index = link.index;
        address.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(ip)),
            AddressAttribute::Address(IpAddr::V4(ip)),
        ];
        let request = Request::NewAddress(address);
        self.request("rtnetlink(RTM_NEWADDR)", link.name, request, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Sets permanently that `ip` has `mac` on `link`, so that nobody ever sends ARP requests for
    /// it.
    ///
    /// # Errors
    /// There is no such link, or it is down (`ENETDOWN`).
    pub fn add_neighbour(&mut self, link: Interface<'_>, ip: Ipv4Addr, mac: Mac) -> Result<()> {
        let mut entry = NeighbourMessage::default();
        entry.header.family = AddressFamily::Inet;
        entry.header.ifindex = link.index;
        entry.header.state = NeighbourState::Permanent;
        entry.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)),
            NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
        ];
        let request = Request::NewNeighbour(entry);
        self.request("rtnetlink(RTM_NEWNEIGH)", link.name, request, NLM_F_CREATE | NLM_F_REPLACE)
    }
}
