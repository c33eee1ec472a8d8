//! What one transaction did, packed: four bytes for most events, since every attempt makes two.
//!
//! An entry is a tag, then numbers of seven bits a byte, the lowest first. An id stands as its distance from the one
//! before in the same row. Tags are part of the file's format: never given to anything else.

use crate::model::{EventKind, Id, Reason, Status};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// An attempt was claimed.
    Claimed { id: Id, number: u32 },
    /// A claim was not used.
    GivenBack { id: Id, number: u32 },
    /// An attempt ended; number 0 is a notification that could not even be read.
    Settled { id: Id, number: u32, status: Status },
    /// Somebody, or time, did something to one that waited.
    Steered { id: Id, kind: EventKind },
    /// Something was added to what is known of it, or of [`MANY`]; no event.
    Noted { id: Id },
    /// Something happened to a whole channel.
    Channel { channel: String, kind: EventKind, reason: Option<Reason>, detail: String },
}

/// No notification has it: stands for very many.
pub(super) const MANY: Id = 0;

const CLAIMED: u8 = 0;
const GIVEN_BACK: u8 = 1;
const SETTLED: &[(u8, Status)] =
    &[(8, Status::Pending), (9, Status::Held), (10, Status::Sent), (11, Status::Dead), (12, Status::Expired)];
const STEERED: &[(u8, EventKind)] = &[
    (16, EventKind::Held),
    (17, EventKind::Released),
    (18, EventKind::Cancelled),
    (19, EventKind::Requeued),
    (20, EventKind::Expired),
];
const CHANNEL: &[(u8, EventKind)] =
    &[(24, EventKind::Held), (25, EventKind::Released), (26, EventKind::Alert)];

const NOTED: u8 = 32;

/// The first of a pair whose second is `wanted`.
fn tag<T: PartialEq>(table: &[(u8, T)], wanted: &T) -> u8 {
    table.iter().find(|(_, one)| one == wanted).expect("only what has a tag is told").0
}

fn named<T: Copy>(table: &[(u8, T)], wanted: u8) -> Option<T> {
    table.iter().find(|(tag, _)| *tag == wanted).map(|(_, one)| *one)
}

impl Entry {
    /// The notification that it is about; `None` for a whole channel.
    pub(super) fn id(&self) -> Option<Id> {
        match self {
            Self::Claimed { id, .. }
            | Self::GivenBack { id, .. }
            | Self::Settled { id, .. }
            | Self::Steered { id, .. }
            | Self::Noted { id } => Some(*id),
            Self::Channel { .. } => None,
        }
    }
}

/// Entries of one row, as they are written.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
    last: Id,
}

impl Packed {
    pub(super) fn push(&mut self, entry: &Entry) {
        match entry {
            Entry::Claimed { id, number } => self.numbered(CLAIMED, *id, *number),
            Entry::GivenBack { id, number } => self.numbered(GIVEN_BACK, *id, *number),
            Entry::Settled { id, number, status } => self.numbered(tag(SETTLED, status), *id, *number),
            Entry::Steered { id, kind } => self.about(tag(STEERED, kind), *id),
            Entry::Noted { id } => self.about(NOTED, *id),
            Entry::Channel { channel, kind, reason, detail } => {
                self.bytes.push(tag(CHANNEL, kind));
                for text in [channel.as_str(), reason.map_or("", Reason::as_str), detail] {
                    self.number(text.len() as u64);
                    self.bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        self.count += 1;
    }

    fn numbered(&mut self, tag: u8, id: Id, number: u32) {
        self.about(tag, id);
        self.number(u64::from(number));
    }

    fn about(&mut self, tag: u8, id: Id) {
        self.bytes.push(tag);
        let distance = id.wrapping_sub(self.last);
        self.last = id;
        // Small in either direction is few bytes: the sign goes last.
        self.number(((distance << 1) ^ (distance >> 63)).cast_unsigned());
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// Reads entries back; `None` where the bytes are not ours.
pub(super) struct Unpacked<'a> {
    bytes: &'a [u8],
    last: Id,
}

/// All of a row's entries; `None` unless they are `count` and nothing else.
pub(super) fn unpack(bytes: &[u8], count: i64) -> Option<Vec<Entry>> {
    let mut rest = Unpacked { bytes, last: 0 };
    let mut entries = Vec::new();
    while !rest.bytes.is_empty() {
        entries.push(rest.next()?);
    }
    (i64::try_from(entries.len()) == Ok(count)).then_some(entries)
}

impl Unpacked<'_> {
    fn next(&mut self) -> Option<Entry> {
        let tag = self.byte()?;
        if let Some(status) = named(SETTLED, tag) {
            return Some(Entry::Settled { id: self.id()?, number: self.small()?, status });
        }
        if let Some(kind) = named(STEERED, tag) {
            return Some(Entry::Steered { id: self.id()?, kind });
        }
        Some(match tag {
            CLAIMED => Entry::Claimed { id: self.id()?, number: self.small()? },
            GIVEN_BACK => Entry::GivenBack { id: self.id()?, number: self.small()? },
            NOTED => Entry::Noted { id: self.id()? },
            _ => {
                let kind = named(CHANNEL, tag)?;
                let (channel, reason, detail) = (self.text()?, self.text()?, self.text()?);
                let reason = if reason.is_empty() { None } else { Some(reason.parse().ok()?) };
                Entry::Channel { channel, kind, reason, detail }
            }
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn id(&mut self) -> Option<Id> {
        let number = self.number()?;
        let distance = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        self.last = self.last.wrapping_add(distance);
        Some(self.last)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Entry> {
        let mut all = vec![
            Entry::Claimed { id: 500, number: 1 },
            Entry::GivenBack { id: 3, number: u32::MAX },
            Entry::Claimed { id: Id::MAX, number: 0 },
            Entry::Claimed { id: Id::MIN, number: 300 },
            Entry::Noted { id: 12 },
        ];
        all.extend(SETTLED.iter().map(|&(_, status)| Entry::Settled { id: 7, number: 2, status }));
        all.extend(STEERED.iter().map(|&(_, kind)| Entry::Steered { id: 8, kind }));
        all.extend(CHANNEL.iter().map(|&(_, kind)| Entry::Channel {
            channel: "größer".into(),
            kind,
            reason: Some(Reason::Tls),
            detail: "x".repeat(200),
        }));
        all
    }

    #[test]
    fn what_was_packed_is_read_back() {
        let mut packed = Packed::default();
        all().iter().for_each(|entry| packed.push(entry));
        assert_eq!(unpack(&packed.bytes, i64::from(packed.count)), Some(all()));
    }

    #[test]
    fn a_row_that_is_cut_or_strange_is_refused_and_stops_nothing() {
        let mut packed = Packed::default();
        all().iter().for_each(|entry| packed.push(entry));
        for length in 0..packed.bytes.len() {
            assert_eq!(unpack(&packed.bytes[..length], i64::from(packed.count)), None, "{length}");
        }
        for byte in 0..=u8::MAX {
            let _ = unpack(&[byte; 40], 1);
        }
    }

    #[test]
    fn an_attempt_in_a_run_takes_three_bytes() {
        let mut packed = Packed::default();
        (1..=100).for_each(|id| packed.push(&Entry::Claimed { id: 1_000_000 + id, number: 1 }));
        assert!(packed.bytes.len() <= 305, "{}", packed.bytes.len());
    }
}
