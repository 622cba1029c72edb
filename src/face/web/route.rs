//! Resources: what each of their methods does, and word of which there are.

use actix_web::http::Method;
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route};

use super::problem::Problem;

/// What a method does.
pub(super) type Does = (Method, Route);

/// What GET does; HEAD is the same without the body, as the guard has it.
pub(super) fn get<F, Args>(handler: F) -> Does
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::GET, web::get().to(handler))
}

/// What POST does.
pub(super) fn post<F, Args>(handler: F) -> Does
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::POST, web::post().to(handler))
}

/// A resource that does this; for any other method it says what it would take.
pub(super) fn resource(path: &str, does: impl IntoIterator<Item = Does>) -> Resource {
    let mut resource = web::resource(path);
    let mut taken = Vec::new();
    for (method, route) in does {
        taken.push(match method {
            Method::GET => "GET, HEAD".to_owned(),
            method => method.to_string(),
        });
        resource = resource.route(route);
    }
    let taken = taken.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let refused = Problem::method(request.method(), &taken);
        std::future::ready(Err::<HttpResponse, _>(refused))
    }))
}
