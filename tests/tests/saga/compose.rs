//! packaging/compose.yaml and the broker's definitions, as far as it can be tested without a container engine: the services with its variables and
//! secrets, the broker with its users.

use std::fs;
use std::path::Path;
use std::process::Command;

use contracts::api_key::is_damaged;
use contracts::topology::Service;
use local_stack::postgres::owner_of;
use reqwest::Client;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tests::infrastructure::{new_database, new_name, servers};
use tests::programs::{self, Environment};
use tests::service::ServiceProcess;

const COMPOSE: &str = include_str!("../../../packaging/compose.yaml");
const DEFINITIONS: &str = include_str!("../../../packaging/rabbitmq-definitions.json");
const MAKE_ROLES: &str = include_str!("../../../packaging/database-roles.sh");
const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/roles.sql");
const UNIT: &str = include_str!("../../../nixos-module/service.nix");
const MAKE_SECRETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/compose-secrets.sh");

#[tokio::test]
async fn a_saga_completes_with_what_the_compose_file_gives_the_services() {
    let folder = TempDir::with_prefix("paysaga-compose-").expect("there is room");
    let secrets = folder.path().join("secrets");
    assert!(Command::new(MAKE_SECRETS).arg(&secrets).status().expect("it can be run").success());
    import_definitions(&secrets.join("rabbitmq-definitions.json")).await;

    let mut order = start(Service::Order, &secrets, folder.path(), Environment::new()).await;
    let mut payment = start(Service::Payment, &secrets, folder.path(), Environment::new()).await;
    let urls =
        [("ORDER_SERVICE_URL".to_owned(), order.url()), ("PAYMENT_SERVICE_URL".to_owned(), payment.url())];
    let mut gateway = start(Service::Gateway, &secrets, folder.path(), urls.into()).await;
    tokio::join!(order.ready(), payment.ready(), gateway.ready());
    assert!(gateway.address().ip().is_unspecified());
    let key = fs::read_to_string(secrets.join("api-key")).expect("compose-secrets.sh makes it");
    assert!(key.starts_with("psk_live_") && !is_damaged(key.trim()), "the key is one");

    let mut operator = variables_of("paysaga", &secrets);
    operator.insert("PAYSAGA_GATEWAY".to_owned(), gateway.url());
    let demo = programs::run("paysaga", &["demo"], &operator).await;
    assert!(demo.status.success(), "{demo:?}");
}

#[tokio::test]
async fn the_databases_have_the_settings_of_the_private_server() {
    let mut database = PgConnection::connect(&new_database(&new_name()).await).await.expect("it is there");
    let command = COMPOSE.split("command: [postgres, -c, ").nth(1).and_then(|rest| rest.split(']').next());
    let settings: Vec<_> = command.expect("there is one").split(", -c, ").collect();
    assert!(settings.len() >= 3, "{settings:?}");
    for setting in settings {
        let (name, expected) = setting.split_once('=').expect("name=value");
        let current: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&mut database)
            .await
            .expect("there is such a setting");
        assert_eq!(current, expected, "{name}");
    }
}

#[tokio::test]
async fn every_variable_of_the_compose_file_is_read_by_its_service() {
    for (service, arguments) in [
        ("gateway", &["--help"][..]),
        ("order", &["--help"]),
        ("payment", &["--help"]),
        ("paysaga", &["demo", "--help"]),
    ] {
        let help = programs::run(service, arguments, &Environment::new()).await;
        let help = String::from_utf8(help.stdout).expect("help is text");
        let variables = variables_of(service, Path::new("/"));
        assert!(variables.len() >= 2, "{service}: {variables:?}");
        for variable in variables.keys() {
            let known =
                |name: &str| help.contains(&format!("`{name}`")) || help.contains(&format!("[env: {name}="));
            let value = variable.strip_suffix("_FILE").unwrap_or(variable);
            assert!(known(variable) || known(value), "{service} does not read {variable}");
        }
    }
}

#[test]
fn every_container_is_bounded_unprivileged_and_of_an_image_that_is_known() {
    let services = COMPOSE.split("\nservices:\n").nth(1).and_then(|rest| rest.split("\nnetworks:\n").next());
    let names: Vec<_> = services
        .expect("the compose file has services")
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with([' ', '#']))
        .collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let container = settings_of(name);
        for setting in ["mem_limit", "pids_limit"] {
            let bound = setting_of(&container, setting).unwrap_or_else(|| panic!("{name} has no {setting}"));
            assert!(bound.starts_with(|first: char| first.is_ascii_digit()), "{name}: {setting} is {bound}");
        }
        assert_eq!(setting_of(&container, "cap_drop"), Some("[ALL]"), "{name}");
        assert_eq!(setting_of(&container, "security_opt"), Some(r#"["no-new-privileges:true"]"#), "{name}");
        let image = setting_of(&container, "image").unwrap_or_else(|| panic!("{name} has no image"));
        assert!(
            image.starts_with("paysaga/") || is_pinned(image),
            "{name} is of {image}, which is not pinned"
        );
        // RabbitMQ writes beside its data.
        assert!(name == "rabbitmq" || setting_of(&container, "read_only") == Some("true"), "{name}");
    }
}

#[test]
fn a_service_has_the_bounds_of_the_nixos_module() {
    let order = settings_of("order");
    let of_unit = |name: &str| {
        let value = UNIT.split(&format!(" {name} = ")).nth(1).and_then(|rest| rest.split(';').next());
        value.map(|value| value.trim_matches('"').to_lowercase())
    };
    assert_eq!(setting_of(&order, "mem_limit").map(str::to_owned), of_unit("MemoryMax"));
    assert_eq!(setting_of(&order, "pids_limit").map(str::to_owned), of_unit("TasksMax"));
}

/// What the compose file says of a service, with what it takes from an anchor behind it.
fn settings_of(service: &str) -> Vec<&'static str> {
    let block = |head: &str, indent: &str| -> Vec<&'static str> {
        let text = COMPOSE.split(head).nth(1).unwrap_or_else(|| panic!("the compose file has no {head}"));
        let indented = text.lines().take_while(|line| line.is_empty() || line.starts_with(indent));
        indented.map(str::trim).collect()
    };
    let mut settings = block(&format!("\n  {service}:\n"), "    ");
    if let Some(anchor) = settings.iter().find_map(|line| line.strip_prefix("<<: *")) {
        settings.extend(block(&format!(": &{anchor}\n"), "  "));
    }
    settings
}

/// The value of a setting: the first, which holds against one from an anchor.
fn setting_of(settings: &[&'static str], name: &str) -> Option<&'static str> {
    settings.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Whether an image is named with a version and a digest.
fn is_pinned(image: &str) -> bool {
    image.split_once("@sha256:").is_some_and(|(name, digest)| {
        let version = name.rsplit_once(':').map(|(_, version)| version);
        version.is_some_and(|version| version.contains('.'))
            && digest.len() == 64
            && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Starts a service as compose would, but with the servers and addresses of this test.
async fn start(service: Service, secrets: &Path, logs: &Path, addresses: Environment) -> ServiceProcess {
    let broker = format!("@127.0.0.1:{}/", servers().await.rabbitmq.port);
    rewrite(&secrets.join(format!("{service}-rabbitmq-url")), |url| url.replace("@rabbitmq:5672/", &broker));
    if service != Service::Gateway {
        make_database(service, secrets).await;
        let migration = variables_of(&format!("{service}-migrate"), secrets);
        let migrated = programs::run(service.name(), &["--migrate-only"], &migration).await;
        assert!(migrated.status.success(), "{migrated:?}");
    }
    let mut environment = variables_of(service.name(), secrets);
    // Set by the image.
    environment.insert("LISTEN_ADDRESS".to_owned(), "0.0.0.0".to_owned());
    environment.extend(addresses);
    ServiceProcess::start(service, environment, logs).await
}

/// Makes a service's database as its container would.
async fn make_database(service: Service, secrets: &Path) {
    let server = &servers().await.postgres;
    server.create_database(service.name()).await.expect("a database can be made");
    let script =
        MAKE_ROLES.replace("/run/secrets", &secrets.display().to_string()).replace("/opt/roles.sql", ROLES);
    let made = Command::new("bash")
        .args(["-c", &script])
        .envs([("POSTGRES_DB", service.name()), ("POSTGRES_USER", &server.user)])
        .envs([
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &server.port.to_string()),
            ("PGPASSWORD", server.password.expose()),
        ])
        .status();
    assert!(made.expect("it can be run").success());
    for role in [service.name().to_owned(), owner_of(service.name())] {
        let address = format!("@127.0.0.1:{}/", server.port);
        let container = format!("@{service}-database:5432/");
        rewrite(&secrets.join(format!("{role}-database-url")), |url| url.replace(&container, &address));
    }
}

fn rewrite(file: &Path, change: impl FnOnce(String) -> String) {
    let before = fs::read_to_string(file).expect("compose-secrets.sh makes it");
    fs::write(file, change(before)).expect("it can be written");
}

#[tokio::test]
async fn the_definitions_of_the_broker_are_those_that_paysaga_prints() {
    let printed = programs::run("paysaga", &["definitions"], &Environment::new()).await;
    assert_eq!(
        String::from_utf8(printed.stdout).expect("it prints text"),
        DEFINITIONS,
        "paysaga definitions > packaging/rabbitmq-definitions.json"
    );
}

/// The environment that the compose file gives a service, with its secrets in this folder.
fn variables_of(service: &str, secrets: &Path) -> Environment {
    let service = COMPOSE.split(&format!("\n  {service}:\n")).nth(1).expect("the compose file has it");
    let environment = service.split("\n    environment:\n").nth(1).expect("it has an environment");
    let secrets = format!("{}/", secrets.display());
    let lines = environment.lines().map_while(|line| line.strip_prefix("      "));
    lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name, value.replace("/run/secrets/", &secrets)))
        .map(|(name, value)| (name.to_owned(), value.replace("/run/keys/", &format!("{secrets}keys/"))))
        .collect()
}

/// Imports definitions, as RabbitMQ does at its start.
async fn import_definitions(file: &Path) {
    let broker = &servers().await.rabbitmq;
    rustls::crypto::ring::default_provider().install_default().ok();
    let imported = Client::new()
        .post(format!("{}/api/definitions", broker.management_url()))
        .basic_auth(&broker.user, Some(broker.password.expose()))
        .header("content-type", "application/json")
        .body(fs::read(file).expect("compose-secrets.sh makes it"))
        .send()
        .await
        .expect("the broker answers");
    assert!(imported.status().is_success(), "{}", imported.text().await.unwrap_or_default());
}
