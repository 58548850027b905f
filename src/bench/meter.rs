//! What this process has used so far: the wall, the processor, memory, the disk.

use std::time::Duration;

use super::machine::kib;
use crate::kit::clock::Stopwatch;

/// Processor time of this process so far, user and system, its ended threads included; none where the system does not tell.
#[must_use]
pub fn cpu() -> Option<Duration> {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let whole = Duration::from_secs(u64::try_from(time.tv_sec).ok()?);
        Some(whole + Duration::from_nanos(u64::try_from(time.tv_nsec).ok()?))
    }
    #[cfg(not(unix))]
    None
}

/// Largest resident memory of this process so far, in bytes; none where the system does not tell.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    kib(&fs_err::read_to_string("/proc/self/status").ok()?, "VmHWM:").map(|kib| kib * 1024)
}

/// Bytes that this process has caused to be written to a disk so far; none where the system does not tell.
#[must_use]
pub fn disk_bytes() -> Option<u64> {
    let io = fs_err::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

/// Sums the wall's and the processor's time of the windows that are measured, and of nothing between them.
#[derive(Debug, Default)]
pub struct Meter {
    wall: Duration,
    cpu: Duration,
}

impl Meter {
    /// Does `work` in a window.
    pub fn window<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (cpu_before, watch) = (cpu(), Stopwatch::start());
        let value = work();
        self.wall += watch.elapsed();
        self.cpu += cpu().zip(cpu_before).map_or(Duration::ZERO, |(after, before)| after.saturating_sub(before));
        value
    }

    /// Seconds by the wall.
    #[must_use]
    pub fn wall_s(&self) -> f64 {
        self.wall.as_secs_f64()
    }

    /// Seconds of the processor; none where the system does not tell.
    #[must_use]
    pub fn cpu_s(&self) -> Option<f64> {
        cpu().map(|_| self.cpu.as_secs_f64())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_a_window_counts_and_nothing_else() {
        let busy = || (0..200_000u64).fold(0, |sum: u64, n| std::hint::black_box(sum.wrapping_mul(31) ^ n));
        let mut meter = Meter::default();
        let before = (meter.wall_s(), meter.cpu_s());
        std::hint::black_box(busy());
        assert_eq!((meter.wall_s(), meter.cpu_s()), before);
        assert_eq!((before.0, before.1), (0.0, Some(0.0)));
        std::hint::black_box(meter.window(busy));
        assert!(meter.wall_s() > 0.0 && meter.cpu_s() > Some(0.0));
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let before = peak_bytes().expect("Linux tells");
        let held = vec![1u8; 64 << 20];
        std::hint::black_box(&held);
        assert!(peak_bytes().expect("Linux tells") >= before.max(64 << 20));
    }
}
