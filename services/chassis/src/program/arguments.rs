//! What a program is asked to do on its command line.

use std::env;

/// What a program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Invocation {
    /// To serve until it is told to stop.
    Serve,
    /// To bring the database schema up to date and end.
    Migrate,
    /// To print its version.
    Version,
    /// To print its help.
    Help,
    /// Something that it does not know.
    Unknown(String),
}

impl Invocation {
    /// The invocation of this process.
    pub(super) fn of_process() -> Self {
        let arguments = env::args_os().skip(1);
        Self::read(&arguments.map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>())
    }

    fn read(arguments: &[String]) -> Self {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Self::Serve,
            ["--migrate-only"] => Self::Migrate,
            ["--version" | "-V"] => Self::Version,
            ["--help" | "-h"] => Self::Help,
            ref unknown => Self::Unknown(unknown.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_argument_or_none() {
        let read = |arguments: &[&str]| {
            Invocation::read(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(read(&[]), Invocation::Serve);
        assert_eq!(read(&["--migrate-only"]), Invocation::Migrate);
        assert_eq!(read(&["-V"]), Invocation::Version);
        assert_eq!(read(&["--help"]), Invocation::Help);
        assert_eq!(read(&["--help", "now"]), Invocation::Unknown("--help now".to_owned()));
        assert_eq!(read(&[""]), Invocation::Unknown(String::new()));
    }
}
