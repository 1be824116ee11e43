//! The full pass: all orders and payments, side by side in the order of the orders' ids, a page at a time.

use std::time::{Duration, Instant};

use contracts::books::exchange::{OrderRows, PaymentRows, RecordsAfter};
use contracts::books::records::SagaRecords;
use contracts::books::{BooksState, FullPass, PassState};
use contracts::{MoneyTotal, OrderId, OrderStatus, Timestamp};
use uuid::Uuid;

use super::comparison::{self, Compared, Finding};
use super::services::{Failure, Services};
use super::settling::Settling;

/// Records of a page.
const PAGE: u16 = 500;

/// How many times longer than a page the pause after it is: a pass takes at most a tenth of a core of all processes together.
const PAUSE_PER_PAGE: u32 = 9;

/// Compares the next page of the pass that is under way; returns how long to pause.
pub(super) async fn next_page(
    services: &Services,
    state: &mut BooksState,
    settling: &mut Settling,
) -> Result<Duration, Failure> {
    let Some(pass) = &state.pass else { return Ok(Duration::ZERO) };
    let started = Instant::now();
    let after = pass.after.unwrap_or_else(|| Uuid::nil().into());
    let (mut orders, mut payments) = services.records_after(RecordsAfter { after, limit: PAGE }).await?;
    let last = cut(&mut orders, &mut payments);
    let provider_known = payments.provider_known;
    let found = comparison::judge(services, orders, payments).await?;
    for compared in found {
        add(compared, state, settling, provider_known);
    }
    if let Some(pass) = &mut state.pass {
        match last {
            Some(last) => pass.after = Some(last),
            None => finish(state),
        }
    }
    Ok(started.elapsed() * PAUSE_PER_PAGE)
}

/// Leaves what both pages have read to its end, and returns the last order of that; `None` if nothing comes behind.
fn cut(orders: &mut OrderRows, payments: &mut PaymentRows) -> Option<OrderId> {
    let is_full = |rows: usize| rows >= usize::from(PAGE);
    let last_order = orders.orders.last().filter(|_| is_full(orders.orders.len())).map(|row| row.id);
    let last_payment =
        payments.payments.last().filter(|_| is_full(payments.payments.len())).map(|row| row.order_id);
    let last = last_order.into_iter().chain(last_payment).min()?;
    orders.orders.retain(|row| row.id <= last);
    payments.payments.retain(|row| row.order_id <= last);
    Some(last)
}

fn add(compared: Compared, state: &mut BooksState, settling: &mut Settling, provider_known: bool) {
    let Compared { order_id, finding } = compared;
    let Some(pass) = &mut state.pass else { return };
    pass.orders += 1;
    if !provider_known {
        pass.held = None;
    }
    match finding {
        Finding::Settled(records) => {
            count(pass, &records);
            state.remove(order_id);
        }
        Finding::InFlight => {
            pass.in_flight += 1;
            settling.wait(order_id, Instant::now());
            state.remove(order_id);
        }
        Finding::Wrong(records, disagreement) => {
            count(pass, &records);
            if !state.add(*disagreement)
                && let Some(pass) = &mut state.pass
            {
                pass.further += 1;
            }
        }
        Finding::Newer(rows) => pass.newer_rows += rows,
    }
}

/// Adds an order to both sums.
///
/// They are of the same orders, those that are not in flight. Of each that the judge finds settled, both have the same amount or
/// neither has any: it is `PAID` exactly if its payment is `APPROVED`, and that exactly if the provider has its money, as much as
/// the order's total. So what the sums differ by is what the disagreements make of it, whatever happens while the pass goes on,
/// and however many orders are in flight.
fn count(pass: &mut PassState, records: &SagaRecords) {
    // A sum that does not fit into 28 digits stays where it is.
    let add = |sum: MoneyTotal, amount| sum.checked_add(amount).unwrap_or(sum);
    if let Some(order) = records.order.as_ref().filter(|order| order.status == OrderStatus::Paid) {
        pass.paid = add(pass.paid, order.total);
    }
    let charge = records.charge.as_ref().filter(|_| records.money_is_held());
    if let (Some(held), Some(charge)) = (pass.held, charge) {
        pass.held = Some(add(held, charge.amount));
    }
}

fn finish(state: &mut BooksState) {
    let Some(pass) = state.pass.take() else { return };
    let PassState { started_at, orders, in_flight, newer_rows, paid, held, further, .. } = pass;
    state.further = further;
    let finished_at = Timestamp::now();
    state.last_pass = Some(FullPass { started_at, finished_at, orders, in_flight, newer_rows, paid, held });
}

#[cfg(test)]
mod tests {
    use contracts::books::rows::{OrderRow, PaymentRow};

    use super::*;

    fn id(number: u128) -> OrderId {
        Uuid::from_u128(number).into()
    }

    fn orders(ids: impl Iterator<Item = u128>) -> OrderRows {
        let row = |number| OrderRow {
            id: id(number),
            total: "10".parse().unwrap(),
            status: "PAID".to_owned(),
            age: 60.0,
            overdue: None,
        };
        OrderRows { orders: ids.map(row).collect() }
    }

    fn payments(ids: impl Iterator<Item = u128>) -> PaymentRows {
        let row = |number| PaymentRow {
            order_id: id(number),
            id: Uuid::from_u128(number).into(),
            amount: "10".parse().unwrap(),
            status: "APPROVED".to_owned(),
            next_step: None,
            step_overdue: None,
            attempts: 1,
            last_error: None,
            refund_refusal: None,
            refund_reference: None,
            age: 60.0,
            charged: None,
            outcome: None,
            refunded: false,
            charge_forgotten: false,
        };
        PaymentRows { payments: ids.map(row).collect(), provider_known: false }
    }

    #[test]
    fn both_pages_are_read_as_far_as_the_shorter_one_goes() {
        // Every second payment is missing, so that the payments' page goes twice as far as the orders'.
        let mut both = (orders(1..=500), payments((1..=500).map(|number| 2 * number)));
        assert_eq!(cut(&mut both.0, &mut both.1), Some(id(500)));
        assert_eq!((both.0.orders.len(), both.1.payments.len()), (500, 250));
        // The orders have come to their end, and payments without one have not.
        let mut both = (orders(1..=3), payments(1..=500));
        assert_eq!(cut(&mut both.0, &mut both.1), Some(id(500)));
        assert_eq!((both.0.orders.len(), both.1.payments.len()), (3, 500));
        let mut both = (orders(1..=3), payments(2..=5));
        assert_eq!(cut(&mut both.0, &mut both.1), None);
        assert_eq!((both.0.orders.len(), both.1.payments.len()), (3, 4));
    }

    #[test]
    fn a_disagreement_that_lost_its_room_during_a_pass_is_counted_after_it() {
        let mut state = BooksState { further: 7, ..BooksState::default() };
        state.pass = Some(PassState::new(Timestamp::now()));
        state.count_further();
        assert_eq!(state.further, 8);
        finish(&mut state);
        assert_eq!(state.further, 1, "what there was before the pass is counted anew");
        state.count_further();
        assert_eq!(state.further, 2);
    }
}
