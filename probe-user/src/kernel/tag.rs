//! The tag in the name of every object of a process, which distinguishes what a killed process left
//! from what belongs to others.
//!
//! A tag is random, since a process id belongs to another process in the next container. Letters
//! and digits alternate, so that no tag is a word or a number: tracetoll 0.1 used its process id.

use std::fmt;

/// The start of the names of all our objects, whatever their kind requires.
pub const PREFIX: &str = "tracetoll";

/// Characters of a tag: as many as leave 5 for the end of an interface's name, `ttTAG-tap12`
/// (IFNAMSIZ is 16, with the final 0).
const LENGTH: usize = 7;

/// Number of tags: four letters, three digits.
const TAGS: u32 = 26_u32.pow(4) * 10_u32.pow(3);

/// A tag, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(u32);

impl Tag {
    /// A random tag that nobody else is likely to have drawn.
    pub fn draw() -> Self {
        Self(rand::random_range(0..TAGS))
    }

    /// Its number, from 0; unique among tags.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Parses a tag.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        text.bytes()
            .enumerate()
            .try_fold(0, |number, (place, byte)| {
                let (first, base) = alphabet(place);
                let digit = u32::from(byte.checked_sub(first)?);
                (digit < base).then_some(number * base + digit)
            })
            .map(Self)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut text = [0; LENGTH];
        for (place, byte) in text.iter_mut().enumerate().rev() {
            let (first, base) = alphabet(place);
            *byte = first + (rest % base) as u8;
            rest /= base;
        }
        text.iter().try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

/// The first character that may be at this place of a tag, and the number of possible characters.
fn alphabet(place: usize) -> (u8, u32) {
    if place.is_multiple_of(2) { (b'a', 26) } else { (b'0', 10) }
}

/// The owner of an object, from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The process that drew this tag.
    Tagged(Tag),
    /// A process of tracetoll 0.1, which had this id in some PID namespace.
    Old(u32),
}

/// The owner of `tracetoll-TAG-NAME` or, for groups of probe events, `tracetoll_TAG`. `None` for
/// any other name: the object is not ours.
pub fn mark_of(name: &str) -> Option<Mark> {
    let mark = match name.strip_prefix("tracetoll-") {
        Some(rest) => rest.split_once('-').filter(|(_, name)| !name.is_empty())?.0,
        None => name.strip_prefix("tracetoll_")?,
    };
    let number = || !mark.starts_with('0') && mark.bytes().all(|byte| byte.is_ascii_digit());
    let old = || mark.parse().ok().filter(|_| number()).map(Mark::Old);
    Tag::parse(mark).map(Mark::Tagged).or_else(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_read_as_it_is_written() {
        for number in [0, 1, 9, 10, 259, 260, 123_456_789, TAGS - 1] {
            let text = Tag(number).to_string();
            assert_eq!((text.len(), Tag::parse(&text)), (LENGTH, Some(Tag(number))), "{text}");
        }
        assert_eq!(Tag(0).to_string(), "a0a0a0a");
        assert_eq!(Tag(TAGS - 1).to_string(), "z9z9z9z");
        assert!((0..100).all(|_| Tag::draw().number() < TAGS));
    }

    #[test]
    fn marks_come_only_from_our_own_names() {
        let tag = Tag::parse("k3f9x2b").unwrap();
        assert_eq!(mark_of("tracetoll-k3f9x2b-function"), Some(Mark::Tagged(tag)));
        assert_eq!(mark_of("tracetoll_k3f9x2b"), Some(Mark::Tagged(tag)));
        assert_eq!(mark_of("tracetoll-41-function"), Some(Mark::Old(41)));
        assert_eq!(mark_of("tracetoll_41"), Some(Mark::Old(41)));
        for other in [
            "tap0",
            "tt2024",
            "ttk3f9x2b-tap0",
            "tracetoll",
            "tracetoll-41",
            "tracetoll-k3f9x2b",
            "tracetoll-k3f9x2b-",
            "tracetoll-results-1",
            "tracetoll-K3F9X2B-a",
            "tracetoll-k3f9x2-a",
            "tracetoll-k3f9x2b1-a",
            "tracetoll_k3f9x2b_x",
            "tracetoll-1234567890123-a",
            "tracetoll-x-1",
            "tracetoll_41_x",
            "tracetoll-041-a",
            "tracetoll_+41",
            "tracetoll-41-",
            "tracetoll-k3f9x2\u{e9}-a",
        ] {
            assert_eq!(mark_of(other), None, "{other}");
        }
    }

    #[test]
    fn interface_names_fit() {
        assert!(format!("tt{}-{}", Tag::draw(), "tap12").len() <= 15);
    }
}
