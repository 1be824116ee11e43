//! The HTTP client with which the gateway asks order and payment, and shows who it is.

use std::time::Duration;

use chassis::tasks::Tasks;
use chassis::transport::{Current, Followed, Identity, Transport};
use http::{HeaderMap, HeaderValue, header};
use reqwest::{Client, ClientBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A pooled client for these services. With an identity, it is made again when the certificate changes; requests that are under
/// way end with the one before. Fails if one of the services needs certificate authorities, and there are none.
pub(crate) fn client(
    services: [&Url; 2],
    transport: &Transport,
    token: Option<SecretString>,
    tasks: &Tasks,
) -> Result<Current<Client>, String> {
    let Some(files) = &transport.identity else {
        let builder = builder(token.as_ref())?;
        let builder = if services.iter().any(|url| url.scheme() == "https") {
            builder
        } else {
            // Plain HTTP needs no certificate authorities, and must not fail where there are none.
            builder.tls_certs_only([])
        };
        return builder.build().map(Current::constant).map_err(|error| format!("{error:?}"));
    };
    let make = move |contents| {
        let builder = Identity::of(contents)?.of_client(builder(token.as_ref())?)?;
        builder.build().map_err(|error| format!("{error:?}"))
    };
    Ok(Followed::load(files.paths(), make)?.follow("the gateway's certificate", tasks))
}

/// Proxies and redirects have no place between services.
fn builder(token: Option<&SecretString>) -> Result<ClientBuilder, String> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let mut value = value.map_err(|_| "SERVICE_TOKEN does not fit into a header".to_owned())?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(Client::builder()
        .connect_timeout(Duration::from_secs(1))
        .pool_max_idle_per_host(64)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy())
}
