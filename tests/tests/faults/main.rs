//! The short form of the fault suite (`./dev faults` is the long one): a few faults, one after the other, with the same
//! judge, and a test of the judge.

use std::time::Duration;

use contracts::topology::Service;
use local_stack::Installation;
use sqlx::AssertSqlSafe;
use tests::faults::launch::Plan;
use tests::faults::oracle::Outcome;
use tests::faults::rig::{Programs, Rig};
use tests::faults::run::run;
use tests::faults::servers::Servers;
use tests::faults::{scenarios, table};

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_no_order_charge_none_twice_and_leave_none_stuck_and_the_judge_detects_each() {
    let seed = rand::random_range(0..1_000_000);
    eprintln!("seed {seed}");
    let programs = Programs::as_delivered();
    let mut servers = Servers::start(&Installation::of_this_machine()).await.expect("the servers start");
    the_judge_detects_tampering(&mut servers, &programs, seed).await;
    let mut rows = Vec::new();
    for scenario in scenarios::all().iter().filter(|scenario| scenario.short) {
        rows.push(run(scenario, &mut servers, &programs, seed).await);
    }
    servers.stop().await.expect("the servers stop");
    assert!(rows.iter().all(|row| row.outcome.is_good()), "seed {seed}\n{}", table::plain(&rows));
}

/// Each case tampers with a system at rest as a bug might do, and names the column that must count it.
async fn the_judge_detects_tampering(servers: &mut Servers, programs: &Programs, seed: u64) {
    type Column = fn(&Outcome) -> u64;
    let cases: [(&str, Service, &str, Column); 6] = [
        (
            "an accepted order is missing",
            Service::Order,
            "DELETE FROM orders WHERE id = (SELECT id FROM orders WHERE status = 'FAILED' LIMIT 1)",
            |outcome| outcome.lost,
        ),
        (
            "a cancelled order is paid",
            Service::Order,
            "UPDATE orders SET status = 'PAID', cancel_reason = NULL
             WHERE id = (SELECT id FROM orders WHERE cancel_reason = 'USER_REQUESTED' LIMIT 1)",
            |outcome| outcome.lost,
        ),
        (
            "an order that was not requested",
            Service::Order,
            "INSERT INTO orders SELECT gen_random_uuid(), user_id, total, 'CANCELLED', 'USER_REQUESTED', NULL, '{}'
             FROM orders LIMIT 1",
            |outcome| outcome.double_charged,
        ),
        (
            "a charge without a payment",
            Service::Payment,
            "INSERT INTO provider_simulator.charges VALUES (gen_random_uuid(), 1, 'APPROVED', 't')",
            |outcome| outcome.double_charged,
        ),
        (
            "a refund of a paid order",
            Service::Payment,
            "UPDATE provider_simulator.charges SET refunded_at = now() WHERE payment_id =
             (SELECT id FROM payments WHERE status = 'APPROVED' LIMIT 1)",
            |outcome| outcome.double_charged,
        ),
        (
            "an order that stays pending",
            Service::Order,
            "UPDATE orders SET status = 'PENDING_PAYMENT' WHERE id = (SELECT id FROM orders WHERE status = 'PAID' LIMIT 1)",
            |outcome| outcome.stuck,
        ),
    ];
    let mut rig = Rig::new(servers, programs, seed).await;
    rig.start(&Plan::default()).await;
    let load = rig.load();
    // Enough for some of every kind.
    load.wait_for_orders(120).await;
    let records = load.stop().await;
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await.expect("all comes to rest");
    let mut before = rig.judge(records.clone()).await;
    assert!(before.is_good(), "{before:?}");
    rig.timeout = Duration::ZERO;
    for (what, service, tampering, column) in cases {
        let mut database = rig.database(service).await.expect("the database answers");
        let done = sqlx::query(AssertSqlSafe(tampering)).execute(&mut database).await;
        assert_eq!(done.expect("it can be tampered with").rows_affected(), 1, "{what}");
        let outcome = rig.judge(records.clone()).await;
        assert!(!outcome.is_good() && column(&outcome) > column(&before), "{what}: {outcome:?}");
        before = outcome;
    }
    rig.discard().await;
}
