//! What pages say of what was done, whatever an address claims.

use actix_web::body::to_bytes;
use actix_web::test::TestRequest;

use super::frame::notice;
use super::wrong;
use crate::face::protocol::{ErrorCode, RpcError};

#[actix_rt::test]
async fn only_what_may_go_better_and_can_be_asked_again_is_offered_again() {
    for (request, code, is_offered) in [
        (TestRequest::get(), ErrorCode::Busy, true),
        (TestRequest::post(), ErrorCode::Busy, false),
        (TestRequest::get(), ErrorCode::Timeout, false),
        (TestRequest::get(), ErrorCode::NotFound, false),
    ] {
        let problem = RpcError::new(code, "why").into();
        let page = wrong(&request.to_http_request(), &problem);
        let page = to_bytes(page.into_body()).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert_eq!(page.contains("Try again"), is_offered, "{page}");
    }
}

#[test]
fn only_what_we_say_ourselves_is_said() {
    assert_eq!(notice("cancelled.0").unwrap(), "No job cancelled.");
    assert_eq!(notice("cancelled.1").unwrap(), "1 job cancelled.");
    assert_eq!(
        notice("retried.1200").unwrap(),
        "1,200 jobs will be done again."
    );
    assert_eq!(
        notice("paused.cleanup").unwrap(),
        "The queue cleanup is paused."
    );
    for wrong in [
        "",
        "paused",
        "paused.<b>",
        "cancelled.x",
        "cancelled.-1",
        "hacked.7",
        "asked.",
    ] {
        assert_eq!(notice(wrong), None, "{wrong}");
    }
}
