package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledDuringACall: kill -9 in the middle of a conversation loses no more than the last second of it; after the
// restart the recording plays, the record says what happened, and the agent is free for the next caller.
func TestKilledDuringACall(t *testing.T) {
	s := newServer(t)
	s.agent("1003", "--audio", "tone:880")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	caller := exec.CommandContext(ctx, built(t), "call", "--server", s.sip, "--audio", "tone:440", "--duration", "50s")
	var said syncBuffer
	caller.Stdout, caller.Stderr = &said, &said
	must(t, caller.Start())
	defer stopProcess(t, "callhall call", caller, &said)
	within(t, 20*time.Second, func() error {
		if !strings.Contains(said.String(), "answered by 1003") {
			return os.ErrNotExist
		}
		return nil
	})
	const talked = 4 * time.Second
	<-time.After(talked)
	s.kill()
	s.start()

	rec := s.records(s.token("supervisor"), 1)[0]
	if rec.End != "node-lost" || rec.Agent != "1003" && rec.Agent != "" {
		t.Errorf("record: %+v", rec)
	}
	channels := s.recording(rec.Recording.ID)
	if got := time.Duration(len(channels[0])) * time.Second / sampleRate; got < talked-time.Second || got > talked+time.Second {
		t.Errorf("recording has %v of %v", got, talked)
	}
	wantTone(t, "recording, caller's side", channels[0], 440, 880)
	wantTone(t, "recording, agent's side", channels[1], 880, 440)

	if left, _ := filepath.Glob(filepath.Join(s.dir, "data", "recording", "spool", "*")); len(left) > 1 {
		t.Errorf("spool still has %v", left)
	}
	s.agent("1003", "--audio", "tone:880") // registrations are not kept: phones register anew
	if got := s.dial("--audio", "tone:440", "--duration", "2s"); !got.OK {
		t.Errorf("next call after the restart: %+v", got)
	}
	s.records(s.token("supervisor"), 2)
}
