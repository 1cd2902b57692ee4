//! The items of a target, and values by item.

use std::ops::{Deref, DerefMut};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a method can see of a target: a function, a tracepoint, or the frames. The number is its
/// place among the items of the campaign's target, also in a trial of fewer functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId(pub usize);

impl ItemId {
    /// The first item: the target's first function, if it has some.
    pub const FIRST: Self = Self(0);

    /// This item and those that follow it.
    pub fn onward(self) -> impl Iterator<Item = Self> {
        (self.0..).map(Self)
    }
}

/// A value for each item that was observed, none for the others. In a result, a list in the
/// target's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct PerItem<T>(Vec<Option<T>>);

impl<T> PerItem<T> {
    /// The value of `item`.
    #[inline]
    pub fn get(&self, item: ItemId) -> Option<&T> {
        self.0.get(item.0)?.as_ref()
    }

    /// See [`PerItem::get`].
    #[inline]
    pub fn get_mut(&mut self, item: ItemId) -> Option<&mut T> {
        self.0.get_mut(item.0)?.as_mut()
    }

    /// The value of `item`; from now on it has one.
    #[inline]
    pub fn entry(&mut self, item: ItemId) -> &mut T
    where
        T: Default,
    {
        self.place(item).get_or_insert_default()
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the item was listed just now")]
    fn place(&mut self, item: ItemId) -> &mut Option<T> {
        self.list(item.0.saturating_add(1));
        &mut self.0[item.0]
    }

    /// Lists at least `items` items, also where nobody observed the last ones.
    pub fn list(&mut self, items: usize) {
        if self.0.len() < items {
            self.0.resize_with(items, || None);
        }
    }

    /// Whether no item is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for PerItem<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<Option<T>>> for PerItem<T> {
    /// From a list in the target's order.
    fn from(list: Vec<Option<T>>) -> Self {
        Self(list)
    }
}

impl<T> Extend<(ItemId, T)> for PerItem<T> {
    fn extend<I: IntoIterator<Item = (ItemId, T)>>(&mut self, values: I) {
        values.into_iter().for_each(|(item, value)| *self.place(item) = Some(value));
    }
}

impl<T> FromIterator<(ItemId, T)> for PerItem<T> {
    fn from_iter<I: IntoIterator<Item = (ItemId, T)>>(values: I) -> Self {
        let mut all = Self::default();
        all.extend(values);
        all
    }
}

impl<T> Deref for PerItem<T> {
    type Target = [Option<T>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for PerItem<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_lists_values_in_the_targets_order() {
        let mut counts: PerItem<u64> = [(ItemId(2), 9), (ItemId(0), 7)].into_iter().collect();
        assert_eq!(serde_json::to_string(&counts).unwrap(), "[7,null,9]");
        assert_eq!((counts.get(ItemId(2)), counts.get(ItemId(1))), (Some(&9), None));
        assert_eq!(counts.get_mut(ItemId(3)), None);
        counts.list(4);
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(text, "[7,null,9,null]");
        assert_eq!(serde_json::from_str::<PerItem<u64>>(&text).unwrap(), counts);
    }
}
