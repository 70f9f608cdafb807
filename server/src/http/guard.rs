//! Who may ask: only pages and programs that name this machine by a name of its own.
//!
//! We listen on the loopback device and ask for no password, so whoever reaches us may do everything. A web page
//! that the user looks at reaches us, too: by a request across origins, which has a foreign `Origin`, or by a
//! name that its owner lets point to 127.0.0.1 (DNS rebinding), which is a foreign `Host`. Both are refused.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use millrace_sql::SqlError;

use super::failure::Failure;

/// The names that a machine has for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Refuses a request that names a foreign host, or comes from a foreign page.
///
/// # Errors
/// 403
pub(super) fn check(uri: &Uri, headers: &HeaderMap, allowed: &[String]) -> Result<(), Failure> {
    let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let hosts = hosts.chain(uri.authority().map(Authority::as_str));
    for host in hosts {
        if !is_own(host, allowed) {
            return Err(foreign("Host", host));
        }
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if !is_own(host, allowed) {
            return Err(foreign("Origin", origin));
        }
    }
    Ok(())
}

/// Whether a host, with or without a port, is a name of this machine.
fn is_own(host: &str, allowed: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    OWN_NAMES.contains(&name.as_str()) || allowed.contains(&name)
}

fn foreign(header: &str, value: &str) -> Failure {
    let message = format!("requests with the {header} \"{value}\" are refused");
    let error = SqlError::new("42501", message)
        .detail("Only localhost, 127.0.0.1, [::1] and what --http-allowed-hosts names may ask.");
    Failure::with(StatusCode::FORBIDDEN, error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn passes(uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(&uri.parse().unwrap(), &map, &["millrace.lan".to_owned()]).is_ok()
    }

    #[test]
    fn own_names_pass_with_any_port() {
        for host in ["localhost", "LocalHost:8432", "127.0.0.1:80", "[::1]", "[::1]:8432", "millrace.lan:1"] {
            assert!(passes("/health", &[("host", host)]), "{host}");
            assert!(passes("/health", &[("host", host), ("origin", &format!("http://{host}"))]), "{host}");
        }
        assert!(passes("/health", &[]));
    }

    #[test]
    fn foreign_names_do_not() {
        for host in
            ["example.com", "localhost.example.com", "127.0.0.1.nip.io", "127.0.0.2", "", "a@localhost"]
        {
            assert!(!passes("/health", &[("host", host)]), "{host}");
        }
        assert!(!passes("/health", &[("host", "localhost"), ("host", "example.com")]));
        assert!(!passes("http://example.com/health", &[("host", "localhost")]));
        for origin in
            ["http://example.com", "null", "http://localhost.evil", "file://", "http://a:1@localhost"]
        {
            assert!(!passes("/health", &[("host", "localhost"), ("origin", origin)]), "{origin}");
        }
    }
}
