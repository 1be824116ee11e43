//! Faults of the broker.

use std::time::{Duration, Instant};

use contracts::topology::Service;
use tokio::time::sleep;

use super::{also_short, place, scenario};
use crate::eventually;
use crate::faults::launch::Plan;
use crate::faults::load::CustomerRecords;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How long the broker is down, or blocks publishers.
const DOWN_FOR: Duration = Duration::from_secs(30);

/// Orders that wait in a queue when an alarm begins.
const BACKLOG: u32 = 2000;

/// Within which a service ends after SIGTERM.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario("RabbitMQ: clean restart", |rig| Box::pin(restarted(rig))),
        also_short(scenario("RabbitMQ: kill -9", |rig| Box::pin(killed(rig)))),
        scenario("RabbitMQ: down for 30 s", |rig| Box::pin(down(rig))),
        scenario("RabbitMQ: memory alarm for 30 s", |rig| Box::pin(memory_alarm(rig))),
        also_short(scenario("RabbitMQ: memory alarm while 2 000 messages wait", |rig| {
            Box::pin(memory_alarm_over_backlog(rig))
        })),
        scenario("RabbitMQ: all connections closed, 5 times", |rig| Box::pin(connections_closed(rig))),
        scenario("RabbitMQ: queues full", |rig| Box::pin(queues_full(rig))),
    ]
}

async fn restarted(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    rig.servers.rabbitmq().restart().await.expect("it restarts");
    rig.judge_recovery(load).await
}

async fn killed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    rig.servers.rabbitmq().kill().await.expect("it can be killed");
    rig.servers.rabbitmq().start().await.expect("it starts");
    rig.judge_recovery(load).await
}

async fn down(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    rig.servers.rabbitmq().stop().await.expect("it stops");
    sleep(DOWN_FOR).await;
    rig.servers.rabbitmq().start().await.expect("it starts");
    rig.judge_recovery(load).await
}

/// With a memory limit of nothing every connection that publishes is blocked
/// (<https://www.rabbitmq.com/docs/alarms>).
async fn memory_alarm(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    let limit = ctl(rig, &["eval", "vm_memory_monitor:get_vm_memory_high_watermark()."]).await;
    ctl(rig, &["set_vm_memory_high_watermark", "0"]).await;
    let accepted = load.accepted();
    sleep(DOWN_FOR).await;
    let during = load.accepted() - accepted;
    ctl(rig, &["set_vm_memory_high_watermark", limit.trim()]).await;
    rig.judge_recovery(load)
        .await
        .note(format!("{during} orders were accepted while publishers were blocked"))
}

/// What takes the memory is, as often as not, what waits in the queues: it must go on being consumed. What follows from it
/// can't be published, and waits in the outbox.
async fn memory_alarm_over_backlog(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let status = rig.first_of(Service::Order).stop().await;
    assert!(status.success(), "the order service ended with {status}");
    let records = CustomerRecords { placed: place(&rig.api(), BACKLOG).await, ..CustomerRecords::default() };
    let limit = ctl(rig, &["eval", "vm_memory_monitor:get_vm_memory_high_watermark()."]).await;
    ctl(rig, &["set_vm_memory_high_watermark", "0"]).await;
    rig.first_of(Service::Order).launch_again();
    let mut database = rig.database(Service::Order).await.expect("the database answers");
    eventually("the backlog is in the database, and what follows from it in the outbox", async || {
        let waiting =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox").fetch_one(&mut database).await;
        let waiting = waiting.expect("the database answers");
        if waiting == i64::from(BACKLOG) { Ok(()) } else { Err(format!("{waiting} wait in the outbox")) }
    })
    .await;
    let asked = Instant::now();
    let status = rig.first_of(Service::Order).stop().await;
    let took = asked.elapsed();
    rig.first_of(Service::Order).launch_again();
    ctl(rig, &["set_vm_memory_high_watermark", limit.trim()]).await;
    rig.fault_is_over();
    rig.judge(records)
        .await
        .note(format!(
            "during the alarm the service ended {:.1} s after SIGTERM (bound {} s)",
            took.as_secs_f64(),
            SHUTDOWN_TIMEOUT.as_secs()
        ))
        .expect(status.success() && took < SHUTDOWN_TIMEOUT, format!("it ended with {status} after {took:?}"))
}

async fn connections_closed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    for _ in 0..5 {
        load.wait_for_orders(20).await;
        let vhost = rig.vhost().to_owned();
        ctl(rig, &["close_all_connections", "--vhost", &vhost, "--global", "fault suite"]).await;
    }
    rig.fault_is_over();
    let records = load.stop().await;
    rig.judge(records).await
}

/// First the payment service is down, then the order service, and each queue takes five messages.
async fn queues_full(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(20).await;
    let vhost = rig.vhost().to_owned();
    let definition = r#"{"max-length":5,"overflow":"reject-publish"}"#;
    ctl(rig, &["set_policy", "-p", &vhost, "full", r"\.queue$", definition, "--apply-to", "queues"]).await;
    rig.first_of(Service::Payment).kill().await;
    load.wait_for_orders(100).await;
    let mut order = rig.database(Service::Order).await.expect("the database answers");
    let waiting =
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox WHERE created_at < now() - interval '1 s'");
    let waiting = waiting.fetch_one(&mut order).await.expect("the database answers");
    drop(order);
    rig.first_of(Service::Payment).start_again().await;
    rig.first_of(Service::Order).kill().await;
    sleep(Duration::from_secs(5)).await;
    rig.first_of(Service::Order).start_again().await;
    load.wait_for_orders(20).await;
    ctl(rig, &["clear_policy", "-p", &vhost, "full"]).await;
    rig.fault_is_over();
    let records = load.stop().await;
    let outcome = rig.judge(records).await;
    outcome
        .note(format!("{waiting} messages waited in the order service's outbox for room"))
        .expect(waiting > 20, "the queue was not full")
}

/// Runs `rabbitmqctl`.
async fn ctl(rig: &mut Rig<'_>, arguments: &[&str]) -> String {
    rig.servers.rabbitmq().ctl(arguments).await.expect("rabbitmqctl does it")
}
