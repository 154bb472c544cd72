package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// seen is what callhall call --json says of a call.
type seen struct {
	OK         bool   `json:"ok"`
	AnsweredBy string `json:"answered_by"`
	Call       string `json:"call"`
	Heard      []struct {
		Hz    float64 `json:"hz"`
		Share float64 `json:"share"`
	} `json:"heard"`
}

// dial places a call as a user would and fails the test if the call does not come up to --expect.
func (s *server) dial(args ...string) seen {
	s.t.Helper()
	got, err := s.tryDial(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *server) tryDial(args ...string) (got seen, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	out, err := s.run(ctx, append([]string{"--json", "call", "--server", s.sip, "--to", "311"}, args...)...)
	if jerr := json.Unmarshal([]byte(out), &got); jerr != nil {
		return got, errors.Join(err, fmt.Errorf("callhall call printed %q: %w", out, jerr))
	}
	return got, err
}

// agent starts callhall agent as that agent and waits until it is registered.
func (s *server) agent(name string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(built(s.t), append([]string{"agent", "--server", s.sip, "--as", name, "--password-file", "secrets/" + name}, args...)...)
	cmd.Dir = s.dir
	var said syncBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	must(s.t, cmd.Start())
	s.t.Cleanup(func() { stopProcess(s.t, "callhall agent", cmd, &said) })
	within(s.t, 10*time.Second, func() error {
		if !bytes.Contains([]byte(said.String()), []byte("registered")) {
			return fmt.Errorf("agent %s is not registered: %s", name, said.String())
		}
		return nil
	})
}

// recording fetches a recording and returns its two channels.
func (s *server) recording(id string) [][]int16 {
	s.t.Helper()
	token := s.token("supervisor")
	var wav []byte
	within(s.t, 10*time.Second, func() error {
		code, _, body := s.get(token, "/api/v1/recordings/"+id+"/media?reason=quality-review")
		if code != 200 {
			return fmt.Errorf("play recording: %d %s", code, body)
		}
		wav = body
		return nil
	})
	channels := readWAV(s.t, wav)
	if len(channels) != 2 {
		s.t.Fatalf("recording has %d channels", len(channels))
	}
	return channels
}

// TestDial311WithOurOwn: the built-in caller and agent, over TCP and UDP, through a server that is not told who they are.
func TestDial311WithOurOwn(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := newServer(t)
			s.agent("1003", "--audio", "tone:880", "--transport", transport)
			got := s.dial("--audio", "tone:440", "--duration", "3s", "--transport", transport, "--expect", "answered,two-way-audio,recorded")
			if !got.OK || got.AnsweredBy != "1003" || got.Call == "" {
				t.Errorf("call says %+v", got)
			}
			rec := s.records(s.token("supervisor"), 1)[0]
			if rec.ID != got.Call {
				t.Errorf("record %s, call %s", rec.ID, got.Call)
			}
			channels := s.recording(rec.Recording.ID)
			wantTone(t, "recording, caller's side", channels[0], 440, 880)
			wantTone(t, "recording, agent's side", channels[1], 880, 440)
		})
	}
}
