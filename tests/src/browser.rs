//! A real browser, driven through its driver (W3C WebDriver, <https://www.w3.org/TR/webdriver2/>): Debian's `chromium` and
//! `chromium-driver`. The client crates that there are bring a second `http` and a licence that `deny.toml` does not allow.

use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::eventually;

/// A headless Chromium with one window and nothing stored. Killed when dropped.
pub struct Browser {
    client: Client,
    session: String,
    driver: Child,
}

/// The key that leads to the next element (<https://www.w3.org/TR/webdriver2/#keyboard-actions>).
pub const TAB: char = '\u{e004}';

/// The key that presses a button.
pub const ENTER: char = '\u{e007}';

impl Browser {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        drop(listener);
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let driver = command.spawn().expect("chromedriver can be run");
        let client = Client::new();
        let sessions = format!("http://127.0.0.1:{port}/session");
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } } });
        let id = eventually("the browser is there", async || {
            let answer =
                client.post(&sessions).json(&wanted).send().await.map_err(|error| error.to_string())?;
            let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
            answer["value"]["sessionId"].as_str().map(str::to_owned).ok_or_else(|| answer.to_string())
        })
        .await;
        Self { client, session: format!("{sessions}/{id}"), driver }
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url })).await;
    }

    /// Presses keys, one after the other, where the focus is.
    pub async fn press(&self, keys: &str) {
        let key = |kind: &str, key: char| json!({ "type": kind, "value": key.to_string() });
        let presses: Vec<_> =
            keys.chars().flat_map(|found| [key("keyDown", found), key("keyUp", found)]).collect();
        self.ask("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] }))
            .await;
    }

    /// What a script returns in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Ends it.
    pub async fn close(mut self) {
        self.client.delete(&self.session).send().await.expect("the driver answers");
        self.driver.kill().await.expect("it ends");
    }

    async fn ask(&self, what: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}/{what}", self.session)).json(body).send().await;
        let answer = answer.expect("the driver answers");
        let (status, mut found) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        assert!(status.is_success(), "{what}: {found}");
        found["value"].take()
    }
}
