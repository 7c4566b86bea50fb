//! Written items that wait to be sent. How many and how large they may be together is bounded.

use std::collections::VecDeque;

/// One written item.
pub(super) type Item = Box<[u8]>;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    most_items: usize,
}

impl Queue {
    /// All items together, in bytes.
    pub(super) const MOST_BYTES: usize = 1 << 20;
    /// From this size on a batch is as good as full.
    const FULL_BYTES: usize = Self::MOST_BYTES / 2;

    pub(super) fn new(most_items: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, most_items }
    }

    /// False when there is no room: the item is dropped.
    #[must_use]
    pub(super) fn push(&mut self, item: Item) -> bool {
        let fits = self.has_room_for(&item);
        if fits {
            self.bytes += item.len();
            self.items.push_back(item);
        }
        fits
    }

    /// Takes up to `most` items that came first, at least one if there is any.
    pub(super) fn take(&mut self, most: usize) -> Vec<Item> {
        let count = most.max(1).min(self.items.len());
        let taken: Vec<_> = self.items.drain(..count).collect();
        self.bytes -= taken.iter().map(|item| item.len()).sum::<usize>();
        if self.items.is_empty() {
            // After a rush, the room it took is given back.
            self.items.shrink_to(64);
        }
        taken
    }

    /// Puts back in front what was taken, as far as there is room: what came last is kept. Tells how many were dropped.
    #[must_use]
    pub(super) fn put_back(&mut self, mut taken: Vec<Item>) -> usize {
        while let Some(item) = taken.pop_if(|item| self.has_room_for(item)) {
            self.bytes += item.len();
            self.items.push_front(item);
        }
        taken.len()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is a full batch.
    pub(super) fn fills(&self, batch_items: usize) -> bool {
        self.items.len() >= batch_items || self.bytes >= Self::FULL_BYTES
    }

    fn has_room_for(&self, item: &Item) -> bool {
        self.items.len() < self.most_items && self.bytes + item.len() <= Self::MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(length: usize) -> Item {
        vec![0; length].into()
    }

    #[test]
    fn there_is_room_for_so_many_items_and_so_many_bytes() {
        let mut queue = Queue::new(2);
        assert!(queue.push(item(1)) && queue.push(item(2)) && !queue.push(item(3)));
        assert_eq!((queue.len(), queue.bytes()), (2, 3));
        let mut queue = Queue::new(10);
        assert!(queue.push(item(Queue::MOST_BYTES - 1)) && queue.fills(10));
        assert!(!queue.push(item(2)) && queue.push(item(1)));
    }

    #[test]
    fn what_is_put_back_is_first_again() {
        let mut queue = Queue::new(4);
        for length in 1..=4 {
            assert!(queue.push(item(length)));
        }
        let taken = queue.take(3);
        assert_eq!((queue.len(), queue.bytes()), (1, 4));
        assert!(queue.push(item(5)));
        assert_eq!(queue.put_back(taken), 1, "there is room for two of three");
        let lengths: Vec<_> = queue.take(9).iter().map(|item| item.len()).collect();
        assert_eq!(lengths, [2, 3, 4, 5]);
        assert_eq!((queue.bytes(), queue.take(1).len()), (0, 0));
    }
}
