package test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// onlyMD5 is for peers that know MD5 alone: baresip 1.0 and SIPp 3.6 end when they are offered SHA-256 too, which RFC 8760
// asks of a server and RFC 7616 §3.7 of a phone to pass over. Our own phones prove SHA-256 in the other tests.
const onlyMD5 = "digest: md5"

// sipp runs one scenario of testdata to its end against the server. SIPp judges by itself: any message that the ladder
// does not have ends it with an error.
func (s *server) sipp(ctx context.Context, scenario string, args ...string) error {
	path := peer(s.t, "sipp", "sip-tester")
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(filepath.Join(dir, "speak.ulaw"), bytes.Repeat([]byte{0x80, 0x00, 0x80, 0xFF}, 2000), 0o600)) // a hum
	file, err := filepath.Abs(filepath.Join("testdata", scenario))
	must(s.t, err)
	args = append([]string{s.sip, "-sf", file, "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-timeout", "30s", "-timeout_error",
		"-trace_err", "-trace_msg", "-message_file", "messages", "-error_file", "errors"}, args...)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	errors, _ := os.ReadFile(filepath.Join(dir, "errors"))
	messages, _ := os.ReadFile(filepath.Join(dir, "messages"))
	return fmt.Errorf("sipp %s: %w\n%s\n%s\n%s", scenario, err, tail(string(errors)), tail(string(messages)), tail(string(out)))
}

// TestDial311WithSIPp: SIPp registers as the agent with digest, SIPp is the caller, and each sees the ladder it expects.
func TestDial311WithSIPp(t *testing.T) {
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			s := newServer(t, onlyMD5)
			_, port, err := net.SplitHostPort(freeAddr(t))
			must(t, err)
			agent := []string{"-p", port, "-t", transport, "-s", "1002", "-au", "1002", "-ap", "secret-1002"}
			must(t, s.sipp(t.Context(), "register.xml", agent...))
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			answered := make(chan error, 1)
			go func() { answered <- s.sipp(ctx, "answer.xml", agent...) }()
			if err := s.sipp(ctx, "dial.xml", "-t", transport); err != nil {
				t.Error(err)
			}
			if err := <-answered; err != nil {
				t.Error(err)
			}
			if rec := s.records(s.token("supervisor"), 1)[0]; rec.End != "caller-hung-up" || rec.Agent != "1002" || rec.Caller != "present" {
				t.Errorf("record: %+v", rec)
			}
		})
	}
}
