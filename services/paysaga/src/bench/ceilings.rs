//! What the servers of a stack can do at most, whatever uses them: how far the saga is from that.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use thiserror::Error;

use crate::progress::Progress;

/// How long each is measured.
const DURATION: Duration = Duration::from_secs(3);

/// Rows of a batch, and messages that are unconfirmed at a time: the services' own limits.
const AT_ONCE: u32 = 200;

/// Bytes of a message and of a row: about as many as an event has.
const SIZE: usize = 400;

/// The queue that messages are published to. It exists only meanwhile.
const QUEUE: &str = "paysaga.bench";

/// What the servers can do in a second, with all of it on disk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ceilings {
    /// Transactions of one row, one after the other on one connection.
    pub commits: f64,
    /// Rows in transactions of 200, one after the other on one connection.
    pub rows: f64,
    /// Messages that a quorum queue confirms, 200 unconfirmed at a time on one channel.
    pub confirms: f64,
}

/// A server could not be measured.
#[derive(Debug, Error)]
pub enum CeilingsError {
    /// PostgreSQL.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// RabbitMQ.
    #[error("RabbitMQ: {0}")]
    Broker(#[from] lapin::Error),
    /// RabbitMQ refused a message.
    #[error("RabbitMQ refused a message")]
    Refused,
}

impl Ceilings {
    /// Measures them. Nothing else should use the servers meanwhile.
    pub async fn measure(
        database_url: &str,
        rabbitmq_url: &str,
        progress: &Progress,
    ) -> Result<Self, CeilingsError> {
        let step = progress.step("ceilings");
        let (commits, rows) = of_database(database_url).await?;
        let confirms = of_broker(rabbitmq_url).await?;
        step.done("measured");
        Ok(Self { commits, rows, confirms })
    }

    /// In one sentence.
    #[must_use]
    pub fn render(self) -> String {
        let Self { commits, rows, confirms } = self;
        format!(
            "The servers alone: {commits:.0} commits/s one after the other, {rows:.0} rows/s in batches of {AT_ONCE}, \
             {confirms:.0} messages/s confirmed with {AT_ONCE} under way."
        )
    }
}

async fn of_database(url: &str) -> Result<(f64, f64), CeilingsError> {
    let mut connection = PgConnection::connect(url).await?;
    raw_sql(
        "DROP TABLE IF EXISTS paysaga_bench; CREATE TABLE paysaga_bench (id uuid PRIMARY KEY, body text)",
    )
    .execute(&mut connection)
    .await?;
    let measured = async {
        Ok((
            inserts(&mut connection, 1).await?,
            inserts(&mut connection, AT_ONCE).await? * f64::from(AT_ONCE),
        ))
    };
    let measured = measured.await;
    raw_sql("DROP TABLE paysaga_bench").execute(&mut connection).await?;
    measured
}

/// How many transactions of so many rows are committed in a second.
async fn inserts(connection: &mut PgConnection, rows: u32) -> Result<f64, sqlx::Error> {
    let statement = format!(
        "INSERT INTO paysaga_bench SELECT gen_random_uuid(), repeat('x', {SIZE}) FROM generate_series(1, {rows})"
    );
    let (began, mut commits) = (Instant::now(), 0);
    while began.elapsed() < DURATION {
        raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut *connection).await?;
        commits += 1;
    }
    Ok(f64::from(commits) / began.elapsed().as_secs_f64())
}

async fn of_broker(url: &str) -> Result<f64, CeilingsError> {
    let properties = ConnectionProperties::default().with_connection_name("paysaga bench".into());
    let connection = Connection::connect(url, properties).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    let measured = confirms(&channel).await;
    channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    measured
}

/// How many messages are confirmed in a second.
async fn confirms(channel: &Channel) -> Result<f64, CeilingsError> {
    let (body, mut under_way, mut confirmed) = (vec![b'x'; SIZE], FuturesUnordered::new(), 0);
    let began = Instant::now();
    let is_persistent = BasicProperties::default().with_delivery_mode(2);
    while began.elapsed() < DURATION || !under_way.is_empty() {
        while under_way.len() < AT_ONCE as usize && began.elapsed() < DURATION {
            let (options, properties) = (BasicPublishOptions::default(), is_persistent.clone());
            under_way.push(channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?);
        }
        if let Some(answer) = under_way.next().await {
            if !matches!(answer?, Confirmation::Ack(_)) {
                return Err(CeilingsError::Refused);
            }
            confirmed += 1;
        }
    }
    Ok(f64::from(confirmed) / began.elapsed().as_secs_f64())
}
