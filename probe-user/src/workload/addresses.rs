//! Who has which address in the network between guests and sink.

use std::net::Ipv4Addr;

use crate::kernel::netdev::Mac;

/// Greatest number of guests: `tap99` is the longest name that fits after the longest tag.
pub const MAX_GUESTS: usize = 100;

/// The address of the sink, if it has one.
pub const SINK_IP: Ipv4Addr = Ipv4Addr::new(10, 84, 255, 1);

/// Number of bits that the addresses of both machines have in common.
pub const PREFIX: u8 = 16;

/// The sink's address; locally administered, like the guests'.
pub fn sink_mac() -> Mac {
    Mac([0x02, b't', b't', 0xff, 0, 0])
}

/// The address of guest number `guest`.
pub fn guest_mac(guest: u16) -> Mac {
    let [high, low] = guest.to_be_bytes();
    Mac([0x02, b't', b't', 0, high, low])
}

/// The address of guest number `guest`, in a network of [`PREFIX`] bits.
pub fn guest_ip(guest: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 84, 0, 1).to_bits() + u32::from(guest))
}
