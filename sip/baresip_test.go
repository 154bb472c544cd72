package sip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// baresip starts that softphone, of whose code none is ours, with a 440 Hz tone for a voice. It listens on port, and
// does what command says.
func baresip(t *testing.T, port, command string) {
	t.Helper()
	tool, err := exec.LookPath("baresip")
	if err != nil {
		absent(t, "baresip is not installed (Debian package baresip)")
	}
	modules := append(must(filepath.Glob("/usr/lib/baresip/modules")), must(filepath.Glob("/usr/lib/*/baresip/modules"))...)
	if len(modules) == 0 {
		absent(t, "baresip's modules are not where Debian puts them")
	}
	dir := t.TempDir()
	tone := filepath.Join(dir, "tone.wav")
	files := map[string]string{
		"config": "sip_listen 127.0.0.1:" + port + "\naudio_source aufile," + tone + "\naudio_player aubridge,sink\n" +
			"module_path " + modules[0] + "\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n" +
			"module_tmp account.so\nmodule_app menu.so\n",
		"accounts": "<sip:ana@127.0.0.1:" + port + ">;regint=0;audio_codecs=PCMU;answermode=auto\n",
		"contacts": "", "tone.wav": string(toneWAV()),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-4", "-n", "127.0.0.1", "-f", dir, "-t", "30"}
	if command != "" {
		args = append(args, "-e", command)
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { // ends it: t.Context is over
		<-done
		if t.Failed() {
			t.Logf("baresip said:\n%s", said.String())
		}
	})
}

func must(paths []string, err error) []string {
	if err != nil {
		panic(err) // of our own pattern
	}
	return paths
}

// toneWAV is ten seconds of 440 Hz, 16-bit mono at 8 kHz.
func toneWAV() []byte {
	const samples = 80000
	var b bytes.Buffer
	io.WriteString(&b, "RIFF")
	binary.Write(&b, binary.LittleEndian, uint32(36+2*samples))
	io.WriteString(&b, "WAVEfmt ")
	binary.Write(&b, binary.LittleEndian, []uint32{16})
	binary.Write(&b, binary.LittleEndian, []uint16{1, 1})
	binary.Write(&b, binary.LittleEndian, []uint32{8000, 16000})
	binary.Write(&b, binary.LittleEndian, []uint16{2, 16})
	io.WriteString(&b, "data")
	binary.Write(&b, binary.LittleEndian, uint32(2*samples))
	for i := range samples {
		binary.Write(&b, binary.LittleEndian, int16(8000*math.Sin(2*math.Pi*440*float64(i)/8000)))
	}
	return b.Bytes()
}

// heard waits until the leg has taken sound from its party. A packet that is quicker than the 200 is turned away.
func heard(t *testing.T, l call.Leg) {
	t.Helper()
	eventually(t, func() string {
		if q := l.Quality(); q.Received < 10 || q.Rejected > q.Received/2 {
			return fmt.Sprintf("heard %+v", q)
		}
		return ""
	})
}

func TestBaresipCallsUs(t *testing.T) {
	st := raiseWith(t, wireTimers)
	baresip(t, freePort(t), "/dial sip:311@"+st.addr("udp"))
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard(t, c.Leg)
	c.Leg.HangUp(call.CauseNormal)
	st.empty()
}

func TestBaresipAnswersAsAgent(t *testing.T) {
	st := raiseWith(t, wireTimers)
	port := freePort(t)
	baresip(t, port, "")
	var uri sip.Uri
	if err := sip.ParseUri("sip:ana@127.0.0.1:"+port, &uri); err != nil {
		t.Fatal(err)
	}
	st.registrar.contacts.mu.Lock()
	st.registrar.contacts.all[owner{"demo", "ana"}] = []contact{{uri: uri, source: netip.MustParseAddrPort("127.0.0.1:" + port),
		transport: "UDP", expires: time.Now().Add(time.Hour), askAt: time.Now().Add(time.Hour)}}
	st.registrar.contacts.mu.Unlock()
	r := st.outcome(st.ring(t.Context(), patienceOfTests)) // INVITE is repeated until baresip listens
	if r.err != nil {
		t.Fatal(r.err)
	}
	heard(t, r.leg)
	r.leg.HangUp(call.CauseNormal)
	st.empty()
}
