//! The declaration of environment variables.

/// One environment variable that a service reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The field that holds it: the variable's name in lower case.
    pub field: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// What holds when it is not set; `None` when there is nothing sensible.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Variable {
    /// The variable's name in the environment.
    #[must_use]
    pub fn name(&self) -> String {
        self.field.to_ascii_uppercase()
    }
}

/// A group of variables that belong to one concern. Made by [`variables!`](crate::variables).
pub trait Variables: serde::de::DeserializeOwned {
    /// What the group reads.
    const VARIABLES: &'static [Variable];
}

/// Declares a group of environment variables once: the struct that envy fills, the table that `--help` and the README
/// show, and an accessor for each that knows its name and default.
///
/// ```
/// chassis::variables! {
///     /// Where to listen.
///     pub struct ListenVariables {
///         /// TCP port.
///         port = "3000",
///         /// Who may connect.
///         access_key: secret,
///     }
/// }
/// ```
#[macro_export]
macro_rules! variables {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $group:ident {
            $($(#[doc = $about:literal])+ $field:ident $(: $secret:ident)? $(= $default:literal)?,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(serde::Deserialize)]
        $visibility struct $group {
            $($field: Option<String>,)*
        }

        impl $crate::config::Variables for $group {
            const VARIABLES: &'static [$crate::config::Variable] = &[
                $($crate::config::Variable {
                    field: stringify!($field),
                    about: concat!($($about),+),
                    default: $crate::variables!(@default $($default)?),
                    secret: $crate::variables!(@secret $($secret)?),
                },)*
            ];
        }

        impl $group {
            $(
                $(#[doc = $about])+
                $visibility fn $field(&self) -> $crate::config::Setting<'_> {
                    $crate::config::Setting::of::<Self>(stringify!($field), self.$field.as_deref())
                }
            )*
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@secret) => { false };
    (@secret secret) => { true };
}
