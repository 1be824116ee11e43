//! Where the values come from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;

use super::{Problems, Variables};

/// The variables of a process, by name. Names and values that are not UTF-8 are left out: none of ours is.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// An environment made of `variables`. Empty ones count as unset.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |value: OsString| value.into_string().ok().filter(|value| !value.is_empty());
        Self(variables.into_iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// The same with these values where none is given.
    #[must_use]
    pub fn with_defaults(mut self, defaults: &[(&str, &str)]) -> Self {
        for (name, value) in defaults {
            if !self.0.contains_key(*name) && !self.0.contains_key(&format!("{name}_FILE")) {
                self.0.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        self
    }

    /// Reads the variables of one concern. A file that can't be read, or a variable given both ways, is a problem.
    pub fn read<V: Variables>(&self, problems: &mut Problems) -> Option<V> {
        let mut values = Vec::with_capacity(V::VARIABLES.len());
        for variable in V::VARIABLES {
            let name = variable.name();
            match self.value(&name) {
                Ok(Some(value)) => values.push((name, value)),
                Ok(None) => {}
                Err(reason) => problems.add(&name, reason),
            }
        }
        match envy::from_iter(values) {
            Ok(variables) => Some(variables),
            // Every field is an optional text, so envy has nothing left to object to.
            Err(error) => {
                problems.add("environment", error.to_string());
                None
            }
        }
    }

    /// A variable that another library reads by itself.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        match (self.0.get(name), self.0.get(&format!("{name}_FILE"))) {
            (Some(_), Some(_)) => {
                Err(format!("is given twice, as {name} and as {name}_FILE; give one of them"))
            }
            (Some(value), None) => Ok(Some(value.clone())),
            (None, Some(path)) => match read_value(path) {
                Ok(value) if value.is_empty() => Err(format!("the file {path} of {name}_FILE is empty")),
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(format!("the file {path} of {name}_FILE can't be read: {error}")),
            },
            (None, None) => Ok(None),
        }
    }
}

/// The content of a file without the newline that editors and `echo` leave at its end.
fn read_value(path: &str) -> io::Result<String> {
    let mut value = std::fs::read_to_string(path)?;
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}
