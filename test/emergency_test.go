package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEmergencyWithAFullDisk: while the disk of the database and the ledger is full, a caller who withholds their number
// is carried on to 911 with it all the same (RULES D25, O1); no other partner gets it then; and when there is space again
// the leaf appears by itself.
func TestEmergencyWithAFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk for the test; the in-process test of cmd/callhall needs none")
	}
	s := prepare(t, "1001", "1002")
	data := filepath.Join(s.dir, "data")
	must(t, os.Mkdir(data, 0o700))
	if err := syscall.Mount("callhall-test", data, "tmpfs", 0, "size=24m,mode=700"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v); the in-process test of cmd/callhall needs none", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(data, syscall.MNT_DETACH)) })
	psap, water := newFarEnd(t, s, "udp", "127.0.0.11", true), newFarEnd(t, s, "udp", "127.0.0.10", true)
	s.configure(fmt.Sprintf(`cities:
  - id: demo
    name: Demo City
    ani: {owner: Privacy Officer}
    recording: {mode: "off"}
    trunks:
      - {id: carrier, allow: [127.0.0.1/32], trust_identity: true}
      - {id: to-911, allow: [127.0.0.11/32], proxy: "udp://%s"}
      - {id: to-water, allow: [127.0.0.10/32], proxy: "udp://%s", trust_out: true}
    partners:
      - {id: psap, kind: psap, name: "911", uri: "urn:service:sos", trunk: to-911}
      - {id: water, kind: city, name: Water, uri: "sip:desk@%s", trunk: to-water}
    numbers: [{number: "3111", queue: one}, {number: "3112", queue: two}]
    queues: [{id: one, wrap_up: 0s}, {id: two, wrap_up: 0s}]
    agents: [{id: "1001", password_file: secrets/1001, queues: [one]}, {id: "1002", password_file: secrets/1002, queues: [two]}]
`, psap.host, water.host, water.host), onlyMD5)
	s.start()
	supervisor, privacy := s.token("supervisor"), s.token("privacy")
	var calls []string
	var dialogs []*dialog
	for i, number := range []string{"2125550142", "2125550143"} {
		phone, caller := newFarEnd(t, s, "udp", "127.0.0.1", false), newFarEnd(t, s, "udp", "127.0.0.1", false)
		phone.register(fmt.Sprint(1001 + i))
		dialogs = append(dialogs, caller.call(fmt.Sprint(3111+i), "<sip:anonymous@anonymous.invalid>;tag=a", "full-disk-"+number, "", "P-Asserted-Identity: <sip:+1"+number+"@carrier.example>\r\nPrivacy: id\r\n"))
		calls = append(calls, phone.ringing())
	}
	before := s.emergencies(privacy)
	plug := fill(t, data)

	s.post(supervisor, "/api/v1/calls/"+calls[0]+"/transfers", `{"to":"psap"}`, http.StatusAccepted, nil)
	s.post(supervisor, "/api/v1/calls/"+calls[1]+"/transfers", `{"to":"water"}`, http.StatusAccepted, nil)
	invite := firstInvite(t, psap)
	if !strings.Contains(invite.header.Get("P-Asserted-Identity"), "sip:+12125550142@") {
		t.Errorf("911 is told nobody's number: %s", invite.raw)
	}
	other := firstInvite(t, water)
	newFinder("2125550143").wantNone(t, "without a ledger, a partner's INVITE", []byte(other.raw))
	if got := s.emergencies(privacy); got != before {
		t.Errorf("%d leaves of an emergency with a full disk, %d before: the disk is not full, so that this test could not fail", got, before)
	}
	must(t, os.Remove(plug))
	within(t, 45*time.Second, func() error {
		if got := s.emergencies(privacy); got != before+1 {
			return fmt.Errorf("%d leaves of an emergency, want %d", got, before+1)
		}
		return nil
	})
	for _, d := range dialogs {
		d.hangUp("")
	}
	newFinder("2125550142", "2125550143").wantNoneBelow(t, data)
}

// emergencies counts the releases to 911 in the ledger.
func (s *server) emergencies(token string) int {
	s.t.Helper()
	code, _, body := s.get(token, "/api/v1/ledger?limit=200")
	if code != http.StatusOK {
		return -1
	}
	return bytes.Count(body, []byte(`"row":"D25"`))
}

// fill fills the disk of dir to its last byte and returns the file that does.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "plug")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for block := 1 << 20; block > 0; block /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, block))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
	return path
}

// firstInvite waits for the first call of a far end.
func firstInvite(t *testing.T, f *farEnd) (m sipText) {
	t.Helper()
	within(t, 20*time.Second, func() error {
		for _, m = range f.messages() {
			if strings.HasPrefix(m.first, "INVITE ") {
				return nil
			}
		}
		return errors.New("it is not called")
	})
	return m
}
