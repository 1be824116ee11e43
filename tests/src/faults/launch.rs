//! Starting and stopping the services of a scenario.

use contracts::topology::Service;
use futures_util::future::join_all;
use local_stack::ports::Port;
use rustix::process::Signal;

use super::relay::Relay;
use super::remote_host::RemoteHost;
use super::rig::Rig;
use crate::programs::Environment;
use crate::service::ServiceProcess;

/// Settings of every scenario that differ from the defaults, so that recoveries take seconds. FAULTS.md lists them.
pub const SETTINGS: [(&str, &str); 4] = [
    ("PROVIDER_LATENCY_MS", "50-500"),
    ("PROVIDER_APPROVAL_RATE", "0.8"),
    // The lease of a step is five seconds longer.
    ("PROVIDER_TIMEOUT", "1s"),
    ("DATABASE_CONNECTIONS", "5"),
];

/// Settings of a scenario that differ from the usual ones.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Replicas of each service beyond the first.
    pub more_replicas: usize,
    /// Variables of every service.
    pub environment: Vec<(&'static str, String)>,
    /// Whether to put relays between everything.
    pub relays: bool,
    /// Whether PostgreSQL and RabbitMQ are on hosts of their own, behind relays there.
    pub remote_servers: bool,
    /// A service with failpoints compiled in, and the variable that sets one.
    pub failpoint: Option<(Service, &'static str, String)>,
}

impl Rig<'_> {
    /// Starts the services and waits until all are ready.
    pub async fn start(&mut self, plan: &Plan) {
        self.launch(plan).await;
        self.all_ready().await;
    }

    /// Starts the services and waits for nothing.
    pub async fn launch(&mut self, plan: &Plan) {
        if plan.relays {
            let (postgres, rabbitmq) = self.servers.both();
            self.relays.database = Some(Relay::start(vec![postgres.endpoint().port]).await);
            self.relays.broker = Some(Relay::start(vec![rabbitmq.endpoint().port]).await);
        }
        if plan.remote_servers {
            let (postgres, rabbitmq) = self.servers.both();
            let (database_host, broker_host) = (RemoteHost::start(), RemoteHost::start());
            self.relays.database =
                Some(Relay::start_on(database_host.listen(), vec![postgres.endpoint().port]));
            self.relays.broker = Some(Relay::start_on(broker_host.listen(), vec![rabbitmq.endpoint().port]));
            self.relays.database_host = Some(database_host);
            self.relays.broker_host = Some(broker_host);
        }
        let mut query_urls = Vec::new();
        for service in Service::WITH_DATABASE {
            let ports: Vec<u16> = (0..=plan.more_replicas).map(|_| self.claim_port()).collect();
            for port in &ports {
                self.launch_service(service, plan, *port, &[]);
            }
            // One replica is asked directly, several through a relay that balances the load.
            let port = if plan.relays || ports.len() > 1 {
                let relay = Relay::start(ports).await;
                let port = relay.port();
                self.relays.queries.push(relay);
                port
            } else {
                ports[0]
            };
            query_urls.push(format!("http://127.0.0.1:{port}"));
        }
        let urls =
            [("ORDER_SERVICE_URL", query_urls[0].clone()), ("PAYMENT_SERVICE_URL", query_urls[1].clone())];
        for _ in 0..=plan.more_replicas {
            let port = self.claim_port();
            self.launch_service(Service::Gateway, plan, port, &urls);
            if plan.relays {
                self.relays.gateways.push(Relay::start(vec![port]).await);
            }
        }
    }

    fn launch_service(&mut self, service: Service, plan: &Plan, port: u16, urls: &[(&str, String)]) {
        let management_port = self.claim_port();
        let mut environment: Environment =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut set = |name: &str, value: String| {
            environment.insert(name.to_owned(), value);
        };
        set("PORT", port.to_string());
        set("MANAGEMENT_ADDRESS", format!("127.0.0.1:{management_port}"));
        set("PROVIDER_SEED", self.seed.to_string());
        if plan.remote_servers {
            // Their hosts are network namespaces of this machine.
            set("ALLOW_PLAINTEXT", "amqp,postgres".to_owned());
        }
        set("RABBITMQ_URL", self.broker_url(true));
        if service != Service::Gateway {
            set("DATABASE_URL", self.database_url(service, true));
            set("MIGRATION_DATABASE_URL", self.migration_url(service));
        }
        for (name, value) in plan.environment.iter().chain(urls) {
            set(name, value.clone());
        }
        let mut programs = &self.programs.plain;
        if let Some((_, variable, value)) =
            plan.failpoint.as_ref().filter(|(failing, ..)| *failing == service)
        {
            set(variable, value.clone());
            programs = self.programs.failpoints.as_ref().expect("programs with failpoints were built");
        }
        let process = ServiceProcess::launch(service, programs, environment, self.logs.path());
        self.services.push(process);
    }

    fn claim_port(&mut self) -> u16 {
        let port = Port::claim().expect("a port is free");
        let number = port.number();
        self.ports.push(port);
        number
    }

    /// Waits until all services are ready.
    pub async fn all_ready(&mut self) {
        join_all(self.services.iter_mut().map(ServiceProcess::ready)).await;
    }

    /// Stops all services (SIGTERM) and returns what did not end with 0.
    pub async fn stop(&mut self) -> Vec<String> {
        let mut violations = Vec::new();
        for process in &mut self.services {
            if process.try_ended().is_none() {
                process.signal(Signal::TERM);
            }
        }
        for process in &mut self.services {
            let status = process.ended().await;
            if status.code() != Some(0) {
                violations.push(format!("{} ended with {status} after SIGTERM", process.service()));
            }
        }
        violations
    }
}
