package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "records.key")
	made, err := keyFile(path)
	must(t, err)
	read, err := keyFile(path)
	if err != nil || string(read) != string(made) || len(made) != recordsKeySize {
		t.Errorf("a key of %d bytes, then another of %d, %v", len(made), len(read), err)
	}
	must(t, os.Chmod(path, 0o604))
	if _, err := keyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that all can read: %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.Truncate(path, 5))
	if _, err := keyFile(path); err == nil || !strings.Contains(err.Error(), "5 bytes long") {
		t.Errorf("a short key: %v", err)
	}
}
