//! Each guest's series, from what was read at bin edges and what was reported after the load.

use probe_core::model::{
    trial::{CountedAt, GuestSeries},
    units::Nanos,
};

/// The guests' series: from `bytes[edge][guest]`, and from the round-trip times in µs that each
/// guest's socket reported.
pub(super) fn series(
    names: Vec<String>,
    counted_at: CountedAt,
    edges: &[Nanos],
    bytes: &[Vec<u64>],
    rtt: &[Vec<(Nanos, f64)>],
) -> Vec<GuestSeries> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let of = |(guest, name): (usize, String)| GuestSeries {
        name,
        throughput: bytes.windows(2).map(|pair| pair[1][guest] - pair[0][guest]).collect(),
        counted_at,
        calls: std::collections::BTreeMap::new(),
        rtt_us: rtt.get(guest).map_or_else(Vec::new, |reports| means(reports, edges)),
    };
    names.into_iter().enumerate().map(of).collect()
}

/// The mean of the reports that fall into each bin.
fn means(reports: &[(Nanos, f64)], edges: &[Nanos]) -> Vec<Option<f64>> {
    let mean = |bin: &[Nanos]| {
        let values = reports.iter().filter(|(at, _)| (bin[0]..bin[1]).contains(at));
        let (sum, count) = values.fold((0.0, 0_u32), |(sum, n), (_, rtt)| (sum + rtt, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    };
    edges.windows(2).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_differences_and_reports_means() {
        let edges = [10, 20, 30].map(Nanos);
        let bytes = [vec![5, 0], vec![9, 0], vec![9, 7]];
        let rtt = [vec![(Nanos(11), 1.0), (Nanos(19), 3.0), (Nanos(30), 9.0)]];
        let names = vec!["vm1".to_owned(), "vm2".to_owned()];
        let series = series(names, CountedAt::Tap, &edges, &bytes, &rtt);
        assert_eq!(
            (&series[0].throughput[..], &series[1].throughput[..]),
            (&[4, 0][..], &[0, 7][..])
        );
        assert_eq!(series[0].rtt_us, [Some(2.0), None]);
        assert!(series[1].rtt_us.is_empty());
    }
}
