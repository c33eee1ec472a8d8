//! Who a request comes from when there are proxies in between.
//!
//! `X-Forwarded-For` is believed from configured proxies alone, and only as far as they wrote it: from the right, the first
//! hop that is none of them is the client. Whatever stands further left anybody may have made up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, header};
use ipnet::IpNet;

/// The header that proxies write.
const HEADER: &str = "x-forwarded-for";

/// What else says that somebody else is behind the connection.
const HINTS: [&str; 3] = [HEADER, "x-real-ip", "forwarded"];

/// One proxy, or a net of them: `127.0.0.1`, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map(Self).map_err(|_| {
            format!(
                "`{}` is no address like \"127.0.0.1\" and no net like \"10.0.0.0/8\"",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

/// The client behind `peer`, as far as `proxies` vouch for it.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Proxy]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|proxy| proxy.0.contains(address));
    let mut client = peer.to_canonical();
    let values: Vec<_> = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    while trusted(&client) {
        // What cannot be read was not written by them, or says nothing: the last one who is known stands for it.
        let Some(hop) = hops.next().and_then(address) else { break };
        client = hop;
    }
    client
}

/// Whether a request says that it was passed on.
#[must_use]
pub fn is_passed_on(headers: &HeaderMap) -> bool {
    HINTS.iter().any(|name| headers.contains_key(*name)) || headers.contains_key(header::VIA)
}

/// What one customer of a network holds: an address, or a whole /64 of IPv6.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A hop: an address, with a port or without, IPv6 in brackets or not.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_is_the_client() {
        let proxies: Vec<Proxy> = ["127.0.0.1", "10.0.0.0/8", "::1"].map(|text| text.parse().unwrap()).into();
        for (peer, values, expected) in [
            // Nobody vouches for what a stranger says of itself.
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // What the client itself had sent stands on the left.
            ("127.0.0.1", &["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["8.8.8.8", "198.51.100.7, 10.1.2.3"], "198.51.100.7"),
            ("10.9.9.9", &["198.51.100.7:4711"], "198.51.100.7"),
            ("::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:127.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            // Nothing, rubbish, or proxies all the way.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7, <script>, 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &["10.1.2.4, 10.1.2.3"], "10.1.2.4"),
        ] {
            let found = client(peer.parse().unwrap(), &headers(values), &proxies);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
            // Without a configured proxy nobody is believed.
            let alone = client(peer.parse().unwrap(), &headers(values), &[]);
            assert_eq!(alone, peer.parse::<IpAddr>().unwrap().to_canonical());
        }
    }

    #[test]
    fn a_household_of_ipv6_is_one() {
        let of = |text: &str| household(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn a_proxy_reads_back_and_a_word_is_none() {
        for text in ["127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
        }
        for text in ["nginx", "10.0.0.0/33", ""] {
            assert!(text.parse::<Proxy>().unwrap_err().contains("10.0.0.0/8"));
        }
    }
}
