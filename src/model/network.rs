//! Where a session comes from, coarse enough that one household or office is one place.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A text or key that is no [`Network`].
#[derive(Debug, PartialEq, Eq)]
pub struct BadNetwork;

const V4_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 48;

/// An IPv4 /24 or an IPv6 /48. IPv4 written as IPv6 counts as IPv4.
///
/// One byte of family (4 or 6) and the prefix, padded with zeros: it stands in store keys as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network([u8; 8]);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        let mut key = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                key[0] = 4;
                key[1..4].copy_from_slice(&v4.octets()[..3]);
            }
            IpAddr::V6(v6) => {
                key[0] = 6;
                key[1..7].copy_from_slice(&v6.octets()[..6]);
            }
        }
        Self(key)
    }

    /// As a store key: always eight bytes.
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// Reads [`Network::bytes`] back.
    ///
    /// # Errors
    /// When the key is of no network: each has exactly one.
    pub fn from_bytes(key: [u8; 8]) -> Result<Self, BadNetwork> {
        let padding_from = match key[0] {
            4 => 4,
            6 => 7,
            _ => return Err(BadNetwork),
        };
        let network = Self(key);
        let one_spelling =
            key[padding_from..].iter().all(|byte| *byte == 0) && Self::of(network.address()) == network;
        if one_spelling { Ok(network) } else { Err(BadNetwork) }
    }

    /// The first address of it.
    fn address(self) -> IpAddr {
        let [family, a, b, c, d, e, f, _] = self.0;
        if family == 4 {
            Ipv4Addr::new(a, b, c, 0).into()
        } else {
            Ipv6Addr::from([a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.0[0] == 4 { V4_PREFIX } else { V6_PREFIX };
        write!(f, "{}/{prefix}", self.address())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    /// An address, whose network is meant, or a CIDR of exactly our size with no bits beyond it.
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::of(address));
        }
        let net = text.parse::<IpNet>().map_err(|_| BadNetwork)?;
        let network = Self::of(net.addr());
        let right_size = match net {
            IpNet::V4(v4) => v4.prefix_len() == V4_PREFIX,
            IpNet::V6(v6) => v6.prefix_len() == V6_PREFIX,
        };
        if right_size && network.address() == net.addr() { Ok(network) } else { Err(BadNetwork) }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let network = if d.is_human_readable() {
            String::deserialize(d)?.parse()
        } else {
            Self::from_bytes(serde_bytes::ByteArray::<8>::deserialize(d)?.into_array())
        };
        network.map_err(|_| de::Error::custom("not a network"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn other_sizes_and_stray_bits_are_refused() {
        for bad in
            ["", "x", "10.1.2.0/16", "10.1.2.0/25", "10.1.2.3/24", "2001:db8::/32", "2001:db8:0:1::/48"]
        {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork), "{bad}");
        }
        for bad in [[0; 8], [4, 1, 2, 3, 4, 0, 0, 0], [6, 1, 2, 3, 4, 5, 6, 7]] {
            assert_eq!(Network::from_bytes(bad), Err(BadNetwork));
        }
    }

    #[test]
    fn neighbours_share_a_network_and_strangers_do_not() {
        assert_eq!(of("10.1.2.3"), of("10.1.2.250"));
        assert_ne!(of("10.1.2.3"), of("10.1.3.3"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::4"));
        assert_ne!(of("2001:db8:1::"), of("2001:db8:2::"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_ipv4() {
        assert_eq!(of("::ffff:10.1.2.3"), of("10.1.2.3"));
    }

    #[test]
    fn it_reads_what_it_writes() {
        for (address, cidr) in
            [("10.1.2.3", "10.1.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("::1", "::/48")]
        {
            let network = of(address);
            assert_eq!(network.to_string(), cidr);
            assert_eq!(cidr.parse(), Ok(network));
            assert_eq!(address.parse(), Ok(network));
            assert_eq!(Network::from_bytes(network.bytes()), Ok(network));
            let packed = rmp_serde::to_vec(&network).unwrap();
            assert_eq!(rmp_serde::from_slice::<Network>(&packed).unwrap(), network);
            let json = serde_json::to_string(&network).unwrap();
            assert_eq!(json, format!("\"{cidr}\""));
            assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), network);
        }
    }
}
