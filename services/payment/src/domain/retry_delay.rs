//! How long to wait before the provider is asked again.

use std::time::Duration;

use contracts::OrderId;

/// The longest delay, without what the jitter adds.
const MAX: Duration = Duration::from_mins(5);

/// The delay before the next attempt: 1 s after the first, doubled each time, 5 min at most, and up to a quarter more so
/// that a backlog does not come back all at once.
///
/// The jitter is drawn from the order's id, so that it is the same however often it is asked for.
#[must_use]
pub fn retry_delay(order_id: OrderId, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let delay = Duration::from_secs(1 << doublings).min(MAX);
    // The id's last bits are random (UUID versions 4 and 7) or a digest (version 5); each attempt takes others of them.
    let bits = order_id.as_uuid().as_u128().rotate_right(attempts.wrapping_mul(11) % 52);
    let share = u32::from(u8::try_from(bits & 0xff).unwrap_or(u8::MAX));
    delay + delay * share / (4 * 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn delays_double_up_to_five_minutes() {
        let nil = Uuid::nil().into();
        let seconds = |attempts| retry_delay(nil, attempts).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 9, 10, 100, u32::MAX].map(seconds), [1, 1, 2, 4, 8, 256, 300, 300, 300]);
    }

    #[test]
    fn the_jitter_spreads_orders_over_up_to_a_quarter_more() {
        let delays: Vec<Duration> = (0..1000).map(|_| retry_delay(OrderId::new(), 3)).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(4) && *most < Duration::from_secs(5));
        assert!(most.abs_diff(*least) > Duration::from_millis(800), "{least:?} to {most:?}");
    }

    #[test]
    fn each_attempt_of_an_order_is_spread_anew() {
        let order_id = OrderId::new();
        let jitter = |attempts| {
            let delay = retry_delay(order_id, attempts);
            delay.as_secs_f64() / f64::from(1_u32 << (attempts - 1))
        };
        assert!((1..8).any(|attempts| (jitter(attempts) - jitter(attempts + 1)).abs() > 0.01));
    }
}
