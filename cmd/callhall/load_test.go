package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// mirror stands in for a SIP server: it takes every registration, hands what callers say to whoever registered last and
// that party's words to the caller.
type mirror struct {
	conn   *net.UDPConn
	mu     sync.Mutex
	ended  int // registrations taken back
	agents netip.AddrPort
}

func openMirror(t *testing.T) *mirror {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{conn: conn}
	var loop sync.WaitGroup
	loop.Go(m.run)
	t.Cleanup(func() { conn.Close(); loop.Wait() })
	return m
}

func (m *mirror) run() {
	var caller netip.AddrPort
	buf := make([]byte, 65535)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		text := string(buf[:n])
		m.mu.Lock()
		switch _, headers, _ := strings.Cut(text, "\r\n"); {
		case strings.HasPrefix(text, "REGISTER "):
			if m.agents = from; strings.Contains(text, "Expires: 0\r\n") {
				m.ended++
			}
			m.conn.WriteToUDPAddrPort([]byte("SIP/2.0 200 OK\r\n"+headers), from)
		case from == m.agents:
			m.conn.WriteToUDPAddrPort(buf[:n], caller)
		case !m.agents.IsValid():
			if strings.HasPrefix(text, "INVITE ") {
				m.conn.WriteToUDPAddrPort([]byte("SIP/2.0 480 Temporarily Unavailable\r\n"+headers), from)
			}
		default:
			caller = from
			m.conn.WriteToUDPAddrPort(buf[:n], m.agents)
		}
		m.mu.Unlock()
	}
}

func TestLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("load", func(t *testing.T) {
		m := openMirror(t)
		t.Chdir(t.TempDir())
		write(t, "agents", "# two of them\n1001 correct-horse\n\n1002  battery-staple\n", 0o600)
		var out bytes.Buffer
		term := &terminal{Out: &out, JSON: true}
		err := runLoad(t.Context(), term, m.conn.LocalAddr().String(), "311", "+12125550142", 4, 100,
			loadFlags{Load: true, Hold: 200 * time.Millisecond, AgentsFile: "agents", GiveUp: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var s loadSummary
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
		if s.Placed != 4 || s.Connected != 4 || s.Ended != 4 || s.Failed != 0 || s.Heard == 0 || s.PostDial.P50 <= 0 || s.PacketDelay.P99 <= 0 {
			t.Errorf("summary %+v", s)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.ended != 2 {
			t.Errorf("%d registrations taken back, not 2", m.ended)
		}
	})
}

// TestLoadTellsFailure: calls that are refused make the command fail, and the summary is there all the same.
func TestLoadTellsFailure(t *testing.T) {
	m := openMirror(t)
	var out bytes.Buffer
	err := runLoad(t.Context(), &terminal{Out: &out}, m.conn.LocalAddr().String(), "311", "+12125550142", 3, 100,
		loadFlags{Load: true, NoSound: true, GiveUp: 10 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "3 of 3 calls") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "3 placed, 0 answered") || !strings.Contains(out.String(), "3 failed") {
		t.Errorf("printed %s", out.String())
	}
}

// TestLoadCutsShort: a call that nobody ends is hung up, and told.
func TestLoadCutsShort(t *testing.T) {
	m := openMirror(t)
	t.Chdir(t.TempDir())
	write(t, "agents", "1001 correct-horse\n", 0o600)
	var out bytes.Buffer
	err := runLoad(t.Context(), &terminal{Out: &out}, m.conn.LocalAddr().String(), "311", "+12125550142", 1, 100,
		loadFlags{Load: true, AgentsFile: "agents", NoSound: true, GiveUp: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "1 of 1 calls were not over in time") || !strings.Contains(out.String(), "1 ended") {
		t.Errorf("error %v, printed %s", err, out.String())
	}
}

func TestReadAgents(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "bad", "1001 correct horse\n", 0o600)
	write(t, "none", "# nobody\n", 0o600)
	for file, want := range map[SecretFile]string{"bad": "bad:1: not a user", "none": "names no agent", "missing": "missing"} {
		_, err := readAgents(file)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
