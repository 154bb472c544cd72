package s3witness

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"callhall/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func keyFile(t *testing.T, dir, name, key string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(key+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a server on a free loopback port until the test ends and opens a new bucket of it.
func start(t *testing.T) *Witness {
	t.Helper()
	path, dir := binary(t), t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	root := filepath.Join(dir, "root")
	if err := errors.Join(l.Close(), os.Mkdir(root, 0o700), os.Mkdir(filepath.Join(dir, "sidecar"), 0o700)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--port", addr, "--access", "testaccess", "--secret", "testsecret1", "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "sidecar"), root)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	w, err := New(Config{Endpoint: "http://" + addr, Bucket: "checkpoints", AccessKeyFile: keyFile(t, dir, "access", "testaccess", 0o600),
		SecretKeyFile: keyFile(t, dir, "secret", "testsecret1", 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	await(t, "http://"+addr)
	if err := w.client.MakeBucket(t.Context(), "checkpoints", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// await asks until the server answers.
func await(t *testing.T, endpoint string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1500 {
		<-tick.C
		if response, err := http.Get(endpoint); err == nil {
			response.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			return
		}
	}
	t.Fatal("the S3 server does not answer")
}

func TestNewestIsLastAndNoneIsWrittenOver(t *testing.T) {
	w := start(t)
	if last, err := w.Last(t.Context(), "a"); err != nil || last != nil {
		t.Errorf("an empty bucket: %q, %v", last, err)
	}
	for _, size := range []int64{1, 9, 10, 99, 100, 12345678901} {
		s := ledger.Signed{Log: "a", Size: size, Text: []byte{byte(size), 'x'}}
		if err := errors.Join(w.Drop(t.Context(), s), w.Drop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
		if last, err := w.Last(t.Context(), "a"); err != nil || !bytes.Equal(last, s.Text) {
			t.Errorf("last after %d: %q, %v", size, last, err)
		}
	}
	if err := w.Drop(t.Context(), ledger.Signed{Log: "a", Size: 9, Text: []byte("another")}); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("another checkpoint over 9 leaves: %v", err)
	}
	if err := w.Drop(t.Context(), ledger.Signed{Log: "a/2", Size: 3, Text: []byte("second log")}); err != nil {
		t.Fatal(err)
	}
	for log, want := range map[ledger.LogID]string{"a/2": "second log", "a": string([]byte{12345678901 & 0xff, 'x'}), "a.2": ""} {
		if last, err := w.Last(t.Context(), log); err != nil || string(last) != want {
			t.Errorf("last of %s: %q, %v", log, last, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	key, open := keyFile(t, dir, "key", "k", 0o600), keyFile(t, dir, "open", "k", 0o644)
	for name, cfg := range map[string]Config{
		"plain http elsewhere": {Endpoint: "http://s3.example.gov", AccessKeyFile: key, SecretKeyFile: key},
		"another scheme":       {Endpoint: "ftp://127.0.0.1", AccessKeyFile: key, SecretKeyFile: key},
		"readable secret":      {Endpoint: "https://127.0.0.1", AccessKeyFile: key, SecretKeyFile: open},
		"no key":               {Endpoint: "https://127.0.0.1", SecretKeyFile: key},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
