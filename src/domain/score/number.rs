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
    let sticky = u128::from(!scaled.is_multiple_of(divisor));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_is_pythons() {
        // What Python 3.11 prints for round(x, 0), round(x, 1) and round(x, 2).
        let cases = [
            (0.05, [0.0, 0.1, 0.05]),
            (0.15, [0.0, 0.1, 0.15]),
            (0.25, [0.0, 0.2, 0.25]),
            (0.35, [0.0, 0.3, 0.35]),
            (0.45, [0.0, 0.5, 0.45]),
            (0.125, [0.0, 0.1, 0.12]),
            (0.375, [0.0, 0.4, 0.38]),
            (1.5, [2.0, 1.5, 1.5]),
            (2.5, [2.0, 2.5, 2.5]),
            (2.675, [3.0, 2.7, 2.67]),
            (1.005, [1.0, 1.0, 1.0]),
            (1e16, [1e16, 1e16, 1e16]),
            (
                123_456_789.35,
                [123_456_789.0, 123_456_789.3, 123_456_789.35],
            ),
            (f64::MAX, [f64::MAX, f64::MAX, f64::MAX]),
        ];
        for (x, rounded) in cases {
            for (digits, expected) in rounded.into_iter().enumerate() {
                assert_eq!(round_half_even(x, digits), expected, "round({x}, {digits})");
                assert_eq!(round_half_even(-x, digits), -expected);
            }
        }
    }

    #[test]
    fn rounding_keeps_the_sign_of_zero_and_what_is_no_number() {
        for tiny in [-0.0, -0.04, -5e-324] {
            let rounded = round_half_even(tiny, 1);
            assert!(rounded == 0.0 && rounded.is_sign_negative(), "{tiny}");
        }
        assert!(round_half_even(f64::NAN, 1).is_nan());
        assert_eq!(round_half_even(f64::NEG_INFINITY, 1), f64::NEG_INFINITY);
    }

    #[test]
    fn an_integer_comes_of_rounding_or_nothing() {
        let cases = [
            (0.5, Some(0)),
            (1.5, Some(2)),
            (-2.5, Some(-2)),
            (-0.4, Some(0)),
            (1e20, Some(10_i128.pow(20))),
            (2_f64.powi(126), Some(1 << 126)),
            (2_f64.powi(127), None),
            (f64::MAX, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (x, expected) in cases {
            assert_eq!(round_to_integer(x), expected, "{x}");
        }
    }

    #[test]
    fn comparisons_keep_pythons_order() {
        assert_eq!(at_most_hundred(100.5), 100.0);
        assert_eq!(at_most_hundred(-7.25), -7.25);
        assert_eq!(at_most_hundred(f64::NAN), 100.0, "min(100, nan) is 100");
        let nan = Number::Float(f64::NAN).at_least_one();
        assert!(matches!(nan, Number::Float(x) if x.is_nan()));
        assert_eq!(Number::Float(0.5).at_least_one(), Number::Int(1));
        assert_eq!(Number::Float(1.0).at_least_one(), Number::Float(1.0));
        assert_eq!(Number::Int(-3).at_least_one(), Number::Int(1));
    }

    #[test]
    fn a_float_makes_a_float_of_the_rest() {
        let (int, float) = (Number::Int((1 << 53) + 1), Number::Float(0.0));
        let lost = Number::Float(9_007_199_254_740_992.0);
        assert_eq!(int.plus(float), lost);
        assert_eq!(int.minus(float), lost);
        assert_eq!(int.doubled(), Number::Int((1 << 54) + 2));
        assert_eq!(Number::Float(0.5).doubled(), Number::Float(1.0));
        assert_eq!(int.over(Number::Float(2.0)), 4_503_599_627_370_496.0);
    }

    /// A double as `mantissa · 2^exponent`, exactly; the mantissa has 53 bits.
    fn parts(x: f64) -> (u128, i32) {
        let bits = x.to_bits();
        let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap();
        let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
        (mantissa, exponent - 1075)
    }

    /// Whether `x` is the double nearest to `a / b`, found by multiplying instead of dividing.
    fn is_nearest(x: f64, a: u128, b: u128) -> bool {
        if a == 0 {
            return x == 0.0;
        }
        let (mantissa, exponent) = parts(x);
        // 2a against b·(2·mantissa ± 1)·2^exponent: half a unit in the last place to each side.
        let (left, scale) = if exponent < 0 {
            ((2 * a) << exponent.unsigned_abs(), 1)
        } else {
            (2 * a, 1_u128 << exponent)
        };
        let low = b * (2 * mantissa - 1) * scale;
        let high = b * (2 * mantissa + 1) * scale;
        let even = mantissa % 2 == 0;
        (low < left && left < high) || (even && (left == low || left == high))
    }

    /// Numbers of any length up to `bits`, all lengths alike.
    fn up_to(bits: u32) -> impl Strategy<Value = u128> {
        (any::<u128>(), 128 - bits..128).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn a_quotient_is_rounded_once(a in up_to(66), b in up_to(64)) {
            let b = b.max(1);
            let (dividend, divisor) = (i128::try_from(a).unwrap(), i128::try_from(b).unwrap());
            let x = quotient(dividend, divisor);
            prop_assert!(is_nearest(x, a, b), "{a} / {b} = {x}");
            prop_assert_eq!(quotient(-dividend, divisor), -x);
        }

        /// Quotients that lie on the middle between two doubles, and just beside it.
        #[test]
        fn a_quotient_on_a_tie_goes_to_the_even_side(
            mantissa in 1_u128 << 52..1 << 53,
            b in 1_u128..1 << 11,
            beside in -1_i128..=1,
        ) {
            let tie = i128::try_from((2 * mantissa + 1) * b).unwrap();
            let a = tie + beside;
            let x = quotient(a, i128::try_from(b).unwrap());
            prop_assert!(is_nearest(x, a.unsigned_abs(), b), "{a} / {b} = {x}");
        }

        /// The same rounding by whole numbers: the exact value times 10^digits, half to even.
        #[test]
        fn rounding_agrees_with_exact_arithmetic(
            mantissa in 0_u64..1 << 53,
            shift in 1_u32..60,
            digits in 0_u32..=2,
        ) {
            let x = mantissa as f64 / (1_u64 << shift) as f64;
            let scaled = u128::from(mantissa) * 10_u128.pow(digits);
            let (whole, rest) = (scaled >> shift, scaled & ((1 << shift) - 1));
            let half = 1_u128 << (shift - 1);
            let up = rest > half || (rest == half && whole % 2 == 1);
            let units = whole + u128::from(up);
            // Both are exact here, so this division is rounded once.
            prop_assume!(units < 1 << 53);
            let expected = units as f64 / 10_f64.powi(i32::try_from(digits).unwrap());
            prop_assert_eq!(round_half_even(x, usize::try_from(digits).unwrap()), expected);
            if digits == 0 {
                prop_assert_eq!(round_to_integer(x), i128::try_from(units).ok());
            }
        }
    }
}
