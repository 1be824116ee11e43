//! `paysaga key`: the API keys that a gateway knows.

use std::collections::HashMap;
use std::io::{Write, stderr, stdout};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand};
use contracts::api_key::{KeyDigest, KeyKind, KnownKey, NewKey, Scope, Scopes, joined};
use contracts::{Owner, Timestamp};
use ipnet::IpNet;
use local_stack::gateway_key::keys_file;
use serde::Serialize;
use strum::VariantArray;

use super::listing::print_json;
use super::running_stack::{StackOptions, default_directory};
use crate::key_file::{KeyFile, Which};
use crate::progress::Progress;
use crate::table;

/// API keys: make them, replace them, revoke them, list them.
///
/// They are kept in the gateway's file (its `API_KEYS_FILE`) by their digests; the key itself is printed once, when it is made.
/// Gateways read the file again by themselves: a change is in force within a second.
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for a caller; it is printed on standard output, and nothing else is
    New(New),
    /// Make a key in place of another, which stays valid for a while
    Roll(Roll),
    /// Make keys invalid
    Revoke(Revoke),
    /// List the keys by their ids
    List(List),
}

/// Which file.
#[derive(Debug, Args)]
struct FileOptions {
    /// The gateway's file of keys [default: that of the stack of `paysaga up` in this directory]
    #[arg(long, value_name = "PATH", env = "API_KEYS_FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct New {
    /// The caller's name, as logs and audits show it
    caller: Owner,
    /// What the key allows [default: all that is not admin]
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', value_parser = scopes())]
    scopes: Vec<Scope>,
    /// How long it is valid, such as 90d [default: without end]
    #[arg(long, value_name = "TIME", value_parser = from_now)]
    expires_in: Option<Timestamp>,
    /// The networks that it may be used from, such as 10.0.0.0/8 [default: any]
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    from: Vec<IpNet>,
    /// Requests a second that the caller may send with it [default: as the gateway says]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    #[command(flatten)]
    kind: KindOptions,
    #[command(flatten)]
    file: FileOptions,
}

#[derive(Debug, Args)]
struct KindOptions {
    /// For play money: it begins with `psk_test_` instead of `psk_live_`
    #[arg(long)]
    test: bool,
}

#[derive(Debug, Args)]
struct Roll {
    /// The id of the key that is replaced
    id: String,
    /// How long that one stays valid
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = from_now)]
    overlap: Timestamp,
    /// How long the new one is valid [default: as long as that one was when it was made]
    #[arg(long, value_name = "TIME", value_parser = from_now)]
    expires_in: Option<Timestamp>,
    #[command(flatten)]
    kind: KindOptions,
    #[command(flatten)]
    file: FileOptions,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
struct Revoke {
    /// The key's id
    #[arg(group = "which")]
    id: Option<String>,
    /// All keys of this caller
    #[arg(long, value_name = "NAME", group = "which")]
    caller: Option<String>,
    #[command(flatten)]
    file: FileOptions,
}

#[derive(Debug, Args)]
struct List {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    /// Ask the gateway when each was last used since it was started
    #[arg(long)]
    last_used: bool,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    stack: StackOptions,
}

/// A key as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    caller: &'a str,
    scopes: Vec<String>,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    expired: bool,
    from: Vec<String>,
    rate: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
}

/// The time that is so much later than now.
fn from_now(text: &str) -> Result<Timestamp, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Timestamp::now().checked_add(time).ok_or_else(|| "is too long".to_owned())
}

/// When a key ends that is valid from now on for as long as this one was when it was made.
fn as_long_again(key: &KnownKey, expires: Timestamp) -> anyhow::Result<Timestamp> {
    let lifetime = key
        .created
        .and_then(|created| Duration::try_from(expires.as_datetime() - created.as_datetime()).ok());
    lifetime
        .and_then(|lifetime| Timestamp::now().checked_add(lifetime))
        .context("how long the key was valid is not known; say how long the new one is: --expires-in")
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::VARIANTS.iter().map(<&str>::from)).try_map(|text| text.parse::<Scope>())
}

impl Key {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::New(new) => new.run(),
            Action::Roll(roll) => roll.run(),
            Action::Revoke(revoke) => revoke.run(),
            Action::List(list) => list.run().await,
        }
    }
}

impl FileOptions {
    fn open(&self) -> anyhow::Result<KeyFile> {
        let of_stack = || keys_file(&default_directory().join("gateway"));
        Ok(KeyFile::open(&self.file.clone().unwrap_or_else(of_stack))?)
    }
}

impl New {
    fn run(self) -> anyhow::Result<()> {
        let mut keys = self.file.open()?;
        let scopes: Scopes =
            if self.scopes.is_empty() { Scope::of_client() } else { self.scopes.into_iter().collect() };
        self.kind.issue(&mut keys, |digest| KnownKey {
            caller: self.caller,
            digest,
            scopes,
            expires: self.expires_in,
            from: self.from,
            rate: self.rate,
            created: None,
        })
    }
}

impl Roll {
    fn run(self) -> anyhow::Result<()> {
        let mut keys = self.file.open()?;
        let Some(old) = keys.keys().find(|key| key.digest.id() == self.id).cloned() else {
            bail!("there is no key {} (paysaga key list shows those there are)", self.id);
        };
        let expires = match (self.expires_in, old.expires) {
            (None, Some(expired)) => Some(as_long_again(&old, expired)?),
            (given, _) => given,
        };
        keys.expire(Which::Id(&self.id), self.overlap);
        let rolled = keys.keys().find(|key| key.digest.id() == self.id).and_then(|key| key.expires);
        let caller = old.caller.clone();
        self.kind.issue(&mut keys, |digest| KnownKey { digest, expires, ..old })?;
        if let Some(end) = rolled {
            writeln!(stderr(), "the key {} of {caller} is valid until {end}", self.id)?;
        }
        Ok(())
    }
}

impl KindOptions {
    /// Makes a key, keeps its digest and prints it.
    fn issue(&self, keys: &mut KeyFile, known: impl FnOnce(KeyDigest) -> KnownKey) -> anyhow::Result<()> {
        let kind = if self.test { KeyKind::Test } else { KeyKind::Live };
        let key = NewKey::new(kind, rand::random());
        let known = KnownKey { created: Some(Timestamp::now()), ..known(key.digest()) };
        let (id, caller) = (key.digest().id(), known.caller.clone());
        keys.add(known);
        keys.save()?;
        writeln!(stdout(), "{}", key.expose()).context("the key was made and could not be printed")?;
        writeln!(stderr(), "the key {id} of {caller}; it is not shown again")?;
        Ok(())
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<()> {
        let mut keys = self.file.open()?;
        let which = match (&self.id, &self.caller) {
            (Some(id), _) => Which::Id(id),
            (None, Some(caller)) => Which::Caller(caller),
            (None, None) => bail!("name a key or a caller"),
        };
        let count = keys.remove(which);
        if count == 0 {
            bail!("there is no such key (paysaga key list shows those there are)");
        }
        keys.save()?;
        writeln!(stdout(), "revoked: {count}")?;
        Ok(())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let keys = self.file.open()?;
        let uses = if self.last_used {
            self.stack.connect(&Progress::new())?.key_uses().await?
        } else {
            HashMap::new()
        };
        let now = Timestamp::now();
        let listed: Vec<_> = keys.keys().map(|key| Listed::of(key, now, &uses)).collect();
        if self.json {
            return print_json(&listed);
        }
        let header = ["id", "caller", "scopes", "from", "rate", "created", "expires", "last used"];
        let columns = if self.last_used { header.len() } else { header.len() - 1 };
        let mut rows = table::with_header(&header[..columns]);
        for key in &listed {
            let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
            let expires = time(key.expires) + if key.expired { " (expired)" } else { "" };
            let (scopes, from) = (joined(&key.scopes), joined(&key.from));
            let rate = key.rate.map_or_else(String::new, |rate| rate.to_string());
            let created = time(key.created);
            let last_used = time(key.last_used);
            let row = [key.id.as_str(), key.caller, &scopes, &from, &rate, &created, &expires, &last_used];
            rows.add_row(&row[..columns]);
        }
        writeln!(stdout(), "{rows}")?;
        Ok(())
    }
}

impl<'a> Listed<'a> {
    fn of(key: &'a KnownKey, now: Timestamp, uses: &HashMap<String, Timestamp>) -> Self {
        let id = key.digest.id();
        Self {
            last_used: uses.get(&id).copied(),
            id,
            caller: key.caller.as_str(),
            scopes: key.scopes.iter().map(ToString::to_string).collect(),
            created: key.created,
            expires: key.expires,
            expired: key.is_expired(now),
            from: key.from.iter().map(ToString::to_string).collect(),
            rate: key.rate,
        }
    }
}
