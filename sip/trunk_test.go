package sip

import (
	"net/netip"
	"strings"
	"testing"

	"callhall/call"
)

func prefixes(texts ...string) (ps []netip.Prefix) {
	for _, s := range texts {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestTrunkOfTheLongestPrefix(t *testing.T) {
	ts, err := newTrunks([]Trunk{
		{ID: "wide", Allow: prefixes("192.0.2.0/24", "2001:db8::/32")},
		{ID: "narrow", Allow: prefixes("192.0.2.77/28", "::ffff:198.51.100.7/128")},
		{ID: "six", Allow: prefixes("2001:db8:1::/48")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for src, want := range map[string]call.TrunkID{
		"192.0.2.1": "wide", "192.0.2.64": "narrow", "192.0.2.79": "narrow", "192.0.2.80": "wide",
		"::ffff:192.0.2.65": "narrow", "198.51.100.7": "narrow", "2001:db8::1": "wide", "2001:db8:1::1": "six",
		"203.0.113.1": "", "2001:db9::1": "", "127.0.0.1": "",
	} {
		got, found := ts.find(netip.MustParseAddr(src))
		if got.ID != want || found != (want != "") {
			t.Errorf("find(%s) = %q, %v; want %q", src, got.ID, found, want)
		}
	}
	if _, found := ts.find(netip.Addr{}); found {
		t.Error("no address at all belongs to a trunk")
	}
}

func TestTrunkFaults(t *testing.T) {
	_, err := newTrunks([]Trunk{
		{ID: "a", Allow: prefixes("192.0.2.0/24")},
		{ID: "b", Allow: prefixes("192.0.2.9/24")}, // the same range
		{ID: "a", Allow: prefixes("198.51.100.0/24")},
		{ID: "none"},
		{Allow: prefixes("203.0.113.0/24")},
		{ID: "zero", Allow: []netip.Prefix{{}}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"trunk b: 192.0.2.0/24 is already allowed for trunk a", "trunk a: there are two",
		"trunk none: no source", "a trunk has no id", "trunk zero: not an address range"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in:\n%v", want, err)
		}
	}
}

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// addrOf is the i-th of many IPv4 addresses.
func addrOf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}
