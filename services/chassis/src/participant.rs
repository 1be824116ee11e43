//! A service that takes part in the saga with an aggregate and a database of its own.
//!
//! ```text
//! HTTP routes → pool of their own             dead-letter queues → failed messages ─┐ replays
//! queues → consumers ──────→ Applier → aggregate + outbox → relay, sweeper → broker ←┘
//! the service's own tasks ─────↗
//! ```

use std::time::Duration;

use contracts::Owner;
use contracts::topology::{Queue, Service};
use sqlx::PgPool;

use crate::aggregate::{Aggregate, Applier};
use crate::broker::{
    Broker, BrokerConfig, BrokerVariables, Publisher, Purpose, QueueInspector, measure_queues,
};
use crate::config::{Environment, Problems, Setting, Variable, Variables};
use crate::consumer::{ConsumerConfig, ConsumerVariables, Hearing, Progress, consumer};
use crate::database::{self, Connections, DatabaseConfig, DatabaseVariables, Schema};
use crate::failed_messages::{self, Causes, FailedMessages};
use crate::http::{GatewayOnly, GatewayOnlyVariables, HttpConfig, HttpVariables, Routes, Server};
use crate::load::{Places, Probe, Stage};
use crate::outbox::Outbox;
use crate::overview::WaitingNow;
use crate::program::{Lifecycle, StartError};
use crate::retention::{self, Policy, Records, RetentionVariables};
use crate::samples;
use crate::tasks::TaskContext;
use crate::transport::{TlsServer, Transport, TransportVariables};

/// Where triggers come from besides the queues, each a batch at a time: replays, and up to two tasks of the service's own.
const OTHER_SOURCES: usize = 3;

/// A service, as it is described to be started.
pub struct Participant<A, R, T> {
    /// Which service. It consumes the queues that the topology gives it.
    pub service: Service,
    /// Its database schema.
    pub schema: Schema,
    /// What it knows about each order.
    pub aggregate: A,
    /// What it answers over HTTP, from its database and about what waits.
    pub routes: R,
    /// Where work waits in the tasks that only this service has.
    pub stages: Vec<Stage>,
    /// Starts those tasks.
    pub tasks: T,
}

/// What the tasks of a service have to do with.
pub struct RunningService<A: Aggregate> {
    /// Applies triggers, and has the service's database for reading.
    pub applier: Applier<A>,
    /// Whether it is healthy, and when it stops.
    pub lifecycle: Lifecycle,
    broker: Broker,
    publisher: Publisher,
    progress: Vec<(Queue, Progress)>,
    samples: PgPool,
}

impl<A: Aggregate> RunningService<A> {
    /// Finds out up to when everything that was sent to a queue has been handled. Of a queue that the service does not
    /// consume, nothing ever is.
    #[must_use]
    pub fn hearing(&self, queue: Queue) -> Hearing {
        let consumed = self.progress.iter().find(|(consumed, _)| *consumed == queue);
        let progress = consumed.map(|(_, progress)| progress.clone()).unwrap_or_default();
        Hearing::new(queue, QueueInspector::new(self.broker.clone()), progress, self.publisher.clone())
    }

    /// Stores what is counted, every ten seconds until all work is done.
    pub fn sample<C: samples::Counts>(&self) {
        samples::start::<C>(self.samples.clone(), &self.lifecycle.delivery);
    }
}

crate::variables! {
    /// What every participant reads besides.
    pub struct ParticipantVariables {
        /// Whose the orders are that name no owner, as those of a NestJS gateway: the name of a client's API key.
        default_owner = "anonymous",
    }
}

/// The configuration that every participant needs.
#[derive(Clone)]
pub struct ParticipantConfig {
    /// Where it listens.
    pub http: HttpConfig,
    /// How its connections are protected.
    pub transport: Transport,
    /// How it knows the gateway.
    pub gateway_only: GatewayOnly,
    /// Its database.
    pub database: DatabaseConfig,
    /// The broker.
    pub broker: BrokerConfig,
    /// How much its consumers take.
    pub consumer: ConsumerConfig,
    /// Whose the orders are that name no owner.
    pub default_owner: Owner,
    /// What is deleted after a time.
    pub retention: Vec<Policy>,
}

impl ParticipantConfig {
    /// Every variable that it reads, for `--help`.
    pub const VARIABLES: [&'static [Variable]; 8] = [
        ParticipantVariables::VARIABLES,
        HttpVariables::VARIABLES,
        GatewayOnlyVariables::VARIABLES,
        TransportVariables::VARIABLES,
        DatabaseVariables::VARIABLES,
        BrokerVariables::VARIABLES,
        ConsumerVariables::VARIABLES,
        RetentionVariables::VARIABLES,
    ];

    /// Reads the configuration; every mistake goes to `problems`. `port` and `management_address` are the service's own `PORT`
    /// and `MANAGEMENT_ADDRESS`, whose defaults differ.
    pub fn from_environment(
        port: Setting<'_>,
        management_address: Setting<'_>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Self> {
        let http = HttpConfig::from_environment(port, management_address, environment, problems);
        let told = Transport::from_environment(environment, problems);
        let transport = told.clone().unwrap_or_default();
        if let Some(http) = http.as_ref().filter(|_| transport.identity.is_none()) {
            http.require_protection(&transport, problems);
        }
        let gateway_only: GatewayOnlyVariables = environment.read(problems)?;
        let gateway_only = GatewayOnly::from_variables(&gateway_only, &transport, problems);
        let database = DatabaseConfig::from_environment(&transport, environment, problems);
        let broker = BrokerConfig::from_environment(&transport, environment, problems);
        let consumer = ConsumerConfig::from_environment(environment, problems);
        let own: ParticipantVariables = environment.read(problems)?;
        let default_owner = own.default_owner().parse(problems);
        let retention: RetentionVariables = environment.read(problems)?;
        let keep_failed_messages = retention::keep(retention.retention_failed_messages(), problems);
        let mut config = Self {
            http: http?,
            transport: told?,
            gateway_only: gateway_only?,
            database: database?,
            broker: broker?,
            consumer: consumer?,
            default_owner: default_owner?,
            retention: Vec::new(),
        };
        let kept = [Records::FailedMessages, Records::Replays, Records::Rejections];
        config.keep(&kept, keep_failed_messages?);
        Some(config)
    }

    /// Adds for how long some records are kept, if that is not without end.
    pub fn keep(&mut self, records: &[Records], keep: Option<Duration>) {
        let policies = records.iter().filter_map(|records| Some(Policy { records: *records, keep: keep? }));
        self.retention.extend(policies);
    }
}

impl<A, R, T> Participant<A, R, T>
where
    A: Aggregate,
    R: FnOnce(Connections, WaitingNow) -> Routes,
    T: FnOnce(RunningService<A>),
{
    /// Brings the schema up to date, then starts everything. Unavailable infrastructure is waited for.
    pub async fn start(self, config: ParticipantConfig, lifecycle: Lifecycle) -> Result<(), StartError> {
        let name = self.service.name();
        let invalid = |error: sqlx::Error| StartError::Config(error.to_string());
        let pool = config.database.pool(name).map_err(invalid)?;
        let outbox_pool = config.database.relaxed_pool(name, Outbox::CONNECTIONS).map_err(invalid)?;
        let connections_of_saga = Connections::of(pool.clone());
        let Lifecycle { health, intake, delivery, connections, shutdown, migrate_only, .. } = &lifecycle;

        let part = |name| TaskContext { health: health.part(name), stopping: shutdown.clone() };
        // Before the first request, and both at once: with nothing to report on yet, the service would be ready.
        let (schema, lock_room) = (part("schema"), part("room for locks"));
        let (probe, waiting) = (Probe::new(health.clone()), WaitingNow::default());
        let causes = Causes::new(config.database.survey_pool(name).map_err(invalid)?);
        if !migrate_only {
            let queries = Connections::of(config.database.query_pool(name).map_err(invalid)?);
            let outbox = Connections::of(outbox_pool.clone());
            let pools =
                [("saga", connections_of_saga.clone()), ("queries", queries.clone()), ("outbox", outbox)];
            database::show_pools(pools);
            let failed_messages = failed_messages::routes(failed_messages::Context {
                pool: queries.pool().clone(),
                publishers: config.broker.publishers(self.service),
                causes: causes.clone(),
            });
            let routes = (self.routes)(queries, waiting.clone()).merge(failed_messages).merge(probe.routes());
            let identity = config.transport.identity.as_ref();
            let tls = identity.map(TlsServer::to_peers).transpose().map_err(StartError::Config)?;
            Server::bind(config.http)?.tls(tls).wrap(|routes| config.gateway_only.protect(routes)).serve(
                routes,
                health,
                intake,
                connections,
            );
        }
        database::migrate(&config.database, name, &self.schema, *migrate_only, &schema).await?;
        if *migrate_only || shutdown.is_cancelled() {
            return Ok(());
        }

        database::start_counting_retries();
        let queues: Vec<Queue> = self.service.queues().collect();
        database::check_lock_room(&pool, queues.len() + OTHER_SOURCES, &lock_room).await?;

        database::monitor(pool.clone(), health, connections);
        let confirm_timeout = config.broker.publish_timeout();
        let connect =
            |purpose| Broker::start(self.service, purpose, config.broker.clone(), health, connections);
        let publisher = Publisher::start(connect(Purpose::Publishing), confirm_timeout, connections);
        let broker = connect(Purpose::Consuming);
        let samples = outbox_pool.clone();
        let outbox =
            Outbox::start(self.service, outbox_pool, publisher.clone(), confirm_timeout, health, delivery);
        let applier = Applier::new(self.aggregate, connections_of_saga, outbox.clone());
        applier.measure_newer(intake);
        let (mut stages, mut progress) = (Vec::new(), Vec::new());
        for &queue in &queues {
            let (stage, how_far) = (Stage::default(), Progress::default());
            stages.push((queue, stage.clone()));
            progress.push((queue, how_far.clone()));
            let (broker, applier) = (broker.clone(), applier.clone());
            consumer(queue, config.consumer, broker, applier, stage, how_far).start(health, intake);
        }
        // No order waits for what is recorded beside the saga.
        stages.retain(|(queue, _)| *queue != Queue::OrderPaymentTimeline);
        probe.watch(Places {
            queues: stages,
            stages: self.stages,
            outbox,
            inspector: QueueInspector::new(broker.clone()),
            last: None,
        });
        waiting.watch(queues.clone(), QueueInspector::new(broker.clone()));
        measure_queues(queues.clone(), QueueInspector::new(broker.clone()), intake);
        FailedMessages { queues, applier: applier.clone(), broker: broker.clone(), causes }
            .start(health, intake);
        // One connection: pruning never takes another one from the saga.
        let retention_pool = config.database.relaxed_pool(name, 1).map_err(invalid)?;
        retention::start(retention_pool, config.retention, intake);
        (self.tasks)(RunningService { applier, lifecycle, broker, publisher, progress, samples });
        Ok(())
    }
}
