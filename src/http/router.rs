//! Every path, its methods, and the scope that each asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;

use super::endpoint::{Endpoint, Routes};
use super::problem::Problem;
use super::{App, batches, cors, events, health, history, metrics, notifications, openapi, page, status};
use crate::model::token::Scope;

/// The whole of it.
pub(super) fn router(app: &Arc<App>) -> Router {
    let routes = Routes::default()
        .open("/healthz", health::live)
        .open("/readyz", health::ready)
        .get("/metrics", Scope::Read, metrics::show)
        .post("/v1/notifications", Scope::Enqueue, notifications::enqueue)
        .get("/v1/notifications", Scope::Read, notifications::list)
        .get("/v1/notifications/{id}", Scope::Read, notifications::show)
        .delete("/v1/notifications/{id}", Scope::Admin, notifications::cancel)
        .post("/v1/notifications/{id}/requeue", Scope::Admin, notifications::requeue)
        .get("/v1/batches/{id}", Scope::Read, batches::show)
        .get("/v1/events", Scope::Read, events::watch)
        .get("/v1/history", Scope::Read, history::show)
        .open("/v1/openapi.json", openapi::show)
        .get("/v1/status", Scope::Read, status::show);
    let router = page::add(routes)
        .0
        .fallback(Endpoint::of_others(no_such_path))
        .method_not_allowed_fallback(Endpoint::of_others(no_such_method))
        .with_state(Arc::clone(app));
    match cors::layer(&app.options.cors_origins) {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

async fn no_such_path() -> Problem {
    Problem::missing("there is no such path; /v1/openapi.json names those that there are")
}

async fn no_such_method(request: Request) -> Problem {
    let detail = format!("{} is not a method of this path; the header Allow names them", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED).detail(detail)
}
