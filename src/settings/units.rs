//! Durations and sizes as people write them.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 7] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
];

/// `"60s"`, `"1.5h"`, `"250 ms"`; a bare `0` is no time at all. None if it is not one.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = split(text)?;
    let (_, millis) = DURATION_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    scaled(number, millis).map(Duration::from_millis)
}

/// `"4096"`, `"150 MB"`, `"256 MiB"`: bytes. None if it is not a size.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let (number, unit) = split(text)?;
    let (_, factor) = SIZE_UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    scaled(number, factor)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    Some((text[..at].trim(), text[at..].trim()))
}

/// `number` times `factor`; whole numbers exactly, decimal fractions to the nearest unit.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (whole, fraction) = number.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let divisor = 10u64.pow(u32::try_from(fraction.len()).ok()?);
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / u128::from(divisor);
    whole.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
}

/// A duration in the largest unit that divides it: `90s`, `6h`, `30d`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (name, unit) = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        .into_iter()
        .find(|(_, unit)| millis.is_multiple_of(*unit))
        .unwrap_or(("ms", 1));
    if millis == 0 { "0s".to_owned() } else { format!("{}{name}", millis / unit) }
}

/// Bytes for people: `999 B`, `1.5 MB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn show_bytes(bytes: u64) -> String {
    let units = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let Some((name, unit)) = units.into_iter().find(|(_, unit)| bytes >= *unit) else {
        return format!("{bytes} B");
    };
    if bytes.is_multiple_of(unit) {
        return format!("{} {name}", bytes / unit);
    }
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("60s", Some(60_000)),
            (" 10 m ", Some(600_000)),
            ("10min", Some(600_000)),
            ("1.5h", Some(5_400_000)),
            ("30d", Some(2_592_000_000)),
            ("0", Some(0)),
            ("60", None),
            ("", None),
            ("-1s", None),
            ("1e3s", None),
            ("1..5s", None),
            ("1 fortnight", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("4096", Some(4096)),
            ("150 MB", Some(150_000_000)),
            ("256 MiB", Some(268_435_456)),
            ("1.5GB", Some(1_500_000_000)),
            ("64kb", Some(64_000)),
            ("12 parsecs", None),
            ("-1", None),
            ("", None),
            ("MB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn shown_values_read_back() {
        for millis in [0, 250, 1_500, 60_000, 600_000, 21_600_000, 2_592_000_000] {
            let span = Duration::from_millis(millis);
            assert_eq!(duration(&show_duration(span)), Some(span));
        }
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(150_000_000), "150 MB");
        assert_eq!(show_bytes(1_540_000), "1.5 MB");
    }
}
