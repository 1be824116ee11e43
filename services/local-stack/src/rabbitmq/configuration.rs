//! The environment and files that make a node private. The variables are those of
//! <https://www.rabbitmq.com/docs/configure> and of the `rabbitmq-env` script (3.10 to 4.x).

use std::fmt::Write;
use std::path::PathBuf;

use crate::secret::Password;
use crate::tls::TlsFiles;

/// Without it Erlang's distribution, and `rabbitmqctl`'s, listens on every interface.
pub(super) const LOOPBACK_DISTRIBUTION: &str = "-kernel inet_dist_use_interface {127,0,0,1}";

/// The file that says which plugins run, an Erlang term.
pub(super) const ENABLED_PLUGINS: &str = "[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n";

/// What distinguishes one private node from another.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) home: PathBuf,
    /// The folder of the Erlang cookie, which all nodes of a cluster share.
    pub(super) cookie_folder: PathBuf,
    pub(super) node: String,
    /// The names of all nodes of the cluster; none for a node that is to be alone.
    pub(super) cluster: Vec<String>,
    pub(super) ports: Ports,
    /// How it speaks TLS on a port of its own, if it does.
    pub(super) tls: Option<(u16, TlsFiles)>,
}

/// Everything a node listens on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) management: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

impl Configuration {
    pub(super) fn file(&self) -> PathBuf {
        self.home.join("rabbitmq.conf")
    }

    pub(super) fn enabled_plugins_file(&self) -> PathBuf {
        self.home.join("enabled_plugins")
    }

    pub(super) fn folders(&self) -> [PathBuf; 4] {
        ["mnesia", "log", "config", "schema"].map(|folder| self.home.join(folder))
    }

    /// `rabbitmq.conf`. The user is made when the node first starts; there is no `guest`.
    pub(super) fn render(&self, user: &str, password: &Password) -> String {
        let mut file = format!(
            "default_user = {user}\n\
             default_pass = {password}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             log.file = false\n\
             log.console = true\n\
             log.console.use_colors = off\n",
            password = password.expose(),
            management = self.ports.management,
        );
        if !self.cluster.is_empty() {
            file.push_str("cluster_formation.peer_discovery_backend = classic_config\n");
        }
        if let Some((port, TlsFiles { certificate, key, authorities })) = &self.tls {
            let (certificate, key) = (certificate.display(), key.display());
            // Clients must show a certificate, and are the user that it names.
            let _ = write!(
                file,
                "listeners.ssl.1 = 127.0.0.1:{port}\n\
                 ssl_options.cacertfile = {authorities}\n\
                 ssl_options.certfile = {certificate}\n\
                 ssl_options.keyfile = {key}\n\
                 ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\n\
                 ssl_options.versions.1 = tlsv1.3\n\
                 ssl_options.ciphers.1 = TLS_AES_256_GCM_SHA384\n\
                 ssl_options.ciphers.2 = TLS_AES_128_GCM_SHA256\n\
                 ssl_options.ciphers.3 = TLS_CHACHA20_POLY1305_SHA256\n\
                 auth_mechanisms.1 = PLAIN\n\
                 auth_mechanisms.2 = EXTERNAL\n\
                 ssl_cert_login_from = common_name\n",
                authorities = authorities.display(),
            );
        }
        for (number, node) in (1..).zip(&self.cluster) {
            // Writing to a String can't fail.
            let _ = writeln!(file, "cluster_formation.classic_config.nodes.{number} = {node}");
        }
        file
    }

    /// The environment of the node and of its `rabbitmqctl`.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let inside = |name: &str| self.home.join(name).display().to_string();
        vec![
            // The Erlang cookie is in HOME, so that it is private too.
            ("HOME", self.cookie_folder.display().to_string()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("ERL_EPMD_PORT", self.ports.epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            // The start script then becomes the node (`exec`) instead of watching over it: the process we start is
            // the process we signal.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            // Keeps the system's /etc/rabbitmq/rabbitmq-env.conf out.
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_NODENAME", self.node.clone()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", self.ports.amqp.to_string()),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", LOOPBACK_DISTRIBUTION.to_owned()),
            ("RABBITMQ_BASE", self.home.display().to_string()),
            ("RABBITMQ_MNESIA_BASE", inside("mnesia")),
            ("RABBITMQ_LOG_BASE", inside("log")),
            ("RABBITMQ_PID_FILE", inside("pid")),
            ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced.config")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", inside("config")),
            ("RABBITMQ_SCHEMA_DIR", inside("schema")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        let ports = Ports { amqp: 20_001, management: 20_002, distribution: 20_003, epmd: 20_004 };
        Configuration {
            home: PathBuf::from("/data/rabbitmq"),
            cookie_folder: PathBuf::from("/data/rabbitmq"),
            node: "paysaga@localhost".to_owned(),
            cluster: Vec::new(),
            ports,
            tls: None,
        }
    }

    #[test]
    fn every_path_of_the_node_lies_in_its_directory() {
        for (name, value) in configuration().environment() {
            let is_path = value.starts_with('/') && name != "RABBITMQ_CONF_ENV_FILE";
            assert!(!is_path || value.starts_with("/data/rabbitmq"), "{name}={value}");
        }
    }

    #[test]
    fn the_password_is_in_the_file_and_not_in_the_environment() {
        let password: Password = serde_json::from_str("\"secret\"").unwrap();
        let file = configuration().render("paysaga", &password);
        assert!(file.contains("default_pass = secret\n") && file.contains("management.tcp.port = 20002\n"));
        assert!(configuration().environment().iter().all(|(_, value)| !value.contains("secret")));
    }

    #[test]
    fn only_a_node_of_a_cluster_looks_for_others() {
        let password: Password = serde_json::from_str("\"secret\"").unwrap();
        assert!(!configuration().render("paysaga", &password).contains("cluster"));
        let cluster = ["paysaga@localhost", "paysaga-2@localhost"].map(str::to_owned).to_vec();
        let file = Configuration { cluster, ..configuration() }.render("paysaga", &password);
        assert!(file.ends_with("classic_config.nodes.2 = paysaga-2@localhost\n"), "{file}");
    }
}
