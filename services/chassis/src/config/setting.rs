//! From the text of a variable to its type, collecting every mistake on the way.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::{Variable, Variables};

/// Everything that is wrong with a configuration.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes that the variable `name` is wrong. `reason` must not hold a secret's value.
    pub fn add(&mut self, name: &str, reason: impl Display) {
        self.0.push(format!("{name}: {reason}"));
    }

    /// One line a mistake, in the order they were found.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

/// The text of one variable, or of its default, with what is needed to say what is wrong with it.
///
/// The methods note a problem and return `None` when there is no usable value; a configuration is complete when
/// all of them returned `Some`.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    variable: &'static Variable,
    text: Option<&'a str>,
}

impl<'a> Setting<'a> {
    /// The variable `field` of the group `V`, found with the text `text`.
    ///
    /// # Panics
    /// If the group has no such variable, which [`variables!`](crate::variables) makes impossible.
    #[must_use]
    pub fn of<V: Variables>(field: &str, text: Option<&'a str>) -> Self {
        let variable = V::VARIABLES.iter().find(|variable| variable.field == field);
        #[expect(clippy::expect_used, reason = "the macro writes the table and the accessors from one list")]
        let variable = variable.expect("an accessor has its variable");
        Self { variable, text: text.or(variable.default) }
    }

    /// The value; a missing one is a problem.
    pub fn parse<T: FromStr<Err: Display>>(self, problems: &mut Problems) -> Option<T> {
        self.parse_with(problems, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// The value as `read` understands it; a missing one is a problem.
    pub fn parse_with<T>(
        self,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = self.text else {
            problems.add(&self.variable.name(), format_args!("is missing. {}", self.variable.about.trim()));
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(reason) if self.variable.secret => {
                problems.add(&self.variable.name(), reason);
                None
            }
            Err(reason) => {
                problems.add(&self.variable.name(), format_args!("{reason}; it is {text:?}"));
                None
            }
        }
    }

    /// Notes that there is no value although another setting asks for one.
    pub fn is_missing(self, reason: &str, problems: &mut Problems) {
        problems.add(&self.variable.name(), format_args!("is missing; {reason}"));
    }

    /// The value if there is one.
    pub fn optional<T>(
        self,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.text {
            Some(_) => self.parse_with(problems, read).map(Some),
            None => Some(None),
        }
    }

    /// `on` or `off`.
    pub fn switch(self, problems: &mut Problems) -> Option<bool> {
        self.parse_with(problems, |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("must be on or off".to_owned()),
        })
    }

    /// A whole number within `range`.
    pub fn number(self, problems: &mut Problems, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        self.parse_with(problems, |text| {
            text.parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A TCP port.
    pub fn port(self, problems: &mut Problems) -> Option<u16> {
        self.parse_with(problems, |text| {
            text.parse().map_err(|_| "must be a port number from 0 (any free one) to 65535".to_owned())
        })
    }

    /// A span of time: `15m`, `10s`, `250ms`, or a bare number of milliseconds.
    pub fn duration(self, problems: &mut Problems) -> Option<Duration> {
        self.parse_with(problems, |text| match text.parse() {
            Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
            Err(_) => humantime::parse_duration(text)
                .map_err(|_| "must be a time such as 15m, 10s, 250ms or a number of milliseconds".to_owned()),
        })
    }

    /// A secret, kept from logs by its type; `check` looks at it without keeping it.
    pub fn secret(
        self,
        problems: &mut Problems,
        check: impl FnOnce(&str) -> Result<(), String>,
    ) -> Option<SecretString> {
        self.parse_with(problems, |text| check(text).map(|()| SecretString::from(text)))
    }

    /// An absolute URL with one of the given schemes and a host.
    pub fn url(self, problems: &mut Problems, schemes: &[&str]) -> Option<url::Url> {
        self.parse_with(problems, |text| parse_url(text, schemes))
    }
}

fn parse_url(text: &str, schemes: &[&str]) -> Result<url::Url, String> {
    let wanted = || format!("must be a URL that begins with {}://", schemes.join(":// or "));
    let url = url::Url::parse(text).map_err(|error| format!("{} ({error})", wanted()))?;
    if schemes.contains(&url.scheme()) { Ok(url) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    crate::variables! {
        /// For the tests.
        struct Example {
            /// TCP port.
            port = "3000",
            /// The broker.
            broker_url: secret,
            /// How long.
            patience = "1s",
        }
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn every_mistake_is_reported_at_once_and_no_secret_is_shown() {
        let mut problems = Problems::default();
        let env = environment(&[("PORT", "http"), ("BROKER_URL", "hunter2"), ("PATIENCE", "soon")]);
        let example: Example = env.read(&mut problems).unwrap();
        example.port().port(&mut problems);
        example.broker_url().url(&mut problems, &["amqp"]);
        example.patience().duration(&mut problems);
        let lines = problems.lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("PORT: must be a port number") && lines[0].ends_with("it is \"http\""));
        assert!(lines[1].starts_with("BROKER_URL: must be a URL"));
        assert!(!lines[1].contains("hunter2"), "{}", lines[1]);
        assert!(lines[2].starts_with("PATIENCE: must be a time"));
    }

    #[test]
    fn defaults_hold_and_missing_values_are_named_with_their_meaning() {
        let mut problems = Problems::default();
        let example: Example = environment(&[("PORT", "")]).read(&mut problems).unwrap();
        assert_eq!(example.port().port(&mut problems), Some(3000));
        assert_eq!(example.patience().duration(&mut problems), Some(Duration::from_secs(1)));
        assert!(example.broker_url().url(&mut problems, &["amqp"]).is_none());
        assert_eq!(problems.lines(), ["BROKER_URL: is missing. The broker."]);
    }

    #[test]
    fn a_value_can_come_from_a_file() {
        let path = std::env::temp_dir().join(format!("paysaga-setting-{}", std::process::id()));
        std::fs::write(&path, "4000\n").unwrap();
        let mut problems = Problems::default();
        let env = environment(&[("PORT_FILE", path.to_str().unwrap())]);
        let example: Example = env.read(&mut problems).unwrap();
        assert_eq!(example.port().port(&mut problems), Some(4000));
        std::fs::remove_file(&path).unwrap();

        assert!(env.read::<Example>(&mut problems).is_some());
        assert!(problems.lines()[0].contains("PORT_FILE can't be read"), "{:?}", problems.lines());

        let mut problems = Problems::default();
        environment(&[("PORT", "1"), ("PORT_FILE", "/x")]).read::<Example>(&mut problems);
        assert!(problems.lines()[0].contains("given twice"), "{:?}", problems.lines());
    }

    #[test]
    fn a_time_has_a_unit_or_counts_milliseconds() {
        for (text, expected) in
            [("250", 250), ("250ms", 250), ("10s", 10_000), ("15m", 900_000), ("15min", 900_000)]
        {
            let mut problems = Problems::default();
            let example: Example = environment(&[("PATIENCE", text)]).read(&mut problems).unwrap();
            let duration = example.patience().duration(&mut problems);
            assert_eq!(duration, Some(Duration::from_millis(expected)), "{text}");
        }
    }
}
