//! The report of a pilot: what became of its pages, how long the answers are, what the rest will cost.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::forecast;
use crate::domain::money::Money;
use crate::domain::reasons;
use crate::ledger::moves::ImageState;
use crate::ledger::reader::{Pilot, PilotPage};
use crate::settings::Settings;

use super::words;

/// What a pilot says, beside the numbers of its pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Findings {
    pages: u64,
    accepted: u64,
    /// Of the accepted ones.
    flagged: u64,
    rough: u64,
    /// Asked again, or ended without a text, by reason.
    rejected: BTreeMap<String, u64>,
    /// Output tokens of a page: median, mean, what 95 % of them do not exceed.
    output: Option<(u64, f64, u64)>,
    rest: u64,
    /// What the rest costs: lower end, as expected, upper end.
    cost: Option<[Money; 3]>,
}

/// What the pages of a pilot say of `rest` pages like them.
pub(super) fn findings(pilot: &Pilot, rest: u64) -> Findings {
    let mut findings = Findings { pages: pilot.pages.len() as u64, rest, ..Findings::default() };
    for page in &pilot.pages {
        match page.state {
            ImageState::Done => {
                findings.accepted += 1;
                findings.flagged += u64::from(page.is_flagged);
            }
            ImageState::Rough => findings.rough += 1,
            _ => {
                let reason = page.reason.clone().unwrap_or_else(|| "never_ran".to_owned());
                *findings.rejected.entry(reason).or_default() += 1;
            }
        }
    }
    let output: Vec<u64> = pilot.pages.iter().filter_map(|page| Some(page.usage?.output)).collect();
    findings.output = forecast::quantile(&output, 50)
        .zip(forecast::mean(&output))
        .zip(forecast::quantile(&output, 95))
        .map(|((median, mean), most)| (median, mean, most));
    findings.cost = cost(&pilot.pages, rest);
    findings
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a forecast, never negative")]
fn cost(pages: &[PilotPage], rest: u64) -> Option<[Money; 3]> {
    let bill = |page: &PilotPage| Some(page.price?.bill(&page.usage?).picos());
    let bills: Vec<u64> = pages.iter().filter_map(bill).collect();
    Some(forecast::sum_of_rest(&bills, rest)?.map(|picos| Money::from_picos(picos.round() as u64)))
}

/// The same in lines.
pub(super) fn lines(pilot: &Pilot, findings: &Findings, settings: &Settings) -> Vec<String> {
    if findings.pages == 0 {
        return vec!["Pilot: no page is left that was never asked".to_owned()];
    }
    let Findings { accepted, flagged, rough, rejected, .. } = findings;
    let pages = words::count(findings.pages, "page", "pages");
    let mut parts = vec![match flagged {
        0 => format!("{accepted} accepted"),
        _ => format!("{accepted} accepted, {flagged} of them flagged"),
    }];
    parts.extend((*rough > 0).then(|| format!("{rough} rough")));
    parts.extend(rejected.iter().map(|(reason, many)| format!("{many} {}", words::safe(&reasons::words(reason)))));
    let mut lines =
        vec![format!("Pilot of {pages}, drawn with seed {}: {}", words::safe(&pilot.seed), parts.join(" · "))];
    if let Some((median, mean, most)) = findings.output {
        lines.push(format!(" Output tokens: median {median}, mean {mean:.0}, 95 % of the pages at most {most}"));
    }
    lines.push(match findings.cost {
        _ if findings.rest == 0 => " Nothing else is owed.".to_owned(),
        Some([low, expected, high]) => {
            let rest = words::count(findings.rest, "page", "pages");
            format!(" The other {rest}: about {expected}, with 95 % certainty between {low} and {high}, retries apart")
        }
        None => " What the rest costs is unknown: two pages with tokens and a price would tell.".to_owned(),
    });
    let (look, go) = (words::command(settings, "review --pilot"), words::command(settings, "run"));
    lines.push(format!(" Look before you go on: {look}   ·   go on: {go}"));
    lines
}

/// The same as a document.
pub(super) fn document(pilot: &Pilot, findings: &Findings) -> Value {
    let output = findings.output.map(|(median, mean, most)| json!({"median": median, "mean": mean, "p95": most}));
    let cost = findings.cost.map(|[low, expected, high]| {
        json!({"low": low.usd(), "expected": expected.usd(), "high": high.usd(), "currency": "USD"})
    });
    json!({
        "seed": pilot.seed, "pages": findings.pages, "accepted": findings.accepted, "flagged": findings.flagged,
        "rough": findings.rough, "rejected": findings.rejected, "output_tokens": output, "rest": findings.rest,
        "rest_cost": cost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::finish::tests::settings;
    use crate::domain::batch::Usage;
    use crate::domain::money::Price;

    fn page(state: ImageState, reason: Option<&str>, output: u64) -> PilotPage {
        PilotPage {
            state,
            reason: reason.map(str::to_owned),
            is_flagged: output == 30,
            usage: Some(Usage { prompt: 100, output, ..Usage::default() }),
            price: Some(Price { input: 1_000_000, cached: 1_000_000, output: 10_000_000 }),
        }
    }

    #[test]
    fn a_pilot_in_words() {
        let pages = vec![
            page(ImageState::Done, None, 20),
            page(ImageState::Done, None, 30),
            page(ImageState::Owed, Some("truncated"), 40),
            page(ImageState::Failed, Some("refused"), 30),
        ];
        let pilot = Pilot { seed: "bcd".into(), pages };
        let settings = settings();
        let found = findings(&pilot, 1000);
        let expected = [
            "Pilot of 4 pages, drawn with seed bcd: 2 accepted, 1 of them flagged · 1 refused by the model · 1 cut off at the token limit",
            " Output tokens: median 30, mean 30, 95 % of the pages at most 40",
            " The other 1000 pages: about $0.40, with 95 % certainty between $0.27 and $0.53, retries apart",
            " Look before you go on: batchscribe review --pilot   ·   go on: batchscribe run",
        ];
        assert_eq!(lines(&pilot, &found, &settings), expected);
        let elsewhere = Settings { workspace_named: Some("there".into()), ..settings.clone() };
        let last = lines(&pilot, &found, &elsewhere).pop();
        let named = "batchscribe review --pilot --workspace there   ·   go on: batchscribe run --workspace there";
        assert_eq!(last.as_deref(), Some(format!(" Look before you go on: {named}").as_str()));
        assert_eq!(document(&pilot, &found)["rest_cost"]["expected"], 0.4);
        let nothing = Pilot { seed: "bcd".into(), pages: Vec::new() };
        assert_eq!(lines(&nothing, &findings(&nothing, 3), &settings), ["Pilot: no page is left that was never asked"]);
    }
}
