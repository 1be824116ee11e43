//! Exact amounts of money. No binary floating point anywhere between the wire and the database.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use thiserror::Error;

/// Digits after the decimal point that an amount may have.
const DECIMALS: u32 = 2;

/// An amount that can be charged: more than 0, at most 2 decimals, at most [`Money::MAX`].
///
/// On the wire it is a JSON number and keeps its exact value: `999` comes back as `999`, `999.99` as `999.99`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(Decimal);

/// Why a number is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidMoney {
    /// Not a decimal number.
    #[error("must be a number")]
    NotANumber,
    /// Zero or negative.
    #[error("must be greater than 0")]
    NotPositive,
    /// A fraction of a cent.
    #[error("must have at most 2 decimals")]
    TooManyDecimals,
    /// Above [`Money::MAX`].
    #[error("must be at most {}", Money::MAX)]
    TooLarge,
}

impl Money {
    /// The largest amount: 999 999 999 999.99.
    pub const MAX: Self = Self(Decimal::from_parts(276_447_231, 23_283, 0, false, DECIMALS));

    /// The whole cents beyond the last full unit, 0 to 99.
    #[must_use]
    pub fn cents(self) -> u32 {
        let cents = (self.0 - self.0.trunc()) * Decimal::ONE_HUNDRED;
        u32::try_from(cents.mantissa() / 10_i128.pow(cents.scale())).unwrap_or_default()
    }

    /// The same amount for a database driver.
    #[must_use]
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Money {
    type Error = InvalidMoney;

    fn try_from(value: Decimal) -> Result<Self, InvalidMoney> {
        let value = value.normalize();
        if value <= Decimal::ZERO {
            Err(InvalidMoney::NotPositive)
        } else if value > Self::MAX.0 {
            Err(InvalidMoney::TooLarge)
        } else if value.scale() > DECIMALS {
            Err(InvalidMoney::TooManyDecimals)
        } else {
            Ok(Self(value))
        }
    }
}

impl std::str::FromStr for Money {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        parse_decimal(text)?.try_into()
    }
}

/// A sum of amounts, exact. Zero is a sum; there is no upper limit but the one that [`MoneyTotal::checked_add`] reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoneyTotal(Decimal);

impl MoneyTotal {
    /// The sum of nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The sum with one more amount, or `None` beyond 28 digits.
    #[must_use]
    pub fn checked_add(self, amount: impl Into<Self>) -> Option<Self> {
        self.0.checked_add(amount.into().0).map(Self)
    }

    /// The same sum for a database driver.
    #[must_use]
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl From<Decimal> for MoneyTotal {
    fn from(value: Decimal) -> Self {
        Self(value.normalize())
    }
}

impl From<Money> for MoneyTotal {
    fn from(amount: Money) -> Self {
        Self(amount.0)
    }
}

/// Reads plain (`999.99`) and scientific (`1e3`) notation as JSON has them (RFC 8259 §6), every digit exactly.
fn parse_decimal(text: &str) -> Result<Decimal, InvalidMoney> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (digits, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if ![whole, fraction, exponent_digits].into_iter().all(is_number) {
        return Err(InvalidMoney::NotANumber);
    }
    // Zeros at both ends count for nothing: they are the exponent's.
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Decimal::ZERO);
    }
    // What a decimal of 28 digits can't hold is a number all the same, and no amount.
    let beyond = |small: bool| match (negative, small) {
        (true, _) => InvalidMoney::NotPositive,
        (false, true) => InvalidMoney::TooManyDecimals,
        (false, false) => InvalidMoney::TooLarge,
    };
    let zeros = exponent.parse().ok().and_then(|exponent: i64| {
        let fraction = i64::try_from(fraction.len()).ok()?;
        exponent
            .checked_sub(fraction)?
            .checked_add_unsigned((digits.len() - significant.len()).try_into().ok()?)
    });
    let zeros = zeros.ok_or_else(|| beyond(exponent.starts_with('-')))?;
    let beyond = beyond(zeros < 0);
    let scale = u32::try_from(zeros.min(0).unsigned_abs()).map_err(|_| beyond)?;
    let power =
        u32::try_from(zeros.max(0)).ok().and_then(|zeros| 10_i128.checked_pow(zeros)).ok_or(beyond)?;
    let mantissa =
        significant.parse::<i128>().ok().and_then(|digits| digits.checked_mul(power)).ok_or(beyond)?;
    let mantissa = if negative { -mantissa } else { mantissa };
    Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| beyond)
}

/// The digits of a JSON number as they were written.
pub(crate) fn number_text(json: &RawValue) -> Result<&str, InvalidMoney> {
    let text = json.get();
    if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(InvalidMoney::NotANumber)
    }
}

macro_rules! number {
    ($name:ident, $parse:expr) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.normalize().fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // As text: a JSON number has any number of digits, a binary one has not.
                RawValue::from_string(self.to_string())
                    .map_err(serde::ser::Error::custom)?
                    .serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = <Box<RawValue>>::deserialize(deserializer)?;
                $parse(number_text(&raw).map_err(de::Error::custom)?).map_err(de::Error::custom)
            }
        }
    };
}

number!(Money, str::parse::<Money>);
number!(MoneyTotal, |text| parse_decimal(text).map(MoneyTotal::from));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Money, String> {
        serde_json::from_str::<Money>(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_amount_comes_back_as_it_went() {
        for (json, back) in [
            ("999", "999"),
            ("999.99", "999.99"),
            ("0.01", "0.01"),
            ("10.50", "10.5"),
            ("1e3", "1000"),
            ("1.5E+2", "150"),
            ("12345e-2", "123.45"),
            ("1000e-3", "1"),
            ("1.00000000000000000000000000000000000000", "1"),
            ("100000000000000000000000000000e-27", "100"),
            ("0.0000000000000000000000000000000000000100e40", "100"),
            ("999999999999.99", "999999999999.99"),
        ] {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), back, "{json}");
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused_with_the_reason() {
        for (json, reason) in [
            ("0", "greater than 0"),
            ("-0", "greater than 0"),
            ("-1", "greater than 0"),
            ("0.001", "at most 2 decimals"),
            ("0.30000000000000004", "at most 2 decimals"),
            ("1.000000000000000000000000000000000001", "at most 2 decimals"),
            ("1000000000000", "at most 999999999999.99"),
            ("999999999999.991", "at most 999999999999.99"),
            ("1e15", "at most 999999999999.99"),
            ("1e400", "at most 999999999999.99"),
            ("1e-400", "at most 2 decimals"),
            ("9.999999999999999999999999999999e2", "at most 2 decimals"),
            ("1e99999999999999999999", "at most 999999999999.99"),
            ("1e-99999999999999999999", "at most 2 decimals"),
            ("-1e400", "greater than 0"),
            ("123456789012345678901234567890", "at most 999999999999.99"),
            ("\"12\"", "must be a number"),
            ("null", "must be a number"),
            ("true", "must be a number"),
            ("{}", "must be a number"),
            ("{\"$serde_json::private::Number\":\"12\"}", "must be a number"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }

    #[test]
    fn what_json_would_not_take_for_a_number_is_none() {
        for text in ["", ".5", "5.", "1_000", "+1", "--1", "1-2", "1e", "1e+", "1e1.5", " 1"] {
            assert_eq!(text.parse::<Money>(), Err(InvalidMoney::NotANumber), "{text}");
        }
    }

    #[test]
    fn cents_are_what_follows_the_point() {
        for (text, cents) in [("7", 0), ("7.5", 50), ("7.05", 5), ("0.99", 99), ("999999999999.99", 99)] {
            assert_eq!(text.parse::<Money>().unwrap().cents(), cents, "{text}");
        }
    }

    #[test]
    fn a_sum_is_exact_and_says_when_it_overflows() {
        let dime: Money = "0.1".parse().unwrap();
        let sum =
            MoneyTotal::ZERO.checked_add(dime).unwrap().checked_add(dime).unwrap().checked_add(dime).unwrap();
        assert_eq!(sum.to_string(), "0.3");
        assert_eq!(MoneyTotal(Decimal::MAX).checked_add(Money::MAX), None);
    }

    proptest! {
        #[test]
        fn every_number_of_cents_survives_the_wire(cents in 1_i64..=99_999_999_999_999) {
            let money = Money::try_from(Decimal::new(cents, DECIMALS)).unwrap();
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }
    }
}
