package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"callhall/call"
	"callhall/sip"
)

// nextPorts is how many ports above its own a listener of a development server tries when that one is taken.
const nextPorts = 20

// listenSIP opens the SIP server on the configured addresses. In development a taken port moves to the next free one.
func listenSIP(cfg Config, deps sip.Deps) (*sip.Server, error) {
	for moved := 0; ; moved++ {
		server, err := sip.New(sipConfig(cfg, moved), deps)
		if err == nil || !canMove(cfg, slices.Equal(cfg.SIP.Listen, defaults().SIP.Listen), moved, err) {
			return server, err
		}
	}
}

// canMove tells whether a listener that met err may try the next port: on a development server, where nobody named it.
func canMove(cfg Config, unnamed bool, moved int, err error) bool {
	return cfg.Development && unnamed && moved < nextPorts && errors.Is(err, syscall.EADDRINUSE)
}

// sipConfig is the configuration as the SIP edge wants it, its ports moved up by so many.
func sipConfig(cfg Config, moved int) sip.Config {
	c := sip.Config{Advertise: cfg.SIP.Advertise, Realm: cfg.SIP.Realm, Digest: cfg.SIP.Digest.algorithms(), SilenceLimit: cfg.SIP.Silence}
	for _, l := range cfg.SIP.Listen {
		c.Listen = append(c.Listen, SIPListener{Transport: l.Transport, Addr: movedUp(l.Addr, moved)}.String())
	}
	for _, city := range cfg.Cities {
		c.Cities = append(c.Cities, sip.City{ID: city.ID, Number: city.CallerID, Callbacks: city.CallbackTrunk})
		for _, t := range city.Trunks {
			c.Trunks = append(c.Trunks, sipTrunk(t))
		}
		for _, p := range city.Partners {
			c.Partners = append(c.Partners, sip.Partner{City: city.ID, ID: p.ID, Kind: call.PartnerKind(p.Kind), URI: p.URI, Trunk: p.Trunk})
		}
	}
	return c
}

// sipTrunk is a trunk as the SIP edge wants it.
func sipTrunk(t TrunkConfig) sip.Trunk {
	trunk := sip.Trunk{ID: t.ID, Allow: t.Allow, Trust: t.believed(), Progress: t.Progress, NATLearn: t.NATLearning, TrustOut: t.TrustOut, Secured: t.Secured}
	if t.hasProxy() {
		trunk.Proxy = t.Proxy.String()
	}
	return trunk
}

func movedUp(a netip.AddrPort, by int) netip.AddrPort {
	if a.Port() == 0 {
		return a
	}
	return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(by))
}

// listenHTTP opens the API's listener, with TLS where a certificate is configured.
func listenHTTP(cfg Config) (net.Listener, error) {
	secure, err := cfg.HTTP.TLS.Load()
	if err != nil {
		return nil, err
	}
	l, err := listenTCP(cfg, cfg.HTTP.Listen)
	if err != nil || secure == nil {
		return l, err
	}
	return tls.NewListener(l, secure), nil
}

// listenAdmin opens the listener for health, metrics and profiles.
func listenAdmin(cfg Config) (net.Listener, error) { return listenTCP(cfg, cfg.Admin.Listen) }

// listenTCP listens on addr. In development a taken port moves to the next free one.
func listenTCP(cfg Config, addr netip.AddrPort) (net.Listener, error) {
	for moved := 0; ; moved++ {
		l, err := net.Listen("tcp", movedUp(addr, moved).String())
		if err == nil {
			return l, nil
		}
		unnamed := addr == defaults().HTTP.Listen || addr == defaults().Admin.Listen
		if !canMove(cfg, unnamed, moved, err) {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
}

// closeListener closes a listener that nobody served; one that was served is closed already.
func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}
