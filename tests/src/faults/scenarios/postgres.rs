//! Faults of the database server.

use std::time::Duration;

use contracts::topology::Service;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::sleep;

use super::{also_short, only_short, scenario};
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How long the server is down.
const DOWN_FOR: Duration = Duration::from_secs(30);

/// The SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const TOO_MANY_CONNECTIONS: &str = "53300";

/// How long there are two connections each, and then how long there are none.
const LIMITED_FOR: Duration = Duration::from_secs(15);

/// Every connection of the services.
const TERMINATE: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name LIKE 'paysaga %' AND pid <> pg_backend_pid()";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario("PostgreSQL: restart", |rig| Box::pin(restarted(rig))),
        also_short(scenario("PostgreSQL: kill -9", |rig| Box::pin(killed(rig)))),
        scenario("PostgreSQL: pg_terminate_backend of all, 20 times", |rig| Box::pin(terminated(rig))),
        scenario("PostgreSQL: connection limit of 2, then of 0, for 15 s each", |rig| {
            Box::pin(connections_limited(rig))
        }),
        scenario("PostgreSQL: down for 30 s", |rig| Box::pin(down(rig))),
        scenario("PostgreSQL: orders, then payments locked, for 130 s each", |rig| {
            Box::pin(locked(rig, Duration::from_secs(130)))
        }),
        only_short(scenario("PostgreSQL: orders, then payments locked, for 15 s each", |rig| {
            Box::pin(locked(rig, Duration::from_secs(15)))
        })),
        scenario("RabbitMQ and PostgreSQL: kill -9 at once", |rig| Box::pin(both_killed(rig))),
        scenario("RabbitMQ and PostgreSQL: down for 30 s at once", |rig| Box::pin(both_down(rig))),
    ]
}

async fn restarted(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    for _ in 0..3 {
        load.wait_for_orders(30).await;
        rig.servers.postgres().restart().await.expect("it restarts");
    }
    rig.judge_recovery(load).await
}

async fn killed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    for _ in 0..3 {
        load.wait_for_orders(30).await;
        rig.servers.postgres().kill().await.expect("it can be killed");
        rig.servers.postgres().start().await.expect("it starts");
    }
    rig.judge_recovery(load).await
}

async fn terminated(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let mut administrator = administrator(rig).await;
    let load = rig.load();
    for _ in 0..20 {
        load.wait_for_orders(10).await;
        terminate(&mut administrator).await;
    }
    rig.judge_recovery(load).await
}

/// The services' roles may have two connections each, then none.
async fn connections_limited(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let mut administrator = administrator(rig).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    for limit in [2, 0] {
        limit_connections(rig, &mut administrator, limit).await;
        terminate(&mut administrator).await;
        sleep(LIMITED_FOR).await;
    }
    let refused = PgConnection::connect(&rig.database_url(Service::Order, true)).await;
    let code = refused.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
    limit_connections(rig, &mut administrator, -1).await;
    rig.judge_recovery(load)
        .await
        .expect(code.as_deref() == Some(TOO_MANY_CONNECTIONS), "the limit was not reached")
}

async fn limit_connections(rig: &Rig<'_>, administrator: &mut PgConnection, limit: i32) {
    for service in Service::WITH_DATABASE {
        let statement = format!("ALTER ROLE \"{}\" CONNECTION LIMIT {limit}", rig.database_name(service));
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *administrator).await;
        done.expect("connections can be limited");
    }
}

async fn down(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    rig.servers.postgres().stop().await.expect("it stops");
    sleep(DOWN_FOR).await;
    rig.servers.postgres().start().await.expect("it starts");
    rig.judge_recovery(load).await
}

/// As a migration does that rewrites a table, or an operator who forgot a transaction. What waits behind the lock times out
/// many times, and no message is to blame for that.
async fn locked(rig: &mut Rig<'_>, duration: Duration) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    let mut ready = Vec::new();
    for (service, table) in [(Service::Order, "orders"), (Service::Payment, "payments")] {
        load.wait_for_orders(50).await;
        let mut database = rig.database(service).await.expect("the database answers");
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut database).await.expect("it can be locked");
        sleep(duration).await;
        ready.push(rig.first_of(service).is_ready().await);
        sqlx::raw_sql("ROLLBACK").execute(&mut database).await.expect("it can be unlocked");
    }
    rig.judge_recovery(load)
        .await
        .expect(ready == [false, false], "a service was ready although it could not write")
}

async fn both_killed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    let (postgres, rabbitmq) = rig.servers.both();
    let (one, other) = tokio::join!(postgres.kill(), rabbitmq.kill());
    one.expect("it can be killed");
    other.expect("it can be killed");
    rig.servers.start_stopped().await.expect("they start");
    rig.judge_recovery(load).await
}

async fn both_down(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    let (postgres, rabbitmq) = rig.servers.both();
    let (one, other) = tokio::join!(postgres.stop(), rabbitmq.stop());
    one.expect("it stops");
    other.expect("it stops");
    sleep(DOWN_FOR).await;
    rig.servers.start_stopped().await.expect("they start");
    rig.judge_recovery(load).await
}

async fn administrator(rig: &mut Rig<'_>) -> PgConnection {
    rig.database(Service::Order).await.expect("the database answers")
}

async fn terminate(administrator: &mut PgConnection) {
    sqlx::query(TERMINATE).execute(administrator).await.expect("connections can be terminated");
}
