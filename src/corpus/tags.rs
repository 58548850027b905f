//! The entries of the directories of a TIFF. Source: TIFF 6.0, and BigTIFF as libtiff writes it.

use std::io::{self, Read, Seek, SeekFrom};

use super::exif::Order;
use super::window::Window;

/// All entries of one directory, for whoever decodes its page.
#[derive(Clone, Debug)]
pub struct Tags {
    layout: Layout,
    entries: Vec<Entry>,
}

impl Tags {
    /// Reads the directory at `directory`; `None` if there is none.
    ///
    /// # Errors
    /// The source's own.
    pub fn read<R: Read + Seek>(source: &mut R, directory: u64) -> io::Result<Option<Self>> {
        source.seek(SeekFrom::Start(0))?;
        let mut window = Window::open(source)?;
        let Some(layout) = layout(window.first()) else { return Ok(None) };
        let Some((count, first)) = entries(&mut window, layout, directory)? else { return Ok(None) };
        let length = if layout.is_big { 20 } else { 12 };
        let mut found = Vec::new();
        for n in 0..count {
            let Some(entry) = entry(&mut window, layout, first + length * n)? else { return Ok(None) };
            found.push(entry);
        }
        Ok(Some(Self { layout, entries: found }))
    }

    /// Whether the numbers of the file have their highest byte first.
    #[must_use]
    pub fn is_big_endian(&self) -> bool {
        matches!(self.layout.order, Order::Big)
    }

    /// The whole numbers of a tag, of which there may be `most`; none if it is missing, broken or has more.
    ///
    /// # Errors
    /// The source's own.
    pub fn numbers<R: Read + Seek>(&self, source: &mut R, tag: u16, most: u64) -> io::Result<Vec<u64>> {
        let Some(entry) = self.entries.iter().find(|entry| entry.tag == tag && entry.count <= most) else {
            return Ok(Vec::new());
        };
        source.seek(SeekFrom::Start(0))?;
        let mut window = Window::open(source)?;
        let mut found = Vec::new();
        for n in 0..entry.count {
            let Some(number) = value(&mut window, self.layout, *entry, n)? else { return Ok(Vec::new()) };
            found.push(number);
        }
        Ok(found)
    }
}

/// What the first bytes say about all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) order: Order,
    pub(super) is_big: bool,
    pub(super) first: u64,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) tag: u16,
    kind: u16,
    pub(super) count: u64,
    /// Where its values lie, which may be the entry itself.
    at: u64,
}

pub(super) fn layout(first: &[u8]) -> Option<Layout> {
    let eight: [u8; 8] = first.get(..8)?.try_into().ok()?;
    let [a, b, c, d, rest @ ..] = eight;
    let order = match [a, b] {
        [b'I', b'I'] => Order::Little,
        [b'M', b'M'] => Order::Big,
        _ => return None,
    };
    match order.short([c, d]) {
        42 => Some(Layout { order, is_big: false, first: order.long(rest).into() }),
        43 => Some(Layout { order, is_big: true, first: order.long8(first.get(8..16)?.try_into().ok()?) }),
        _ => None,
    }
}

/// How many entries the directory at `at` has, and where the first lies.
pub(super) fn entries<R: Read + Seek>(
    window: &mut Window<'_, R>,
    layout: Layout,
    at: u64,
) -> io::Result<Option<(u64, u64)>> {
    let length = if layout.is_big { 8 } else { 2 };
    let count = number(window, layout.order, at, length)?;
    // What does not fit into the classic format is no directory in the big one either.
    Ok(count.filter(|count| *count <= u16::MAX.into()).and_then(|count| Some((count, at.checked_add(length)?))))
}

pub(super) fn entry<R: Read + Seek>(window: &mut Window<'_, R>, layout: Layout, at: u64) -> io::Result<Option<Entry>> {
    let Some([t, u, k, l]) = window.bytes::<4>(at)? else { return Ok(None) };
    let (length, values) = if layout.is_big { (8, at + 12) } else { (4, at + 8) };
    let Some(count) = number(window, layout.order, at + 4, length)? else { return Ok(None) };
    let kind = layout.order.short([k, l]);
    let is_inside = count.checked_mul(size(kind)).is_some_and(|bytes| bytes <= length);
    let place = if is_inside { Some(values) } else { number(window, layout.order, values, length)? };
    Ok(place.map(|at| Entry { tag: layout.order.short([t, u]), kind, count, at }))
}

/// The `n`-th value of an entry, from 0; `None` if it has fewer, or is no whole number.
pub(super) fn value<R: Read + Seek>(
    window: &mut Window<'_, R>,
    layout: Layout,
    entry: Entry,
    n: u64,
) -> io::Result<Option<u64>> {
    let size = size(entry.kind);
    // Bytes without a meaning are numbers too, for tables that are kept in them.
    let is_whole = matches!(entry.kind, 1 | 3 | 4 | 7 | 13 | 16 | 18);
    if n >= entry.count || !is_whole {
        return Ok(None);
    }
    match n.checked_mul(size).and_then(|bytes| entry.at.checked_add(bytes)) {
        Some(at) => number(window, layout.order, at, size),
        None => Ok(None),
    }
}

/// Bytes of a value of a type; 0 for types that are not known.
fn size(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

pub(super) fn number<R: Read + Seek>(
    window: &mut Window<'_, R>,
    order: Order,
    at: u64,
    size: u64,
) -> io::Result<Option<u64>> {
    Ok(match size {
        1 => window.bytes::<1>(at)?.map(|[byte]| byte.into()),
        2 => window.bytes(at)?.map(|bytes| order.short(bytes).into()),
        4 => window.bytes(at)?.map(|bytes| order.long(bytes).into()),
        8 => window.bytes(at)?.map(|bytes| order.long8(bytes)),
        _ => None,
    })
}
