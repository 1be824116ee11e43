//! Amounts: exactly what arithmetic on the digits says, whatever the notation.

#![no_main]

use contracts::money::InvalidMoney;
use contracts::order::CreateOrder;
use contracts::{Money, MoneyTotal};
use libfuzzer_sys::fuzz_target;

/// [`Money::MAX`] in cents.
const MAX: u128 = 99_999_999_999_999;

fuzz_target!(|text: &str| {
    let money = text.parse::<Money>();
    let expected = cents_of(text);
    match &money {
        Ok(money) => {
            assert_eq!(expected, Some(cents(*money)), "{text} is read as {money}");
            assert_eq!(money.to_string().parse(), Ok(*money));
            let json = serde_json::to_string(money).expect("an amount is JSON");
            assert_eq!(serde_json::from_str::<Money>(&json).expect("and is read again"), *money);
        }
        Err(error) => assert_eq!(expected, None, "{text} is refused: {error}"),
    }

    if money == Err(InvalidMoney::NotANumber) {
        return;
    }
    // The same in a body, where it is a number and no text.
    let body = format!(r#"{{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":{text}}}"#);
    if let Ok(order) = CreateOrder::from_json(body.as_bytes()) {
        assert_eq!(expected, Some(cents(order.total)), "{body} is an order of {}", order.total);
    }

    if let Ok(total) = serde_json::from_str::<MoneyTotal>(text) {
        let json = serde_json::to_string(&total).expect("a sum is JSON");
        assert_eq!(serde_json::from_str::<MoneyTotal>(&json).expect("and is read again"), total);
        if let Ok(money) = money
            && let Some(more) = total.checked_add(money)
        {
            assert_eq!(more.as_decimal() - total.as_decimal(), money.as_decimal(), "a sum is exact");
        }
    }
});

/// An amount in cents, from its text.
fn cents(money: Money) -> u128 {
    let text = money.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<2}").parse().expect("an amount has digits")
}

/// The cents of a number in JSON's notation (RFC 8259 §6), by its digits alone; `None` if it is no amount.
fn cents_of(text: &str) -> Option<u128> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !is_number(whole) || !is_number(fraction) || !is_number(exponent_digits) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return None;
    }
    // How many zeros follow the significant digits, in cents.
    let zeros =
        i128::try_from(digits.len() - significant.len()).ok()? - i128::try_from(fraction.len()).ok()? + 2;
    let zeros = zeros.checked_add(exponent.parse().ok()?)?;
    let power = 10_u128.checked_pow(u32::try_from(zeros).ok()?)?;
    significant.parse::<u128>().ok()?.checked_mul(power).filter(|cents| *cents <= MAX)
}
