//! What the benches share: CPU time, peak memory, temporary corpora. Ratios are the message; rates are for looking at.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod bodies;

use std::path::Path;
use std::time::Duration;

/// CPU seconds (user and system) of this process so far.
pub(crate) fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // utime and stime, in ticks of 10 ms.
    (ticks(11) + ticks(12)) / 100.0
}

/// Largest resident memory of this process so far, in MB.
pub(crate) fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1000.0
}

/// The number behind `--name`, or `usual`.
pub(crate) fn argument(name: &str, usual: usize) -> usize {
    let mut words = std::env::args().skip_while(|word| word != &format!("--{name}"));
    words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(usual)
}

/// Median of a few measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Seconds as a float.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Writes `count` PNGs of about `bytes` bytes each, all different, 250 a folder.
pub(crate) fn corpus(root: &Path, count: usize, bytes: usize) {
    for n in 0..count {
        let folder = root.join(format!("tray_{:04}", n / 250));
        std::fs::create_dir_all(&folder).expect("folder");
        let target = folder.join(format!("page{n:06}.png"));
        std::fs::write(target, png(n as u32, bytes)).expect("image");
    }
}

/// A small PNG that says which one it is, made longer by a private chunk.
pub(crate) fn png(seed: u32, bytes: usize) -> Vec<u8> {
    let [a, b, c, d] = seed.to_le_bytes();
    let image = image::RgbImage::from_fn(12, 9, |x, y| image::Rgb([a ^ (x as u8), b ^ (y as u8), c ^ d]));
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).expect("memory");
    let mut file = file.into_inner();
    // Behind the end chunk: decoders stop there, and the file has its size.
    file.resize(bytes.max(file.len()), 7);
    file
}

/// CPU seconds (user and system) of the ended and awaited children of this process so far.
pub(crate) fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // cutime and cstime, in ticks of 10 ms.
    (ticks(13) + ticks(14)) / 100.0
}
