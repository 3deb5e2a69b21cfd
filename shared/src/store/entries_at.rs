//! Which entries of one history count at several moments.
//!
//! The history is read backwards, one look after the other. A look takes as many entries as there are moments
//! left: where entries are as rare as moments or rarer, one look answers everything. Where entries are more
//! frequent, the look tells how many of them lie between two moments. As long as it is cheaper to read those
//! than to seek the entry of each moment, the next look takes as many as are left at that rate; otherwise
//! each look is a seek, which costs one read unit.

use super::attributes::entry_from_text;
use super::item_page::{PageItem, query_page};
use super::row::Row;
use super::{Store, StoreError};
use crate::config::Table;
use crate::domain::{AccountId, Moments};
use std::ops::Range;

/// Entries that one read unit pays for, 4 KB of them.
const ENTRIES_PER_UNIT: usize = 16;
/// The same of a custody account's snapshots. Each holds all of the account's positions.
const SNAPSHOTS_PER_UNIT: usize = 4;
/// Entries of the first look where some may have been recorded too late to be known.
const FIRST_KNOWN_LOOK: usize = 4;
/// A look that found nothing known is followed by one that is so many times longer.
const LOOK_FACTOR: usize = 4;
/// The longest look: about the 1 MB that DynamoDB answers at once.
const LONGEST_LOOK: usize = 5_000;

/// An entry and the moments at which it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountedEntry<T> {
    /// The places of the moments.
    pub(super) places: Range<usize>,
    /// The entry.
    pub(super) entry: T,
}

/// The kind of entries that a history has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// An account's states.
    State,
    /// A custody account's snapshots.
    Snapshot,
}

impl EntryKind {
    const fn per_unit(self) -> usize {
        match self {
            Self::State => ENTRIES_PER_UNIT,
            Self::Snapshot => SNAPSHOTS_PER_UNIT,
        }
    }

    /// How many entries the next look takes: the last one took `taken` and answered `answered` moments, and
    /// `left` are left.
    fn next_look(self, look: usize, taken: usize, answered: usize, left: usize) -> usize {
        if answered == 0 {
            return look.saturating_mul(LOOK_FACTOR).min(LONGEST_LOOK);
        }
        // A seek answers its own moment too, however dense the entries are.
        let on_the_way = answered - 1;
        let needed = taken.saturating_mul(left).checked_div(on_the_way);
        match needed {
            Some(needed) if needed <= left.saturating_mul(self.per_unit()) => needed.clamp(1, LONGEST_LOOK),
            _ => self.per_unit().min(left),
        }
    }
}

impl Store {
    /// The entries that count at the moments, the latest first. A moment before every entry has none.
    pub(super) async fn entries_at<T: Send + 'static>(
        &self,
        id: AccountId,
        moments: &Moments,
        kind: EntryKind,
        read: fn(&PageItem<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<CountedEntry<T>>, StoreError> {
        let mut counted = Vec::new();
        let mut left = moments.len();
        let is_all_known = moments.get(0).is_none_or(|moment| moment.known_at.is_none());
        let mut look = if is_all_known { left } else { left.max(FIRST_KNOWN_LOOK) }.min(LONGEST_LOOK);
        let mut start = None;
        while let Some(moment) = left.checked_sub(1).and_then(|place| moments.get(place)) {
            let query = self
                .entries_until(id, moment.latest())
                .scan_index_forward(false)
                .limit(i32::try_from(look).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let read_entry = move |item: &PageItem<'_>| {
                let row = Row { table: Table::History, item };
                Ok((row.parsed("entry", entry_from_text)?, row.instant("recorded_at")?, read(item)?))
            };
            let (entries, last_key) = query_page(query, read_entry).await?;
            let (taken, left_before) = (entries.len(), left);
            let mut oldest = None;
            for entry in entries {
                let (key, recorded_at, entry) = entry?;
                oldest = Some(key.balance_at);
                let first = moments.place_from(key.balance_at);
                if first < left && moment.knows(recorded_at) {
                    counted.push(CountedEntry { places: first..left, entry });
                    left = first;
                }
            }
            if last_key.is_none() {
                break;
            }
            look = kind.next_look(look, taken, left_before - left, left);
            let next = left.checked_sub(1).and_then(|place| moments.get(place));
            // Entries between the last one that was read and the next moment count at no moment.
            let is_seek = next.zip(oldest).is_some_and(|(next, oldest)| next.latest() < oldest);
            start = last_key.filter(|_| !is_seek);
        }
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_is_as_long_as_entries_are_rare() {
        use EntryKind::{Snapshot, State};
        struct Row {
            name: &'static str,
            kind: EntryKind,
            look: usize,
            taken: usize,
            answered: usize,
            left: usize,
            next: usize,
        }
        let row = |name, kind, [look, taken, answered, left, next]: [usize; 5]| Row {
            name,
            kind,
            look,
            taken,
            answered,
            left,
            next,
        };
        let rows = [
            row("two entries for a moment", State, [100, 100, 51, 40, 80]),
            row("sixteen entries for a moment are as dear as seeks", State, [160, 160, 11, 40, 640]),
            row("seventeen are dearer", State, [170, 170, 11, 40, 16]),
            row("of snapshots four are", Snapshot, [40, 40, 11, 40, 160]),
            row("of snapshots five are dearer", Snapshot, [50, 50, 11, 40, 4]),
            row("a seek that answered its own moment alone", State, [16, 16, 1, 40, 16]),
            row("a seek reads no more than there are moments", State, [16, 16, 1, 3, 3]),
            row("nothing was known", State, [4, 4, 0, 40, 16]),
            row("no look is longer than a page", State, [5_000, 5_000, 0, 40, 5_000]),
            row("nor is a long way to go", State, [400, 400, 30, 390, 5_000]),
        ];
        for Row { name, kind, look, taken, answered, left, next } in rows {
            assert_eq!(kind.next_look(look, taken, answered, left), next, "{name}");
        }
    }
}
