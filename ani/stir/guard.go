package stir

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// maxURL bounds the address of a certificate, in bytes.
const maxURL = 2048

// closed are the networks that a certificate's address may not lead to, although they look like unicast: what is
// private, shared, reserved or for documentation, and what wraps an IPv4 address in an IPv6 one (IANA's special-purpose
// address registries; RFC 6890).
var closed = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

// global is what IANA has given out of IPv6 for use in public. Loopback, link-local, unique local, multicast,
// IPv4-compatible and NAT64 addresses are outside it.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public tells whether an address may be asked for a certificate.
func public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if ip.Is6() && !global.Contains(ip) {
		return false
	}
	return !slices.ContainsFunc(closed, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Resolver finds the addresses of a host. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// errForbidden is an address that we do not fetch from.
var errForbidden = errors.New("not an address to fetch from")

// guard dials hosts by addresses that it has looked at itself, so that a name cannot change its meaning between the look
// and the connection.
type guard struct {
	resolver Resolver
	allow    []netip.Prefix // besides the public ones
	dialer   net.Dialer
}

// dial connects to the first permitted address that answers. Addresses that are not permitted are passed over.
func (g *guard) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	found, err := g.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	err = errForbidden
	for _, ip := range found {
		if !g.permits(ip) {
			continue
		}
		var conn net.Conn
		if conn, err = g.dialer.DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("connect: %w", err)
}

func (g *guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	return g.resolver.LookupNetIP(ctx, "ip", host)
}

func (g *guard) permits(ip netip.Addr) bool {
	return public(ip) || ip.Zone() == "" && slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// location checks the address of a certificate or a list before anything is asked: HTTPS on a permitted port
// (ATIS-1000080: 443 or 8443), a host, no user and no fragment.
func location(raw string, ports []uint16) (*url.URL, bool) {
	if len(raw) > maxURL || !printable(raw) {
		return nil, false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	port := u.Port()
	return u, slices.ContainsFunc(ports, func(p uint16) bool { return fmt.Sprint(p) == port || port == "" && p == 443 })
}

// dialTimeout is for one of a host's addresses, so that a dead one leaves time for the next.
const dialTimeout = 500 * time.Millisecond
