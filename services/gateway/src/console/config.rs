//! What the console reads from the environment.

use chassis::config::{Problems, Setting};
use secrecy::{ExposeSecret, SecretString};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use url::Url;

use super::session::Sealing;
use contracts::api_key::joined;

chassis::variables! {
    /// The console's variables.
    pub struct ConsoleVariables {
        /// The operators' pages under `/console`: `on`, `read-only` (they show all and change nothing), or `off`.
        console = "on",
        /// What the console's sessions are sealed with: 32 characters at least, the same on every gateway that serves the same address. Without it each gateway makes its own when it starts, and its sessions end with it.
        console_session_secret: secret,
        /// The name of the environment, such as `production`, which each of the console's pages shows.
        environment_name,
        /// The colour of the environment's name: `grey`, `green`, `blue`, `purple`, `orange` or `red`.
        environment_colour = "grey",
        /// Where Jaeger's pages are, for links from an order to its trace.
        jaeger_url,
    }
}

/// The fewest characters of the secret.
const SHORTEST_SECRET: usize = 32;

/// How the console is served.
pub(crate) struct ConsoleConfig {
    /// What it is for.
    pub(super) mode: Mode,
    /// How sessions are sealed.
    pub(super) sealing: Sealing,
    /// What its pages say about where they are.
    pub(super) environment: Environment,
    /// Where Jaeger's pages are.
    pub(super) jaeger: Option<Url>,
}

/// What the console is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Mode {
    On,
    ReadOnly,
    Off,
}

/// The environment, as people call it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) name: String,
    pub(super) colour: Colour,
}

/// A colour that white letters can be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Colour {
    Grey,
    Green,
    Blue,
    Purple,
    Orange,
    Red,
}

impl ConsoleConfig {
    /// Reads its variables; every mistake goes to `problems`.
    pub(crate) fn from_variables(own: &ConsoleVariables, problems: &mut Problems) -> Option<Self> {
        let mode = word::<Mode>(own.console(), problems);
        let colour = word::<Colour>(own.environment_colour(), problems);
        let name = own.environment_name().optional(problems, |name| match name.chars().count() {
            1..=40 => Ok(name.to_owned()),
            _ => Err("must have at most 40 characters".to_owned()),
        });
        let jaeger = own.jaeger_url().optional(problems, |url| {
            let url = url.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            url.ok_or_else(|| "must be a URL such as http://127.0.0.1:16686".to_owned())
        });
        let secret = own.console_session_secret().optional(problems, |secret| match secret.chars().count() {
            SHORTEST_SECRET.. => Ok(SecretString::from(secret)),
            _ => Err(format!("must have at least {SHORTEST_SECRET} characters")),
        });
        let name = name?.unwrap_or_else(|| "environment without a name".to_owned());
        let sealing = sealing(secret?.as_ref());
        Some(Self {
            mode: mode?,
            sealing,
            environment: Environment { name, colour: colour? },
            jaeger: jaeger?,
        })
    }
}

fn sealing(secret: Option<&SecretString>) -> Sealing {
    match secret {
        Some(secret) => Sealing::with(secret.expose_secret().as_bytes()),
        None => Sealing::with(&rand::random::<[u8; 32]>()),
    }
}

/// One of a few words.
fn word<T>(setting: Setting<'_>, problems: &mut Problems) -> Option<T>
where
    T: std::str::FromStr + std::fmt::Display + VariantArray + Copy,
{
    setting.parse_with(problems, |text| {
        let known = || format!("must be one of {}", joined(T::VARIANTS));
        text.parse().map_err(|_| known())
    })
}
