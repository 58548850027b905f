use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use image::{ImageFormat, Luma, Rgb, Rgba};
use proptest::prelude::*;

use super::*;
use crate::domain::sight::Sight;

const HOW: Preparation =
    Preparation { longest_side: 0, jpeg_quality: 90, reencode: Reencode::WhenNeeded, percent: 100, fit: None };
const ORDER: Order = Order { page: 1, how: HOW, max_pixels: 100_000_000, max_bytes: 20_000_000 };

fn within(longest_side: u32) -> Order {
    Order { how: Preparation { longest_side, ..HOW }, ..ORDER }
}

fn made(bytes: &[u8], order: Order) -> Result<Prepared, Unpreparable> {
    prepare(Cursor::new(bytes), &order)
}

/// The prepared image, decoded again.
fn seen(prepared: &Prepared) -> DynamicImage {
    let format = if prepared.format == Format::Png { ImageFormat::Png } else { ImageFormat::Jpeg };
    let image = image::load_from_memory_with_format(&prepared.bytes, format).expect("a sound image");
    assert_eq!((image.width(), image.height()), (prepared.pixels.width, prepared.pixels.height));
    image
}

/// A TIFF of one page: its entries as tag, type and value of 32 bits, its pixels, and tables that entries point to, which lie from
/// byte 1024 on.
fn tiff(entries: &[(u16, u16, u32, u32)], pixels: &[u8], tables: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let length = u32::try_from(pixels.len()).expect("short");
    let mut all = entries.to_vec();
    all.extend([(273, 4, 1, 512), (279, 4, 1, length)]);
    all.sort_unstable();
    bytes.extend(u16::try_from(all.len()).expect("few").to_le_bytes());
    for (tag, kind, count, value) in all {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.resize(512, 0);
    bytes.extend(pixels);
    bytes.resize(bytes.len().max(1024), 0);
    bytes.extend(tables);
    bytes
}

/// Entries of a page of this size, bits, compression and photometric interpretation.
fn page(width: u32, height: u32, bits: u32, compression: u32, photometric: u32) -> Vec<(u16, u16, u32, u32)> {
    vec![(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, photometric)]
}

fn with(mut entries: Vec<(u16, u16, u32, u32)>, more: &[(u16, u16, u32, u32)]) -> Vec<(u16, u16, u32, u32)> {
    entries.extend(more);
    entries
}

/// The samples that a TIFF is decoded to.
fn samples(file: &[u8]) -> Result<Vec<u8>, Unpreparable> {
    let mut source = Cursor::new(file);
    let bytes = file.len() as u64;
    let Seen::Tiff(pages) = look(&mut source, bytes)? else { panic!("no TIFF") };
    tiff::decode(&mut source, bytes, &pages[0]).map(DynamicImage::into_bytes)
}

fn samples_of(entries: &[(u16, u16, u32, u32)], pixels: &[u8]) -> Vec<u8> {
    samples(&tiff(entries, pixels, b"")).expect("a sound TIFF")
}

#[test]
fn greys_of_every_depth_are_spread_over_eight_bits() {
    assert_eq!(samples_of(&page(3, 2, 1, 1, 1), &[0b0100_0000, 0b1010_0000]), [0, 255, 0, 255, 0, 255]);
    assert_eq!(samples_of(&page(3, 2, 1, 1, 0), &[0b0100_0000, 0b1010_0000]), [255, 0, 255, 0, 255, 0]);
    assert_eq!(samples_of(&page(3, 1, 2, 1, 1), &[0b0001_1100]), [0, 85, 255]);
    assert_eq!(samples_of(&page(3, 1, 4, 1, 1), &[0x0f, 0x80]), [0, 255, 136]);
    assert_eq!(samples_of(&page(2, 1, 12, 1, 1), &[0xff, 0xf8, 0x00]), [255, 127]);
    assert_eq!(samples_of(&page(2, 1, 16, 1, 1), &[0x34, 0x12, 0xff, 0xff]), [0x12, 255]);
    assert_eq!(samples_of(&page(2, 1, 16, 1, 1), &[0xff, 0x0f, 0x34, 0x02]), [255, 0x23], "12 bits in 16");
    assert_eq!(samples_of(&page(2, 1, 16, 1, 0), &[0xff, 0x0f, 0, 0]), [0, 255], "the same where 0 is white");
    assert_eq!(samples_of(&page(2, 1, 16, 1, 1), &[0, 0x10, 0x34, 0x02]), [16, 2], "13 bits are used");
    assert_eq!(samples_of(&with(page(2, 1, 8, 1, 1), &[(339, 3, 1, 2)]), &[0x80, 0x7f]), [0, 255], "signed");
    assert_eq!(samples_of(&with(page(8, 1, 1, 1, 1), &[(266, 3, 1, 2)]), &[0x01]), [255, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn colours_become_rgb_and_grey_stays_grey() {
    let rgb = |more: &[(u16, u16, u32, u32)]| with(page(2, 1, 8, 1, 2), more);
    assert_eq!(samples_of(&rgb(&[(277, 3, 1, 3)]), &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
    // A fourth sample without a meaning is left out; straight transparency and multiplied lie on white.
    assert_eq!(samples_of(&rgb(&[(277, 3, 1, 4)]), &[1, 2, 3, 0, 4, 5, 6, 0]), [1, 2, 3, 4, 5, 6]);
    let laid = |kind| samples_of(&rgb(&[(277, 3, 1, 4), (338, 3, 1, kind)]), &[51, 0, 0, 255, 51, 0, 0, 51]);
    assert_eq!(laid(2), [51, 0, 0, 214, 204, 204]);
    assert_eq!(laid(1), [51, 0, 0, 255, 204, 204]);
    let cmyk = with(page(2, 1, 8, 1, 5), &[(277, 3, 1, 4)]);
    assert_eq!(samples_of(&cmyk, &[255, 0, 0, 0, 0, 0, 0, 128]), [0, 255, 255, 127, 127, 127]);
    let light = with(page(2, 1, 8, 1, 6), &[(277, 3, 1, 3), (530, 3, 2, 0x0001_0001)]);
    assert_eq!(samples_of(&light, &[100, 128, 128, 76, 85, 255]), [100, 100, 100, 254, 0, 0]);
    let table: Vec<u8> = [0u16, 0x1100, 0x2200, 0x3300, 0, 0x4400, 0x5500, 0x6600, 0, 0x7700, 0x8800, 0x9900]
        .iter()
        .flat_map(|light| light.to_le_bytes())
        .collect();
    let palette = with(page(3, 1, 2, 1, 3), &[(320, 3, 12, 1024)]);
    let coloured = samples(&tiff(&palette, &[0b0001_1000], &table)).expect("a table");
    assert_eq!(coloured, [0, 0, 0, 0x11, 0x44, 0x77, 0x22, 0x55, 0x88]);
    assert!(matches!(samples(&tiff(&palette, &[0], b"")), Err(Unpreparable::Damaged(_))), "no table");
}

#[test]
fn planes_tiles_and_differences_are_put_together() {
    let entries = with(page(2, 1, 8, 1, 2), &[(277, 3, 1, 3), (284, 3, 1, 2)]);
    let offsets: Vec<u8> = [512u32, 514, 516, 2, 2, 2].iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut planar = tiff(&entries, &[1, 4, 2, 5, 3, 6], &offsets);
    // Three strips: where they lie and how long they are stands behind.
    for (tag, at) in [(273u16, 1024u32), (279, 1036)] {
        let entry = (10..200).step_by(12).find(|at| planar[*at..at + 2] == tag.to_le_bytes()).expect("an entry");
        planar[entry + 4..entry + 8].copy_from_slice(&3u32.to_le_bytes());
        planar[entry + 8..entry + 12].copy_from_slice(&at.to_le_bytes());
    }
    assert_eq!(samples(&planar).expect("planes"), [1, 2, 3, 4, 5, 6]);
    let predicted = with(page(3, 1, 8, 1, 1), &[(317, 3, 1, 2)]);
    assert_eq!(samples_of(&predicted, &[10, 5, 255]), [10, 15, 14]);
    let predicted = with(page(2, 1, 16, 1, 1), &[(317, 3, 1, 2)]);
    assert_eq!(samples_of(&predicted, &[0xff, 0x10, 0x01, 0x01]), [0x10, 0x12]);
    let tile = with(page(3, 2, 8, 1, 1), &[(322, 4, 1, 4), (323, 4, 1, 4), (324, 4, 1, 512), (325, 4, 1, 16)]);
    let pixels = [1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(samples_of(&tile, &pixels), [1, 2, 3, 4, 5, 6], "a tile is larger than its page");
}

#[test]
fn every_compression_gives_the_same_pixels() {
    let pixels: Vec<u8> = (0..600u32).map(|n| u8::try_from(n * n % 251 / 40).expect("small")).collect();
    let grey = |compression, packed: &[u8]| samples_of(&page(30, 20, 8, compression, 1), packed);
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&pixels).expect("memory");
    assert_eq!(grey(5, &lzw), pixels);
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut deflated, &pixels).expect("memory");
    let deflated = deflated.finish().expect("memory");
    assert_eq!((grey(8, &deflated), grey(32_946, &deflated)), (pixels.clone(), pixels.clone()));
    let literals: Vec<u8> = pixels.chunks(100).flat_map(|run| [&[99], run].concat()).collect();
    assert_eq!(grey(32_773, &literals), pixels);
    assert_eq!(samples_of(&page(6, 1, 8, 32_773, 1), &[0xfd, 7, 0x80, 1, 8, 9]), [7, 7, 7, 7, 8, 9]);
    for (compression, packed) in [(1, &pixels), (5, &lzw), (8, &deflated), (32_773, &literals)] {
        let half = tiff(&page(30, 20, 8, compression, 1), &packed[..packed.len() / 2], b"");
        assert!(matches!(samples(&half), Err(Unpreparable::Damaged(_))), "half of compression {compression}");
    }
    let other = tiff(&page(30, 20, 8, 50_000, 1), &pixels, b"");
    assert!(matches!(samples(&other), Err(Unpreparable::Unsupported(what)) if what.contains("Zstandard")));
}

#[test]
fn fax_lines_are_read_in_one_dimension() {
    // White 2 (0111), black 3 (10), white 3 (1000): a row of 8; with marks before each row, and without.
    let marked = with(page(8, 2, 1, 3, 0), &[(292, 4, 1, 0)]);
    let expected = [255, 255, 0, 0, 0, 255, 255, 255].repeat(2);
    let bits = |rows: &str| -> Vec<u8> {
        let digits: Vec<u8> = rows.bytes().filter(|digit| *digit != b' ').map(|digit| digit - b'0').collect();
        digits.chunks(8).map(|eight| eight.iter().zip(0..).fold(0, |byte, (bit, n)| byte | bit << (7 - n))).collect()
    };
    let eol = "000000000001";
    let row = "0111 10 1000";
    assert_eq!(samples_of(&marked, &bits(&format!("{eol} {row} {eol} {row}"))), expected);
    assert_eq!(samples_of(&page(8, 2, 1, 2, 0), &bits(&format!("{row} 000000 {row} 000000"))), expected);
    let reversed: Vec<u8> = bits(&format!("{eol} {row} {eol} {row}")).iter().map(|byte| byte.reverse_bits()).collect();
    assert_eq!(samples_of(&with(marked, &[(266, 3, 1, 2)]), &reversed), expected, "the other order of bits");
}

#[test]
fn a_jpeg_inside_a_tiff_is_decoded() {
    let grey = image::GrayImage::from_fn(16, 16, |x, _| Luma([if x < 8 { 40 } else { 200 }]));
    let mut jpeg = Vec::new();
    grey.write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg).expect("memory");
    let decoded = samples_of(&page(16, 16, 8, 7, 1), &jpeg);
    assert!(decoded[0].abs_diff(40) < 4 && decoded[15].abs_diff(200) < 4, "{decoded:?}");
    let cut = tiff(&page(16, 17, 8, 7, 1), &jpeg, b"");
    assert!(matches!(samples(&cut), Err(Unpreparable::Damaged(_))), "a row too few");
}

#[test]
fn orientation_is_applied_and_nothing_is_enlarged() {
    // Two pixels, black and white, in each of the eight ways.
    for (orientation, expected) in [(1, [0, 255]), (2, [255, 0]), (3, [255, 0]), (6, [0, 255]), (8, [255, 0])] {
        let file = tiff(&with(page(2, 1, 1, 1, 1), &[(274, 3, 1, orientation)]), &[0x40], b"");
        let prepared = made(&file, within(50)).expect("a sound TIFF");
        let size = if orientation < 5 { (2, 1) } else { (1, 2) };
        assert_eq!((prepared.pixels.width, prepared.pixels.height), size, "{orientation}");
        assert_eq!((prepared.turned, prepared.shrunk), (orientation > 1, false));
        assert_eq!(prepared.format, Format::Png);
        assert_eq!(seen(&prepared).into_luma8().into_raw(), expected, "{orientation}");
    }
}

#[test]
fn a_large_page_is_shrunk_to_its_longest_side_and_stays_grey() {
    let shades: Vec<u8> = (0..400u32 * 300).map(|n| u8::try_from(n % 400 / 2).expect("small")).collect();
    let file = tiff(&page(400, 300, 8, 1, 1), &shades, b"");
    let prepared = made(&file, within(100)).expect("a sound TIFF");
    assert_eq!((prepared.pixels, prepared.format), (Pixels { width: 100, height: 75 }, Format::Jpeg));
    assert!(prepared.shrunk);
    let DynamicImage::ImageLuma8(grey) = seen(&prepared) else { panic!("it was grey") };
    assert!(grey.get_pixel(50, 30).0[0].abs_diff(101) < 6, "the middle is as dark as it was");
}

#[test]
fn a_fitted_picture_is_as_the_model_sees_it_and_never_longer_than_it_was() {
    let how = Preparation { fit: Some(Sight { longer: 2048, shorter: 60, patches: 0 }), ..HOW };
    let fitting = Order { how, ..ORDER };
    let encoded = |image: &DynamicImage| {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("memory");
        bytes
    };
    let noise = |x: u32, y: u32| u8::try_from((x * 7919 + y * 104_729) % 251).expect("small");
    let grained = encoded(&DynamicImage::from(image::GrayImage::from_fn(100, 151, |x, y| Luma([noise(x, y)]))));
    let fitted = made(&grained, fitting).expect("sound");
    assert_eq!((fitted.pixels, fitted.shrunk), (Pixels { width: 60, height: 90 }, true));
    assert!(fitted.bytes.len() < grained.len() && seen(&fitted).height() == 90);
    let mut coarse = Vec::new();
    let picture = image::GrayImage::from_fn(100, 151, |x, y| Luma([noise(x, y)]));
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut coarse, 1).encode_image(&picture).expect("memory");
    let kept = made(&coarse, fitting).expect("sound");
    assert!(kept.bytes == coarse, "finer, it would be longer");
    assert_eq!((kept.pixels, kept.shrunk), (Pixels { width: 100, height: 151 }, false));
    let anew = Preparation { reencode: Reencode::Always, ..how };
    assert!(made(&coarse, Order { how: anew, ..ORDER }).expect("sound").bytes != coarse, "its own bytes were refused");
    // What lies on its side is fitted as it will be seen.
    let turned = tiff(&with(page(151, 100, 8, 1, 1), &[(274, 3, 1, 6)]), &[7; 15_100], b"");
    assert_eq!(made(&turned, fitting).expect("sound").pixels, Pixels { width: 60, height: 90 });
}

#[test]
fn black_and_white_that_is_shrunk_keeps_its_edges_in_few_bytes() {
    // Lines of three pixels, which fall between pixels when they are shrunk.
    let row: Vec<u8> = (0..100u32).map(|n| if n / 3 % 2 == 0 { 0b1100_1101 } else { 0b0101_1011 }).collect();
    let file = tiff(&page(799, 600, 1, 1, 1), &row.repeat(600), b"");
    let whole = made(&file, ORDER).expect("a sound TIFF");
    let shrunk = made(&file, within(333)).expect("a sound TIFF");
    assert_eq!((shrunk.pixels, shrunk.format), (Pixels { width: 333, height: 250 }, Format::Png));
    let (whole, small) = (seen(&whole), seen(&shrunk).into_luma8());
    let expected = whole.resize_exact(333, 250, image::imageops::FilterType::Lanczos3).into_luma8();
    // Half a shade of 16, and what two ways to shrink differ by.
    assert!(expected.iter().zip(small.iter()).all(|(one, other)| one.abs_diff(*other) < 12));
    let mut jpeg = Vec::new();
    expected.write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg).expect("memory");
    assert!(shrunk.bytes.len() * 2 < jpeg.len(), "{} bytes, {} as JPEG", shrunk.bytes.len(), jpeg.len());
}

#[test]
fn what_is_ready_goes_as_it_is_and_the_rest_lies_on_white() {
    let encoded = |image: &DynamicImage, format| {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).expect("memory");
        bytes
    };
    let clear = DynamicImage::from(image::RgbaImage::from_pixel(8, 8, Rgba([200, 0, 0, 0])));
    let png = encoded(&clear, ImageFormat::Png);
    assert_eq!(made(&png, ORDER).expect("sound").bytes, png);
    let shrunk = made(&png, within(4)).expect("sound");
    assert!(seen(&shrunk).into_luma8().into_raw().iter().all(|grey| *grey == 255), "nothing is there but paper");
    let grey =
        DynamicImage::from(image::RgbImage::from_fn(64, 64, |x, _| Rgb([u8::try_from(x).expect("small") * 3; 3])));
    for format in [ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::WebP, ImageFormat::Gif] {
        let prepared = made(&encoded(&grey, format), ORDER).expect("sound");
        assert_eq!((prepared.format, prepared.turned, prepared.shrunk), (Format::Jpeg, false, false), "{format:?}");
        assert!(matches!(seen(&prepared), DynamicImage::ImageLuma8(_)), "{format:?} of grey stays grey");
    }
    let deep = DynamicImage::from(image::ImageBuffer::<Luma<u16>, _>::from_pixel(8, 8, Luma([0x8000u16])));
    let prepared = made(&encoded(&deep, ImageFormat::Png), ORDER).expect("sound");
    assert!(seen(&prepared).into_luma8().into_raw().iter().all(|grey| grey.abs_diff(128) < 3));
}

#[test]
fn limits_are_kept_and_pages_counted() {
    let file = tiff(&page(400, 300, 8, 1, 1), &[9; 400 * 300], b"");
    let too_large = |order| matches!(made(&file, order), Err(Unpreparable::TooLarge(_)));
    assert!(too_large(Order { max_pixels: 119_999, ..ORDER }));
    assert!(too_large(Order { max_bytes: 100, ..ORDER }));
    assert!(!too_large(Order { max_pixels: 120_000, ..ORDER }));
    for page in [0, 2, u32::MAX] {
        assert!(matches!(made(&file, Order { page, ..ORDER }), Err(Unpreparable::Damaged(_))), "page {page}");
    }
    assert!(matches!(made(b"%PDF-1.7", ORDER), Err(Unpreparable::Unsupported(what)) if what == "PDF"));
}

#[test]
fn real_files_of_each_kind_come_out_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/odd");
    let from = |name: &str, page| {
        let bytes = std::fs::read(folder.join(name)).expect("a file of the repository");
        made(&bytes, Order { page, ..ORDER }).unwrap_or_else(|why| panic!("{name}: {why}"))
    };
    for (name, page, format, size) in [
        ("g4-multi.tif", 3, Format::Png, (3307, 4677)),
        ("multipage.tif", 3, Format::Jpeg, (20, 20)),
        ("tiled-planar-16bit.tif", 1, Format::Jpeg, (100, 40)),
        ("ycbcr-jpeg.tif", 1, Format::Jpeg, (480, 360)),
        ("big.tif", 1, Format::Jpeg, (128, 128)),
        ("hopper.bmp", 1, Format::Jpeg, (128, 128)),
        ("card.jp2", 1, Format::Jpeg, (640, 480)),
        ("cmyk.jpg", 1, Format::Jpeg, (100, 100)),
        ("hopper_orientation_6.webp", 1, Format::Jpeg, (128, 128)),
        ("apng.png", 1, Format::Jpeg, (128, 64)),
    ] {
        let prepared = from(name, page);
        assert_eq!(
            (prepared.format, prepared.pixels.width, prepared.pixels.height),
            (format, size.0, size.1),
            "{name}"
        );
        seen(&prepared);
    }
    // The same portrait by two roads.
    let (big, bmp) = (seen(&from("big.tif", 1)).into_rgb8(), seen(&from("hopper.bmp", 1)).into_rgb8());
    assert!(big.iter().zip(bmp.iter()).all(|(one, other)| one.abs_diff(*other) < 8));
    assert!(from("hopper_orientation_6.webp", 1).turned);
}

proptest! {
    #[test]
    fn a_tiff_with_anything_written_over_it_has_an_answer(at in 4usize..200, byte: u8, compression in 0usize..8) {
        let kinds = [1, 2, 3, 4, 5, 7, 8, 32_773];
        let mut file = tiff(&with(page(20, 9, 1, kinds[compression], 0), &[(277, 3, 1, 1)]), &[0x35; 27], b"");
        file[at] = byte;
        let order = Order { max_pixels: 100_000, ..ORDER };
        if let Ok(prepared) = made(&file, order) {
            prop_assert!(prepared.pixels.count() <= order.max_pixels);
        }
    }
}

/// What comes of every page of every file of a folder of images: `PREPARE_CORPUS=dir cargo test --lib corpus -- --ignored --nocapture`.
#[test]
#[ignore = "needs a folder of images in PREPARE_CORPUS"]
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a table for people, who name the folder")]
fn a_corpus_is_prepared_without_a_panic() {
    let root = std::env::var("PREPARE_CORPUS").expect("PREPARE_CORPUS");
    let mut folders = vec![PathBuf::from(root)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for path in files {
        for (page, told) in outcomes(&path).into_iter().enumerate() {
            println!("{} [{}] {told}", path.display(), page + 1);
        }
    }
}

/// One line for each page of a file, as it is and shrunk.
#[expect(clippy::disallowed_methods, reason = "the table tells how long each page takes")]
fn outcomes(path: &Path) -> Vec<String> {
    let open = || BufReader::new(std::fs::File::open(path).expect("a file"));
    let bytes = std::fs::metadata(path).expect("a file").len();
    let sniffed = crate::corpus::media::sniff(&mut open(), bytes).expect("a readable file");
    let (pages, probe) = match &sniffed {
        Sniffed::Image(looks) => (looks.pages.len(), format!("{:?} {:?} {:?}", looks.format, looks.needs, looks.pages)),
        other => (1, format!("{other:?}")),
    };
    let mut lines = Vec::new();
    for page in 1..=u32::try_from(pages).expect("few") {
        let mut line = probe.clone();
        for longest_side in [0, 1_000] {
            let started = std::time::Instant::now();
            let outcome = prepare(open(), &Order { page, ..within(longest_side) });
            let told = match &outcome {
                Ok(ready) => {
                    let Pixels { width, height } = ready.pixels;
                    let length = ready.bytes.len();
                    if let Ok(folder) = std::env::var("PREPARE_INTO") {
                        let name = path.file_name().expect("a name").to_string_lossy();
                        let ending = ready.format.word();
                        let to = Path::new(&folder).join(format!("{name}-{page}-{longest_side}.{ending}"));
                        std::fs::write(to, &ready.bytes).expect("a folder");
                    }
                    let color = image::load_from_memory(&ready.bytes).map_or(None, |image| Some(image.color()));
                    format!("{:?} {color:?} {width}x{height} {length} B, turned {}", ready.format, ready.turned)
                }
                Err(why) => why.to_string(),
            };
            line += &format!(" | {told} in {} ms", started.elapsed().as_millis());
        }
        lines.push(line);
    }
    lines
}

#[test]
fn a_bare_codestream_of_jpeg_2000_is_read_like_one_in_boxes() {
    let boxed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/odd/card.jp2")).expect("a file");
    let start = memchr::memmem::find(&boxed, b"\xff\x4f\xff\x51").expect("its codestream");
    let end = memchr::memmem::rfind(&boxed, b"\xff\xd9").expect("its end") + 2;
    let (bare, boxed) = (made(&boxed[start..end], ORDER).expect("sound"), made(&boxed, ORDER).expect("sound"));
    assert_eq!((bare.pixels, bare.format), (boxed.pixels, boxed.format));
}

#[test]
fn a_strip_that_would_take_far_more_memory_than_its_page_is_not_unpacked() {
    // 32 numbers of 32 bits for each of 16 million pixels: 2 GB, from a file of a kilobyte.
    let dear = |width, height| with(page(width, height, 32, 8, 1), &[(277, 3, 1, 32)]);
    let refused = |file: &[u8]| samples(file).expect_err("too much").to_string();
    assert!(refused(&tiff(&dear(4096, 4096), &[0], b"")).contains("memory"));
    let tiled = [(322, 4, 1, 4096), (323, 4, 1, 4096), (324, 4, 1, 512), (325, 4, 1, 1)];
    assert!(refused(&tiff(&with(dear(1, 4096), &tiled), &[0], b"")).contains("memory"));
}
