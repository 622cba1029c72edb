//! Numbers as Python computes with them: integers exact, floats as f64, the mix as Python mixes.
//!
//! The article's scores come out of Python's operators. Doing the same in plain f64 differs in
//! the last digit once a count passes 2^53 or a value lies on a rounding tie.

/// A number as SQLite hands it to Python: an `int` or a `float`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Exact. Sums of three counts stay far inside 128 bits.
    Int(i128),
    /// A double.
    Float(f64),
}

impl Number {
    /// Python's `float(x)`; an integer is rounded to the nearest double.
    fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// Python's `self - other`.
    pub(super) fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a - b),
            _ => Self::Float(self.as_float() - other.as_float()),
        }
    }

    /// Python's `self + other`.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a + b),
            _ => Self::Float(self.as_float() + other.as_float()),
        }
    }

    /// Python's `2 * self`.
    pub(super) fn doubled(self) -> Self {
        match self {
            Self::Int(int) => Self::Int(2 * int),
            Self::Float(float) => Self::Float(2.0 * float),
        }
    }

    /// Python's `max(self, 1)`: the 1 wins only where it is greater, so NaN stays.
    pub(super) fn at_least_one(self) -> Self {
        match self {
            Self::Int(int) => Self::Int(int.max(1)),
            Self::Float(float) if 1.0 > float => Self::Int(1),
            Self::Float(_) => self,
        }
    }

    /// Python's `self / divisor` for a divisor above zero.
    pub(super) fn over(self, divisor: Self) -> f64 {
        match (self, divisor) {
            (Self::Int(a), Self::Int(b)) => quotient(a, b),
            _ => self.as_float() / divisor.as_float(),
        }
    }
}

/// Integers up to here are doubles themselves, so one hardware division is correctly rounded.
const EXACT: u128 = 1 << 53;

/// `a / b` rounded once, to the nearest double, ties to even: Python's `int / int`.
///
/// Holds for `|a| < 2^72` and `0 < b <= 2^65`, which every pair of counts and times satisfies.
fn quotient(a: i128, b: i128) -> f64 {
    let (dividend, divisor) = (a.unsigned_abs(), b.unsigned_abs());
    if dividend <= EXACT && divisor <= EXACT {
        return a as f64 / b as f64;
    }
    // The quotient gets 55 bits or more, so that what lies under its last one can be folded into
    // that bit: the single rounding happens in the conversion to f64.
    let shift = (55 + bits(divisor)).saturating_sub(bits(dividend));
    let scaled = dividend << shift;
    let sticky = u128::from(scaled % divisor != 0);
    let magnitude = ((scaled / divisor) | sticky) as f64 / power_of_two(shift);
    if (a < 0) == (b < 0) {
        magnitude
    } else {
        -magnitude
    }
}

const fn bits(x: u128) -> u32 {
    u128::BITS - x.leading_zeros()
}

/// 2^exponent, exactly, for exponents a double can hold.
fn power_of_two(exponent: u32) -> f64 {
    f64::from_bits((1023 + u64::from(exponent)) << 52)
}

/// Python's `min(100, x)`: 100 unless `x` is below it, so NaN becomes 100.
pub(super) fn at_most_hundred(x: f64) -> f64 {
    if x < 100.0 { x } else { 100.0 }
}

/// Python's `round(x, digits)`: the exact binary value to `digits` decimals, ties to even.
///
/// NaN, infinities and -0.0 stay what they are.
#[must_use]
pub fn round_half_even(x: f64, digits: usize) -> f64 {
    // Formatting rounds the exact value; `x * 10^digits` would round a second time.
    format!("{x:.digits$}").parse().unwrap_or(x)
}

/// Python's `round(x)` to an integer; none for NaN, infinities and what 128 bits cannot hold.
pub(super) fn round_to_integer(x: f64) -> Option<i128> {
    format!("{x:.0}").parse().ok()
}
