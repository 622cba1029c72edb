//! What pages say of what was done, whatever an address claims.

use super::frame::notice;

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
