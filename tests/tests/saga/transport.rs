//! Who speaks with whom, and how that is protected: tokens, certificates, and what may go in plain text.

use std::path::{Path, PathBuf};

use contracts::OrderStatus;
use contracts::definitions::Definitions;
use contracts::topology::Service;
use http::StatusCode;
use local_stack::postgres::{Passwords, Postgres, owner_of};
use local_stack::rabbitmq::RabbitMq;
use local_stack::secret::Password;
use local_stack::tls::TlsFiles;
use local_stack::{Directory, Installation};
use paysaga::pki::{Holder, authority_file};
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use strum::VariantArray;
use tempfile::TempDir;
use tests::api::{Api, header};
use tests::programs::{Environment, environment, run};
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::{Stack, eventually};
use uuid::Uuid;

#[tokio::test]
async fn order_and_payment_answer_the_gateway_alone_on_loopback_too() {
    let stack = Stack::start().await;
    let id = stack.api.place("1.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let (order, payment) = (stack.order.url(), stack.payment.url());
    let client = Client::new();
    for path in [
        format!("{order}/orders/{id}"),
        format!("{order}/orders"),
        format!("{order}/load"),
        format!("{order}/failed-messages"),
        format!("{payment}/payments/order/{id}"),
        format!("{payment}/payments/stats"),
        format!("{payment}/refunds"),
        format!("{payment}/nowhere"),
    ] {
        let bare = client.get(&path).header("x-actor", "mallory");
        let guessed = client.get(&path).bearer_auth(&SERVICE_TOKEN[1..]);
        let empty = client.get(&path).header("authorization", "Bearer ");
        for request in [bare, guessed, empty] {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert!(!answer.text().await.expect("a body").contains(&id.to_string()), "{path}");
        }
    }
    let claim = client.put(format!("{order}/idempotency-keys")).header("x-actor", "mallory").body("{}");
    assert_eq!(claim.send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_gateway_that_the_services_do_not_know_says_so_once() {
    let stack = Stack::with().gateway_env("SERVICE_TOKEN", "another-token-of-another-gateway-").start().await;
    for _ in 0..3 {
        let answer = reqwest::get(format!("{}/api/orders", stack.gateway.url())).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let told = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("SERVICE_TOKEN"));
    let lines: Vec<_> = stack.gateway.log_lines().into_iter().filter(told).collect();
    // Once for each service at most: it asks both how much waits there.
    assert!((1..=2).contains(&lines.len()), "{lines:?}");
    assert!(!stack.gateway.log().contains("another-token-of"), "the token is in the log");
}

#[tokio::test]
async fn plain_text_beyond_loopback_is_refused_unless_it_is_allowed_in_so_many_words() {
    let gateway = [
        ("RABBITMQ_URL", "amqp://me:secret@10.0.0.9/shop"),
        ("LISTEN_ADDRESS", "0.0.0.0"),
        ("ORDER_SERVICE_URL", "http://10.0.0.2:3001"),
        ("PAYMENT_SERVICE_URL", "http://payment.internal:3002"),
        ("AUTHENTICATION", "off"),
    ];
    let order = [
        ("RABBITMQ_URL", "amqp://me:secret@10.0.0.9/shop"),
        ("LISTEN_ADDRESS", "::"),
        ("DATABASE_URL", "postgres://me:secret@db.internal/order?sslmode=require"),
        ("MIGRATION_DATABASE_URL", "postgres://me:secret@db.internal/order"),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
    ];
    for (program, variables) in [("gateway", &gateway[..]), ("order", &order)] {
        let refused = run(program, &[], &environment(variables)).await;
        assert_eq!(refused.status.code(), Some(78), "{refused:?}");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        for (name, value) in variables {
            let is_plain = !value.contains("off") && *name != "SERVICE_TOKEN";
            let line = told.lines().find(|line| line.trim_start().starts_with(&format!("{name}:")));
            assert_eq!(
                line.is_some_and(|line| line.contains("ALLOW_PLAINTEXT=")),
                is_plain,
                "{name}: {told}"
            );
        }
        assert!(!told.contains("me:secret"), "{told}");
    }
    let half =
        [("RABBITMQ_URL", "amqp://localhost"), ("AUTHENTICATION", "off"), ("HTTPS_KEY_FILE", "/key.pem")];
    let refused = run("gateway", &[], &environment(&half)).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("HTTPS_CERTIFICATE_FILE: is missing"), "{told}");
    // What protects each is accepted; the names lead nowhere.
    let protected = [
        ("RABBITMQ_URL", "amqps://me:secret@broker.invalid/shop"),
        ("DATABASE_URL", "postgres://me:secret@db.invalid/order?sslmode=verify-full"),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
    ];
    let logs = TempDir::new().expect("there is room");
    ServiceProcess::start(Service::Order, environment(&protected), logs.path()).await;
}

/// The saga with TLS between all of its parts: no token, no password of the broker, no plain text.
struct Protected {
    folder: TempDir,
    order: ServiceProcess,
    payment: ServiceProcess,
    gateway: ServiceProcess,
    rabbitmq: RabbitMq,
    broker_port: u16,
    postgres: Postgres,
    _directory: Directory,
}

impl Protected {
    async fn start() -> Self {
        let folder = TempDir::with_prefix("paysaga-tls-").expect("there is room");
        make_certificates(folder.path()).await;
        let installation = Installation::of_this_machine();
        let directory = Directory::ephemeral(&installation).await.expect("a directory");
        let mut postgres = Postgres::prepare(&installation, &directory).expect("PostgreSQL");
        postgres.speak_tls(&files_of(Holder::PostgreSql, folder.path())).expect("certificates");
        let mut rabbitmq = RabbitMq::prepare(&installation, &directory).expect("RabbitMQ");
        let port = rabbitmq.speak_tls(files_of(Holder::RabbitMq, folder.path())).expect("certificates");
        let (database, broker) = tokio::join!(postgres.start(), rabbitmq.start());
        database.and(broker).expect("the servers start");
        let user_of = |service: Service| format!("paysaga-{service}");
        for &service in Service::VARIANTS {
            let never_used = serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
            rabbitmq.endpoint().create_user(&user_of(service), &never_used).await.expect("a user");
        }
        rabbitmq.endpoint().import(&Definitions::new("/", user_of)).await.expect("definitions");

        let start = async |service: Service, own: &[(&str, String)]| {
            let mut variables = identity_of(service, folder.path());
            let broker = format!("amqps://paysaga-{service}@localhost:{port}/%2F?auth_mechanism=external");
            variables.insert("RABBITMQ_URL".to_owned(), broker);
            variables.insert("BROKER_TOPOLOGY".to_owned(), "verify".to_owned());
            variables.insert("PROVIDER_LATENCY_MS".to_owned(), "0".to_owned());
            variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            ServiceProcess::start(service, variables, folder.path()).await
        };
        let (orders, payments) = (
            database_variables(&postgres, "order", folder.path()).await,
            database_variables(&postgres, "payment", folder.path()).await,
        );
        let order = start(Service::Order, &orders).await;
        let payment = start(Service::Payment, &payments).await;
        let https = |process: &ServiceProcess| format!("https://localhost:{}", process.address().port());
        let file = |path: PathBuf| path.display().to_string();
        let gateway = start(
            Service::Gateway,
            &[
                ("ORDER_SERVICE_URL", https(&order)),
                ("PAYMENT_SERVICE_URL", https(&payment)),
                ("HTTPS_CERTIFICATE_FILE", file(Holder::Https.certificate(folder.path()))),
                ("HTTPS_KEY_FILE", file(Holder::Https.key(folder.path()))),
            ],
        )
        .await;
        let mut protected = Self {
            folder,
            order,
            payment,
            gateway,
            rabbitmq,
            broker_port: port,
            postgres,
            _directory: directory,
        };
        let Self { order, payment, gateway, .. } = &mut protected;
        tokio::join!(order.ready(), payment.ready(), gateway.ready());
        protected
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn url_of(process: &ServiceProcess) -> String {
        format!("https://localhost:{}", process.address().port())
    }

    /// The gateway as a client sees it that believes the authority.
    fn api(&self) -> Api {
        let client = self.client(None).build().expect("a client");
        Api::with_client(Self::url_of(&self.gateway), client)
    }

    /// A client that believes the authority, and shows the certificate of a holder.
    fn client(&self, holder: Option<Holder>) -> ClientBuilder {
        client(&authority_file(self.path()), holder.map(|holder| (holder, self.path())))
    }
}

fn client(authority: &Path, shows: Option<(Holder, &Path)>) -> ClientBuilder {
    let read = |path: PathBuf| std::fs::read(path).expect("it can be read");
    let authority = Certificate::from_pem(&read(authority.to_owned())).expect("a certificate");
    let builder = Client::builder().tls_certs_only([authority]).tls_info(true).no_proxy();
    let Some((holder, folder)) = shows else { return builder };
    let pem = [read(holder.certificate(folder)), read(holder.key(folder))].concat();
    builder.identity(Identity::from_pem(&pem).expect("an identity"))
}

async fn make_certificates(folder: &Path) {
    // The shortest time that a scanner asks for.
    let arguments = ["pki", &folder.display().to_string(), "--days", "89"];
    let made = run("paysaga", &arguments, &Environment::new()).await;
    assert!(made.status.success(), "{made:?}");
}

fn files_of(holder: Holder, folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: holder.certificate(folder),
        key: holder.key(folder),
        authorities: authority_file(folder),
    }
}

fn identity_of(service: Service, folder: &Path) -> Environment {
    let holder: Holder = service.name().parse().expect("every service has a certificate");
    let TlsFiles { certificate, key, authorities } = files_of(holder, folder);
    [("TLS_CERTIFICATE_FILE", certificate), ("TLS_KEY_FILE", key), ("TLS_CA_FILE", authorities)]
        .map(|(name, path)| (name.to_owned(), path.display().to_string()))
        .into()
}

async fn database_variables(postgres: &Postgres, name: &str, folder: &Path) -> Vec<(&'static str, String)> {
    let password: Password = serde_json::from_value(Uuid::new_v4().to_string().into()).expect("it is text");
    let passwords = Passwords { service: password.clone(), owner: password.clone() };
    postgres.endpoint().ensure_database(name, &passwords).await.expect("a database");
    let authority = authority_file(folder);
    let url = |role: &str| {
        let url = postgres.endpoint().url_as(role, &password, name);
        format!("{url}?sslmode=verify-full&sslrootcert={}", authority.display())
    };
    vec![("DATABASE_URL", url(name)), ("MIGRATION_DATABASE_URL", url(&owner_of(name)))]
}

#[tokio::test]
async fn a_saga_completes_with_tls_between_all_parts_and_only_the_gateways_certificate_opens_the_services() {
    let protected = Protected::start().await;
    let id = protected.api().place("1.01").await;
    protected.api().order_becomes(id, OrderStatus::Paid).await;
    let answer = protected.api().get("/api/orders").await;
    assert_eq!(header(&answer, "strict-transport-security"), "max-age=31536000");

    // The operator's command, with the authority as the system's.
    let command = environment(&[
        ("PAYSAGA_GATEWAY", &Protected::url_of(&protected.gateway)),
        ("SSL_CERT_FILE", &authority_file(protected.path()).display().to_string()),
    ]);
    let listed = run("paysaga", &["failed", "list"], &command).await;
    assert!(listed.status.success(), "{listed:?}");

    // Every connection is encrypted, and the broker knows the services by their certificates.
    let mut database =
        PgConnection::connect(&protected.postgres.endpoint().url("order")).await.expect("it answers");
    let plain: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
         WHERE application_name LIKE 'paysaga %' AND NOT ssl",
    )
    .fetch_one(&mut database)
    .await
    .expect("it answers");
    assert_eq!(plain, 0);
    let listed = ["list_connections", "--quiet", "--no-table-headers", "user", "ssl", "auth_mechanism"];
    let connections = protected.rabbitmq.ctl(&listed).await.expect("rabbitmqctl answers");
    for service in Service::VARIANTS {
        assert!(connections.contains(&format!("paysaga-{service}\ttrue\tEXTERNAL")), "{connections}");
    }
    assert!(!connections.contains("false"), "{connections}");

    let order = Protected::url_of(&protected.order);
    let path = format!("{order}/orders/{id}");
    let ask = async |client: ClientBuilder| client.build().expect("a client").get(&path).send().await;
    let of_gateway = ask(protected.client(Some(Holder::Gateway))).await.expect("an answer");
    assert_ne!(of_gateway.status(), StatusCode::UNAUTHORIZED);
    // Another service's certificate is one of the authority's, and not the gateway's.
    let of_payment = ask(protected.client(Some(Holder::Payment))).await.expect("an answer");
    assert_eq!(of_payment.status(), StatusCode::UNAUTHORIZED);
    ask(protected.client(None)).await.expect_err("without a certificate there is no connection");
    let plain = Client::new().get(path.replace("https", "http")).send().await;
    plain.expect_err("plain text is not answered");
    // A gateway of another authority.
    let other = TempDir::new().expect("there is room");
    make_certificates(other.path()).await;
    let forged = client(&authority_file(protected.path()), Some((Holder::Gateway, other.path())));
    ask(forged).await.expect_err("the certificate is not the authority's");
    // And the gateway does not take another's service for its own: its clients believe the authority alone.
    let mistaken = client(&authority_file(other.path()), None).build().expect("a client");
    mistaken.get(Protected::url_of(&protected.gateway)).send().await.expect_err("it is another authority");
}

/// With `sslyze`, from Python's package index, which `./dev test` installs; `SSLYZE` names its program.
#[tokio::test]
#[ignore = "needs sslyze"]
async fn a_scanner_of_tls_finds_nothing_on_any_listener() {
    let sslyze = std::env::var_os("SSLYZE").expect("SSLYZE names the program");
    let protected = Protected::start().await;
    let path = |path: PathBuf| path.display().to_string();
    let (certificate, key) =
        (Holder::Gateway.certificate(protected.path()), Holder::Gateway.key(protected.path()));
    let authority = path(authority_file(protected.path()));
    let identity = ["--cert", &path(certificate), "--key", &path(key)].map(str::to_owned);
    let database = ["--starttls".to_owned(), "postgres".to_owned()];
    let scan = async |name: &str, port: u16, level: &str, more: &[String]| {
        let address = format!("localhost:{port}");
        let mut scanner = tokio::process::Command::new(&sslyze);
        scanner.args(["--mozilla_config", level, "--certinfo_ca_file", &authority]).args(more).arg(address);
        let found = scanner.output().await.expect("sslyze runs");
        let told = String::from_utf8_lossy(&found.stdout).into_owned();
        // It ends with 1 if the listener is not what Mozilla recommends, and says here what it is not.
        let objections: Vec<_> =
            told.lines().filter(|line| line.trim_start().starts_with("* tls_curves")).collect();
        // RabbitMQ's configuration has no groups of TLS 1.3; of Erlang's, Mozilla does not name X448, which is as good.
        let is_rabbitmq = name == "RabbitMQ"
            && matches!(objections[..], [line] if line.contains("{'X448'}"))
            && told.matches("should be rejected").count() == 1;
        let is_compliant = found.status.success() && told.contains("OK - Compliant");
        assert!(is_compliant || is_rabbitmq, "{name}: {told}");
        // The public authorities do not know ours, which is given.
        let bad = |line: &&str| {
            line.contains("VULNERABLE -") || (line.contains("FAILED - Cert") && !line.contains("CA Store"))
        };
        assert_eq!(told.lines().find(bad), None, "{name}: {told}");
        assert!(told.contains("OK - Certificate is trusted"), "{name}: {told}");
    };
    let port = |process: &ServiceProcess| process.address().port();
    scan("gateway", port(&protected.gateway), "intermediate", &[]).await;
    scan("order", port(&protected.order), "modern", &identity).await;
    scan("payment", port(&protected.payment), "modern", &identity).await;
    scan("RabbitMQ", protected.broker_port, "modern", &identity).await;
    scan("PostgreSQL", protected.postgres.endpoint().port, "modern", &database).await;
}

#[tokio::test]
async fn new_certificates_are_in_use_without_a_restart() {
    let protected = Protected::start().await;
    let before = protected.api().place("1.01").await;
    make_certificates(protected.path()).await;
    let services = [
        (&protected.order, Some(Holder::Gateway), Holder::Order),
        (&protected.payment, Some(Holder::Gateway), Holder::Payment),
        (&protected.gateway, None, Holder::Https),
    ];
    for (process, client, shown) in services {
        let expected = std::fs::read(shown.certificate(protected.path())).expect("it can be read");
        let expected = pem_content(&expected);
        eventually(&format!("{} shows its new certificate", process.service()), async || {
            // A new connection each time.
            let client = protected.client(client).build().expect("a client");
            let answer =
                client.get(Protected::url_of(process)).send().await.map_err(|error| error.to_string())?;
            let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
            if shown == Some(&expected) { Ok(()) } else { Err("it is the old one".to_owned()) }
        })
        .await;
    }
    protected.api().order_becomes(before, OrderStatus::Paid).await;
    let after = protected.api().place("1.01").await;
    protected.api().order_becomes(after, OrderStatus::Paid).await;
}

/// The certificate in a PEM file, as TLS sends it.
fn pem_content(pem: &[u8]) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    CertificateDer::from_pem_slice(pem).expect("a certificate").to_vec()
}
