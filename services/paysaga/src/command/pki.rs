//! `paysaga pki`: certificates for those who have no authority of their own.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use strum::VariantArray;
use time::Duration;

use crate::output::stdout;
use crate::pki::{Authority, Holder, authority_file};

/// Certificates for the services, RabbitMQ and PostgreSQL.
///
/// The first time, an authority is made in the folder (ca.pem, and ca-key.pem, which belongs on no server). Each time, every holder
/// gets a new certificate and key: gateway, order, payment, rabbitmq, postgresql, and https, which the gateway shows to its
/// clients. Run it again with the same hosts before they expire, and copy the files to where they are read: services take them
/// over by themselves.
#[derive(Debug, Args)]
pub(super) struct Pki {
    /// The folder of the authority and the certificates
    folder: PathBuf,
    /// A host name or address under which a holder is reached, beside its own name and this machine's; may be given several times
    #[arg(long = "host", value_name = "HOLDER=HOST", value_parser = host)]
    hosts: Vec<(Holder, String)>,
    /// How many days the certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
}

fn host(text: &str) -> Result<(Holder, String), String> {
    let known: Vec<_> = Holder::VARIANTS.iter().map(ToString::to_string).collect();
    let rule = || format!("must be HOLDER=HOST, with one of {} as holder", known.join(", "));
    let (holder, host) = text.split_once('=').ok_or_else(rule)?;
    match holder.parse() {
        Ok(holder) if !host.is_empty() => Ok((holder, host.to_owned())),
        _ => Err(rule()),
    }
}

impl Pki {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { folder, hosts, days } = self;
        if hosts.iter().any(|(holder, host)| host == "gateway" && *holder != Holder::Gateway) {
            bail!("order and payment know the gateway by the name gateway: no other holder may have it");
        }
        let (authority, is_new) = Authority::open(&folder)?;
        let what = if is_new { "made" } else { "as it was" };
        let mut lines = vec![format!("authority   {} ({what})", authority_file(&folder).display())];
        for &holder in Holder::VARIANTS {
            let of_holder = hosts.iter().filter(|(of, _)| *of == holder).map(|(_, host)| host.clone());
            authority.issue(holder, &of_holder.collect::<Vec<_>>(), Duration::days(days.into()))?;
            let (certificate, key) = (holder.certificate(&folder), holder.key(&folder));
            lines.push(format!("{holder:<10}  {}  {}", certificate.display(), key.display()));
        }
        lines.push(format!(
            "Valid for {days} days. docs/SECURITY.md, \"Between the services\", says where they belong."
        ));
        writeln!(stdout(), "{}", lines.join("\n"))?;
        Ok(())
    }
}
