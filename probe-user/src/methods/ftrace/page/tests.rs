use proptest::prelude::*;

use super::*;

const HEADER_PAGE: &str = "\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
";
const HEADER_EVENT: &str = "\
# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
";

fn layout() -> PageLayout {
    PageLayout::parse(HEADER_PAGE, HEADER_EVENT).unwrap()
}

/// Everything that the kernel's writer can put on a page.
#[derive(Debug, Clone)]
enum Entry {
    Data { delta: u32, words: Vec<u32> },
    Discarded { delta: u32, words: usize },
    TimeExtend(u64),
    TimeStamp(u64),
}

fn head(type_len: u32, delta: u32) -> [u8; 4] {
    (type_len | delta << 5).to_le_bytes()
}

fn stamp(type_len: u32, time: u64) -> Vec<u8> {
    let low = u32::try_from(time & ((1 << 27) - 1)).unwrap();
    let high = u32::try_from(time >> 27).unwrap();
    [head(type_len, low), high.to_le_bytes()].concat()
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Data { delta, words } => {
                let payload = words.iter().flat_map(|word| word.to_le_bytes());
                let count = u32::try_from(words.len()).unwrap();
                let mut bytes = match count {
                    1..=28 => head(count, *delta).to_vec(),
                    _ => [head(0, *delta), (count * 4 + 4).to_le_bytes()].concat(),
                };
                bytes.extend(payload);
                bytes
            }
            Self::Discarded { delta, words } => {
                let length = u32::try_from(words * 4 + 4).unwrap();
                let mut bytes = [head(29, *delta), length.to_le_bytes()].concat();
                bytes.resize(8 + words * 4, 0xee);
                bytes
            }
            Self::TimeExtend(delta) => stamp(30, *delta),
            Self::TimeStamp(at) => stamp(31, *at),
        }
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let delta = 0_u32..1 << 27;
    let entry = prop_oneof![
        8 => (delta, proptest::collection::vec(any::<u32>(), 0..40))
            .prop_map(|(delta, words)| Entry::Data { delta, words }),
        1 => (1_u32..1 << 27, 0_usize..20).prop_map(|(delta, words)| Entry::Discarded { delta, words }),
        1 => (0_u64..1 << 59).prop_map(Entry::TimeExtend),
        1 => (0_u64..1 << 59).prop_map(Entry::TimeStamp),
    ];
    proptest::collection::vec(entry, 0..20)
}

fn page_with(timestamp: u64, flags: u32, events: &[u8], behind: &[u8]) -> Vec<u8> {
    let commit = u64::from(u32::try_from(events.len()).unwrap() | flags);
    let mut page = [&timestamp.to_le_bytes()[..], &commit.to_le_bytes(), events, behind].concat();
    page.resize(4096.max(page.len()), 0);
    page
}

fn decode(page: &[u8]) -> Vec<Result<(u64, Vec<u8>), PageError>> {
    let events = layout().open(page).unwrap().events();
    events.map(|event| event.map(|event| (event.at, event.payload.to_vec()))).collect()
}

proptest! {
    #[test]
    fn what_the_kernel_writes_is_read_back(start in 0_u64..1 << 58, entries in entries()) {
        let mut at = start;
        let mut expected = Vec::new();
        for entry in &entries {
            match entry {
                Entry::Data { delta, words } => {
                    at += u64::from(*delta);
                    let payload = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                    expected.push(Ok((at, payload)));
                }
                Entry::Discarded { delta, .. } => at += u64::from(*delta),
                Entry::TimeExtend(delta) => at += delta,
                // Below 2^59 no upper bits are corrected: see their own test.
                Entry::TimeStamp(stamp) => at = if at >> 59 == 0 { *stamp } else { absolute(*stamp, at) },
            }
        }
        let bytes: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        prop_assume!(bytes.len() <= 4080);
        prop_assert_eq!(decode(&page_with(start, 0, &bytes, &[])), expected);
    }

    #[test]
    fn a_cut_page_gives_the_events_before_the_cut(entries in entries(), cut in any::<prop::sample::Index>()) {
        let bytes: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        prop_assume!(bytes.len() <= 4080);
        let whole = decode(&page_with(1, 0, &bytes, &[]));
        let cut = decode(&page_with(1, 0, &bytes[..cut.index(bytes.len() + 1)], &[]));
        let good = cut.iter().take_while(|event| event.is_ok()).count();
        prop_assert_eq!(&cut[..good], &whole[..good]);
        prop_assert!(cut.len() - good <= 1);
    }

    #[test]
    fn hostile_bytes_end_in_at_most_one_error(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        if let Ok(page) = layout().open(&bytes) {
            let events: Vec<_> = page.events().collect();
            prop_assert!(events.len() <= bytes.len() / 4 + 1);
            let errors = events.iter().filter(|event| event.is_err()).count();
            prop_assert!(errors == 0 || errors == 1 && events.last().unwrap().is_err());
        }
    }

    /// As above, but with a valid header, so that the events are reached.
    #[test]
    fn hostile_events_end_in_at_most_one_error(words in proptest::collection::vec(any::<u32>(), 0..1020)) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let events = decode(&page_with(0, 0, &bytes, &[]));
        prop_assert!(events.len() <= words.len() + 1);
        let errors = events.iter().filter(|event| event.is_err()).count();
        prop_assert!(errors == 0 || errors == 1 && events.last().unwrap().is_err());
    }
}

#[test]
fn the_layout_comes_from_the_kernels_text() {
    assert_eq!(layout().page_size(), 4096);
    // Sub-buffers can be larger than a page since 6.8.
    let large = HEADER_PAGE.replace("4080", "16368");
    assert_eq!(PageLayout::parse(&large, HEADER_EVENT).unwrap().page_size(), 16384);
    // A 32-bit kernel.
    let small = HEADER_PAGE
        .replace("commit;\toffset:8;\tsize:8", "commit;\toffset:8;\tsize:4")
        .replace("offset:16", "offset:12");
    let layout = PageLayout::parse(&small, HEADER_EVENT).unwrap();
    let page =
        [&7_u64.to_le_bytes()[..], &8_u32.to_le_bytes(), &head(1, 3), &[1, 2, 3, 4]].concat();
    let event = layout.open(&page).unwrap().events().next().unwrap().unwrap();
    assert_eq!((event.at, event.payload), (10, &[1, 2, 3, 4][..]));
    assert_eq!(PageLayout::parse("", HEADER_EVENT), Err(FormatError::Missing("data")));
    let overlapping = HEADER_PAGE.replace("offset:16", "offset:8");
    assert!(PageLayout::parse(&overlapping, HEADER_EVENT).is_err());
}

#[test]
fn missed_events_are_counted_where_the_page_has_room() {
    let event = Entry::Data { delta: 1, words: vec![9] }.encode();
    let missed =
        |flags, behind: &[u8]| layout().open(&page_with(0, flags, &event, behind)).unwrap().missed;
    assert_eq!(missed(0, &[]), Missed::None);
    assert_eq!(missed(1 << 31, &5_u64.to_le_bytes()), Missed::Some);
    assert_eq!(missed(3 << 30, &5_u64.to_le_bytes()), Missed::Counted(5));
    // A full page that claims a stored count.
    let full = page_with(0, 3 << 30, &[0; 4080], &[]);
    assert_eq!(layout().open(&full), Err(PageError::MissedCount { commit: 4080 }));
}

#[test]
fn each_malformation_has_its_name() {
    assert_eq!(layout().open(&[0; 15]), Err(PageError::ShortPage(15)));
    let too_much = page_with(0, 0, &[0; 4084], &[]);
    assert_eq!(layout().open(&too_much), Err(PageError::Commit { commit: 4084, available: 4080 }));
    let good = Entry::Data { delta: 2, words: vec![1] }.encode();
    let after_good =
        |bytes: &[u8]| decode(&page_with(0, 0, &[&good[..], bytes].concat(), &[])).pop();
    assert_eq!(
        after_good(&head(3, 0)),
        Some(Err(PageError::Truncated { offset: 8, needed: 16, left: 4 }))
    );
    assert_eq!(
        after_good(&[1, 2]),
        Some(Err(PageError::Truncated { offset: 8, needed: 4, left: 2 }))
    );
    assert_eq!(
        after_good(&head(30, 0)),
        Some(Err(PageError::Truncated { offset: 8, needed: 8, left: 4 }))
    );
    for length in [0_u32, 3, 6] {
        let long = [head(0, 0), length.to_le_bytes()].concat();
        assert_eq!(after_good(&long), Some(Err(PageError::Length { offset: 8, length })));
    }
    // Padding without a delta ends the page, whatever follows it.
    assert_eq!(after_good(&[head(29, 0), [0xff; 4]].concat()), Some(Ok((2, vec![1, 0, 0, 0]))));
}

#[test]
fn absolute_time_stamps_keep_the_upper_bits_of_the_time_before() {
    assert_eq!(absolute(5, 3), 5);
    assert_eq!(absolute(5, 2 << 59 | 3), 2 << 59 | 5);
    // The lower 59 bits have wrapped around.
    assert_eq!(absolute(5, 2 << 59 | 9), 3 << 59 | 5);
    // A clock that was set back: nothing to correct below 2^59.
    assert_eq!(absolute(5, 9), 5);
}
