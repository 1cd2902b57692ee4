//! The environment of a guest's programs: a network namespace with one TAP.

use probe_core::{error::Result, model::scenario::Guests};

use crate::{
    kernel::{
        netdev::NetDevices,
        netlink::{Interface, Netlink},
        netns::Netns,
        run::Run,
    },
    sys::tun::Tap,
    workload::{
        addresses::{PREFIX, SINK_IP, guest_ip, guest_mac, sink_mac},
        network::mtu,
        vhost::device::HEADER,
    },
};

/// Number of frames that may wait in the TAP until they are forwarded. A TAP drops further ones
/// (`tun_net_xmit` in drivers/net/tun.c), where a guest's own driver would stop the queue above it.
/// This is more than the shortest full frames in a TCP socket's largest window
/// (`net.ipv4.tcp_wmem`, 4 MiB).
const WAITING: &str = "4096";

/// The namespace of guest number `number`, which can talk to the sink as soon as its frames are
/// forwarded, and its TAP.
///
/// # Errors
/// Not root; something that this kernel lacks.
pub(super) fn build(run: &Run, number: u16, spec: &Guests) -> Result<(Netns, Tap)> {
    let netns = Netns::new()?;
    let name = run.interface("eth0");
    let tap = netns.run(|| Tap::create(&name, HEADER))??;
    if spec.offloads {
        tap.offload()?;
    }
    let devices = NetDevices::of(&netns)?;
    devices.write(&name, "tx_queue_len", WAITING)?;
    let mut links = netns.run(Netlink::open)??;
    links.set_mtu(&name, mtu(spec.frame))?;
    links.set_address(&name, guest_mac(number))?;
    links.up("lo")?;
    links.up(&name)?;
    let link = Interface { name: &name, index: devices.number(&name, "ifindex")? };
    links.add_address(link, guest_ip(number), PREFIX)?;
    links.add_neighbour(link, SINK_IP, sink_mac())?;
    Ok((netns, tap))
}
