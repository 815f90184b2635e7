//! A published interface (OpenAPI), held against what is really said: every request that is granted and every answer fits it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};

const BODY_BYTES_MAX: usize = 64 << 20;

pub struct Contract {
    document: Value,
    faults: Mutex<Vec<String>>,
    /// Method, path and status that were seen.
    seen: Mutex<BTreeSet<String>>,
}

/// What was asked and answered.
struct Exchange {
    method: Method,
    path: String,
    /// Where it was read.
    asked: Option<Bytes>,
    status: StatusCode,
    headers: HeaderMap,
    answered: Bytes,
}

impl Contract {
    /// Reads one of `docs`.
    pub fn read(file: &str) -> Arc<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
        let text = std::fs::read_to_string(&path).expect("a contract");
        let document = serde_yaml_ng::from_str(&text).expect("YAML");
        Arc::new(Self { document, faults: Mutex::default(), seen: Mutex::default() })
    }

    /// Its operations, method and path.
    pub fn operations(&self) -> Vec<(Method, String)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of_path = |(path, item): (&String, &Value)| {
            let methods = item.as_object().expect("operations").keys();
            let methods = methods.filter_map(|name| name.to_uppercase().parse::<Method>().ok());
            let known = methods.filter(|m| [Method::GET, Method::POST, Method::PUT].contains(m));
            known.map(|method| (method, path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// Fails where something did not fit; gives what was seen, as `POST /path 200`.
    pub fn holds(&self) -> BTreeSet<String> {
        let faults = self.faults.lock().expect("no panic");
        assert!(faults.is_empty(), "what was said is not what is published:\n{}", faults.join("\n"));
        self.seen.lock().expect("no panic").clone()
    }

    fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).expect("what is referred to is there"),
            None => value,
        }
    }

    fn template(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &&String| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted.iter().zip(&parts).all(|(w, part)| w.starts_with('{') || w == part)
        };
        self.document["paths"].as_object().expect("paths").keys().find(fits).map(String::as_str)
    }

    fn problem(&self, schema: &Value, bytes: &[u8]) -> Option<String> {
        let Ok(instance) = serde_json::from_slice(bytes) else { return Some("it is not JSON".into()) };
        let schema = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        validator.iter_errors(&instance).next().map(|e| format!("{} at `{}`", e.masked(), e.instance_path()))
    }

    /// What does not fit.
    fn fault(&self, exchange: &Exchange) -> Option<String> {
        let status = exchange.status;
        let Some(template) = self.template(&exchange.path) else {
            return (!matches!(status.as_u16(), 401 | 404)).then(|| "the path is not published".to_owned());
        };
        let method =
            if exchange.method == Method::HEAD { "get" } else { &exchange.method.as_str().to_lowercase() };
        let operation = &self.document["paths"][template][method];
        if operation.is_null() {
            return (!matches!(status.as_u16(), 401 | 405)).then(|| "the method is not published".to_owned());
        }
        let documented = &operation["responses"][status.as_str()];
        if documented.is_null() {
            return Some("the status is not published".into());
        }
        if status.is_success()
            && let Some(asked) = &exchange.asked
            && let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema")
            && let Some(what) = self.problem(schema, asked)
        {
            return Some(format!("the request was granted, and {what}"));
        }
        let documented = self.resolved(documented);
        if documented["headers"]["Retry-After"].is_object() && !exchange.headers.contains_key("retry-after") {
            return Some("no Retry-After".into());
        }
        let content = documented["content"].as_object().filter(|_| !exchange.answered.is_empty())?;
        let media = exchange.headers.get("content-type").and_then(|t| t.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let Some(schema) = content.get(media) else {
            return Some(format!("the media type `{media}` is not published"));
        };
        // What is inside an ISO 20022 message is the standard's.
        if media == "application/xml" {
            let is_message = exchange.answered.starts_with(b"<?xml");
            return (!is_message).then(|| "the answer is no message".to_owned());
        }
        let schema = schema.get("schema")?;
        let parts: Vec<&[u8]> = match media {
            "application/x-ndjson" => {
                exchange.answered.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect()
            }
            _ => vec![&exchange.answered],
        };
        parts.iter().find_map(|part| self.problem(schema, part)).map(|what| format!("the answer: {what}"))
    }

    fn take(&self, exchange: &Exchange) {
        let Exchange { method, path, status, .. } = exchange;
        let of = format!("{method} {} {}", self.template(path).unwrap_or(path), status.as_u16());
        if let Some(what) = self.fault(exchange) {
            self.faults.lock().expect("no panic").push(format!("{of}: {what}"));
        }
        self.seen.lock().expect("no panic").insert(of);
    }
}

/// Layered on a service: holds all that it answers against the contract.
pub async fn held(State(contract): State<Arc<Contract>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // A body that comes in its own time is left alone.
    let is_json = contract.template(&path).is_some_and(|template| {
        let operation = &contract.document["paths"][template][method.as_str().to_lowercase()];
        operation.pointer("/requestBody/content/application~1json").is_some()
    });
    let (head, body) = request.into_parts();
    let (asked, body) = match is_json {
        true => match to_bytes(body, BODY_BYTES_MAX).await {
            Ok(bytes) => (Some(bytes.clone()), Body::from(bytes)),
            Err(_) => (None, Body::empty()),
        },
        false => (None, body),
    };
    let response = next.run(Request::from_parts(head, body)).await;
    let (head, body) = response.into_parts();
    let answered = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let (status, headers) = (head.status, head.headers.clone());
    contract.take(&Exchange { method, path, asked, status, headers, answered: answered.clone() });
    Response::from_parts(head, Body::from(answered))
}

/// Stands before a provider's service: passes all on, and holds what is asked and answered against the contract.
pub async fn in_front_of(service: String, contract: &Arc<Contract>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let pass = move |request: Request| {
        let (client, service) = (client.clone(), service.clone());
        async move {
            let (head, body) = request.into_parts();
            let rest = head.uri.path_and_query().map_or("/", |rest| rest.as_str());
            let body = to_bytes(body, BODY_BYTES_MAX).await.expect("a body");
            let mut headers = head.headers;
            headers.remove("host");
            let asked = client.request(head.method, format!("{service}{rest}")).headers(headers).body(body);
            let answer = asked.send().await.expect("the service answers");
            let (status, mut headers) = (answer.status(), answer.headers().clone());
            headers.remove("transfer-encoding");
            let mut response = Response::new(Body::from(answer.bytes().await.expect("a body")));
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            response
        }
    };
    let layer = axum::middleware::from_fn_with_state(Arc::clone(contract), held);
    let app = Router::new().fallback(pass).layer(layer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
