//! Maps an address to the target's function that contains it.

use probe_core::model::{
    item::ItemId,
    target::{Range, Target},
};

/// The address ranges of a target's functions, sorted, so that an address is found in O(log n).
///
/// ftrace and kprobes report addresses a few bytes into the function (after `endbr64` or a patched
/// call), and a call chain reports return addresses, so a function is matched by its range, not by
/// its start.
#[derive(Debug, Clone)]
pub struct AddressMap {
    /// By address.
    ranges: Vec<(Range, ItemId)>,
}

impl AddressMap {
    /// The map of `target`; its functions must have their addresses.
    pub fn new(target: &Target) -> Self {
        let mut ranges: Vec<_> = target.functions().map(|(item, f)| (f.addresses, item)).collect();
        ranges.sort_unstable_by_key(|(range, _)| range.start);
        Self { ranges }
    }

    /// The function that holds `address`.
    #[inline]
    pub fn find(&self, address: u64) -> Option<ItemId> {
        // A target of one or two functions is the common case: a scan beats the search's
        // mispredicted branches.
        if self.ranges.len() <= 4 {
            let (_, index) = self.ranges.iter().find(|(range, _)| range.contains(address))?;
            return Some(*index);
        }
        let behind = self.ranges.partition_point(|(range, _)| range.start <= address);
        let (range, index) = self.ranges.get(behind.checked_sub(1)?)?;
        range.contains(address).then_some(*index)
    }
}

#[cfg(test)]
mod tests {
    use probe_core::model::target::Function;
    use proptest::prelude::*;

    use super::*;

    fn target(ranges: &[(u64, u64)]) -> Target {
        let function = |&(start, end)| Function {
            name: format!("f{start:x}"),
            module: None,
            addresses: Range { start, end },
        };
        Target { functions: ranges.iter().map(function).collect(), ..Target::default() }
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_looking_at_each_range(
            mut cuts in proptest::collection::btree_set(0_u64..1000, 0..40),
            address in 0_u64..1100,
        ) {
            // Disjoint ranges with gaps: every second interval between the cuts.
            if cuts.len() % 2 == 1 {
                cuts.pop_last();
            }
            let cuts: Vec<_> = cuts.into_iter().collect();
            let mut ranges: Vec<_> = cuts.chunks(2).map(|pair| (pair[0], pair[1])).collect();
            ranges.reverse();
            let expected = ranges.iter().position(|&(start, end)| (start..end).contains(&address));
            let found = AddressMap::new(&target(&ranges)).find(address);
            prop_assert_eq!(found.map(|item| item.0), expected);
        }
    }
}
