use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Written {
    Sample { id: u64, ip: u64, tid: u32, time: u64, period: u64, chain: Vec<u64> },
    Plain(u32, Vec<u64>),
}

const ALL: SampleLayout = SampleLayout(1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 8 | 1 << 16);

fn record(kind: u32, words: &[u64]) -> Vec<u8> {
    let length = u16::try_from(8 + words.len() * 8).unwrap();
    let mut bytes = [&kind.to_ne_bytes()[..], &[0; 2], &length.to_ne_bytes()].concat();
    bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    bytes
}

impl Written {
    /// As `perf_output_sample` writes it.
    fn encode(&self, layout: SampleLayout) -> Vec<u8> {
        match self {
            Self::Plain(kind, words) => record(*kind, words),
            Self::Sample { id, ip, tid, time, period, chain } => {
                let tids = 7 | u64::from(*tid) << 32;
                let fields = [
                    (SampleLayout::IDENTIFIER, *id),
                    (SampleLayout::IP, *ip),
                    (SampleLayout::TID, tids),
                    (SampleLayout::TIME, *time),
                    (SampleLayout::PERIOD, *period),
                    (SampleLayout::CALLCHAIN, chain.len() as u64),
                ];
                let there = fields.into_iter().filter(|(field, _)| layout.has(*field));
                let mut words: Vec<u64> = there.map(|(_, word)| word).collect();
                if layout.has(SampleLayout::CALLCHAIN) {
                    words.extend(chain);
                }
                record(9, &words)
            }
        }
    }

    /// What of a sample is left in this layout.
    fn seen_in(&self, layout: SampleLayout) -> (u64, u64, u32, u64, u64, Vec<u64>) {
        let Self::Sample { id, ip, tid, time, period, chain } = self else { panic!("{self:?}") };
        let or_zero = |field, word: u64| if layout.has(field) { word } else { 0 };
        (
            or_zero(SampleLayout::IDENTIFIER, *id),
            or_zero(SampleLayout::IP, *ip),
            or_zero(SampleLayout::TID, (*tid).into()) as u32,
            or_zero(SampleLayout::TIME, *time),
            or_zero(SampleLayout::PERIOD, *period),
            if layout.has(SampleLayout::CALLCHAIN) { chain.clone() } else { Vec::new() },
        )
    }
}

fn layout() -> impl Strategy<Value = SampleLayout> {
    proptest::sample::subsequence(SampleLayout::FIELDS.to_vec(), 0..=SampleLayout::FIELDS.len())
        .prop_map(|fields| fields.into_iter().fold(SampleLayout(0), SampleLayout::and))
}

fn written() -> impl Strategy<Value = Written> {
    // Below the context markers, as every address is.
    let address = 0..u64::MAX - 5000;
    let fields = (any::<u64>(), address.clone(), any::<u32>(), any::<u64>(), any::<u64>());
    let sample = (fields, proptest::collection::vec(address, 0..30));
    prop_oneof![
        4 => sample.prop_map(|((id, ip, tid, time, period), chain)| {
            Written::Sample { id, ip, tid, time, period, chain }
        }),
        1 => (0..30_u32, proptest::collection::vec(any::<u64>(), 3..6))
            .prop_filter("samples are made above", |(kind, _)| *kind != 9)
            .prop_map(|(kind, words)| Written::Plain(kind, words)),
    ]
}

proptest! {
    #[test]
    fn what_the_kernel_writes_is_read_back(
        layout in layout(),
        records in proptest::collection::vec(written(), 0..20),
    ) {
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.encode(layout)).collect();
        let decoded: Vec<_> = Records::new(&bytes, layout).collect();
        prop_assert_eq!(decoded.len(), records.len());
        for (decoded, written) in decoded.into_iter().zip(&records) {
            match (decoded.unwrap(), written) {
                (Record::Sample(read), Written::Sample { .. }) => {
                    let chain = read.chain().collect();
                    let seen = (read.id, read.ip, read.tid, read.time, read.period, chain);
                    prop_assert_eq!(seen, written.seen_in(layout));
                }
                (Record::Lost(n), Written::Plain(2, words)) => prop_assert_eq!(n, words[1]),
                (Record::LostSamples(n), Written::Plain(13, words)) => prop_assert_eq!(n, words[0]),
                (Record::Throttle, Written::Plain(5, _)) | (Record::Unthrottle, Written::Plain(6, _)) => {}
                (Record::Other(kind), Written::Plain(other, _)) => prop_assert_eq!(kind, *other),
                (read, written) => prop_assert!(false, "{:?} from {:?}", read, written),
            }
        }
    }

    #[test]
    fn hostile_bytes_end(layout in layout(), bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(Records::new(&bytes, layout).count() <= bytes.len() / 8 + 1);
    }

    /// Small records of every kind, whose lengths lead somewhere, so that their bodies are really
    /// reached.
    #[test]
    fn hostile_bodies_end(
        layout in layout(),
        records in proptest::collection::vec((0_u32..16, proptest::collection::vec(any::<u64>(), 0..8)), 0..40),
    ) {
        let bytes: Vec<u8> = records.iter().flat_map(|(kind, words)| record(*kind, words)).collect();
        prop_assert_eq!(Records::new(&bytes, layout).count(), records.len());
    }
}

#[test]
fn markers_are_no_addresses() {
    let kernel_marker = 128_u64.wrapping_neg();
    let chain = vec![kernel_marker, 0xffff_ffff_8100_0000, 0xffff_ffff_c000_0001];
    let bytes = Written::Sample { id: 0, ip: 1, tid: 2, time: 3, period: 4, chain }.encode(ALL);
    let Some(Ok(Record::Sample(sample))) = Records::new(&bytes, ALL).next() else { panic!() };
    assert_eq!(sample.chain().collect::<Vec<_>>(), [0xffff_ffff_8100_0000, 0xffff_ffff_c000_0001]);
}

#[test]
fn the_header_says_whether_it_was_a_guest() {
    let guest = |misc: u16| {
        let mut bytes = record(9, &[1]);
        bytes[4..6].copy_from_slice(&misc.to_ne_bytes());
        let Some(Ok(Record::Sample(sample))) = Records::new(&bytes, SampleLayout::IP).next() else {
            panic!()
        };
        sample.guest
    };
    // Unknown, kernel, user, hypervisor, the guest's kernel and user space.
    assert_eq!([0, 1, 2, 3, 4, 5].map(guest), [false, false, false, false, true, true]);
    // PERF_RECORD_MISC_EXACT_IP is another bit.
    assert_eq!([1, 4].map(|mode| guest(mode | 1 << 14)), [false, true]);
}

#[test]
fn each_malformation_has_its_name_and_the_next_record_is_read() {
    let layout = SampleLayout::TIME.and(SampleLayout::CALLCHAIN);
    let check = |broken: &[u8], expected: &[Result<Record<'_>, RecordError>]| {
        let bytes = [broken, &record(5, &[0; 3])].concat();
        assert_eq!(Records::new(&bytes, layout).collect::<Vec<_>>(), expected);
    };
    let next = Ok(Record::Throttle);
    let chain = RecordError::Chain { offset: 0, frames: 2 };
    check(&record(9, &[0, 2, 7]), &[Err(chain), next]);
    let sample = RecordError::Short { offset: 0, kind: 9, length: 16 };
    check(&record(9, &[0; 1]), &[Err(sample), next]);
    let lost = RecordError::Short { offset: 0, kind: 2, length: 16 };
    check(&record(2, &[1]), &[Err(lost), next]);
    // Lengths that lead nowhere.
    check(&[0; 8], &[Err(RecordError::Length { offset: 0, length: 0 })]);
    let long = RecordError::Truncated { offset: 0, length: 80, left: 40 };
    check(&[0, 0, 0, 0, 0, 0, 80, 0], &[Err(long)]);
}
