//! Whose an order is: the client whose API key placed it. What one client owns does not exist for the others.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The name of a client, as its API keys have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

/// A text that no client can have as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 64 visible ASCII characters without `:`, must not begin with `#` and must not be `*`")]
pub struct InvalidOwner;

impl Owner {
    /// The one client of a gateway without authentication.
    #[must_use]
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// Who uses the stack that `paysaga up` runs.
    #[must_use]
    pub fn operator() -> Self {
        Self("operator".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = InvalidOwner;

    /// The name is written into logs, audits, headers and the lines of the file of keys.
    fn from_str(text: &str) -> Result<Self, InvalidOwner> {
        let visible = || text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if (1..=64).contains(&text.len()) && !text.starts_with('#') && text != ANY && visible() {
            Ok(Self(text.into()))
        } else {
            Err(InvalidOwner)
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How [`OwnerFilter::Any`] is written.
const ANY: &str = "*";

/// What a request is limited to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerFilter {
    /// To nothing: an operator's.
    Any,
    /// To what this client owns.
    Only(Owner),
}

impl OwnerFilter {
    /// Whether what this client owns is within the limit.
    #[must_use]
    pub fn permits(&self, owner: &Owner) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == owner,
        }
    }

    /// The client's name, or `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => ANY,
            Self::Only(owner) => owner.as_str(),
        }
    }
}

impl From<Owner> for OwnerFilter {
    fn from(owner: Owner) -> Self {
        Self::Only(owner)
    }
}

impl FromStr for OwnerFilter {
    type Err = InvalidOwner;

    fn from_str(text: &str) -> Result<Self, InvalidOwner> {
        if text == ANY { Ok(Self::Any) } else { text.parse().map(Self::Only) }
    }
}

impl fmt::Display for OwnerFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

macro_rules! as_a_string {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl<'a> From<&'a $name> for &'a str {
            fn from(name: &'a $name) -> Self {
                name.as_str()
            }
        }
    )*};
}

as_a_string!(Owner, OwnerFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_fits_into_a_line_and_a_header() {
        for right in ["shop", "my-shop/eu#2", &"x".repeat(64)] {
            assert_eq!(right.parse::<Owner>().unwrap().as_str(), right);
        }
        for wrong in ["", "*", "#shop", "a:b", "a b", "caf\u{e9}", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<Owner>(), Err(InvalidOwner), "{wrong}");
        }
    }

    #[test]
    fn a_filter_permits_its_owner_or_all() {
        let (shop, app): (Owner, Owner) = ("shop".parse().unwrap(), "app".parse().unwrap());
        assert!(OwnerFilter::Any.permits(&shop));
        assert!(OwnerFilter::from(shop.clone()).permits(&shop));
        assert!(!OwnerFilter::from(shop).permits(&app));
        for text in ["*", "shop"] {
            assert_eq!(text.parse::<OwnerFilter>().unwrap().to_string(), text);
        }
    }
}
