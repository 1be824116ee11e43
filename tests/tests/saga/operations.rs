//! The services as programs: their arguments, their configuration, their migrations.

use std::process::Output;

use contracts::topology::Service;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tests::infrastructure::{new_database, new_name, new_virtual_host};
use tests::programs::{self, Environment, environment};
use tests::service::ServiceProcess;
use tests::{Stack, eventually};
use tokio::net::TcpListener;

const SERVICES: [&str; 3] = ["gateway", "order", "payment"];

/// Exit codes of sysexits.h.
const EX_USAGE: i32 = 64;
const EX_CONFIG: i32 = 78;

#[tokio::test]
async fn help_names_every_variable_and_version_the_version() {
    for service in SERVICES {
        for argument in ["--help", "-h"] {
            let help = programs::run(service, &[argument], &Environment::new()).await;
            assert!(help.status.success());
            let text = stdout(&help);
            assert!(text.starts_with(&format!("{service}: ")), "{text}");
            for variable in [
                "PORT",
                "LISTEN_ADDRESS",
                "MANAGEMENT_ADDRESS",
                "RABBITMQ_URL",
                "LOG_FORMAT",
                "SHUTDOWN_TIMEOUT",
                "OTEL_",
            ] {
                assert!(text.contains(variable), "{service}: {variable} in {text}");
            }
            let own: &[&str] = match service {
                "gateway" => {
                    &["ORDER_SERVICE_URL", "PAYMENT_SERVICE_URL", "REQUEST_TIMEOUT", "API_KEYS_FILE"]
                }
                "order" => &["DATABASE_URL", "--migrate-only"],
                _ => &["DATABASE_URL", "--migrate-only", "PROVIDER_APPROVAL_RATE", "PROVIDER_SEED"],
            };
            for word in own {
                assert!(text.contains(word), "{service}: {word} in {text}");
            }
        }
        for argument in ["--version", "-V"] {
            let version = programs::run(service, &[argument], &Environment::new()).await;
            assert!(version.status.success());
            assert_eq!(stdout(&version).trim_end(), format!("{service} {}", env!("CARGO_PKG_VERSION")));
        }
    }
}

#[tokio::test]
async fn an_unknown_argument_is_a_usage_error() {
    for service in SERVICES {
        for arguments in [&["--frobnicate"][..], &["serve"], &["--help", "--version"], &[""]] {
            let output = programs::run(service, arguments, &Environment::new()).await;
            assert_eq!(output.status.code(), Some(EX_USAGE), "{service} {arguments:?}");
            assert!(stderr(&output).contains("--help"), "{}", stderr(&output));
        }
    }
    let output = programs::run("gateway", &["--migrate-only"], &Environment::new()).await;
    assert_eq!(output.status.code(), Some(EX_USAGE), "the gateway has no database");
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_reported_at_once_and_no_secret_is_shown() {
    let keys = TempDir::with_prefix("paysaga-keys-").expect("there is room");
    let file = |name: &str, content: &str| {
        let path = keys.path().join(name);
        std::fs::write(&path, content).expect("a file can be written");
        path.to_str().expect("a path of text").to_owned()
    };
    let key_file = file("keys", "shop:hunter2\n");
    let secret_file = file("secret", "mysql://user:hunter2@host/db\n");
    let common = [
        ("PORT", "http"),
        ("MANAGEMENT_ADDRESS", "4000"),
        ("LISTEN_ADDRESS", "everywhere"),
        ("MAX_CONNECTIONS", "0"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "order=loud"),
        ("DRAIN_GRACE", "soon"),
        ("SHUTDOWN_TIMEOUT", "-1s"),
        ("BROKER_TOPOLOGY", "guess"),
        ("PUBLISH_TIMEOUT", "never"),
        ("ALLOW_PLAINTEXT", "everything"),
        ("SERVICE_TOKEN", "hunter2"),
    ];
    let gateway = [
        ("RABBITMQ_URL", "amqp://user:hunter2@host:port/vhost"),
        ("ORDER_SERVICE_URL", "order:3001"),
        ("PAYMENT_SERVICE_URL", "ftp://payment"),
        ("REQUEST_TIMEOUT", "long"),
        ("API_KEYS_FILE", key_file.as_str()),
        ("CORS_ORIGINS", "shop.example"),
    ];
    let order =
        [("RABBITMQ_URL", "http://user:hunter2@host"), ("DATABASE_CONNECTIONS", "many"), ("PREFETCH", "0")];
    let order_files = [("DATABASE_URL_FILE", secret_file.as_str())];
    let payment = [
        ("RABBITMQ_URL", "hunter2"),
        ("DATABASE_URL", "postgres://user:hunter2@host:99999999/db"),
        ("PREFETCH", "65536"),
        ("PROVIDER_LATENCY_MS", "500-50"),
        ("PROVIDER_APPROVAL_RATE", "1.1"),
        ("PROVIDER_SEED", "lucky"),
        ("PROVIDER_CONCURRENCY", "0"),
        ("PROVIDER_TIMEOUT", "forever"),
    ];
    for (service, own, files) in
        [("gateway", &gateway[..], &[][..]), ("order", &order, &order_files), ("payment", &payment, &[])]
    {
        let output = programs::run(service, &[], &environment(&[&common[..], own, files].concat())).await;
        assert_eq!(output.status.code(), Some(EX_CONFIG), "{service}: {}", stderr(&output));
        let errors = stderr(&output);
        for (variable, _) in common.iter().chain(own) {
            let mistakes =
                errors.lines().filter(|line| line.trim_start().starts_with(&format!("{variable}: ")));
            assert_eq!(mistakes.count(), 1, "{service} {variable}: {errors}");
        }
        for (variable, _) in files {
            assert!(errors.contains(variable.trim_end_matches("_FILE")), "{service} {variable}: {errors}");
        }
        assert!(!errors.contains("hunter2") && !stdout(&output).contains("hunter2"), "{service}: {errors}");
    }
}

#[tokio::test]
async fn a_missing_variable_and_an_unusable_file_are_named() {
    for (service, others) in [
        ("gateway", &["API_KEYS_FILE"][..]),
        ("order", &["DATABASE_URL", "SERVICE_TOKEN"]),
        ("payment", &["DATABASE_URL", "SERVICE_TOKEN"]),
    ] {
        let output = programs::run(service, &[], &Environment::new()).await;
        assert_eq!(output.status.code(), Some(EX_CONFIG));
        let errors = stderr(&output);
        for variable in ["RABBITMQ_URL"].iter().chain(others) {
            assert!(errors.contains(&format!("{variable}: is missing")), "{service} {variable}: {errors}");
        }
        assert_eq!(errors.matches("is missing").count(), 1 + others.len(), "{service}: {errors}");
    }
    let folder = TempDir::with_prefix("paysaga-files-").expect("there is room");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").expect("a file can be written");
    let output = programs::run(
        "order",
        &[],
        &environment(&[
            ("RABBITMQ_URL", "amqp://localhost"),
            ("RABBITMQ_URL_FILE", "/dev/null"),
            ("DATABASE_URL_FILE", "/does/not/exist"),
            ("LOG_FORMAT", ""),
            ("LOG_FORMAT_FILE", empty.to_str().expect("a path of text")),
        ]),
    )
    .await;
    assert_eq!(output.status.code(), Some(EX_CONFIG));
    let errors = stderr(&output);
    for words in ["RABBITMQ_URL_FILE; give one of them", "/does/not/exist", "LOG_FORMAT_FILE is empty"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
}

#[tokio::test]
async fn a_gateway_needs_keys_or_an_opt_out_on_loopback_too() {
    let broker = ("RABBITMQ_URL", "amqp://127.0.0.1:1");
    for address in ["127.0.0.1", "::1", "0.0.0.0", "::", "192.0.2.1"] {
        let output =
            programs::run("gateway", &[], &environment(&[broker, ("LISTEN_ADDRESS", address)])).await;
        assert_eq!(output.status.code(), Some(EX_CONFIG), "{address}");
        let errors = stderr(&output);
        assert!(errors.contains("API_KEYS_FILE") && errors.contains("AUTHENTICATION=off"), "{errors}");
    }
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let open =
        [broker, ("LISTEN_ADDRESS", "0.0.0.0"), ("ALLOW_PLAINTEXT", "http"), ("AUTHENTICATION", "off")];
    let gateway = ServiceProcess::start(Service::Gateway, environment(&open), logs.path()).await;
    let response =
        reqwest::get(format!("{}/health/live", gateway.management_url())).await.expect("it listens");
    assert!(response.status().is_success());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port();
    for service in SERVICES {
        let url = ("DATABASE_URL", "postgres://user@127.0.0.1:1/database");
        let port = port.to_string();
        let broker = ("RABBITMQ_URL", "amqp://127.0.0.1:1");
        let key = ("AUTHENTICATION", "off");
        let address = format!("127.0.0.1:{port}");
        for taken in [("PORT", &port), ("MANAGEMENT_ADDRESS", &address)] {
            let (name, value) = taken;
            let output = programs::run(service, &[], &environment(&[url, broker, key, (name, value)])).await;
            assert_eq!(output.status.code(), Some(1), "{service} {name}");
            let text = stdout(&output) + &stderr(&output);
            assert!(text.contains(&address), "{service} {name}: {text}");
        }
    }
}

#[tokio::test]
async fn values_can_come_from_files() {
    let name = new_name();
    let folder = TempDir::with_prefix("paysaga-files-").expect("there is room");
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file can be written");
        path.to_str().expect("a path of text").to_owned()
    };
    let database = file("database", format!("{}\n", new_database(&name).await));
    let broker = file("broker", new_virtual_host(&name).await);
    let port = file("port", "0\n".to_owned());
    let variables = [
        ("DATABASE_URL_FILE", database.as_str()),
        ("RABBITMQ_URL_FILE", &broker),
        ("PORT", ""),
        ("PORT_FILE", &port),
    ];
    let mut order = ServiceProcess::start(Service::Order, environment(&variables), folder.path()).await;
    order.ready().await;
}

#[tokio::test]
async fn the_migrations_alone_make_the_schema_and_can_be_run_concurrently() {
    for (service, table) in [("order", "orders"), ("payment", "payments")] {
        let url = new_database(&new_name()).await;
        // The broker is not needed for them.
        let environment = environment(&[("DATABASE_URL", &url), ("RABBITMQ_URL", "amqp://127.0.0.1:1")]);
        let run = || programs::run(service, &["--migrate-only"], &environment);
        let (one, other, third) = tokio::join!(run(), run(), run());
        for output in [one, other, third, run().await] {
            assert!(output.status.success(), "{service}: {}{}", stdout(&output), stderr(&output));
        }
        let mut connection = PgConnection::connect(&url).await.expect("the database answers");
        let tables = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM information_schema.tables WHERE table_name IN ($1, 'outbox')",
        );
        let count = tables.bind(table).fetch_one(&mut connection).await.expect("the database answers");
        assert_eq!(count, 2, "{service}");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_measure_requests_and_messages() {
    let stack = Stack::start().await;
    stack.drain_every_queue().await;
    let of_participant = ["http_server_request_duration", "messaging_process_duration"];
    for (url, families) in [
        (format!("{}/api/metrics", stack.gateway.url()), &of_participant[..1]),
        (format!("{}/metrics", stack.gateway.management_url()), &of_participant[..1]),
        (format!("{}/metrics", stack.order.management_url()), &of_participant),
        (format!("{}/metrics", stack.payment.management_url()), &of_participant),
    ] {
        let text = eventually("the requests before are measured", async || {
            let response = reqwest::get(&url).await.expect("it answers");
            assert!(response.status().is_success());
            let content_type = response.headers()["content-type"].to_str().expect("text").to_owned();
            assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
            let text = response.text().await.expect("a body");
            let missing = families.iter().find(|family| {
                let count = format!("{family}_seconds_count");
                let mut counts = text.lines().filter(|line| line.starts_with(&count));
                !counts.any(|line| !line.ends_with(" 0"))
            });
            missing.map_or(Ok(text.clone()), |family| Err(format!("no {family} in {text}")))
        })
        .await;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(!series.contains('{') || series.ends_with('}'), "{line}");
        }
        for family in families {
            assert!(text.contains(&format!("# TYPE {family}_seconds histogram")), "{family}: {text}");
        }
    }
    let metrics = stack.api.text("/api/metrics").await;
    // Templates, not paths: ids would make a series for every order.
    assert!(metrics.contains(r#"http_route="/api/orders/{id}""#), "{metrics}");
    let metrics = stack.order.metrics().await;
    assert!(metrics.contains(r#"messaging_destination_name="order.create.queue""#), "{metrics}");
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
