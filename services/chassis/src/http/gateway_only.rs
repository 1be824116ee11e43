//! Order and payment answer the gateway and no other client, on loopback too: it alone decides whose things a caller sees, and says
//! who asked for a change (`x-actor`).

use std::convert::Infallible;

use contracts::{Problem, ProblemType};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tracing::{debug, error};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reject::{Reject, Rejection};
use warp::reply::Response;

use super::context::ClientCertificate;
use super::reply;
use crate::config::{Problems, Setting};
use crate::transport::Transport;

/// The fewest characters of a token.
const SHORTEST_TOKEN: usize = 32;

crate::variables! {
    /// How a service behind the gateway knows it.
    pub struct GatewayOnlyVariables {
        /// What the gateway must present to be answered: 32 characters at least, the same as the gateway's. Required, unless the gateway shows a certificate (`TLS_CERTIFICATE_FILE`), or `AUTHENTICATION` is `off`.
        service_token: secret,
        /// The name in the gateway's certificate.
        gateway_name = "gateway",
        /// `off`: answer every client that reaches the service, as beside a NestJS gateway, which has neither token nor certificate.
        authentication = "on",
    }
}

/// How a service knows the gateway: by every one of these that there is. Without any, it answers every client.
#[derive(Clone)]
pub struct GatewayOnly {
    token: Option<SecretString>,
    name: Option<ServerName<'static>>,
}

impl GatewayOnly {
    /// Reads its variables; `Some(None)` if every client is answered.
    pub(crate) fn from_variables(
        variables: &GatewayOnlyVariables,
        transport: &Transport,
        problems: &mut Problems,
    ) -> Option<Self> {
        let on = variables.authentication().switch(problems)?;
        let token = token(variables.service_token(), problems)?;
        let name = variables.gateway_name().parse_with(problems, |text| {
            ServerName::try_from(text.to_owned()).map_err(|_| "must be a name such as gateway".to_owned())
        })?;
        if !on {
            return Some(Self { token: None, name: None });
        }
        let name = transport.identity.as_ref().map(|_| name);
        if token.is_none() && name.is_none() {
            let rule = "is missing; AUTHENTICATION=off answers every client that reaches the service";
            problems.add("SERVICE_TOKEN", rule);
            return None;
        }
        Some(Self { token, name })
    }

    /// Puts itself in front of the routes.
    pub(crate) fn protect(self, routes: BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> {
        warp::header::optional::<String>("authorization")
            .and(warp::ext::optional::<ClientCertificate>())
            .and_then(move |presented: Option<String>, certificate: Option<ClientCertificate>| {
                let admitted = self.admits(presented.as_deref(), certificate.as_ref());
                std::future::ready(if admitted { Ok(()) } else { Err(warp::reject::custom(NotTheGateway)) })
            })
            .untuple_one()
            .and(routes)
            .recover(refuse)
            .unify()
            .boxed()
    }

    fn admits(&self, presented: Option<&str>, certificate: Option<&ClientCertificate>) -> bool {
        let by_token = self.token.as_ref().is_none_or(|token| {
            let presented = presented.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
            presented.as_bytes().ct_eq(token.expose_secret().as_bytes()).into()
        });
        let by_name = self
            .name
            .as_ref()
            .is_none_or(|name| certificate.is_some_and(|certificate| certificate.is_for(name)));
        by_token && by_name
    }
}

/// A token, as either end reads it.
pub fn token(setting: Setting<'_>, problems: &mut Problems) -> Option<Option<SecretString>> {
    setting.optional(problems, |text| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && text.len() >= SHORTEST_TOKEN {
            Ok(SecretString::from(text))
        } else {
            Err(format!("must be {SHORTEST_TOKEN} visible ASCII characters at least, without spaces"))
        }
    })
}

/// A request of another client than the gateway, as warp rejects it.
#[derive(Debug)]
struct NotTheGateway;

impl Reject for NotTheGateway {}

async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    let problem = if rejection.find::<NotTheGateway>().is_some() {
        debug!("a client that is not the gateway was refused");
        let detail = "Only the gateway is answered here: by its SERVICE_TOKEN, or by its certificate.";
        Problem::new(ProblemType::Unauthenticated, detail)
    } else {
        error!(?rejection, "a request was rejected for an unexpected reason");
        Problem::new(ProblemType::InternalError, "The request could not be handled.")
    };
    Ok(reply::problem(&problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_compared_in_full() {
        let gateway = GatewayOnly { token: Some(TOKEN.into()), name: None };
        assert!(gateway.admits(Some(&format!("Bearer {TOKEN}")), None));
        for wrong in [None, Some(""), Some(TOKEN), Some("Bearer "), Some("Bearer 0123456789abcdef")] {
            assert!(!gateway.admits(wrong, None), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_certificate_a_token_is_not_enough_where_one_is_asked_for() {
        let name = Some(ServerName::try_from("gateway").unwrap());
        let gateway = GatewayOnly { token: Some(TOKEN.into()), name };
        assert!(!gateway.admits(Some(&format!("Bearer {TOKEN}")), None));
    }
}
