package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bucketKey and bucketSecret are how the S3 server of these tests knows us.
const bucketKey, bucketSecret = "testaccess", "testsecret1"

// startBucket starts versitygw with an empty bucket "calls" and returns its address and the directory of everything that
// it keeps: objects, old versions and metadata.
func startBucket(t *testing.T) (endpoint, dir string) {
	t.Helper()
	path := os.Getenv("CALLHALL_TEST_VERSITYGW")
	if path == "" {
		path, _ = filepath.Abs("../.tools/bin/versitygw")
	}
	if _, err := os.Stat(path); err != nil {
		path = peer(t, "versitygw", "none: test/tools.sh builds it")
	}
	dir, endpoint = t.TempDir(), freeAddr(t)
	for _, d := range []string{"root", "versions", "sidecar", "root/calls"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o700))
	}
	var said syncBuffer
	cmd := exec.Command(path, "--port", endpoint, "--access", bucketKey, "--secret", bucketSecret, "--quiet",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "root"))
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	t.Cleanup(func() { stopProcess(t, "versitygw", cmd, &said) })
	within(t, 20*time.Second, func() error {
		resp, err := http.Get("http://" + endpoint)
		if err != nil {
			return fmt.Errorf("%w: %s", err, said.String())
		}
		return resp.Body.Close()
	})
	return endpoint, dir
}
