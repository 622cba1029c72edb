//! Where a fetch may go. URLs come from a database that strangers write to, so a fetch reaches
//! public addresses on the web's ports and nothing else, unless the operator says so.
//!
//! Addresses are compared as parsed numbers, never as text: `2130706433`, `0x7f.1` and
//! `[::ffff:127.0.0.1]` are all loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::error::{FetchError, short};

/// Ports fetched from without an exception.
const WEB_PORTS: [u16; 2] = [80, 443];

/// One entry of `fetch.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowRule {
    /// A host by name and a port; whatever addresses it resolves to.
    Host {
        /// The name as it stands in a URL, lowercase.
        host: String,
        /// The port.
        port: u16,
    },
    /// An address and a port.
    Address(SocketAddr),
    /// All addresses of a network, on any port.
    Network(IpNet),
}

impl FromStr for AllowRule {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, FetchError> {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        host_and_port(text).ok_or_else(|| {
            FetchError::Setup(format!(
                "fetch.allow: `{text}` is neither host:port, ip:port nor a network"
            ))
        })
    }
}

fn host_and_port(text: &str) -> Option<AllowRule> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match Host::parse(host).ok()? {
        Host::Domain(host) => Some(AllowRule::Host { host, port }),
        Host::Ipv4(ip) => Some(AllowRule::Address((ip, port).into())),
        Host::Ipv6(ip) => Some(AllowRule::Address((ip, port).into())),
    }
}

impl AllowRule {
    fn covers(&self, host: &str, address: SocketAddr) -> bool {
        match self {
            Self::Host { host: name, port } => {
                name.eq_ignore_ascii_case(host) && *port == address.port()
            }
            Self::Address(allowed) => {
                allowed.ip() == address.ip() && allowed.port() == address.port()
            }
            Self::Network(network) => network.contains(&address.ip()),
        }
    }

    /// Whether the rule may open `port` of a host whose addresses are not known yet.
    fn may_cover(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Host {
                host: name,
                port: allowed,
            } => name.eq_ignore_ascii_case(host) && *allowed == port,
            Self::Address(allowed) => allowed.port() == port,
            Self::Network(_) => true,
        }
    }
}

/// The rules of one kind of fetch.
#[derive(Debug, Clone)]
pub(super) enum Guard {
    /// Public addresses, web ports, and these exceptions.
    Public(Vec<AllowRule>),
    /// The operator's own endpoint: its host and port are as they stand in the configuration.
    Endpoint,
}

impl Guard {
    /// Refuses what can be refused before a name is resolved.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(format!("scheme `{}`", short(url.scheme()))));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("userinfo in the URL"));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            None => Err(FetchError::BadUrl("no host".to_owned())),
            Some(Host::Ipv4(ip)) => self.check_address("", (ip, port).into()),
            Some(Host::Ipv6(ip)) => self.check_address("", (ip, port).into()),
            Some(Host::Domain(host)) => self.check_port(host, port),
        }
    }

    fn check_port(&self, host: &str, port: u16) -> Result<(), FetchError> {
        match self {
            Self::Public(rules)
                if !WEB_PORTS.contains(&port)
                    && !rules.iter().any(|rule| rule.may_cover(host, port)) =>
            {
                Err(refused(format!("port {port}")))
            }
            Self::Public(_) | Self::Endpoint => Ok(()),
        }
    }

    /// Refuses an address that `host` resolved to or was connected at.
    pub(super) fn check_address(&self, host: &str, address: SocketAddr) -> Result<(), FetchError> {
        let Self::Public(rules) = self else {
            return Ok(());
        };
        if rules.iter().any(|rule| rule.covers(host, address)) {
            return Ok(());
        }
        if let Some(why) = forbidden(address.ip()) {
            return Err(refused(format!("{} is {why}", address.ip())));
        }
        if !WEB_PORTS.contains(&address.port()) {
            return Err(refused(format!("port {}", address.port())));
        }
        Ok(())
    }
}

fn refused(what: impl Into<String>) -> FetchError {
    FetchError::Refused(what.into())
}

/// Says what an address is if it is not a public unicast one.
fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => V4
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, why)| *why),
        IpAddr::V6(ip) => V6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, why)| *why)
            // Global unicast is 2000::/3; the rest is unassigned, and nobody's picture is there.
            .or_else(|| (!GLOBAL_V6.contains(&ip)).then_some("outside global unicast")),
    }
}

const fn v4(a: u8, b: u8, c: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), len)
}

const fn v6(a: u16, b: u16, c: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), len)
}

// IANA's special-purpose registries; `Ipv4Addr::is_global` is not stable.
const V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 8), "private"),
    (v4(100, 64, 0, 10), "shared by a provider's customers"),
    (v4(127, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 16), "link-local"),
    (v4(172, 16, 0, 12), "private"),
    (v4(192, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 24), "for documentation"),
    (v4(192, 88, 99, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 16), "private"),
    (v4(198, 18, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 24), "for documentation"),
    (v4(203, 0, 113, 24), "for documentation"),
    (v4(224, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 4), "reserved"),
];

const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

// Forms that carry an IPv4 address are refused whole: what they lead to depends on the network.
const V6: [(Ipv6Net, &str); 16] = [
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "unspecified",
    ),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6(0, 0, 0, 96), "an IPv4-compatible address"),
    (
        Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
        "an IPv4-mapped address",
    ),
    (v6(0x64, 0xff9b, 0, 96), "a NAT64 address"),
    (v6(0x64, 0xff9b, 1, 48), "a NAT64 address"),
    (v6(0x100, 0, 0, 64), "discard-only"),
    (v6(0x2001, 0, 0, 32), "a Teredo address"),
    (v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (v6(0x2002, 0, 0, 16), "a 6to4 address"),
    (v6(0x3fff, 0, 0, 20), "for documentation"),
    (v6(0xfc00, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 10), "site-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn why(ip: &str) -> Option<&'static str> {
        forbidden(ip.parse().unwrap())
    }

    #[test]
    fn every_special_network_is_refused_from_its_first_to_its_last_address() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "1fff:ffff::ffff"),
            ("::ffff:8.8.8.8", "::8.8.8.8"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff::"),
            ("100::", "100::ffff"),
            ("2001::", "2001:0:ffff::"),
            ("2001:1::", "2001:1ff:ffff::"),
            ("2001:db8::", "2001:db8:ffff::"),
            ("2002::", "2002:ffff::"),
            ("3fff::", "3fff:fff:ffff::"),
            ("4000::", "fbff:ffff::"),
            ("fc00::", "fdff:ffff::"),
            ("fe80::", "febf:ffff::"),
            ("fec0::", "feff:ffff::"),
            ("ff00::", "ffff:ffff::"),
        ] {
            assert!(why(first).is_some(), "{first}");
            assert!(why(last).is_some(), "{last}");
        }
    }

    #[test]
    fn their_neighbours_are_public() {
        for ip in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "3ffe:ffff::",
            "3fff:1000::",
        ] {
            assert_eq!(why(ip), None, "{ip}");
        }
    }

    #[test]
    fn addresses_that_carry_another_are_named_as_what_they_are() {
        for (ip, what) in [
            ("::ffff:127.0.0.1", "an IPv4-mapped address"),
            ("::127.0.0.1", "an IPv4-compatible address"),
            ("64:ff9b::7f00:1", "a NAT64 address"),
            ("64:ff9b:1::7f00:1", "a NAT64 address"),
            ("2002:7f00:1::", "a 6to4 address"),
            ("2001::7f00:1", "a Teredo address"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("5f00::1", "outside global unicast"),
        ] {
            assert_eq!(why(ip), Some(what), "{ip}");
        }
    }

    #[test]
    fn rules_are_read_in_their_three_forms() {
        for (text, rule) in [
            (
                "127.0.0.1:8123",
                AllowRule::Address("127.0.0.1:8123".parse().unwrap()),
            ),
            (
                "[::1]:8123",
                AllowRule::Address("[::1]:8123".parse().unwrap()),
            ),
            (
                "127.1:80",
                AllowRule::Address("127.0.0.1:80".parse().unwrap()),
            ),
            (
                "10.0.0.0/8",
                AllowRule::Network("10.0.0.0/8".parse().unwrap()),
            ),
            ("fd00::/8", AllowRule::Network("fd00::/8".parse().unwrap())),
            (
                "10.1.2.3",
                AllowRule::Network("10.1.2.3/32".parse().unwrap()),
            ),
            (
                " CDN.internal:8080 ",
                AllowRule::Host {
                    host: "cdn.internal".to_owned(),
                    port: 8080,
                },
            ),
        ] {
            assert_eq!(text.parse(), Ok(rule), "{text}");
        }
        for text in [
            "",
            "cdn.internal",
            "cdn.internal:",
            ":80",
            "a b:80",
            "host:99999",
            "10.0.0.0/33",
        ] {
            let error = text.parse::<AllowRule>().unwrap_err();
            assert!(matches!(error, FetchError::Setup(_)), "{text}");
        }
    }

    #[test]
    fn an_exception_is_for_its_own_port_or_network() {
        let guard = Guard::Public(vec![
            "10.0.0.1:8080".parse().unwrap(),
            "192.168.7.0/24".parse().unwrap(),
        ]);
        for (address, open) in [
            ("10.0.0.1:8080", true),
            ("10.0.0.1:80", false),
            ("10.0.0.2:8080", false),
            ("192.168.7.9:80", true),
            ("192.168.7.9:8443", true),
            ("192.168.8.9:80", false),
            ("8.8.8.8:80", true),
            ("8.8.8.8:8080", false),
        ] {
            let checked = guard.check_address("", address.parse().unwrap());
            assert_eq!(checked.is_ok(), open, "{address}");
        }
    }
}
