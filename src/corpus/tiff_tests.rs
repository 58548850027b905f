use super::*;
use crate::corpus::exif::Order;
use proptest::prelude::*;
use std::io::Cursor;

/// A file under construction: directories one behind the other, in either order, classic or big.
struct Made {
    order: Order,
    is_big: bool,
    bytes: Vec<u8>,
    /// Where the pointer to the next directory is to be written.
    pointer: usize,
}

impl Made {
    fn new(order: Order, is_big: bool) -> Self {
        let mut made = Self { order, is_big, bytes: Vec::new(), pointer: 4 };
        made.bytes.extend(if matches!(order, Order::Little) { b"II" } else { b"MM" });
        made.put(2, if is_big { 43 } else { 42 });
        if is_big {
            made.put(2, 8);
            made.put(2, 0);
            made.pointer = 8;
        }
        made.put(made.wide(), 0);
        made
    }

    fn wide(&self) -> usize {
        if self.is_big { 8 } else { 4 }
    }

    fn number(&self, size: usize, number: u64) -> Vec<u8> {
        let bytes = number.to_be_bytes()[8 - size..].to_vec();
        if matches!(self.order, Order::Little) { bytes.into_iter().rev().collect() } else { bytes }
    }

    fn put(&mut self, size: usize, number: u64) {
        let bytes = self.number(size, number);
        self.bytes.extend(bytes);
    }

    fn point(&mut self, to: u64) {
        let bytes = self.number(self.wide(), to);
        self.bytes[self.pointer..self.pointer + bytes.len()].copy_from_slice(&bytes);
    }

    /// A directory of entries: tag and a single value of 32 bits.
    fn directory(mut self, entries: &[(u16, u32)]) -> Self {
        let here = self.bytes.len() as u64;
        self.point(here);
        self.put(if self.is_big { 8 } else { 2 }, entries.len() as u64);
        for (tag, value) in entries {
            self.put(2, (*tag).into());
            self.put(2, 4);
            self.put(self.wide(), 1);
            self.put(4, (*value).into());
            if self.is_big {
                self.put(4, 0);
            }
        }
        self.pointer = self.bytes.len();
        self.put(self.wide(), 0);
        self
    }

    fn chain(&self) -> Chain {
        read(&self.bytes)
    }
}

fn read(bytes: &[u8]) -> Chain {
    let mut source = Cursor::new(bytes);
    let mut window = Window::open(&mut source).expect("a slice has no errors");
    chain(&mut window, bytes.len() as u64).expect("a slice has no errors").expect("a TIFF")
}

fn sizes(chain: &Chain) -> Vec<(u32, u32, u8)> {
    let Chain::Pages(pages) = chain else { panic!("{chain:?}") };
    let size = |page: &Page| {
        let upright = page.turn.upright(page.stored);
        (upright.width, upright.height, page.turn.exif())
    };
    pages.iter().map(size).collect()
}

#[test]
fn pages_are_counted_in_every_layout_and_thumbnails_and_masks_are_none() {
    for (order, is_big) in [(Order::Little, false), (Order::Big, false), (Order::Little, true), (Order::Big, true)] {
        let made = Made::new(order, is_big)
            .directory(&[(256, 30), (257, 40), (274, 6)])
            .directory(&[(254, 1), (256, 3), (257, 4)])
            .directory(&[(254, 4), (256, 30), (257, 40)])
            .directory(&[(255, 2), (256, 3), (257, 4)])
            .directory(&[(254, 2), (256, 50), (257, 60), (274, 9), (330, 8)]);
        assert_eq!(sizes(&made.chain()), [(40, 30, 6), (50, 60, 1)], "{order:?}, big: {is_big}");
    }
}

#[test]
fn a_chain_that_cannot_be_true_is_damaged() {
    let made = || Made::new(Order::Little, false).directory(&[(256, 30), (257, 40)]);
    let mut looped = made().directory(&[(256, 30), (257, 40)]);
    looped.point(8);
    assert_eq!(looped.chain(), Chain::Damaged, "a loop");
    let mut far = made();
    far.point(1_000_000);
    assert_eq!(far.chain(), Chain::Damaged, "behind the end");
    let mut none = made();
    none.pointer = 4;
    none.point(0);
    assert_eq!(none.chain(), Chain::Damaged, "no directory");
    assert_eq!(Made::new(Order::Big, false).directory(&[(256, 0), (257, 40)]).chain(), Chain::Damaged, "no width");
    assert_eq!(Made::new(Order::Big, false).directory(&[(256, 30)]).chain(), Chain::Damaged, "no height");
    assert_eq!(made().directory(&[(257, 1)]).chain(), Chain::Damaged, "a second page without width");
    let thumbnail = Made::new(Order::Big, true).directory(&[(254, 1), (256, 3), (257, 4)]);
    assert_eq!(thumbnail.chain(), Chain::Unsupported("TIFF of thumbnails"));
    let whole = made();
    for length in (8..whole.bytes.len()).filter(|length| *length != whole.bytes.len() - 4) {
        assert_eq!(read(&whole.bytes[..length]), Chain::Damaged, "cut at {length}");
    }
    assert_eq!(
        sizes(&read(&whole.bytes[..whole.bytes.len() - 4])),
        [(30, 40, 1)],
        "only the word about the next is cut"
    );
}

#[test]
fn pixels_that_lie_behind_the_end_are_missing() {
    let made = |offset, length| {
        let mut made = Made::new(Order::Little, false).directory(&[(256, 30), (257, 40), (273, offset), (279, length)]);
        made.bytes.resize(100 + 50, 0);
        made.chain()
    };
    assert_eq!(sizes(&made(100, 50)), [(30, 40, 1)]);
    assert_eq!(sizes(&made(100, 52)), [(30, 40, 1)], "rounded up");
    assert_eq!(made(100, 100), Chain::Damaged);
    assert_eq!(made(150, 0), Chain::Damaged);
    assert_eq!(made(u32::MAX, u32::MAX), Chain::Damaged);
}

#[test]
fn an_endless_chain_ends() {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.resize(64 << 10, 0xff);
    assert_eq!(read(&bytes), Chain::Damaged);
    let mut many = Made::new(Order::Little, false);
    for _ in 0..=MOST_PAGES {
        many = many.directory(&[(256, 1), (257, 1)]);
    }
    assert_eq!(many.chain(), Chain::Unsupported("TIFF of more than 10,000 pages"));
}

proptest! {
    #[test]
    fn a_page_has_a_size_whatever_is_written_over_it(at in 8usize..150, byte: u8, big: bool) {
        let entries = [(254, 0), (256, 30), (257, 40), (273, 8), (274, 6), (279, 8)];
        let mut made = Made::new(Order::Big, big).directory(&entries).directory(&entries);
        let last = made.bytes.len() - 1;
        made.bytes[at.min(last)] = byte;
        if let Chain::Pages(pages) = made.chain() {
            prop_assert!(pages.iter().all(|page| page.stored.count() > 0));
        }
    }
}
