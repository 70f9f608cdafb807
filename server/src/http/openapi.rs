//! `GET /v1/openapi.json`: what the endpoints take and answer, for programs that make clients.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The description, written by hand.
const TEXT: &str = include_str!("openapi.json");

/// GET /v1/openapi.json
pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], TEXT).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        serde_json::from_str(TEXT).unwrap()
    }

    #[test]
    fn every_endpoint_is_described_and_nothing_else() {
        let served: BTreeSet<String> =
            super::super::endpoints().into_iter().map(|(path, _)| path.to_owned()).collect();
        let description = description();
        let told: BTreeSet<String> = description["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(told, served);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, root: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref") {
                        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                        assert!(root.pointer(pointer).is_some(), "{pointer}");
                    }
                    fields.values().for_each(|value| check(value, root));
                }
                Value::Array(values) => values.iter().for_each(|value| check(value, root)),
                _ => {}
            }
        }
        let description = description();
        assert_eq!(description["openapi"], "3.1.0");
        check(&description, &description);
    }
}
