package sip

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

// sipp runs one scenario of testdata against the server, with the words given replaced, and fails with what SIPp says.
func (st *stage) sipp(scenario string, replace ...string) {
	st.t.Helper()
	tool, err := exec.LookPath("sipp")
	if err != nil {
		absent(st.t, "sipp is not installed (Debian package sip-tester)")
	}
	raw, err := os.ReadFile(filepath.Join("testdata", scenario+".xml"))
	if err != nil {
		st.t.Fatal(err)
	}
	dir := st.t.TempDir()
	file := filepath.Join(dir, scenario+".xml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(raw))), 0o600); err != nil {
		st.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(st.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, st.addr("udp"), "-sf", file, "-m", "1", "-i", "127.0.0.1", "-p", freePort(st.t),
		"-nostdin", "-timeout", "20s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors.log"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		faults, _ := os.ReadFile(filepath.Join(dir, "errors.log"))
		st.t.Errorf("SIPp %s: %v\n%s\n%.2000s", scenario, err, faults, out)
	}
}

// freePort is a UDP port of loopback that was free a moment ago.
func freePort(t *testing.T) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	return port
}

// TestLadders has SIPp, which knows nothing of us, place calls.
func TestLadders(t *testing.T) {
	for _, l := range []struct {
		scenario string
		replace  []string
		answer   bool
		events   []call.Event
	}{
		{"late_offer", nil, true, []call.Event{call.LegEnded{Leg: "caller", Cause: call.CauseNormal}}},
		{"cancel", nil, false, []call.Event{call.LegEnded{Leg: "caller", Cause: call.CauseCancelled}}},
		{"no_ack", nil, true, []call.Event{call.LegEnded{Leg: "caller", Cause: call.CauseNoAck}}},
		{"hold", []string{"OFFERED", "sendonly", "ANSWERED", "recvonly", "ADDRESS", "[local_ip]"}, true, heldAndEnded},
		{"hold", []string{"OFFERED", "inactive", "ANSWERED", "inactive", "ADDRESS", "[local_ip]"}, true, heldAndEnded},
		{"hold", []string{"OFFERED", "sendrecv", "ANSWERED", "recvonly", "ADDRESS", "0.0.0.0"}, true, heldAndEnded},
		{"hold", []string{"OFFERED", "recvonly", "ANSWERED", "sendonly", "ADDRESS", "[local_ip]"}, true,
			[]call.Event{call.LegEnded{Leg: "caller", Cause: call.CauseNormal}}},
	} {
		t.Run(strings.Join(append([]string{l.scenario}, l.replace...), " "), func(t *testing.T) {
			timers := wireTimers
			if l.scenario == "no_ack" {
				timers = testTimers
			}
			st := raiseWith(t, timers)
			seen := make(chan call.Event, 16)
			st.board.play(func(ctx context.Context, a call.Arrival) call.End {
				in := call.NewInbox()
				a.Leg.Attach(in)
				if l.answer {
					if err := a.Leg.Answer(ctx); err != nil {
						t.Errorf("Answer: %v", err)
					}
				}
				for ev := range in.Events() {
					seen <- ev
					if _, over := ev.(call.LegEnded); over {
						return call.EndCallerHungUp
					}
				}
				return call.EndFailed
			})
			st.sipp(l.scenario, l.replace...)
			for i, want := range l.events {
				select {
				case ev := <-seen:
					if ev != want {
						t.Errorf("event %d is %T%+v, want %T%+v", i, ev, ev, want, want)
					}
				case <-time.After(patienceOfTests):
					t.Fatalf("event %d, %T%+v, never came", i, want, want)
				}
			}
			st.empty()
		})
	}
}

var heldAndEnded = []call.Event{call.LegHeld{Leg: "caller", Held: true}, call.LegHeld{Leg: "caller"},
	call.LegEnded{Leg: "caller", Cause: call.CauseNormal}}

// absent names a peer that is missing: an error under make test, which installs it, and a skip elsewhere.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CALLHALL_TEST_PEERS") == "required" {
		t.Fatal(what)
	}
	t.Skip("skipped: " + what)
}
