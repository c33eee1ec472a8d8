//! A handler behind what goes before and after each: whether whoever asks may, how long it took, an administrator's
//! line in the log.
//!
//! A handler itself, and not axum's layers around one: each of those clones the route, boxes its future and moves the
//! request, which for a small request is a good part of its time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, on};

use super::{App, access};
use crate::model::token::Scope;

/// What a path answers with to one method.
#[derive(Clone)]
pub(super) struct Endpoint<H> {
    /// The path as the router knows it, by which requests are counted and told.
    route: &'static str,
    /// What whoever asks must be allowed; `None` for everybody.
    scope: Option<Scope>,
    handler: H,
}

impl<H> Endpoint<H> {
    /// For everything that has no path. All of that is one: such names are the caller's to make up.
    pub(super) fn of_others(handler: H) -> Self {
        Self { route: "other", scope: None, handler }
    }
}

impl<T, H: Handler<T, Arc<App>>> Handler<T, Arc<App>> for Endpoint<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: Arc<App>) -> Self::Future {
        Box::pin(async move {
            let Self { route, scope, handler } = self;
            let began = Instant::now();
            let method = request.method().clone();
            let handle = |request| handler.call(request, Arc::clone(&app));
            let response = match scope {
                Some(scope) => access::guard(&app, scope, route, request, handle).await,
                None => handle(request).await,
            };
            app.metrics.answered(&method, route, response.status(), began.elapsed());
            response
        })
    }
}

/// Paths, each with what it answers with.
#[derive(Default)]
pub(super) struct Routes(pub(super) Router<Arc<App>>);

impl Routes {
    /// Something to read, for everybody.
    pub(super) fn open<T: 'static>(self, route: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.at(route, MethodFilter::GET, None, handler)
    }

    /// Something to read, for whoever has the scope.
    pub(super) fn get<T: 'static>(
        self,
        route: &'static str,
        scope: Scope,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.at(route, MethodFilter::GET, Some(scope), handler)
    }

    /// Something to do, for whoever has the scope.
    pub(super) fn post<T: 'static>(
        self,
        route: &'static str,
        scope: Scope,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.at(route, MethodFilter::POST, Some(scope), handler)
    }

    /// Something to end, for whoever has the scope.
    pub(super) fn delete<T: 'static>(
        self,
        route: &'static str,
        scope: Scope,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.at(route, MethodFilter::DELETE, Some(scope), handler)
    }

    fn at<T: 'static>(
        self,
        route: &'static str,
        method: MethodFilter,
        scope: Option<Scope>,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        Self(self.0.route(route, on(method, Endpoint { route, scope, handler })))
    }
}
