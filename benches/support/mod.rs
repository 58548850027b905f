//! What the benches share: CPU time, peak memory, temporary corpora. Ratios are the message; rates are for looking at.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod bodies;

use std::path::Path;
use std::time::Duration;

use batchscribe::kit::random::split_mix;

/// CPU seconds (user and system) of this process so far.
pub(crate) fn cpu() -> f64 {
    cpu_of("self")
}

/// CPU seconds (user and system) so far of a process by its number.
pub(crate) fn cpu_of(process: &str) -> f64 {
    // utime and stime.
    seconds_of(process, [11, 12])
}

/// Sum of two fields of what the kernel tells of a process, counted behind its name; they are in ticks of 10 ms.
fn seconds_of(process: &str, fields: [usize; 2]) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let told: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| told.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    fields.into_iter().map(ticks).sum::<f64>() / 100.0
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

/// A small PNG of its own, made longer behind its end. It is noise: a page that looks blank would have its answer refused.
pub(crate) fn png(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = u64::from(seed);
    let image = image::RgbImage::from_fn(12, 9, |_, _| {
        let [red, green, blue, ..] = split_mix(&mut state).to_le_bytes();
        image::Rgb([red, green, blue])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).expect("memory");
    let mut file = file.into_inner();
    // Behind the end chunk: decoders stop there, and the file has its size.
    file.resize(bytes.max(file.len()), 7);
    file
}

/// CPU seconds (user and system) of the ended and awaited children of this process so far.
pub(crate) fn children_cpu() -> f64 {
    // cutime and cstime.
    seconds_of("self", [13, 14])
}
