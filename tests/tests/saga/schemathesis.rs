//! Requests that a program makes up from the gateway's description of itself.

use contracts::OrderStatus;
use serde_json::Value;
use tempfile::TempDir;
use tests::Stack;
use tests::api_keys::{KeyFile, OPERATOR};
use tests::description::DESCRIPTION;

/// With `schemathesis`, from Python's package index, which `./dev test` installs; `SCHEMATHESIS` names its program.
///
/// Left out are the checks that numbers out of range are refused (the contract clamps `page` and `limit`), that whatever the schema
/// allows is accepted (a key may stand for another request, a note must say something), and that a path takes the methods of one
/// template only (`/failed-messages/replay` fits `/failed-messages/{id}` as well, which has others).
#[tokio::test]
#[ignore = "needs schemathesis"]
async fn what_the_description_allows_is_answered_as_it_says() {
    let schemathesis = std::env::var_os("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let file = KeyFile::of(&[OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", file.path()).start().await;
    let api = stack.api.with_key(OPERATOR);
    let paid = api.place("10.01").await;
    api.order_becomes(paid, OrderStatus::Paid).await;
    let folder = TempDir::with_prefix("paysaga-description-").expect("there is room");
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, strict().to_string()).expect("the document can be written");
    let ran = tokio::process::Command::new(schemathesis)
        // Where it keeps what it has found.
        .current_dir(folder.path())
        .arg("run")
        .arg(&document)
        .args(["--url", &stack.gateway.url()])
        .args(["--header", &format!("Authorization: Bearer {}", OPERATOR.secret)])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "30",
            "--no-color",
            "--warnings",
            "off",
        ])
        .args([
            "--exclude-checks",
            "negative_data_rejection,positive_data_acceptance,allow_header_conformance,unsupported_method",
        ])
        .output()
        .await
        .expect("schemathesis runs");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    // It tried every operation.
    let operations = DESCRIPTION.operations().count();
    assert!(told.contains(&format!("Tested: {operations}")), "{told}");
}

/// The description, in which no answer is described that is not named: without it, any status would be.
fn strict() -> Value {
    let mut document = DESCRIPTION.document().clone();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in
        paths.flat_map(|path| path.as_object_mut().into_iter().flat_map(|path| path.values_mut()))
    {
        operation["responses"].as_object_mut().expect("responses").remove("default");
    }
    document
}
