//! How children are started.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::leftovers::MARK;
use super::{Process, ProcessError, StopPolicy, log, spawner};
use crate::account::Account;
use crate::installation::{Installation, NotInstalled, Wrapper};

/// Starts programs for one data directory, all in the same way: only the variables that they are given in their
/// environment, no terminal, their own process group (so that Ctrl-C reaches us alone and we choose the order),
/// and the mark of the directory.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    wrapper: Wrapper,
    mark: PathBuf,
    search_path: OsString,
}

/// A program about to be started.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    path: PathBuf,
    stop_policy: StopPolicy,
    command: Command,
}

impl Launcher {
    /// Starts programs of `installation`, which carry `mark`, the data directory they belong to.
    pub(crate) fn new(installation: &Installation, mark: &Path) -> Result<Self, NotInstalled> {
        let (wrapper, search_path) = (installation.wrapper()?, installation.search_path());
        Ok(Self { wrapper, mark: mark.to_owned(), search_path })
    }

    /// A program that runs as `account`, or as we do.
    pub(crate) fn program(
        &self,
        name: &'static str,
        path: &Path,
        stop_policy: StopPolicy,
        account: Option<Account>,
    ) -> Program {
        let mut command = Command::new(&self.wrapper.program);
        command
            .args(&self.wrapper.arguments)
            .arg(format!("--pdeathsig={}", stop_policy.parent_death_signal.name()));
        if let Some(Account { user, group }) = account {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        }
        command
            .arg("--")
            .arg(path)
            .env_clear()
            .env("PATH", &self.search_path)
            .env(MARK, &self.mark)
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        Program { name, path: path.to_owned(), stop_policy, command }
    }
}

impl Program {
    /// Adds an argument. Never a secret: every user of the machine can read command lines.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments. Never a secret.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds environment variables.
    pub(crate) fn envs(
        mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Self {
        self.command.envs(variables);
        self
    }

    /// Starts it; its output is appended to `log`.
    pub(crate) fn spawn(mut self, log: &Path) -> Result<Process, ProcessError> {
        let failed = |source| ProcessError::Log { log: log.to_owned(), source };
        let output = log::open(log).map_err(failed)?;
        self.command.stderr(output.try_clone().map_err(failed)?).stdout(output);
        let Self { name, path, stop_policy, command } = self;
        let child =
            spawner::spawn(command).map_err(|source| ProcessError::Start { name, program: path, source })?;
        Ok(Process::new(name, stop_policy, log.to_owned(), child))
    }

    /// Runs it to its end and returns what it printed; its failure is an error that holds its output.
    pub(crate) async fn run(mut self) -> Result<String, ProcessError> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let Self { name, path, command, .. } = self;
        let child =
            spawner::spawn(command).map_err(|source| ProcessError::Start { name, program: path, source })?;
        let output = child.wait_with_output().await.map_err(|source| ProcessError::Wait { name, source })?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let output_of_both = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        Err(ProcessError::Failed { name, status: output.status, output: output_of_both })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::process::StopSignal;

    #[tokio::test]
    async fn a_child_gets_no_variable_that_it_was_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("env.log");
        let launcher = Launcher::new(&Installation::of_this_machine(), folder.path()).unwrap();
        let timeout = Duration::from_secs(10);
        let stop_policy =
            StopPolicy { signal: StopSignal::Terminate, timeout, parent_death_signal: StopSignal::Terminate };
        launcher.program("env", Path::new("env"), stop_policy, None).spawn(&log).unwrap().ended().await;
        let printed = fs::read_to_string(&log).unwrap();
        let mut names: Vec<&str> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["PATH", MARK]);
    }
}
