//! Metrics as text: the exposition format of Prometheus, version 0.0.4.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, "Text-based format".

use std::fmt::Write as _;

use crate::kit::histogram::Histogram;

/// Media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What every name begins with.
const PREFIX: &str = "batchscribe_";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, until the process ends.
    Counter,
    /// A number that comes and goes.
    Gauge,
    /// How often something stayed below each of several bounds.
    Histogram,
}

/// One metric with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    values: Vec<Value>,
}

/// One line: what stands behind the name, labels, the number.
type Value = (&'static str, Labels, f64);

/// Names and values that tell the values of one metric apart.
pub type Labels = Vec<(&'static str, String)>;

impl Metric {
    /// A metric without values yet; `name` without the program's name in front. One that stays without is not shown.
    #[must_use]
    pub fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, values: Vec::new() }
    }

    /// With one value that has no label.
    #[must_use]
    pub fn plain(mut self, value: impl Into<Option<f64>>) -> Self {
        self.values.extend(value.into().map(|value| ("", Vec::new(), value)));
        self
    }

    /// With one more value, under one label. Labels are of a few fixed words, or names of models: never of paths or batches, whose
    /// number grows.
    #[must_use]
    pub fn of(self, label: &'static str, which: impl Into<String>, value: f64) -> Self {
        self.of_all(vec![(label, which.into())], value)
    }

    /// The same under several labels.
    #[must_use]
    pub fn of_all(mut self, labels: Labels, value: f64) -> Self {
        self.values.push(("", labels, value));
        self
    }

    /// With the times of a histogram under these labels, in seconds.
    #[must_use]
    pub fn times(mut self, labels: &Labels, times: &Histogram) -> Self {
        let up_to = |bound: String| [&labels[..], &[("le", bound)]].concat();
        for (bound, count) in times.up_to() {
            self.values.push(("_bucket", up_to((number(bound) / 1000.0).to_string()), number(count)));
        }
        self.values.push(("_bucket", up_to("+Inf".to_owned()), number(times.count())));
        self.values.push(("_sum", labels.clone(), number(times.sum()) / 1000.0));
        self.values.push(("_count", labels.clone(), number(times.count())));
        self
    }
}

/// A number of the program as a number of Prometheus, which knows no others.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "the format knows floats alone; whole up to 2^53")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// All metrics in their order.
#[must_use]
pub fn render(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for Metric { name, help, kind, values } in metrics.iter().filter(|metric| !metric.values.is_empty()) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _written = write!(text, "# HELP {PREFIX}{name} {}\n# TYPE {PREFIX}{name} {kind}\n", escaped(help, false));
        for (end, labels, value) in values {
            let labels: Vec<String> =
                labels.iter().map(|(label, which)| format!("{label}=\"{}\"", escaped(which, true))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _written = writeln!(text, "{PREFIX}{name}{end}{labels} {value}");
        }
    }
    text
}

/// Backslash and line feed as escapes; the quotation mark too, where there are some around.
fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_format() {
        let metrics = [
            Metric::new(Kind::Gauge, "images", "Images\\by state.\nAll of them.").of("state", "done", 3.0).of(
                "state",
                "fai\"led\\\n",
                0.0,
            ),
            Metric::new(Kind::Counter, "cost_usd_total", "Billed.").plain(0.25),
            Metric::new(Kind::Gauge, "cost_limit_usd", "Not set.").plain(None),
            Metric::new(Kind::Counter, "upload_bytes_total", "Sent.").plain(number(1_400_000_000)),
        ];
        let expected = "# HELP batchscribe_images Images\\\\by state.\\nAll of them.
# TYPE batchscribe_images gauge
batchscribe_images{state=\"done\"} 3
batchscribe_images{state=\"fai\\\"led\\\\\\n\"} 0
# HELP batchscribe_cost_usd_total Billed.
# TYPE batchscribe_cost_usd_total counter
batchscribe_cost_usd_total 0.25
# HELP batchscribe_upload_bytes_total Sent.
# TYPE batchscribe_upload_bytes_total counter
batchscribe_upload_bytes_total 1400000000
";
        assert_eq!(render(&metrics), expected);
    }

    #[test]
    fn times_are_told_by_bounds() {
        let mut times = Histogram::new(&[100, 2_000]);
        [50, 100, 1_500, 9_000].into_iter().for_each(|ms| times.note(ms));
        let metric = Metric::new(Kind::Histogram, "request_seconds", "How long.");
        let expected = "# HELP batchscribe_request_seconds How long.
# TYPE batchscribe_request_seconds histogram
batchscribe_request_seconds_bucket{op=\"ask\",le=\"0.1\"} 2
batchscribe_request_seconds_bucket{op=\"ask\",le=\"2\"} 3
batchscribe_request_seconds_bucket{op=\"ask\",le=\"+Inf\"} 4
batchscribe_request_seconds_sum{op=\"ask\"} 10.65
batchscribe_request_seconds_count{op=\"ask\"} 4
";
        assert_eq!(render(&[metric.times(&vec![("op", "ask".to_owned())], &times)]), expected);
    }
}
