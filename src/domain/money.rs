//! Money, in whole picodollars (10⁻¹² USD): no sum is ever rounded on its way, and none is a float.
//!
//! One USD per million tokens is one million picodollars a token. The largest sum is 9.2 million USD; beyond it sums stay
//! there and do not wrap.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::sync::Arc;

use super::batch::Usage;
use super::recipe::Recipe;

/// Picodollars of one USD.
const USD: u64 = 1_000_000_000_000;
/// Picodollars of one microdollar, which is what the ledger keeps of the worst case of a shard.
const MICRO: u64 = 1_000_000;
/// The ledger's numbers are signed.
const MOST: u64 = i64::MAX.unsigned_abs();

/// An amount of money in picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount in picodollars.
    #[must_use]
    pub fn from_picos(picos: u64) -> Self {
        Self(picos.min(MOST))
    }

    /// An amount in millionths of a USD.
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        Self::from_picos(micros.saturating_mul(MICRO))
    }

    /// The amount in picodollars.
    #[must_use]
    pub fn picos(self) -> u64 {
        self.0
    }

    /// The amount in millionths of a USD, rounded up: what is kept for a worst case is never less than the worst case.
    #[must_use]
    pub fn micros_up(self) -> u64 {
        self.0.div_ceil(MICRO)
    }

    /// An amount in USD as people write it: `40`, `0.25`. At most twelve decimals; nothing else is read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 12 || text.ends_with('.') {
            return None;
        }
        let part = format!("{part:0<12}").parse::<u64>().ok()?;
        let picos = whole.parse::<u64>().ok()?.checked_mul(USD)?.checked_add(part)?;
        (picos <= MOST).then_some(Self(picos))
    }

    /// USD as a number for JSON and charts, to the microdollar; never for arithmetic.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits are more than a chart shows")]
    pub fn usd(self) -> f64 {
        ((self.0 + MICRO / 2) / MICRO) as f64 / 1e6
    }

    /// What is left of it after `other`; nothing if that is more.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times the amount.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self::from_picos(self.0.saturating_mul(count))
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::from_picos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

/// In USD, to the cent from one dollar on and with two digits that count below: `$12.40`, `$0.0031`. Rounded half up.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0 {
            0 => 2,
            picos if picos >= USD / 10 => 2,
            picos => {
                // Zeros behind the point, and two digits.
                let zeros = 11 - u64::from(picos.ilog10());
                usize::try_from(zeros).unwrap_or(10) + 2
            }
        }
        .min(12);
        let unit = 10u64.pow(u32::try_from(12 - decimals).unwrap_or(0));
        let rounded = (self.0 + unit / 2) / unit;
        let per_usd = USD / unit;
        let (whole, part) = (rounded / per_usd, rounded % per_usd);
        write!(f, "${whole}.{part:0decimals$}")
    }
}

/// What one model costs, in picodollars a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// A prompt token.
    pub input: u64,
    /// A prompt token that the provider had in its cache.
    pub cached: u64,
    /// An output token, reasoning included.
    pub output: u64,
}

impl Price {
    /// What so many prompt and output tokens cost where none is cached.
    #[must_use]
    pub fn of(&self, prompt: u64, output: u64) -> Money {
        let each = |tokens: u64, price: u64| Money::from_picos(tokens.saturating_mul(price));
        each(prompt, self.input) + each(output, self.output)
    }

    /// What a bill comes to.
    #[must_use]
    pub fn bill(&self, usage: &Usage) -> Money {
        let cached = usage.cached.min(usage.prompt);
        let each = |tokens: u64, price: u64| Money::from_picos(tokens.saturating_mul(price));
        each(usage.prompt - cached, self.input) + each(cached, self.cached) + each(usage.output, self.output)
    }
}

/// A price, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPrice {
    /// What is charged.
    pub price: Price,
    /// The day on which it was read there, such as `2026-11-01`.
    pub as_of: String,
    /// Whose list it is.
    pub source: String,
}

/// What lines of one recipe are charged, and how far each may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// By this price.
    pub list: ListPrice,
    /// Most output tokens of a line.
    pub most_output: u32,
    /// Prompt tokens that the provider counts for a hundred estimated ones.
    pub input_percent: u64,
}

/// What the lines of each recipe are charged; `None` where nobody knows.
pub type Charges = Arc<dyn Fn(&Recipe) -> Option<Charge> + Send + Sync>;

impl Charge {
    /// What so many lines cost at most, of so many estimated prompt tokens together: every one of them uses all the output tokens
    /// that it may.
    #[must_use]
    pub fn worst(&self, prompt: u64, lines: u64) -> Money {
        let prompt = prompt.saturating_mul(self.input_percent).div_ceil(100);
        self.list.price.of(prompt, lines.saturating_mul(self.most_output.into()))
    }
}

/// How a ledger stands with money, over all its runs and batches, second batches of a shard included. Work that no price is known
/// for is in none of the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    /// What may be spent; none: as much as it takes.
    pub limit: Option<Money>,
    /// Bills of what has ended, and the worst case of what has ended without telling its tokens.
    pub spent: Money,
    /// The worst case of what may still be billed.
    pub reserved: Money,
    /// The worst case of plans that no batch was opened for.
    pub waiting: Money,
    /// Whether a batch is not settled: its answers are still to come, and perhaps money that it does not use.
    pub living: bool,
}

impl Funds {
    /// Whether something that costs `need` at most may be begun now, beside `promised`.
    #[must_use]
    pub fn allow(&self, need: Money, promised: Money) -> bool {
        self.limit.is_none_or(|limit| self.spent + self.reserved + promised + need <= limit)
    }

    /// Whether it may be begun once nothing is reserved any more, should all of that cost nothing.
    #[must_use]
    pub fn could_allow(&self, need: Money) -> bool {
        self.limit.is_none_or(|limit| self.spent + need <= limit)
    }

    /// What a new plan may cost at most, whose first line costs `line` at most. Half of what is not spent, so that one plan can be
    /// prepared while another one is asked; less where that fits into what is free now.
    #[must_use]
    pub fn for_a_plan(&self, line: Money) -> Option<Money> {
        let unspent = self.limit?.less(self.spent);
        let half = Money::from_picos(unspent.picos() / 2);
        let free = unspent.less(self.reserved).less(self.waiting);
        Some(if free < line { half } else { half.min(free) })
    }
}

/// Why something may not be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What was spent.
    pub spent: Money,
    /// What is reserved.
    pub reserved: Money,
    /// What may be spent.
    pub limit: Money,
    /// What it costs at most.
    pub need: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, picos) in [
            ("0", Some(0)),
            ("2", Some(2 * USD)),
            ("0.25", Some(USD / 4)),
            ("120.000000000001", Some(120 * USD + 1)),
            ("", None),
            (".5", None),
            ("5.", None),
            ("1,5", None),
            ("-1", None),
            ("1e3", None),
            ("0.0000000000001", None),
            ("9300000", None),
        ] {
            assert_eq!(Money::parse(text).map(Money::picos), picos, "{text:?}");
        }
    }

    #[test]
    fn amounts_are_shown_with_what_counts() {
        for (picos, shown) in [
            (0, "$0.00"),
            (1, "$0.000000000001"),
            (3_140_000_000, "$0.0031"),
            (99_950_000_000, "$0.100"),
            (240_000_000_000, "$0.24"),
            (12_395_000_000_000, "$12.40"),
            (1_999_999_999_999, "$2.00"),
        ] {
            assert_eq!(Money::from_picos(picos).to_string(), shown, "{picos}");
        }
    }

    #[test]
    fn a_plan_takes_half_of_what_is_left_or_what_is_free() {
        let micros = |micros: u64| Money::from_micros(micros);
        let funds = |spent: u64, reserved: u64, waiting: u64| Funds {
            limit: Some(micros(100)),
            spent: micros(spent),
            reserved: micros(reserved),
            waiting: micros(waiting),
            living: true,
        };
        for ((spent, reserved, waiting), expected) in [
            ((0, 0, 0), 50),
            ((0, 50, 0), 50),
            ((0, 50, 20), 30),
            ((0, 50, 48), 50),
            ((0, 50, 50), 50),
            ((40, 50, 0), 10),
            ((90, 0, 0), 5),
            ((120, 0, 0), 0),
        ] {
            let bound = funds(spent, reserved, waiting).for_a_plan(micros(3));
            assert_eq!(bound, Some(micros(expected)), "{spent} {reserved} {waiting}");
        }
        assert_eq!(Funds::default().for_a_plan(micros(3)), None);

        let tight = funds(40, 50, 7);
        assert!(tight.allow(micros(10), Money::ZERO) && !tight.allow(micros(10), micros(1)));
        assert!(tight.could_allow(micros(60)) && !tight.could_allow(micros(61)));
    }

    #[test]
    fn a_bill_and_a_worst_case() {
        let price = Price { input: 1_250_000, cached: 625_000, output: 5_000_000 };
        let usage = Usage { prompt: 983, cached: 500, output: 100, reasoning: 40 };
        assert_eq!(price.bill(&usage).picos(), 483 * 1_250_000 + 500 * 625_000 + 100 * 5_000_000);
        assert_eq!(price.of(983, 100).picos(), 983 * 1_250_000 + 100 * 5_000_000);
        assert!(price.bill(&usage) <= price.of(usage.prompt, usage.output));
        assert_eq!(Money::from_picos(1).micros_up(), 1);
        assert_eq!(Money::from_micros(5).micros_up(), 5);
        assert_eq!(Money::from_picos(u64::MAX).times(9), Money::from_picos(MOST));
    }
}
