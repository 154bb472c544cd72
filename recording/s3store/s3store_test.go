package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/recordingtest"
)

func TestContract(t *testing.T) {
	g := startGateway(t)
	recordingtest.TestObjects(t, func(t *testing.T) recording.Objects { return g.open(t) })
}

// However an endpoint is written, a bucket is one place.
func TestPlaceIsCanonical(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://s3.example.gov":      "s3:https://s3.example.gov/calls",
		"https://S3.Example.gov:443/": "s3:https://s3.example.gov/calls",
		"http://127.0.0.1:80":         "s3:http://127.0.0.1/calls",
		"http://127.0.0.1:7070":       "s3:http://127.0.0.1:7070/calls",
		"https://s3.example.gov:80":   "s3:https://s3.example.gov:80/calls",
	} {
		u, err := url.Parse(endpoint)
		if err != nil || placeOf(u, "calls") != want {
			t.Errorf("%s: %s, %v", endpoint, placeOf(u, "calls"), err)
		}
	}
}

// gateway is a versitygw process of this test.
type gateway struct {
	endpoint       string
	access, secret string // files
	buckets        int
}

// open makes a bucket and opens it.
func (g *gateway) open(t *testing.T) *Store {
	t.Helper()
	g.buckets++
	s, err := Open(t.Context(), Config{Endpoint: g.endpoint, Bucket: fmt.Sprintf("recordings-%d", g.buckets),
		AccessKeyFile: g.access, SecretKeyFile: g.secret, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// keyFile writes a key with a line end, as an operator's editor would.
func keyFile(t *testing.T, dir, name, key string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(key+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// binary finds the server: named by the environment, or built into .tools/bin of the tree that this is in.
func binary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CALLHALL_TEST_VERSITYGW"); path != "" {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".tools", "bin", "versitygw")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CALLHALL_TEST_PEERS") == "required" {
		t.Fatal("no versitygw: `make tools` builds it")
	}
	t.Skip("no S3 server to test against: set CALLHALL_TEST_VERSITYGW to a versitygw, or run `make tools`")
	return ""
}

// startGateway runs a server on a free loopback port until the test ends.
func startGateway(t *testing.T) *gateway {
	t.Helper()
	path := binary(t)
	dir := t.TempDir()
	for _, d := range []string{"root", "versions", "sidecar"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	g := &gateway{endpoint: "http://" + addr, access: keyFile(t, dir, "access", "testaccess", 0o600), secret: keyFile(t, dir, "secret", "testsecret1", 0o600)}
	var said bytes.Buffer
	cmd := exec.Command(path, "--port", addr, "--access", "testaccess", "--secret", "testsecret1", "--quiet",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), "--sidecar", filepath.Join(dir, "sidecar"),
		filepath.Join(dir, "root"))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	g.await(t, exited, &said)
	return g
}

// await asks until the server answers.
func (g *gateway) await(t *testing.T, exited chan error, said *bytes.Buffer) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("the S3 server ended: %v\n%s", err, said)
		case <-deadline:
			t.Fatal("the S3 server does not answer")
		case <-tick.C:
			response, err := http.Get(g.endpoint)
			if err == nil {
				response.Body.Close()
				http.DefaultClient.CloseIdleConnections()
				return
			}
		}
	}
}

// A bucket on which somebody has switched versioning: overwritten and deleted copies are all erased, markers too.
func TestEveryVersionGoes(t *testing.T) {
	s := startGateway(t).open(t)
	if err := s.client.EnableVersioning(t.Context(), s.bucket); err != nil {
		t.Fatal(err)
	}
	name := recording.ObjectName(call.NewRecordingID())
	for _, text := range []string{"one", "two", "three"} {
		if err := s.Put(t.Context(), name, int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.client.RemoveObject(t.Context(), s.bucket, name, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err) // leaves a marker
	}
	listed := 0
	for o, err := range s.List(t.Context()) {
		if err != nil || o.Name != name {
			t.Errorf("%+v, %v", o, err)
		}
		listed++
	}
	if listed != 4 {
		t.Errorf("listed %d of three versions and a marker", listed)
	}
	e, err := s.Erase(t.Context(), name)
	if err != nil || e.Versions != 3 || e.Markers != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := s.Erase(t.Context(), name); err != nil || e != (recording.Erased{}) {
		t.Errorf("left over: %+v, %v", e, err)
	}
}

func TestUnfinishedUploadGoes(t *testing.T) {
	s := startGateway(t).open(t)
	core := minio.Core{Client: s.client}
	name := recording.ObjectName(call.NewRecordingID())
	id, err := core.NewMultipartUpload(t.Context(), s.bucket, name, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat([]byte("part"), 2<<20)
	if _, err := core.PutObjectPart(t.Context(), s.bucket, name, id, 1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{}); err != nil {
		t.Fatal(err)
	}
	listed := 0
	for o, err := range s.List(t.Context()) {
		if err != nil || o.Name != name {
			t.Errorf("%+v, %v", o, err)
		}
		listed++
	}
	e, err := s.Erase(t.Context(), name)
	if err != nil || e != (recording.Erased{Uploads: 1}) || listed != 1 {
		t.Errorf("%+v, %v, listed %d", e, err, listed)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	key, open := keyFile(t, dir, "key", "k", 0o600), keyFile(t, dir, "open", "k", 0o644)
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"plain http elsewhere": {Config{Endpoint: "http://s3.example.gov"}, "https"},
		"another scheme":       {Config{Endpoint: "ftp://127.0.0.1"}, "scheme"},
		"a path":               {Config{Endpoint: "https://127.0.0.1/bucket"}, "endpoint"},
		"no access key":        {Config{Endpoint: "https://127.0.0.1", AccessKeyFile: filepath.Join(dir, "none"), SecretKeyFile: key}, "access key"},
		"no secret key":        {Config{Endpoint: "https://127.0.0.1", AccessKeyFile: key, SecretKeyFile: filepath.Join(dir, "none")}, "secret key"},
		"readable secret":      {Config{Endpoint: "https://127.0.0.1", AccessKeyFile: key, SecretKeyFile: open}, "chmod"},
	} {
		if _, err := Open(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongSecretIsRefused(t *testing.T) {
	g := startGateway(t)
	g.open(t)
	wrong := keyFile(t, t.TempDir(), "secret", "wrong-secret", 0o600)
	if _, err := Open(t.Context(), Config{Endpoint: g.endpoint, Bucket: "recordings-1", AccessKeyFile: g.access, SecretKeyFile: wrong}); err == nil {
		t.Error("opened with a wrong secret")
	}
}

// A server whose certificate nobody vouches for is not spoken to.
func TestUnknownCertificateIsRefused(t *testing.T) {
	dir := t.TempDir()
	key := keyFile(t, dir, "key", "k", 0o600)
	server := newTLSServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := Open(ctx, Config{Endpoint: server, Bucket: "recordings", AccessKeyFile: key, SecretKeyFile: key})
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTLSServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}
