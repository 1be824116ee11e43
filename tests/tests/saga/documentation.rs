//! The documents agree with the programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use contracts::OrderStatus;
use contracts::topology::ROUTES;
use tempfile::TempDir;
use tests::api_keys::{KeyFile, SHOP};
use tests::faults::scenarios;
use tests::programs;
use tests::{Stack, eventually};

const README: &str = include_str!("../../../README.md");
const TOUR: &str = include_str!("../../../docs/API.md");
const SECURITY: &str = include_str!("../../../docs/SECURITY.md");
const ARCHITECTURE: &str = include_str!("../../../docs/ARCHITECTURE.md");

#[tokio::test]
async fn every_command_of_the_readme_gives_the_readmes_answer() {
    every_command_gives_its_answer(README).await;
}

#[tokio::test]
async fn every_command_of_the_tour_gives_the_tours_answer() {
    every_command_gives_its_answer(TOUR).await;
}

/// With `python3`, which `./dev test` looks for.
#[tokio::test]
#[ignore = "needs python3"]
async fn the_python_of_the_tour_prints_what_it_says() {
    let block = |language: &str| {
        let begin = format!("```{language}\n");
        let blocks = TOUR.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
        blocks.collect::<String>()
    };
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::start().await;
    let environment = [("API", format!("{}/api", stack.gateway.url())), ("KEY_FILE", keys.header_of(SHOP))];
    let ran = tokio::process::Command::new("python3")
        .args(["-c", &block("python")])
        .envs(environment)
        .output()
        .await;
    let ran = ran.expect("python3 can be run");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(told, block("text"), "{}", String::from_utf8_lossy(&ran.stderr));
}

async fn every_command_gives_its_answer(document: &str) {
    // The gateway asks for no key: packaging/run-saga.sh runs this with one that can't read a file of keys.
    let keys = KeyFile::of(&[SHOP]);
    let files = TempDir::with_prefix("paysaga-documents-").expect("there is room");
    let header = keys.header_of(SHOP);
    let stack = Stack::start().await;
    let mut commands = 0;
    // Variables that one command sets are kept for the next.
    let mut settings = String::new();
    for (command, expected) in console(document) {
        commands += 1;
        let command = command
            .replace("http://127.0.0.1:3000", &stack.gateway.url())
            .replace(".paysaga/gateway/authorization", &header)
            .replace("/tmp/paysaga-", &format!("{}/", files.path().display()));
        if !command.starts_with("curl") {
            settings.push_str(&command);
            settings.push('\n');
            continue;
        }
        let script = format!("{settings}{command}");
        let changes_something = command.contains("-X POST") || command.contains("-X PATCH");
        let run = async || {
            let answer = normalise(&shell(&script));
            if answer == normalise(&expected) { Ok(()) } else { Err(format!("it answers\n{answer}")) }
        };
        if changes_something {
            run().await.unwrap_or_else(|answer| panic!("{command}\n{answer}\ninstead of\n{expected}"));
        } else {
            eventually(&command, run).await;
        }
    }
    assert!(commands > 8, "only {commands} commands were found");
}

#[tokio::test]
async fn the_readme_lists_every_variable_that_a_service_reads() {
    let mut listed = BTreeSet::new();
    for [variable, services, default, meaning] in table::<4>(README, "| variable | read by |") {
        let services = services.replace("all", "gateway, order, payment");
        for service in services.split(", ") {
            listed.insert([service.to_owned(), variable.clone(), default.clone(), meaning.clone()]);
        }
    }
    let mut read = BTreeSet::new();
    for service in ["gateway", "order", "payment"] {
        let help = programs::run(service, &["--help"], &programs::Environment::new()).await;
        let help = String::from_utf8(help.stdout).expect("help is text");
        for [variable, default, meaning] in table::<3>(&help, "| variable | default |") {
            read.insert([service.to_owned(), variable, default, meaning]);
        }
    }
    assert!(read.len() > 30);
    assert_eq!(listed, read);
}

#[tokio::test]
async fn every_metric_and_every_command_of_the_readme_exists() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    for [metric, services, _] in table::<3>(README, "| metric | of |") {
        let metric = metric.trim_matches('`').to_owned();
        for name in services.split(", ") {
            let service = match name {
                "gateway" => &stack.gateway,
                "order" => &stack.order,
                _ => &stack.payment,
            };
            eventually(&format!("{name} has {metric}"), async || {
                let text = service.metrics().await;
                let exported = text.lines().any(|line| line.split(['{', ' ']).next() == Some(&metric));
                if exported { Ok(()) } else { Err(text) }
            })
            .await;
        }
    }
    let mut commands = 0;
    for line in README.lines().filter(|line| line.starts_with("paysaga ")) {
        let command = line.split('#').next().unwrap_or_default().trim_start_matches("paysaga ");
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let ran = stack.paysaga(&arguments).await;
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        commands += 1;
    }
    assert!(commands >= 4);
}

#[test]
fn the_architecture_lists_every_route() {
    let listed: Vec<_> = table::<6>(ARCHITECTURE, "| routing key | exchange |").collect();
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| {
            let queue = route.queue;
            [
                format!("`{}`", route.routing_key),
                format!("`{}`", route.exchange),
                format!("`{}`", route.event_type),
                route.publisher.to_string(),
                format!("{}, `{queue}`", queue.consumer()),
                format!("`{}`", queue.dead_letter_queue()),
            ]
        })
        .collect();
    assert_eq!(listed, routes);
}

#[test]
fn every_attack_of_the_threat_model_is_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/saga");
    let sources = fs::read_dir(tests)
        .expect("the tests are there")
        .filter_map(|entry| fs::read_to_string(entry.expect("an entry").path()).ok());
    let sources: String = sources.collect();
    let booted: String = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../nix/tests"))
        .expect("the boot test is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.display().to_string().contains("/booted"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let scenarios = scenarios::all();
    let mut count = 0;
    for [who, .., tried_by] in table::<4>(SECURITY, "| who | sends what to whom |") {
        for name in tried_by.split('`').skip(1).step_by(2) {
            count += 1;
            if name.contains('/') {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
                assert!(script.exists(), "{who}: there is no {name}");
                continue;
            }
            assert!(sources.contains(&format!("fn {name}(")), "{who}: there is no test {name}");
        }
        for text in tried_by.split('"').skip(1).step_by(2) {
            let proved = booted.contains(&format!("prove '{text}'"));
            let scenario = scenarios.iter().any(|scenario| scenario.name.contains(text));
            assert!(proved || scenario, "{who}: nothing proves {text}");
            count += 1;
        }
    }
    assert!(count > 15, "only {count} tests were found in docs/SECURITY.md");
}

/// Commands and what they print, of every `console` block.
fn console(document: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let blocks = document.split("```console\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), String::new())),
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    found
}

/// The rows of the table whose head begins like this, without head and rule.
fn table<const COLUMNS: usize>(document: &str, head: &str) -> impl Iterator<Item = [String; COLUMNS]> {
    let table = document.split(head).nth(1).unwrap_or_else(|| panic!("there is no table {head}"));
    table.lines().skip(2).take_while(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        let cells: Vec<String> = cells.collect();
        <[String; COLUMNS]>::try_from(cells).unwrap_or_else(|cells| panic!("{COLUMNS} columns: {cells:?}"))
    })
}

fn shell(script: &str) -> String {
    let output =
        Command::new("bash").args(["-euo", "pipefail", "-c", script]).output().expect("bash can be run");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn no_document_puts_a_secret_on_a_command_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let documents = fs::read_dir(root.join("docs")).expect("there are documents");
    let documents =
        documents.map(|file| file.expect("it can be listed").path()).chain([root.join("README.md")]);
    let mut commands = 0;
    for path in documents.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&path).expect("it can be read");
        // Every second part is a block.
        for line in text.split("```").skip(1).step_by(2).flat_map(str::lines) {
            let line = line.to_lowercase();
            if ["curl", "paysaga ", "psql", "rabbitmqctl"].iter().any(|program| line.contains(program)) {
                commands += 1;
                let secret = ["bearer", "psk_", "password=", "-u ", "--api-key "]
                    .iter()
                    .find(|word| line.contains(**word));
                assert_eq!(secret, None, "{}: {line}", path.display());
            }
        }
    }
    assert!(commands > 20, "{commands} commands were found");
}

/// The text with placeholders for what differs from run to run: ids, times and cursors.
fn normalise(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.trim().chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() || "-:.".contains(letter) {
            word.push(letter);
            continue;
        }
        let is_id = uuid::Uuid::parse_str(&word).is_ok();
        let is_time = word.len() == 24 && word.ends_with('Z') && word.contains('T');
        let is_cursor = word.parse::<contracts::feed::EventCursor>().is_ok() && word.contains('-');
        out.push_str(if is_id {
            "<id>"
        } else if is_time {
            "<time>"
        } else if is_cursor {
            "<cursor>"
        } else {
            &word
        });
        out.push(letter);
        word.clear();
    }
    // The README's reader has the operator's key; this gateway asks for none.
    let out = out.replace(r#""owner":"anonymous""#, r#""owner":"operator""#);
    // The simulated provider's references contain a payment's id.
    let mut parts = out.split("sim_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "sim_" + part.get(32..).unwrap_or(part))
}
