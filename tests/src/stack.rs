//! A whole paysaga for one test: fresh databases, a fresh virtual host, its own services.

use std::collections::HashMap;

use contracts::topology::Service;
use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::amqp::Amqp;
use crate::api::Api;
use crate::eventually;
use crate::infrastructure::{self, ServiceDatabase, servers};
use crate::management::Management;
use crate::programs::{self, Environment};
use crate::service::ServiceProcess;
use crate::statement_tap::StatementTap;

/// A stack to be started, with settings of its own.
#[derive(Clone, Debug, Default)]
pub struct StackBuilder {
    environment: Environment,
    gateway_environment: Environment,
    taps: HashMap<Service, u16>,
    own_broker_users: bool,
}

impl StackBuilder {
    /// Sets a variable of every service.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable of the gateway alone.
    #[must_use]
    pub fn gateway_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.gateway_environment.insert(name.to_owned(), value.into());
        self
    }

    /// Lets a service reach its database through this tap.
    #[must_use]
    pub fn tapped(mut self, service: Service, tap: &StatementTap) -> Self {
        self.taps.insert(service, tap.port());
        self
    }

    /// Gives each service a user of its own on the broker, with the permissions of `paysaga definitions`.
    #[must_use]
    pub const fn own_broker_users(mut self) -> Self {
        self.own_broker_users = true;
        self
    }

    /// Starts the stack.
    pub async fn start(self) -> Stack {
        Stack::start_with(self).await
    }
}

/// A running paysaga.
pub struct Stack {
    /// The gateway as a client sees it.
    pub api: Api,
    /// The gateway's process.
    pub gateway: ServiceProcess,
    /// The order service's process.
    pub order: ServiceProcess,
    /// The payment service's process.
    pub payment: ServiceProcess,
    /// The broker as another service sees it.
    pub amqp: Amqp,
    /// The broker as its administrator sees it.
    pub management: Management,
    /// The order service's database.
    pub order_database: PgPool,
    /// The payment service's database.
    pub payment_database: PgPool,
    logs: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct CommandOutput {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Stack {
    /// Starts one with a provider that answers at once.
    pub async fn start() -> Self {
        StackBuilder::default().start().await
    }

    /// One with settings of its own.
    #[must_use]
    pub fn with() -> StackBuilder {
        StackBuilder::default()
    }

    async fn start_with(builder: StackBuilder) -> Self {
        let (name, servers) = (infrastructure::new_name(), servers().await);
        let logs = TempDir::with_prefix("paysaga-test-").expect("there is room for logs");
        let order_database = infrastructure::new_service_database(&format!("{name}_order")).await;
        let payment_database = infrastructure::new_service_database(&format!("{name}_payment")).await;
        let amqp_url = infrastructure::new_virtual_host(&name).await;
        let broker_users =
            if builder.own_broker_users { infrastructure::broker_users(&name).await } else { HashMap::new() };

        let mut common = Environment::from([
            ("RABBITMQ_URL".to_owned(), amqp_url.clone()),
            ("PROVIDER_LATENCY_MS".to_owned(), "0".to_owned()),
            ("DATABASE_CONNECTIONS".to_owned(), "5".to_owned()),
        ]);
        common.extend(builder.environment);
        let through_tap = |service: Service, url: &str| {
            let Some(port) = builder.taps.get(&service) else { return url.to_owned() };
            url.replace(&format!(":{}/", servers.postgres.port), &format!(":{port}/"))
        };
        let with = |service: Service, own: &[(&str, String)]| {
            let mut environment = common.clone();
            if let Some(url) = broker_users.get(&service) {
                environment.insert("RABBITMQ_URL".to_owned(), url.clone());
                environment.insert("BROKER_TOPOLOGY".to_owned(), "verify".to_owned());
            }
            environment.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            environment
        };
        let with_database = |service: Service, database: &ServiceDatabase| {
            let own = [
                ("DATABASE_URL", through_tap(service, &database.service_url)),
                ("MIGRATION_DATABASE_URL", database.owner_url.clone()),
            ];
            with(service, &own)
        };
        let (mut order, mut payment) = tokio::join!(
            ServiceProcess::start(
                Service::Order,
                with_database(Service::Order, &order_database),
                logs.path()
            ),
            ServiceProcess::start(
                Service::Payment,
                with_database(Service::Payment, &payment_database),
                logs.path()
            ),
        );
        let urls = [("ORDER_SERVICE_URL", order.url()), ("PAYMENT_SERVICE_URL", payment.url())];
        let mut gateway_environment = with(Service::Gateway, &urls);
        gateway_environment.extend(builder.gateway_environment);
        let mut gateway = ServiceProcess::start(Service::Gateway, gateway_environment, logs.path()).await;
        tokio::join!(gateway.ready(), order.ready(), payment.ready());
        Self {
            api: Api::new(gateway.url()),
            gateway,
            order,
            payment,
            amqp: Amqp::connect(&amqp_url).await,
            management: Management::new(servers.rabbitmq.clone(), name),
            order_database: PgPool::connect_lazy(&order_database.admin_url).expect("a valid URL"),
            payment_database: PgPool::connect_lazy(&payment_database.admin_url).expect("a valid URL"),
            logs,
        }
    }

    /// Starts another replica of a service, with some other settings.
    pub async fn another(&self, service: &ServiceProcess, settings: &[(&str, String)]) -> ServiceProcess {
        let mut environment = service.environment().clone();
        environment.remove("PORT");
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut another = ServiceProcess::start(service.service(), environment, self.logs()).await;
        another.ready().await;
        another
    }

    /// Sends an order through every queue. What was in the queues before has been processed when this returns: each has
    /// one consumer, which takes messages in their order.
    pub async fn drain_every_queue(&self) -> OrderId {
        let id = self.api.place("1.01").await;
        self.api.order_becomes(id, OrderStatus::Paid).await;
        self.api.cancel(id).await;
        self.api.payment_becomes(id, PaymentStatus::Refunded).await;
        self.api.timeline_has(id, EventType::PaymentRefunded).await;
        id
    }

    /// Waits until the payment service knows that an order, whose charge is under way, is cancelled.
    pub async fn payment_knows_cancellation(&self, order: OrderId) {
        eventually(&format!("the payment of {order} is to be cancelled"), async || {
            let query = sqlx::query_scalar("SELECT cancel_requested FROM payments WHERE order_id = $1");
            let requested = query.bind(order.as_uuid()).fetch_one(&self.payment_database).await;
            if requested.expect("there is a payment") { Ok(()) } else { Err("it is not") }
        })
        .await;
    }

    /// Waits until both services have published every event that they have committed.
    pub async fn outboxes_empty(&self) {
        for (service, database) in
            [(Service::Order, &self.order_database), (Service::Payment, &self.payment_database)]
        {
            eventually(&format!("the {service} service's outbox is empty"), async || {
                let count =
                    sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox").fetch_one(database).await;
                match count.expect("the database answers") {
                    0 => Ok(()),
                    count => Err(format!("it holds {count}")),
                }
            })
            .await;
        }
    }

    /// Runs the operator's command against this stack.
    pub async fn paysaga(&self, arguments: &[&str]) -> CommandOutput {
        self.paysaga_with(arguments, Environment::new()).await
    }

    /// The same, with more environment variables.
    pub async fn paysaga_with(&self, arguments: &[&str], mut environment: Environment) -> CommandOutput {
        environment.insert("PAYSAGA_GATEWAY".to_owned(), self.gateway.url());
        let output = programs::run("paysaga", arguments, &environment).await;
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The variables that give the operator's command the databases and the broker.
    #[must_use]
    pub fn infrastructure_urls(&self) -> Environment {
        let of = |service: &ServiceProcess, name: &str| service.environment()[name].clone();
        Environment::from([
            ("ORDER_DATABASE_URL".to_owned(), of(&self.order, "DATABASE_URL")),
            ("PAYMENT_DATABASE_URL".to_owned(), of(&self.payment, "DATABASE_URL")),
            ("RABBITMQ_URL".to_owned(), of(&self.order, "RABBITMQ_URL")),
        ])
    }

    /// Where the services log to.
    #[must_use]
    pub fn logs(&self) -> &std::path::Path {
        self.logs.path()
    }
}
