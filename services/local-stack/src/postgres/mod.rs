//! A private PostgreSQL server.

mod databases;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::Account;
use crate::directory::Directory;
use crate::error::{Error, failed};
use crate::installation::{Installation, PostgresPrograms};
use crate::ports::Port;
use crate::process::launcher::{Launcher, Program};
use crate::process::leftovers;
use crate::process::{Process, ProcessError, StopPolicy, StopSignal, Stopped};
use crate::secret::{self, Password};
use crate::tls::TlsFiles;

pub use databases::{DatabaseError, Endpoint, Passwords, owner_of};

const NAME: &str = "PostgreSQL";
const SUPERUSER: &str = "admin";

/// What differs from PostgreSQL's defaults, for speed; docs/OPERATIONS.md, "PostgreSQL's settings", says why.
const SETTINGS: [&str; 3] = ["shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=15min"];

const STOP_POLICY: StopPolicy = StopPolicy {
    signal: StopSignal::Interrupt,
    timeout: Duration::from_secs(15),
    parent_death_signal: StopSignal::Interrupt,
};

/// A PostgreSQL server with its own data, port and passwords. It listens on 127.0.0.1 only.
#[derive(Debug)]
pub struct Postgres {
    programs: PostgresPrograms,
    launcher: Launcher,
    account: Option<Account>,
    home: PathBuf,
    log: PathBuf,
    endpoint: Endpoint,
    tls: Option<TlsFiles>,
    process: Option<Process>,
    _port: Port,
}

impl Postgres {
    /// Chooses port and password, or takes those of the last time; starts nothing.
    pub fn prepare(installation: &Installation, directory: &Directory) -> Result<Self, Error> {
        let home = directory.postgres().to_owned();
        let port = Port::claim_remembered(&home.join("port"))?;
        let password = Password::load_or_create(&home.join("password"))?;
        let endpoint = Endpoint { port: port.number(), user: SUPERUSER.to_owned(), password };
        Ok(Self {
            programs: installation.postgres()?,
            launcher: directory.launcher().clone(),
            account: Account::without_privileges(),
            log: directory.log("postgresql"),
            home,
            endpoint,
            tls: None,
            process: None,
            _port: port,
        })
    }

    /// Speaks TLS too, from its next start on. It gets copies of certificate and key, since it refuses a key that others may read.
    pub fn speak_tls(&mut self, files: &TlsFiles) -> Result<(), Error> {
        let copy = |from: &Path, name: &str| {
            let copy = self.home.join(name);
            secret::write_private(&copy, &fs::read_to_string(from)?)?;
            if let Some(account) = self.account {
                account.make_owner_of(&copy)?;
            }
            Ok(copy)
        };
        let copies = (copy(&files.certificate, "server.pem"), copy(&files.key, "server-key.pem"));
        let prepared = failed("prepare files in", &self.home);
        let (certificate, key) = match copies {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (Err(error), _) | (_, Err(error)) => return Err(prepared(error)),
        };
        self.tls = Some(TlsFiles { certificate, key, authorities: files.authorities.clone() });
        Ok(())
    }

    /// Starts the server, making its data directory the first time, and waits until it answers queries. If this
    /// is dropped half-way, [`Postgres::stop`] still stops what was started.
    pub async fn start(&mut self) -> Result<(), Error> {
        const TIMEOUT: Duration = Duration::from_mins(1);
        if !self.data().exists() {
            self.make_data_directory().await?;
        }
        let server = self
            .program(&self.programs.postgres)
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.endpoint.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            // No client uses a socket file, and its path would have to stay below 107 bytes.
            .args(["-c", "unix_socket_directories="])
            // Room for a pool of every service of every test that runs at the same time.
            .args(["-c", "max_connections=300"])
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let server = match &self.tls {
            Some(TlsFiles { certificate, key, .. }) => server.args([
                "-c".to_owned(),
                "ssl=on".to_owned(),
                "-c".to_owned(),
                format!("ssl_cert_file={}", certificate.display()),
                "-c".to_owned(),
                format!("ssl_key_file={}", key.display()),
                "-c".to_owned(),
                "ssl_min_protocol_version=TLSv1.3".to_owned(),
            ]),
            None => server,
        };
        let process = self.process.insert(server.spawn(&self.log)?);
        let endpoint = &self.endpoint;
        process.ready(TIMEOUT, || async { endpoint.ping().await.map_err(|error| error.to_string()) }).await?;
        Ok(())
    }

    /// Stops the server in order: transactions are rolled back, clients disconnected, everything written ("fast").
    pub async fn stop(&mut self) -> Result<Stopped, Error> {
        let stopped = match &mut self.process {
            Some(process) => process.stop().await?,
            None => Stopped::InOrder,
        };
        self.process = None;
        Ok(stopped)
    }

    /// Stops the server and starts it again on the same port.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        self.start().await
    }

    /// Kills the server as a crash would (SIGKILL to the postmaster) and waits until its back ends have noticed.
    /// [`Postgres::start`] brings it back through crash recovery.
    pub async fn kill(&mut self) -> Result<(), Error> {
        if let Some(process) = &mut self.process {
            process.kill().await?;
            leftovers::postgres_gone(&self.data()).await.map_err(failed("prepare files in", &self.home))?;
        }
        self.process = None;
        Ok(())
    }

    /// Waits until the server ends without having been stopped. Pending while it is stopped.
    pub async fn ended(&mut self) -> ProcessError {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Address and superuser.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The process id of the postmaster while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn program(&self, path: &Path) -> Program {
        self.launcher.program(NAME, path, STOP_POLICY, self.account).env("LC_ALL", "C.UTF-8")
    }

    /// Made under another name and renamed when it is complete: an interrupted `initdb` is simply done again.
    async fn make_data_directory(&self) -> Result<(), Error> {
        let unfinished = self.home.join("data.new");
        let password_file = self.home.join("password.initdb");
        self.prepare_files(&unfinished, &password_file).map_err(failed("prepare files in", &self.home))?;
        let initdb = self
            .program(&self.programs.initdb)
            .arg("-D")
            .arg(&unfinished)
            .args(["-U", SUPERUSER, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("--pwfile")
            .arg(&password_file)
            .run()
            .await;
        fs::remove_file(&password_file).map_err(failed("prepare files in", &self.home))?;
        initdb?;
        fs::rename(&unfinished, self.data()).map_err(failed("prepare files in", &self.home))
    }

    /// An empty directory and a copy of the password, both for the account that `initdb` runs under.
    fn prepare_files(&self, unfinished: &Path, password_file: &Path) -> io::Result<()> {
        if unfinished.exists() {
            fs::remove_dir_all(unfinished)?;
        }
        fs::create_dir(unfinished)?;
        secret::write_private(password_file, self.endpoint.password.expose())?;
        if let Some(account) = self.account {
            account.make_owner_of(unfinished)?;
            account.make_owner_of(password_file)?;
        }
        Ok(())
    }
}
