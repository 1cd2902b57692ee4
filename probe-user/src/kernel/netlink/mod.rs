//! Links, addresses, forwarding entries and queues, through rtnetlink.

mod address;
pub(crate) mod channel;
mod tc;

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage as Request,
    link::{
        BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags,
        LinkInfo, LinkMessage,
    },
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use probe_core::error::{Error, Result};

use self::channel::Channel;
pub use self::tc::{Backlog, Class, Interface};
use super::{netdev::Mac, netns::Netns};

/// An rtnetlink socket; it acts on the network namespace in which it was opened.
#[derive(Debug)]
pub struct Netlink {
    channel: Channel,
}

/// The other end of a veth pair.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address.
    pub mac: Mac,
    /// The network namespace in which it is created.
    pub netns: &'a Netns,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// The errno of socket(2) or bind(2).
    pub fn open() -> Result<Self> {
        let opened = Channel::open(NETLINK_ROUTE).map(|channel| Self { channel });
        opened.map_err(|e| Error::call("socket(AF_NETLINK)", "rtnetlink", e))
    }

    /// Creates a bridge that only forwards: no spanning tree (ports forward at once), no multicast
    /// snooping (it sends no queries).
    ///
    /// # Errors
    /// Not root, the name is taken, the kernel has no bridges.
    pub fn add_bridge(&mut self, name: &str, mtu: u32) -> Result<()> {
        let quiet = vec![
            InfoBridge::StpState(BridgeStpState::Disabled),
            InfoBridge::MulticastSnooping(false),
        ];
        let mut bridge = kind(InfoKind::Bridge, InfoData::Bridge(quiet));
        bridge.attributes.extend([LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(mtu)]);
        self.create("rtnetlink(RTM_NEWLINK bridge)", name, bridge, "modprobe bridge")
    }

    /// Creates a veth pair: `name` here, `peer` in another namespace.
    ///
    /// # Errors
    /// Not root, a name is taken, the kernel has no veth.
    pub fn add_veth(&mut self, name: &str, mtu: u32, peer: &Peer<'_>) -> Result<()> {
        let mut far = LinkMessage::default();
        far.attributes = vec![
            LinkAttribute::IfName(peer.name.into()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::Address(peer.mac.0.to_vec()),
            LinkAttribute::NetNsFd(peer.netns.as_fd().as_raw_fd()),
        ];
        let mut near = kind(InfoKind::Veth, InfoData::Veth(InfoVeth::Peer(far)));
        near.attributes.extend([LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(mtu)]);
        self.create("rtnetlink(RTM_NEWLINK veth)", name, near, "modprobe veth")
    }

    /// Sets `name`'s MTU and makes it a port of the bridge with index `bridge`.
    ///
    /// # Errors
    /// There is no such link, or it cannot be a port.
    pub fn join(&mut self, name: &str, mtu: u32, bridge: u32) -> Result<()> {
        let mut link = named(name);
        link.attributes.extend([LinkAttribute::Mtu(mtu), LinkAttribute::Controller(bridge)]);
        self.request("rtnetlink(RTM_SETLINK master)", name, Request::SetLink(link), 0)
    }

    /// Sets `name`'s MTU.
    ///
    /// # Errors
    /// There is no such link, or it does not accept the MTU.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Mtu(mtu));
        self.request("rtnetlink(RTM_SETLINK mtu)", name, Request::SetLink(link), 0)
    }

    /// Sets `name`'s Ethernet address.
    ///
    /// # Errors
    /// There is no such link, or it does not accept the address.
    pub fn set_address(&mut self, name: &str, mac: Mac) -> Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
        self.request("rtnetlink(RTM_SETLINK address)", name, Request::SetLink(link), 0)
    }

    /// Brings `name` up.
    ///
    /// # Errors
    /// There is no such link.
    pub fn up(&mut self, name: &str) -> Result<()> {
        let mut link = named(name);
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.request("rtnetlink(RTM_SETLINK up)", name, Request::SetLink(link), 0)
    }

    /// Deletes `name`; for a veth pair, both ends.
    ///
    /// # Errors
    /// There is no such link.
    pub fn delete(&mut self, name: &str) -> Result<()> {
        self.request("rtnetlink(RTM_DELLINK)", name, Request::DelLink(named(name)), 0)
    }

    /// Tells the bridge permanently that `mac` is behind its port `name` with index `port`, so that
    /// no frame to it is ever flooded.
    ///
    /// # Errors
    /// The link is not a port of a bridge.
    pub fn forward(&mut self, mac: Mac, name: &str, port: u32) -> Result<()> {
        let mut entry = NeighbourMessage::default();
        entry.header.family = AddressFamily::Bridge;
        entry.header.ifindex = port;
        // NUD_NOARP is what `bridge fdb add … static` sets; NUD_PERMANENT would make it an address
        // of the bridge itself.
        entry.header.state = NeighbourState::Noarp;
        entry.header.flags = NeighbourFlags::Controller;
        entry.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request("rtnetlink(RTM_NEWNEIGH)", name, Request::NewNeighbour(entry), flags)
    }

    fn create(
        &mut self,
        call: &'static str,
        name: &str,
        link: LinkMessage,
        hint: &str,
    ) -> Result<()> {
        let answer = self.exchange(Request::NewLink(link), NLM_F_CREATE | NLM_F_EXCL);
        answer.map_err(|e| {
            let unknown = e.raw_os_error() == Some(libc::EOPNOTSUPP);
            let error = Error::call(call, name, e);
            if unknown { error.with_hint(format!("Load the module: `{hint}`")) } else { error }
        })
    }

    fn request(
        &mut self,
        call: &'static str,
        subject: &str,
        request: Request,
        flags: u16,
    ) -> Result<()> {
        self.exchange(request, flags).map_err(|e| Error::call(call, subject, e))
    }

    fn exchange(&mut self, request: Request, flags: u16) -> io::Result<()> {
        self.channel.exchange(request, flags).map(drop)
    }
}

fn kind(kind: InfoKind, data: InfoData) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes =
        vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)])];
    link
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.into())];
    link
}
