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

/// The name of the member that holds an element's id (<https://www.w3.org/TR/webdriver2/#elements>).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

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
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1300,1000",
        ];
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

    /// What a script in the page calls its last argument with.
    pub async fn run_async(&self, script: &str) -> Value {
        self.ask("execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// Has pages ask for dark or light colours, as its user would.
    pub async fn prefers(&self, colours: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": colours }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.ask("goog/cdp/execute", &command).await;
    }

    /// Clicks the only element that is seen, fits a selector, and has this text in it.
    pub async fn click(&self, selector: &str, text: &str) {
        let element = self.element(selector, text).await;
        self.ask(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Types into the only field that is seen and fits a selector, in place of what it holds.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector, "").await;
        self.ask(&format!("element/{element}/clear"), &json!({})).await;
        self.ask(&format!("element/{element}/value"), &json!({ "text": text })).await;
    }

    /// The text of the page's body, as it is seen, without its empty lines.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        let lines = text.as_str().expect("a text").lines().map(str::trim);
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the page says all of this, without loading it again.
    pub async fn says(&self, words: &[&str]) -> String {
        eventually(&format!("the page says {words:?}"), async || {
            let text = self.text().await;
            if words.iter().all(|word| text.contains(word)) { Ok(text) } else { Err(text) }
        })
        .await
    }

    /// The address of the page.
    pub async fn address(&self) -> String {
        self.run("return location.href").await.as_str().expect("an address").to_owned()
    }

    async fn element(&self, selector: &str, text: &str) -> String {
        let script = "const [selector, text] = arguments;
            const all = [...document.querySelectorAll(selector)].filter((found) => found.checkVisibility());
            return all.filter((found) => found.textContent.includes(text));";
        eventually(&format!("{selector} with {text:?} is there"), async || {
            let found =
                self.ask("execute/sync", &json!({ "script": script, "args": [selector, text] })).await;
            let found = found.as_array().cloned().unwrap_or_default();
            match &found[..] {
                [only] => Ok(only[ELEMENT].as_str().expect("an element").to_owned()),
                others => Err(format!("there are {}: {}", others.len(), self.text().await)),
            }
        })
        .await
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
