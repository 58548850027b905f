//! Hostile names and trees: how each is made, and what must come of it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use batchscribe::kit::atomic_file::Mark;
use batchscribe::kit::folder::Folder;

use crate::sandbox::png;
use crate::scene::Case;
use crate::scene::End::{self, Done, Failed, PassedOver, Skipped};

const EMPTY: End = Failed("empty_file");
const EXCLUDED: End = Skipped("excluded");
const TEXT_PRESENT: End = Skipped("text_present");
/// Files of a folder that is longer than what the walk holds at a time.
pub(super) const MANY: u64 = 11_000;

/// Names as bytes: whatever follows, each is a good image.
const NAMES: [&[u8]; 64] = [
    b"line\nbreak.png",
    b"carriage\rreturn.png",
    b"tab\there.png",
    b"bell\x07.png",
    b"\x1b[2J\x1b[31mred.png",
    b"\x1b]0;title\x07.png",
    b"\x1b]52;c;cm0gLXJm\x07.png",
    b"delete\x7f.png",
    b"\xc2\x85next-line.png",
    b"\xc2\x9b31mc1.png",
    b"\"double\".png",
    b"'single'.png",
    b"`touch owned`.png",
    b"$(touch owned).png",
    b";rm -rf x;.png",
    b"&& false.png",
    b"> out.png",
    b"-rf.png",
    b"--help.png",
    b"--set.png",
    b"a|b.png",
    b"a/b.png",
    b"a\\b.png",
    b"x..\\..\\up.png",
    b"C:\\x.png",
    b"a:b.png",
    b" leading.png",
    b"trailing .png",
    b"many   blanks.png",
    b"a..png",
    b"a. .png",
    b"folder.../a.jpg/b.png",
    b"dots./b.png",
    b"blank /b.png",
    b"%2e%2e%2fup.png",
    b"%s%n%x.png",
    b"{0}{{name}}.png",
    b"{\"custom_id\":1}.png",
    b"'); DROP TABLE image;--.png",
    b"</script><script>x.png",
    b"=1+1.png",
    b"@SUM(A1).png",
    b"#1.png",
    b"page.png#2.png",
    b"*?[a-z].png",
    b"~root.png",
    b"\xff\xfe.png",
    b"\xc0\xae\xc0\xae.png",
    b"\xed\xa0\x80surrogate.png",
    b"half\xe2\x82.png",
    "composed \u{e9}.png".as_bytes(),
    "composed e\u{301}.png".as_bytes(),
    b"Case.png",
    b"case.png",
    "\u{202e}gnp.exe.png".as_bytes(),
    "\u{2066}isolate.png".as_bytes(),
    "\u{61c}arabic mark.png".as_bytes(),
    "\u{2028}line\u{2029}paragraph.png".as_bytes(),
    "zero\u{200b}width\u{feff}.png".as_bytes(),
    "\u{1f4dc}\u{1f468}\u{200d}\u{1f469}.png".as_bytes(),
    b"CON.png",
    b"aux.png",
    b"COM1.PNG",
    b"NUL.txt.png",
];

/// Every case.
pub(super) fn cases() -> Vec<Case> {
    [names(), long(), failing(), texts(), odd(), trees()].into_iter().flatten().collect()
}

/// Another one for each picture.
fn seed() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(7_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn image(group: &'static str, path: impl AsRef<[u8]>, end: End) -> Case {
    Case::file(group, [group.as_bytes(), b"/", path.as_ref()].concat(), png(seed()), end)
}

fn names() -> Vec<Case> {
    NAMES.into_iter().map(|name| image("names", name, Done)).collect()
}

/// Names so long that those of texts and results must be cut, and differ all the same.
fn long() -> Vec<Case> {
    let name = |bytes: usize, last: &str| format!("{}{last}.png", "x".repeat(bytes - 4 - last.len()));
    let mut cases: Vec<Case> = [246, 247, 248, 251, 252, 255].map(|bytes| image("long", name(bytes, ""), Done)).into();
    cases.extend(["a", "b", "c"].map(|last| image("long", name(255, last), Done)));
    // Cut in the middle of a letter of four bytes.
    cases.push(image("long", format!("{}.png", "\u{1f4dc}".repeat(62)), Done));
    cases.push(image("long", [&b"\xff".repeat(251)[..], b".png"].concat(), Done));
    // An id of more than 512 letters, and two that differ only behind them.
    let deep = format!("{0}/{0}/{0}", "y".repeat(200));
    cases.extend(["one.png", "two.png"].map(|last| image("long", format!("{deep}/{last}"), Done)));
    cases
}

/// What is told by its name must not say more than its name.
fn failing() -> Vec<Case> {
    let hostile = NAMES.into_iter().filter(|name| !name.contains(&b'/'));
    hostile.map(|name| Case::file("failing", [b"failing/", name].concat(), Vec::new(), EMPTY)).collect()
}

fn texts() -> Vec<Case> {
    let text = |path: &str, make: fn(&Path)| Case::new("texts", format!("texts/{path}"), Box::new(make), PassedOver);
    let file: fn(&Path) = |path| std::fs::write(path, "by hand").expect("a file");
    vec![
        image("texts", "a.jpg", TEXT_PRESENT),
        image("texts", "a.png", Done),
        text("a.jpg.txt", file),
        image("texts", "a.jpg.txt.jpg", Done),
        image("texts", "a.1.jpg", Done),
        image("texts", "a.2.jpg", Done),
        image("texts", "x.jpg/inner.png", Done),
        image("texts", "folder.png", TEXT_PRESENT),
        // Counted with the images in it: none.
        image("texts", "folder.png.txt/inside.png", Done),
        image("texts", "link.png", TEXT_PRESENT),
        text("link.png.txt", |path| symlink("/etc/hostname", path).expect("a link")),
        image("texts", "broken.png", TEXT_PRESENT),
        text("broken.png.txt", |path| symlink("nowhere", path).expect("a link")),
        image("texts", "pipe.png", TEXT_PRESENT),
        text("pipe.png.txt", pipe),
        image("texts", "locked.png", TEXT_PRESENT),
        text("locked.png.txt", |path| {
            std::fs::write(path, "by hand").expect("a file");
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o444)).expect("mode");
        }),
        image("texts", "rough.png", Done),
        text("rough.png.txt.api", file),
    ]
}

fn pipe(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).expect("a pipe");
}

fn odd() -> Vec<Case> {
    let link = |name: &str, to: &'static str| {
        let make = move |path: &Path| symlink(to, path).expect("a link");
        Case::new("odd", format!("odd/{name}"), Box::new(make), PassedOver)
    };
    let other = |name: &str, make: fn(&Path), end: End| Case::new("odd", format!("odd/{name}"), Box::new(make), end);
    let mut cases = vec![
        image("odd", "good.png", Done),
        other("pipe.jpg", pipe, EXCLUDED),
        other("pipe", pipe, PassedOver),
        other("socket.jpg", socket, EXCLUDED),
        link("to-itself.jpg", "to-itself.jpg"),
        link("to-its-parent", ".."),
        link("to-its-folder", "."),
        link("to-nowhere.jpg", "/nowhere"),
        link("to-outside.jpg", "/etc/hostname"),
        link("to-the-system", "/etc"),
        link("to-a-device.jpg", "/dev/zero"),
        link("to-a-neighbour.png", "good.png"),
        other("twin.png", |path| std::fs::hard_link(path.with_file_name("good.png"), path).expect("a link"), Done),
        image("odd", ".png", EXCLUDED),
        image("odd", "....png", EXCLUDED),
        image("odd", "png", PassedOver),
        image("odd", "a.png.", PassedOver),
        image("odd", "a.png ", PassedOver),
        image("odd", "a.png~", PassedOver),
        image("odd", "A.PNG", Done),
    ];
    if is_device_allowed() {
        cases.push(other("device.jpg", device, EXCLUDED));
    } else {
        println!("B3: no devices can be made here, one case left out");
    }
    cases
}

/// A path of a socket is at most 108 bytes: it is bound by a shorter one, then moved.
fn socket(path: &Path) {
    let short = std::env::temp_dir().join(format!("bs-socket-{}", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&short).expect("a socket"));
    std::fs::rename(&short, path).expect("renamed");
}

fn device(path: &Path) {
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::CharacterDevice, 0o600.into(), null)
        .expect("a device");
}

fn is_device_allowed() -> bool {
    let place = tempfile::tempdir().expect("temp dir");
    let (kind, null) = (rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    rustix::fs::mknodat(rustix::fs::CWD, place.path().join("device"), kind, 0o600.into(), null).is_ok()
}

fn trees() -> Vec<Case> {
    let deep = format!("{}page.png", "d/".repeat(300));
    let farther = [&[b'f'; 250][..]].repeat(20).join(&b'/');
    let many = |path: &Path| {
        let file = |n: u64| std::fs::write(path.with_file_name(format!("{n}.dat")), "").expect("a file");
        (0..MANY).for_each(file);
    };
    vec![
        image("trees", deep, Done),
        Case::new("trees", [&b"trees/"[..], &farther, b"/page.png"].concat(), Box::new(far), Done),
        // The folder itself is the case; its files are counted beside the table.
        Case::new("trees", "trees/many/0.dat", Box::new(many), PassedOver),
        image("trees", "many/last.png", Done),
    ]
}

/// A file whose path is longer than any that can be opened at once.
fn far(path: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let mark = Mark::new(path).expect("randomness");
    let whole = path.as_os_str().as_bytes();
    let root = whole.windows(4).position(|part| part == b"/in/").expect("the folder of images") + 3;
    let parts: Vec<&[u8]> = whole[root + 1..].split(|byte| *byte == b'/').collect();
    let (name, folders) = parts.split_last().expect("a name");
    let root = Folder::open(&crate::scene::path_of(&whole[..root])).expect("the folder of images");
    let folder = root.make_below(folders).expect("folders");
    let mut file = folder.draft(&mark).expect("a file");
    file.fill(&png(seed())).and_then(|()| file.publish_new(name)).expect("written");
}
