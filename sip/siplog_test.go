package sip

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestLogHandlerKeepsNothingOfAMessage(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log = log.With("caller", "Transport<UDP>").With("secret", "+12125550142")
	log.Error("failed to parse", "data", identityInvite, "error", errors.New("CSeq '+12125550142'"), "raddr", "192.0.2.1:5060")
	log.Warn("call from +12125550142", "raddr", "sip:+12125550142@x")
	log.Debug("getting connection", "addr", "192.0.2.1:5060", "tx", "z9hG4bK2125550142")
	log.WithGroup("g").Error("oops", "msg", "2125550142")
	if strings.Contains(out.String(), "5550142") || strings.Contains(out.String(), "INVITE") {
		t.Errorf("a number or message came through:\n%s", &out)
	}
	for _, want := range []string{`level=WARN msg="failed to parse"`, "data_bytes=", "raddr=192.0.2.1:5060", "withheld", "part=Transport<UDP>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "ERROR") {
		t.Error("a stranger's datagram is an error that someone must act on")
	}
}

func TestLogHandlerIsRateLimited(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(slog.NewTextHandler(&out, nil)))
	for range 10_000 {
		log.Error("failed to parse")
	}
	if lines := strings.Count(out.String(), "\n"); lines < sipgoLinesBurst || lines > 5*sipgoLinesBurst {
		t.Errorf("%d lines of 10,000", lines)
	}
}

func TestSecretShowsNothing(t *testing.T) {
	var out bytes.Buffer
	a := Agent{ID: "ana", Password: "swordfish"}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "agent", a, "password", a.Password)
	if strings.Contains(out.String(), "swordfish") {
		t.Error(out.String())
	}
}
