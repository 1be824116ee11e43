//! Replays: many failed messages are handled again by an operation that lasts.

use contracts::failed_message::{AuditAction, FailedMessageStatus};
use contracts::replay::{NewReplay, Replay, ReplayOutcome, ReplayStatus};
use contracts::topology::{Queue, Service};
use contracts::{OrderId, OrderStatus};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tests::api::{Api, problem};
use tests::replays::replay_of_all;
use tests::{Stack, eventually};
use uuid::Uuid;

const HANDLED: Option<ReplayOutcome> = Some(ReplayOutcome::Handled);
const FAILED_AGAIN: Option<ReplayOutcome> = Some(ReplayOutcome::FailedAgain);

/// A stack whose orders wait for their payments: only the messages of a test pay for them.
async fn without_payments() -> Stack {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    stack
}

#[tokio::test]
async fn a_canary_stops_by_itself_and_nothing_later_is_handled_until_it_is_resumed() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(19).await;
    let bad = stack.fail_for_good(4).await;
    stack.place_late(&orders).await;

    let canary = NewReplay { canary: vec![1, 5], ..replay_of_all() };
    let begun = stack.api.begin_replay(Service::Order, &canary).await;
    assert_eq!((begun.waves, begun.outcomes.members, begun.outcomes.waiting), (3, 20, 20));
    let stopped = stack.api.replay_becomes(Service::Order, begun.id, ReplayStatus::Stopped).await;
    assert_eq!((stopped.wave, stopped.outcomes.handled, stopped.outcomes.failed_again), (2, 4, 1));
    // Replicas that look for something to do find nothing.
    let members = passes(&stack, async || stack.api.replay_members(Service::Order, begun.id).await).await;
    let outcomes: Vec<_> = members.iter().map(|member| member.outcome).collect();
    assert_eq!(outcomes[..5], [HANDLED, HANDLED, HANDLED, HANDLED, FAILED_AGAIN]);
    assert!(outcomes[5..].iter().all(Option::is_none), "{outcomes:?}");
    assert_eq!(members[4].failed_message_id, bad);
    assert!(members[4].reason.as_ref().is_some_and(|reason| reason.contains("not an event envelope")));
    let waves: Vec<_> = members.iter().map(|member| member.wave).collect();
    assert_eq!(waves[..8], [1, 2, 2, 2, 2, 2, 3, 3]);
    for (number, order) in orders.iter().enumerate() {
        let paid = stack.api.order(*order).await.expect("it is there").status == OrderStatus::Paid;
        assert_eq!(paid, number < 4, "the order {number}");
    }

    let resumed = stack.api.change_replay(Service::Order, begun.id, "resume").await;
    assert_eq!(resumed.status(), StatusCode::OK);
    let ended = stack.api.replay_becomes(Service::Order, begun.id, ReplayStatus::CompletedWithFailures).await;
    let outcomes = ended.outcomes;
    assert_eq!((outcomes.handled, outcomes.failed_again, outcomes.waiting), (19, 1, 0));
    assert!(ended.finished_at.is_some());
    let decisions: Vec<_> =
        ended.decisions.iter().map(|decision| (decision.action.as_str(), decision.actor.as_str())).collect();
    assert_eq!(decisions, [("BEGUN", "anonymous"), ("STOPPED", "service"), ("RESUMED", "anonymous")]);
    for order in orders {
        stack.api.order_becomes(order, OrderStatus::Paid).await;
    }
    for change in ["pause", "resume", "cancel"] {
        let refused = stack.api.change_replay(Service::Order, begun.id, change).await;
        let refused = problem(refused).await;
        assert_eq!(refused.status, 409);
        assert!(refused.detail.contains("COMPLETED_WITH_FAILURES"), "{refused:?}");
    }
}

#[tokio::test]
async fn what_fails_later_is_not_in_it_and_what_is_in_one_is_in_no_other() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(3).await;
    stack.place_late(&orders).await;
    let slow = NewReplay { rate_per_second: Some(1), ..replay_of_all() };
    let replay = stack.api.begin_replay(Service::Order, &slow).await;
    let refused = stack.api.post_replay(Service::Order, &slow).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);

    let later = stack.fail_too_early(1).await;
    stack.place_late(&later).await;
    let other = stack.api.begin_replay(Service::Order, &replay_of_all()).await;
    assert_eq!(other.outcomes.members, 1);
    let other = stack.api.replay_becomes(Service::Order, other.id, ReplayStatus::Completed).await;
    assert_eq!(other.outcomes.handled, 1);
    let replay = stack.api.replay_becomes(Service::Order, replay.id, ReplayStatus::Completed).await;
    assert_eq!((replay.outcomes.members, replay.outcomes.handled), (3, 3));
    let taken: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM max(at) - min(at))::float8 FROM replay_members WHERE replay_id = $1",
    )
    .bind(replay.id)
    .fetch_one(&stack.order_database)
    .await
    .expect("the database answers");
    assert!(taken >= 1.9, "one a second: {taken} s");

    let listed: Value = stack.api.read("/api/admin/order/failed-messages/replays").await;
    let ids: Vec<_> =
        listed["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!(other.id), json!(replay.id)]);
}

#[tokio::test]
async fn it_is_held_and_ended_when_an_operator_says_so() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(20).await;
    stack.place_late(&orders).await;
    let slow = NewReplay { rate_per_second: Some(2), ..replay_of_all() };
    let id = stack.api.begin_replay(Service::Order, &slow).await.id;
    eventually("the first is handled", async || match stack.api.replay(Service::Order, id).await {
        Replay { outcomes, .. } if outcomes.handled > 0 => Ok(()),
        replay => Err(format!("{replay:?}")),
    })
    .await;
    assert_eq!(stack.api.change_replay(Service::Order, id, "pause").await.status(), StatusCode::OK);
    // What was in hand is marked before another message's turn has come and gone.
    passes(&stack, async || ()).await;
    let held = stack.api.replay_outcomes(Service::Order, id).await;
    passes(&stack, async || ()).await;
    assert_eq!(stack.api.replay_outcomes(Service::Order, id).await, held);
    assert!(held.contains(&None), "{held:?}");
    assert_eq!(stack.api.replay(Service::Order, id).await.status, ReplayStatus::Paused);

    let answer = stack.api.change_replay(Service::Order, id, "cancel").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let handled = held.iter().flatten().count() as u64;
    eventually("it has ended", async || match stack.api.replay(Service::Order, id).await {
        replay @ Replay { finished_at: Some(_), .. } => {
            assert_eq!(replay.status, ReplayStatus::Cancelled);
            assert_eq!((replay.outcomes.handled, replay.outcomes.skipped), (handled, 20 - handled));
            Ok(())
        }
        replay => Err(format!("{replay:?}")),
    })
    .await;
    // What was not handled waits for another decision.
    let rest = stack.api.begin_replay(Service::Order, &replay_of_all()).await;
    assert_eq!(rest.outcomes.members, 20 - handled);
    stack.api.replay_becomes(Service::Order, rest.id, ReplayStatus::Completed).await;
}

#[tokio::test]
async fn what_is_decided_about_a_message_meanwhile_is_its_outcome() {
    let stack = without_payments().await;
    stack.fail_for_good(0).await;
    let orders = stack.fail_too_early(4).await;
    stack.place_late(&orders).await;
    let id = stack.api.begin_replay(Service::Order, &replay_of_all()).await.id;
    stack.api.replay_becomes(Service::Order, id, ReplayStatus::Stopped).await;
    let members = stack.api.replay_members(Service::Order, id).await;
    let [_, taken, by_older, replayed, discarded] = &members[..] else { panic!("{members:?}") };

    let discard = stack.api.request(Method::DELETE, &message_path(discarded.failed_message_id, ""));
    let discard = discard.json(&json!({"reason": "a duplicate"})).send().await.expect("an answer");
    assert_eq!(discard.status(), StatusCode::ACCEPTED);
    let alone = stack.api.request(Method::POST, &message_path(replayed.failed_message_id, "/replay"));
    assert_eq!(alone.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    outcome_becomes(&stack.api, id, 5, ReplayOutcome::Skipped).await;
    outcome_becomes(&stack.api, id, 4, ReplayOutcome::AlreadyHandled).await;
    // A service of an older version knows nothing of replays: one that it handled before its turn, and one in its turn.
    for statement in [
        format!("UPDATE failed_messages SET status = 'REPLAYED' WHERE id = '{}'", by_older.failed_message_id),
        format!("UPDATE failed_messages SET status = 'REPLAYED' WHERE id = '{}'", taken.failed_message_id),
        format!(
            "UPDATE replay_members SET begun_at = now() WHERE failed_message_id = '{}'",
            taken.failed_message_id
        ),
    ] {
        execute(&stack.order_database, &statement).await;
    }
    outcome_becomes(&stack.api, id, 2, ReplayOutcome::Handled).await;
    assert_eq!(stack.api.change_replay(Service::Order, id, "resume").await.status(), StatusCode::OK);
    let ended = stack.api.replay_becomes(Service::Order, id, ReplayStatus::CompletedWithFailures).await;
    let outcomes = ended.outcomes;
    assert_eq!((outcomes.failed_again, outcomes.handled), (1, 1));
    assert_eq!((outcomes.already_handled, outcomes.skipped), (2, 1));
}

#[tokio::test]
async fn what_only_a_newer_version_can_handle_waits_in_its_wave() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(3).await;
    stack.place_late(&orders).await;
    let on_hold = format!("UPDATE orders SET status = 'ON_HOLD' WHERE id = '{}'", orders[1]);
    execute(&stack.order_database, "ALTER TABLE orders DROP CONSTRAINT orders_status_check").await;
    execute(&stack.order_database, &on_hold).await;
    let canary = NewReplay { canary: vec![2], ..replay_of_all() };
    let id = stack.api.begin_replay(Service::Order, &canary).await.id;
    eventually("the second is put off", async || {
        let put_off: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM replay_members WHERE not_before > now() AND outcome IS NULL",
        )
        .fetch_one(&stack.order_database)
        .await
        .expect("the database answers");
        if put_off == 1 { Ok(()) } else { Err(put_off) }
    })
    .await;
    passes(&stack, async || ()).await;
    assert_eq!(stack.api.replay_outcomes(Service::Order, id).await, [HANDLED, None, None]);
    assert_eq!(stack.api.replay(Service::Order, id).await.wave, 1);

    // The newer version is back, gives its row the word that it wants, and a minute passes.
    execute(&stack.order_database, &on_hold.replace("ON_HOLD", "PENDING_PAYMENT")).await;
    execute(&stack.order_database, "UPDATE replay_members SET not_before = now()").await;
    let ended = stack.api.replay_becomes(Service::Order, id, ReplayStatus::Completed).await;
    assert_eq!((ended.wave, ended.outcomes.handled), (2, 3));
    // It was taken twice, and asked for once.
    let message = stack.api.replay_members(Service::Order, id).await[1].failed_message_id;
    let audit = stack.api.failed_message(Queue::OrderPaymentResult, message).await.audit;
    let asked = audit.iter().filter(|entry| entry.action == AuditAction::ReplayRequested).count();
    assert_eq!(asked, 1, "{audit:?}");
}

#[tokio::test]
async fn what_is_in_hand_when_it_is_cancelled_and_can_not_be_handled_yet_is_skipped() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(1).await;
    stack.place_late(&orders).await;
    execute(&stack.order_database, "ALTER TABLE orders DROP CONSTRAINT orders_status_check").await;
    execute(&stack.order_database, "UPDATE orders SET status = 'ON_HOLD'").await;
    let id = stack.api.begin_replay(Service::Order, &replay_of_all()).await.id;
    eventually("it is put off", async || {
        let put_off = "SELECT count(*) FROM replay_members WHERE not_before > now()";
        let put_off: i64 =
            sqlx::query_scalar(put_off).fetch_one(&stack.order_database).await.expect("the database answers");
        if put_off == 1 { Ok(()) } else { Err(put_off) }
    })
    .await;
    // A replica has it in its hands.
    execute(
        &stack.order_database,
        "UPDATE replay_members SET begun_at = now();
         UPDATE failed_messages SET status = 'REPLAYING', replay_at = now() + interval '1 hour'",
    )
    .await;
    assert_eq!(stack.api.change_replay(Service::Order, id, "cancel").await.status(), StatusCode::OK);
    assert_eq!(stack.api.replay_outcomes(Service::Order, id).await, [None]);
    execute(&stack.order_database, "UPDATE failed_messages SET replay_at = now()").await;
    outcome_becomes(&stack.api, id, 1, ReplayOutcome::Skipped).await;
    eventually("it has ended", async || match stack.api.replay(Service::Order, id).await {
        Replay { finished_at: Some(_), status: ReplayStatus::Cancelled, .. } => Ok(()),
        replay => Err(format!("{replay:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_waits_for_another_one_to_begin_a_wave_does_not_begin_the_next() {
    let stack = without_payments().await;
    let canary = NewReplay { canary: vec![1, 1], ..replay_of_all() };
    insert_unreadable(&stack.order_database, "some", 3).await;
    let id = stack
        .api
        .begin_replay(Service::Order, &NewReplay { stop_after: 9, rate_per_second: Some(1), ..canary })
        .await
        .id;
    // None of its messages can be taken.
    let mut transaction = stack.order_database.begin().await.expect("a transaction");
    let held = "UPDATE replays SET wave = 1, next_at = now() + interval '1 hour', handled = 0, failed_again = 0;
                UPDATE replay_members SET outcome = NULL, at = NULL, reason = NULL, begun_at = NULL, not_before = 'infinity'";
    sqlx::raw_sql(held).execute(&mut *transaction).await.expect("the database answers");
    transaction.commit().await.expect("the database answers");
    passes(&stack, async || ()).await;
    let mut another = stack.order_database.begin().await.expect("a transaction");
    sqlx::raw_sql("SELECT FROM replays FOR UPDATE")
        .execute(&mut *another)
        .await
        .expect("the database answers");
    execute(
        &stack.order_database,
        "UPDATE replay_members SET outcome = 'HANDLED', at = now() WHERE wave = 1",
    )
    .await;
    eventually("the service waits for the lock", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE replays%SET wave%')",
        )
        .fetch_one(&stack.order_database)
        .await
        .expect("the database answers");
        if waiting { Ok(()) } else { Err("it does not") }
    })
    .await;
    let begins = sqlx::raw_sql("UPDATE replays SET wave = 2, handled = 1");
    begins.execute(&mut *another).await.expect("the database answers");
    another.commit().await.expect("the database answers");
    passes(&stack, async || ()).await;
    assert_eq!(stack.api.replay(Service::Order, id).await.wave, 2);
}

#[tokio::test]
async fn a_busy_replay_keeps_no_other_from_its_waves_and_its_end() {
    let stack = without_payments().await;
    insert_unreadable(&stack.order_database, "many", 5000).await;
    let mut replay = NewReplay { stop_after: u32::MAX, ..replay_of_all() };
    replay.filter.cause = Some("many".to_owned());
    let busy = stack.api.begin_replay(Service::Order, &replay).await.id;
    insert_unreadable(&stack.order_database, "few", 2).await;
    replay.filter.cause = Some("few".to_owned());
    replay.canary = vec![1];
    let short = stack.api.begin_replay(Service::Order, &replay).await.id;
    stack.api.replay_becomes(Service::Order, short, ReplayStatus::CompletedWithFailures).await;
    assert!(stack.api.replay(Service::Order, busy).await.outcomes.waiting > 0, "the other one was too short");
}

#[tokio::test]
async fn a_replay_of_too_many_messages_is_refused_with_their_number() {
    let stack = without_payments().await;
    insert_unreadable(&stack.order_database, "too many", 100_001).await;
    let answer = problem(stack.api.post_replay(Service::Order, &replay_of_all()).await).await;
    assert_eq!((answer.status, answer.errors[0].member.as_str()), (400, "filter"));
    assert!(answer.errors[0].detail.contains("means 100001 messages"), "{answer:?}");
}

#[tokio::test]
async fn every_message_has_one_outcome_though_replicas_are_killed() {
    let mut stack = without_payments().await;
    let orders = stack.fail_too_early(90).await;
    stack.place_late(&orders).await;
    let mut another = stack.another(&stack.order, &[]).await;
    let canary = NewReplay { canary: vec![10, 20], rate_per_second: Some(60), ..replay_of_all() };
    let id = stack.api.begin_replay(Service::Order, &canary).await.id;
    for handled in [5, 35] {
        handled_at_least(&stack, id, handled).await;
        stack.order.kill().await;
        stack.order.start_again().await;
    }
    handled_at_least(&stack, id, 50).await;
    another.kill().await;
    let ended = eventually("it is completed", async || {
        leases_lapse(&stack).await;
        let replay = stack.api.replay(Service::Order, id).await;
        if replay.status == ReplayStatus::Completed { Ok(replay) } else { Err(format!("{replay:?}")) }
    })
    .await;
    assert_eq!((ended.outcomes.members, ended.outcomes.handled), (90, 90));
    let outcomes = stack.api.replay_outcomes(Service::Order, id).await;
    assert_eq!(outcomes, [HANDLED; 90]);
    for order in orders {
        stack.api.order_becomes(order, OrderStatus::Paid).await;
    }
    // A wave began when the one before had ended.
    let early: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM replay_members AS later
         WHERE begun_at < (SELECT max(at) FROM replay_members AS earlier
                           WHERE earlier.replay_id = later.replay_id AND earlier.wave < later.wave)",
    )
    .fetch_one(&stack.order_database)
    .await
    .expect("the database answers");
    assert_eq!(early, 0);
}

#[tokio::test]
async fn the_operators_command_begins_watches_and_ends_replays() {
    let stack = without_payments().await;
    let orders = stack.fail_too_early(4).await;
    stack.place_late(&orders).await;
    let begin = ["failed", "replay", "--all", "--service", "order", "--canary", "1,2", "--watch"];
    let ran = stack.paysaga(&[&begin[..], &["--reason", "the orders are there"]].concat()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("order: 4 messages will be handled again by the replay "), "{ran:?}");
    assert!(ran.stdout.contains("order: COMPLETED: of 4 messages 4 were handled"), "{ran:?}");

    stack.fail_for_good(0).await;
    let more = stack.fail_too_early(1).await;
    stack.place_late(&more).await;
    let ran = stack.paysaga(&[&begin[..], &["--reason", "a try"]].concat()).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("order: STOPPED: of 2 messages"), "{ran:?}");

    let listed = stack.paysaga(&["failed", "replays", "list", "--service", "order", "--json"]).await;
    let listed: Vec<Value> = serde_json::from_str(&listed.stdout).expect("it prints JSON");
    assert_eq!(
        (listed.len(), &listed[0]["status"], &listed[1]["status"]),
        (2, &json!("STOPPED"), &json!("COMPLETED"))
    );
    let id = listed[0]["id"].as_str().expect("an id");
    let shown = stack.paysaga(&["failed", "replays", "show", id]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).expect("it prints JSON");
    assert_eq!(shown["failedAgain"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["decisions"][0]["reason"], "a try");
    let refused = stack.paysaga(&["failed", "replays", "pause", id, "--reason", "too late"]).await;
    assert!(refused.stderr.contains("409") && refused.stderr.contains("STOPPED"), "{refused:?}");
    let cancelled = stack.paysaga(&["failed", "replays", "cancel", id, "--reason", "enough"]).await;
    assert_eq!(cancelled.stdout, format!("the replay {id} is CANCELLED\n"), "{cancelled:?}");

    // It was the filter by text once.
    let meant_so = stack.paysaga(&["failed", "replay", "--all", "--reason", "not an event envelope"]).await;
    assert_eq!(meant_so.code, Some(1), "{meant_so:?}");
    assert!(meant_so.stderr.contains("the filter is --reason-contains"), "{meant_so:?}");
}

#[tokio::test]
async fn a_replay_that_is_not_well_defined_is_refused() {
    let stack = without_payments().await;
    stack.fail_for_good(0).await;
    for (body, member) in [
        (json!({"reason": " "}), "reason"),
        (json!({"reason": "mended", "canary": [0]}), "canary"),
        (json!({"reason": "mended", "stopAfter": 0}), "stopAfter"),
        (json!({"reason": "mended", "ratePerSecond": 0}), "ratePerSecond"),
        (json!({"reason": "mended", "filter": {"status": "DISCARDED"}}), "filter.status"),
        (json!([]), ""),
        (json!({"reason": "mended", "filter": []}), ""),
    ] {
        for path in ["replays", "replays/preview"] {
            let path = format!("/api/admin/order/failed-messages/{path}");
            let answer = stack.api.request(Method::POST, &path).json(&body).send().await.expect("an answer");
            let refused = tests::api::refused(answer, StatusCode::BAD_REQUEST, &body.to_string()).await;
            assert_eq!(refused, [member], "{body}");
        }
    }
    for body in ["[]", r#"{"filter":[]}"#] {
        let all = stack.api.request(Method::POST, "/api/admin/order/failed-messages/replay");
        let answer = all.header("content-type", "application/json").body(body).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(
        stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await[0].status,
        FailedMessageStatus::Failed
    );
}

fn message_path(id: Uuid, what: &str) -> String {
    format!("/api/admin/order/failed-messages/{id}{what}")
}

async fn handled_at_least(stack: &Stack, id: Uuid, count: u64) {
    eventually(&format!("{count} are handled"), async || {
        leases_lapse(stack).await;
        let handled: i64 = sqlx::query_scalar("SELECT handled FROM replays WHERE id = $1")
            .bind(id)
            .fetch_one(&stack.order_database)
            .await
            .expect("the database answers");
        if handled.unsigned_abs() >= count { Ok(()) } else { Err(handled) }
    })
    .await;
}

/// A minute passes for what a replica that was killed had in its hands.
async fn leases_lapse(stack: &Stack) {
    let held = "UPDATE failed_messages SET replay_at = now() WHERE replay_at BETWEEN now() AND now() + interval '57 seconds'";
    execute(&stack.order_database, held).await;
}

async fn outcome_becomes(api: &Api, replay: Uuid, position: u64, outcome: ReplayOutcome) {
    eventually(&format!("the message {position} is {outcome}"), async || {
        let members = api.replay_members(Service::Order, replay).await;
        let found = members.into_iter().find(|member| member.position == position);
        match found.and_then(|member| member.outcome) {
            Some(found) if found == outcome => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
}

/// What is seen when the order service has looked for messages to handle again: another one, which waited for nothing but its
/// turn, is handled by then.
async fn passes<T>(stack: &Stack, look: impl AsyncFnOnce() -> T) -> T {
    let id = Uuid::new_v4();
    let order = OrderId::new();
    for _ in 0..2 {
        execute(
            &stack.order_database,
            &format!(
                "INSERT INTO failed_messages (id, queue, exchange, routing_key, trace_context, headers, body, reason, status, replay_at)
                 VALUES ('{id}', 'order.payment-result.queue', '', '', '{{}}', '{{}}', '{order}', '', 'REPLAYING', now())
                 ON CONFLICT (id) DO UPDATE SET status = 'REPLAYING', replay_at = now()"
            ),
        )
        .await;
        eventually("it was handled in its turn", async || {
            let status: String = sqlx::query_scalar("SELECT status FROM failed_messages WHERE id = $1")
                .bind(id)
                .fetch_one(&stack.order_database)
                .await
                .expect("the database answers");
            if status == "FAILED" { Ok(()) } else { Err(status) }
        })
        .await;
    }
    let seen = look().await;
    execute(&stack.order_database, &format!("DELETE FROM failed_messages WHERE id = '{id}'")).await;
    seen
}

/// So many messages with this cause, which no consumer can read.
async fn insert_unreadable(database: &PgPool, cause: &str, count: u32) {
    execute(
        database,
        &format!(
            "INSERT INTO failed_messages (id, queue, exchange, routing_key, trace_context, headers, body, reason, cause)
             SELECT gen_random_uuid(), 'order.payment-result.queue', '', '', '{{}}', '{{}}', 'not json', '{cause}', '{cause}'
             FROM generate_series(1, {count})"
        ),
    )
    .await;
}

async fn execute(database: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(database).await.expect("the database answers");
}
