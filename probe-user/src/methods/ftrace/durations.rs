//! How long calls took, in powers of two.

use probe_core::model::{
    item::{ItemId, PerItem},
    observation::Durations,
    target::Target,
};

/// A histogram per function.
#[derive(Debug, Clone)]
pub struct Lengths(PerItem<[u64; 64]>);

impl Lengths {
    /// Empty, for the functions of `target`.
    pub fn new(target: &Target) -> Self {
        Self(target.functions().map(|(item, _)| (item, [0; 64])).collect())
    }

    /// Adds a call of `function` that took `ns`.
    #[inline]
    pub fn add(&mut self, function: ItemId, ns: u64) {
        if let Some(buckets) = self.0.get_mut(function) {
            buckets[(ns | 1).ilog2() as usize] += 1;
        }
    }

    /// One per function, without the empty buckets at the end; none if durations were not
    /// `measured`.
    pub fn finish(&self, measured: bool) -> PerItem<Durations> {
        let trimmed = |buckets: &[u64; 64]| {
            let used = buckets.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
            Durations { log2_ns: buckets[..used].to_vec() }
        };
        let histograms = ItemId::FIRST.onward().zip(self.0.iter().flatten());
        histograms.filter(|_| measured).map(|(item, one)| (item, trimmed(one))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_i_holds_two_to_the_i_up_to_the_next() {
        let mut lengths = Lengths(PerItem::from(vec![Some([0; 64]); 2]));
        for ns in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            lengths.add(ItemId(1), ns);
        }
        lengths.add(ItemId(2), 1);
        let found = lengths.finish(true);
        assert!(found[0].as_ref().unwrap().log2_ns.is_empty());
        let buckets = &found[1].as_ref().unwrap().log2_ns;
        assert_eq!((buckets[0], buckets[1], buckets[2], buckets[9], buckets[10]), (2, 2, 1, 1, 1));
        assert_eq!((buckets.len(), buckets[63]), (64, 1));
        assert!(lengths.finish(false).is_empty());
    }
}
