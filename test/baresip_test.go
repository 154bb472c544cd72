package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// baresip is a softphone of somebody else's, without a sound card: it speaks a WAV file and keeps what it hears.
type baresip struct {
	dir string
	log syncBuffer
}

// startBaresip registers it as that agent and lets it answer by itself, speaking a tone.
func startBaresip(t *testing.T, s *server, agent string, freq float64) *baresip {
	t.Helper()
	path := peer(t, "baresip", "baresip")
	b := &baresip{dir: t.TempDir()}
	writeWAV(t, filepath.Join(b.dir, "speak.wav"), tone(freq, 60))
	must(t, os.WriteFile(filepath.Join(b.dir, "accounts"),
		fmt.Appendf(nil, "<sip:%s@%s>;auth_pass=secret-%s;regint=60;audio_codecs=PCMU;answermode=auto\n", agent, s.sip, agent), 0o600))
	config := fmt.Sprintf(`sip_listen 127.0.0.1:0
audio_source aufile,%s/speak.wav
audio_player aubridge,sink
audio_alert aubridge,sink
audio_srate 8000
audio_channels 1
snd_path %s
module_path %s
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
`, b.dir, b.dir, modulePath(t))
	must(t, os.WriteFile(filepath.Join(b.dir, "config"), []byte(config), 0o600))
	must(t, os.WriteFile(filepath.Join(b.dir, "contacts"), nil, 0o600))
	cmd := exec.Command(path, "-4", "-n", "127.0.0.1", "-f", b.dir)
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	must(t, cmd.Start())
	t.Cleanup(func() { stopProcess(t, "baresip", cmd, &b.log) })
	within(t, 10*time.Second, func() error {
		if !strings.Contains(b.log.String(), "200 OK") {
			return fmt.Errorf("baresip is not registered:\n%s", tail(b.log.String()))
		}
		return nil
	})
	return b
}

// modulePath is where this machine's baresip keeps its modules.
func modulePath(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("baresip's modules are not where Debian puts them")
	return ""
}

// heard is what baresip heard from the far side.
func (b *baresip) heard(t *testing.T) []int16 {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("baresip kept %d files of what it heard, want one", len(found))
	}
	wav, err := os.ReadFile(found[0])
	must(t, err)
	return readWAV(t, wav)[0]
}

// TestDial311ToBaresip is the main job: a caller dials 311, a softphone with none of our code in it answers, each hears
// the other within a second, and the recording has both, each on its own channel.
func TestDial311ToBaresip(t *testing.T) {
	s := newServer(t, onlyMD5)
	agent := startBaresip(t, s, "1001", 880)
	seen := s.dial("--audio", "tone:440", "--duration", "5s", "--expect", "answered,two-way-audio")
	if seen.AnsweredBy != "1001" {
		t.Errorf("answered by %q", seen.AnsweredBy)
	}
	rec := s.records(s.token("supervisor"), 1)[0]
	if rec.End != "caller-hung-up" || rec.Agent != "1001" || rec.Offers != 1 {
		t.Errorf("record: %+v", rec)
	}
	wantTone(t, "agent hears", agent.heard(t), 440, 880)
	channels := s.recording(rec.Recording.ID)
	wantTone(t, "recording, caller's side", channels[0], 440, 880)
	wantTone(t, "recording, agent's side", channels[1], 880, 440)
	if f, share := strongest(channels[1][:sampleRate], 440, 880); f != 880 || share < 0.3 {
		t.Errorf("first second of the agent: strongest %v Hz with a share of %.2f", f, share)
	}
}
