//! Every path, its methods, and the scope that each asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use super::access::needs;
use super::problem::Problem;
use super::{App, batches, cors, events, health, history, metrics, notifications, openapi, page, status};
use crate::model::token::Scope;

/// The whole of it.
pub(super) fn router(app: &Arc<App>) -> Router {
    let enqueue = |methods| needs(Scope::Enqueue, app, methods);
    let read = |methods| needs(Scope::Read, app, methods);
    let admin = |methods| needs(Scope::Admin, app, methods);
    let router = Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", read(get(metrics::show)))
        .route(
            "/v1/notifications",
            enqueue(post(notifications::enqueue)).merge(read(get(notifications::list))),
        )
        .route(
            "/v1/notifications/{id}",
            read(get(notifications::show)).merge(admin(delete(notifications::cancel))),
        )
        .route("/v1/notifications/{id}/requeue", admin(post(notifications::requeue)))
        .route("/v1/batches/{id}", read(get(batches::show)))
        .route("/v1/events", read(get(events::watch)))
        .route("/v1/history", read(get(history::show)))
        .route("/v1/openapi.json", get(openapi::show))
        .route("/v1/status", read(get(status::show)));
    let router = page::add(router)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(app), metrics::measure))
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
