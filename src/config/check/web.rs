//! What `[http]` must be.

use super::Rules;
use crate::config::{Http, Listen};

pub(super) fn http(http: &Http, rules: &mut Rules) {
    let place = http.place();
    rules.demand(
        place.is_some(),
        "http.listen",
        "must be an address with its port, such as \"127.0.0.1:8321\", or the absolute path of a \
         Unix socket",
    );
    if let Some(Listen::Address(address)) = place {
        rules.demand(
            http.has_tokens() || address.ip().is_loopback(),
            "http.listen",
            "needs a token: others than this machine reach it. Make one with `vvv-actors token`",
        );
    }
    let lists = [
        ("http.read_tokens", &http.read_tokens),
        ("http.write_tokens", &http.write_tokens),
    ];
    for (key, hashes) in lists {
        let is_hash =
            |hash: &String| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        rules.demand(
            hashes.iter().all(is_hash),
            key,
            "must be hashes of 64 hexadecimal digits, as `vvv-actors token` prints them",
        );
    }
    let is_host = |host: &String| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    rules.demand(
        http.hosts.iter().all(is_host),
        "http.hosts",
        "must be names, with a port or without, and no scheme",
    );
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(change: impl Fn(&mut Config)) -> String {
        let mut config = Config::defaults().unwrap();
        change(&mut config);
        config
            .validate()
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn nothing_is_served_to_others_without_a_token() {
        let hash = "0".repeat(64);
        for (listen, read, refused) in [
            ("", vec![], ""),
            ("127.0.0.1:8321", vec![], ""),
            ("[::1]:8321", vec![], ""),
            ("/run/vvv.http", vec![], ""),
            ("0.0.0.0:8321", vec![hash.clone()], ""),
            ("0.0.0.0:8321", vec![], "needs a token"),
            ("8321", vec![], "must be an address with its port"),
            ("localhost:8321", vec![], "must be an address with its port"),
            ("", vec!["secret".to_owned()], "64 hexadecimal digits"),
        ] {
            let said = refusal(|config| {
                config.http.listen = listen.to_owned();
                config.http.read_tokens.clone_from(&read);
            });
            assert!(
                said.contains(refused) && said.is_empty() == refused.is_empty(),
                "{listen}: {said}"
            );
        }
        let said = refusal(|config| config.http.hosts = vec!["https://vault.example".to_owned()]);
        assert!(said.contains("no scheme"), "{said}");
    }
}
