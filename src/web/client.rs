//! Who is at the other end of a request: pure rules over the peer and its headers.

use super::{Context, Site};
use crate::config::split_port;
use ipnet::IpNet;
use rocket::request::{FromRequest, Outcome, Request};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

/// Headers by which a proxy speaks of someone else.
const FORWARDING_HEADERS: [&str; 5] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded"];

/// Longer user agents are cut: they are kept with the session.
const USER_AGENT_BYTES_MAX: usize = 512;

/// The caller's network place, settled once per request. Never use Rocket's `client_ip()`, which believes anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// The caller's own connection is encrypted, here or at a trusted proxy.
    pub https: bool,
    /// The caller is on this machine and calls it by a loopback name.
    pub loopback: bool,
}

impl Client {
    /// The client of this request.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Client {
        Context::of(request).client.get_or_init(|| {
            // A local test client has no peer; it counts as this machine.
            let peer = request.remote().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.ip());
            let headers = request.headers();
            // One walk instead of a look-up for each, as most requests have none of them.
            let any_forwarding =
                headers.iter().any(|header| FORWARDING_HEADERS.iter().any(|name| header.name == *name));
            let forwarded = |name| if any_forwarding { headers.get(name).collect() } else { Vec::new() };
            let seen = Seen {
                peer,
                host: headers.get_one("host"),
                forwarded_for: forwarded("x-forwarded-for"),
                forwarded_proto: forwarded("x-forwarded-proto"),
                any_forwarding,
            };
            let Some(site) = Site::of(request) else {
                return resolve(&seen, &[], false);
            };
            if !seen.forwarded_for.is_empty() && is_near(peer) && !is_trusted(peer, &site.trusted_proxies) {
                site.attention.forwarded_by(peer.to_canonical());
            }
            resolve(&seen, &site.trusted_proxies, site.config.serves_tls())
        })
    }
}

/// The request's `User-Agent`, cut to 512 bytes.
pub fn user_agent<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let text = request.headers().get_one("user-agent")?;
    let end = (0..=USER_AGENT_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    Some(&text[..end.unwrap_or(0)])
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Client {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(*Self::of(request))
    }
}

/// What the rules look at.
#[derive(Debug)]
pub struct Seen<'a> {
    pub peer: IpAddr,
    pub host: Option<&'a str>,
    /// Every value of the header, in order.
    pub forwarded_for: Vec<&'a str>,
    pub forwarded_proto: Vec<&'a str>,
    pub any_forwarding: bool,
}

/// Settles who calls.
pub fn resolve(seen: &Seen<'_>, trusted: &[IpNet], serves_tls: bool) -> Client {
    let from_proxy = is_trusted(seen.peer, trusted);
    let address = address(seen.peer, &seen.forwarded_for, trusted);
    let says_https =
        |value: &&str| value.split(',').all(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
    // Several proxies may each add a value: one plain hop among them is enough for no.
    let proxy_https =
        from_proxy && !seen.forwarded_proto.is_empty() && seen.forwarded_proto.iter().all(says_https);
    // Through a proxy that we were not told of, everyone looks like this machine.
    let direct = from_proxy || !seen.any_forwarding;
    let loopback = direct && address.is_loopback() && seen.host.is_some_and(is_loopback_host);
    Client { address, https: serves_tls || proxy_https, loopback }
}

/// The client's address: the peer's, or, when the peer is a trusted proxy, the rightmost address in X-Forwarded-For
/// that is not a trusted proxy itself. Anything unreadable on the way there fails closed to the peer.
pub fn address(peer: IpAddr, forwarded_for: &[&str], trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let mut found = peer;
    for entry in forwarded_for.iter().rev().flat_map(|value| value.rsplit(',')) {
        match parse_entry(entry.trim()) {
            None => return peer,
            Some(ip) if is_trusted(ip, trusted) => found = ip,
            Some(ip) => return ip,
        }
    }
    found
}

/// An address as proxies write it: bare, or with a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`).
fn parse_entry(entry: &str) -> Option<IpAddr> {
    if let Ok(ip) = entry.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let (host, _port) = split_port(entry)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    trusted.iter().any(|net| net.contains(&ip))
}

/// Loopback, private or link-local: where an unconfigured proxy sits.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// `localhost`, a name below it, or a loopback address; with or without a port.
pub fn is_loopback_host(host: &str) -> bool {
    let Some((host, _)) = split_port(host) else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inner.unwrap_or(&host).parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// What a throttle counts as one caller: the address, or its /64 for IPv6, which one customer owns whole.
pub fn throttle_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Things an operator should look at; each is noticed once.
#[derive(Debug, Default)]
pub struct Attention {
    forwarded_by: OnceLock<IpAddr>,
}

impl Attention {
    fn forwarded_by(&self, peer: IpAddr) {
        if self.forwarded_by.set(peer).is_ok() {
            tracing::warn!(
                %peer,
                "X-Forwarded-For came from a peer that trusted_proxies does not name, and was ignored: all its \
                 callers share one address. If it is your proxy, add it to trusted_proxies"
            );
        }
    }

    /// The first near peer that sent X-Forwarded-For without being a trusted proxy.
    pub fn untrusted_proxy(&self) -> Option<IpAddr> {
        self.forwarded_by.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn forwarded_addresses() {
        let trusted = nets(&["10.0.0.0/8", "fd00::/8"]);
        for (peer, headers, wanted) in [
            // An untrusted peer may say what it wants.
            ("203.0.113.9", vec!["1.1.1.1"], "203.0.113.9"),
            ("127.0.0.1", vec!["1.1.1.1"], "127.0.0.1"),
            ("::ffff:203.0.113.9", vec!["1.1.1.1"], "203.0.113.9"),
            // Junk fails closed to the peer.
            ("10.0.0.1", vec!["1.1.1.1, junk"], "10.0.0.1"),
            ("10.0.0.1", vec!["1.1.1.1,"], "10.0.0.1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
            ("10.0.0.1", vec!["unknown"], "10.0.0.1"),
            ("10.0.0.1", vec!["1.1.1.1, fe80::1%eth0"], "10.0.0.1"),
            ("10.0.0.1", vec!["1.1.1.1:99999"], "10.0.0.1"),
            // The rightmost untrusted address counts, whatever stands left of it.
            ("10.0.0.1", vec!["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", vec!["junk, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", vec!["6.6.6.6", "1.1.1.1", "10.0.0.2,10.0.0.3"], "1.1.1.1"),
            ("::ffff:10.0.0.1", vec!["::ffff:1.1.1.1"], "1.1.1.1"),
            ("fd00::1", vec!["2001:db8::5"], "2001:db8::5"),
            ("10.0.0.1", vec!["[2001:db8::5]:443"], "2001:db8::5"),
            ("10.0.0.1", vec!["1.1.1.1:4711"], "1.1.1.1"),
            // Proxies all the way: the farthest.
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", vec![], "10.0.0.1"),
        ] {
            assert_eq!(address(ip(peer), &headers, &trusted), ip(wanted), "{peer} {headers:?}");
        }
    }

    #[test]
    fn https_and_loopback() {
        let case =
            |peer: &str, host: &str, forwarded: &[&'static str], proto: &[&'static str], trust: &[&str]| {
                let seen = Seen {
                    peer: ip(peer),
                    host: Some(host),
                    forwarded_for: forwarded.to_vec(),
                    forwarded_proto: proto.to_vec(),
                    any_forwarding: !forwarded.is_empty() || !proto.is_empty(),
                };
                let client = resolve(&seen, &nets(trust), false);
                (client.https, client.loopback)
            };
        let proxy = ["127.0.0.1/32"];
        assert_eq!(case("203.0.113.9", "a.example", &[], &["https"], &proxy), (false, false));
        assert_eq!(case("127.0.0.1", "localhost", &["1.1.1.1"], &[], &[]), (false, false));
        assert_eq!(case("127.0.0.1", "localhost", &[], &["https"], &[]), (false, false));
        assert_eq!(case("127.0.0.1", "auth.example", &[], &[], &[]), (false, false));
        assert_eq!(case("203.0.113.9", "localhost", &[], &[], &[]), (false, false));
        assert_eq!(case("127.0.0.1", "auth.example", &["1.1.1.1"], &["http"], &proxy), (false, false));
        assert_eq!(case("127.0.0.1", "auth.example", &["1.1.1.1"], &["https, http"], &proxy), (false, false));
        assert_eq!(case("127.0.0.1", "localhost", &["1.1.1.1"], &["https", "http"], &proxy), (false, false));
        assert_eq!(case("127.0.0.1", "auth.example", &["1.1.1.1"], &["HTTPS"], &proxy), (true, false));
        assert_eq!(case("127.0.0.1", "localhost:8000", &[], &[], &[]), (false, true));
        assert_eq!(case("::1", "[::1]:8000", &[], &[], &[]), (false, true));
        assert_eq!(case("::ffff:127.0.0.1", "app.localhost", &[], &[], &[]), (false, true));
    }

    #[test]
    fn names_that_only_look_like_loopback() {
        for host in ["localhost.evil.example", "127.0.0.1.evil.example", "", "notlocalhost", "[::1", "a:b:c"]
        {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn throttles_count_a_64_as_one_caller() {
        assert_eq!(throttle_key(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(throttle_key(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(throttle_key(ip("2001:db8:1:2::1")), throttle_key(ip("2001:db8:1:3::1")));
    }

    #[test]
    fn attention_is_called_once() {
        let attention = Attention::default();
        assert_eq!(attention.untrusted_proxy(), None);
        attention.forwarded_by(ip("10.0.0.1"));
        attention.forwarded_by(ip("10.0.0.2"));
        assert_eq!(attention.untrusted_proxy(), Some(ip("10.0.0.1")));
    }
}
