//! Traffic control: a tree of HTB classes on an interface's egress, and redirection from one
//! interface to another.
//!
//! Frames are classified with the u32 classifier, which compares bytes and needs no protocol; every
//! kernel that can classify has it.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage as Request,
    tc::{
        TcAction, TcActionAttribute, TcActionGeneric, TcActionMirror, TcActionMirrorOption,
        TcActionOption, TcActionType, TcAttribute, TcFilterU32, TcFilterU32Option, TcHandle,
        TcMessage, TcMirror, TcMirrorActionType, TcOption, TcStats2, TcU32Key, TcU32Selector,
        TcU32SelectorFlags,
    },
};
use probe_core::error::{Error, Result};

use super::Netlink;
use crate::kernel::netdev::Mac;

const HTB: &str = "htb";

/// Handle of the tree, `1:`.
const TREE: u16 = 1;

/// Handle of the ingress hook (`TC_H_CLSACT`), and the parent of its filters for incoming frames
/// (`TC_H_MIN_INGRESS`).
const HOOK: TcHandle = TcHandle { major: 0xffff, minor: 0 };
const INCOMING: TcHandle = TcHandle { major: 0xffff, minor: TcHandle::MIN_INGRESS };

/// `htons(ETH_P_ALL)` below the one priority that we use: `TC_H_MAKE(prio << 16, protocol)`.
const EVERY_PROTOCOL: u32 = 1 << 16 | (libc::ETH_P_ALL as u16).to_be() as u32;

// linux/pkt_sched.h
const TCA_OPTIONS: u16 = 2;
const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
const TC_LINKLAYER_ETHERNET: u8 = 1;

/// The largest frame of segmentation offload, including its header: more than GSO_LEGACY_MAX_SIZE
/// of linux/netdevice.h.
const LARGEST: u64 = 65_536 + 14;

/// A timer can be late by a tick, at the lowest tick rate in use (HZ=250).
const TICK_NS: u64 = 4_000_000;

/// An interface of the socket's namespace.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its index.
    pub index: u32,
}

/// A class of the tree on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Its number in the tree; 0 is the tree itself.
    pub id: u16,
    /// The class above.
    pub above: u16,
    /// Its guaranteed rate, in bytes per second.
    pub rate: u64,
    /// Its greatest rate, if others leave bandwidth, in bytes per second.
    pub ceil: u64,
}

/// The statistics of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Frames that are queued in it.
    pub waiting: u64,
    /// Frames for which there was no room.
    pub dropped: u64,
}

impl Netlink {
    /// Makes a tree of classes the queue of `link`; frames that belong to no class pass as before.
    ///
    /// # Errors
    /// The kernel has no HTB, or the link has a queue of somebody's own.
    pub fn add_tree(&mut self, link: Interface<'_>) -> Result<()> {
        // struct tc_htb_glob: version 3, rate2quantum (every class of ours says its quantum), no
        // default class.
        let glob = [3_u32, 10, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let options = vec![TcOption::Other(DefaultNla::new(TCA_HTB_INIT, glob))];
        let mut tree = message(link, TcHandle { major: TREE, minor: 0 }, TcHandle::ROOT);
        tree.attributes = vec![TcAttribute::Kind(HTB.into()), TcAttribute::Options(options)];
        let request = Request::NewQueueDiscipline(tree);
        self.make("rtnetlink(RTM_NEWQDISC htb)", link, request, "sch_htb")
    }

    /// Adds a class; in a leaf, at most `queue` bytes are queued.
    ///
    /// # Errors
    /// The class above does not exist, or the rate is 0.
    pub fn add_class(
        &mut self,
        link: Interface<'_>,
        class: Class,
        queue: Option<u32>,
    ) -> Result<()> {
        let mut made = message(link, in_tree(class.id), in_tree(class.above));
        made.attributes =
            vec![TcAttribute::Kind(HTB.into()), TcAttribute::Options(parameters(class))];
        let request = Request::NewTrafficClass(made);
        self.make("rtnetlink(RTM_NEWTCLASS htb)", link, request, "sch_htb")?;
        let Some(bytes) = queue else { return Ok(()) };
        let mut fifo = message(link, TcHandle::UNSPEC, in_tree(class.id));
        // struct tc_fifo_qopt, which has no nested attributes.
        let limit = DefaultNla::new(TCA_OPTIONS, bytes.to_ne_bytes().to_vec());
        fifo.attributes = vec![TcAttribute::Kind("bfifo".into()), TcAttribute::Other(limit)];
        let request = Request::NewQueueDiscipline(fifo);
        self.make("rtnetlink(RTM_NEWQDISC bfifo)", link, request, "sch_fifo")
    }

    /// Sends frames from `mac` through class `class` of the tree.
    ///
    /// # Errors
    /// The kernel has no u32 classifier, or there is no tree.
    pub fn classify(&mut self, link: Interface<'_>, mac: Mac, class: u16) -> Result<()> {
        let mut filter = message(link, TcHandle::UNSPEC, in_tree(0));
        filter.header.info = EVERY_PROTOCOL;
        let options = [
            TcFilterU32Option::ClassId(in_tree(class)),
            TcFilterU32Option::Selector(selector(from(mac))),
        ];
        filter.attributes = u32_filter(options);
        let request = Request::NewTrafficFilter(filter);
        self.make("rtnetlink(RTM_NEWTFILTER u32)", link, request, "cls_u32")
    }

    /// Removes the tree, with everything that is queued in it.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_tree(&mut self, link: Interface<'_>) -> Result<()> {
        let tree = message(link, TcHandle { major: TREE, minor: 0 }, TcHandle::ROOT);
        let request = Request::DelQueueDiscipline(tree);
        self.request("rtnetlink(RTM_DELQDISC)", link.name, request, 0)
    }

    /// The tree's statistics since it was created.
    ///
    /// # Errors
    /// There is none.
    pub fn backlog(&mut self, link: Interface<'_>) -> Result<Backlog> {
        const CALL: &str = "rtnetlink(RTM_GETQDISC)";
        let request =
            Request::GetQueueDiscipline(message(link, TcHandle::UNSPEC, TcHandle::UNSPEC));
        let answers = self.channel.exchange(request, NLM_F_DUMP);
        let answers = answers.map_err(|e| Error::call(CALL, link.name, e))?;
        let of_tree = |answer: Request| match answer {
            Request::NewQueueDiscipline(found)
                if found.header.index == link.index.cast_signed()
                    && found.header.parent == TcHandle::ROOT =>
            {
                account(&found)
            }
            _ => None,
        };
        let found = answers.into_iter().find_map(of_tree);
        found.ok_or_else(|| Error::malformed(link.name, "its queue has no account"))
    }

    /// Sends every frame that arrives from `from` out through `to`, bypassing everything else.
    ///
    /// # Errors
    /// The kernel lacks a part of it, or `from` has an ingress hook already.
    pub fn redirect(&mut self, from: Interface<'_>, to: Interface<'_>) -> Result<()> {
        let mut hook = message(from, HOOK, TcHandle::CLSACT);
        hook.attributes = vec![TcAttribute::Kind("clsact".into())];
        let request = Request::NewQueueDiscipline(hook);
        self.make("rtnetlink(RTM_NEWQDISC clsact)", from, request, "sch_ingress")?;
        let mut filter = message(from, TcHandle::UNSPEC, INCOMING);
        filter.header.info = EVERY_PROTOCOL;
        let options = [
            TcFilterU32Option::Selector(selector(vec![TcU32Key::default()])),
            TcFilterU32Option::Action(vec![leave_through(to)]),
        ];
        filter.attributes = u32_filter(options);
        let request = Request::NewTrafficFilter(filter);
        let modules = "-a cls_u32 act_mirred";
        self.make("rtnetlink(RTM_NEWTFILTER u32)", from, request, modules)
    }

    /// Creates a part of traffic control, whose modules the kernel loads automatically if it can.
    fn make(
        &mut self,
        call: &'static str,
        link: Interface<'_>,
        request: Request,
        modules: &str,
    ) -> Result<()> {
        self.exchange(request, NLM_F_CREATE | NLM_F_EXCL).map_err(|e| {
            let unknown = e.raw_os_error() == Some(libc::ENOENT);
            let error = Error::call(call, link.name, e);
            match unknown {
                true => error.with_hint(format!("Load the module: `modprobe {modules}`")),
                false => error,
            }
        })
    }
}

fn message(link: Interface<'_>, handle: TcHandle, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::with_index(link.index.cast_signed());
    message.header.handle = handle;
    message.header.parent = parent;
    message
}

fn in_tree(class: u16) -> TcHandle {
    TcHandle { major: TREE, minor: class }
}

fn u32_filter(options: [TcFilterU32Option; 2]) -> Vec<TcAttribute> {
    let options = options.into_iter().map(TcOption::U32).collect();
    vec![TcAttribute::Kind(TcFilterU32::KIND.into()), TcAttribute::Options(options)]
}

fn selector(keys: Vec<TcU32Key>) -> TcU32Selector {
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.nkeys = keys.len() as u8;
    selector.keys = keys;
    selector
}

/// The six bytes before the EtherType, relative to the network header after it (`u32_classify` in
/// net/sched/cls_u32.c).
fn from(mac: Mac) -> Vec<TcU32Key> {
    let Mac([a, b, c, d, e, f]) = mac;
    [(-8, u32::MAX, [a, b, c, d]), (-4, 0xffff_0000, [e, f, 0, 0])]
        .map(|(off, mask, value)| {
            let mut key = TcU32Key::default();
            (key.off, key.mask, key.val) = (off, mask, u32::from_be_bytes(value));
            key
        })
        .to_vec()
}

/// The action that sends a frame out of `link` (`tcf_mirred_act` in net/sched/act_mirred.c).
fn leave_through(link: Interface<'_>) -> TcAction {
    let mut generic = TcActionGeneric::default();
    generic.action = TcActionType::Stolen;
    let mut mirror = TcMirror::default();
    (mirror.generic, mirror.eaction, mirror.ifindex) =
        (generic, TcMirrorActionType::EgressRedir, link.index);
    let mut action = TcAction::default();
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.into()),
        TcActionAttribute::Options(vec![TcActionOption::Mirror(TcActionMirrorOption::Parms(
            mirror,
        ))]),
    ];
    action
}

/// The parameters of `htb_change_class` (net/sched/sch_htb.c). If a link layer is given, no rate
/// tables are needed.
fn parameters(class: Class) -> Vec<TcOption> {
    let mut opt = [ratespec(class.rate), ratespec(class.ceil)].concat();
    // buffer, cbuffer, quantum, level, prio
    let quantum = u32::try_from(LARGEST).unwrap_or(u32::MAX);
    for field in [burst(class.rate), burst(class.ceil), quantum, 0, 0] {
        opt.extend(field.to_ne_bytes());
    }
    let mut options = vec![TcOption::Other(DefaultNla::new(TCA_HTB_PARMS, opt))];
    for (kind, rate) in [(TCA_HTB_RATE64, class.rate), (TCA_HTB_CEIL64, class.ceil)] {
        if u32::try_from(rate).is_err() {
            options.push(TcOption::Other(DefaultNla::new(kind, rate.to_ne_bytes().to_vec())));
        }
    }
    options
}

/// `struct tc_ratespec`; a rate that does not fit is in a separate attribute, and this one is
/// ignored.
fn ratespec(rate: u64) -> Vec<u8> {
    let mut spec = vec![0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    spec.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    spec
}

/// How long a class may send at once what it has saved up, in ticks of 64 ns (`PSCHED_SHIFT`): one
/// GSO frame, or what is due if the timer that wakes it is late by a tick.
fn burst(rate: u64) -> u32 {
    let frame = LARGEST.saturating_mul(1_000_000_000) / rate.max(1);
    u32::try_from(frame.max(TICK_NS) >> 6).unwrap_or(u32::MAX)
}

fn account(queue: &TcMessage) -> Option<Backlog> {
    let stats = queue.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Stats2(stats) => Some(stats),
        _ => None,
    })?;
    stats.iter().find_map(|stat| match stat {
        TcStats2::Queue(queue) => {
            Some(Backlog { waiting: queue.qlen.into(), dropped: queue.drops.into() })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_holds_a_gso_frame_or_a_tick() {
        // 1 Mbit/s: 65550 bytes take 524.4 ms. 10 Gbit/s: 52 µs, less than a tick.
        assert_eq!(burst(125_000), 524_400_000 / 64);
        assert_eq!(burst(1_250_000_000), 4_000_000 / 64);
        assert_eq!(burst(0), u32::MAX);
    }

    #[test]
    fn a_source_address_stands_right_before_the_ethertype() {
        let keys = from(Mac([2, 0x74, 0x74, 0, 1, 9]));
        assert_eq!((keys[0].off, keys[0].val), (-8, 0x0274_7400));
        assert_eq!((keys[1].off, keys[1].val, keys[1].mask), (-4, 0x0109_0000, 0xffff_0000));
    }

    #[test]
    fn only_rates_beyond_32_bits_have_their_own_attribute() {
        let options = |rate, ceil| parameters(Class { id: 1, above: 0, rate, ceil }).len();
        assert_eq!(options(125_000, u32::MAX.into()), 1);
        assert_eq!(options(125_000, 1 << 32), 2);
        assert_eq!(options(1 << 32, 1 << 33), 3);
    }
}
