//! Kinds of option values that are more than a number or a text.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The address under which browsers and other services reach this appliance: scheme, host and port, nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl {
    origin: String,
    https: bool,
}

impl PublicUrl {
    /// The origin as browsers write it (RFC 6454 section 6.1): no trailing slash, no default port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host and port, without the scheme.
    pub fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, rest)| rest)
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wanted = "expected http:// or https://, a host and perhaps a port, like https://auth.example.org";
        let (scheme, rest) = text.split_once("://").ok_or(wanted)?;
        let scheme = scheme.to_ascii_lowercase();
        let https = match scheme.as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wanted),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        let (host, port) = split_port(&authority).ok_or(wanted)?;
        if !is_host(host) {
            return Err(wanted);
        }
        let default_port = if https { 443 } else { 80 };
        let origin = match port {
            Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        Ok(Self { origin, https })
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.origin
    }
}

/// Host and port of an authority; the host keeps the brackets of an IPv6 address. `None` where it is no authority.
pub fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_host = match authority.starts_with('[') {
        true => authority.find(']')? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end_of_host);
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok()?)))
        }
        _ => None,
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.split('.').all(label)
}

/// Where to listen: an IP address, or `localhost` for both loopback addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    Localhost,
    Ip(IpAddr),
}

impl Listen {
    /// The addresses to bind. The first must succeed; a second (`::1`) only where the machine has IPv6.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Localhost => {
                vec![std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()]
            }
            Self::Ip(ip) => vec![*ip],
        }
    }

    /// The host that a link for a person on this machine names.
    pub fn link_host(&self) -> String {
        match self {
            Self::Localhost => "localhost".into(),
            Self::Ip(ip) if ip.is_unspecified() || ip.is_loopback() => "localhost".into(),
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => ip.to_string(),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "localhost" => Ok(Self::Localhost),
            ip => ip.parse().map(Self::Ip).map_err(|_| "expected an IP address or \"localhost\""),
        }
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::Localhost => "localhost".into(),
            Listen::Ip(ip) => ip.to_string(),
        }
    }
}

/// A network (`10.0.0.0/8`) or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(pub IpNet);

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let single = || IpAddr::from_str(&text).map(IpNet::from);
        let net = IpNet::from_str(&text).or_else(|_| single());
        net.map(Self).map_err(|_| "expected addresses or networks, like [\"10.0.0.5\", \"172.16.0.0/12\"]")
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

/// A secret option. Wiped when dropped; neither Debug nor Serialize shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The one way out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|text| Self(Zeroizing::new(text)))
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Json,
    Text,
}

/// An option that may be unset; the empty text means unset, so that it can be shown and undone.
pub(super) mod unset_when_empty {
    use serde::de::{Error, IntoDeserializer};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(s),
            None => s.serialize_str(""),
        }
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(d)?;
        if text.is_empty() {
            return Ok(None);
        }
        T::deserialize(text.into_deserializer())
            .map(Some)
            .map_err(|e: serde::de::value::Error| D::Error::custom(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<PublicUrl, &'static str> {
        PublicUrl::try_from(text.to_string())
    }

    #[test]
    fn public_url_with_anything_but_an_origin_is_refused() {
        for bad in [
            "",
            "auth.example.org",
            "ftp://a.example",
            "https://",
            "https://a.example/path",
            "https://a.example?x",
            "https://a.example#x",
            "https://u@a.example",
            "https://a.example:99999",
            "https://a.example:",
            "https://a..example",
            "https://[::1",
            "https://a b",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn public_url_is_written_as_browsers_write_origins() {
        assert_eq!(url("HTTPS://Auth.Example.org:443/").unwrap().origin(), "https://auth.example.org");
        assert_eq!(url("http://localhost:8000").unwrap().origin(), "http://localhost:8000");
        assert_eq!(url("http://[::1]:80").unwrap().origin(), "http://[::1]");
    }

    #[test]
    fn localhost_is_both_loopback_addresses() {
        assert_eq!(Listen::Localhost.addresses().len(), 2);
        assert!(Listen::try_from("example.org".to_string()).is_err());
        assert_eq!(Listen::Ip("0.0.0.0".parse().unwrap()).link_host(), "localhost");
    }
}
