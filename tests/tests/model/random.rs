//! Long random histories: any permutation and duplication of a saga's events, with crashes in between, up to their end.

use contracts::{OrderStatus, PaymentStatus};
use proptest::prelude::*;

use crate::actions::Action;
use crate::invariants;
use crate::provider::Outcome;
use crate::world::World;

/// Walks through a world by the given choices; `allow` leaves actions out.
fn walk(choices: &[prop::sample::Index], allow: impl Fn(Action) -> bool) -> Result<World, String> {
    let mut world = World::new();
    for choice in choices {
        let actions: Vec<_> = world.actions(None).into_iter().filter(|action| allow(*action)).collect();
        if actions.is_empty() {
            break;
        }
        let action = *choice.get(&actions);
        let next = world.after(action, None);
        invariants::always(&next)?;
        invariants::step(&world, action, &next)?;
        world = next;
    }
    Ok(world)
}

fn choices() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_balance_in_the_end(choices in choices()) {
        let rest = walk(&choices, |_| true).and_then(|world| invariants::at_rest(&world.completed(None)));
        prop_assert_eq!(rest, Ok(()));
    }

    #[test]
    fn without_a_cancellation_the_provider_alone_decides(choices in choices()) {
        let undisturbed =
            |action| !matches!(action, Action::AskToCancel | Action::PassDeadline | Action::Expire);
        let world = walk(&choices, undisturbed).map_err(TestCaseError::fail)?;
        let end = world.completed(None);
        let expected = match end.provider.charge {
            Some(Outcome::Approved) => (OrderStatus::Paid, PaymentStatus::Approved),
            Some(Outcome::Declined) => (OrderStatus::Cancelled, PaymentStatus::Declined),
            Some(Outcome::Failed) => (OrderStatus::Failed, PaymentStatus::Failed),
            None => return Err(TestCaseError::fail("nothing was charged")),
        };
        prop_assert_eq!((end.order_status(), end.payment_status()), (Some(expected.0), Some(expected.1)));
    }
}
